"""The package as it is installed from its wheel, away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import click
import pytest

from tests.serve.program import free_port

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT))
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel and finds what it needs in this one; nothing is loaded."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    run(
        *(sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "--disable-pip-version-check"),
        *("install", "--quiet", "--no-index", "--no-deps", str(wheel)),
    )
    [packages] = home.glob("lib/python*/site-packages")
    (packages / "needed.pth").write_text(f"{Path(click.__file__).parents[1]}\n", encoding="utf-8")
    return home / "bin"


def run(*command: str | Path, folder: Path | None = None) -> str:
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder or Path.home())},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_it_holds_every_file_of_the_package_and_every_manifest(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert names >= {f"plugin/{name}" for name in files_below(CHECKOUT / "plugin")}
    assert names >= {f"plugin/manifests/{name}" for name in files_below(CHECKOUT / "manifests")}
    assert not {name for name in names if not name.startswith("plugin/") and ".dist-info/" not in name}
    assert {Path(name).suffix for name in names} >= {".html", ".css", ".yaml", ".md", ".json"}


def test_the_demo_runs_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import plugin; print(plugin.__file__)", folder=tmp_path).strip()
    assert Path(where).is_relative_to(installed.parent)

    told = run(installed / "survey-plugin", "demo", "--once", "--port", str(free_port()), folder=tmp_path)

    assert told.count("accepted - The vendor confirmed the call.") == 4
    assert [path.name for path in tmp_path.iterdir()] == ["var"]


def test_the_guides_are_found(installed: Path, tmp_path: Path) -> None:
    code = (
        "from plugin.manifest import load_manifest; from plugin.registry import source_names; "
        "print([len(load_manifest(n, dict(url='u', source='s', tenant='t')).guide) > 500 for n in source_names()])"
    )

    told = run(installed / "python", "-c", code, folder=tmp_path)

    assert set(told.strip("[]\n").split(", ")) == {"True"}
