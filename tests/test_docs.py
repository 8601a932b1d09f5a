"""The documents say what the program does."""

import importlib.util
import re
from pathlib import Path

import pytest

from plugin.cli import main
from plugin.config import Config
from plugin.domain.delivery import DeliveryState
from plugin.domain.rule import OPERATORS
from plugin.tenant_file import check_document, read_document

ROOT = Path(__file__).parent.parent
CONFIGURATION = (ROOT / "docs/configuration.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


def _build_reference():
    spec = importlib.util.spec_from_file_location("build_reference", ROOT / "docs/build_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_program_declares():
    assert (ROOT / "docs/reference.md").read_text("utf-8") == _build_reference().reference()


@pytest.mark.parametrize("word", [*OPERATORS, *DeliveryState])
def test_the_guide_explains_each_operator_and_state(word):
    assert f"`{word}`" in CONFIGURATION


@pytest.mark.parametrize("variable", sorted(Config.__dataclass_fields__))
def test_the_readme_or_the_operating_guide_names_each_variable(variable):
    both = README + (ROOT / "docs/operating.md").read_text("utf-8")
    assert variable.upper() in both


def test_the_example_of_the_readme_is_a_configuration_without_a_fault():
    example = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1]
    checked = check_document(read_document(example), environment=lambda name: "some-secret")
    assert checked.slug == "acme"


def test_the_changelog_names_each_command():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert [name for name in main.commands if f"`{name}`" not in changelog] == []


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_every_link_to_a_file_leads_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [target for target in targets if not ((ROOT / page).parent / target).exists()] == []
