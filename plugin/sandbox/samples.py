"""A demo tenant whose connections lead to the sandbox, and triggers as its helpdesk, chat and CRM would send them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any, Final

#: The demo tenant's sources, by name, and their kinds.
DEMO_SOURCES: Final[Mapping[str, str]] = {"support": "zendesk", "chat": "generic", "crm": "generic"}


@dataclass(frozen=True)
class Sample:
    """One trigger, ready to be signed and sent.

    source: name in DEMO_SOURCES. title: what happened, for the person who watches.
    headers: without the ones that prove the sender.
    """

    source: str
    source_kind: str
    title: str
    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def sample_triggers(now: datetime, fresh: Callable[[], str]) -> list[Sample]:
    """Three tickets - a plain one, a vip's, one whose customer must not be asked -, a chat, and a deal that was won.

    now: when they happen, aware. fresh: gives a new id on each call, so that no run repeats the one before.
    """
    return [
        _zendesk_ticket(now, fresh, "A ticket was solved", "drukarka", _LUCJA, "Drukarka & skaner: „błąd #7”"),
        _zendesk_ticket(now, fresh, "A vip's ticket was solved", "vip reklamace", _PETR, "Reklamace č. 12/2026"),
        _zendesk_ticket(now, fresh, "A ticket tagged no_survey was solved", "vip no_survey", _TOMASZ, "Rezygnacja"),
        _chat(now, fresh),
        _crm(now, fresh),
    ]


_LUCJA: Final = {
    "name": "Łucja Żółkiewska",
    "first_name": "Łucja",
    "last_name": "Żółkiewska",
    "email": "lucja.zolkiewska@example.com",
    "phone": "+48 22 123 45 67",
    "language": "pl",
}
_PETR: Final = {
    "name": "Petr Říha",
    "first_name": "Petr",
    "last_name": "Říha",
    "email": "petr.riha@example.com",
    "phone": "+420 222 123 456",
    "language": "cs",
}
_TOMASZ: Final = {
    "name": "Tomasz Wójcik",
    "first_name": "Tomasz",
    "last_name": "Wójcik",
    "email": "tomasz.wojcik@example.com",
    "language": "pl",
}
_ZUZANA: Final = {"name": "Zuzana Dvořáková", "email": "zuzana.dvorakova@example.com", "language": "cs"}
_NADIIA: Final = {"name": "Надія Ґалаґан", "email": "nadiia.galagan@example.com", "language": "uk"}


def _zendesk_ticket(
    now: datetime, fresh: Callable[[], str], title: str, tags: str, requester: Mapping[str, str], subject: str
) -> Sample:
    number = _number(fresh())
    ticket = {
        "id": number,
        # Zendesk writes its addresses without a scheme, its tags as one text, and its status as a label.
        "url": f"acme.zendesk.example/agent/tickets/{number}",
        "title": subject,
        "status": "Solved",
        "tags": tags,
        "via": "Mail",
        "created_at": _iso(now - timedelta(hours=5)),
        "updated_at": _iso(now),
        "requester": requester,
        "assignee": {"name": "Jan Novák", "email": "jan.novak@acme.example"},
    }
    headers = {"X-Zendesk-Webhook-Invocation-Id": fresh(), "X-Zendesk-Account-Id": "21824834"}
    return _sample("support", title, {"event": {"kind": "ticket.closed"}, "ticket": ticket}, headers)


def _chat(now: datetime, fresh: Callable[[], str]) -> Sample:
    chat = {
        "id": fresh(),
        "duration": 418,
        "rating": "good",
        "ended_at": _iso(now),
        "visitor": _ZUZANA,
        "agent": {"name": "Oksana Shevchenko", "email": "oksana@acme.example"},
    }
    message = {"event": {"kind": "chat.ended", "id": fresh(), "time": _iso(now)}, "chat": chat}
    return _sample("chat", "A chat ended", message)


def _crm(now: datetime, fresh: Callable[[], str]) -> Sample:
    crm = {"object": "deal", "id": _number(fresh()), "name": "Поновлення 2027", "stage": "won", "owner": "Jan Novák"}
    message = {
        "event": {"kind": "crm.changed", "id": fresh(), "time": _iso(now)},
        "crm": crm,
        "person": _NADIIA,
    }
    return _sample("crm", "A deal was won", message)


def _sample(source: str, title: str, message: Any, headers: Mapping[str, str] | None = None) -> Sample:
    body = json.dumps(message, ensure_ascii=False).encode()
    all_headers = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Sample(source, DEMO_SOURCES[source], title, "POST", all_headers, body)


def _number(text: str) -> str:
    """A number such as tickets and deals have, made from a fresh id."""
    return str(int.from_bytes(text.encode()) % 10**9)


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="seconds")


def demo_tenant_yaml(sandbox_origin: str, secrets: Mapping[str, str]) -> str:
    """The demo tenant's configuration.

    sandbox_origin: where the sandbox answers. secrets: what proves each of DEMO_SOURCES: `support` signs as Zendesk
    does; `chat` signs `<X-Timestamp>.<body>` with HMAC-SHA256, in hexadecimal, in X-Signature, the time being Unix
    seconds; `crm` sends a bearer token.
    """
    template = Template(Path(__file__).with_name("demo_tenant.yaml").read_text("utf-8"))
    # A JSON text is a YAML text too.
    proofs = {name: json.dumps(secrets[name]) for name in DEMO_SOURCES}
    return template.substitute(proofs, sandbox=json.dumps(sandbox_origin))
