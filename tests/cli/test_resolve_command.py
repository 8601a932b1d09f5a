"""deliveries resolve: what people decide about uncertain deliveries."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from plugin.store.opening import open_database
from plugin.store.tables import deliveries
from tests.cli.commands import Commands


@pytest.fixture
def uncertain(acme: Commands) -> list[dict[str, object]]:
    """Two deliveries that nobody knows the end of, the older one first."""
    made = [acme.close_ticket(), acme.close_ticket("ticket_closed_big_id")]
    database = open_database("sqlite:///var/survey-plugin.db")
    with database.write() as db:
        db.execute(update(deliveries).values(state="uncertain", settled_at=datetime.now(UTC)))
    database.close()
    return made


def states(acme: Commands) -> list[str]:
    """The oldest first."""
    return [one["state"] for one in acme.deliveries()][::-1]


def test_a_tenants_name_alone_lists_its_deliveries_as_the_named_command_does(acme, uncertain):
    assert acme.run("deliveries", "acme").stdout == acme.run("deliveries", "list", "acme").stdout
    assert acme.run("deliveries", "--json", "acme").stdout == acme.run("deliveries", "acme", "--json").stdout


def test_deliveries_are_decided_by_id_or_reference(acme, uncertain):
    first, second = uncertain

    told = acme.run("deliveries", "resolve", first["id"], second["reference"], "--sent")

    assert told.stdout == f"{first['id']}: accepted.\n{second['reference']}: accepted.\n"
    assert states(acme) == ["accepted", "accepted"]


@pytest.mark.parametrize(
    ("flag", "state", "sentence"),
    [
        ("--sent", "accepted", "It was sent."),
        ("--not-sent", "scheduled", "Nothing was sent; make the call again."),
        ("--cancel", "cancelled", "Leave it; nothing more is to be sent."),
    ],
)
def test_the_receipt_tells_who_decided(acme, uncertain, flag, state, sentence):
    acme.run("deliveries", "resolve", uncertain[0]["id"], flag, "--by", "Jan")

    told = acme.run("receipt", uncertain[0]["id"]).stdout
    kept = json.loads(acme.run("receipt", uncertain[0]["id"], "--json").stdout)

    assert f" by Jan: {sentence}" in told
    assert states(acme) == [state, "uncertain"]
    [resolution] = kept["events"][0]["deliveries"][0]["resolutions"]
    assert (resolution["resolution"], resolution["decided_by"]) == (flag[2:].replace("-", "_"), "Jan")


def test_cancelling_an_uncertain_one_is_a_decision_too(acme, uncertain):
    acme.run("cancel", uncertain[0]["id"])

    assert " by command: Leave it" in acme.run("receipt", uncertain[0]["id"]).stdout


def test_one_that_is_not_uncertain_is_told_and_does_not_keep_the_others(acme, uncertain):
    first, second = uncertain
    acme.run("deliveries", "resolve", first["id"], "--cancel")

    told = acme.run("deliveries", "resolve", first["id"], "nothing", second["id"], "--sent", code=1)

    assert told.stderr.splitlines() == [
        f"{first['id']}: it is cancelled, and only an uncertain delivery can be resolved.",
        "nothing: there is no such delivery.",
    ]
    assert states(acme) == ["cancelled", "accepted"]


def test_all_of_a_tenant_are_decided_after_a_question(acme, uncertain):
    chosen = ("deliveries", "resolve", "--tenant", "acme", "--state", "uncertain", "--connection", "lab", "--not-sent")

    declined = acme.run(*chosen, text="n\n", code=1)
    assert "2 deliveries will be scheduled again. Go on?" in declined.stdout
    assert states(acme) == ["uncertain", "uncertain"]

    assert acme.run(*chosen, "--yes").stdout == "2 deliveries: scheduled again.\n"
    assert states(acme) == ["scheduled", "scheduled"]
    assert "There are no such uncertain deliveries." in acme.run(*chosen).stderr


def test_a_time_range_and_a_connection_narrow_them_down(acme, uncertain):
    chosen = ("deliveries", "resolve", "--tenant", "acme", "--sent", "--yes")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()

    for narrowed in (["--since", tomorrow], ["--until", "2026-01-01T12:00+01:00"], ["--connection", "other"]):
        assert "There are no such" in acme.run(*chosen, *narrowed).stderr
    assert acme.run(*chosen, "--since", "2026-01-01", "--until", tomorrow).stdout == "2 deliveries: accepted.\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["01J"], "one of --sent, --not-sent and --cancel"),
        (["01J", "--sent", "--cancel"], "one of --sent, --not-sent and --cancel"),
        (["--sent"], "one of the two"),
        (["01J", "--sent", "--tenant", "acme"], "one of the two"),
        (["01J", "--sent", "--connection", "lab"], "narrow --tenant down"),
        (["--tenant", "acme", "--sent", "--since", "yesterday"], "yesterday is no time; write 2026-11-01"),
        (["--tenant", "acme", "--sent", "--state", "rejected"], "rejected"),
    ],
)
def test_wrong_use_is_told(commands: Commands, words, complaint):
    assert complaint in commands.run("deliveries", "resolve", *words, code=2).stderr
