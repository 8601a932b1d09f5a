"""What a connection's vendor can list for the rules, such as its surveys: asked for when an admin says so."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, render_template

from plugin.pipeline.choices import lists_of
from plugin.store import connections
from plugin.store.connections import StoredConnection
from plugin.web.desk import desk
from plugin.web.sessions import visit

blueprint = Blueprint("choices", __name__)


@blueprint.get("/connections/<name>/choices")
def ask_choices(name: str) -> str:
    """Calls nobody: it shows what can be asked for, and the button."""
    if not visit().may_change:
        abort(HTTPStatus.FORBIDDEN, "You may look at this connection but not have its vendor called.")
    connection = _connection(name)
    return render_template("choices.html", connection=connection, lists=lists_of(connection.vendor), listed=None)


@blueprint.post("/connections/<name>/choices")
def show_choices(name: str) -> str:
    """A call goes out with the tenant's keys, so it is made for an admin who pressed the button and for nobody else."""
    connection = _connection(name)
    listed = desk().chooser.choices(connection)
    return render_template("choices.html", connection=connection, lists=lists_of(connection.vendor), listed=listed)


def _connection(name: str) -> StoredConnection:
    with desk().database.read() as db:
        return connections.connection_by_name(db, visit().tenant.id, name)
