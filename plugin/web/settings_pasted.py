"""A vendor's URL pasted in, and what it is as a connection and a rule, to be copied into the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from flask import Blueprint, abort, render_template, request

from plugin.errors import UrlNotRecognised
from plugin.tenant_file import dump_document, import_url, stored_document
from plugin.web.desk import desk
from plugin.web.sessions import visit

blueprint = Blueprint("pasted", __name__, url_prefix="/paste")


@blueprint.get("/")
def ask_url() -> str:
    if not visit().may_change:
        abort(HTTPStatus.FORBIDDEN, "You may look at these settings but not change them. Ask for an admin's link.")
    return _page()


@blueprint.post("/")
def show() -> str | tuple[str, int]:
    """The pasted URL as YAML. It is kept nowhere, and not shown again: it holds secrets."""
    try:
        imported = import_url(request.form.get("url", ""), taken=_names_in_use())
    except UrlNotRecognised as error:
        return _page(problem=str(error)), HTTPStatus.UNPROCESSABLE_ENTITY
    with_secrets = "with_secrets" in request.form
    yaml = dump_document(imported.fragment, with_secrets=with_secrets)
    return _page(yaml=yaml, warnings=imported.warnings, with_secrets=with_secrets)


def _page(*, problem: str = "", yaml: str = "", warnings: Sequence[str] = (), with_secrets: bool = False) -> str:
    return render_template("pasted.html", problem=problem, yaml=yaml, warnings=warnings, with_secrets=with_secrets)


def _names_in_use() -> set[str]:
    with desk().database.read() as db:
        present = stored_document(db, desk().vault, visit().tenant)
    return {part["name"] for kind in ("connections", "rules") for part in present[kind]}
