"""replay in bulk: choosing, dry run, progress, stopping, resuming."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.commands import TENANT, Commands

FAST = ("--per-minute", "6000")
WRONG = TENANT.replace('"{{ person.email }}"', '"{{ person.phone }}"')


@pytest.fixture
def cancelled(acme: Commands) -> list[str]:
    """Two cancelled deliveries, the older one first."""
    ids = [str(acme.close_ticket(name)["id"]) for name in ("ticket_closed", "ticket_closed_big_id")]
    acme.run("cancel", *ids)
    return ids


def replay_id(told: str) -> str:
    return re.search(r"^Replay (\w{26})\.$", told, re.MULTILINE)[1]


def test_a_tenants_deliveries_are_made_once_more(acme, cancelled):
    told = acme.run("replay", "--tenant", "acme", "--state", "cancelled", "--rule", "csat", *FAST).stdout

    assert [one["replay_of"] for one in acme.deliveries("--state", "scheduled")][::-1] == cancelled
    assert told.splitlines()[1:] == [
        "Chosen 2, made 0, refused 0, waiting 2.",
        "At 6000 a minute this takes up to 0 seconds.",
        "Done: 2 new deliveries, refused 0.",
    ]


def test_what_was_refused_is_summed_up_and_listed(acme, cancelled):
    acme.run("replay", cancelled[0])

    told = acme.run("replay", "--tenant", "acme", "--state", "cancelled", *FAST).stdout
    listed = acme.run("replay", "show", replay_id(told)).stdout.splitlines()
    objects = [json.loads(one) for one in acme.run("replay", "show", replay_id(told), "--json").stdout.splitlines()]

    assert "Done: 1 new delivery, refused 1.\n  1  It was replayed already.\n" in told
    assert listed[0].startswith(f"{cancelled[0]}  csat  refused  It was replayed already. The new delivery is ")
    assert listed[1].split()[:3] == [cancelled[1], "csat", "made"]
    assert [(one["delivery"], one["state"], one["refusal"]) for one in objects] == [
        (cancelled[0], "refused", "replayed"),
        (cancelled[1], "made", None),
    ]


def test_a_dry_run_tells_what_would_be_made_and_makes_nothing(acme, cancelled):
    acme.run("replay", cancelled[0])

    told = acme.run("replay", "--tenant", "acme", "--state", "cancelled", "--dry-run").stdout

    assert told.splitlines() == [
        "Would be made: 1 new delivery.",
        "  1  cancelled  csat  cancelled",
        "Would be refused: 1.",
        "  1  It was replayed already.",
        "Nothing was made: this was a dry run.",
    ]
    assert len(acme.deliveries()) == 3
    assert "no replays in bulk" in acme.run("replay", "list", "acme").stderr


def test_events_whose_mapping_was_wrong_are_planned_anew(acme: Commands):
    acme.apply(WRONG)
    message = {"ticket": {"id": "7", "requester": {"email": "ada@example.com"}}}
    Path("message.json").write_text(json.dumps(message), encoding="utf-8")
    acme.run("trigger", "acme", "crm", "message.json")
    assert acme.deliveries() == []
    acme.apply(TENANT)

    acme.run("replay", "--tenant", "acme", "--verdict", "problem", *FAST)

    [delivery] = acme.deliveries()
    told = acme.run("receipt", delivery["receipt"]).stdout
    assert "csat: problem - A value that the survey call needs is missing" in told
    assert "csat: ask - The rule applies, so the survey call is made. (planned again at " in told


def test_a_time_is_by_the_tenants_clock_unless_it_says_otherwise(acme, cancelled):
    """Acme is in Warsaw, an hour or two before UTC: there, the figures of a moment come up earlier."""
    soon = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M")
    chosen = ("replay", "--tenant", "acme", "--state", "cancelled", "--dry-run")

    def would_be_made(*times: str) -> str:
        return acme.run(*chosen, *times).stdout.splitlines()[0]

    assert would_be_made("--since", soon) == "Would be made: 2 new deliveries."
    assert would_be_made("--since", f"{soon}Z") == "Would be made: 0 new deliveries."
    assert would_be_made("--until", soon) == "Would be made: 0 new deliveries."
    assert would_be_made("--since", "2026-01-01", "--until", f"{soon}Z") == "Would be made: 2 new deliveries."


def test_each_of_several_ids_is_told_with_its_id(acme, cancelled):
    waiting = acme.run("replay", cancelled[0]).stdout.split()[-1].rstrip(".")

    told = acme.run("replay", waiting, "nothing", cancelled[1], code=1)

    assert told.stderr.splitlines() == [
        f"{waiting}: It is still to be sent, so there is nothing to replay. It is scheduled.",
        "nothing: there is no such delivery.",
    ]
    assert told.stdout.startswith(f"{cancelled[1]}: replayed as ")


def test_something_unknown_is_told(acme: Commands):
    chosen = ("replay", "--tenant", "acme", "--state", "rejected")

    assert "acme has no rule named cast." in acme.run(*chosen, "--rule", "cast", code=1).stderr
    assert "There is no replay 01X." in acme.run("replay", "resume", "01X", code=1).stderr
    assert "There is no replay 01X." in acme.run("replay", "show", "01X", code=1).stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "Missing argument"),
        (["--state", "rejected"], "Missing argument"),
        (["01J", "--tenant", "acme", "--state", "rejected"], "one of the two"),
        (["01J", "--state", "rejected"], "IDS name what they name"),
        (["--tenant", "acme"], "deliveries by --state, or events by --verdict"),
        (["--tenant", "acme", "--state", "rejected", "--verdict", "problem"], "one of the two"),
        (["--tenant", "acme", "--state", "rejected", "--cause", "missing"], "--cause goes with --verdict"),
        (["--tenant", "acme", "--verdict", "problem", "--reason", "refused"], "--reason goes with --state"),
        (["--tenant", "acme", "--verdict", "no"], "say for which --cause"),
        (["--tenant", "acme", "--verdict", "no", "--cause", "missing"], "No verdict `no` has the cause missing."),
        (["--tenant", "acme", "--state", "scheduled"], "scheduled"),
        (["--tenant", "acme", "--state", "rejected", "--per-minute", "0"], "per-minute"),
    ],
)
def test_wrong_use_is_told(commands: Commands, words, complaint):
    assert complaint in commands.run("replay", *words, code=2).stderr
