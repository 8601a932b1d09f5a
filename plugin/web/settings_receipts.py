"""Receipts: finding them, reading one, and what a person may do with its deliveries."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug import Response

from plugin.domain.delivery import DeliveryState, Resolution
from plugin.domain.verdict import Decision
from plugin.errors import NotAllowed
from plugin.pipeline.replay import replay_delivery
from plugin.store import receipts
from plugin.store.events import StoredBody, StoredVerdict
from plugin.store.receipts import Attempt, DeliveryRecord, EventRecord, Receipt
from plugin.store.resolutions import cancel_delivery
from plugin.store.resolutions import resolve as resolve_delivery
from plugin.web import wording
from plugin.web.desk import desk
from plugin.web.masking import without_addresses
from plugin.web.sessions import visit

#: Receipts on one page of the list.
PAGE_LENGTH: Final = 30
_LONGEST_SEARCH: Final = 200
#: How much of a message's body is shown, characters.
_SHOWN_BODY: Final = 100_000
#: Who decides, as receipts keep it.
_DECIDED_BY: Final = "settings page"
_NO_TEXT: Final = b"(not shown: this is no text)"

#: States in which a person may cancel a delivery; and in which it may be made once more, without and with a warning.
CANCELLABLE: Final = frozenset({DeliveryState.SCHEDULED, DeliveryState.UNCERTAIN})
NOTHING_SENT: Final = frozenset({DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.CANCELLED})
MAYBE_SENT: Final = frozenset({DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN})

#: Texts with their quotes, then what structures JSON, then numbers and words.
_JSON_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')

blueprint = Blueprint("receipts", __name__)


# --- the list ---------------------------------------------------------------------------------------------------------


@blueprint.get("/receipts")
def find() -> str:
    text = request.args.get("search", "").strip()[:_LONGEST_SEARCH]
    state = request.args.get("state", "")
    state = state if state in wording.FILTERS else ""
    # Addresses are not searched for, and the page leads nowhere that would carry one in a web address once more.
    is_address = "@" in text
    if is_address:
        text = ""
    with desk().database.read() as db:
        found = receipts.find_receipts(
            db,
            visit().tenant.id,
            text=text,
            state=state or None,
            before=request.args.get("before") or None,
            limit=PAGE_LENGTH + 1,
        )
    lines = found[:PAGE_LENGTH]
    return render_template(
        "receipts.html",
        lines=lines if visit().may_change else without_addresses(lines),
        older=lines[-1].id if len(found) > PAGE_LENGTH else None,
        is_first_page="before" not in request.args,
        search=text,
        state=state,
        is_address=is_address,
    )


# --- one receipt ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Body:
    """A message's body for the page. is_json: indented, otherwise as it came. cut: whether more of it is kept."""

    text: str
    is_json: bool
    cut: bool


@dataclass(frozen=True)
class DeliveryCard:
    """record: with attempts. called: the attempt that shows the exact call; None before there is one.

    replayed_by: the delivery that was made of it since, if any.
    """

    record: DeliveryRecord
    called: Attempt | None
    replayed_by: str | None

    @property
    def state(self) -> str:
        return receipts.PARKED if self.record.parked else self.record.state

    @property
    def evidence(self) -> Attempt | None:
        """The attempt that left an uncertain delivery uncertain."""
        if self.record.state != DeliveryState.UNCERTAIN:
            return None
        return next((attempt for attempt in reversed(self.record.attempts) if attempt.evidence), None)

    @property
    def may_cancel(self) -> bool:
        return self.record.state in CANCELLABLE

    @property
    def may_resolve(self) -> bool:
        return self.record.state == DeliveryState.UNCERTAIN

    @property
    def may_replay(self) -> bool:
        return self.record.state in NOTHING_SENT | MAYBE_SENT

    @property
    def replay_needs_warning(self) -> bool:
        """Whether the person may have got an invitation already, of this delivery or of the one made of it."""
        return self.record.state in MAYBE_SENT or self.replayed_by is not None


@dataclass(frozen=True)
class VerdictCard:
    """What one rule decided, with the deliveries that came of it, oldest first."""

    verdict: StoredVerdict
    deliveries: Sequence[DeliveryCard]


@dataclass(frozen=True)
class EventCard:
    """telling: what has something to show, a survey call or a problem; passed: of the rules that let the event by."""

    record: EventRecord
    telling: Sequence[VerdictCard]
    passed: Sequence[StoredVerdict]


@blueprint.get("/receipts/<receipt_id>")
def show(receipt_id: str) -> str:
    with desk().database.read() as db:
        receipt = receipts.receipt(db, visit().tenant.id, receipt_id)
    if receipt is None:
        abort(HTTPStatus.NOT_FOUND, "There is no such receipt. Receipts are removed after their retention time.")
    if not visit().may_change:
        receipt = _for_viewer(receipt)
    return render_template(
        "receipt.html",
        receipt=receipt,
        body=_body(receipt.body) if receipt.body is not None else None,
        event_cards=[_event_card(record) for record in receipt.events],
    )


def _for_viewer(receipt: Receipt) -> Receipt:
    if receipt.body is not None and not _is_text(receipt.body.body):
        # In what is no plain text an address would not be recognised.
        receipt = replace(receipt, body=replace(receipt.body, body=_NO_TEXT))
    return without_addresses(receipt)


