"""Which delivery a report belongs to, by what its sender names it by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Connection

from plugin import registry
from plugin.domain.delivery import DeliveryState
from plugin.domain.event import Event
from plugin.domain.verdict import Cause
from plugin.pipeline.draft import Setup
from plugin.pipeline.fingerprint import mark_of
from plugin.pipeline.record import tracked_mark
from plugin.registry import Belonging, MatchBy
from plugin.store.belonging import Called, by_person, by_reference, by_tracked

#: States after which the vendor has certainly sent nothing.
_NOTHING_SENT: Final = frozenset({DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.CANCELLED})

_UNMATCHED: Final[Mapping[MatchBy, str]] = {
    MatchBy.REFERENCE: "No delivery has the reference that it names.",
    MatchBy.PERSON: "No call was made to the person that it names.",
    MatchBy.TRACKED: "No call was made with the value that it names.",
}


def belonging_of(setup: Setup, event: Event) -> Belonging | None:
    """What a report names its delivery by, as its source tells; None where it does not say."""
    find = getattr(registry.source(setup.source.kind), "belongs_to", None)
    named: Belonging | None = find(event, setup.credentials) if find is not None else None
    return named


def find_delivery(db: Connection, tenant_id: str, belonging: Belonging, source_kind: str) -> Called | None:
    """The tenant's delivery that a report of this kind of source is about; None when we know none."""
    value = belonging.value
    match belonging.by:
        case MatchBy.REFERENCE:
            found = by_reference(db, tenant_id, value)
        case MatchBy.PERSON:
            found = by_person(db, tenant_id, mark_of(tenant_id, value))
        case MatchBy.TRACKED:
            # Where the reference itself was given, it is not kept a second time.
            found = by_reference(db, tenant_id, value) or by_tracked(db, tenant_id, tracked_mark(tenant_id, value))
    return likeliest(found, source_kind)


def likeliest(found: Iterable[Called], source_kind: str) -> Called | None:
    """Of several: one that may have been sent, through the vendor that reports; of these the newest.

    A vendor that reports has a source of its own name.
    """
    return max(
        found,
        key=lambda call: (call.state not in _NOTHING_SENT, call.vendor == source_kind, call.id),
        default=None,
    )


def why_unmatched(belonging: Belonging | None) -> str:
    """Why a report belongs to no delivery, as a sentence."""
    return _UNMATCHED[belonging.by] if belonging is not None else "It does not say which delivery it is about."


def outlook(db: Connection, setup: Setup, event: Event) -> str:
    """What would become of a report, as a sentence."""
    belonging = belonging_of(setup, event)
    tenant_id, kind = setup.source.tenant_id, setup.source.kind
    called = find_delivery(db, tenant_id, belonging, kind) if belonging is not None else None
    if called is None:
        return f"{why_unmatched(belonging)} {Cause.UNMATCHED.sentence}"
    return f"It belongs to delivery {called.id}; a worker would ask the rules with what that one's event says."
