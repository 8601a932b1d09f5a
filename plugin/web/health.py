"""Whether the process is up, and whether the store takes a write."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify

from plugin.errors import StoreBroken, StoreUnavailable
from plugin.store import workers
from plugin.web.desk import desk

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="up")


@blueprint.get("/readyz")
def readyz() -> Response | tuple[Response, int]:
    """The store takes a write. A missing worker is told in the body and is still 200: triggers are kept meanwhile."""
    try:
        desk().database.write_probe()
        with desk().database.read() as db:
            seen = workers.all_workers(db)
    except (StoreUnavailable, StoreBroken) as error:
        return jsonify(status="not ready", store=str(error)), HTTPStatus.SERVICE_UNAVAILABLE
    alive = sum(desk().mint.now() - worker.seen_at < workers.ALIVE for worker in seen)
    return jsonify(status="ready", store="takes writes", workers_alive=alive)
