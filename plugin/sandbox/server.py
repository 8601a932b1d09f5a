"""The sandbox's HTTP server: answers as the vendors do, remembers what it received, and shows it on a page."""

from __future__ import annotations

import importlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self, cast
from urllib.parse import parse_qsl, unquote

from flask import Flask, Response, jsonify, render_template, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from plugin import registry
from plugin.sandbox.base import SandboxAnswer, SandboxModule, SandboxRequest

#: How many calls are remembered, the newest ones.
REMEMBERED: Final = 500
#: How large a call's body may be, bytes.
BODY_LIMIT: Final = 64 * 1024
#: How long a magic “slow” waits, seconds: longer than any caller of ours does.
SLOW_SECONDS: Final = 30.0

_NOT_FOUND: Final = SandboxAnswer(404, "No vendor that the sandbox pretends to be has this address.", "text/plain")


@dataclass(frozen=True)
class Received:
    """One call as it came in, and what it was answered.

    number: counts from 1. vendor: name of the connector's module, empty when no vendor has this path.
    target: path and query exactly as on the wire; path, query and form are the same decoded; body is raw.
    """

    number: int
    time: datetime
    vendor: str
    method: str
    target: str = field(repr=False)
    path: tuple[str, ...] = field(repr=False)
    query: tuple[tuple[str, str], ...] = field(repr=False)
    form: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    answer: SandboxAnswer

    @property
    def shown_path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        return self.query + self.form

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "time": self.time.isoformat(), "body": self.body.decode("utf-8", "replace")}


class Ledger:
    """What was received, oldest first; forgets the oldest beyond REMEMBERED. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Received] = deque(maxlen=REMEMBERED)
        self._count = 0

    def add(self, make: Callable[[int], Received]) -> None:
        """Add what `make` gives for the next number."""
        with self._lock:
            self._count += 1
            self._calls.append(make(self._count))

    def calls(self) -> list[Received]:
        with self._lock:
            return list(self._calls)


def sandbox_modules() -> dict[str, SandboxModule]:
    """The pretended side of every survey vendor, by the vendor's name."""
    return {
        name: cast("SandboxModule", importlib.import_module(f"plugin.sandbox.{name}"))
        for name in registry.vendor_names()
    }


def create_sandbox_app(ledger: Ledger, be_slow: Callable[[], object]) -> Flask:
    """The sandbox as a WSGI application. be_slow: keeps a caller waiting when a magic word asks for it."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    modules = sandbox_modules()
    own_pages = {"page", "received", "static"}

    @app.get("/")
    def page() -> str:
        titles = {name: registry.vendor(name).VENDOR.title for name in modules}
        return render_template("sandbox.html", calls=ledger.calls()[::-1], modules=modules, titles=titles)

    @app.get("/received.json")
    def received() -> Response:
        return jsonify(received=[call.as_json() for call in ledger.calls()[::-1]])

    @app.before_request
    def answer_call() -> Response | None:
        # Not a route: Flask decodes a path before it looks for one, and then %2F can no longer be told from /.
        if request.endpoint in own_pages:
            return None
        body = request.get_data()
        target = str(request.environ["REQUEST_URI"])
        raw_path, _, raw_query = target.partition("?")
        segments = tuple(unquote(segment) for segment in raw_path.split("/")[1:])
        query = tuple(parse_qsl(raw_query, keep_blank_values=True))
        form = _form_of(request.mimetype, body)
        headers = {name.lower(): value for name, value in request.headers.items()}
        document = request.get_json(force=True, silent=True) if body else None
        call = SandboxRequest(request.method, segments, dict(query), dict(form), headers, document)
        vendor, answer = _ask(modules, call)
        now = datetime.now(UTC)
        ledger.add(
            lambda number: Received(number, now, vendor, request.method, target, segments, query, form, body, answer)
        )
        if answer.slow:
            be_slow()
        return Response(answer.body, answer.status, dict(answer.headers), content_type=answer.content_type)

    @app.after_request
    def protect(response: Response) -> Response:
        # The page shows what strangers sent: nothing in it may run, load or be framed.
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    return app


def _form_of(mimetype: str, body: bytes) -> tuple[tuple[str, str], ...]:
    if mimetype != "application/x-www-form-urlencoded":
        return ()
    return tuple(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _ask(modules: dict[str, SandboxModule], sandbox_request: SandboxRequest) -> tuple[str, SandboxAnswer]:
    for name, module in modules.items():
        answer = module.answer(sandbox_request)
        if answer is not None:
            return name, answer
    return "", _NOT_FOUND


class _SilentRequests(WSGIRequestHandler):
    """Request lines hold addresses and keys, so none is logged."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # the name it has in werkzeug
        pass


class Sandbox:
    """A running sandbox; use it in a `with` statement or call start and stop.

    host, port: where it listens, 0 for any free port. slow_seconds: how long the magic word `slow` waits.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, slow_seconds: float = SLOW_SECONDS) -> None:
        self._address = (host, port)
        self._slow_seconds = slow_seconds
        self._stopping = threading.Event()
        self._ledger = Ledger()
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and answer in a thread of its own. Raises OSError when the address is taken."""
        app = create_sandbox_app(self._ledger, lambda: self._stopping.wait(self._slow_seconds))
        # Bound here and not by werkzeug, which ends the whole process when the port is taken.
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        with socket.create_server(self._address, family=family) as listener:
            host, port = listener.getsockname()[:2]
            self._server = make_server(
                host, port, app, threaded=True, request_handler=_SilentRequests, fd=listener.fileno()
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; calls that are kept waiting are answered at once."""
        self._stopping.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def origin(self) -> str:
        """Scheme, host and port that it answers at."""
        if self._server is None:
            raise RuntimeError("The sandbox has not been started.")
        host = f"[{self._server.host}]" if ":" in self._server.host else self._server.host
        return f"http://{host}:{self._server.port}"

    @property
    def received(self) -> list[Received]:
        """What came in, oldest first."""
        return self._ledger.calls()
