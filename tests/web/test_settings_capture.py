"""State capture: what comes is kept and shown value by value, and a person says what is what in it."""

from __future__ import annotations

import html
import re

import pytest

from plugin.errors import TenantFileInvalid
from plugin.store import receipts
from tests.web.installation import CONFIGURATION, words

PAGE = "/settings/sources/shop/capture"
SHOP = "- {name: shop, kind: generic, state: capture, credentials: {bearer: shop-token}}\nconnections:"
MESSAGE = {
    "data": {
        "number": 900719925474099312,
        "status": "done",
        "note": "<script>alert(1)</script>",
        "users": [
            {"type": "agent", "email": "agent@acme.example"},
            {"type": "customer", "email": "ada@example.com", "lang": "pl"},
        ],
    },
    "event_id": "e-1",
}
SAID = {
    "meaning": "ticket.closed",
    "leaf:data.number": "id",
    "leaf:data.status": "kind",
    "leaf:event_id": "event",
    "leaf:data.users[type=customer].email": "email",
    "leaf:data.users[type=customer].lang": "language",
}


@pytest.fixture
def shop(installation, acme):
    return installation.apply(CONFIGURATION.replace("connections:", SHOP, 1))


def capture(installation, shop, message=MESSAGE):
    answer = installation.send(shop, "shop", message)
    assert answer.status_code == 202, answer.text
    return answer.get_json()


def say(admin, receipt, **said):
    base = re.search(r'name="base" value="(\d+)"', admin.get(PAGE).text)[1]
    return admin.post(PAGE, {"receipt": receipt, "base": base, **SAID, **said}, page=PAGE)


def paths(page):
    return re.findall(r'<th scope="row"><code>(.*?)</code>', page.text)


def test_a_captured_message_is_kept_and_nothing_is_sent(installation, shop, admin):
    kept = capture(installation, shop, {"ticket": {"id": "1", "requester": {"email": "ada@example.com"}}})

    [event] = kept["events"]
    assert event["kind"] == "unsupported"
    assert [verdict["delivery"] for verdict in event["verdicts"]] == [None, None]
    assert "state capture" in words(admin.get(f"/settings/receipts/{kept['receipt']}"))
    assert "What came to shop" in words(admin.get("/settings/"))


def test_each_value_is_shown_with_its_path_and_nothing_of_it_is_markup(installation, shop, admin):
    capture(installation, shop)

    page = admin.get(PAGE)

    assert {"data.number", "data.users[type=customer].email", "event_id"} <= set(paths(page))
    assert "900719925474099312" in page.text
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


def test_a_viewer_sees_no_address_and_no_form(installation, shop, viewer):
    capture(installation, shop)

    page = viewer.get(PAGE)

    assert "data.number" in paths(page)
    assert "ada@example.com" not in page.text
    assert "agent@acme.example" not in page.text
    assert "<select" not in page.text


def test_the_newest_five_are_offered_and_another_can_be_looked_at(installation, shop, admin):
    receipts = [capture(installation, shop, {"n": number})["receipt"] for number in range(6)]

    assert paths(admin.get(PAGE)) == ["n"]
    assert admin.get(PAGE).text.count("receipts/") == 5
    assert receipts[0] not in admin.get(PAGE).text
    assert ">2<" in admin.get(f"{PAGE}?receipt={receipts[2]}").text
    assert ">5<" in admin.get(f"{PAGE}?receipt=nosuch").text


def test_what_a_person_has_said_becomes_settings_after_a_look_at_the_difference(installation, shop, admin):
    receipt = capture(installation, shop)["receipt"]

    difference = say(admin, receipt)
    assert difference.status_code == 200
    assert "ticket.requester.email: data.users[type=customer].email" in html.unescape(difference.text)
    # Nothing is saved yet.
    capture(installation, shop, MESSAGE | {"event_id": "e-2"})

    text = html.unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", difference.text, re.DOTALL)[1])
    base = re.search(r'name="base" value="(\d+)"', difference.text)[1]
    saved = admin.post("/settings/configuration/save", {"text": text, "base": base}, page="/settings/configuration/")
    assert saved.status_code == 303, words(saved)

    [event] = installation.send(shop, "shop", MESSAGE | {"event_id": "e-3"}).get_json()["events"]
    assert event["kind"] == "ticket.closed"
    assert {(verdict["rule"], verdict["cause"]) for verdict in event["verdicts"]} >= {("solved", "test_state")}
    assert all(verdict["delivery"] is None for verdict in event["verdicts"])
    other = MESSAGE | {"data": MESSAGE["data"] | {"status": "open"}, "event_id": "e-4"}
    [event] = installation.send(shop, "shop", other).get_json()["events"]
    assert event["kind"] == "unsupported"


