"""Commands run within the test's own process, in the folder and environment that it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from plugin.cli import main

TENANT = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
  - {name: desk, kind: zendesk, key: desk-0123456789abcdef, credentials: {signing_secret: signing-canary}}
  - {name: crm, kind: generic, credentials: {bearer: bearer-canary}}
connections:
  - {name: lab, vendor: surveylab, settings: {origin: "https://www.surveylab.com", api_token: token-canary}}
rules:
  - name: csat
    when: {events: [ticket.closed], conditions: [{field: ticket.tags, op: excludes, value: no_survey}]}
    connection: lab
    call: add_respondent
    parameters: {cId: "42", email: "{{ person.email }}", crk: "{{ delivery.reference }}", custom1: "{{ ticket.id }}"}
"""

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "triggers"


class Commands:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, text: str | None = None, code: int | None = 0) -> Result:
        """Give one command. text: its standard input. Fails when it raises, or ends with another code than `code`."""
        result = CliRunner().invoke(main, arguments, input=text)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        assert code is None or result.exit_code == code, f"{result.exit_code}: {result.output}"
        return result

    def apply(self, text: str = TENANT, *options: str, code: int = 0) -> Result:
        return self.run("apply", "-", *options, text=text, code=code)

    def deliveries(self, *options: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("deliveries", "acme", "--json", *options).stdout.splitlines()]

    def close_ticket(self, name: str = "ticket_closed") -> dict[str, Any]:
        """Feed a recorded closing in; gives its delivery."""
        before = {one["id"] for one in self.deliveries()}
        self.run("trigger", "acme", "desk", str(RECORDINGS / "zendesk" / f"{name}.json"))
        [new] = [one for one in self.deliveries() if one["id"] not in before]
        return new
