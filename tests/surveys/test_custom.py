from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from plugin import registry
from plugin.domain.outcome import Accepted, Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.errors import CannotBeSent
from plugin.redaction import Secret
from plugin.surveys import custom
from plugin.surveys.base.pasted import read_pasted_url
from plugin.surveys.custom.presets import PRESETS
from plugin.tenant_file import check_document, read_document

QUEUED = {"look": [{"at": "state", "is": "queued"}], "means": "accepted"}
SETTINGS: Mapping[str, Any] = {
    "origin": "https://api.kwestia.example",
    "path": "/v2/{survey}/x-{group}",
    "query": {"lang": "{language}", "fixed": "1"},
    "headers": {"Authorization": "Bearer {secret:token}", "X-Id": "{reference}"},
    "json": '{"to": {"email": "{email}"}, "n": "{count}", "vip": "{vip}", "text": "n={count}", "list": ["{title}", 7]}',
    "secrets": {"token": "kw-4f1f0a77d2"},
    "parameters": {
        "survey": {"required": True},
        "group": {"required": True},
        "email": {"kind": "email", "required": True},
        "count": {"kind": "number"},
        "vip": {"kind": "yes_no"},
        "language": {},
        "title": {},
        "reference": {"max_length": 64},
    },
    "answers": [QUEUED],
}
VALUES = {"survey": "s", "group": "g", "email": "a@example.com"}


def connection(**more: Any) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = custom.VENDOR.connection().load({**SETTINGS, **more})
    return loaded


def request_of(settings: Mapping[str, Any], **values: str) -> OutboundRequest:
    schema = registry.parameters(custom.VENDOR.calls["send"], custom.parameters_of("send", settings))
    call = SurveyCall("custom", "send", schema.load({**VALUES, **values}))
    return custom.build_request(call, settings, "send", {})


def body_of(request: OutboundRequest) -> Any:
    body, _ = request.body() or (b"null", "")
    return json.loads(body)