def test_what_was_captured_is_never_sent_later(installation, shop, admin):
    receipt = capture(installation, shop)["receipt"]
    text = CONFIGURATION.replace("connections:", SHOP.replace("capture", "live"), 1)
    installation.apply(text)
    with installation.parts.database.read() as db:
        [event] = receipts.receipt(db, shop.id, receipt).events
    assert event.event.test


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"leaf:data.number": ""}, "Say which value is the number"),
        (
            {"leaf:data.users[type=customer].email": ""},
            "Say which value is the customer's e-mail address or phone number",
        ),
        ({"leaf:data.note": "id"}, "Two values are said to be number of the ticket"),
        ({"meaning": "chat.ended", "leaf:data.note": "tags"}, "there is no place for: tags."),
    ],
)
def test_what_is_missing_or_too_much_is_told_and_what_was_said_is_kept(installation, shop, admin, said, told):
    page = say(admin, capture(installation, shop)["receipt"], **said)

    assert page.status_code == 422
    assert told in words(page)
    assert 'value="language" selected' in page.text


@pytest.mark.parametrize("said", [{"meaning": "nothing"}, {"leaf:data.note": "nothing"}])
def test_what_the_form_does_not_offer_is_refused(installation, shop, admin, said):
    assert say(admin, capture(installation, shop)["receipt"], **said).status_code == 400


def test_a_message_that_is_not_there_is_told(installation, shop, admin):
    capture(installation, shop)
    assert say(admin, "nosuch").status_code == 404


def test_where_nothing_says_what_happened_every_message_counts(installation, shop, admin):
    difference = say(admin, capture(installation, shop)["receipt"], **{"leaf:data.status": "", "meaning": "chat.ended"})

    assert difference.status_code == 200, words(difference)
    assert "text:every message" in html.unescape(difference.text)
    assert "every message: chat.ended" in html.unescape(difference.text)
    assert "chat.visitor.email: data.users[type=customer].email" in html.unescape(difference.text)


def test_somebody_elses_saving_is_not_undone(installation, shop, admin):
    receipt = capture(installation, shop)["receipt"]
    base = re.search(r'name="base" value="(\d+)"', admin.get(PAGE).text)[1]
    installation.apply(CONFIGURATION.replace("connections:", SHOP, 1).replace("name: Acme", "name: Acme Ltd"))

    answer = admin.post(PAGE, {"receipt": receipt, "base": base, **SAID}, page=PAGE)

    assert answer.status_code == 409
    assert "Somebody else has saved" in words(answer)


def test_before_anything_came_the_page_says_what_to_do(installation, shop, admin):
    assert "Let the other side call the address once" in words(admin.get(PAGE))
    assert "Set the source to state capture" in words(admin.get("/settings/sources/desk/capture"))


def test_headers_and_values_of_the_query_can_be_chosen(installation, shop, admin):
    key = installation.keys(shop, "shop")[0]
    installation.app.test_client().post(
        f"/triggers/{key}?desk=second&a|b=1",
        data=b"<m><n>1</n></m>",
        headers={"Authorization": "Bearer shop-token", "X-Shop-Event": "closed", "X-Forwarded-For": "203.0.113.1"},
    )

    assert set(paths(admin.get(PAGE))) == {"m.n", "query:desk", "header:x-shop-event"}


def test_only_what_may_be_of_any_shape_is_captured(installation, acme):
    text = CONFIGURATION.replace(
        "connections:", SHOP.replace("generic", "sendios").replace("bearer: shop-token", "url_only: true"), 1
    )
    with pytest.raises(TenantFileInvalid, match="nothing is captured of it"):
        installation.apply(text)
