"""The Flask application: its pages, its headers, its log line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import structlog
from flask import Flask, Response, g, request
from flask_wtf import CSRFProtect

from plugin.web import config_links, frames, health, receive, scraping, settings
from plugin.web.desk import EXTENSION, Desk
from plugin.web.pages import prepare_pages
from plugin.web.sessions import SESSION_LENGTH

#: Nothing from outside, nothing inline; forms go home only.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = structlog.get_logger()


class WebApp(Flask):
    """Flask, but for its log line of a crash, which would hold the path: keys and tokens stand in it."""

    def log_exception(self, exc_info: Any) -> None:
        log.error("request crashed", method=_method(), route=_route(), exc_info=exc_info)


def create_web_app(desk: Desk, *, signing_keys: Sequence[str]) -> Flask:
    """The application for one desk. signing_keys: newest first."""
    app = WebApp("plugin.web")
    app.extensions[EXTENSION] = desk
    https = desk.base_url.startswith("https://")
    # Answers read in the order they are documented in.
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.config.update(
        SECRET_KEY=signing_keys[0],
        SECRET_KEY_FALLBACKS=list(signing_keys[1:]),
        SESSION_COOKIE_NAME="survey_plugin",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=https,
        # Else every style sheet that arrives late would bring an older cookie back, and with it an ended session.
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=SESSION_LENGTH,
        MAX_CONTENT_LENGTH=receive.LARGEST_BODY,
        # Flask's own limit of half a megabyte for a form would refuse a long configuration.
        MAX_FORM_MEMORY_SIZE=receive.LARGEST_BODY,
        WTF_CSRF_TIME_LIMIT=None,
        # It asks for the Referer, which our own policy tells browsers not to send. The token is bound to the session
        # and the cookie is SameSite; a referrer would add nothing.
        WTF_CSRF_SSL_STRICT=False,
    )
    csrf = CSRFProtect(app)
    # Senders prove themselves by signature; a browser's session means nothing there.
    csrf.exempt(receive.blueprint)
    app.register_blueprint(receive.blueprint)
    # Helpdesks prove by a token of theirs who opens a page of ours in a frame; there is no session in it.
    csrf.exempt(frames.blueprint)
    app.register_blueprint(frames.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(scraping.blueprint)
    app.register_blueprint(config_links.blueprint)
    app.register_blueprint(settings.blueprint)
    prepare_pages(app)
    app.before_request(_start_clock)
    app.after_request(_finish)
    return app


def _start_clock() -> None:
    g.began = time.monotonic()


def _finish(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    log.info(
        "request",
        method=_method(),
        route=_route(),
        status=response.status_code,
        milliseconds=round((time.monotonic() - g.get("began", time.monotonic())) * 1000, 1),
    )
    return response


def _method() -> str:
    """The method, unless it is a word of the sender's own."""
    return request.method if request.method in _METHODS else "(other)"


def _route() -> str:
    """The route's pattern, never the path: keys, tokens and search words stand in paths and queries."""
    return request.url_rule.rule if request.url_rule else "(none)"
