"""The configuration as YAML: write, check, see the difference, save; and going back to a former version."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug import Response

from plugin.domain.event import CATALOGUE
from plugin.errors import NotAllowed, Problem, TenantFileInvalid
from plugin.store import connections, deliveries, rules, tenants
from plugin.store.tenants import Tenant
from plugin.tenant_file import (
    Applied,
    Change,
    CheckedTenant,
    apply_configuration,
    check_document,
    compare_documents,
    dump_document,
    read_document,
    stored_document,
)
from plugin.tenant_file.document import Document
from plugin.web.desk import desk
from plugin.web.sessions import visit

#: How many versions the page lists.
_LISTED: Final = 30
#: Lines around each change in the difference.
_CONTEXT: Final = 3
_SAVED_BY: Final = "settings page"
_PLACE_IN_DIFF: Final = re.compile(r"^@@ [-+,\d]+ \+(\d+)(?:,\d+)? @@$")
_PLACE: Final = re.compile(r"(sources|connections|rules)\[(\d+)\]")

blueprint = Blueprint("configuration", __name__, url_prefix="/configuration")


@dataclass(frozen=True)
class Difference:
    """What saving would do. lines: of a unified diff of both texts, secrets masked. cancelled: deliveries it ends.

    warnings: what is allowed, but should be known before.
    """

    changes: Sequence[Change]
    lines: Sequence[str]
    cancelled: int
    warnings: Sequence[str]

    @property
    def adds_source(self) -> bool:
        return any(change.subject.startswith("source ") and change.text == "is added." for change in self.changes)


# --- writing ----------------------------------------------------------------------------------------------------------


@blueprint.get("/")
def show() -> str:
    with desk().database.read() as db:
        tenant = _present(db)
        text = dump_document(stored_document(db, desk().vault, tenant))
    return _editor(text, tenant.version)


@blueprint.post("/edit")
def edit() -> str:
    """Back from the difference to the text, as it was written."""
    return _editor(_text(), base_version())


@blueprint.post("/check")
def check() -> str | tuple[str, int]:
    """Show what is wrong with the text, or else what saving it would change."""
    return propose(_text(), base_version())


def propose(text: str, base: int) -> str | tuple[str, int]:
    """A configuration that somebody, or a page for them, has written: what is wrong with it, or what would change.

    base: the version that it was begun with. Nothing is saved.
    """
    try:
        with desk().database.read() as db:
            tenant = _present(db)
            _refuse_outdated(tenant, base)
            difference = _difference(db, tenant, _checked(db, tenant, text))
    except (NotAllowed, TenantFileInvalid) as error:
        return _refusal(text, base, error)
    if not difference.changes:
        flash("Nothing differs from what is saved.")
        return _editor(text, base)
    return render_template("difference.html", difference=difference, text=text, base=base)


@blueprint.post("/save")
def save() -> Response | tuple[str, int]:
    """Save what was checked, unless somebody else has saved since."""
    text, base = _text(), base_version()
    try:
        with desk().database.write() as db:
            tenant = _present(db)
            _refuse_outdated(tenant, base)
            applied = _apply(db, _checked(db, tenant, text), base)
    except (NotAllowed, TenantFileInvalid) as error:
        return _refusal(text, base, error)
    return _saved(applied)


def _refusal(text: str, base: int, error: NotAllowed | TenantFileInvalid) -> tuple[str, int]:
    """The editor again, with the text kept and what stands against it."""
    if isinstance(error, TenantFileInvalid):
        return _editor(text, base, error.problems), HTTPStatus.UNPROCESSABLE_ENTITY
    return _editor(text, base, [Problem("", str(error))]), HTTPStatus.CONFLICT


# --- former versions --------------------------------------------------------------------------------------------------


@blueprint.get("/versions/<int:version>")
def ask_restore(version: int) -> str | tuple[str, int]:
    """What going back to a former version would change."""
    if not visit().may_change:
        abort(HTTPStatus.FORBIDDEN, "You may look at this configuration but not change it.")
    with desk().database.read() as db:
        tenant = _present(db)
        former = _former(db, tenant, version)
        try:
            difference = _difference(db, tenant, _recheck(former))
        except TenantFileInvalid as error:
            return render_template("not_restorable.html", version=version, problems=error.problems), 422
    return render_template("restore.html", difference=difference, version=version, base=tenant.version)


@blueprint.post("/versions/<int:version>")
def restore(version: int) -> Response:
    """Make a former version the present one; it is saved as a new version."""
    base = base_version()
    try:
        with desk().database.write() as db:
            applied = _apply(db, _recheck(_former(db, _present(db), version)), base)
    except TenantFileInvalid as error:
        raise NotAllowed(f"This version does not fit any more: {error}") from None
    return _saved(applied)


def _former(db: Connection, tenant: Tenant, version: int) -> Document:
    if version >= tenant.version or tenants.configuration(db, tenant.id, version) is None:
        abort(HTTPStatus.NOT_FOUND, "There is no such former version.")
    return stored_document(db, desk().vault, tenant, version)


def _recheck(former: Document) -> CheckedTenant:
    """What was right once may have become wrong: a connector has changed, an address is allowed no more."""
    return check_document(former, extra_origins=desk().extra_origins)


# --- steps ------------------------------------------------------------------------------------------------------------


def _present(db: Connection) -> Tenant:
    """The tenant as this transaction sees it; the one of the visit was read before."""
    return tenants.tenant_by_id(db, visit().tenant.id)


def _text() -> str:
    return request.form.get("text", "")


def base_version() -> int:
    """The version that the person began with."""
    written = request.form.get("base", "")
    if not re.fullmatch(r"\d{1,9}", written):
        abort(HTTPStatus.BAD_REQUEST)
    return int(written)


def _refuse_outdated(tenant: Tenant, base: int) -> None:
    if tenant.version != base:
        raise NotAllowed(
            "Somebody else has saved this configuration meanwhile. Copy what you have written, start over from what is "
            "saved and make your change again."
        )


def _checked(db: Connection, tenant: Tenant, text: str) -> CheckedTenant:
    """The text without a fault, as a configuration of this tenant and no other. Raises TenantFileInvalid."""
    document = read_document(text)
    if document.get("tenant") != tenant.slug:
        raise TenantFileInvalid([Problem("tenant", f"must stay {tenant.slug}; a tenant cannot be renamed here.")])
    stored = stored_document(db, desk().vault, tenant)
    try:
        return check_document(document, stored=stored, extra_origins=desk().extra_origins)
    except TenantFileInvalid as error:
        raise TenantFileInvalid([_with_name(problem, document) for problem in error.problems]) from None


def _with_name(problem: Problem, document: Mapping[str, Any]) -> Problem:
    """The problem with the name of the part it is about: nobody counts rules from nought."""
    found = _PLACE.match(problem.place)
    parts = document.get(found[1]) if found else None
    at = int(found[2]) if found else 0
    if found and isinstance(parts, list) and at < len(parts) and isinstance(parts[at], dict) and "name" in parts[at]:
        return Problem(f"{found[0]} ({parts[at]['name']}){problem.place[found.end() :]}", problem.message)
    return problem


def _difference(db: Connection, tenant: Tenant, checked: CheckedTenant) -> Difference:
    before, after = stored_document(db, desk().vault, tenant), checked.document
    return Difference(
        compare_documents(before, after),
        _compare_lines(dump_document(before), dump_document(after)),
        _count_cancelled(db, tenant.id, after),
        checked.warnings,
    )


def _compare_lines(before: str, after: str) -> list[str]:
    """A unified diff for readers: without its two first lines, and each place told as `@ line 12`."""
    lines = list(unified_diff(before.splitlines(), after.splitlines(), n=_CONTEXT, lineterm=""))[2:]
    return [_PLACE_IN_DIFF.sub(r"@ line \1", line) for line in lines]


def _count_cancelled(db: Connection, tenant_id: str, after: Document) -> int:
    """How many waiting deliveries would end because their rule or connection is removed."""
    kept_rules = {rule["name"] for rule in after["rules"]}
    kept_connections = {connection["name"] for connection in after["connections"]}
    return deliveries.count_waiting(
        db,
        tenant_id,
        rule_ids=[one.rule.id for one in rules.rules_of(db, tenant_id) if one.rule.name not in kept_rules],
        connection_ids=[
            one.id for one in connections.connections_of(db, tenant_id) if one.name not in kept_connections
        ],
    )


def _apply(db: Connection, checked: CheckedTenant, base: int) -> Applied:
    return apply_configuration(db, desk().vault, desk().mint, checked, saved_by=_SAVED_BY, base=base)


def _saved(applied: Applied) -> Response:
    ended = f" {applied.cancelled} waiting deliveries were cancelled." if applied.cancelled else ""
    flash(f"Saved as version {applied.version}.{ended}")
    return redirect(url_for("settings.configuration.show"), HTTPStatus.SEE_OTHER)


def _editor(text: str, base: int, problems: Sequence[Problem] = ()) -> str:
    with desk().database.read() as db:
        history = tenants.configuration_history(db, visit().tenant.id, _LISTED)
    return render_template(
        "configuration.html",
        text=text,
        base=base,
        problems=problems,
        history=history,
        placeholders=CATALOGUE.values(),
    )