def problems(**more: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as refused:
        connection(**more)
    found: dict[str, list[str]] = refused.value.normalized_messages()
    return found


def read(rows: list[dict[str, Any]], status: int, body: str | Mapping[str, Any], **headers: str) -> Outcome:
    text = body if isinstance(body, str) else json.dumps(body)
    response = OutboundResponse(status, {name.replace("_", "-"): text for name, text in headers.items()}, text.encode())
    settings = connection(answers=[*rows, QUEUED])
    return registry.reader("custom", settings)(SurveyCall("custom", "send", {}), response, "send", {})


# --- the request ------------------------------------------------------------------------------------------------------


def test_the_described_request_is_made() -> None:
    request = request_of(connection(), language="pl", title="Łódź", count="007", vip="yes", reference="r1")

    assert request.method == "POST"
    assert request.url() == "https://api.kwestia.example/v2/s/x-g?lang=pl&fixed=1"
    assert body_of(request) == {
        "to": {"email": "a@example.com"},
        "n": 7,
        "vip": True,
        "text": "n=7",
        "list": ["Łódź", 7],
    }
    assert request.headers == (("Authorization", Secret("Bearer kw-4f1f0a77d2")), ("X-Id", "r1"))


def test_what_lacks_a_value_is_left_out_with_its_name() -> None:
    document = '{"to": "{email}", "with": {"t": "{title}"}, "list": ["{count}", "{vip}"], "e": {}}'
    request = request_of(connection(json=document))

    assert request.query == (("fixed", "1"),)
    assert body_of(request) == {"to": "a@example.com", "e": {}}
    assert [name for name, _ in request.headers] == ["Authorization"]


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_a_form_is_sent_instead_of_json(method: str) -> None:
    form = {"to": "{email}", "t": "{title}/{count}/{vip}"}
    given = {name: value for name, value in SETTINGS.items() if name != "json"}
    settings = custom.VENDOR.connection().load({**given, "method": method, "form": form})
    request = request_of(settings, title="a&b=c", count="1", vip="no")

    assert request.method == method.upper()
    assert request.body() == (b"to=a%40example.com&t=a%26b%3Dc%2F1%2F0", "application/x-www-form-urlencoded")


def test_a_slash_at_the_end_of_the_path_stays() -> None:
    assert request_of(connection(path="/v2/{survey}/{group}/")).url().partition("?")[0].endswith("/v2/s/g/")


def test_a_secret_within_a_longer_text_is_known_for_masking() -> None:
    request = request_of(connection())

    assert Secret("kw-4f1f0a77d2") in request.secrets
    assert "kw-4f1f" not in repr(request) + request.shown_url() + str(request.shown_parameters())


def test_secrets_may_stand_in_the_path_the_query_and_the_body() -> None:
    settings = connection(
        path="/{secret:token}/{survey}/{group}",
        query={"key": "{secret:token}", "l": "{language}"},
        json='{"auth": "{secret:token}", "to": ["{email}", "{count}", "{vip}", "{title}"]}',
    )
    request = request_of(settings)

    assert "/kw-4f1f0a77d2/s/g?key=kw-4f1f0a77d2" in request.url()
    assert body_of(request)["auth"] == "kw-4f1f0a77d2"
    assert "kw-4f1f" not in repr(request) + request.shown_url() + str(request.shown_parameters())


def test_basic_authentication_is_encoded_and_all_its_forms_are_masked() -> None:
    settings = connection(
        headers={"X-Id": "{reference}", "X-T": "{secret:token}"}, basic={"user": "key", "password": "pass"}
    )
    request = request_of(settings)
    encoded = base64.b64encode(b"key:pass").decode()

    assert dict(request.headers)["Authorization"] == Secret(f"Basic {encoded}")
    assert {Secret("key"), Secret("pass")} <= set(request.secrets)


def test_a_call_that_lacks_a_part_of_its_path_cannot_be_sent() -> None:
    with pytest.raises(CannotBeSent, match="group"):
        custom.build_request(SurveyCall("custom", "send", {"survey": "s"}), connection(), "send", {})


LOADED = connection()


@given(st.dictionaries(st.sampled_from(["survey", "group", "email", "title", "language"]), st.text(min_size=1)))
def test_no_value_leaves_its_slot(values: dict[str, str]) -> None:
    """Whatever a value holds, also when no schema has looked at it, all around it stays as the template has it."""
    settings = LOADED
    call = SurveyCall("custom", "send", {**VALUES, "title": "t", "language": "l", **values})
    sent = {name: text.encode("utf-8", "replace").decode() for name, text in call.parameters.items()}
    if sent["survey"] in {".", ".."}:
        with pytest.raises(CannotBeSent):
            custom.build_request(call, settings, "send", {})
        return
    request = custom.build_request(call, settings, "send", {})

    url = urlsplit(request.url())
    assert (url.scheme, url.netloc, url.fragment) == ("https", "api.kwestia.example", "")
    assert [unquote(part) for part in url.path.split("/")] == ["", "v2", sent["survey"], f"x-{sent['group']}"]
    assert parse_qsl(url.query, keep_blank_values=True) == [("lang", sent["language"]), ("fixed", "1")]
    document = {"to": {"email": sent["email"]}, "list": [sent["title"], 7]}
    assert body_of(request) == document


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("survey", "..", "must be more than dots"),
        ("survey", ".", "must be more than dots"),
        ("survey", "a\nb", "must be a single line"),
        ("survey", "", "must not be empty"),
        ("email", "nobody", "is not an e-mail address"),
        ("count", "1.5", "must be a whole number"),
        ("count", "1e9", "must be a whole number"),
        ("vip", "perhaps", "must be yes or no"),
        ("reference", "ą", "English letters"),
        ("reference", "a\r\nX-Admin: 1", "must be a single line"),
        ("reference", "x" * 65, "is longer than 64"),
        ("filter", "all", "is not known here"),
    ],
)
def test_a_value_that_does_not_suit_its_place_is_refused(name: str, value: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        request_of(connection(), **{name: value})


def test_texts_may_have_several_lines_where_nothing_breaks() -> None:
    assert body_of(request_of(connection(), title="a\nb"))["list"] == ["a\nb", 7]


# --- settings that make no sense --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "place", "problem"),
    [
        ({"origin": ""}, "origin", "is required"),
        ({"path": "v2"}, "path", "must begin with /"),
        ({"path": "/v2?x=1"}, "path", "must begin with /"),
        ({"path": "/v2/%2e%2e/x"}, "path", "must begin with /"),
        ({"path": "/v2/../{survey}/{group}"}, "path", "must not hold a segment . or .."),
        ({"path": "/v2//{survey}/{group}"}, "path", "empty segment"),
        ({"path": "/v2/{survey}/{group}/{title}"}, "parameters", "title is a part of the path, so it must be required"),
        ({"path": "/v2/{survey}/{grup}"}, "path", "has a slot {grup}, and `parameters` declares no grup"),
        ({"path": "/v2/{survey}"}, "parameters", "group is used nowhere"),
        ({"method": "get"}, "method", "get has no body"),
        ({"method": "delete"}, "method", "must be one of"),
        ({"form": {"a": "{email}"}}, "json", "a request has one body"),
        ({"headers": {"Host": "x", "Authorization": "{secret:token}{reference}"}}, "headers", "Host is written by"),
        ({"headers": {"X:Y": "x", "A": "{secret:token}{reference}"}}, "headers", "X:Y is no name of a header"),
        ({"headers": {"X": "ą", "A": "{secret:token}{reference}"}}, "headers", "a letter that a header cannot hold"),
        ({"basic": {"user": "key"}}, "headers", "Authorization is written by `basic`"),
        ({"query": {"a": "{{ person.email }}"}}, "query", "holds a template"),
        ({"query": {"a": "{% if a %}"}}, "query", "holds a template"),
        ({"query": {"a": "{not a slot}"}}, "query", "a brace that is no slot"),
        ({"query": {"a b": "x"}}, "query", "must be a name of letters"),
        ({"json": '{"{email}": 1}'}, "json", "has a slot in a name"),
        ({"json": "{email: 1}"}, "json", "must be a JSON document written as text, and is not: line 1, column 2"),
        ({"json": "[" * 9000}, "json", "is nested too deeply"),
        ({"json": "[" * 21 + "]" * 21}, "json", "is nested too deeply"),
        ({"json": '{"n": NaN}'}, "json", "must be a JSON document"),
        ({"json": "7" * 5000}, "json", "must be a JSON document"),
        ({"secrets": {}}, "headers", "has a slot {secret:token}, and `secrets` holds no token"),
        ({"secrets": {"token": "t", "spare": "s"}}, "secrets", "spare is used nowhere"),
        ({"secrets": {"to ken": "t"}}, "secrets", "must begin with a letter"),
        ({"parameters": {"a": {"kind": "date"}}}, "parameters", "must be one of"),
        ({"parameters": {"1a": {}}}, "parameters", "must begin with a letter"),
        # What lacks a value is left out, and a vendor may well take a missing filter as "all".
        ({"parameters": {**SETTINGS["parameters"], "email": {"kind": "email"}}}, "parameters", "about everybody"),
        ({"path": "/all", "query": {}, "headers": {}, "json": "{}", "parameters": {}}, "parameters", "about everybody"),
        ({"answers": []}, "answers", "no answer could ever count as success"),
        ({"answers": [{"means": "accepted"}]}, "answers", "row 1: would take any such answer as success"),
        (
            {"answers": [{"look": [{"at": "error", "present": "false"}], "means": "accepted"}]},
            "answers",
            "row 1: would",
        ),
        ({"answers": [{"look": [{"present": "true"}], "means": "accepted"}]}, "answers", "row 1: would take any such"),
        ({"answers": [{"look": [{"contains": ""}], "means": "accepted"}]}, "answers", "compares with nothing"),
        ({"answers": [{"status": "200", "means": "accepted"}]}, "answers", "row 1: would take any such answer"),
        ({"answers": [QUEUED, {"means": "rejected"}]}, "answers", "row 2: names neither a status nor anything"),
        ({"answers": [{**QUEUED, "reason": "quota"}]}, "answers", "goes with one of these reasons: done, opened"),
        ({"answers": [{**QUEUED, "after": 5}]}, "answers", "`after` is for `retry` only"),
        ({"answers": [QUEUED, {"status": "4xx", "means": "rejected", "reference": "a"}]}, "answers", "`reference` is"),
        ({"answers": [{"look": [{"at": "a"}], "means": "accepted"}]}, "answers", "exactly one of is, contains and"),
        ({"answers": [{"look": [{"at": "a", "header": "b", "is": "c"}], "means": "accepted"}]}, "answers", "not both"),
        ({"answers": [{"status": "20x", "means": "rejected"}]}, "answers", "must be numbers such as 200"),
        ({"answers": [{"status": "200", "means": "fine"}]}, "answers", "must be one of"),
    ],
)
def test_settings_that_make_no_sense_are_told(more: dict[str, Any], place: str, problem: str) -> None:
    found = problems(**more)
    assert problem in str(found[place])


