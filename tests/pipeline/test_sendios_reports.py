"""An SMS goes out by Sendios, and what it reports afterwards lands on the receipt and moves other rules."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from plugin.domain.event import EventKind
from plugin.store.receipts import DeliveryRecord
from plugin.triggers import sendios
from tests.acme import Acme

PAGE = (Path(__file__).parents[2] / "docs/vendors/sendios.md").read_text("utf-8")
#: The rules that the vendor's page shows: a link of one's own, one that another call makes, and what follows.
OWN_LINK, MADE_LINK, FOLLOWING = re.findall(r"```yaml\nrules:\n(.*?)```", PAGE, re.DOTALL)

TENANT = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
  - {{name: desk, kind: zendesk, credentials: {{signing_secret: zendesk-secret}}}}
  - {{name: phones, kind: sendios, credentials: {{url_only: true, match_by: {match_by}}}}}
connections:
  - {{name: sms, vendor: sendios, settings: {{origin: $sandbox, client_id: "123", api_key: a-key}}}}
  - name: web
    vendor: startquestion
    settings: {{brand: webankieta, origin: $sandbox, id_account: "171257", webhook_key: MjU3, webhook_auth: 3a123}}
rules:
"""
PERSON = {"email": "lucja@example.com", "phone": "+48 22 123 45 67", "first_name": "Łucja", "external_id": "12345"}


def configure(acme: Acme, *rules: str, match_by: str = "reference") -> None:
    acme.apply(TENANT.format(match_by=match_by) + "".join(rules))


def close_ticket(acme: Acme, ticket: str = "35") -> None:
    acme.close(ticket, requester=PERSON)
    acme.work()


def told(event: str, of: str, **more: Any) -> dict[str, Any]:
    """A report as Sendios documents it."""
    common = {
        "project_id": 99,
        "category_id": 1,
        "template_id": 15,
        "sms_id": 88123,
        "ts": 1793880000,
        "omnichannel": 1,
    }
    return {"event": event, "client_user_id": of, **common, "channel": "sms", **more}


def report(acme: Acme, *reports: Mapping[str, Any]) -> list[tuple[str, list[tuple[str | None, str, str]]]]:
    """Reports come in and are worked off; gives what each rule decided about each."""
    accepted = acme.send({str(number): one for number, one in enumerate(reports)}, source="phones")
    acme.work()
    return [
        (record.event.kind, [(one.rule, one.decision, one.cause) for one in record.verdicts])
        for record in acme.receipt(accepted).events
    ]


def asking(decided: list[tuple[str, list[tuple[str | None, str, str]]]]) -> list[str | None]:
    return [rule for _, verdicts in decided for rule, decision, _ in verdicts if decision == "ask"]


def called(acme: Acme) -> list[str]:
    """The last part of each address that was called, in order."""
    return [call.path[-1] for call in acme.vendor.received]


def sms_of(acme: Acme) -> DeliveryRecord:
    [sms] = [delivery for delivery in acme.deliveries() if delivery.call == "send_sms"]
    return sms


@pytest.fixture
def invited(acme: Acme) -> Acme:
    """Somebody has been sent an SMS, and rules wait for what becomes of it."""
    configure(acme, OWN_LINK, FOLLOWING)
    close_ticket(acme)
    return acme


def test_the_sms_carries_its_link_and_the_reference_that_reports_will_name(invited):
    [call] = invited.vendor.received
    sms = sms_of(invited)
    assert (sms.state, sms.reason) == ("accepted", "done")
    assert json.loads(call.body) == {
        "phone": "+48221234567",
        "type_id": 15,
        "project_id": 99,
        "client_user_id": sms.reference,
        "data": {"link": "https://www.mysurveylab.com/pageTag/SurveyCampaign/cId/8379821739721/referrer/35"},
    }


def test_where_the_sms_is_lost_the_person_is_asked_by_e_mail_through_another_connection(invited):
    reference = sms_of(invited).reference
    decided = report(invited, told("sms_sent", reference), told("sms_lost", reference))

    assert [kind for kind, _ in decided] == ["sms.sent", "sms.lost"]
    assert asking(decided) == ["by-email-instead"]
    assert called(invited) == ["system", "send-invitation"]
    assert invited.vendor.asked[1]["email"] == "lucja@example.com"


def test_a_click_changes_a_label_of_the_respondent(invited):
    click = told("sms_click", sms_of(invited).reference, link="www.mysurveylab.com/pageTag/x")
    assert asking(report(invited, click)) == ["mark-as-opened"]
    assert called(invited) == ["system", "update-respondent"]
    assert invited.vendor.asked[1] == {"id_survey": "419349", "id_respondent": "12345", "l1": "opened by SMS"}


