"""The first page: sources, connections and rules as they are; a source's set-up guide; pausing a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from sqlalchemy import Connection
from werkzeug import Response

from plugin.domain.limits import REQUESTS_PER_MINUTE
from plugin.domain.schedule import Ask
from plugin.manifest import has_app, load_manifest
from plugin.packages import build_package
from plugin.pipeline.choices import lists_of
from plugin.redaction import MASK
from plugin.store import connections, rules, sources, workers
from plugin.store.connections import StoredConnection
from plugin.store.rules import BoundRule
from plugin.store.sources import StoredKey, StoredSource
from plugin.tenant_file import may_ask_twice
from plugin.vault import key_place
from plugin.web.desk import desk
from plugin.web.markdown import render_markdown
from plugin.web.masking import without_addresses
from plugin.web.sessions import visit

#: How far back the rules' decisions are counted.
COUNTED: Final = timedelta(days=7)

blueprint = Blueprint("overview", __name__)


@dataclass(frozen=True)
class Address:
    """One address of a source. ends_at: when it stops working, for one that a newer address took over from."""

    url: str
    ends_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class SourceCard:
    """limit: requests that it may send in a minute. was_flooded: whether it has sent more of late."""

    source: StoredSource
    addresses: Sequence[Address]
    limit: int
    was_flooded: bool


@dataclass(frozen=True)
class ConnectionCard:
    """waiting: deliveries that are still to be made through it. has_choices: whether its vendor can list any."""

    connection: StoredConnection
    waiting: int
    has_choices: bool


@dataclass(frozen=True)
class RuleRow:
    """counts: how often it decided what, by decision."""

    bound: BoundRule
    counts: Mapping[str, int]

    @property
    def waits(self) -> str:
        """When it asks, for a rule that says so; empty for one that asks as all do."""
        return str(self.bound.rule.ask) if self.bound.rule.ask != Ask() else ""

    @property
    def may_ask_twice(self) -> bool:
        return may_ask_twice(self.bound.rule, self.bound.vendor)


@blueprint.get("/")
def show() -> str:
    return render_template("overview.html", **read_overview())


def read_overview() -> dict[str, Any]:
    """What there is to see of the tenant's settings, for templates, as far as this visit may see it."""
    tenant_id, now = visit().tenant.id, desk().mint.now()
    with desk().database.read() as db:
        counts = rules.verdict_counts(db, tenant_id, now - COUNTED)
        return {
            "source_cards": _source_cards(db, tenant_id, now),
            "connection_cards": _connection_cards(db, tenant_id),
            "rule_rows": [RuleRow(bound, counts.get(bound.rule.id, {})) for bound in rules.rules_of(db, tenant_id)],
            "is_working": any(now - worker.seen_at < workers.ALIVE for worker in workers.all_workers(db)),
            "counted_days": COUNTED.days,
        }


def _source_cards(db: Connection, tenant_id: str, now: datetime) -> list[SourceCard]:
    keys = sources.keys_of(db, tenant_id, now)
    return [
        SourceCard(
            source,
            [_address(tenant_id, key) for key in keys.get(source.id, ())],
            limit=source.limit_per_minute or REQUESTS_PER_MINUTE,
            was_flooded=source.too_many_at is not None and now - source.too_many_at < COUNTED,
        )
        for source in sources.sources_of(db, tenant_id)
    ]


def _address(tenant_id: str, key: StoredKey) -> Address:
    # Whoever knows an address can send triggers to it, so a viewer does not see it.
    shown = desk().vault.open(key.key, key_place(tenant_id, key.source_id)) if visit().may_change else MASK
    return Address(desk().trigger_url(shown), key.ends_at, key.last_used_at)


def _connection_cards(db: Connection, tenant_id: str) -> list[ConnectionCard]:
    waiting = connections.parked_counts(db, tenant_id)
    found = connections.connections_of(db, tenant_id)
    if not visit().may_change:
        # A vendor's words may quote the person it was asked about.
        found = without_addresses(found)
    return [ConnectionCard(one, waiting.get(one.id, 0), bool(lists_of(one.vendor))) for one in found]


# --- the set-up guide -------------------------------------------------------------------------------------------------


@blueprint.get("/sources/<name>/guide")
def guide(name: str) -> str:
    """How to connect the other side, with this source's own address filled in."""
    tenant, now = visit().tenant, desk().mint.now()
    with desk().database.read() as db:
        source = sources.source_by_name(db, tenant.id, name)
        keys = sources.keys_of(db, tenant.id, now).get(source.id, [])
    if not keys:
        abort(HTTPStatus.NOT_FOUND, "This source has no address. Save the configuration once more to give it one.")
    url = _address(tenant.id, keys[0]).url
    manifest = load_manifest(source.kind, {"url": url, "source": source.name, "tenant": tenant.name})
    return render_template(
        "guide.html",
        source=source,
        guide=render_markdown(manifest.guide),
        bodies=manifest.bodies,
        has_app=has_app(source.kind),
    )


@blueprint.post("/sources/<name>/package")
def package(name: str) -> Response:
    """What the other side installs, with this source's address and secrets in it, as a file."""
    tenant = visit().tenant
    with desk().database.read() as db:
        source = sources.source_by_name(db, tenant.id, name)
        built = build_package(db, desk().vault, tenant, source, base_url=desk().base_url, now=desk().mint.now())
    response = Response(built.content, mimetype="application/zip")
    response.headers.set("Content-Disposition", "attachment", filename=built.file_name)
    return response


# --- pausing and resuming ---------------------------------------------------------------------------------------------


@blueprint.get("/connections/<name>/pause")
def ask_pause(name: str) -> str:
    return _confirm(name, "pause")


@blueprint.get("/connections/<name>/resume")
def ask_resume(name: str) -> str:
    return _confirm(name, "resume")


def _confirm(name: str, action: str) -> str:
    if not visit().may_change:
        abort(HTTPStatus.FORBIDDEN, "You may look at this connection but not change it.")
    tenant_id = visit().tenant.id
    with desk().database.read() as db:
        connection = connections.connection_by_name(db, tenant_id, name)
        waiting = connections.parked_counts(db, tenant_id).get(connection.id, 0)
    return render_template("confirm_connection.html", connection=connection, action=action, waiting=waiting)


@blueprint.post("/connections/<name>/pause")
def pause(name: str) -> Response:
    tenant_id = visit().tenant.id
    with desk().database.write() as db:
        connection = connections.connection_by_name(db, tenant_id, name)
        connections.pause_connection(
            db, tenant_id, connection.id, reason="by_hand", words="Paused on this page.", now=desk().mint.now()
        )
    flash(f"{name} is paused. What is due waits until you resume it.")
    return _back()


@blueprint.post("/connections/<name>/resume")
def resume(name: str) -> Response:
    tenant_id = visit().tenant.id
    with desk().database.write() as db:
        connection = connections.connection_by_name(db, tenant_id, name)
        connections.resume_connection(db, tenant_id, connection.id)
    flash(f"{name} is resumed. What waited is sent now.")
    return _back()


def _back() -> Response:
    return redirect(url_for("settings.overview.show"), HTTPStatus.SEE_OTHER)
