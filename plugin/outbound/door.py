"""`Outbound`: one HTTP request out, one answer or one failure back."""

from __future__ import annotations

import http.client
import logging
import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Collection
from contextlib import closing
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util import create_urllib3_context

from plugin.domain.survey_call import ANSWER_LIMIT, OutboundRequest, OutboundResponse, origin_of
from plugin.errors import ConfigInvalid, OutboundFailed
from plugin.outbound.addresses import origin_problem
from plugin.outbound.connections import CheckedAdapter, Line, Resolve
from plugin.outbound.watchdog import Call, Watchdog
from plugin.redaction import mask, reveal

# Everything that requests, urllib3, http.client and sockets raise. ValueError: a header that cannot be written.
_FAILURES: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)

_PROXY_STATUS: Final = re.compile(r"Tunnel connection failed: (\d{3})")


class Outbound:
    """The way out for one process, shared by its threads. Make it after forking; close it, or use it in a `with`.

    user_agent: sent with every request.
    extra_origins: origins (`http://127.0.0.1:9000`) allowed besides the vendors' own; they may be http and private.
    proxy: `http://[user:password@]host[:port]`, through which every call then goes. The proxy resolves the names, so
        addresses are checked there; here only what is written is checked (no private number, no local name).
    ca_file: certificates in PEM form, trusted besides the public ones.
    resolve, clock: `socket.getaddrinfo` and `time.monotonic`, or what stands in for them.

    Raises ConfigInvalid when an extra origin, proxy or ca_file cannot be used.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        extra_origins: Collection[str] = (),
        proxy: str | None = None,
        ca_file: str | None = None,
        resolve: Resolve = socket.getaddrinfo,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # urllib3 writes whole URLs, tokens included, into its log. What is worth telling is in OutboundFailed.
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)
        # identity: what arrives is what counts against the cap, and nothing needs unpacking.
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        self._extra_origins = frozenset(_checked_origin(origin) for origin in extra_origins)
        self._proxies = {} if proxy is None else dict.fromkeys(("http", "https"), _checked_proxy(proxy))
        self._trust = _trust(ca_file)
        self._resolve = resolve
        self._clock = clock
        self._watchdog = Watchdog(clock)
        self._local = threading.local()
        self._adapters: weakref.WeakSet[CheckedAdapter] = weakref.WeakSet()
        self._adapters_lock = threading.Lock()

    def send(
        self, request: OutboundRequest, *, allowed_origins: Collection[str] | None, deadline: float = 20.0
    ) -> OutboundResponse:
        """Make one call and give the answer, whatever its status. Never repeats it, never follows a redirect.

        allowed_origins: the vendor's own origins, as `origin_of` writes them; None for any public https address.
        deadline: seconds for everything: look-up, connection, TLS, request, headers and body.

        Raises OutboundFailed; its text names the host, but never a URL, a secret or a person's address.
        """
        problem = origin_problem(request.origin, allowed_origins, self._extra_origins)
        if problem is not None:
            raise OutboundFailed("forbidden", f"{_shown_host(request.origin)}: {problem}", sent=False)
        public_only = request.origin not in self._extra_origins
        host = request.origin.partition("://")[2]
        call = Call(host, self._clock() + deadline, self._clock, public_only=public_only)
        failure = None
        try:
            with self._watchdog.watching(call):
                response = self._exchange(request, call, deadline)
        except _FAILURES as error:
            failure = self._explain(error, call, deadline)
        if failure is None and call.expired and not _has_declared_end(response):
            # A cut wire looks like the end of a body that has no declared length. One that has was read whole: it was
            # here in time, only this process was asleep, and what is known is not thrown away.
            failure = _timeout(call, deadline)
        if failure is not None:
            # Raised here and not where it was caught: the original holds the whole URL and would ride along.
            failure.bytes_sent = call.bytes_sent
            raise failure
        return response

    def close(self) -> None:
        """Close idle connections and take no more calls."""
        self._watchdog.close()
        with self._adapters_lock:
            for adapter in self._adapters:
                adapter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exchange(self, request: OutboundRequest, call: Call, deadline: float) -> OutboundResponse:
        adapter = self._adapter()
        adapter.line.call = call
        answer = adapter.send_prepared(self._prepared(request), request.origin, self._proxies, deadline)
        with closing(answer):
            body = _read_capped(answer)
        return OutboundResponse(
            status=answer.status_code,
            headers={str(name).lower(): str(answer.headers[name]) for name in answer.headers},
            body=body[:ANSWER_LIMIT],
            cut=len(body) > ANSWER_LIMIT,
            origin=request.origin,
            bytes_sent=call.bytes_sent,
        )

    def _prepared(self, request: OutboundRequest) -> requests.PreparedRequest:
        """The request as requests sends it; its own preparation costs as much as the call."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method.upper(), request.url()
        headers = CaseInsensitiveDict(self._headers)
        body = request.body()
        if body is not None:
            prepared.body, headers["Content-Type"] = body
            headers["Content-Length"] = str(len(body[0]))
        elif prepared.method not in {"GET", "HEAD"}:
            headers["Content-Length"] = "0"
        for name, value in request.headers:
            headers[name] = reveal(value)
        prepared.headers = headers
        return prepared

    def _adapter(self) -> CheckedAdapter:
        adapter: CheckedAdapter | None = getattr(self._local, "adapter", None)
        if adapter is None:
            adapter = CheckedAdapter(Line(self._resolve, self._clock), self._trust)
            self._local.adapter = adapter
            with self._adapters_lock:
                self._adapters.add(adapter)
        return adapter

    def _explain(self, error: Exception, call: Call, deadline: float) -> OutboundFailed:
        causes = _causes(error)
        if call.expired or any(isinstance(cause, TimeoutError | requests.Timeout) for cause in causes):
            return _timeout(call, deadline)
        if call.sent:
            return _broken_answer(causes, call)
        return self._broken_connection(causes, call)

    def _broken_connection(self, causes: list[BaseException], call: Call) -> OutboundFailed:
        """Why nothing was sent, although an address had been dialled."""
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                message = f"the certificate is not accepted ({cause.verify_message.rstrip('.')})."
                return OutboundFailed("tls", f"{call.host}: {message}", sent=False)
        if any(isinstance(cause, ssl.SSLError) for cause in causes):
            return OutboundFailed("tls", f"{call.host}: no secure connection could be made.", sent=False)
        if any(isinstance(cause, ValueError) for cause in causes):
            message = "the request cannot be written; a header holds a character that is not allowed there."
            return OutboundFailed("protocol", f"{call.host}: {message}", sent=False)
        if self._proxies:
            status = _PROXY_STATUS.search(" ".join(map(str, causes)))
            told = f" (it answered {status[1]})" if status else ""
            message = f"the proxy (OUTBOUND_PROXY) did not open the way{told}."
            return OutboundFailed("proxy", f"{call.host}: {message}", sent=False)
        message = "the connection broke off before it was secured."
        return OutboundFailed("tls", f"{call.host}: {message}", sent=False)


