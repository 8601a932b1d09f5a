"""The documents say what the program does."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from plugin import registry
from plugin.cli import main
from plugin.config import Config
from plugin.domain.delivery import DeliveryState
from plugin.domain.rule import OPERATORS
from plugin.tenant_file import check_document, read_document

ROOT = Path(__file__).parent.parent
CONFIGURATION = (ROOT / "docs/configuration.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


def _builder(name):
    """One of the scripts in docs/ that write pages."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "docs"))


def test_the_reference_is_what_the_program_declares():
    assert (ROOT / "docs/reference.md").read_text("utf-8") == _builder("build_reference").reference()


@pytest.mark.parametrize("name", registry.vendor_names())
def test_a_vendor_s_page_says_what_the_vendor_declares(name):
    build_vendors = _builder("build_vendors")
    page = build_vendors.page_of(name).read_text("utf-8")
    assert page == build_vendors.filled(name, page), "run python docs/build_vendors.py"


@pytest.mark.parametrize("name", registry.vendor_names())
def test_a_person_has_written_about_each_call_of_a_vendor(name):
    build_vendors = _builder("build_vendors")
    before, _, after = build_vendors.parts_of(build_vendors.page_of(name).read_text("utf-8"))
    written = before + after
    assert [call for call in registry.vendor(name).VENDOR.calls if f"`{call}`" not in written] == []
    assert len(written.split()) > 60


@pytest.mark.parametrize("name", registry.source_names())
def test_a_source_s_page_is_found_from_the_readme_and_says_what_to_do_what_comes_and_what_is_missing(name):
    assert f"(docs/sources/{name}.md)" in README
    assert f"| `{name}` |" in README
    page = (ROOT / f"docs/sources/{name}.md").read_text("utf-8")
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    for beginning in ("In five minutes", "What we receive", "What is missing"):
        assert [heading for heading in headings if heading.startswith(beginning)], beginning
    source = registry.source(name).SOURCE
    assert [kind for kind in source.events if f"`{kind}`" not in page] == []
    for schema in filter(None, (source.credentials, source.settings)):
        assert [field for field in schema().fields if f"`{field}`" not in page and f"{field}:" not in page] == []


def test_there_is_no_page_of_a_vendor_that_does_not_exist():
    assert {page.stem for page in (ROOT / "docs/vendors").iterdir()} == set(registry.vendor_names())


@pytest.mark.parametrize("page", ["no marks", "{END} {BEGIN}", "{BEGIN} {END} {BEGIN} {END}", "{BEGIN}"])
def test_a_page_whose_marks_are_spoilt_is_not_written_over(page):
    build_vendors = _builder("build_vendors")
    text = page.format(BEGIN=build_vendors.BEGIN, END=build_vendors.END) if "{" in page else page
    with pytest.raises(ValueError, match="generated: begin"):
        build_vendors.filled("surveylab", text)


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
    "page", ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
)
def test_every_link_to_a_file_leads_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [target for target in targets if not ((ROOT / page).parent / target).exists()] == []
