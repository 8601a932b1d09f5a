"""The Flask application: its pages, its headers, its log line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog
from flask import Flask, Response, g, request
from flask_wtf import CSRFProtect

from plugin.web import health, receive
from plugin.web.desk import EXTENSION, Desk

#: Nothing from outside, nothing inline; forms go home only.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

log = structlog.get_logger()


def create_web_app(desk: Desk, *, signing_keys: Sequence[str]) -> Flask:
    """The application for one desk. signing_keys: newest first."""
    app = Flask("plugin.web")
    app.extensions[EXTENSION] = desk
    https = desk.base_url.startswith("https://")
    app.config.update(
        SECRET_KEY=signing_keys[0],
        SECRET_KEY_FALLBACKS=list(signing_keys[1:]),
        SESSION_COOKIE_NAME="survey_plugin",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=https,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        MAX_CONTENT_LENGTH=receive.LARGEST_BODY,
        # The default, None, would let a form grow to MAX_CONTENT_LENGTH in memory anyway; said here to be seen.
        MAX_FORM_MEMORY_SIZE=receive.LARGEST_BODY,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=https,
    )
    csrf = CSRFProtect(app)
    # Senders prove themselves by signature; a browser's session means nothing there.
    csrf.exempt(receive.blueprint)
    app.register_blueprint(receive.blueprint)
    app.register_blueprint(health.blueprint)
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
    # The route's pattern, never the path: keys, tokens and search words stand in paths and queries.
    log.info(
        "request",
        method=request.method,
        route=request.url_rule.rule if request.url_rule else "(none)",
        status=response.status_code,
        milliseconds=round((time.monotonic() - g.get("began", time.monotonic())) * 1000, 1),
    )
    return response
