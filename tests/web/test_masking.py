"""What a viewer sees of a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from plugin.domain.delivery import DeliveryState
from plugin.web.masking import without_addresses


@dataclass(frozen=True)
class Inner:
    words: tuple[str, ...]
    body: bytes


@dataclass(frozen=True)
class Outer:
    name: str
    when: datetime
    count: int
    nothing: None
    state: DeliveryState
    inner: list[Inner]
    values: dict[str, object]


def test_addresses_are_masked_however_deep_and_everything_else_stays():
    now = datetime.now(UTC)
    outer = Outer(
        "for jana@example.com",
        now,
        3,
        None,
        DeliveryState.SCHEDULED,
        [Inner(("jana@example.com", "none"), b'{"to": "jana@example.com"}')],
        {"jana@example.com": ["jana@example.com", 1]},
    )

    assert without_addresses(outer) == Outer(
        "for j•••@example.com",
        now,
        3,
        None,
        DeliveryState.SCHEDULED,
        [Inner(("j•••@example.com", "none"), '{"to": "j•••@example.com"}'.encode())],
        {"j•••@example.com": ["j•••@example.com", 1]},
    )
