"""manifest build."""

from __future__ import annotations

import io
import json
import re
import stat
import zipfile
from pathlib import Path

import pytest

from tests.cli.commands import TENANT, Commands


@pytest.fixture(autouse=True)
def _public(acme: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE_URL", "https://survey.example.com")


def test_the_zip_is_written_for_its_owner_alone_and_its_secrets_are_told(acme: Commands) -> None:
    done = acme.run("manifest", "build", "generic", "--tenant", "acme", "--output", "crm.zip")

    assert done.stdout == "crm.zip\n"
    assert "The file holds secrets of crm (its address)" in done.stderr
    assert "There is no app for generic" in done.stderr
    assert stat.S_IMODE(Path("crm.zip").stat().st_mode) == 0o600
    assert "bearer-canary" not in done.output
    assert not list(Path().glob(".crm*"))


def test_a_source_without_an_app_gives_its_guide_and_bodies_with_the_address_filled_in(acme: Commands) -> None:
    acme.run("manifest", "build", "generic", "--tenant", "acme")

    with zipfile.ZipFile("generic-acme-crm.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {"guide.md", "crm_changed.json", "chat_ended.json", "ticket_closed.json"} <= set(texts)
    assert re.search(r"https://survey\.example\.com/triggers/[\w-]{16,}", texts["guide.md"])
    assert json.loads(texts["ticket_closed.json"])["sent_for"] == {"tenant": "Acme", "source": "crm"}


def test_the_same_source_gives_the_same_bytes(acme: Commands) -> None:
    for name in ("one.zip", "two.zip"):
        acme.run("manifest", "build", "zendesk", "--tenant", "acme", "--output", name)

    assert Path("one.zip").read_bytes() == Path("two.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(Path("one.zip").read_bytes())) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert not [name for name in names if name.startswith(("/", ".")) or "/." in name]


def test_an_app_is_built_with_its_manifest_at_the_root_and_its_secrets_are_named(acme: Commands) -> None:
    done = acme.run("manifest", "build", "zendesk", "--tenant", "acme")

    assert "The file holds secrets of desk (its address, signing_secret)" in done.stderr
    assert "There is no app" not in done.stderr
    assert "signing-canary" not in done.output
    with zipfile.ZipFile("zendesk-acme-desk.zip") as archive:
        [webhook] = json.loads(archive.read("requirements.json"))["webhooks"].values()
        assert json.loads(archive.read("manifest.json"))["private"]
    assert webhook["endpoint"] == "https://survey.example.com/triggers/desk-0123456789abcdef"
    assert webhook["signing_secret"]["secret"] == "signing-canary"


def test_an_existing_file_is_replaced_and_no_more_open_to_others(acme: Commands) -> None:
    Path("app.zip").write_text("something else", encoding="utf-8")
    Path("app.zip").chmod(0o644)

    acme.run("manifest", "build", "zendesk", "--tenant", "acme", "--output", "app.zip")

    assert zipfile.is_zipfile("app.zip")
    assert stat.S_IMODE(Path("app.zip").stat().st_mode) == 0o600


def test_a_base_url_that_no_helpdesk_can_call_is_told(acme: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE_URL", "http://127.0.0.1:8000")

    done = acme.run("manifest", "build", "zendesk", "--tenant", "acme")

    assert "Warning: BASE_URL is http://127.0.0.1:8000; helpdesks call nothing but https." in done.stderr


def test_of_several_sources_one_has_to_be_named(acme: Commands) -> None:
    second = "  - {name: second, kind: zendesk, credentials: {signing_secret: other-canary}}\nconnections:"
    acme.apply(TENANT.replace("connections:", second))

    refused = acme.run("manifest", "build", "zendesk", "--tenant", "acme", code=1)
    acme.run("manifest", "build", "zendesk", "--tenant", "acme", "--source", "second")

    assert refused.stderr == "acme has several sources of kind zendesk: desk, second. Say which with --source NAME.\n"
    assert Path("zendesk-acme-second.zip").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nosuch", "--tenant", "acme"), "There is no trigger source named nosuch"),
        (("zendesk", "--tenant", "nobody"), "nobody"),
        (("sendios", "--tenant", "acme"), "acme has no source of kind sendios. Add one to its configuration first."),
        (("zendesk", "--tenant", "acme", "--source", "crm"), "acme has no source of kind zendesk named crm."),
    ],
)
def test_what_cannot_be_built_is_told_in_a_sentence(acme: Commands, arguments: tuple[str, ...], said: str) -> None:
    refused = acme.run("manifest", "build", *arguments, code=1)

    assert said in refused.stderr
    assert refused.stdout == ""
    assert not list(Path().glob("*.zip"))


def test_a_mark_without_a_value_is_told_and_nothing_is_written(
    acme: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    manifests = tmp_path_factory.mktemp("manifests")
    (manifests / "zendesk" / "app").mkdir(parents=True)
    (manifests / "zendesk" / "guide.md").write_text("[[url]]", encoding="utf-8")
    (manifests / "zendesk" / "app" / "manifest.json").write_text('{"a": "[[url]] [[api_token]]"}', encoding="utf-8")
    monkeypatch.setattr("plugin.manifest._manifests", lambda: manifests)

    refused = acme.run("manifest", "build", "zendesk", "--tenant", "acme", code=1)

    assert "holds api_token, which desk does not have: enter it in the tenant's configuration first." in refused.stderr
    assert not list(Path().glob("*.zip"))


def test_a_folder_that_is_not_there_is_told(acme: Commands) -> None:
    refused = acme.run("manifest", "build", "zendesk", "--tenant", "acme", "--output", "nowhere/app.zip", code=1)

    assert "No such file or directory" in refused.stderr
