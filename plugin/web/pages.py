"""What all pages share: how times are written, what templates can name, and the pages that tell of an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from flask import Flask, Response, g, jsonify, render_template, request
from flask_wtf.csrf import CSRFError
from jinja2 import StrictUndefined
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from plugin.errors import NotAllowed, NotFound, StoreBroken, StoreUnavailable, VaultError
from plugin.redaction import shown_exception
from plugin.web import wording

#: These are called by programs, which are answered in JSON.
_MACHINE_PATHS: Final = ("/triggers/", "/healthz", "/readyz", "/metrics")

#: After how long a page that could not be served may be asked for again, seconds.
_RETRY_AFTER: Final = "10"

#: Title and sentence for each status that a person can meet.
_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("This was not understood", "Go back, reload the page and try once more."),
    403: ("This is not open to you", "Open your config link again."),
    404: ("There is nothing here", "The address may be incomplete, or what it showed is gone."),
    405: ("This address is not opened that way", "Go back and use the buttons and links of the page."),
    409: ("This does not fit any more", "Something has changed meanwhile. Go back and reload the page."),
    413: ("That is too much", "At most 1 MiB can be sent at once."),
    500: (
        "Something is wrong on our side",
        "It was written to the log. Try once more; if it stays, tell the operator of this installation when it was.",
    ),
    503: ("The database is busy", "Nothing was changed. Wait a few seconds and try once more."),
}

_FORM_TOO_OLD: Final = (
    "This form does not belong to your present session: the session has ended, another one was begun in this browser, "
    "or the browser keeps no cookies. Go back, reload the page and send the form once more. Nothing was changed."
)

log = structlog.get_logger()


def prepare_pages(app: Flask) -> None:
    """Give an application its template names and its error pages."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        at=local_time,
        state_word=wording.state_word,
        reason=wording.reason_sentence,
        cause=wording.cause_sentence,
        kind=wording.kind_label,
        source_title=wording.source_title,
        vendor_title=wording.vendor_title,
    )
    app.context_processor(_template_names)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(CSRFError, _form_too_old)
    app.register_error_handler(NotFound, _not_found)
    app.register_error_handler(NotAllowed, _not_allowed)
    app.register_error_handler(StoreUnavailable, _store_unavailable)
    app.register_error_handler(StoreBroken, _broken)
    app.register_error_handler(VaultError, _broken)


def local_time(moment: datetime) -> Markup:
    """A moment in the tenant's time zone, such as `3 Nov 2026, 17:05:12`, as a time element."""
    local = moment.astimezone(ZoneInfo(g.visit.tenant.timezone))
    written = f"{local.day} {local:%b %Y, %H:%M:%S}"
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), written)


def _template_names() -> dict[str, Any]:
    return {"visit": g.get("visit"), "wording": wording}


# --- error pages ------------------------------------------------------------------------------------------------------


def _http_error(error: HTTPException) -> Response:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    # Werkzeug's own sentences speak to programmers; only what we wrote is for people.
    ours = error.description if error.description != type(error).description else None
    response = _error_page(status, ours)
    for name, value in error.get_headers(request.environ):
        # `Allow` of 405, `Retry-After` of 503.
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def _form_too_old(_error: CSRFError) -> Response:
    return _error_page(HTTPStatus.BAD_REQUEST, _FORM_TOO_OLD)


def _not_found(error: NotFound) -> Response:
    return _error_page(HTTPStatus.NOT_FOUND, str(error))


def _not_allowed(error: NotAllowed) -> Response:
    return _error_page(HTTPStatus.CONFLICT, str(error))


def _store_unavailable(_error: StoreUnavailable) -> Response:
    response = _error_page(HTTPStatus.SERVICE_UNAVAILABLE)
    response.headers["Retry-After"] = _RETRY_AFTER
    return response


def _broken(error: StoreBroken | VaultError) -> Response:
    log.error("page failed", detail=shown_exception(error))
    return _error_page(HTTPStatus.INTERNAL_SERVER_ERROR)


def _error_page(status: int, sentence: str | None = None) -> Response:
    title, usual = _ERRORS.get(status, (HTTPStatus(status).phrase, ""))
    if request.path.startswith(_MACHINE_PATHS):
        response = jsonify(error=sentence or f"{title}.")
    else:
        response = Response(
            render_template("error.html", title=title, sentence=sentence or usual), mimetype="text/html"
        )
    response.status_code = status
    return response
