"""suppression list, add and remove."""

from __future__ import annotations

import pytest

from tests.cli.commands import TENANT, Commands

ADDRESS = "ada.lovelace@example.com"


@pytest.fixture
def acme(commands: Commands) -> Commands:
    commands.apply(TENANT)
    return commands


def test_an_empty_list_says_so(acme: Commands) -> None:
    told = acme.run("suppression", "list", "acme")
    assert (told.stdout, told.stderr) == ("", "Nobody is on the list.\n")


def test_a_person_is_put_on_the_list_once_and_taken_off_it(acme: Commands) -> None:
    said = [acme.run("suppression", *words, "acme", ADDRESS).stdout.strip() for words in (["add"], ["add"])]
    said += [acme.run("suppression", *words, "acme", ADDRESS.upper()).stdout.strip() for words in (["remove"],) * 2]
    assert said == [
        "This person is sent no more invitations.",
        "This person was on the list already.",
        "This person may be invited again.",
        "This person was not on the list.",
    ]


def test_the_list_shows_since_when_and_who_said_so_and_no_address(acme: Commands) -> None:
    acme.run("suppression", "add", "acme", ADDRESS, "--because", f"{ADDRESS} told us by phone")
    told = acme.run("suppression", "list", "acme").stdout
    assert "A person of your team" in told
    assert "told us by phone" in told
    assert ADDRESS not in told


def test_a_tenant_that_does_not_exist_is_told(acme: Commands) -> None:
    assert "no tenant named nobody" in acme.run("suppression", "add", "nobody", ADDRESS, code=1).stderr