def test_a_person_may_be_named_by_an_id_alone() -> None:
    settings = connection(
        path="/all", query={}, headers={}, secrets={}, json='{"id": "{id}"}', parameters={"id": {"required": True}}
    )
    schema = registry.parameters(custom.VENDOR.calls["send"], custom.parameters_of("send", settings))
    assert schema.validate({}) == {"id": ["is required."]}


def test_no_problem_repeats_a_secret() -> None:
    assert "kw-4f1f" not in str(problems(path="/{grup}", answers=[]))


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "status", "body", "expected"),
    [
        ([], 200, {"state": "queued"}, Accepted(words='{"state": "queued"}')),
        ([], 200, {"state": "Queued "}, Accepted(words='{"state": "Queued "}')),
        ([], 200, {"state": "queue"}, Uncertain(Reason.UNRECOGNISED, '{"state": "queue"}')),
        ([], 500, {"state": "queued"}, Uncertain(Reason.VENDOR_ERROR, '{"state": "queued"}')),
        ([{**QUEUED, "status": "5xx"}], 500, {"state": "queued"}, Accepted(words='{"state": "queued"}')),
        ([{"status": "204", "means": "accepted", "status_is_enough": True}], 204, "", Accepted()),
        ([{"status": "204", "means": "accepted", "status_is_enough": True}], 200, "", Uncertain(Reason.UNRECOGNISED)),
        ([{"status": "200, 4xx", "means": "rejected"}], 404, "x", Rejected(Reason.REFUSED, "x")),
        ([{"status": "200, 4xx", "means": "rejected"}], 200, "x", Rejected(Reason.REFUSED, "x")),
        ([{"status": "200, 4xx", "means": "rejected"}], 500, "x", Uncertain(Reason.VENDOR_ERROR, "x")),
        ([{"look": [{"contains": "GONE away"}], "means": "uncertain"}], 404, "It has\n gone  away.",
         Uncertain(Reason.UNRECOGNISED, "It has gone away.")),
        ([{"look": [{"at": "a.1.b", "is": "7"}], "means": "rejected", "words": "a.0"}], 200, {"a": ["no", {"b": 7}]},
         Rejected(Reason.REFUSED, "no")),
        ([{"look": [{"at": "a.2.b", "is": "7"}], "means": "rejected"}], 200, {"a": [1], "state": "queued"},
         Accepted(words='{"a": [1], "state": "queued"}')),
        ([{"look": [{"at": "a", "present": "false"}], "means": "rejected"}], 200, {"a": None},
         Rejected(Reason.REFUSED, '{"a": null}')),
        ([{"look": [{"at": "a", "present": "true"}], "means": "rejected"}], 200, {"a": False},
         Rejected(Reason.REFUSED, '{"a": false}')),
        ([{"status": "429", "means": "retry", "reason": "too_soon", "after": "61"}], 429, "x",
         RetryLater(Reason.TOO_SOON, "x", 61.0)),
        ([{"status": "400", "means": "rejected", "reason": "opted_out"}], 400, "x", Rejected(Reason.OPTED_OUT, "x")),
        ([{**QUEUED, "reference": "id", "words": "say"}], 200, {"state": "queued", "id": 12, "say": "Yes."},
         Accepted("12", Reason.DONE, "Yes.")),
        ([{**QUEUED, "reference": "id"}], 200, {"state": "queued", "id": {"a": 1}},
         Accepted(None, Reason.DONE, '{"state": "queued", "id": {"a": 1}}')),
    ],
)  # fmt: skip
def test_the_first_row_that_fits_says_what_an_answer_means(
    rows: list[dict[str, Any]], status: int, body: Any, expected: Outcome
) -> None:
    assert read(rows, status, body) == expected