def _is_text(body: bytes) -> bool:
    try:
        return "\0" not in body.decode()
    except UnicodeDecodeError:
        return False


def _event_card(record: EventRecord) -> EventCard:
    replays = {one.replay_of: one.id for one in record.deliveries if one.replay_of is not None}
    cards = [
        DeliveryCard(one, _called(one), replays.get(one.id))
        for one in sorted(record.deliveries, key=lambda one: one.created_at)
    ]
    # A rule that was asked again by a replay has several verdicts; its deliveries came of the last one.
    last = {verdict.rule: verdict for verdict in record.verdicts}
    made = [
        VerdictCard(
            verdict, [card for card in cards if card.record.rule == verdict.rule and last[verdict.rule] is verdict]
        )
        for verdict in record.verdicts
    ]
    telling = [card for card in made if card.deliveries or card.verdict.preview or card.verdict.decision != Decision.NO]
    return EventCard(record, telling, [card.verdict for card in made if card not in telling])


def _called(record: DeliveryRecord) -> Attempt | None:
    return next((attempt for attempt in reversed(record.attempts) if attempt.url), None)


def _body(stored: StoredBody) -> Body:
    text = stored.body.decode("utf-8", "replace").lstrip("\ufeff")
    indented = indent_json(text)
    shown = indented if indented is not None else text
    return Body(shown[:_SHOWN_BODY], indented is not None, len(shown) > _SHOWN_BODY)


def indent_json(text: str) -> str | None:
    """A JSON object or list with a line for each member; None for anything else.

    Works on the text, so that every number and every name stands as it was sent, twice if it was sent twice.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict | list):
        return None
    pieces: list[str] = []
    depth = 0
    before = ""
    for piece in _JSON_PIECE.findall(text):
        closes, is_first = piece in {"]", "}"}, before in {"[", "{"}
        depth -= closes
        if before == "," or is_first != closes:
            pieces.append("\n" + "  " * depth)
        pieces.append(": " if piece == ":" else piece)
        depth += piece in {"[", "{"}
        before = piece
    return "".join(pieces)


# --- what a person may do ---------------------------------------------------------------------------------------------


@blueprint.post("/deliveries/<delivery_id>/cancel")
def cancel(delivery_id: str) -> Response:
    tenant_id = visit().tenant.id
    with desk().database.write() as db:
        record = _delivery(db, delivery_id)
        now = desk().mint.now()
        if not cancel_delivery(db, tenant_id, delivery_id, decided_by=_DECIDED_BY, now=now):
            raise NotAllowed(
                f"This delivery is {wording.state_word(record.state)} by now and can no longer be cancelled."
            )
    flash("The delivery is cancelled.")
    return _to_receipt(record)


@blueprint.get("/deliveries/<delivery_id>/resolve/<resolution>")
def ask_resolve(delivery_id: str, resolution: str) -> str:
    """Show what would follow from saying so."""
    if not visit().may_change:
        abort(HTTPStatus.FORBIDDEN, "You may look at this delivery but not say what became of it.")
    with desk().database.read() as db:
        record = _delivery(db, delivery_id)
    return render_template("confirm_resolve.html", record=record, resolution=_resolution(resolution))


@blueprint.post("/deliveries/<delivery_id>/resolve/<resolution>")
def resolve(delivery_id: str, resolution: str) -> Response:
    """Decide an uncertain delivery."""
    with desk().database.write() as db:
        record = _delivery(db, delivery_id)
        said = _resolution(resolution)
        now = desk().mint.now()
        state = resolve_delivery(db, record.tenant_id, record.id, said, decided_by=_DECIDED_BY, now=now)
        if state is None:
            raise NotAllowed(
                f"This delivery is {wording.state_word(record.state)} by now, so there is nothing to decide."
            )
    flash(f"Kept as you said. The delivery is {wording.state_word(state)}.")
    return _to_receipt(record)


def _resolution(word: str) -> Resolution:
    if word not in set(Resolution):
        abort(HTTPStatus.NOT_FOUND)
    return Resolution(word)


@blueprint.get("/deliveries/<delivery_id>/replay")
def ask_replay(delivery_id: str) -> str:
    """Warn that the person may get a second invitation."""
    if not visit().may_change:
        abort(HTTPStatus.FORBIDDEN, "You may look at this delivery but not send it once more.")
    with desk().database.read() as db:
        record = _delivery(db, delivery_id)
    return render_template("confirm_replay.html", record=record)


@blueprint.post("/deliveries/<delivery_id>/replay")
def replay(delivery_id: str) -> Response:
    """Make the survey call once more, as a new delivery; with the field `again`, also where it may be the second."""
    with desk().database.write() as db:
        record = _delivery(db, delivery_id)
        replay_delivery(db, desk().mint, record.tenant_id, record.id, again=request.form.get("again") == "yes")
    flash("A new delivery was made of it; it is sent now.")
    return _to_receipt(record)


def _delivery(db: Connection, delivery_id: str) -> DeliveryRecord:
    record = receipts.delivery_by_id(db, delivery_id, visit().tenant.id)
    if record is None:
        abort(HTTPStatus.NOT_FOUND, "There is no such delivery.")
    return record


def _to_receipt(record: DeliveryRecord) -> Response:
    receipt = url_for("settings.receipts.show", receipt_id=record.trigger_id, _anchor=f"delivery-{record.id}")
    return redirect(receipt, HTTPStatus.SEE_OTHER)
