"""Choices: what a vendor's own API lists for the parameters of a rule, so that nobody has to look up an id."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from plugin import registry
from plugin.domain.outcome import Outcome, Reason
from plugin.domain.survey_call import OutboundRequest
from plugin.errors import NotAllowed, NotFound, OutboundFailed
from plugin.outbound import Outbound
from plugin.pipeline.credentials import connection_settings
from plugin.redaction import mask_addresses, mask_secrets
from plugin.store.connections import StoredConnection
from plugin.vault import Vault

#: How many pages of a list are asked for; a vendor that never ends is left after them.
PAGES: Final = 10
#: How long somebody who waits for a web page is kept waiting, seconds.
PATIENCE: Final = 6.0
#: How many may wait for vendors at a time in one process: the others of its threads serve pages and triggers.
_AT_A_TIME: Final = 2
#: Less time than this is not worth a call, seconds.
_SHORTEST: Final = 0.2
#: How much of a value and of a label is kept, characters.
_LENGTH: Final = 200

_SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.CREDENTIALS: "The vendor refuses the credentials of this connection.",
    Reason.QUOTA: "The vendor says that the account's quota is used up.",
    Reason.RATE_LIMITED: "The vendor asks to slow down; try again in a minute.",
    Reason.TOO_SOON: "The vendor asks to slow down; try again in a minute.",
    Reason.VENDOR_UNAVAILABLE: "The vendor is away for the moment; try again later.",
    Reason.VENDOR_ERROR: "The vendor failed while it worked on the list; try again later.",
    Reason.UNRECOGNISED: "The vendor's answer is not one we know.",
    Reason.REDIRECTED: "The vendor answered with a redirect, which is never followed; check the connection's origin.",
    Reason.NOT_FOUND: "The vendor does not know what was asked for; check the connection's settings.",
}
_REFUSED: Final = "The vendor refused to list it."


@dataclass(frozen=True)
class Listed:
    """What one list of a connection holds.

    name, label, parameters: as the vendor declares them. items: value and label of each choice, none twice.
    more: whether there are, or may be, further ones. problem: why it is empty or ends early, one sentence; empty when
    all went well. words: the vendor's own about that.
    """

    name: str
    label: str
    parameters: Sequence[str]
    items: Sequence[tuple[str, str]] = field(default=(), repr=False)
    more: bool = False
    problem: str = ""
    words: str = field(default="", repr=False)


def lists_of(vendor: str) -> Mapping[str, registry.ChoiceList]:
    """What a vendor can list, by name; empty when it has no such API, or this version no such vendor."""
    if vendor not in registry.vendor_names():
        return {}
    declared: Mapping[str, registry.ChoiceList] = getattr(registry.vendor(vendor), "LISTS", {})
    return declared


class Chooser:
    """Asks vendors for their lists. open_door: makes the way out. monotonic: seconds. Safe to use from threads."""

    def __init__(self, open_door: Callable[[], Outbound], vault: Vault, *, monotonic: Callable[[], float]) -> None:
        self._open_door = open_door
        self._vault = vault
        self._monotonic = monotonic
        self._turns = threading.BoundedSemaphore(_AT_A_TIME)

    def choices(
        self, connection: StoredConnection, only: str | None = None, *, patience: float = PATIENCE
    ) -> list[Listed]:
        """Each list that the connection's vendor has, or just the one named `only`, asked for now.

        patience: seconds for all of it. Raises NotFound for a list that is not there, NotAllowed while too many are
        asking, VaultError.
        """
        lists = _wanted(connection.vendor, only)
        if not lists:
            return []
        settings = connection_settings(self._vault, connection)
        if not self._turns.acquire(blocking=False):
            raise NotAllowed("Others are waiting for their vendors' lists just now; try again in a few seconds.")
        try:
            with self._open_door() as door:
                until = self._monotonic() + patience
                ask = _Asking(door, connection.vendor, settings, lambda: until - self._monotonic())
                return [ask.all_of(name, declared) for name, declared in lists.items()]
        finally:
            self._turns.release()


def _wanted(vendor: str, only: str | None) -> Mapping[str, registry.ChoiceList]:
    lists = lists_of(vendor)
    if only is None:
        return lists
    if only not in lists:
        known = f"there are: {', '.join(lists)}" if lists else "it has none"
        raise NotFound(f"{vendor} has no list named {only}; {known}.")
    return {only: lists[only]}


@dataclass(frozen=True)
class _Trouble:
    """Why a page did not come: see `Listed`."""

    problem: str
    words: str = ""


@dataclass(frozen=True)
class _Asking:
    """One look at a vendor's lists. left: gives how many seconds there are still."""

    door: Outbound
    vendor: str
    settings: registry.Settings
    left: Callable[[], float]

    def all_of(self, name: str, declared: registry.ChoiceList) -> Listed:
        found: dict[str, str] = {}
        listed = Listed(name, declared.label, tuple(declared.parameters))
        for page in range(1, PAGES + 1):
            answered = self._page(declared, page)
            if isinstance(answered, _Trouble):
                listed = replace(listed, problem=answered.problem, words=answered.words, more=bool(found))
                break
            before = len(found)
            found.update(_new(answered.items, found))
            listed = replace(listed, more=answered.more)
            # A page that brings nothing new would be followed by others like it.
            if not answered.more or len(found) == before:
                break
        return replace(listed, items=tuple(found.items()))

    def _page(self, declared: registry.ChoiceList, page: int) -> registry.Choices | _Trouble:
        """One page; or, instead, what went wrong."""
        left = round(self.left(), 1)
        if left < _SHORTEST:
            return _Trouble("The vendor took too long; try again later.")
        request = declared.build_request(self.settings, page)
        origins = registry.vendor(self.vendor).VENDOR.origins
        allowed = None if origins == registry.ANY_PUBLIC_HTTPS else origins
        try:
            response = self.door.send(request, allowed_origins=allowed, deadline=left)
        except OutboundFailed as failure:
            return _Trouble(str(failure))
        answered = declared.read_choices(response)
        return answered if isinstance(answered, registry.Choices) else _told(answered, request)


def _new(items: Sequence[tuple[str, str]], found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((_clean(value), _clean(label)) for value, label in items if _clean(value) not in found)


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:_LENGTH]


def _told(outcome: Outcome, request: OutboundRequest) -> _Trouble:
    """Why there is no list, in our words and the vendor's."""
    words = mask_addresses(mask_secrets(outcome.words, request.secrets))
    reason = getattr(outcome, "reason", Reason.UNRECOGNISED)
    return _Trouble(_SENTENCES.get(reason, _REFUSED), _clean(words))
