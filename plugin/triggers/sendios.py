"""Sendios: what became of SMS and e-mails, one or many such reports in a message. No signature is documented.

SMS: https://sendios.readme.io/v2/docs/omnichannel-webhooks (its samples lack a quotation mark and close too often).
E-mail: https://sendios.readme.io/v2/docs/email-webhooks (created, sent, lost) and https://github.com/sendios/php-sdk
(queue, reject, open, click).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from marshmallow import validate

from plugin.domain.event import Event, EventKind, as_text, tidy_values
from plugin.domain.fields import Choice, Flag, StrictSchema
from plugin.errors import SignatureInvalid, Unreadable
from plugin.triggers.base import Belonging, Credentials, InboundRequest, MatchBy, Source
from plugin.triggers.base.mended_json import read_mended_json
from plugin.triggers.base.times import read_time

#: How many reports one message may hold.
MAX_EVENTS: Final = 500

_SMS_KINDS: Final[Mapping[str, EventKind]] = {
    "sms_sent": EventKind.SMS_SENT,
    "sms_lost": EventKind.SMS_LOST,
    "sms_click": EventKind.SMS_CLICK,
}
_EMAIL_KINDS: Final[Mapping[str, EventKind]] = {
    "sent": EventKind.EMAIL_SENT,
    "open": EventKind.EMAIL_OPENED,
    "click": EventKind.EMAIL_CLICKED,
    # Two ways of not arriving: never sent, and sent but not delivered.
    "reject": EventKind.EMAIL_BOUNCED,
    "lost": EventKind.EMAIL_BOUNCED,
    # created (the person is new to Sendios) and queue say nothing of what became of an invitation.
}

#: What names the message that a report is about, best first: an event_id is shared by all that came of one trigger.
_IDS: Final = ("sms_id", "mail_id", "event_id")

_SHAPE: Final = (
    'The message must hold reports: one by itself, a list of them, or an object of them under "0", "1" and on.'
)


class SendiosCredentials(StrictSchema):
    url_only = Flag(
        label="The URL alone",
        help="Sendios documents no signature, so the address is the only secret. Whoever knows it can report what "
        "never happened, so show it to nobody and renew it when somebody leaves.",
        required=True,
        validate=validate.Equal(True, error="must be true: nothing else is known to prove that Sendios sent a report."),
    )
    match_by = Choice(
        {
            MatchBy.REFERENCE.value: "Our reference of the invitation",
            MatchBy.PERSON.value: "The person's e-mail address or phone number",
            MatchBy.TRACKED.value: "The value that the call was tracked by, such as crk or client_user_id",
        },
        label="What client_user_id holds",
        help="By this a report finds the invitation that it is about.",
        example=MatchBy.REFERENCE.value,
        load_default=MatchBy.REFERENCE.value,
    )


SOURCE: Final = Source(
    title="Sendios",
    credentials=SendiosCredentials,
    events=frozenset({*_SMS_KINDS.values(), *_EMAIL_KINDS.values()}),
    placeholders=("sms.id", "sms.link", "sms.template_id"),
    help="Reports on SMS and e-mails that Sendios has sent: sent, lost, opened, clicked.",
)


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    del request, now  # they prove nothing
    if not credentials.get("url_only"):
        raise SignatureInvalid("The source has no credentials to check against.")


def parse(request: InboundRequest) -> list[Event]:
    if not request.body.strip():
        return []
    document, mended = read_mended_json(request.body)
    reports = _reports_in(document)
    if len(reports) > MAX_EVENTS:
        raise Unreadable(f"The message holds {len(reports)} reports, and at most {MAX_EVENTS} are taken in one.")
    return [_read_report(report, mended) for report in reports]


def belongs_to(event: Event, credentials: Credentials) -> Belonging | None:
    by = MatchBy(credentials["match_by"])
    # Reports on e-mails name the address besides; those on SMS hold nothing of the person but client_user_id.
    value = (by is MatchBy.PERSON and _address(event.payload)) or event.correlation
    return Belonging(by, value) if value else None


def _reports_in(document: Any) -> list[Any]:
    """Several under "0", "1", ...; or in a list, which PHP writes of the same array; or a single one by itself."""
    match document:
        case list():
            reports = document
        case dict() if "event" not in document:
            reports = list(document.values())
        case _:
            reports = [document]
    if reports and not any(isinstance(report, dict) for report in reports):
        raise Unreadable(_SHAPE)
    return reports


def _read_report(report: Any, mended: tuple[str, ...]) -> Event:
    if not isinstance(report, dict):
        # Kept, so that the reports beside it are not lost with it.
        return Event(EventKind.UNSUPPORTED, payload=report, notes=(*mended, "Among the reports stands what is none."))
    word = as_text(report.get("event")) or ""
    kind = _kind(word.casefold(), report)
    time = read_time(_id_text(report.get("ts")) or "")
    raw: dict[str, Any] = {}
    if kind in _SMS_KINDS.values():
        raw = {"sms.id": _id_text(report.get("sms_id")), "sms.template_id": _id_text(report.get("template_id"))}
        raw["sms.link"] = report.get("link")
    tidied = tidy_values(raw)
    ours = {"event.id": _event_id(word, report), "event.kind": kind.value}
    if time:
        ours["event.time"] = time.isoformat().replace("+00:00", "Z")
    return Event(
        kind=kind,
        id=ours["event.id"],
        time=time,
        values={**tidied.values, **ours},
        unrendered=tidied.unrendered,
        payload=report,
        vendor_kind=word[:200],
        notes=(*mended, *_notes(kind, raw, tidied.values)),
        correlation=_id_text(report.get("client_user_id")),
    )


def _kind(word: str, report: Mapping[str, Any]) -> EventKind:
    if word in _SMS_KINDS:
        return _SMS_KINDS[word]
    # E-mail came first and its reports name no channel; one that does, such as an app message, is of another kind.
    channel = as_text(report.get("channel")) or "email"
    return _EMAIL_KINDS.get(word, EventKind.UNSUPPORTED) if channel == "email" else EventKind.UNSUPPORTED


def _event_id(word: str, report: Mapping[str, Any]) -> str:
    """The same for the same report, however often and in whatever envelope it comes, its ids as numbers or as text."""
    name = next((name for name in _IDS if _id_text(report.get(name)) not in {None, "0"}), None)
    told = [(each, _id_text(report.get(each))) for each in ([name] if name else ("client_user_id", "user_id", "ts"))]
    link = as_text(report.get("link")) or as_text(report.get("url"))
    parts = [_id_text(report.get("project_id")), told, word.casefold(), link]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def _id_text(raw: Any) -> str | None:
    """An id with all its digits; 1233.0 is 1233."""
    return as_text(int(raw) if isinstance(raw, Decimal) and raw == raw.to_integral_value() else raw)


def _address(report: Any) -> str | None:
    user = report.get("user") if isinstance(report, dict) else None
    return as_text(report.get("email")) or as_text(user.get("email") if isinstance(user, dict) else None)


def _notes(kind: EventKind, raw: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    if kind is EventKind.UNSUPPORTED:
        yield "The kind of event that the message names is none that this source acts on."
    link = raw.get("sms.link")
    if isinstance(link, str) and "sms.link" in values and link.strip() != values["sms.link"]:
        yield "sms.link came without https://, which was added."
