"""What is installed on the other side, filled in for one source: the set-up guide, the bodies to paste, the app."""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plugin.errors import NotFound

_HERE: Final = Path(__file__).parent
_MARK: Final = re.compile(r"\[\[(\w+)\]\]")
#: Folders that hold what a platform installs, as it wants it: an app, or a project of its developers' tools.
_PACKAGES: Final = ("app", "project")
#: The oldest time that a zip can name: one that says nothing of when it was built.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)


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
    folder = _folder(source)
    bodies = {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.json"))}
    return Manifest(
        guide=_fill((folder / "guide.md").read_text("utf-8"), values, str),
        bodies={name: _fill(body, values, _inside_json) for name, body in bodies.items()},
    )


@dataclass(frozen=True)
class Package:
    """files: by their names in the zip. is_app: whether the platform installs it; else people read it."""

    files: Mapping[str, bytes]
    is_app: bool


def has_app(source: str) -> bool:
    """Whether the other side's platform installs a package of ours. Raises NotFound."""
    return _package_folder(source) != _folder(source)


def marks_of(source: str) -> frozenset[str]:
    """The names of all marks in a source's package. Raises NotFound."""
    folder = _package_folder(source)
    texts = (path.read_text("utf-8") for path in _files(folder) if path.suffix in _WRITERS)
    return frozenset(mark for text in texts for mark in _MARK.findall(text))


def load_package(source: str, values: Mapping[str, str]) -> Package:
    """What the admin of the other side installs: the platform's app or, where it has none, the guide and its bodies.

    Every `[[mark]]` is filled in from `values`, and `[[<name>]]` with the body `<name>.json`, filled in itself. Raises
    NotFound when there is no such manifest, and ValueError when a mark has no value.
    """
    folder = _package_folder(source)
    values = {**load_manifest(source, values).bodies, **values}
    files = {path.relative_to(folder).as_posix(): _filled_file(path, values) for path in _files(folder)}
    return Package(files, has_app(source))


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files; the same files give the same bytes, whenever and wherever it is made."""
    held = io.BytesIO()
    # Stored as they are: what compression makes of them differs from one library to the next.
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _NO_TIME)
            info.create_system = 3  # Unix, also where it is not
            info.external_attr = 0o100644 << 16
            archive.writestr(info, files[name])
    return held.getvalue()


def _folder(source: str) -> Path:
    folder = _manifests() / source
    if not re.fullmatch(r"\w+", source) or not folder.is_dir():
        raise NotFound(f"There is no manifest for a source of kind {source}.")
    return folder


def _package_folder(source: str) -> Path:
    folder = _folder(source)
    return next((found for name in _PACKAGES if (found := folder / name).is_dir()), folder)


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder that is part of a package: none that an editor or a system has put beside them."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts):
            yield path


def _filled_file(path: Path, values: Mapping[str, str]) -> bytes:
    write = _WRITERS.get(path.suffix)
    return path.read_bytes() if write is None else _fill(path.read_text("utf-8"), values, write).encode()


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


#: How a value is written into a text file, by its suffix. All other files are taken as they are.
_WRITERS: Final[Mapping[str, Callable[[str], str]]] = {
    ".html": html.escape,
    ".js": _inside_json,
    ".json": _inside_json,
    ".md": str,
    ".txt": str,
    ".xml": html.escape,
}