def _read_capped(answer: requests.Response) -> bytes:
    """The raw body, of a long one its beginning: one byte more than the limit at most."""
    body = bytearray()
    while len(body) <= ANSWER_LIMIT:
        piece = answer.raw.read(ANSWER_LIMIT + 1 - len(body), decode_content=False)
        if not piece:
            break
        body += piece
    return bytes(body)


def _has_declared_end(response: OutboundResponse) -> bool:
    return "content-length" in response.headers or "chunked" in response.headers.get("transfer-encoding", "").lower()


def _causes(error: BaseException) -> list[BaseException]:
    """`error` and all that led to it; urllib3 hands some of it on as an argument alone."""
    found = [error]
    for cause in found:  # grows while it is walked
        for inner in (cause.__cause__, cause.__context__, *cause.args):
            if isinstance(inner, BaseException) and inner not in found:
                found.append(inner)
    return found


def _timeout(call: Call, deadline: float) -> OutboundFailed:
    missing = "complete answer" if call.sent else "connection"
    return OutboundFailed("timeout", f"{call.host}: no {missing} within {deadline:g} seconds.", sent=call.sent)


def _broken_answer(causes: list[BaseException], call: Call) -> OutboundFailed:
    if any(_is_not_http(cause) for cause in causes):
        return OutboundFailed("protocol", f"{call.host}: the answer is not proper HTTP.", sent=True)
    message = "the connection broke off before the answer was complete."
    return OutboundFailed("reset", f"{call.host}: {message}", sent=True)


def _is_not_http(cause: BaseException) -> bool:
    if isinstance(cause, urllib3.exceptions.InvalidHeader):
        return True
    return isinstance(cause, http.client.HTTPException) and not isinstance(
        cause, ConnectionError | http.client.IncompleteRead
    )


def _shown_host(origin: str) -> str:
    try:
        return mask(urlsplit(origin_of(origin)).netloc)
    except ValueError:
        return "The vendor's address"


def _checked_origin(origin: str) -> str:
    try:
        return origin_of(origin)
    except ValueError:
        raise ConfigInvalid(
            ["EXTRA_VENDOR_ORIGINS: each must be scheme, host and port, like http://127.0.0.1:9000."]
        ) from None


def _checked_proxy(proxy: str) -> str:
    parts = urlsplit(proxy)
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigInvalid(["OUTBOUND_PROXY: must be an address like http://proxy.example.com:3128."])
    return proxy


def _trust(ca_file: str | None) -> ssl.SSLContext:
    context = create_urllib3_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError):
            raise ConfigInvalid([f"EXTRA_CA_FILE: {ca_file} is not a readable file of PEM certificates."]) from None
    return context
