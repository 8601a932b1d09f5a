"""Rules, as rows: the definition is what the tenant wrote, without the names that stand in columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select, update

from plugin.domain.event import EventKind
from plugin.domain.rule import AnyOf, Condition, Rule
from plugin.domain.schedule import Ask
from plugin.store.database import put_row
from plugin.store.tables import connections, events, rules, triggers, verdicts


@dataclass(frozen=True)
class BoundRule:
    """A rule with what its survey call goes through. languages: what the vendor calls them, by tag."""

    rule: Rule
    connection_id: str
    vendor: str
    languages: Mapping[str, str] = field(default_factory=dict)


_RULES_OF: Final = (
    select(
        rules.c.id,
        rules.c.name,
        rules.c.definition,
        connections.c.id.label("connection_id"),
        connections.c.name.label("connection"),
        connections.c.vendor,
        connections.c.languages,
    )
    .join(connections, connections.c.id == rules.c.connection_id)
    .where(rules.c.tenant_id == bindparam("tenant"), rules.c.removed_at.is_(None))
    .order_by(rules.c.position)
)


def rules_of(db: Connection, tenant_id: str) -> list[BoundRule]:
    """All rules of a tenant, in the order they decide in."""
    return [
        BoundRule(
            read_rule(row.id, row.name, row.connection, row.definition),
            row.connection_id,
            row.vendor,
            row.languages or {},
        )
        for row in db.execute(_RULES_OF, {"tenant": tenant_id})
    ]


def names_ever(db: Connection, tenant_id: str) -> set[str]:
    """The names of a tenant's rules, also of those that were removed."""
    return set(db.execute(select(rules.c.name).where(rules.c.tenant_id == tenant_id)).scalars())


def put_rule(db: Connection, tenant_id: str, values: Mapping[str, Any]) -> None:
    """Insert or change a rule by its id."""
    put_row(db, rules, tenant_id, values)


def remove_rule(db: Connection, tenant_id: str, rule_id: str, now: datetime) -> None:
    db.execute(update(rules).where(rules.c.tenant_id == tenant_id, rules.c.id == rule_id).values(removed_at=now))


def verdict_counts(db: Connection, tenant_id: str, since: datetime) -> dict[str, dict[str, int]]:
    """How often each rule decided what, by rule id and decision."""
    query = (
        select(verdicts.c.rule_id, verdicts.c.decision, func.count().label("times"))
        .join(events, events.c.id == verdicts.c.event_id)
        .join(triggers, triggers.c.id == events.c.trigger_id)
        .where(triggers.c.tenant_id == tenant_id, triggers.c.received_at >= since, verdicts.c.rule_id.is_not(None))
        .group_by(verdicts.c.rule_id, verdicts.c.decision)
    )
    counts: dict[str, dict[str, int]] = {}
    for row in db.execute(query):
        counts.setdefault(row.rule_id, {})[row.decision] = row.times
    return counts


def write_rule(rule: Rule) -> dict[str, Any]:
    """The definition of a rule, for its row."""
    return {
        "enabled": rule.enabled,
        "stop": rule.stop,
        "sources": list(rule.sources) if rule.sources is not None else None,
        "events": [str(kind) for kind in rule.events],
        "conditions": [_write_condition(condition) for condition in rule.conditions],
        "call": rule.call,
        "parameters": dict(rule.parameters),
        "ask": {
            "delay_minutes": rule.ask.delay // timedelta(minutes=1),
            "expires_hours": rule.ask.fresh_for // timedelta(hours=1),
        },
        "when_uncertain": "resend" if rule.resend else "hold",
        "described": rule.described,
    }


def read_rule(rule_id: str, name: str, connection: str, definition: Mapping[str, Any]) -> Rule:
    """The other way round."""
    return Rule(
        id=rule_id,
        name=name,
        connection=connection,
        call=definition["call"],
        enabled=definition["enabled"],
        stop=definition["stop"],
        sources=tuple(definition["sources"]) if definition["sources"] is not None else None,
        events=tuple(EventKind(kind) for kind in definition["events"]),
        conditions=tuple(read_condition(condition) for condition in definition["conditions"]),
        parameters=definition["parameters"],
        ask=_read_ask(definition.get("ask") or {}),
        resend=definition.get("when_uncertain") == "resend",
        described=definition.get("described"),
    )


def _read_ask(definition: Mapping[str, int]) -> Ask:
    """As the row of a rule or the tenant's file has it; either may leave out what it says nothing about."""
    ask = Ask()
    if "delay_minutes" in definition:
        ask = replace(ask, delay=timedelta(minutes=definition["delay_minutes"]))
    if "expires_hours" in definition:
        ask = replace(ask, fresh_for=timedelta(hours=definition["expires_hours"]))
    return ask


def _write_condition(condition: Condition | AnyOf) -> dict[str, Any]:
    if isinstance(condition, AnyOf):
        return {"any": [_write_condition(inner) for inner in condition.any]}
    value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    return {"field": condition.field, "op": condition.op, "value": value}


def read_condition(definition: Mapping[str, Any]) -> Condition | AnyOf:
    """A condition as the tenant's file writes it, after the file was checked."""
    if "any" in definition:
        return AnyOf(tuple(read_condition(inner) for inner in definition["any"]))
    value = definition.get("value", "")
    return Condition(definition["field"], definition["op"], tuple(value) if isinstance(value, list) else value)
