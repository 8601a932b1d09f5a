"""trigger, deliveries, receipt, replay, cancel."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.cli.commands import RECORDINGS, TENANT, Commands

ZENDESK = RECORDINGS / "zendesk"


def test_a_recorded_message_is_fed_in_and_its_receipt_shown(acme: Commands) -> None:
    told = acme.run("trigger", "acme", "desk", str(ZENDESK / "ticket_closed.json")).stdout

    assert told.startswith("Receipt ")
    assert "Ticket closed: ticket:35436, closing number 1" in told
    assert "csat: ask - The rule applies, so the survey call is made." in told
    assert "email = l•••@example.com" in told


def test_a_receipt_says_in_the_tenants_time_when_a_person_will_be_asked(commands: Commands) -> None:
    commands.apply(TENANT.replace("connection: lab\n", "connection: lab\n    ask: {delay_minutes: 30}\n"))
    tried = commands.run("trigger", "acme", "desk", str(ZENDESK / "ticket_closed.json"), "--dry-run").stdout
    assert "lab: add_respondent, 30 minutes after the event came in, and no more after 3 days" in tried
    delivery = commands.close_ticket()

    told = commands.run("receipt", delivery["id"]).stdout

    due = datetime.fromisoformat(delivery["due"]).astimezone(ZoneInfo("Europe/Warsaw"))
    assert f"will be asked at {due:%Y-%m-%d %H:%M:%S %Z}; not sent after " in told


def test_the_same_recording_again_is_told_as_a_repetition(acme: Commands) -> None:
    acme.close_ticket()

    told = acme.run("trigger", "acme", "desk", str(ZENDESK / "ticket_closed.json")).stdout

    assert "The same message came 1 more time." in told
    assert len(acme.deliveries()) == 1


def test_any_other_file_is_the_body_itself(acme: Commands) -> None:
    Path("body.json").write_text('{"ticket": {"id": "7", "requester": {"email": "ada@example.com"}}}', encoding="utf-8")

    told = acme.run("trigger", "acme", "crm", "body.json").stdout

    assert "Ticket closed: ticket:7, closing number 1" in told


@pytest.mark.parametrize(("kind", "source"), [("zendesk", "desk"), ("generic", "crm")])
def test_every_recording_can_be_tried_without_leaving_a_trace(acme: Commands, kind: str, source: str) -> None:
    for recording in sorted((RECORDINGS / kind).glob("*.json")):
        tried = acme.run("trigger", "acme", source, str(recording), "--dry-run", code=None)

        assert bool(tried.stdout) == (tried.exit_code == 0), recording
        assert bool(tried.stderr) == (tried.exit_code == 1), recording
        assert "lucja.nowak@" not in tried.output
    assert acme.deliveries() == []


def test_a_dry_run_shows_the_call_that_would_be_made(acme: Commands) -> None:
    told = acme.run("trigger", "acme", "desk", str(ZENDESK / "ticket_closed.json"), "--dry-run").stdout

    assert "csat: ask" in told
    assert "custom1 = 35436" in told


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_body_that_cannot_be_read_is_told_with_file_and_place(acme: Commands, options: list[str]) -> None:
    Path("torn.json").write_text('{"ticket": {"id": "7",\n "title": }}', encoding="utf-8")

    refused = acme.run("trigger", "acme", "desk", "torn.json", *options, code=1)

    assert refused.stderr.startswith("torn.json: The body is not readable as JSON at line 2, column ")
    assert ("It is kept as receipt" in refused.stderr) == (not options)


@pytest.mark.parametrize(
    ("recording", "complaint"),
    [
        ({"provenance": "x", "headers": []}, "headers must be an object"),
        ({"provenance": "x", "body": 1}, "body must be text"),
        ({"provenance": "x", "body_base64": "%"}, "body_base64 must be base64"),
    ],
)
def test_a_recording_with_a_fault_is_told_with_its_file(
    acme: Commands, recording: dict[str, object], complaint: str
) -> None:
    Path("recorded.json").write_text(json.dumps(recording), encoding="utf-8")

    refused = acme.run("trigger", "acme", "desk", "recorded.json", code=1)

    assert refused.stderr.startswith("recorded.json: ")
    assert complaint in refused.stderr


def test_a_handshake_leaves_nothing(acme: Commands) -> None:
    told = acme.run("trigger", "acme", "desk", str(ZENDESK / "ping_empty.json")).stdout

    assert told == "The message is a handshake: there is nothing to keep.\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("acme", "chat", __file__), "This tenant has no source named chat."),
        (("nobody", "desk", __file__), "There is no tenant named nobody"),
    ],
)
def test_a_message_for_nobody_is_refused(acme: Commands, arguments: tuple[str, ...], complaint: str) -> None:
    assert complaint in acme.run("trigger", *arguments, code=1).stderr


def test_a_delivery_is_one_object_a_line_with_the_documented_keys(acme: Commands) -> None:
    acme.close_ticket()
    acme.close_ticket("ticket_closed_big_id")

    newest, oldest = acme.deliveries()

    assert newest.keys() >= {
        "id", "state", "reason", "rule", "connection", "call", "reference", "receipt", "attempts", "due",
    }  # fmt: skip
    assert (oldest["state"], oldest["reason"], oldest["attempts"]) == ("scheduled", None, 0)
    assert (oldest["rule"], oldest["connection"], oldest["call"]) == ("csat", "lab", "add_respondent")
    assert datetime.fromisoformat(newest["due"]) >= datetime.fromisoformat(oldest["due"])
    assert acme.deliveries("--limit", "1") == [newest]


def test_deliveries_are_chosen_by_their_state(acme: Commands) -> None:
    acme.run("cancel", acme.close_ticket()["id"])
    waiting = acme.close_ticket("ticket_closed_big_id")

    assert [one["id"] for one in acme.deliveries("--state", "scheduled")] == [waiting["id"]]
    assert [one["state"] for one in acme.deliveries("--state", "cancelled")] == ["cancelled"]
    assert acme.deliveries("--state", "accepted") == []
    assert "parked" in acme.run("deliveries", "acme", "--state", "lost", code=2).stderr


def test_the_list_for_people_has_a_line_for_each_and_says_when_there_is_none(acme: Commands) -> None:
    assert acme.run("deliveries", "acme").stderr == "There are no such deliveries.\n"

    delivery = acme.close_ticket()

    [line] = acme.run("deliveries", "acme").stdout.splitlines()
    assert line.split() == [delivery["id"], "scheduled", "-", "csat", "lab"]


@pytest.mark.parametrize("by", ["receipt", "id", "reference"])
def test_a_receipt_is_found_by_its_id_a_delivery_or_a_reference(acme: Commands, by: str) -> None:
    delivery = acme.close_ticket()

    told = acme.run("receipt", delivery[by]).stdout
    kept = json.loads(acme.run("receipt", delivery[by], "--json").stdout)

    assert told.startswith(f"Receipt {delivery['receipt']}\n")
    assert kept["id"] == delivery["receipt"]
    assert datetime.fromisoformat(kept["received_at"]).tzinfo is not None
    assert "T" in kept["received_at"]


def test_a_receipt_that_does_not_exist_is_a_sentence(acme: Commands) -> None:
    assert "no receipt, delivery or reference nothing" in acme.run("receipt", "nothing", code=1).stderr


def test_cancelling_goes_on_after_one_that_fails_and_ends_with_1(acme: Commands) -> None:
    first, second = acme.close_ticket(), acme.close_ticket("ticket_closed_big_id")

    told = acme.run("cancel", first["id"], "nothing", second["id"], code=1)

    assert told.stdout == f"{first['id']}: cancelled.\n{second['id']}: cancelled.\n"
    assert told.stderr == "nothing: there is no such delivery.\n"
    assert "cannot be cancelled any more" in acme.run("cancel", first["id"], code=1).stderr


def test_a_replay_is_a_new_delivery_that_names_the_old_one(acme: Commands) -> None:
    old = acme.close_ticket()
    refused = acme.run("replay", old["id"], code=1)
    acme.run("cancel", old["id"])

    acme.run("replay", old["id"])

    [new] = acme.deliveries("--state", "scheduled")
    assert "still to be sent" in refused.stderr
    assert new["replay_of"] == old["id"]
    assert (new["receipt"], new["reference"] != old["reference"]) == (old["receipt"], True)


@pytest.mark.parametrize("command", ["replay", "cancel"])
def test_a_command_without_an_id_is_wrong_use(commands: Commands, command: str) -> None:
    assert "Missing argument" in commands.run(command, code=2).stderr


def test_a_message_for_a_source_in_state_test_calls_no_vendor(commands: Commands) -> None:
    commands.apply(TENANT.replace("kind: zendesk,", "kind: zendesk, state: test,"))

    told = commands.run("trigger", "acme", "desk", str(ZENDESK / "ticket_closed.json")).stdout

    assert "custom1 = 35436" in told
    assert commands.deliveries() == []
