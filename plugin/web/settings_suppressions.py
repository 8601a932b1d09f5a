"""People who want no more invitations: who said so, looking one up, and writing it down or taking it back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug import Response

from plugin.pipeline import suppression as wishes
from plugin.store import suppressions
from plugin.web.desk import desk
from plugin.web.masking import without_addresses
from plugin.web.sessions import visit

#: How many people the page lists, the newest first.
LISTED: Final = 200
#: The shortest and the longest address that is taken.
_SHORTEST: Final = 5
_LONGEST: Final = 254
_LONGEST_WORDS: Final = 200

blueprint = Blueprint("suppressions", __name__)


@blueprint.get("/no-invitations")
def show() -> str:
    with desk().database.read() as db:
        found = suppressions.suppressions_of(db, visit().tenant.id, LISTED + 1)
    people = found[:LISTED]
    return render_template(
        "suppressions.html",
        people=people if visit().may_change else without_addresses(people),
        is_cut=len(found) > LISTED,
        listed=LISTED,
    )


@blueprint.post("/no-invitations")
def change() -> Response:
    """Look up, add or remove one person. By POST, so that no address stands in a web address."""
    address, words = request.form.get("address", "").strip(), request.form.get("because", "").strip()
    tenant_id, now = visit().tenant.id, desk().mint.now()
    if not _SHORTEST <= len(address) <= _LONGEST:
        flash("Give the whole e-mail address or phone number.")
        return _back()
    match request.form.get("action"):
        case "add":
            with desk().database.write() as db:
                is_new = wishes.add_by_hand(db, tenant_id, address, words[:_LONGEST_WORDS], now)
            flash("This person is sent no more invitations." if is_new else "This person was on the list already.")
        case "remove":
            with desk().database.write() as db:
                was_there = wishes.remove_by_hand(db, tenant_id, address)
            flash("This person may be invited again." if was_there else "This person was not on the list.")
        case _:
            with desk().database.read() as db:
                found = wishes.wish_of_address(db, tenant_id, address)
            flash(f"This person wants no more invitations. {found.sentence}" if found else "This person is not on it.")
    return _back()


def _back() -> Response:
    return redirect(url_for("settings.suppressions.show"), HTTPStatus.SEE_OTHER)
