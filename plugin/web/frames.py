"""A tenant's settings as the helpdesk shows them in a frame of its own page: to look at, with a way to the whole.

The helpdesk proves each time by a signed token that one of that tenant's people has opened the page. No cookie is set
or read: browsers keep those of a frame to themselves, and a session in a frame could be clicked upon unseen.
"""

from __future__ import annotations

import re
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from flask import Blueprint, abort, g, make_response, redirect, render_template, request, url_for
from werkzeug import Response

from plugin import registry
from plugin.errors import NotFound, SignatureInvalid
from plugin.pipeline.credentials import load_credentials
from plugin.store import links, sources, tenants
from plugin.store.links import Link
from plugin.store.tenants import Tenant
from plugin.tenant_file.schema import SLUG_PATTERN
from plugin.web.desk import desk
from plugin.web.sessions import VIEWER, Visit
from plugin.web.settings_overview import read_overview

#: How long the config link works that the button gives, and with it the session.
_LINK_LENGTH: Final = timedelta(hours=1)
#: What a refusal may be framed by. It says nothing of anybody, and there is nothing on it to be clicked.
_ANYBODY: Final = "https:"

blueprint = Blueprint("frames", __name__, url_prefix="/frames")


@blueprint.post("/<tenant>/<source>")
def show(tenant: str, source: str) -> Response:
    """The overview, as a viewer sees it. Which helpdesk's page may show it stands in its headers."""
    try:
        owner, origin = _opened_by(tenant, source)
    except (NotFound, SignatureInvalid):
        return _framed(render_template("frame_refused.html"), _ANYBODY, HTTPStatus.FORBIDDEN)
    g.visit = Visit(owner, VIEWER, desk().mint.now() + _LINK_LENGTH)
    page = render_template(
        "frame.html",
        **read_overview(),
        token=request.form["token"],
        settings=url_for("frames.open_settings", tenant=tenant, source=source),
    )
    return _framed(page, origin, HTTPStatus.OK)


@blueprint.post("/<tenant>/<source>/settings")
def open_settings(tenant: str, source: str) -> Response:
    """Make a config link for a viewer and go to its page, in a window of its own."""
    try:
        owner, _ = _opened_by(tenant, source)
    except (NotFound, SignatureInvalid):
        abort(HTTPStatus.FORBIDDEN, "This page was open for too long. Reload it in your helpdesk and try once more.")
    now = desk().mint.now()
    link = Link(desk().mint.id(), owner.id, VIEWER, now + _LINK_LENGTH, None)
    with desk().database.write() as db:
        links.add_link(db, owner.id, link, now)
    token = desk().signer.token(link.id).reveal()
    return redirect(url_for("config_links.show", token=token), HTTPStatus.SEE_OTHER)


def _opened_by(slug: str, name: str) -> tuple[Tenant, str]:
    """Whose settings are asked for, and the origin that shows them. Raises NotFound, SignatureInvalid."""
    if not re.fullmatch(SLUG_PATTERN, slug):
        # Anybody may ask here, and a database need not take every text.
        raise NotFound("This is no tenant's name.")
    with desk().database.read() as db:
        tenant = tenants.tenant_by_slug(db, slug)
        source = sources.source_by_name(db, tenant.id, name)
    module = registry.frame_module(source.kind)
    if module is None:
        raise NotFound("Sources of this kind show no page.")
    credentials = load_credentials(desk().vault, source)
    return tenant, module.verify_frame(request.form.get("token", ""), credentials, desk().mint.now())


def _framed(page: str, origin: str, status: int) -> Response:
    response = make_response(page, status)
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {origin}"
    )
    return response
