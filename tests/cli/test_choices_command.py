"""connection choices."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from plugin.sandbox.server import Sandbox
from tests.cli.commands import TENANT, Commands

WEB = """
  - name: web
    vendor: startquestion
    settings: {brand: webankieta, id_account: "171257", webhook_key: KEY, webhook_auth: auth-canary, origin: "ORIGIN"}
rules:"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(slow_seconds=0.1) as running:
        yield running


@pytest.fixture
def web(commands: Commands, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setenv("EXTRA_VENDOR_ORIGINS", sandbox.origin)
    apply(commands, sandbox)
    return commands


def apply(commands: Commands, sandbox: Sandbox, key: str = "key-canary") -> None:
    commands.apply(TENANT.replace("\nrules:", WEB.replace("KEY", key).replace("ORIGIN", sandbox.origin)))


def test_choices_are_an_id_and_a_title_a_line(web: Commands) -> None:
    told = web.run("connection", "choices", "acme", "web")

    assert told.stdout.splitlines()[0] == "419349\tJak nam poszło? 1 (Helpdesk, zespół 1)"
    assert len(told.stdout.splitlines()) == 45
    assert told.stderr == "surveys: Surveys of the account, for id_survey\n"


def test_choices_can_be_read_by_a_program(web: Commands) -> None:
    told = web.run("connection", "choices", "acme", "web", "surveys", "--json")

    assert json.loads(told.stdout.splitlines()[-1]) == {
        "list": "surveys",
        "parameters": ["id_survey"],
        "value": "419393",
        "label": "Jak nam poszło? 45 (Helpdesk, zespół 45)",
    }
    assert told.stderr == ""


def test_a_refusal_is_a_sentence_with_the_vendor_s_words_and_exit_code_1(web: Commands, sandbox: Sandbox) -> None:
    apply(web, sandbox, "wrong")

    told = web.run("connection", "choices", "acme", "web", "--json", code=1)

    assert told.stdout == ""
    assert told.stderr == "surveys: The vendor refuses the credentials of this connection. It said: Unauthorized\n"


def test_an_empty_list_is_told(web: Commands, sandbox: Sandbox) -> None:
    apply(web, sandbox, "none")

    assert "surveys: the vendor's list is empty." in web.run("connection", "choices", "acme", "web").stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nobody", "web"), "There is no tenant named nobody"),
        (("acme", "other"), "This tenant has no connection named other."),
        (("acme", "web", "templates"), "startquestion has no list named templates; there are: surveys."),
    ],
)
def test_what_does_not_exist_is_told(web: Commands, words: tuple[str, ...], told: str) -> None:
    assert told in web.run("connection", "choices", *words, code=1).stderr


def test_a_vendor_that_lists_nothing_is_told(web: Commands) -> None:
    told = web.run("connection", "choices", "acme", "lab")

    assert told.stdout == ""
    assert told.stderr == "surveylab lists nothing; copy ids from its own pages.\n"
