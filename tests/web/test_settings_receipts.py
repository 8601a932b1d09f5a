"""Finding receipts, reading one, and what can be done with its deliveries."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from plugin.store import connections, errands, receipts
from plugin.store.claims import claim
from plugin.store.erasure import empty_receipts
from plugin.store.errands import FOLLOW_UP, NewErrand
from plugin.store.tables import attempts, events, reports
from plugin.web.settings_receipts import PAGE_LENGTH, indent_json
from tests.web.installation import CONFIGURATION, words

LIST = "/settings/receipts"
LUCJA = "lucja.nowak@example.com"


def receipt_page(visitor, receipt_id):
    page = visitor.get(f"{LIST}/{receipt_id}")
    assert page.status_code == 200
    return page


def row_count(page):
    return page.text.count('<th scope="row"')


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_shows_each_receipt_with_what_was_decided(installation, acme, admin):
    installation.close_ticket(acme, "77")
    installation.clock.advance(seconds=1)
    installation.close_ticket(acme, "78", tags=["no_survey"])
    installation.close_ticket(acme, "79", email="")
    installation.send(acme, "desk", b"{")

    page = words(admin.get(LIST))

    assert "desk Ticket closed ticket:77 asked not asked scheduled" in page
    assert "desk Ticket closed ticket:78 not asked ×2 –" in page
    assert "desk Ticket closed ticket:79 not asked problem –" in page
    assert "desk unreadable – – –" in page
    assert page.index("ticket:79") < page.index("ticket:77")


@pytest.mark.parametrize("search", ["78", "ticket:78", "  78 ", "event-78", "REFERENCE", "DELIVERY", "RECEIPT"])
def test_receipts_are_found_by_any_id_that_somebody_can_know(installation, acme, admin, search):
    installation.close_ticket(acme, "7")
    answer = installation.send(
        acme,
        "desk",
        {"event": {"kind": "ticket.closed", "id": "event-78"}, "ticket": {"id": "78", "requester": {"email": LUCJA}}},
    )
    wanted = answer.get_json()["receipt"]
    delivery = installation.delivery(acme, wanted)
    known = {"REFERENCE": delivery.reference, "DELIVERY": delivery.id, "RECEIPT": wanted}

    page = admin.client.get(LIST, query_string={"search": known.get(search, search)})

    assert row_count(page) == 1
    assert f"{LIST}/{wanted}" in page.text


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("", {"1", "2", "3"}),
        ("scheduled", {"1"}),
        ("cancelled", set()),
        ("problem", {"3"}),
        ("nothing sent", {"2", "3"}),
        ("no such state", {"1", "2", "3"}),
    ],
)
def test_receipts_are_narrowed_by_state(installation, acme, admin, state, found):
    installation.close_ticket(acme, "1")
    installation.close_ticket(acme, "2", tags="no_survey")
    installation.close_ticket(acme, "3", email="")

    page = admin.client.get(LIST, query_string={"state": state})

    assert set(re.findall(r"ticket:(\d)", words(page))) == found


def test_what_waits_for_a_paused_connection_is_found_as_parked(installation, acme, admin):
    installation.close_ticket(acme, "1")
    assert row_count(admin.client.get(LIST, query_string={"state": "parked"})) == 0

    admin.post("/settings/connections/lab/pause")

    page = admin.client.get(LIST, query_string={"state": "parked"})
    assert row_count(page) == 1
    assert 'class="badge parked"' in page.text


def test_a_search_for_an_address_is_not_made_and_not_repeated(installation, acme, admin):
    for number in range(PAGE_LENGTH + 1):
        installation.close_ticket(acme, str(number))

    page = admin.client.get(LIST, query_string={"search": LUCJA})

    assert "Receipts are found by ids, not by e-mail address." in words(page)
    assert "lucja" not in page.text
    assert row_count(page) == PAGE_LENGTH


def test_older_receipts_are_a_page_away_and_the_search_goes_along(installation, acme, admin):
    for number in range(PAGE_LENGTH + 2):
        installation.close_ticket(acme, str(number))
    first = admin.client.get(LIST, query_string={"state": "scheduled"})
    older = re.search(r'href="([^"]+)">Older<', first.text)[1].replace("&amp;", "&")

    second = admin.get(older)

    assert row_count(first) == PAGE_LENGTH
    assert row_count(second) == 2
    assert "state=scheduled" in older
    assert ">Older<" not in second.text
    assert ">Newest<" in second.text


def test_an_empty_list_says_what_to_do(installation, acme, admin):
    assert "Nothing has come in yet." in words(admin.get(LIST))
    page = admin.client.get(LIST, query_string={"search": "nothing"})
    assert "No receipt fits. Search for the whole number or id" in words(page)


# --- one receipt ------------------------------------------------------------------------------------------------------


def test_a_receipt_shows_what_came_in_and_what_each_rule_decided(installation, acme, admin):
    page = words(receipt_page(admin, installation.close_ticket(acme, subject="ignored", tags="a b")))

    assert "Ticket closed: ticket:35436" in page
    assert "Rule solved asked The rule applies, so the survey call is made." in page
    assert "after a chat : The rule does not act on this kind of event." in page
    assert "ticket.requester.email lucja.nowak@example.com" in page
    assert "ticket.tags a, b" in page
    assert "desk (Any other system)" in page
    assert "Came again never" in page
    assert '"email": "lucja.nowak@example.com"' in page
    assert "application/json" in page


def test_a_receipt_shows_the_call_before_it_is_made(installation, acme, admin):
    receipt_id = installation.close_ticket(acme)

    page = words(receipt_page(admin, receipt_id))

    assert "The call that will be made" in page
    assert "email lucja.nowak@example.com" in page
    assert f"crk {installation.delivery(acme, receipt_id).reference}" in page
    assert "It waits for its turn." in page
    assert "Not sent after" in page


def test_a_receipt_shows_when_a_person_will_be_asked(installation, acme, admin):
    installation.apply(CONFIGURATION.replace("- name: solved", "- name: solved\n  ask: {delay_minutes: 90}"))
    receipt = installation.close_ticket(acme)

    page = words(admin.get(f"/settings/receipts/{receipt}"))

    due = (installation.clock() + timedelta(minutes=90)).astimezone(ZoneInfo("Europe/Warsaw"))
    assert f"Will be asked at {due.day} {due:%b %Y, %H:%M:%S} Not sent after" in page


def test_a_repeated_message_is_counted(installation, acme, admin):
    receipt_id = installation.close_ticket(acme)
    installation.close_ticket(acme)

    assert "Came again once" in words(receipt_page(admin, receipt_id))


def test_a_problem_is_told_with_its_cause(installation, acme, admin):
    page = words(receipt_page(admin, installation.close_ticket(acme, email="{{ticket.requester.email}}")))

    assert "problem The sender did not fill in one of its own placeholders." in page
    assert "The sender did not fill in: person.email , ticket.requester.email ." in page


def test_a_source_in_test_shows_what_would_have_been_sent(installation, acme, admin):
    page = words(receipt_page(admin, installation.close_ticket(acme, source="trial")))

    assert "this is what would have been sent, and no vendor was called" in page
    assert "What would have been sent: Add a respondent to a collector → lab" in page
    assert "email lucja.nowak@example.com" in page


def test_an_unreadable_message_is_shown_with_the_position_of_its_mistake(installation, acme, admin):
    answer = installation.send(acme, "desk", b'{"ticket": <script>alert(1)</script>}')
    assert answer.status_code == 400

    page = receipt_page(admin, answer.get_json()["receipt"])

    assert "The message could not be read." in words(page)
    assert re.search(r"line 1", words(page))
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in page.text


def test_texts_of_strangers_are_shown_as_text(installation, acme, admin):
    page = receipt_page(admin, installation.close_ticket(acme, title="<img src=x onerror=alert(1)>", number="<b>9"))

    assert "<img" not in page.text
    assert "<b>9" not in page.text
    assert "&lt;img src=x" in page.text


def test_a_receipt_without_its_message_says_so(installation, acme, admin):
    receipt_id = installation.close_ticket(acme)
    with installation.parts.database.write() as db:
        removed_at = installation.clock() + timedelta(days=90)
        empty_receipts(db, [receipt_id], removed_at, "retention")

    page = words(receipt_page(admin, receipt_id))

    assert page.count("Message and personal values were removed after 90 days.") == 2


def test_a_receipt_that_does_not_exist_is_not_found(admin):
    page = admin.get(f"{LIST}/01ARZ3NDEKTSV4RRFFQ69G5FAV")

    assert page.status_code == 404
    assert "There is no such receipt." in words(page)


def test_a_viewer_reads_a_receipt_without_any_address(delivering):
    tenant = delivering.apply(CONFIGURATION)
    receipt_id = delivering.close_ticket(
        tenant,
        f"ask-{LUCJA}",
        assignee={"email": "jan@acme.example"},
        custom={f"of {LUCJA}": f'"lucja nowak"@example.com and {LUCJA}'},
    )
    delivering.deliver()
    visitor = delivering.visitor(delivering.add_link(tenant, "viewer"))

    for page in (receipt_page(visitor, receipt_id), visitor.get(LIST)):
        assert "lucja" not in page.text.lower()
        assert "jan@" not in page.text
        assert "•••@example.com" in page.text
        assert "Send once more" not in page.text


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe" + '{"email": "lucja@example.com"}'.encode("utf-16-le"),
        b'"\x00l\x00u\x00c\x00j\x00a\x00@\x00b\x00.\x00e\x00u\x00"',
    ],
)
def test_a_viewer_sees_nothing_of_a_message_that_is_no_text(installation, acme, viewer, admin, body):
    receipt_id = installation.send(acme, "desk", body).get_json()["receipt"]

    assert "(not shown: this is no text)" in words(receipt_page(viewer, receipt_id))
    assert "(not shown" not in words(receipt_page(admin, receipt_id))


# --- deliveries -------------------------------------------------------------------------------------------------------


def test_a_settled_delivery_shows_the_exact_call_and_the_vendors_words(delivering):
    tenant = delivering.apply(CONFIGURATION)
    receipt_id = delivering.close_ticket(tenant, email="ľudmila+x&y@example.com")
    delivering.deliver()
    visitor = delivering.visitor(delivering.add_link(tenant))

    page = receipt_page(visitor, receipt_id)

    said = words(page)
    assert f"GET {delivering.vendor}/api.php?apiToken=•••" in said
    assert "email ľudmila+x&y@example.com" in said
    assert "apiToken •••" in said
    assert "lab-token" not in page.text
    assert "accepted · HTTP 200" in said
    assert "The vendor confirmed the call. SurveyLab mails the person by itself, but only while" in said
    assert "SurveyLab: Action process correctly" in said


@pytest.mark.parametrize(
    ("email", "state", "sentence"),
    [
        ("failed@example.com", "rejected", "It was refused; no invitation was sent."),
        ("busy@example.com", "scheduled", "The vendor asks to slow down; the call is made again later."),
        ("broken@example.com", "uncertain", "It may or may not have been sent."),
    ],
)
def test_each_state_is_told_in_a_sentence(delivering, email, state, sentence):
    tenant = delivering.apply(CONFIGURATION)
    receipt_id = delivering.close_ticket(tenant, email=email)
    delivering.deliver()
    assert delivering.delivery(tenant, receipt_id).state == state

    page = words(receipt_page(delivering.visitor(delivering.add_link(tenant)), receipt_id))

    assert f"Delivery {state} " in page
    assert sentence in page


def test_an_uncertain_delivery_shows_what_is_known_of_its_call(delivering):
    tenant = delivering.apply(CONFIGURATION)
    receipt_id = delivering.close_ticket(tenant, email="gateway@example.com")
    delivering.deliver()

    page = words(receipt_page(delivering.visitor(delivering.add_link(tenant)), receipt_id))

    assert re.search(
        r"What is known of the call of .{15,30} The whole request was sent \(\d+ bytes\), and HTTP 502 came back", page
    )
    assert f"GET {delivering.vendor}/api.php?apiToken=•••" in page


def test_a_call_that_was_lost_with_its_worker_is_told_as_one_that_may_have_been_made(installation, acme, admin):
    receipt_id = installation.close_ticket(acme)
    with installation.parts.database.write() as db:
        assert len(claim(db, worker="one", now=installation.clock(), free=1, free_for_hanging=0)) == 1
    installation.clock.advance(minutes=2)
    installation.deliver()

    page = words(receipt_page(admin, receipt_id))

    assert "Delivery uncertain" in page
    assert "Its worker fell silent during the call" in page
    assert "The call that may have been made" in page


def test_a_parked_delivery_shows_the_pause(installation, acme, admin):
    receipt_id = installation.close_ticket(acme)
    now = installation.clock()
    with installation.parts.database.write() as db:
        lab = connections.connection_by_name(db, acme.id, "lab")
        connections.pause_connection(
            db, acme.id, lab.id, reason="quota", words="Limit reached", now=now, probe_at=now + timedelta(minutes=5)
        )

    page = words(receipt_page(admin, receipt_id))

    assert "It waits, because its connection is paused." in page
    assert re.search(r"Paused since .* used up; the connection is paused\. Limit reached One delivery is tried", page)
    assert "One delivery is tried" in words(admin.get("/settings/"))
    assert "At most 8 at a time" in words(admin.get("/settings/"))


def test_a_call_under_way_and_a_late_answer_are_told(installation, acme, admin):
    receipt_id = installation.close_ticket(acme)
    with installation.parts.database.write() as db:
        assert len(claim(db, worker="one", now=installation.clock(), free=1, free_for_hanging=0)) == 1
    page = words(receipt_page(admin, receipt_id))
    assert "It is on its way right now." in page
    assert "· on its way" in page

    with installation.parts.database.write() as db:
        db.execute(update(attempts).values(outcome="accepted", reason="done", words="Done", late=True))

    assert "so it changed nothing" in words(receipt_page(admin, receipt_id))


def test_the_page_says_what_is_still_asked_about_a_delivery(installation, acme, admin):
    receipt_id = installation.close_ticket(acme)
    delivery = installation.delivery(acme, receipt_id)
    now = installation.clock()
    asked = NewErrand("1", acme.id, FOLLOW_UP, "lane", delivery.id, None, "status", None, now, now + timedelta(days=2))
    with installation.parts.database.write() as db:
        errands.add(db, [asked])
        db.execute(update(errands.errands).values(words="<Waiting>"))

    page = receipt_page(admin, receipt_id)
    assert "The vendor is asked what became of it at" in words(page)
    assert "The last answer: “&lt;Waiting&gt;”" in page.text

    with installation.parts.database.write() as db:
        db.execute(update(errands.errands).values(leased_until=now))

    assert "The vendor is asked what became of it now" in words(receipt_page(admin, receipt_id))


def test_what_was_learnt_later_is_shown(installation, acme, admin):
    receipt_id = installation.close_ticket(acme)
    with installation.parts.database.write() as db:
        db.execute(
            reports.insert().values(
                id="1",
                tenant_id=acme.id,
                delivery_id=installation.delivery(acme, receipt_id).id,
                kind="sms.lost",
                happened_at=installation.clock(),
                received_at=installation.clock(),
                words="No such <number>",
            )
        )

    assert "Learnt later" in words(receipt_page(admin, receipt_id))
    assert "No such &lt;number&gt;" in receipt_page(admin, receipt_id).text


def test_a_report_and_its_delivery_lead_to_each_other(installation, acme, admin):
    first, told = installation.close_ticket(acme), installation.close_ticket(acme, number="36")
    delivery = installation.delivery(acme, first)
    now = installation.clock()
    with installation.parts.database.write() as db:
        event_id = db.execute(select(events.c.id).where(events.c.trigger_id == told)).scalar_one()
        row = {"id": "1", "tenant_id": acme.id, "kind": "sms.lost", "happened_at": now, "received_at": now, "words": ""}
        db.execute(reports.insert().values(**row, delivery_id=delivery.id, event_id=event_id))
        db.execute(
            update(events).where(events.c.id == event_id).values(parent_delivery_id=delivery.id, kind="sms.lost")
        )

    parent, child = receipt_page(admin, first), receipt_page(admin, told)

    assert "Learnt later: SMS lost" in words(parent)
    assert f"/settings/receipts/{told}" in parent.text
    assert "It belongs to a delivery" in words(child)
    assert f"/settings/receipts/{first}#delivery-{delivery.id}" in child.text


def test_a_scheduled_delivery_can_be_cancelled_once(installation, acme, admin):
    receipt_id = installation.close_ticket(acme)
    delivery = installation.delivery(acme, receipt_id)
    path = f"/settings/deliveries/{delivery.id}/cancel"
    assert path in receipt_page(admin, receipt_id).text

    answer = admin.post(path)

    assert answer.location == f"{LIST}/{receipt_id}#delivery-{delivery.id}"
    page = receipt_page(admin, receipt_id)
    assert "The delivery is cancelled." in words(page)
    assert "The call that was not made" in words(page)
    assert path not in page.text
    again = admin.post(path)
    assert again.status_code == 409
    assert "This delivery is cancelled by now" in words(again)


def test_a_delivery_that_sent_nothing_is_made_once_more_at_once(installation, acme, admin):
    receipt_id = installation.close_ticket(acme)
    delivery = installation.delivery(acme, receipt_id)
    admin.post(f"/settings/deliveries/{delivery.id}/cancel")
    assert f'action="/settings/deliveries/{delivery.id}/replay"' in receipt_page(admin, receipt_id).text

    answer = admin.post(f"/settings/deliveries/{delivery.id}/replay")

    assert answer.status_code == 303
    page = receipt_page(admin, receipt_id)
    assert "Delivery, once more scheduled" in words(page)
    assert "Sent once more as" in words(page)


def test_a_second_click_makes_no_second_delivery(installation, acme, admin):
    delivery = installation.delivery(acme, installation.close_ticket(acme))
    admin.post(f"/settings/deliveries/{delivery.id}/cancel")
    admin.post(f"/settings/deliveries/{delivery.id}/replay")

    answer = admin.post(f"/settings/deliveries/{delivery.id}/replay")

    assert answer.status_code == 409
    with installation.parts.database.read() as db:
        assert len(receipts.deliveries_of_tenant(db, acme.id)) == 2


def test_a_delivery_that_may_have_arrived_is_made_once_more_only_after_a_warning(delivering):
    tenant = delivering.apply(CONFIGURATION)
    receipt_id = delivering.close_ticket(tenant)
    delivering.deliver()
    visitor = delivering.visitor(delivering.add_link(tenant))
    path = f"/settings/deliveries/{delivering.delivery(tenant, receipt_id).id}/replay"
    assert f'href="{path}"' in receipt_page(visitor, receipt_id).text
    assert visitor.post(path).status_code == 409

    warned = visitor.get(path)
    assert "The person may get a second invitation." in words(warned)
    assert visitor.post(path, {"again": "yes"}).status_code == 303

    with delivering.parts.database.read() as db:
        states = {one.state: one.replay_of for one in receipts.deliveries_of_tenant(db, tenant.id)}
    assert states == {"accepted": None, "scheduled": path.split("/")[3]}


def test_a_viewer_is_not_asked_to_send_once_more(installation, acme, viewer):
    delivery = installation.delivery(acme, installation.close_ticket(acme))

    assert viewer.get(f"/settings/deliveries/{delivery.id}/replay").status_code == 403


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": [1, 2.50, "x]},:\\""], "e": {}, "f": []}, "a": null}',
        "[]",
        "[[], [1]]",
        '{"big": 900719925474099312345, "e": 1E5}',
    ],
)
def test_indented_json_holds_every_token_as_it_was_sent(text):
    indented = indent_json(text)

    assert re.sub(r"\s", "", indented) == re.sub(r"\s", "", text)
    assert json.loads(indented) == json.loads(text)


def test_each_member_stands_on_its_own_line():
    assert indent_json('{"a":[1,{}],"b":2}') == '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": 2\n}'


@pytest.mark.parametrize("text", ["", "a=b", '"text"', "{", "[" * 100_000])
def test_what_is_no_json_is_not_indented(text):
    assert indent_json(text) is None
