"""Webhook URLs of the platform, as its pages show them and people copy them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from plugin import registry
from plugin.domain.survey_call import SurveyCall
from plugin.redaction import Secret
from plugin.surveys import startquestion
from plugin.surveys.base import Recognised
from plugin.surveys.base.pasted import read_pasted_url
from plugin.tenant_file import import_url
from plugin.tenant_file.document import KEPT

KEYS = "387487/TUwNjNDg3M/84b750d6956f02503015938fc38bfe36"
ACCOUNT = {
    "id_account": "387487",
    "webhook_key": Secret("TUwNjNDg3M"),
    "webhook_auth": Secret("84b750d6956f02503015938fc38bfe36"),
}


def recognised(text: str) -> Recognised:
    found = startquestion.recognise_url(read_pasted_url(text))
    assert found is not None
    return found


#: The examples of the vendor's pages, and what they ask for.
DOCUMENTED = [
    (
        (
            "https://www.webankieta.pl/webhooks/171257/MjU3ABUyMj/3a12307689817111c82711d910f5f4aa/send-invitation-to-token"
            "?id_survey=419349&id_template=3593&token=81a2B7"
        ),
        "webankieta",
        "send_invitation_to_token",
        {"id_survey": "419349", "id_template": "3593", "token": "81a2B7"},
    ),
    (
        (
            f"https://www.netquest.cz/webhooks/{KEYS}/send-invitation-to-token"
            "?id_survey=419349&id_template=1833&token=81a2B7&delay=15&footer=0"
        ),
        "netquest_cz",
        "send_invitation_to_token",
        {"id_survey": "419349", "id_template": "1833", "token": "81a2B7", "delay": "15", "footer": "0"},
    ),
    (
        (
            f"https://www.netquest.sk/webhooks/{KEYS}/send-invitation"
            "?id_survey=399793&id_template=1833&[email\xa0protected]&l1=Martin&l2=Novak&l3=CEO&l4=VIP"
        ),
        "netquest_sk",
        "send_invitation",
        {
            "id_survey": "399793",
            "id_template": "1833",
            "l1": "Martin",
            "l2": "Novak",
            "l3": "CEO",
            "l4": "VIP",
        },
    ),
    (
        f"https://www.webankieta.pl/webhooks/{KEYS}/add-respondent?id_survey=399793&email=jan@example.com&l1=Jan&l4=VIP",
        "webankieta",
        "add_respondent",
        {"id_survey": "399793", "email": "jan@example.com", "l1": "Jan", "l4": "VIP"},
    ),
    (
        (
            f"https://www.startquestion.com/webhooks/{KEYS}/update-respondent"
            "?id_survey=399793&id_respondent=12345&l4=SuperVIP&l7=9"
        ),
        "startquestion",
        "update_respondent",
        {"id_survey": "399793", "id_respondent": "12345", "l4": "SuperVIP", "l7": "9"},
    ),
    (
        f"https://www.startquestion.com/webhooks/{KEYS}/unsubscribe?email=a.kowalski@example.com",
        "startquestion",
        "unsubscribe",
        {"email": "a.kowalski@example.com"},
    ),
    (
        f"https://www.netquest.sk/webhooks/{KEYS}/Shorten-link?id_survey=399793&user_token=MNOVAK&l1=Martin",
        "netquest_sk",
        "shorten_link",
        {"id_survey": "399793", "user_token": "MNOVAK", "l1": "Martin"},
    ),
    (f"https://www.netquest.cz/webhooks/{KEYS}/survey-list?&limit=20", "netquest_cz", "", {}),
]


@pytest.mark.parametrize(("url", "brand", "call", "parameters"), DOCUMENTED)
def test_a_documented_url_becomes_a_connection_and_a_mapping(
    url: str, brand: str, call: str, parameters: Mapping[str, str]
) -> None:
    found = recognised(url)
    assert (found.settings["brand"], found.call, found.parameters) == (brand, call, parameters)
    assert startquestion.Connection().load(found.settings)["method"] == "post"
    if call:
        loaded = {name: value for name, value in parameters.items() if "{{" not in value}
        assert not startquestion.VENDOR.calls[call].parameters(partial=True).validate(loaded)
        assert startquestion.check(call, parameters, found.settings) == []


@pytest.mark.parametrize("brand", startquestion.BRANDS)
@pytest.mark.parametrize("name", startquestion.VENDOR.calls)
def test_every_webhook_of_every_brand_is_recognised(brand: str, name: str) -> None:
    webhook = name.replace("_", "-")
    found = recognised(f"{startquestion.BRANDS[brand].origin}/webhooks/{KEYS}/{webhook}?id_survey=399793")
    assert (found.call, found.settings) == (name, {"brand": brand, **ACCOUNT})


def test_what_a_url_is_recognised_as_builds_the_same_url() -> None:
    url = DOCUMENTED[0][0]
    found = recognised(url)
    call = SurveyCall("startquestion", found.call, found.parameters)
    settings = startquestion.Connection().load(found.settings)
    assert startquestion.build_request(call, settings, "send", {}).url() == url


@pytest.mark.parametrize(
    "damaged",
    [
        "“http://webankieta.pl/webhooks/{keys}/send\u2011invitation?id_survey=399793&amp;email={{ticket.requester.email}}”",
        "www.webankieta.pl//webhooks/{keys}/send–invitation/?id_survey=399793&email=%7B%7Bticket.requester.email%7D%7D",
        (
            "https://www.webankieta.pl/webhooks/\u200b{keys}\u200c/Send_Invitation\n?id_survey=399793"
            "&email={{ ticket.requester.email }}&l1="
        ),
    ],
)
def test_a_url_that_was_damaged_on_the_way_is_put_right(damaged: str) -> None:
    found = recognised(damaged.replace("{keys}", KEYS))
    assert found.call == "send_invitation"
    assert found.settings == {"brand": "webankieta", **ACCOUNT}
    assert found.parameters == {"id_survey": "399793", "email": "{{ticket.requester.email}}"}
    assert found.warnings == []


def test_a_key_may_hold_the_signs_of_base64() -> None:
    found = recognised("https://www.webankieta.pl/webhooks/1/Mj%2FU3/+A=/3a123/unsubscribe?email={{person.email}}")
    assert found.settings["webhook_key"] == Secret("Mj/U3/+A=")


def test_a_name_in_place_of_the_account_s_number_is_left_out() -> None:
    found = recognised("https://www.webankieta.pl/webhooks/[id_account]/key/auth/unsubscribe?email={{person.email}}")
    assert "id_account" not in found.settings


def test_an_example_of_the_pages_is_imported_with_what_is_missing_put_in_or_named() -> None:
    written = "https://www.webankieta.pl/webhooks/[id_account]/[webhook_key]/{{webhook_auth}}/unsubscribe?email=jan@example.com"
    imported = import_url(written)
    [connection], [rule] = imported.fragment["connections"], imported.fragment["rules"]
    assert connection["settings"] == {"brand": "webankieta", "webhook_key": KEPT, "webhook_auth": KEPT}
    assert rule["parameters"] == {"email": "{{ person.email }}"}
    assert "To be mended: settings.id_account: is required." in imported.warnings


@pytest.mark.parametrize(("url", "brand", "call", "parameters"), DOCUMENTED)
def test_a_documented_url_is_imported_whole(url: str, brand: str, call: str, parameters: Mapping[str, str]) -> None:
    imported = import_url(url)
    assert not [warning for warning in imported.warnings if warning.startswith("To be mended")]
    assert [rule["call"] for rule in imported.fragment["rules"]] == ([call] if call else [])
    assert [connection["settings"]["brand"] for connection in imported.fragment["connections"]] == [brand]
    for rule in imported.fragment["rules"]:
        asked = registry.vendor("startquestion").VENDOR.calls[call].parameters().fields
        assert rule["parameters"].get("email") == ("{{ person.email }}" if "email" in asked else None)
        assert rule["parameters"].keys() >= parameters.keys()


def test_what_the_call_or_the_brand_does_not_have_is_left_out_with_a_warning() -> None:
    found = recognised(
        f"https://www.webankieta.pl/webhooks/{KEYS}/send-invitation"
        "?id_survey=1&id_template=2&email={{person.email}}&reminder=48&l11=x&jan@example.com"
    )
    assert found.parameters == {"id_survey": "1", "id_template": "2", "email": "{{person.email}}"}
    assert found.warnings == [
        "`reminder` is not known here and was left out.",
        "Something that is no pair of name and value is not known here and was left out.",
        "`l11` is not offered by Webankieta (Poland) and was left out.",
    ]


def test_a_mapping_that_names_the_same_person_each_time_is_warned_about() -> None:
    warnings = recognised(DOCUMENTED[0][0]).warnings
    assert warnings == ["`token` names the same person for every ticket: put a placeholder in its place."]


def test_a_key_of_the_ticket_is_kept_but_the_delivery_s_is_offered() -> None:
    found = recognised(
        f"https://www.webankieta.pl/webhooks/{KEYS}/shorten-link?id_survey=1&external_key={{{{ticket.id}}}}"
    )
    assert found.parameters["external_key"] == "{{ticket.id}}"
    [warning] = found.warnings
    assert "{{ delivery.reference }}" in warning


@pytest.mark.parametrize(
    "url",
    [
        f"https://www.example.com/webhooks/{KEYS}/send-invitation",
        f"https://evil-webankieta.pl/webhooks/{KEYS}/send-invitation",
        f"https://www.webankieta.pl/webhooks/{KEYS}/delete-everybody",
        "https://www.webankieta.pl/webhooks/387487/84b750d6956f02503015938fc38bfe36/send-invitation",
        "https://www.webankieta.pl/l/4e3/f55400",
        "https://www.webankieta.pl",
    ],
)
def test_any_other_url_is_left_to_others(url: str) -> None:
    assert startquestion.recognise_url(read_pasted_url(url)) is None


def test_a_recognised_url_shows_no_secret() -> None:
    assert "TUwNjNDg3M" not in repr(recognised(DOCUMENTED[1][0]))
