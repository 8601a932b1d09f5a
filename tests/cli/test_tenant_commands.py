"""apply, export, tenant, connection, forget."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from plugin import __version__
from plugin.app import open_parts, read_configuration
from tests.cli.commands import TENANT, Commands

DESK_URL = "http://127.0.0.1:8000/triggers/desk-0123456789abcdef"


def test_apply_creates_the_tenant_and_prints_the_address_of_each_source(commands: Commands) -> None:
    told = commands.apply().stdout.splitlines()

    assert "tenant acme: is created." in told
    assert f"desk\t{DESK_URL}" in told
    assert re.fullmatch(r"crm\thttp://127\.0\.0\.1:8000/triggers/[A-Za-z0-9_-]{16,128}", told[-1])


def test_apply_reads_a_file_and_says_when_there_is_nothing_to_change(commands: Commands) -> None:
    Path("acme.yaml").write_text(TENANT, encoding="utf-8")
    first = commands.run("apply", "acme.yaml").stdout

    again = commands.run("apply", "acme.yaml").stdout

    assert again.splitlines()[0] == "acme is as the file says already."
    assert again.splitlines()[1:] == first.splitlines()[-2:]


def test_a_dry_run_shows_the_changes_and_makes_none(acme: Commands) -> None:
    before = acme.run("export", "acme").stdout

    told = acme.apply(TENANT.replace("name: Acme", "name: Acme Ltd"), "--dry-run").stdout

    assert told.splitlines() == [
        "tenant: name changes from Acme to Acme Ltd.",
        "Nothing was changed: this was a dry run.",
    ]
    assert acme.run("export", "acme").stdout == before


def test_a_dry_run_creates_no_tenant(commands: Commands) -> None:
    commands.apply(TENANT, "--dry-run")

    assert commands.run("tenant", "list").stdout == ""


def test_removing_a_rule_cancels_what_waits_for_it(acme: Commands) -> None:
    acme.close_ticket()

    told = acme.apply(TENANT.partition("rules:")[0]).stdout

    assert "rule csat: is removed; what waits for it is cancelled." in told
    assert "Cancelled deliveries that were waiting: 1." in told
    assert [one["state"] for one in acme.deliveries()] == ["cancelled"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("excludes", "exclude", r"rules\[0\]\.when\.conditions\[0\]\.op: must be one of"),
        ("custom1:", "custom99:", r"rules\[0\]\.parameters\.custom99: add_respondent has no such parameter"),
        ("{{ ticket.id }}", "{{ ticket.id | nope }}", r"rules\[0\]\.parameters\.custom1: "),
        ("connection: lab", "connection: web", r"rules\[0\]\.connection: there is no connection named web"),
        ("vendor: surveylab", "vendor: nobody", r"connections\[0\]\.vendor: there is no survey vendor named nobody"),
        ("token-canary", "'${NO_SUCH_VARIABLE}'", r"connections\[0\]\.settings\.api_token: .*NO_SUCH_VARIABLE"),
        ("api_token: token-canary", "api_token: {secret: set}", r"connections\[0\]\.settings\.api_token: "),
        ("www.surveylab.com", "127.0.0.1:9000", r"connections\[0\]\.settings\.origin: "),
        ("language: pl", "language: Polish!", r"language: must be a language tag"),
        ("tenant: acme", "tenant: Acme Ltd", r"tenant: may hold a-z"),
        ("  - name: csat", "\t- name: csat", r"line 12, column 1: .*tabs"),
        ("connection: lab", "connection: lab\n    ask: []", r"rules\[0\]\.ask: must be a list of keys"),
    ],
)
def test_a_fault_in_the_file_is_told_with_its_place(commands: Commands, old: str, new: str, complaint: str) -> None:
    refused = commands.apply(TENANT.replace(old, new), code=1)

    assert re.match(complaint, refused.stderr)
    assert refused.stdout == ""
    assert commands.run("tenant", "list").stdout == ""
    assert "canary" not in refused.output


def test_what_a_rule_says_of_time_and_uncertainty_is_told_warned_of_and_exported(commands: Commands) -> None:
    commands.apply()
    more = "ask: {delay_minutes: 30, expires_hours: 24}\n    when_uncertain: resend"

    told = commands.apply(TENANT.replace("connection: lab\n", f"connection: lab\n    {more}\n"), "--dry-run")

    assert "rule csat: ask is set to {delay_minutes: 30, expires_hours: 24}." in told.stdout
    assert "rule csat: when_uncertain is set to resend." in told.stdout
    assert "Warning: rule csat: a call whose answer is lost is made again" in told.stderr
    commands.apply(TENANT.replace("connection: lab\n", f"connection: lab\n    {more}\n"))
    exported = commands.run("export", "acme").stdout
    assert "  ask:\n    delay_minutes: 30\n    expires_hours: 24\n" in exported
    assert "  when_uncertain: resend\n" in exported


def test_a_secret_can_come_from_the_environment(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_SECRET", "from-outside")

    commands.apply(TENANT.replace("token-canary", "'${LAB_SECRET}'"))

    assert "api_token: from-outside" in commands.run("export", "acme", "--with-secrets").stdout


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"tenant: \xe9"])
def test_a_file_that_is_no_text_is_a_sentence(commands: Commands, content: bytes) -> None:
    Path("acme.yaml").write_bytes(content)

    assert "is not UTF-8 text" in commands.run("apply", "acme.yaml", code=1).stderr


def test_an_export_hides_secrets_and_can_be_applied_again(acme: Commands) -> None:
    exported = acme.run("export", "acme").stdout

    assert "canary" not in exported
    assert "desk-0123456789abcdef" not in exported
    assert "as the file says already" in acme.apply(exported).stdout
    assert "signing_secret: signing-canary" in acme.run("export", "acme", "--with-secrets").stdout


def test_an_export_with_secrets_makes_the_same_tenant_elsewhere(acme: Commands, tmp_path: Path) -> None:
    exported = acme.run("export", "acme", "--with-secrets").stdout

    acme.run("tenant", "remove", "acme", "--yes")
    acme.apply(exported)

    assert yaml.safe_load(acme.run("export", "acme", "--with-secrets").stdout) == yaml.safe_load(exported)


def test_a_tenant_is_created_listed_and_removed(commands: Commands) -> None:
    created = commands.run("tenant", "create", "blue", "--name", "Blue & Co")
    listed = commands.run("tenant", "list")
    removed = commands.run("tenant", "remove", "blue", "--yes")

    assert "survey-plugin tenant link blue" in created.stdout
    assert listed.stdout == "blue\tBlue & Co\n"
    assert removed.stdout == "Removed blue.\n"
    assert commands.run("tenant", "list").stdout == ""


@pytest.mark.parametrize("slug", ["Blue", "blue!", "-blue", "b" * 64, "../blue", ""])
def test_a_slug_that_would_not_fit_into_an_address_is_refused(commands: Commands, slug: str) -> None:
    assert "tenant: may hold a-z" in commands.run("tenant", "create", "--", slug, code=1).stderr


def test_a_tenant_is_not_created_twice(commands: Commands) -> None:
    commands.run("tenant", "create", "blue")

    assert commands.run("tenant", "create", "blue", code=1).stderr == "There is a tenant named blue already.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenant", "link", "nobody"),
        ("tenant", "unlink", "nobody"),
        ("tenant", "remove", "nobody", "--yes"),
        ("export", "nobody"),
        ("deliveries", "nobody"),
        ("connection", "pause", "nobody", "lab"),
        ("forget", "nobody", "a@example.com", "--yes"),
    ],
)
def test_a_tenant_that_does_not_exist_is_a_sentence(commands: Commands, arguments: tuple[str, ...]) -> None:
    refused = commands.run(*arguments, code=1)

    assert refused.stderr == "There is no tenant named nobody; see: survey-plugin tenant list\n"
    assert refused.stdout == ""


@pytest.mark.parametrize("question", [("tenant", "remove", "acme"), ("forget", "acme", "lucja.nowak@example.com")])
def test_without_a_terminal_nothing_is_removed_unless_it_is_said_beforehand(
    acme: Commands, question: tuple[str, ...]
) -> None:
    acme.close_ticket()

    refused = acme.run(*question, text="", code=1)

    assert "Aborted" in refused.stderr
    assert len(acme.deliveries()) == 1
    acme.run(*question, "--yes")


def test_a_config_link_stands_alone_on_standard_output_and_opens(acme: Commands) -> None:
    link = acme.run("tenant", "link", "acme", "--role", "viewer", "--hours", "1")

    assert re.fullmatch(r"http://127\.0\.0\.1:8000/config/[\w.-]+\n", link.stdout)
    assert link.stderr == ""
    told = acme.run("tenant", "unlink", "acme").stdout
    assert told == "Withdrew 1 config link; every open session of acme has ended.\n"


@pytest.mark.parametrize("options", [["--hours", "0"], ["--role", "owner"]])
def test_a_link_of_no_length_or_of_an_unknown_role_is_wrong_use(commands: Commands, options: list[str]) -> None:
    assert commands.run("tenant", "link", "acme", *options, code=2).stdout == ""


def test_what_waits_behind_a_pause_is_parked_until_it_is_resumed(acme: Commands) -> None:
    acme.close_ticket()

    acme.run("connection", "pause", "acme", "lab", "--because", "The survey is being rewritten.")
    parked = acme.deliveries("--state", "parked")
    told = acme.run("connection", "resume", "acme", "lab").stdout

    assert [(one["state"], one["parked"]) for one in parked] == [("scheduled", True)]
    assert re.match(r"lab is resumed; it was paused since .* CES?T\.\n", told)
    assert told.endswith("Deliveries that were parked and go out when they are due: 1.\n")
    assert acme.deliveries("--state", "parked") == []


def test_a_pause_is_told_with_its_words_and_what_waits(acme: Commands) -> None:
    delivery = acme.close_ticket()
    assert "lab (surveylab): active\n  waiting: 1\n" in acme.run("connection", "list", "acme").stdout

    told = acme.run("connection", "pause", "acme", "lab", "--because", "The survey is being rewritten.").stdout

    assert told == "lab is paused until it is resumed by hand; deliveries that are parked now: 1.\n"
    listed = acme.run("connection", "list", "acme").stdout
    assert listed.startswith("lab (surveylab): paused\n  lab is paused since 20")
    assert "    “The survey is being rewritten.”\n  parked: 1\n" in listed
    receipt = acme.run("receipt", delivery["id"]).stdout
    assert f"delivery {delivery['id']}: parked" in receipt
    assert "      lab is paused since 20" in receipt
    assert "        “The survey is being rewritten.”" in receipt


def test_resuming_what_is_not_paused_says_so(acme: Commands) -> None:
    assert acme.run("connection", "resume", "acme", "lab").stdout == "lab was not paused.\n"


def test_a_connections_limits_are_set_told_and_taken_back(commands: Commands) -> None:
    limited = TENANT.replace("vendor: surveylab,", "vendor: surveylab, limits: {in_flight: 2, calls_per_minute: 60},")
    commands.apply(limited)
    assert "calls: at most 2 at a time and 60 a minute" in commands.run("connection", "list", "acme").stdout

    told = commands.apply(TENANT).stdout

    assert "connection lab: limits is removed (was {in_flight: 2, calls_per_minute: 60})." in told
    assert "calls: at most 8 at a time\n" in commands.run("connection", "list", "acme").stdout


def test_a_connection_that_does_not_exist_is_a_sentence(acme: Commands) -> None:
    assert "no connection named web" in acme.run("connection", "pause", "acme", "web", code=1).stderr


def test_a_forgotten_person_is_in_no_file_any_more(acme: Commands) -> None:
    receipt = acme.close_ticket()["receipt"]
    found = acme.run("forget", "acme", "LUCJA.nowak@example.com", "--search-only").stdout
    assert "Searched 1 receipt; found in 1 receipt:" in found
    assert re.search(r"stored messages +1\n", found)

    told = acme.run("forget", "acme", "LUCJA.nowak@example.com", "--yes").stdout

    assert "cancelled deliveries that were waiting: 1." in told
    assert told.startswith(datetime.now(UTC).strftime("%Y-%m-%d"))
    assert f"UTC, survey-plugin {__version__}, tenant acme, person L•••@example.com\n" in told
    assert "erased in 1 receipt; " in told
    assert "Searched 1 receipt: nothing that is kept names this person.\n" in told
    assert "lucja" not in acme.run("receipt", receipt, "--json").stdout.lower()
    assert [one["state"] for one in acme.deliveries()] == ["cancelled"]


def test_somebody_nobody_knows_is_told_and_needs_no_answer(acme: Commands) -> None:
    told = acme.run("forget", "acme", "nobody@example.com").stdout
    assert told.endswith("Searched 0 receipts: nothing that is kept names this person.\n")


def test_the_keys_of_an_installation_open_what_commands_stored(acme: Commands) -> None:
    parts = open_parts(read_configuration())

    assert not parts.database.integrity_problems()
    parts.close()


def test_after_a_new_key_all_is_sealed_with_it_and_the_old_one_can_go(
    acme: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = read_configuration().data_keys[0].reveal()
    new = urlsafe_b64encode(bytes(32)).decode()
    monkeypatch.setenv("DATA_KEYS", f"{new},{old}")

    told = acme.run("keys", "reencrypt").stdout

    assert told.startswith("Looked at 6 sealed texts and changed 6.\n")
    assert re.search(r"Key 2 of DATA_KEYS \(id [0-9a-f]{8}\) is needed no more", told)
    assert old not in told
    assert new not in told
    monkeypatch.setenv("DATA_KEYS", new)
    assert acme.run("doctor").stdout.endswith("No fault found.\n")
