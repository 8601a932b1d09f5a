"""People who want no more invitations: what puts them on the list, and what that ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from plugin import registry
from plugin.domain.delivery import DeliveryState
from plugin.domain.event import Event
from plugin.domain.outcome import Reason
from plugin.pipeline.fingerprint import mark_of, person_marks
from plugin.redaction import mask_addresses
from plugin.store import suppressions
from plugin.store.deliveries import cancel_waiting
from plugin.store.settling import Finished
from plugin.store.suppressions import Suppression

#: Whose word it is, where no vendor said it.
BY_HAND = "A person of your team"


def invites(vendor: str, call: str) -> bool:
    """Whether a call may reach the person; yes, where the connector does not say."""
    if vendor not in registry.vendor_names():
        return True
    declared = registry.vendor(vendor).VENDOR.calls.get(call)
    return declared is None or declared.invites


def says_no_more(finished: Finished) -> bool:
    """Whether an answer means that the person wants no more invitations."""
    settlement, row = finished.settlement, finished.row
    if settlement.state is DeliveryState.REJECTED:
        return settlement.reason is Reason.OPTED_OUT
    if settlement.state is not DeliveryState.ACCEPTED or row.vendor not in registry.vendor_names():
        return False
    declared = registry.vendor(row.vendor).VENDOR.calls.get(row.call)
    return declared is not None and declared.opts_out


def honour(db: Connection, finished: Sequence[Finished], now: datetime) -> None:
    """Put the people of these calls on the list, and call off what was to be sent to them.

    `suppressions.hold_tenants` has to come first in the transaction.
    """
    for item in finished:
        row = item.row
        for mark in suppressions.marks_of_delivery(db, row.id):
            said_by = suppressions.name_of_connection(db, row.connection_id)
            new = Suppression(mark, now, said_by, item.settlement.words, row.id)
            _suppress(db, row.tenant_id, new, now)


def add_by_hand(db: Connection, tenant_id: str, address: str, words: str, now: datetime) -> bool:
    """Put the person with this e-mail address or phone number on the list; False when they were on it."""
    suppressions.hold_tenants(db, [tenant_id])
    return _suppress(db, tenant_id, Suppression(mark_of(tenant_id, address), now, BY_HAND, words), now)


def remove_by_hand(db: Connection, tenant_id: str, address: str) -> bool:
    """Take the person off the list; False when they were not on it."""
    return suppressions.lift(db, tenant_id, mark_of(tenant_id, address))


def wish_of_address(db: Connection, tenant_id: str, address: str) -> Suppression | None:
    """What is on the list about the person with this e-mail address or phone number."""
    return next(iter(suppressions.wishes_of(db, [tenant_id], [mark_of(tenant_id, address)])), None)


def wish_of_person(db: Connection, tenant_id: str, event: Event) -> Suppression | None:
    """The wish of an event's person to be sent no more invitations."""
    return next(iter(suppressions.wishes_of(db, [tenant_id], person_marks(tenant_id, event))), None)


def _suppress(db: Connection, tenant_id: str, new: Suppression, now: datetime) -> bool:
    # They outlive the receipt and the person's data, so an address has no place in them.
    is_new = suppressions.suppress(db, tenant_id, replace(new, words=mask_addresses(new.words)))
    waiting = suppressions.waiting_for(db, tenant_id, [new.person])
    cancel_waiting(db, [one.id for one in waiting if invites(one.vendor, one.call)], now, Reason.OPTED_OUT)
    return is_new