def test_a_row_may_look_at_a_header_and_waits_as_the_vendor_says() -> None:
    row = {"look": [{"header": "X-Again", "is": "Yes"}], "means": "retry"}
    assert read([row], 500, "x", x_again="yes", retry_after="30") == RetryLater(Reason.VENDOR_UNAVAILABLE, "x", 30.0)
    assert read([row], 500, "x") == Uncertain(Reason.VENDOR_ERROR, "x")


def test_a_row_needs_all_of_its_conditions() -> None:
    row = {"look": [{"at": "a", "is": "1"}, {"at": "b", "is": "2"}], "means": "rejected"}
    assert isinstance(read([row], 200, {"a": 1, "b": 2}), Rejected)
    assert isinstance(read([row], 200, {"a": 1, "b": 3}), Uncertain)


# --- presets ----------------------------------------------------------------------------------------------------------

ALCHEMER = {"preset": "alchemer", "secrets": {"api_token": "alc-token-5511", "api_token_secret": "alc-secret-9922"}}
SPARROW = {"preset": "surveysparrow", "secrets": {"access_token": "sparrow-token-3141"}}
PRESET_SECRETS = {"alchemer": ALCHEMER, "surveysparrow": SPARROW, "surveysparrow_sms": SPARROW}


def preset(settings: Mapping[str, Any], **more: Any) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = custom.VENDOR.connection().load({**settings, **more})
    return loaded


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_needs_secrets_only(name: str) -> None:
    loaded = preset(PRESET_SECRETS[name], preset=name)
    assert loaded["origin"] == PRESETS[name].origins[0]
    with pytest.raises(ValidationError, match="`secrets` holds no"):
        preset({"preset": name})


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_names_one_person_and_lists_of_contacts_cannot_be_expressed(name: str) -> None:
    declared = custom.parameters_of("send", preset(PRESET_SECRETS[name], preset=name))
    assert [about for about in declared.values() if about["kind"] == "email" or about.get("label") == "Mobile number"]
    assert not [parameter for parameter in declared if "list" in parameter]
    assert "contact_list_ids" not in str(PRESETS[name].settings)


