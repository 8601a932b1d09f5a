"""What holds for every command: it has a help text, and it ends with 0, 1 or 2 and never with a traceback."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import click
import pytest

from plugin import __version__, registry
from plugin.cli import main
from plugin.sandbox.server import sandbox_modules
from tests.cli.commands import Commands


def every_command(group: click.Group = main, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*before, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*before, name))


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_explains_itself(commands: Commands, words: tuple[str, ...], option: str) -> None:
    told = commands.run(*words, option).stdout

    usage, explanation = told.split("\n\n")[:2]
    assert usage.startswith("Usage: ")
    assert explanation.strip().endswith((".", "?"))
    assert list(commands.folder.iterdir()) == []


def test_every_command_of_the_contract_is_there() -> None:
    assert {" ".join(words) for words in every_command()} >= {
        "demo", "serve", "web", "worker", "migrate", "doctor", "apply", "export", "tenant create", "tenant list",
        "tenant remove", "tenant link", "tenant unlink", "trigger", "deliveries", "receipt", "replay", "cancel",
        "deliveries resolve", "replay resume", "replay list", "replay show",
        "connection pause", "connection resume", "connection choices", "sandbox", "connectors", "forget",
    }  # fmt: skip


@pytest.mark.parametrize("words", [*every_command(), ()], ids=" ".join)
def test_an_unknown_option_is_wrong_use(commands: Commands, words: tuple[str, ...]) -> None:
    refused = commands.run(*words, "--no-such-option", code=2)

    assert "--no-such-option" in refused.stderr
    assert refused.stdout == ""


def test_the_version_is_told(commands: Commands) -> None:
    assert commands.run("--version").stdout == f"survey-plugin, version {__version__}\n"


def test_a_faulty_environment_stops_every_command_with_all_its_faults(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_URL", "nonsense")
    monkeypatch.setenv("WORKER_THREADS", "many")

    for arguments in (["tenant", "list"], ["migrate"], ["serve"], ["worker"], ["web"]):
        refused = commands.run(*arguments, code=1)

        assert [line.partition(":")[0] for line in refused.stderr.splitlines()] == ["WORKER_THREADS", "BASE_URL"]


def test_the_tables_are_made_once(commands: Commands) -> None:
    assert "(it was empty)" in commands.run("migrate").stdout
    assert "is up to date" in commands.run("migrate").stdout


def test_connectors_are_listed_for_people_and_for_programs(commands: Commands) -> None:
    told = commands.run("connectors").stdout
    listed = json.loads(commands.run("connectors", "--json").stdout)

    assert [one["name"] for one in listed["sources"]] == list(registry.source_names())
    assert [one["name"] for one in listed["vendors"]] == list(registry.vendor_names())
    assert all(name in told for name in (*registry.source_names(), *registry.vendor_names()))
    [lab] = [vendor for vendor in listed["vendors"] if vendor["name"] == "surveylab"]
    add = lab["calls"]["add_respondent"]
    assert add["required"] == ["cId", "email", "crk"]
    assert add["defaults"] == {"crk": "{{ delivery.reference }}"}
    assert [step["repeat_safe"] for step in add["steps"]] == [False]
    assert {one["name"]: one["secret"] for one in lab["settings"]} == {
        "origin": False, "link_origin": False, "api_token": True,
    }  # fmt: skip


def test_every_setting_call_and_parameter_is_listed_for_programs(commands: Commands) -> None:
    listed = {one["name"]: one for one in json.loads(commands.run("connectors", "--json").stdout)["vendors"]}

    for name in registry.vendor_names():
        vendor = registry.vendor(name).VENDOR
        assert [one["name"] for one in listed[name]["settings"]] == list(vendor.connection().fields)
        told = {call: [one["name"] for one in about["parameters"]] for call, about in listed[name]["calls"].items()}
        assert told == {call: list(about.parameters().fields) for call, about in vendor.calls.items()}


@pytest.mark.parametrize("columns", [20, 80, 300])
def test_the_list_for_people_fits_the_terminal_and_shortens_numbered_names(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    lines = commands.run("connectors").stdout.splitlines()

    assert max(map(len, lines)) <= min(max(columns, 70), 120)
    words = " ".join(" ".join(lines).split())
    assert "add_respondent cId*, email*, crk, referrer, language, phone, firstName, lastName, custom1-custom8" in words
    assert "(crk is {{ delivery.reference }} unless a rule maps it)" in words


def test_the_sandbox_explains_how_to_reach_it_and_every_magic_word(commands: Commands) -> None:
    told = commands.run("sandbox", "--help").stdout

    assert "export EXTRA_VENDOR_ORIGINS=http://127.0.0.1:9000\n" in told
    for name, module in sandbox_modules().items():
        assert f"{registry.vendor(name).VENDOR.title}:" in told
        assert not [word for word in module.TRICKS if f"  {word} " not in told]


def test_a_sandbox_where_somebody_listens_already_is_a_sentence(commands: Commands) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = commands.run("sandbox", "--port", str(port), code=1)

    assert refused.stderr == f"Port {port} is in use by another program; choose another one with --port.\n"


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_an_address_that_is_not_of_this_machine_is_a_sentence(commands: Commands, host: str) -> None:
    assert f"Nothing can listen at http://{host}:9000: " in commands.run("sandbox", "--host", host, code=1).stderr
