"""A receipt as text for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from plugin import registry
from plugin.domain.delivery import LIVE_STATES, RESOLUTION_SENTENCES, DeliveryState, Resolution
from plugin.domain.event import EventKind
from plugin.domain.outcome import REASON_SENTENCES, Reason
from plugin.domain.standing import report_label, standing_sentence
from plugin.domain.verdict import Cause
from plugin.redaction import mask_addresses
from plugin.store.connections import Pause
from plugin.store.errands import OpenErrand
from plugin.store.events import StoredVerdict
from plugin.store.receipts import Attempt, DeliveryRecord, EventRecord, Receipt


def receipt_lines(receipt: Receipt) -> Iterator[str]:
    """A receipt as lines, its times in the tenant's zone.

    E-mail addresses are shortened: terminals are recorded and looked at by others.
    """
    zone = ZoneInfo(receipt.timezone)
    yield f"Receipt {receipt.id}"
    yield f"  {local_time(receipt.received_at, zone)}, from source {receipt.source} ({receipt.source_kind})"
    if receipt.duplicates:
        yield f"  The same message came {receipt.duplicates} more time{'' if receipt.duplicates == 1 else 's'}."
    if receipt.emptied:
        yield f"  {receipt.emptied}"
    if receipt.cause is not None:
        yield f"  {Cause(receipt.cause).sentence} {receipt.cause_detail}"
    for event in receipt.events:
        yield from (mask_addresses(line) for line in _event_lines(event, zone))


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON has it: the message itself as text, or as null where it is kept no more."""
    value = asdict(receipt)
    value["body"] = receipt.body.body.decode("utf-8", "replace") if receipt.body is not None else None
    for name in ("query", "headers"):
        value[name] = getattr(receipt.body, name) if receipt.body is not None else None
    return value


