"""A source that reports what became of invitations, for tests: as simple as one can be."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from plugin import registry
from plugin.domain.event import Event, EventKind, tidy_values
from plugin.domain.fields import Choice, StrictSchema
from plugin.registry import Belonging, Credentials, InboundRequest, MatchBy, Source, SourceModule
from plugin.triggers.base.times import read_time


class ReporterCredentials(StrictSchema):
    match = Choice({by.value: by.value for by in MatchBy}, label="Deliveries are named by", load_default="reference")


class Reporter:
    """Takes a list of `{"event": "sms.lost", "of": ..., "id": ..., "ts": ..., <placeholders>}`, from anybody."""

    SOURCE = Source("Reporter", ReporterCredentials, frozenset(kind for kind in EventKind if kind.is_report))

    @staticmethod
    def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
        return

    @staticmethod
    def parse(request: InboundRequest) -> list[Event]:
        return [_event(told) for told in json.loads(request.body)]

    @staticmethod
    def belongs_to(event: Event, credentials: Credentials) -> Belonging | None:
        if event.correlation == "break":
            raise KeyError("a fault of this source")
        return Belonging(MatchBy(credentials["match"]), event.correlation) if event.correlation else None


def _event(told: dict[str, Any]) -> Event:
    tidied = tidy_values(told)
    return Event(
        kind=EventKind(told["event"]),
        id=told.get("id"),
        time=read_time(str(told.get("ts", ""))),
        values={name: value for name, value in tidied.values.items() if not name.startswith("event")},
        payload=told,
        vendor_kind=told["event"].replace(".", "_"),
        correlation=told.get("of"),
    )


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a source of kind `reporter` beside the real ones."""
    real, names = registry.source, registry.source_names()

    def source(name: str) -> SourceModule:
        return Reporter if name == "reporter" else real(name)  # type: ignore[return-value]  # a class stands for a module

    monkeypatch.setattr(registry, "source", source)
    monkeypatch.setattr(registry, "source_names", lambda: (*names, "reporter"))
