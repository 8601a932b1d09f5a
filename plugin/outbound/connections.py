"""Connections that dial only addresses they have checked and know whether a byte of the request has left."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

import requests
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import parse_url

from plugin.errors import OutboundFailed
from plugin.outbound.addresses import is_public
from plugin.outbound.watchdog import Call

#: A kept-alive connection that has been idle for this many seconds is not used again: many servers close soon after,
#: and a request that crosses such a closing ends as "uncertain".
IDLE_LIMIT: Final = 2.0

#: Origins whose connections one thread keeps.
POOLS: Final = 16

#: How a name is looked up: arguments and result of `socket.getaddrinfo`.
Resolve = Callable[..., Sequence[tuple[Any, ...]]]


class Line:
    """What the connections of one thread share: how to look up names and read the clock, and the call under way."""

    call: Call

    def __init__(self, resolve: Resolve, clock: Callable[[], float]) -> None:
        self.resolve = resolve
        self.clock = clock


class _HeadReader(io.BufferedReader):
    """Fails when the connection ends within the head, which http.client would take for the end of the headers."""

    in_head = True

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if self.in_head and not line:
            raise http.client.RemoteDisconnected("the connection ended within the headers")
        return line


class _FinalResponse(http.client.HTTPResponse):
    """Passes over interim answers. http.client does so for 100 alone, and would take 103 for the answer."""

    def begin(self) -> None:
        reader = _HeadReader(self.fp.detach())
        self.fp = reader
        super().begin()
        reader.in_head = False

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # absent from the published types
            if not 102 <= status <= 199:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _Checked(HTTPConnection):
    """What both kinds of connection have in common."""

    response_class = _FinalResponse

    def __init__(self, *args: Any, line: Line, **options: Any) -> None:
        super().__init__(*args, **options)
        self._line = line
        self._idle_since = line.clock()
        self._ready = False

    @property
    def is_connected(self) -> bool:
        """Whether the pool may use it again."""
        return super().is_connected and self._line.clock() - self._idle_since < IDLE_LIMIT

    def rest(self) -> None:
        """It goes back to the pool now."""
        self._idle_since = self._line.clock()

    def connect(self) -> None:
        # Until this returns (TCP, the proxy's CONNECT, TLS) nothing of the request itself has been written.
        self._ready = False
        super().connect()
        self._ready = True

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self._ready:
            # Counted before, since a piece that fails on its way may have left in part or, for all we know, in whole.
            self._line.call.begin(self.sock, len(data))
        super().send(data)

    def _new_conn(self) -> socket.socket:
        call = self._line.call
        try:
            addresses = _look_up(self._line.resolve, self.host, self.port, call.remaining())
            if call.public_only and self.proxy is None:
                addresses = only_public(addresses)
                if not addresses:
                    raise OutboundFailed("forbidden", f"{call.host}: it leads to no public address.", sent=False)
            sock = _dial(addresses, call, self.socket_options or ())
        except TimeoutError:
            raise
        except (OSError, UnicodeError) as error:
            kind, message = self._unreached(error)
            failure = OutboundFailed(kind, f"{call.host}: {message}", sent=False)
        else:
            call.cut_at_end(sock)
            return sock
        raise failure

    def _unreached(self, error: OSError | UnicodeError) -> tuple[str, str]:
        if self.proxy is not None:
            return "proxy", "the proxy (OUTBOUND_PROXY) could not be reached."
        if isinstance(error, socket.gaierror | UnicodeError):
            return "dns", "the name could not be resolved."
        if isinstance(error, ConnectionRefusedError):
            return "refused", "the connection was refused."
        return "refused", f"no connection could be made ({error.strerror or type(error).__name__})."


class _CheckedHTTP(_Checked):
    pass


class _CheckedHTTPS(_Checked, HTTPSConnection):
    pass


def only_public(addresses: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """Those of a look-up's answers that may be dialled for a vendor."""
    return [entry for entry in addresses if is_public(entry[4][0])]


