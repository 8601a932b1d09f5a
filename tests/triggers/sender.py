"""The other side of a source: how it proves itself. Each source has its own in sender_<name>.py.

Beside SENDER such a module may have `api(method: str, target: str) -> tuple[int, object]`: what the sender's own API
answers to a look-up, as status and JSON. `$api` in the credentials stands for that API's origin.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from plugin.triggers.base import InboundRequest


@dataclass(frozen=True)
class Sender:
    """credentials, settings: of the source, as a tenant's file has them.

    closing: the name of the recording of one plain closing. prove: gives the request as the sender would send it at
    this moment, to its URL. before: recordings that it sends before, where the closing does not say enough by itself.
    timed: whether the proof covers the time. covers_body: whether it covers the body. in_body: whether it stands in the
    body itself. url_only: whether nothing but the address proves the sender. outdated: how older recipes would prove
    it, which are refused. settings_of: the settings under which a recording is read, where they are not `settings`.
    """

    credentials: Mapping[str, Any]
    closing: str
    prove: Callable[[InboundRequest, datetime], InboundRequest]
    settings: Mapping[str, Any] = field(default_factory=dict)
    before: Sequence[str] = ()
    timed: bool = False
    covers_body: bool = True
    in_body: bool = False
    url_only: bool = False
    outdated: Sequence[Callable[[InboundRequest, datetime], InboundRequest]] = ()
    settings_of: Callable[[str], Mapping[str, Any] | None] = lambda _recording: None

    def settings_for(self, recording: str) -> Mapping[str, Any]:
        told = self.settings_of(recording)
        return self.settings if told is None else told


def sender_of(source: str) -> Sender:
    sender: Sender = importlib.import_module(f"tests.triggers.sender_{source}").SENDER
    return sender
