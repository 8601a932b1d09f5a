"""The floors of `accept` and `latency`, under the product's gunicorn settings: a Flask view that reads the body and
answers 202, and one that calls the vendor itself before it answers.
"""

from __future__ import annotations

import sys
import threading

import requests
from flask import Flask, request

from plugin.app import read_configuration
from plugin.web.server import run_web


def create_bare_app(origin: str | None) -> Flask:
    """origin: the vendor to call for each request; None: nobody is called."""
    app = Flask(__name__)
    local = threading.local()

    def call(ticket: str) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.trust_env = False
        local.session.get(f"{origin}/api.php", params={"apiToken": "x", "cId": "1", "custom1": ticket})

    @app.post("/triggers/<key>")
    def trigger(key: str) -> tuple[dict[str, object], int]:
        if origin is None:
            request.get_data()
        else:
            call(request.get_json()["ticket"]["id"])
        return {"receipt": key, "events": []}, 202

    return app


if __name__ == "__main__":
    port, *origins = sys.argv[1:]
    run_web(
        lambda: create_bare_app(origins[0] if origins else None),
        "127.0.0.1",
        int(port),
        workers=read_configuration().web_concurrency,
        on_start=lambda _arbiter: None,
    )