def _look_up(resolve: Resolve, host: str, port: int, seconds: float) -> Sequence[tuple[Any, ...]]:
    """The addresses of `host`. Raises OSError or UnicodeError when there are none, TimeoutError after `seconds`.

    In a thread of its own, since a look-up has no time-out: with dead name servers it blocks for half a minute. Such a
    thread is left behind and ends by itself.
    """
    answer: Future[Sequence[tuple[Any, ...]]] = Future()

    def ask() -> None:
        try:
            answer.set_result(resolve(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # carried over to the thread that waits
            answer.set_exception(error)

    threading.Thread(target=ask, name="outbound-look-up", daemon=True).start()
    return answer.result(seconds)


def _dial(addresses: Sequence[tuple[Any, ...]], call: Call, options: Sequence[tuple[Any, ...]]) -> socket.socket:
    """A socket connected to the first of `addresses` that answers, each given an equal share of the time left."""
    failure: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(call.remaining() / (len(addresses) - position))
            sock.connect(address)
            sock.settimeout(call.remaining())
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


class _KeepsTime(HTTPConnectionPool):
    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.rest()
        super()._put_conn(conn)


class _HTTPPool(_KeepsTime):
    ConnectionCls = _CheckedHTTP


class _HTTPSPool(_KeepsTime, HTTPSConnectionPool):
    ConnectionCls = _CheckedHTTPS


class CheckedAdapter(HTTPAdapter):
    """A requests adapter whose pools make checked connections. For one thread.

    Much of what requests does for each call is done once here, or not at all: a vendor is one origin, of which the pool
    is known; nothing comes from the environment; no cookie is ever kept. It halves what a call costs.
    """

    def __init__(self, line: Line, trust: ssl.SSLContext) -> None:
        self.line = line
        self._trust = trust
        #: The pool of each origin called directly, the one used last at the end.
        self._pools: OrderedDict[str, HTTPConnectionPool] = OrderedDict()
        super().__init__(max_retries=0)

    def send_prepared(
        self, prepared: PreparedRequest, origin: str, proxies: dict[str, str], seconds: float
    ) -> requests.Response:
        """Make one call; `prepared.url` begins with `origin`. Raises what requests raises."""
        prepared.origin = origin  # type: ignore[attr-defined]  # ours, for the methods below
        return self.send(prepared, stream=True, timeout=seconds, verify=True, cert=None, proxies=proxies)

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        if proxies:
            return super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        origin: str = request.origin  # type: ignore[attr-defined]
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = self._new_pool(origin)
            if len(self._pools) > POOLS:
                self._pools.popitem(last=False)[1].close()
        self._pools.move_to_end(origin)
        return pool

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        if proxies:
            return super().request_url(request, proxies)
        return str(request.url).removeprefix(request.origin)  # type: ignore[attr-defined]

    def build_response(self, req: PreparedRequest, resp: Any) -> requests.Response:
        """Status, headers and the body yet to be read; the parent would also gather cookies."""
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers
        response.raw = resp
        response.request = req
        return response

    def close(self) -> None:
        super().close()
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._trust, **pool_options)
        self._use_checked(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=self._trust, **proxy_options)
        self._use_checked(manager)
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing to prepare: the context knows whom to trust. The parent would load its list at every connection."""

    def _new_pool(self, origin: str) -> HTTPConnectionPool:
        where = parse_url(origin)
        if where.host is None:
            raise ValueError("an origin without a host")
        if where.scheme == "https":
            trusting: dict[str, Any] = {"ssl_context": self._trust, "cert_reqs": "CERT_REQUIRED"}
            return _HTTPSPool(where.host, where.port, maxsize=1, line=self.line, **trusting)
        return _HTTPPool(where.host, where.port, maxsize=1, line=self.line)

    def _use_checked(self, manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = {
            "http": partial(_HTTPPool, line=self.line),  # type: ignore[dict-item]  # called like the class
            "https": partial(_HTTPSPool, line=self.line),  # type: ignore[dict-item]
        }
