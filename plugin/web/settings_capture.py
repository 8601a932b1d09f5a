"""What came to a source in state capture, value by value, and the settings that come of saying what is what in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, abort, render_template, request
from sqlalchemy import Connection

from plugin import registry
from plugin.errors import Unreadable
from plugin.pipeline.reading import CAPTURED
from plugin.registry import InboundRequest
from plugin.store import sources, tenants
from plugin.store.captured import CapturedMessage, captured_messages
from plugin.store.sources import StoredSource
from plugin.tenant_file import dump_document, stored_document
from plugin.web.desk import desk
from plugin.web.masking import without_addresses
from plugin.web.sessions import visit
from plugin.web.settings_configuration import base_version, propose

#: How many messages are offered, and how much of a value is shown.
OFFERED: Final = 5
_SHOWN: Final = 200

#: What a message can mean, for people.
MEANINGS: Final[Mapping[str, str]] = {
    "ticket.closed": "a ticket was closed",
    "chat.ended": "a chat has ended",
    "crm.changed": "a CRM record has changed",
}
#: What a value can be, for people.
ROLES: Final[Mapping[str, str]] = {
    "event": "the event's own id",
    "kind": "what has happened",
    "mark": "when it was closed, or ended",
    "id": "number of the ticket, chat or record",
    "email": "the customer's e-mail address",
    "phone": "the customer's phone number",
    "name": "the customer's name",
    "language": "the customer's language",
    "title": "subject, or name of the record",
    "status": "status, or stage",
    "link": "its address for agents",
    "group": "group",
    "tags": "tags",
}
#: The placeholders of these, by what the message means.
_PERSON: Final = ("email", "phone", "name", "language")
_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "ticket.closed": {
        "id": "ticket.id",
        "title": "ticket.title",
        "status": "ticket.status",
        "link": "ticket.link",
        "group": "ticket.group.name",
        "tags": "ticket.tags",
        **{leaf: f"ticket.requester.{leaf}" for leaf in _PERSON},
    },
    "chat.ended": {"id": "chat.id", "link": "chat.url", **{leaf: f"chat.visitor.{leaf}" for leaf in _PERSON}},
    "crm.changed": {
        "id": "crm.id",
        "title": "crm.name",
        "status": "crm.stage",
        "link": "crm.url",
        **{leaf: f"person.{leaf}" for leaf in _PERSON},
    },
}
#: Where nothing in a message says what has happened, every message means the same.
_ALWAYS: Final = "every message"

blueprint = Blueprint("capture", __name__)


@dataclass(frozen=True)
class Leaf:
    """One value of a message. role: what the person has said that it is."""

    path: str
    value: str
    role: str = ""


@blueprint.get("/sources/<name>/capture")
def show(name: str) -> str:
    """The newest message, or the one that was asked for, with each value and its path."""
    with desk().database.read() as db:
        source, messages = _messages(db, name)
        version = tenants.tenant_by_id(db, visit().tenant.id).version
    wanted = request.args.get("receipt")
    chosen = next((one for one in messages if one.receipt == wanted), messages[0] if messages else None)
    return _page(source, messages, chosen, version)


@blueprint.post("/sources/<name>/capture")
def say(name: str) -> str | tuple[str, int]:
    """What saving the settings would change that come of what the person has said; or what is missing still."""
    with desk().database.read() as db:
        source, messages = _messages(db, name)
        tenant = tenants.tenant_by_id(db, visit().tenant.id)
        document = stored_document(db, desk().vault, tenant)
    chosen = next((one for one in messages if one.receipt == request.form.get("receipt")), None)
    if chosen is None:
        abort(HTTPStatus.NOT_FOUND, "There is no such message any more.")
    base, meaning = base_version(), request.form.get("meaning", "")
    leaves = _leaves(source, chosen)
    problems = _missing(leaves, meaning)
    if problems:
        return _page(source, messages, chosen, base, leaves, meaning, problems), HTTPStatus.UNPROCESSABLE_ENTITY
    changed = {"state": "test", "settings": settings_of(leaves, meaning)}
    parts = [one | changed if one["name"] == source.name else one for one in document["sources"]]
    return propose(dump_document({**document, "sources": parts}), base)


def settings_of(leaves: Sequence[Leaf], meaning: str) -> dict[str, Any]:
    """How the source is to read its messages. meaning: the kind of event that this one tells of."""
    said = {leaf.role: leaf for leaf in leaves if leaf.role}
    names = _NAMES[meaning]
    kind = said.get("kind", Leaf(f"text:{_ALWAYS}", _ALWAYS))
    settings: dict[str, Any] = {
        "fields": {names[role]: leaf.path for role, leaf in said.items() if role in names},
        "kinds": {"path": kind.path, "map": {kind.value: meaning}},
    }
    if "event" in said:
        settings["id"] = said["event"].path
    if "mark" in said:
        settings["mark"] = said["mark"].path
    return settings


# --- steps ------------------------------------------------------------------------------------------------------------


def _messages(db: Connection, name: str) -> tuple[StoredSource, Sequence[CapturedMessage]]:
    tenant_id = visit().tenant.id
    source = sources.source_by_name(db, tenant_id, name)
    if not hasattr(registry.source(source.kind), "leaves_of"):
        abort(HTTPStatus.NOT_FOUND, "What this kind of source sends is known; nothing of it is captured.")
    return source, captured_messages(db, tenant_id, source.id, CAPTURED, OFFERED)


def _leaves(source: StoredSource, message: CapturedMessage) -> list[Leaf]:
    """Its values with what the form says of each."""
    read = getattr(registry.source(source.kind), "leaves_of")  # noqa: B009  # not every kind of source has it
    kept = message.body
    try:
        found = read(InboundRequest(message.method, kept.query, kept.headers, kept.body))
    except Unreadable:
        return []
    return [Leaf(path, value, request.form.get(f"leaf:{path}", "")) for path, value in found]


def _missing(leaves: Sequence[Leaf], meaning: str) -> list[str]:
    """What a person still has to say, or to take back, as sentences."""
    roles = [leaf.role for leaf in leaves if leaf.role]
    names = _NAMES.get(meaning)
    if names is None or not set(roles) <= ROLES.keys():
        abort(HTTPStatus.BAD_REQUEST)
    problems = [f"Two values are said to be {ROLES[role]}; choose one." for role in ROLES if roles.count(role) > 1]
    problems += [
        f"When {MEANINGS[meaning]}, there is no place for: {ROLES[role]}."
        for role in dict.fromkeys(roles)
        if role not in names and role not in {"event", "kind", "mark"}
    ]
    if "id" not in roles:
        problems.append("Say which value is the number of the ticket, chat or record.")
    if not {"email", "phone"} & set(roles):
        problems.append("Say which value is the customer's e-mail address or phone number.")
    return problems


def _page(
    source: StoredSource,
    messages: Sequence[CapturedMessage],
    chosen: CapturedMessage | None,
    base: int,
    leaves: Sequence[Leaf] | None = None,
    meaning: str = "ticket.closed",
    problems: Sequence[str] = (),
) -> str:
    if leaves is None:
        leaves = _leaves(source, chosen) if chosen is not None else []
    shown = [Leaf(leaf.path, leaf.value[:_SHOWN], leaf.role) for leaf in leaves]
    return render_template(
        "capture.html",
        source=source,
        messages=messages,
        chosen=chosen,
        base=base,
        leaves=shown if visit().may_change else without_addresses(shown),
        meanings=MEANINGS,
        meaning=meaning,
        roles=ROLES,
        problems=problems,
    )