@pytest.mark.parametrize("name", PRESETS)
def test_every_parameter_of_a_preset_is_sent_as_it_is_in_every_alphabet(name: str) -> None:
    settings = preset(PRESET_SECRETS[name], preset=name)
    samples = {"email": "a@example.com", "phone": "+48221234567", "number": "1000"}
    values = {
        parameter: samples.get(about["kind"], f'{parameter} Łucja Київ עברית 東京 👋🏽 & + = # ? / \\ " {{x}} }}')
        for parameter, about in custom.parameters_of("send", settings).items()
    }
    request = custom.build_request(SurveyCall("custom", "send", values), settings, "send", {})
    sent = [unquote(part) for part in urlsplit(request.url()).path.split("/")]
    sent += [value for _, value in parse_qsl(urlsplit(request.url()).query)]
    assert set(values.values()) <= {*sent, *leaves(body_of(request))}


def leaves(document: Any) -> Iterator[str]:
    if isinstance(document, dict | list):
        for value in document.values() if isinstance(document, dict) else document:
            yield from leaves(value)
    else:
        yield str(document)


def test_alchemer_gets_its_credentials_in_the_query_and_shows_none() -> None:
    values = {"survey_id": "12", "campaign_id": "a/b", "email": "a@example.com", "custom1": "T&1"}
    settings = preset(ALCHEMER, origin="https://api.alchemer.eu")
    request = custom.build_request(SurveyCall("custom", "send", values), settings, "send", {})

    assert request.method == "PUT"
    assert request.url() == (
        "https://api.alchemer.eu/v5/survey/12/surveycampaign/a%2Fb/surveycontact?api_token=alc-token-5511"
        "&api_token_secret=alc-secret-9922&email_address=a%40example.com&customfield1=T%261"
    )
    assert "alc-" not in request.shown_url() + repr(request) + str(request.shown_parameters())


def test_surveysparrow_is_sent_exactly_one_contact() -> None:
    values = {"survey_id": "17", "name": "T", "email": "a@example.com", "subject": "s", "body": "b", "ticket": "1"}
    request = custom.build_request(SurveyCall("custom", "send", values), preset(SPARROW), "send", {})
    assert body_of(request) == {
        "survey_id": 17,
        "name": "T",
        "type": "EMAIL",
        "mode": "BLAST",
        "contacts": [{"email": "a@example.com", "variables": {"ticket": "1"}}],
        "email": {"subject": "s", "body": "b"},
    }
    assert request.headers == (("Authorization", Secret("Bearer sparrow-token-3141")),)