def test_a_report_as_the_documentation_prints_it_is_heard_too(invited):
    sound = json.dumps({"0": told("sms_lost", sms_of(invited).reference)}, indent=2)
    printed = sound.replace('"channel": "sms"', '"channel" : "sms') + "\n}"
    accepted = invited.send(printed.encode(), source="phones")
    invited.work()
    [record] = invited.receipt(accepted).events
    assert [one.decision for one in record.verdicts] == ["no", "ask", "no"]
    assert any("quotation marks" in note for note in record.event.notes)


def test_what_comes_late_moves_nothing_backwards(invited):
    reference = sms_of(invited).reference
    report(invited, told("sms_lost", reference))
    late = report(invited, told("sms_sent", reference))
    assert late == [("sms.sent", [(None, "no", "overtaken")])]
    assert called(invited) == ["system", "send-invitation"]
    sms = sms_of(invited)
    assert (sms.state, sms.standing) == ("accepted", [EventKind.SMS_LOST])
    assert sorted(one.kind for one in sms.reports) == ["sms.lost", "sms.sent"]


def test_a_report_that_is_sent_again_counts_once_however_it_is_written(invited):
    lost = told("sms_lost", sms_of(invited).reference)
    report(invited, lost)
    again = invited.send([{**lost, "sms_id": "88123", "ts": lost["ts"] + 60}], source="phones")
    invited.work()
    assert [event.duplicate for event in again.events] == [True]
    assert called(invited) == ["system", "send-invitation"]


def test_one_that_belongs_to_nobody_of_ours_is_kept_and_counted(invited):
    before = invited.counts()
    decided = report(invited, told("sms_lost", "991", category_id=2), told("sms_answered", "991"))
    assert decided[0] == ("sms.lost", [(None, "no", "unmatched")])
    assert decided[1][0] == EventKind.UNSUPPORTED
    assert asking(decided) == []
    after = invited.counts()
    assert (after["events"] - before["events"], after["reports"] - before["reports"]) == (2, 1)
    assert called(invited) == ["system"]


@pytest.mark.parametrize(
    ("match_by", "client_user_id", "named"),
    [
        ("person", "{{ person.phone }}", "+48 22 123 45 67"),
        ("person", "{{ person.email }}", "lucja@example.com"),
        ("tracked", "C-{{ ticket.requester.external_id }}", "C-12345"),
        ("tracked", "{{ ticket.requester.external_id }}", 12345),
    ],
)
def test_a_report_finds_the_newest_sms_by_what_the_source_s_settings_say(acme, match_by, client_user_id, named):
    own_id = OWN_LINK.rstrip() + f'\n      client_user_id: "{client_user_id}"\n'
    configure(acme, own_id, FOLLOWING, match_by=match_by)
    close_ticket(acme, "35")
    close_ticket(acme, "36")
    assert asking(report(acme, told("sms_lost", named))) == ["by-email-instead"]
    older, newest, _ = acme.deliveries()
    assert ([one.kind for one in newest.reports], older.reports) == (["sms.lost"], [])


def test_a_link_that_another_call_has_made_goes_by_sms(acme):
    configure(acme, MADE_LINK, FOLLOWING)
    close_ticket(acme)

    assert called(acme) == ["shorten-link", "system"]
    link, sms = acme.deliveries()
    assert (link.call, sms.call) == ("shorten_link", "send_sms")
    sent = json.loads(acme.vendor.received[1].body)
    assert sent["data"] == {"link": sent["data"]["link"], "value_1": "Łucja"}
    assert re.fullmatch(r"https?://\S+/l/\S+", sent["data"]["link"])
    assert (sent["phone"], sent["client_user_id"]) == ("+48221234567", sms.reference)

    # And the chain goes on: lost, and asked by e-mail instead.
    assert asking(report(acme, told("sms_lost", sms.reference))) == ["by-email-instead"]
    assert called(acme) == ["shorten-link", "system", "send-invitation"]


def test_a_message_of_many_reports_is_read_once_in_a_turn(invited, monkeypatch):
    invited.send([told("sms_sent", "nobody", sms_id=number) for number in range(20)], source="phones")
    read = []
    parse = sendios.parse
    monkeypatch.setattr(sendios, "parse", lambda request: read.append(request) or parse(request))
    decided = invited.parts.planner().turn()
    assert (len(decided), len(read)) == (20, 1)
