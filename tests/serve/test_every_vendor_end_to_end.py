"""Every call of every vendor, from a closed ticket over real HTTP and processes to the pretended vendor and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from plugin import registry
from plugin.domain.outcome import REASON_SENTENCES, Reason
from plugin.redaction import Secret
from plugin.sandbox.server import Sandbox
from plugin.store.receipts import DeliveryRecord
from tests.serve.program import SIGNING_SECRET, Program, wait_until

pytestmark = pytest.mark.slow

FIXTURES = Path(__file__).parents[1] / "fixtures" / "surveys"
CALLS = [(vendor, call) for vendor in registry.vendor_names() for call in registry.vendor(vendor).VENDOR.calls]
ANY_ORIGIN = "http://127.0.0.1:9000"
ENDED = {"accepted", "rejected", "uncertain", "expired", "cancelled"}


@dataclass(frozen=True)
class Running:
    program: Program
    sandbox: Sandbox

    def close_ticket_for(self, vendor: str, call: str) -> DeliveryRecord:
        """Close a ticket that only the rule of this call asks for; gives its delivery when that has ended."""
        name = f"{vendor}.{call}"
        requester = {
            "email": f"lucja.{vendor}.{call}@example.com",
            "name": "Łucja Nowak",
            "first_name": "Łucja",
            "last_name": "Nowak",
            # A number of their own, since one of the calls has its person invited no more.
            "phone": f"+48{CALLS.index((vendor, call)):09}",
            "language": "pl",
            "external_id": f"C-{name}",
        }
        ticket = {"requester": requester, "tags": f"{name} vip", "title": "Drukarka się pali: 50% & więcej"}
        accepted = self.program.close_ticket(f"T-{name}", **ticket).json()
        [asked] = [one for one in accepted["events"][0]["verdicts"] if one["verdict"] != "no"]
        assert asked["cause"] == "matched", self.program.run("receipt", accepted["receipt"]).stdout
        return wait_until(lambda: self.ended(asked["delivery"]), f"{name} has ended")

    def ended(self, delivery: str) -> DeliveryRecord | None:
        [found] = [record for record in self.program.deliveries() if record.id == delivery]
        return found if found.state in ENDED else None


def end_to_end(vendor: str) -> dict[str, Any]:
    """For each call of a vendor, settings and a mapping that its pretended side accepts."""
    return yaml.safe_load((FIXTURES / vendor / "end_to_end.yaml").read_text("utf-8"))["calls"]


def tenant(origin: str) -> str:
    connections, rules = [], []
    for vendor, call in CALLS:
        name = f"{vendor}.{call}"
        example = json.loads(Template(json.dumps(end_to_end(vendor)[call])).safe_substitute(sandbox=origin))
        connections.append({"name": name, "vendor": vendor, "settings": example["settings"]})
        condition = {"field": "ticket.tags", "op": "contains", "value": name}
        rules.append(
            {
                "name": name,
                "when": {"events": ["ticket.closed"], "conditions": [condition]},
                "connection": name,
                "call": call,
                "parameters": example["parameters"],
            }
        )
    desk = {"kind": "zendesk", "key": "desk-0123456789abcdef", "credentials": {"signing_secret": SIGNING_SECRET}}
    whole = {"tenant": "acme", "name": "Acme", "timezone": "Europe/Warsaw", "language": "pl"}
    return json.dumps(whole | {"sources": [{"name": "desk", **desk}], "connections": connections, "rules": rules})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Sandbox() as sandbox:
        program = Program(tmp_path_factory.mktemp("vendors"), sandbox.origin)
        program.apply(tenant(sandbox.origin))
        program.start()
        yield Running(program, sandbox)
        program.close()


@pytest.mark.parametrize("vendor", registry.vendor_names())
def test_each_call_of_a_vendor_has_an_example_to_try(vendor: str) -> None:
    assert end_to_end(vendor).keys() == registry.vendor(vendor).VENDOR.calls.keys()


@pytest.mark.parametrize(("vendor", "call"), CALLS)
def test_a_closed_ticket_reaches_the_vendor_and_its_receipt_says_so(running: Running, vendor: str, call: str) -> None:
    delivery = running.close_ticket_for(vendor, call)

    receipt = running.program.run("receipt", delivery.trigger_id).stdout
    assert delivery.state == "accepted", receipt
    assert "Ticket closed: ticket:T-" in receipt
    assert f"accepted - {REASON_SENTENCES[Reason(delivery.reason or '')]}" in receipt
    declared = registry.vendor(vendor).VENDOR.calls[call]
    assert declared.success_note in receipt
    usual = [step.name for step in declared.steps if not (step.follow_up or step.seldom)]
    assert [attempt.step for attempt in delivery.attempts] == usual
    assert all(attempt.status and 200 <= attempt.status < 300 for attempt in delivery.attempts)
    shown = receipt + running.program.log.read_text("utf-8")
    assert not [secret for secret in secrets_of(vendor, call) if secret in shown]
    assert f"lucja.{vendor}.{call}@" not in shown


def secrets_of(vendor: str, call: str) -> list[str]:
    settings = json.loads(Template(json.dumps(end_to_end(vendor)[call]["settings"])).substitute(sandbox=ANY_ORIGIN))
    loaded = registry.vendor(vendor).VENDOR.connection().load(settings)
    return [secret.reveal() for secret in secrets_in(loaded)]


def secrets_in(value: Any) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from secrets_in(inner)
