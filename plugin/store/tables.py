"""The tables as they are now. Changes go through a migration as well; a test holds both together.

Rows that the worker reads and writes all day (`deliveries`, `lanes`) are narrow; what is only shown (`delivery_calls`,
`trigger_bodies`, `event_values`, `attempts`) stands apart. `sealed` columns hold what the vault made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite keeps it as text that sorts as time does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


_ID: Final = String(26)
_NAME: Final = String(100)


def _tenant(**kwargs: Any) -> Column[str]:
    return Column("tenant_id", _ID, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False, **kwargs)


# --- tenants and what they configured -----------------------------------------------------------------------------

tenants = Table(
    "tenants",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("slug", _NAME, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("language", String(35), nullable=False),
    # Raised by each change of the configuration; a plan made under an older one is made anew.
    Column("version", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

configurations = Table(
    "configurations",
    metadata,
    _tenant(),
    Column("version", Integer, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("saved_at", UtcTime, nullable=False),
    Column("saved_by", _NAME, nullable=False),
    Column("summary", Text, nullable=False),
    PrimaryKeyConstraint("tenant_id", "version"),
)

sources = Table(
    "sources",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(index=True),
    Column("name", _NAME, nullable=False),
    Column("kind", _NAME, nullable=False),
    Column("state", String(10), nullable=False),
    Column("credentials", Text, nullable=False, comment="sealed"),
    # Also taken while the other side is changed over to the new ones; and when they were last needed.
    Column("old_credentials", Text, comment="sealed"),
    Column("old_used_at", UtcTime),
    # How its messages are read; NULL where nothing was set.
    Column("settings", JSON(none_as_null=True)),
    # Of its customers, where a message does not tell; NULL: the tenant's.
    Column("language", String(35)),
    Column("position", Integer, nullable=False),
    Column("removed_at", UtcTime),
    Column("last_request_at", UtcTime),
    Column("last_answer", Integer),
    # Events about other accounts than its own, which were dropped, and the last of them.
    Column("strangers", Integer, nullable=False, server_default=text("0")),
    Column("strangers_at", UtcTime),
    # Requests that may come in a minute; NULL: as many as any other source's.
    Column("limit_per_minute", Integer),
    # Requests refused because there were too many, how many since when, and the last of them.
    Column("too_many", Integer, nullable=False, server_default=text("0")),
    Column("too_many_since", UtcTime),
    Column("too_many_at", UtcTime),
    Index("uq_sources_tenant_id_name", "tenant_id", "name", unique=True, sqlite_where=text("removed_at IS NULL"),
          postgresql_where=text("removed_at IS NULL")),
)  # fmt: skip

source_keys = Table(
    "source_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    _tenant(),
    Column("source_id", _ID, ForeignKey("sources.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("key", Text, nullable=False, comment="sealed"),
    Column("created_at", UtcTime, nullable=False),
    # Set when a newer key took over; both are alive until then.
    Column("ends_at", UtcTime),
    Column("last_used_at", UtcTime),
)

connections = Table(
    "connections",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(index=True),
    Column("name", _NAME, nullable=False),
    Column("vendor", _NAME, nullable=False),
    Column("settings", Text, nullable=False, comment="sealed"),
    # What the vendor calls languages, by tag; NULL: as we do.
    Column("languages", JSON(none_as_null=True)),
    Column("position", Integer, nullable=False),
    Column("removed_at", UtcTime),
    Column("paused_at", UtcTime),
    Column("paused_reason", String(40)),
    Column("paused_words", Text),
    # Refusals in a row for different people without a success between; three pause the connection.
    Column("strikes", Integer, nullable=False, server_default=text("0")),
    Column("last_struck", String(64)),
    Column("last_success_at", UtcTime),
    Index("uq_connections_tenant_id_name", "tenant_id", "name", unique=True,
          sqlite_where=text("removed_at IS NULL"), postgresql_where=text("removed_at IS NULL")),
)  # fmt: skip

rules = Table(
    "rules",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(index=True),
    Column("name", _NAME, nullable=False),
    Column("connection_id", _ID, ForeignKey("connections.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("definition", JSON, nullable=False),
    Column("removed_at", UtcTime),
    Index("uq_rules_tenant_id_name", "tenant_id", "name", unique=True, sqlite_where=text("removed_at IS NULL"),
          postgresql_where=text("removed_at IS NULL")),
)  # fmt: skip

links = Table(
    "links",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(index=True),
    Column("role", String(10), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id_hash", String(64), primary_key=True),
    _tenant(),
    Column("link_id", _ID, ForeignKey("links.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role", String(10), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)

# --- what came in and what was decided ---------------------------------------------------------------------------

triggers = Table(
    "triggers",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(),
    Column("source_id", _ID, ForeignKey("sources.id"), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("method", String(10), nullable=False),
    # What in the request can never honestly come twice; NULL where its proof does not cover a time.
    Column("replay_mark", String(64)),
    # `unreadable`, or NULL.
    Column("cause", String(20)),
    Column("cause_detail", Text, nullable=False, server_default=text("''")),
    Column("duplicates", Integer, nullable=False, server_default=text("0")),
    # When its payload and personal values were removed, and for what: `retention` or `forgotten`.
    Column("emptied_at", UtcTime),
    Column("emptied_for", String(10)),
    Index("ix_triggers_tenant_id_received_at", "tenant_id", "received_at", "id"),
    UniqueConstraint("source_id", "replay_mark"),
)

trigger_bodies = Table(
    "trigger_bodies",
    metadata,
    Column("trigger_id", _ID, ForeignKey("triggers.id", ondelete="CASCADE"), primary_key=True),
    _tenant(),
    Column("query", Text, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

event_keys = Table(
    "event_keys",
    metadata,
    Column("source_id", _ID, ForeignKey("sources.id", ondelete="CASCADE"), nullable=False),
    Column("key", String(64), nullable=False),
    _tenant(),
    Column("event_id", _ID, nullable=False),
    Column("forget_at", UtcTime, nullable=False, index=True),
    PrimaryKeyConstraint("source_id", "key"),
)

episodes = Table(
    "episodes",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(),
    Column("source_id", _ID, ForeignKey("sources.id"), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("number", Integer, nullable=False),
    Column("mark", String(200)),
    Column("status", String(100)),
    Column("began_at", UtcTime, nullable=False),
    # Set by a re-opening.
    Column("ended_at", UtcTime),
    UniqueConstraint("source_id", "subject", "number"),
)

events = Table(
    "events",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(),
    Column("trigger_id", _ID, ForeignKey("triggers.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("source_id", _ID, ForeignKey("sources.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("sender_id", Text),
    Column("kind", String(30), nullable=False),
    Column("vendor_kind", Text, nullable=False),
    Column("happened_at", UtcTime),
    Column("subject", String(300)),
    Column("episode_id", _ID, ForeignKey("episodes.id")),
    # False until a worker has planned it, for events that cannot be planned as they come in.
    Column("planned", Boolean, nullable=False),
    # While not planned: something has to be asked first, so no worker plans it yet. Whoever ends the asking clears it.
    Column("waits", Boolean, nullable=False, server_default=text("false")),
    # Whether its source was asked for more, or has said it before: then the values hold more than the message.
    Column("looked_up", Boolean, nullable=False, server_default=text("false")),
    # It was not planned when a backup was put back, so what it asks for is held for a person.
    Column("held", Boolean, nullable=False, server_default=text("false")),
    # For a report, and for what a call has told: whose delivery it belongs to, and how long the chain is.
    Column("parent_delivery_id", _ID),
    Column("depth", Integer, nullable=False, server_default=text("0")),
    Column("notes", JSON, nullable=False),
    # It came while its source was not in state live: nothing is ever sent for it.
    Column("test", Boolean, nullable=False, server_default=text("false")),
    Index("ix_events_tenant_id_subject", "tenant_id", "subject"),
    Index("ix_events_to_plan", "id", sqlite_where=text("NOT planned AND NOT waits"),
          postgresql_where=text("NOT planned AND NOT waits")),
    Index("ix_events_parent_delivery_id", "parent_delivery_id", sqlite_where=text("parent_delivery_id IS NOT NULL"),
          postgresql_where=text("parent_delivery_id IS NOT NULL")),
)  # fmt: skip

event_values = Table(
    "event_values",
    metadata,
    Column("event_id", _ID, ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    _tenant(),
    Column("placeholders", JSON, nullable=False),
    Column("unrendered", JSON, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("event_id", _ID, ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    _tenant(),
    Column("rule_id", _ID),
    Column("rule", _NAME),
    Column("decision", String(10), nullable=False),
    Column("cause", String(20), nullable=False),
    Column("detail", Text, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("delivery_id", _ID),
    # What would have been sent, for a verdict that says so: call name and parameters.
    Column("preview", JSON),
    # Set where a replay has planned the event anew for this rule; the verdicts before stay as history.
    Column("planned_again_at", UtcTime),
    PrimaryKeyConstraint("event_id", "position"),
)

# --- deliveries -------------------------------------------------------------------------------------------------

#: Rows that a claim, a pause or an expiry may still touch.
_LIVE: Final = text("state IN ('scheduled', 'claimed')")

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(),
    Column("connection_id", _ID, ForeignKey("connections.id"), nullable=False),
    Column("rule_id", _ID, ForeignKey("rules.id"), nullable=False),
    Column("event_id", _ID, ForeignKey("events.id"), nullable=False, index=True),
    # The episode, or the event where there is none: what a rule asks for at most once.
    Column("unit_id", _ID, nullable=False),
    Column("reference", String(26), nullable=False, unique=True),
    Column("replay_of", _ID),
    Column("state", String(10), nullable=False),
    Column("reason", String(30)),
    Column("call", _NAME, nullable=False),
    Column("step", _NAME, nullable=False),
    Column("due", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("lease_epoch", Integer, nullable=False, server_default=text("0")),
    Column("leased_until", UtcTime),
    Column("resend", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", UtcTime, nullable=False),
    Column("settled_at", UtcTime),
    Column("vendor_reference", Text),
    Index("uq_deliveries_unit_id_rule_id", "unit_id", "rule_id", unique=True, sqlite_where=text("replay_of IS NULL"),
          postgresql_where=text("replay_of IS NULL")),
    Index("ix_deliveries_due", "connection_id", "due", "id", sqlite_where=text("state = 'scheduled'"),
          postgresql_where=text("state = 'scheduled'")),
    Index("ix_deliveries_lease", "connection_id", "leased_until", sqlite_where=text("state = 'claimed'"),
          postgresql_where=text("state = 'claimed'")),
    Index("ix_deliveries_uncertain", "connection_id", "id", sqlite_where=text("state = 'uncertain'"),
          postgresql_where=text("state = 'uncertain'")),
    Index("ix_deliveries_tenant_id_state", "tenant_id", "state", "id"),
)  # fmt: skip

delivery_calls = Table(
    "delivery_calls",
    metadata,
    Column("delivery_id", _ID, ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    _tenant(),
    Column("parameters", JSON, nullable=False),
    Column("memory", Text, comment="sealed"),
    # Tells people apart without naming them: a hash of tenant and address.
    Column("person", String(64)),
    # The same of the phone number, where the person is told by an e-mail address.
    Column("phone", String(64)),
    # A hash of tenant and the value of the call's `tracked` parameter, where that is not the reference.
    Column("tracked", String(64)),
    Index("ix_delivery_calls_person", "tenant_id", "person", "delivery_id", sqlite_where=text("person IS NOT NULL"),
          postgresql_where=text("person IS NOT NULL")),
    Index("ix_delivery_calls_phone", "tenant_id", "phone", "delivery_id", sqlite_where=text("phone IS NOT NULL"),
          postgresql_where=text("phone IS NOT NULL")),
    Index("ix_delivery_calls_tracked", "tenant_id", "tracked", "delivery_id", sqlite_where=text("tracked IS NOT NULL"),
          postgresql_where=text("tracked IS NOT NULL")),
    Index("ix_delivery_calls_memory", "delivery_id", sqlite_where=text("memory IS NOT NULL"),
          postgresql_where=text("memory IS NOT NULL")),
)  # fmt: skip

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", _ID, ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    Column("epoch", Integer, nullable=False),
    _tenant(),
    Column("step", _NAME, nullable=False),
    Column("worker", _NAME, nullable=False),
    Column("claimed_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("duration", Float, comment="seconds on the wire"),
    Column("method", String(10)),
    Column("url", Text, comment="masked"),
    Column("parameters", JSON, comment="secrets masked"),
    # How much of the request was handed to the network; NULL where nobody could tell.
    Column("bytes_sent", Integer),
    Column("status", Integer),
    Column("outcome", String(20)),
    Column("reason", String(30)),
    Column("words", Text),
    # An answer that came after a newer claim or a person's decision: recorded, not applied.
    Column("late", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("delivery_id", "epoch"),
)

lanes = Table(
    "lanes",
    metadata,
    Column("connection_id", _ID, ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    _tenant(),
    # No row of the lane is due before this; NULL when it has none.
    Column("next_due", UtcTime),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("served_at", UtcTime, nullable=False),
    # Whether the last call timed out: such lanes share a part of the senders.
    Column("hanging", Boolean, nullable=False, server_default=text("false")),
    # Calls that may be under way at a time, and that may begin within a minute; NULL: as many as come.
    Column("in_flight_cap", Integer, nullable=False, server_default=text("8")),
    Column("calls_per_minute", Integer),
    # With a limit a minute: no call begins before this.
    Column("next_call", UtcTime),
    # While paused: when one delivery is let through to see whether the vendor takes it again, and how many were.
    Column("probe_at", UtcTime),
    Column("probes", Integer, nullable=False, server_default=text("0")),
    Index("ix_lanes_next_due", "served_at", sqlite_where=text("next_due IS NOT NULL AND NOT paused"),
          postgresql_where=text("next_due IS NOT NULL AND NOT paused")),
)  # fmt: skip

#: What was told later of a delivery: by a sender's event, or by what was asked about it afterwards.
reports = Table(
    "reports",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(),
    # NULL for a report that belongs to no delivery that we know.
    Column("delivery_id", _ID, ForeignKey("deliveries.id", ondelete="CASCADE")),
    # NULL for what we asked for ourselves.
    Column("event_id", _ID, ForeignKey("events.id", ondelete="CASCADE"), unique=True),
    Column("kind", String(30), nullable=False),
    Column("happened_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("words", Text, nullable=False),
    Index("ix_reports_delivery_id", "delivery_id", "id", sqlite_where=text("delivery_id IS NOT NULL"),
          postgresql_where=text("delivery_id IS NOT NULL")),
    Index("ix_reports_unmatched", "tenant_id", "id", sqlite_where=text("delivery_id IS NULL"),
          postgresql_where=text("delivery_id IS NULL")),
)  # fmt: skip

#: Requests that may be repeated without harm and that no delivery waits for. A row is one that is still to be done.
errands = Table(
    "errands",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(),
    # `follow_up` of a delivery that has ended, or `lookup` of what an event's message does not say.
    Column("kind", String(10), nullable=False),
    # What its calls go through, a few at a time: a connection's id for follow-ups, a source's for look-ups.
    Column("lane", _ID, nullable=False),
    Column("delivery_id", _ID, ForeignKey("deliveries.id", ondelete="CASCADE")),
    Column("event_id", _ID, ForeignKey("events.id", ondelete="CASCADE")),
    Column("step", _NAME, nullable=False),
    Column("memory", Text, comment="sealed"),
    # Not before this; a claim puts it off to the end of its lease, so that what a silent worker held is due again.
    Column("due", UtcTime, nullable=False),
    Column("give_up_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("lease_epoch", Integer, nullable=False, server_default=text("0")),
    Column("leased_until", UtcTime),
    # What the last answer said.
    Column("words", Text, nullable=False, server_default=text("''")),
    Index("ix_errands_due", "due"),
    Index("ix_errands_lane", "lane", "due"),
    Index("ix_errands_lease", "leased_until", "lane", sqlite_where=text("leased_until IS NOT NULL"),
          postgresql_where=text("leased_until IS NOT NULL")),
    Index("ix_errands_delivery_id", "delivery_id", sqlite_where=text("delivery_id IS NOT NULL"),
          postgresql_where=text("delivery_id IS NOT NULL")),
    Index("ix_errands_event_id", "event_id", sqlite_where=text("event_id IS NOT NULL"),
          postgresql_where=text("event_id IS NOT NULL")),
)  # fmt: skip

workers = Table(
    "workers",
    metadata,
    Column("id", _NAME, primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("threads", Integer, nullable=False),
)

#: People who want no more invitations, by the mark that tells them from others.
suppressions = Table(
    "suppressions",
    metadata,
    _tenant(),
    Column("person", String(64), nullable=False),
    Column("since", UtcTime, nullable=False),
    # A connection's name, or who wrote it down.
    Column("said_by", _NAME, nullable=False),
    Column("words", Text, nullable=False),
    Column("delivery_id", _ID),
    PrimaryKeyConstraint("tenant_id", "person"),
)

# --- what people decided --------------------------------------------------------------------------------------------

#: What people said of a delivery each time it was uncertain: `sent`, `not_sent` or `cancel`.
resolutions = Table(
    "resolutions",
    metadata,
    Column("delivery_id", _ID, ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    _tenant(),
    Column("resolution", String(10), nullable=False),
    Column("decided_by", _NAME, nullable=False),
    Column("decided_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("delivery_id", "number"),
)

replays = Table(
    "replays",
    metadata,
    Column("id", _ID, primary_key=True),
    _tenant(index=True),
    # `choosing`, `making` or `done`.
    Column("state", String(10), nullable=False),
    Column("selection", JSON, nullable=False),
    Column("per_minute", Integer, nullable=False),
    # Up to where the choosing has come, in the selection's own order; NULL before its first page.
    Column("chosen_to", String(100)),
    # Items are numbered from 0 in the order they were chosen, and handled in that order: made + refused is the next.
    Column("chosen", Integer, nullable=False, server_default=text("0")),
    Column("made", Integer, nullable=False, server_default=text("0")),
    Column("refused", Integer, nullable=False, server_default=text("0")),
    Column("created_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
)

replay_items = Table(
    "replay_items",
    metadata,
    Column("replay_id", _ID, ForeignKey("replays.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    _tenant(),
    # The delivery to be made once more; NULL where an event is planned anew for a rule.
    Column("delivery_id", _ID),
    Column("event_id", _ID, nullable=False),
    Column("rule", _NAME, nullable=False),
    # `waiting`, `made` or `refused`.
    Column("state", String(10), nullable=False),
    Column("new_delivery_id", _ID),
    Column("refusal", String(20)),
    Column("detail", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("replay_id", "position"),
    Index("ix_replay_items_event_id", "event_id", sqlite_where=text("detail <> ''"),
          postgresql_where=text("detail <> ''")),
)  # fmt: skip

# --- what metrics count -------------------------------------------------------------------------------------------

counters = Table(
    "counters",
    metadata,
    Column("name", _NAME, nullable=False),
    # The values of its labels as a JSON list, in the order that the metric declares.
    Column("labels", String(200), nullable=False),
    # Empty for the row that everybody adds to; else drawn for a row that one transaction wrote and that is added later.
    Column("part", _ID, nullable=False),
    Column("value", Float, nullable=False),
    PrimaryKeyConstraint("name", "labels", "part"),
)