def test_what_a_person_sets_goes_before_what_the_preset_sets() -> None:
    row = {"status": "409", "means": "retry", "reason": "too_soon"}
    loaded = preset(
        SPARROW,
        json='{"survey_id": "{survey_id}", "name": "{name}", "to": "{email}", "x": ["{subject}", "{body}", "{team}"],'
        ' "v": ["{ticket}", "{reference}"]}',
        parameters={"team": {}},
        answers=[row],
    )
    assert loaded["answers"][0]["reason"] == "too_soon"
    assert len(loaded["answers"]) == 1 + len(PRESETS["surveysparrow"].settings["answers"])
    assert {"team", "email"} <= loaded["parameters"].keys()


# --- pasted URLs ------------------------------------------------------------------------------------------------------

UNTOLD = {"secrets": {"api_token": None, "api_token_secret": None}}
SPARROW_UNTOLD = {"preset": "surveysparrow", "secrets": {"access_token": None}}
ALCHEMER_URL = "https://api.alchemer.com/v5/survey/123456/surveycampaign/100000/surveycontact"


@pytest.mark.parametrize(
    ("url", "settings", "parameters"),
    [
        (ALCHEMER_URL, {"preset": "alchemer", **UNTOLD}, {"survey_id": "123456", "campaign_id": "100000"}),
        (
            (
                f"{ALCHEMER_URL}?_method=PUT&email_address={{{{ticket.requester.email}}}}&customfield2={{{{ticket.id}}}}"
                "&api_token=tok&api_token_secret=sec"
            ),
            {"preset": "alchemer", "secrets": {"api_token": Secret("tok"), "api_token_secret": Secret("sec")}},
            {
                "survey_id": "123456",
                "campaign_id": "100000",
                "email": "{{ticket.requester.email}}",
                "custom2": "{{ticket.id}}",
            },
        ),
        (
            f"“{ALCHEMER_URL.replace('https://api.alchemer.com', 'api.alchemer.eu')}?email_address=a@b.c”",
            {"preset": "alchemer", "origin": "https://api.alchemer.eu", **UNTOLD},
            {"survey_id": "123456", "campaign_id": "100000", "email": "a@b.c"},
        ),
        ("https://api.surveysparrow.com/v3/channels", SPARROW_UNTOLD, {}),
        (
            "https://api.surveysparrow.com/v3/channels?survey_id=1000",
            SPARROW_UNTOLD,
            {"survey_id": "1000"},
        ),
    ],
)
def test_a_pasted_url_of_a_preset_becomes_a_connection_and_a_mapping(
    url: str, settings: dict[str, Any], parameters: dict[str, str]
) -> None:
    found = custom.recognise_url(read_pasted_url(url))
    assert found is not None
    assert (found.call, found.settings, found.parameters) == ("send", settings, parameters)
    assert "'tok'" not in repr(found)


def test_what_a_pasted_url_says_besides_is_told() -> None:
    url = ALCHEMER_URL.replace("v5", "v4").replace("surveycontact", "contact") + "?semailaddress=a@b.c"
    found = custom.recognise_url(read_pasted_url(url))
    assert found is not None
    assert found.warnings == [
        "The call is made at /v5/, not at /v4/.",
        "semailaddress is left out: the preset has no such parameter.",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://www.mysurveylab.com/api.php?apiToken=a",
        "https://api.alchemer.com/v5/survey/123456",
        "https://api.surveysparrow.com/v3/surveys",
        "https://api.kwestia.example/v2/surveys/1/invitations",
    ],
)
def test_another_url_is_left_to_other_vendors(url: str) -> None:
    assert custom.recognise_url(read_pasted_url(url)) is None


# --- the guide --------------------------------------------------------------------------------------------------------


def test_the_example_in_the_guide_is_a_sound_configuration() -> None:
    page = Path(__file__).parents[2].joinpath("docs/vendors/custom.md").read_text("utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    checked = check_document(read_document(example))
    assert checked.rules[0].described is not None
    assert checked.rules[0].described["survey"]["places"] == ["path"]
