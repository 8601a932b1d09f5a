"""What is installed on the other side: the set-up guide and the bodies to paste, filled in for one source."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plugin.errors import NotFound

_HERE: Final = Path(__file__).parent
_MARK: Final = re.compile(r"\[\[(\w+)\]\]")


@dataclass(frozen=True)
class Manifest:
    """guide: Markdown. bodies: text to paste by what it reports, such as `ticket_closed`."""

    guide: str
    bodies: Mapping[str, str]


def load_manifest(source: str, values: Mapping[str, str]) -> Manifest:
    """The manifest of the trigger source named `source`, with every `[[mark]]` filled in from `values`.

    The marks are `url`, `source` and `tenant`; placeholders of the sender (`{{ticket.id}}`) stay as they are.
    Raises NotFound when there is no such manifest, and ValueError when a mark has no value.
    """
    folder = _manifests() / source
    if not re.fullmatch(r"\w+", source) or not folder.is_dir():
        raise NotFound(f"There is no manifest for a source of kind {source}.")
    bodies = {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.json"))}
    return Manifest(
        guide=_fill((folder / "guide.md").read_text("utf-8"), values, str),
        bodies={name: _fill(body, values, _inside_json) for name, body in bodies.items()},
    )


def _manifests() -> Path:
    # In a wheel they lie inside the package, in a checkout beside it.
    installed = _HERE / "manifests"
    return installed if installed.is_dir() else _HERE.parent / "manifests"


def _fill(text: str, values: Mapping[str, str], write: Callable[[str], str]) -> str:
    def value(mark: re.Match[str]) -> str:
        if mark[1] not in values:
            raise ValueError(f"The manifest holds [[{mark[1]}]], for which no value was given.")
        return write(values[mark[1]])

    return _MARK.sub(value, text)


def _inside_json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]
