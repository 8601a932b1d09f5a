"""Imports point down only: the program is a house of rooms, and each room may open these doors and no others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "plugin"

GROUND = {"domain", "errors", "redaction"}
CONNECTORS = {"triggers", "surveys"}
STEPS = {"store", "registry", "outbound", "vault", *GROUND}
FRONT = {
    "pipeline", "store", "tenant_file", "signing", "vault", "metrics", "registry", "manifest", "packages", "wake",
    *GROUND,
}  # fmt: skip
ALL_BUT_CONFIG = {*FRONT, *CONNECTORS, "outbound", "web", "api", "worker", "errand_worker", "sandbox", "cli", "app"}

#: What each room may import besides itself. A module that stands straight in plugin/ is a room of its own.
DOORS = {
    "app": {*ALL_BUT_CONFIG, "config"},  # the one reader of the configuration
    "__main__": ALL_BUT_CONFIG,
    "cli": ALL_BUT_CONFIG,
    "web": FRONT,
    "api": FRONT,
    "worker": {*FRONT, "pacing", "errand_worker"},
    "errand_worker": FRONT,
    "sandbox": FRONT,
    "pipeline": STEPS,
    "tenant_file": STEPS,
    "registry": {*CONNECTORS, *GROUND},
    "manifest": {"errors"},
    "packages": {"manifest", "pipeline", "store", "vault", *GROUND},
    "store": GROUND,
    "outbound": GROUND,
    "signing": GROUND,
    "vault": GROUND,
    "wake": GROUND,
    "pacing": GROUND,
    "metrics": {"store", *GROUND},
    "config": {"store", *GROUND},  # stands right under `app`; asks the store which file an address means
    "triggers": GROUND,
    "surveys": GROUND,
    "domain": GROUND,
    "errors": GROUND,
    "redaction": GROUND,
    "__init__": set(),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(PLUGIN.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported_modules(source: str, module: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and full name of every module of ours that `source` imports, anywhere in it and under any condition."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom():
                above = package[: len(package) - node.level + 1] if node.level else []
                origin = ".".join([*above, *([node.module] if node.module else [])])
                names = [
                    full if exists(full := f"{origin}.{alias.name}") else origin
                    for alias in node.names
                    if origin.split(".")[0] == "plugin"
                ]
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(str(name)), *_]):
                names = [name] if called in {"import_module", "__import__"} else []
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "plugin")


def complaint(module: str, imported: str) -> str | None:
    """Why `module` must not import `imported`; None when it may."""
    room, other = module.split(".")[1], [*imported.split("."), "__init__"][1]
    if room not in DOORS:
        return f"{module} stands in no room of this test's table: give `{room}` one, and say what it may import"
    if other == "__init__":
        return None
    if room != other:
        return None if other in DOORS[room] else f"{module} imports {imported}: `{room}` may not import `{other}`"
    base, own = f"plugin.{room}.base", ".".join(module.split(".")[:3])
    if room in CONNECTORS and not f"{imported}.".startswith((f"{base}.", f"{own}.")):
        return f"{module} imports {imported}: a connector may import its own base and no other connector"
    return None


def complaints(source: str, module: str, *, is_package: bool = False) -> list[str]:
    found = [
        f"line {line}: {said}"
        for line, imported in imported_modules(source, module, is_package=is_package)
        if (said := complaint(module, imported))
    ]
    return found or [said for said in [complaint(module, "plugin")] if said]


MODULES = sorted(PLUGIN.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_room_may(path):
    found = complaints(path.read_text(encoding="utf-8"), module_name(path), is_package=path.name == "__init__.py")
    assert found == []


def test_there_are_modules_to_look_at():
    assert {"plugin.domain.event", "plugin.store.tables", "plugin.registry"} <= {module_name(path) for path in MODULES}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("plugin.domain.rule", "from plugin.store import events"),
        ("plugin.domain.rule", "import plugin.store.tables as tables"),
        ("plugin.domain.rule", "from plugin import registry"),
        ("plugin.domain.rule", "from ..store import tables"),
        ("plugin.domain.rule", "from .. import registry"),
        ("plugin.domain.rule", "def later():\n    from plugin.vault import Vault"),
        (
            "plugin.domain.rule",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from plugin.vault import Vault",
        ),
        ("plugin.domain.rule", "import importlib\nimportlib.import_module('plugin.vault')"),
        ("plugin.errors", "import plugin.store"),
        ("plugin.store.rules", "from plugin.vault import Vault"),
        ("plugin.store.rules", "from plugin.outbound import Outbound"),
        ("plugin.vault", "from plugin.store import tables"),
        ("plugin.signing", "from plugin.vault import Vault"),
        ("plugin.triggers.zendesk", "from plugin.triggers import zendesk, generic"),
        ("plugin.triggers.zendesk", "from plugin.triggers.generic import parse"),
        ("plugin.triggers.zendesk", "from .generic import parse"),
        ("plugin.triggers.zendesk", "from plugin.surveys.base import Vendor"),
        ("plugin.triggers.base", "from plugin.triggers.zendesk import parse"),
        ("plugin.surveys.surveylab", "from plugin.outbound import Outbound"),
        ("plugin.surveys.startquestion.calls", "from plugin.surveys.surveylab import VENDOR"),
        ("plugin.registry", "from plugin.pipeline import plan"),
        ("plugin.manifest", "from plugin.registry import source"),
        ("plugin.pipeline.plan", "from plugin.tenant_file import read"),
        ("plugin.pipeline.plan", "from plugin.config import Config"),
        ("plugin.tenant_file.read", "from plugin.pipeline import plan"),
        ("plugin.web.receive", "from plugin.outbound import Outbound"),
        ("plugin.web.receive", "from plugin.triggers import zendesk"),
        ("plugin.web.receive", "from plugin.sandbox import server"),
        ("plugin.sandbox.surveylab", "from plugin.surveys import surveylab"),
        ("plugin.worker", "from plugin.config import Config"),
        ("plugin.cli", "from plugin.config import Config"),
        ("plugin.__main__", "from plugin.config import Config"),
    ],
)
def test_an_upward_or_sideways_import_is_caught(module, source):
    assert complaints(source, module) != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "plugin.domain.rule",
            "import json\nfrom plugin.domain.event import EventKind\nfrom plugin.errors import Problem",
        ),
        ("plugin.domain.rule", "from .event import EventKind\nfrom plugin import __version__"),
        ("plugin.triggers.zendesk", "from plugin.triggers.base import Source\nfrom plugin.domain.event import Event"),
        ("plugin.triggers.zendesk", "from plugin.triggers import base"),
        ("plugin.surveys.startquestion.calls", "from plugin.surveys.startquestion.brands import BRANDS"),
        ("plugin.registry", "import plugin.triggers\nfrom plugin.surveys.base import Vendor"),
        ("plugin.pipeline.plan", "from plugin.store import rules\nfrom plugin.pipeline.draft import Draft"),
        ("plugin.web.receive", "from plugin.pipeline import accept\nfrom plugin.manifest import guide"),
        ("plugin.metrics", "from plugin.store.database import Database"),
        ("plugin.app", "from plugin.config import Config\nfrom plugin.web import receive"),
        ("plugin.cli", "def serve():\n    from plugin.app import create_app"),
    ],
)
def test_a_downward_import_is_fine(module, source):
    assert complaints(source, module) == []


def test_a_module_without_a_room_is_told_so():
    [said] = complaints("import json", "plugin.helpers")
    assert "no room" in said
    assert "`helpers`" in said
