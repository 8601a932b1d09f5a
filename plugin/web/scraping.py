"""What Prometheus reads. The numbers are the operator's, so the operator's token is asked for."""

from __future__ import annotations

import hmac
from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from plugin.errors import StoreBroken, StoreUnavailable
from plugin.redaction import Secret
from plugin.web.desk import desk

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response | tuple[Response, int] | tuple[Response, int, dict[str, str]]:
    """All counters and gauges, in the format that the asking program prefers."""
    token = desk().operator_token
    if token is None:
        return jsonify(error="This installation shows no metrics: it has no OPERATOR_TOKEN."), HTTPStatus.NOT_FOUND
    if not _is_shown(token):
        answer = jsonify(error="Metrics are shown for the operator's token only.")
        return answer, HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"}
    try:
        reading = desk().scrape.read()
    except (StoreUnavailable, StoreBroken) as error:
        return jsonify(error=str(error)), HTTPStatus.SERVICE_UNAVAILABLE
    # Here, since it takes a while to import and most processes are never asked.
    from plugin.metrics.exposition import render

    body, content_type = render(reading, request.headers.get("Accept", ""))
    return Response(body, content_type=content_type)


def _is_shown(token: Secret) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    # Compared as bytes: a header may hold characters that a text comparison refuses.
    fits = hmac.compare_digest(shown.strip().encode("utf-8", "replace"), token.reveal().encode())
    return scheme.lower() == "bearer" and fits
