"""What a new configuration would change, in sentences. Secrets are named, never shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from plugin.redaction import Secret
from plugin.tenant_file.document import Document

_PARTS: Final = {"sources": "source", "connections": "connection", "rules": "rule"}
_LONGEST_SHOWN: Final = 80
_GONE: Final = object()


@dataclass(frozen=True)
class Change:
    """subject: what it is about (`rule csat`). text: what happens to it, one sentence without the subject."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def compare_documents(before: Document | None, after: Document) -> list[Change]:
    """All changes from one configuration to another, in the order of the file."""
    if before is None:
        before = {"tenant": after["tenant"], "sources": [], "connections": [], "rules": []}
        changes = [Change(f"tenant {after['tenant']}", "is created.")]
    else:
        changes = [
            Change("tenant", text)
            for key in ("name", "timezone", "language")
            for text in _differences(key, before.get(key, _GONE), after.get(key, _GONE))
        ]
    for kind, word in _PARTS.items():
        changes += _compare_part(word, before[kind], after[kind])
    return changes


def _compare_part(word: str, before: list[Mapping[str, Any]], after: list[Mapping[str, Any]]) -> Iterator[Change]:
    old = {item["name"]: item for item in before}
    new = {item["name"]: item for item in after}
    for name, item in new.items():
        if name not in old:
            yield Change(f"{word} {name}", "is added.")
            continue
        for key in dict.fromkeys([*old[name], *item]):
            for text in _differences(key, old[name].get(key, _GONE), item.get(key, _GONE)):
                yield Change(f"{word} {name}", text)
        if old[name].get("vendor") != item.get("vendor"):
            yield Change(f"{word} {name}", "leads elsewhere from then on; what waits for it is cancelled.")
    for name in old:
        if name not in new:
            yield Change(f"{word} {name}", _REMOVED[word])
    kept_old, kept_new = [name for name in old if name in new], [name for name in new if name in old]
    if word == "rule" and kept_old != kept_new:
        yield Change("rules", f"are decided in another order: {', '.join(kept_new)}.")


_REMOVED: Final = {
    "source": "is removed; its address answers 404 from then on.",
    "connection": "is removed; what waits for it is cancelled.",
    "rule": "is removed; what waits for it is cancelled.",
}


def _differences(place: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from _differences(f"{place}.{key}", before.get(key, _GONE), after.get(key, _GONE))
    elif isinstance(before, Secret) or isinstance(after, Secret):
        yield f"{place} {'is set' if before is _GONE else 'is removed' if after is _GONE else 'changes'} (not shown)."
    elif before is _GONE:
        yield f"{place} is set to {_shown(after)}."
    elif after is _GONE:
        yield f"{place} is removed (was {_shown(before)})."
    else:
        yield f"{place} changes from {_shown(before)} to {_shown(after)}."


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        text = "[" + ", ".join(_shown(item) for item in value) + "]"
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {_shown(inner)}" for key, inner in value.items()) + "}"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
