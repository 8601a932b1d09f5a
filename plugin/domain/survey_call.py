"""What one rule asks of a vendor, and the HTTP request and answer that come of it, as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from plugin.redaction import MASK, Secret, mask, mask_secrets, reveal

Text = str | Secret

#: How much of a vendor's answer is read, bytes.
ANSWER_LIMIT: Final = 64 * 1024


@dataclass(frozen=True)
class SurveyCall:
    """vendor, call name and filled parameters. Parameters hold personal values, so they are kept out of the repr."""

    vendor: str
    name: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class OutboundRequest:
    """One HTTP request, in parts, so that encoding is done once and secrets can be told from the rest.

    origin: scheme, host and optional port, no path: `https://www.mysurveylab.com`.
    path: segments, percent-encoded here one by one; a segment may be a `Secret`.
    query, form: pairs in order; a value may be a `Secret`. form is sent as application/x-www-form-urlencoded.
    json: a document for a JSON body; a text in it may be a `Secret`.
    At most one of form and json is given.
    disguised: secrets that stand in it in another form only, encoded or hashed; masked like all others.

    Raises ValueError for both of them, and for a path segment `.` or `..`, which everybody on the way may fold.
    Half of a surrogate pair, which no encoding can carry, is sent as a question mark.
    """

    method: str
    origin: str
    path: tuple[Text, ...] = field(default=(), repr=False)
    query: tuple[tuple[str, Text], ...] = field(default=(), repr=False)
    form: tuple[tuple[str, Text], ...] | None = field(default=None, repr=False)
    json: Any = field(default=None, repr=False)
    headers: tuple[tuple[str, Text], ...] = field(default=(), repr=False)
    trailing_slash: bool = False
    disguised: tuple[Secret, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.form is not None and self.json is not None:
            raise ValueError("a request has one body, a form or a JSON document")
        if any(reveal(segment) in {".", ".."} for segment in self.path):
            raise ValueError("a path segment must not be . or ..")

    def url(self) -> str:
        """The URL as it is called. Holds secrets: for the outbound door only."""
        return self._written(lambda value: _encoded(reveal(value)))

    def body(self) -> tuple[bytes, str] | None:
        """The body and its content type. Holds secrets: for the outbound door only."""
        if self.form is not None:
            pairs = [(name, reveal(value)) for name, value in self.form]
            return urlencode(pairs, errors="replace").encode("ascii"), "application/x-www-form-urlencoded"
        if self.json is not None:
            return _json_text(self.json, Secret.reveal).encode("utf-8", "replace"), "application/json"
        return None

    def shown_url(self) -> str:
        """The URL fit for a page or a log: secrets and e-mail addresses masked."""
        written = self._written(lambda value: MASK if isinstance(value, Secret) else _encoded(value))
        return mask(written, self.secrets)

    def shown_parameters(self) -> list[tuple[str, str]]:
        """What query and body send, by name, secrets masked, addresses readable.

        For the tenant's own pages and commands only, never for logs.
        """
        pairs: list[tuple[str, Text]] = [*self.query, *(self.form or ())]
        if self.json is not None:
            pairs.append(("body", _json_text(self.json, str, indent=1)))
        return [
            (name, MASK if isinstance(value, Secret) else mask_secrets(value, self.secrets)) for name, value in pairs
        ]

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret in this request, for masking what comes back."""
        values: list[Any] = [*self.path, *self.disguised, *_leaves(self.json)]
        for _, value in (*self.query, *(self.form or ()), *self.headers):
            values.append(value)
        return tuple(value for value in values if isinstance(value, Secret))

    def _written(self, encode: Callable[[Text], str]) -> str:
        # Everything but unreserved characters is encoded, so that a value can never end its own segment or pair.
        path = "".join(f"/{encode(segment)}" for segment in self.path)
        url = self.origin + path + ("/" if self.trailing_slash or not path else "")
        if self.query:
            url += "?" + "&".join(f"{_encoded(name)}={encode(value)}" for name, value in self.query)
        return url


def _json_text(document: Any, show: Callable[[Secret], str], indent: int | None = None) -> str:
    """`document` as JSON, its secrets as `show` gives them."""
    return json.dumps(document, ensure_ascii=False, indent=indent, default=show)


def _leaves(document: Any) -> Iterator[Any]:
    if isinstance(document, Mapping):
        for value in document.values():
            yield from _leaves(value)
    elif isinstance(document, list | tuple):
        for value in document:
            yield from _leaves(value)
    else:
        yield document


def _encoded(text: str) -> str:
    return quote(text, safe="", errors="replace")


@dataclass(frozen=True)
class OutboundResponse:
    """A vendor's answer. body is cut at ANSWER_LIMIT (`cut` says so); header names are in lower case.

    origin: of the request that it answers, so that a redirect can be told from a move to another host.
    bytes_sent: length of that request, head and body; no part of the answer.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False
    origin: str = ""
    bytes_sent: int = field(default=0, compare=False)

    @cached_property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace").lstrip("\ufeff").strip()

    @cached_property
    def json_object(self) -> Mapping[str, Any]:
        """The body as a JSON object; empty when it is anything else. Never raises."""
        try:
            value = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


@lru_cache(maxsize=1024)
def origin_of(url: str) -> str:
    """Scheme, host and explicit port of `url`, in lower case, default ports left out.

    Raises ValueError when `url` has no http(s) scheme and host, carries user information, or holds white space or
    control characters, some of which a URL parser would silently drop.
    """
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("white space in an address")
    parts = urlsplit(url)
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an http or https address")
    scheme = parts.scheme.lower()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" if parts.port in {None, default} else f"{scheme}://{host}:{parts.port}"
