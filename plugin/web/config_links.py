"""Config links: the page that a link opens, and the button on it that begins a session.

Mail scanners and chat previews open every link they see, so opening one (GET) changes nothing.
"""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, redirect, render_template, url_for
from sqlalchemy import Connection
from werkzeug import Response

from plugin.store import links, tenants
from plugin.store.links import Link
from plugin.web.desk import desk
from plugin.web.sessions import begin_session

blueprint = Blueprint("config_links", __name__)


@blueprint.get("/")
def front() -> str:
    """What stands at the bare address of an installation."""
    return render_template("front.html")


@blueprint.get("/config/<token>")
def show(token: str) -> str:
    """A page with one button. It says whose settings these are only to somebody with a good link."""
    with desk().database.read() as db:
        link = _good_link(db, token)
        tenant = tenants.tenant_by_id(db, link.tenant_id)
    return render_template("config_link.html", tenant_name=tenant.name, role=link.role)


@blueprint.post("/config/<token>")
def open_settings(token: str) -> Response:
    """Begin a session and go to the settings."""
    with desk().database.write() as db:
        begin_session(db, _good_link(db, token))
    # The token must not stay in the address bar.
    return redirect(url_for("settings.overview.show"), HTTPStatus.SEE_OTHER)


def _good_link(db: Connection, token: str) -> Link:
    """The link that `token` was made for; answers 404 to one that was not made here, 403 to one that is over."""
    link_id = desk().signer.link_id(token)
    if link_id is None:
        abort(HTTPStatus.NOT_FOUND, "This link is not complete or was not made here. Copy all of it and try again.")
    link = links.find_link(db, link_id, desk().mint.now())
    if link is None:
        abort(HTTPStatus.FORBIDDEN, "This link has expired or was withdrawn. Ask whoever sent it to you for a new one.")
    return link
