"""The floor of `accept`: a Flask view that reads the body and answers 202, under the product's gunicorn settings."""

import sys

from flask import Flask, request

from plugin.app import read_configuration
from plugin.web.server import run_web


def create_bare_app() -> Flask:
    app = Flask(__name__)

    @app.post("/triggers/<key>")
    def trigger(key: str) -> tuple[dict[str, object], int]:
        request.get_data()
        return {"receipt": key, "events": []}, 202

    return app


if __name__ == "__main__":
    run_web(
        create_bare_app,
        "127.0.0.1",
        int(sys.argv[1]),
        workers=read_configuration().web_concurrency,
        on_start=lambda _arbiter: None,
    )
