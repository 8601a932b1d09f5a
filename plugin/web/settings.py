"""Everything under /settings/: what holds for each of its pages, so that no page can forget it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from flask import Blueprint, abort, flash, g, redirect, request, url_for
from werkzeug import Response

from plugin.web import (
    settings_capture,
    settings_choices,
    settings_configuration,
    settings_overview,
    settings_pasted,
    settings_receipts,
    settings_suppressions,
)
from plugin.web.desk import desk
from plugin.web.sessions import end_session, find_visit

#: What a viewer may send although it is not a mere look.
_OPEN_TO_VIEWERS: Final = frozenset({"settings.leave"})

blueprint = Blueprint("settings", __name__, url_prefix="/settings")
blueprint.register_blueprint(settings_overview.blueprint)
blueprint.register_blueprint(settings_capture.blueprint)
blueprint.register_blueprint(settings_choices.blueprint)
blueprint.register_blueprint(settings_configuration.blueprint)
blueprint.register_blueprint(settings_pasted.blueprint)
blueprint.register_blueprint(settings_receipts.blueprint)
blueprint.register_blueprint(settings_suppressions.blueprint)


@blueprint.before_request
def admit() -> None:
    """Let in only those with a session, and let only admins change something."""
    g.visit = find_visit()
    if g.visit is None:
        abort(
            HTTPStatus.FORBIDDEN,
            "You have no open session here, or it has ended. Open your config link again; if the link is over too, ask "
            "whoever sent it to you for a new one.",
        )
    changes = request.method not in {"GET", "HEAD", "OPTIONS"}
    if changes and not g.visit.may_change and request.endpoint not in _OPEN_TO_VIEWERS:
        abort(HTTPStatus.FORBIDDEN, "You may look at these settings but not change them. Ask for an admin's link.")


@blueprint.post("/leave")
def leave() -> Response:
    """End the session."""
    with desk().database.write() as db:
        end_session(db)
    flash("Your session has ended.")
    return redirect(url_for("config_links.front"), HTTPStatus.SEE_OTHER)