def local_time(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as the tenant's own clocks show it, with the name of the zone."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def _event_lines(record: EventRecord, zone: ZoneInfo) -> Iterator[str]:
    event = record.event
    closing = f", closing number {event.episode_number}" if event.episode_number else ""
    yield f"  {EventKind(event.kind).label}: {event.subject or 'of something without an id'}{closing}"
    if record.parent is not None:
        told = "told by the call of" if event.is_learnt else "belongs to"
        parent = record.parent
        yield f"    {told} delivery {parent.delivery_id} of receipt {parent.receipt_id}"
        yield f"      {parent.rule}: {parent.connection}, reference {parent.reference}"
    if record.is_unplanned:
        yield "    waits for a worker, which asks the rules"
    for note in event.notes:
        yield f"    note: {note}"
    if record.lookup is not None:
        yield from _errand_lines("the source is asked for the rest", record.lookup, zone, "    ")
    for verdict in record.verdicts:
        yield from _verdict_lines(verdict, zone)
    for delivery in record.deliveries:
        yield from _delivery_lines(delivery, zone)


def _verdict_lines(verdict: StoredVerdict, zone: ZoneInfo) -> Iterator[str]:
    again = f" (planned again at {local_time(verdict.planned_again_at, zone)})" if verdict.planned_again_at else ""
    yield f"    {verdict.rule or '(no rule)'}: {verdict.decision} - {Cause(verdict.cause).sentence}{again}"
    for text in (verdict.detail, *verdict.warnings):
        if text:
            yield f"      {text}"
    if verdict.preview is not None:
        when = f", {verdict.preview['ask']}" if "ask" in verdict.preview else ""
        yield f"      {verdict.preview['connection']}: {verdict.preview['call']}{when}"
        yield from _pair_lines(verdict.preview["parameters"].items(), "        ")


def _delivery_lines(record: DeliveryRecord, zone: ZoneInfo) -> Iterator[str]:
    state = "parked" if record.parked else record.state
    reason = f" - {REASON_SENTENCES[Reason(record.reason)]}" if record.reason else ""
    yield f"    delivery {record.id}: {state}{reason}"
    yield f"      {record.rule}: {record.connection} ({record.vendor}) {record.call}, reference {record.reference}"
    note = registry.success_note(record.vendor, record.call, record.reason)
    if note:
        yield f"      {note}"
    if record.pause is not None:
        yield from pause_lines(record.connection, record.pause, zone, "      ")
    yield from _waiting_lines(record, zone)
    if record.replay_of:
        yield f"      replays {record.replay_of}"
    if not any(attempt.url for attempt in record.attempts):
        yield from _pair_lines(record.parameters.items(), "        ")
    for attempt in record.attempts:
        label = registry.step_label(record.vendor, record.call, attempt.step)
        if label:
            yield f"      step: {label}"
        yield from _attempt_lines(attempt, zone)
    for decided in record.resolutions:
        said = RESOLUTION_SENTENCES[Resolution(decided.resolution)]
        yield f"      decided at {local_time(decided.decided_at, zone)} by {decided.decided_by}: {said}"
    yield from _report_lines(record, zone)
    if record.follow_up is not None:
        what = registry.follow_up_label(record.vendor, record.call, record.follow_up.step)
        yield from _errand_lines(what[0].lower() + what[1:], record.follow_up, zone, "      ")


def _waiting_lines(record: DeliveryRecord, zone: ZoneInfo) -> Iterator[str]:
    """What is still to come of a delivery: when, and which step of several."""
    if record.state == DeliveryState.SCHEDULED:
        what = "will be asked" if record.is_delayed else "next try" if record.attempts else "due"
        yield f"      {what} at {local_time(record.due, zone)}; not sent after {local_time(record.expires_at, zone)}"
    step = registry.step_label(record.vendor, record.call, record.step)
    if step and record.state in LIVE_STATES:
        what = "in doubt is" if record.state == DeliveryState.UNCERTAIN else "it has come to"
        yield f"      {what} this step of the call: {step}"


def _report_lines(record: DeliveryRecord, zone: ZoneInfo) -> Iterator[str]:
    """What was told later, and how things stand by it."""
    if record.standing:
        yield f"      what is known since: {standing_sentence(record.standing)}"
    for report in record.reports:
        where = f", by receipt {report.receipt_id}" if report.receipt_id is not None else ""
        yield f"        {local_time(report.happened_at, zone)}: {report_label(report.kind)}{where}"
        if report.words:
            yield f"          “{report.words}”"


def _errand_lines(what: str, errand: OpenErrand, zone: ZoneInfo, indent: str) -> Iterator[str]:
    """What is still being asked, and until when."""
    when = "now" if errand.under_way else f"at {local_time(errand.due, zone)}"
    yield f"{indent}{what} {when}, and no more after {local_time(errand.give_up_at, zone)}"
    if errand.words:
        yield f"{indent}  the last answer: “{errand.words}”"


def pause_lines(connection: str, pause: Pause, zone: ZoneInfo, indent: str) -> Iterator[str]:
    """Why a connection makes no calls, and what ends it."""
    reason = f" {REASON_SENTENCES[Reason(pause.reason)]}" if pause.reason in set(Reason) else ""
    yield f"{indent}{connection} is paused since {local_time(pause.since, zone)}.{reason}"
    if pause.words:
        yield f"{indent}  “{pause.words}”"
    if pause.probe_at is not None:
        at = local_time(pause.probe_at, zone)
        yield f"{indent}  One delivery is tried at {at}; if the vendor takes it, the others follow."


def _attempt_lines(attempt: Attempt, zone: ZoneInfo) -> Iterator[str]:
    yield f"      call: {f'{attempt.method} {attempt.url}' if attempt.url else '(no request is recorded)'}"
    yield f"        begun at {local_time(attempt.claimed_at, zone)}"
    yield from _pair_lines(attempt.parameters or (), "        ")
    if attempt.finished_at is None:
        yield "      under way"
        return
    took = f" after {attempt.duration:.2f} s" if attempt.duration is not None else ""
    status = f"HTTP {attempt.status}" if attempt.status is not None else "no answer"
    yield f"      answer: {status}{took}: {attempt.outcome}{' (came late)' if attempt.late else ''}"
    if attempt.evidence:
        yield f"        {attempt.evidence}"
    if attempt.words:
        yield f"        “{attempt.words}”"


def _pair_lines(pairs: Iterable[Sequence[str]], indent: str) -> Iterator[str]:
    """Names and values. A value of several lines, such as a JSON body, stays below its name."""
    for name, value in pairs:
        yield f"{indent}{name} = " + value.replace("\n", f"\n{indent}  ")
