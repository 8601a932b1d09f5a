"""Editing the configuration: check, difference, save; and going back."""

from __future__ import annotations

import html
import re

import pytest

from plugin.store import connections, tenants
from plugin.tenant_file import check_document, read_document, stored_document
from plugin.vault import settings_place
from tests.web.installation import CONFIGURATION, Installation, words

PAGE = "/settings/configuration/"


def editor(visitor):
    """The text in the editor and the version it was begun with."""
    return editor_of(visitor.get(PAGE))


def editor_of(page):
    text = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page.text, re.DOTALL)[1]
    return html.unescape(text), re.search(r'name="base" value="(\d+)"', page.text)[1]


def send(visitor, step, text, base):
    return visitor.post(f"{PAGE}{step}", {"text": text, "base": base}, page=PAGE)


def stored(installation, tenant):
    with installation.parts.database.read() as db:
        present = tenants.tenant_by_id(db, tenant.id)
        return stored_document(db, installation.parts.vault, present)


def change(visitor, old, new):
    """Edit, check and save one change."""
    text, base = editor(visitor)
    assert old in text
    answer = send(visitor, "save", text.replace(old, new), base)
    assert answer.status_code == 303, words(answer)


def test_the_editor_holds_the_configuration_without_its_secrets(admin):
    text, base = editor(admin)

    assert base == "1"
    assert "bearer: {secret: set}" in text
    assert "desk-token" not in text
    assert read_document(text)["rules"][0]["name"] == "solved"


def test_a_viewer_reads_the_configuration_and_gets_no_editor(viewer):
    page = viewer.get(PAGE)

    assert "name: solved" in words(page)
    assert "<textarea" not in page.text
    assert "desk-token" not in page.text
    assert "Restore" not in words(page)


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("name: Acme", "name: Acme\n\tbad: 1", "line 3, column 1", "indent with spaces, not tabs"),
        ("{{ person.email }}", "{{ person.emil }}", "rules[0] (solved).parameters.email", "mean `person.email`?"),
        ("state: live", "state: life", "sources[0] (desk).state", "must be live, test or capture."),
        ("op: excludes", "op: exludes", "rules[0] (solved).when.conditions[0].op", "must be one of"),
        ("bearer: {secret: set}", "bearer: ${HOME}", "sources[0] (desk).credentials.bearer", "write the value here"),
        ("tenant: acme", "tenant: blue", "tenant", "must stay acme"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_the_text_is_kept(installation, acme, blue, admin, old, new, place, said):
    text, base = editor(admin)
    written = text.replace(old, new, 1)

    page = send(admin, "check", written, base)

    assert page.status_code == 422
    assert place in words(page)
    assert said in words(page)
    assert editor_of(page) == (written, base)
    assert send(admin, "save", written, base).status_code == 422
    assert stored(installation, blue)["name"] == "Nordic"
    assert stored(installation, acme)["rules"][0]["parameters"]["email"] == "{{ person.email }}"


def test_a_mistake_in_an_unnamed_part_is_told_by_its_number(admin):
    text, base = editor(admin)

    page = send(admin, "check", text.replace("- name: solved\n", "- title: solved\n"), base)

    assert "rules[0].name is required." in words(page)


def test_the_difference_is_shown_before_anything_is_saved(installation, acme, admin):
    text, base = editor(admin)

    page = send(admin, "check", text.replace("name: Acme", "name: Acme Ltd").replace("cId: '837'", "cId: '900'"), base)

    assert page.status_code == 200
    said = words(page)
    assert "tenant : name changes from Acme to Acme Ltd." in said
    assert "rule solved : parameters.cId changes from 837 to 900." in said
    assert '<span class="removed">-name: Acme</span>' in page.text
    assert '<span class="added">+name: Acme Ltd</span>' in page.text
    assert "@ line" in said
    assert stored(installation, acme)["name"] == "Acme"


def test_a_rule_that_may_ask_twice_is_warned_of_before_it_is_saved(installation, acme, admin):
    text, base = editor(admin)

    page = words(send(admin, "check", text.replace("  call: add", "  when_uncertain: resend\n  call: add", 1), base))

    assert "rule solved: a call whose answer is lost is made again, so a person may be asked twice" in page


def test_a_changed_secret_is_named_and_never_shown_outside_the_kept_text(installation, acme, admin):
    text, base = editor(admin)
    written = text.replace("bearer: {secret: set}", "bearer: brand-new-token", 1)

    page = send(admin, "check", written, base)

    assert "source desk : credentials.bearer changes (not shown)." in words(page)
    assert re.sub(r"<textarea.*?</textarea>", "", page.text, flags=re.DOTALL).count("brand-new-token") == 0
    assert editor_of(page) == (written, base)
    assert send(admin, "save", written, base).status_code == 303
    assert stored(installation, acme)["sources"][0]["credentials"]["bearer"].reveal() == "brand-new-token"
    assert "brand-new-token" not in admin.get(PAGE).text
    assert installation.send(acme, "desk", {"ticket": {"id": "1"}}, token="brand-new-token").status_code == 202


def test_kept_secrets_stay_as_they_are(installation, acme, admin):
    change(admin, "name: Acme", "name: Acme Ltd")

    kept = stored(installation, acme)
    assert kept["connections"][0]["settings"]["api_token"].reveal() == "lab-token"
    assert kept["sources"][0]["credentials"]["bearer"].reveal() == "desk-token"


def test_an_unchanged_text_is_not_saved(installation, acme, admin):
    page = send(admin, "check", *editor(admin))

    assert "Nothing differs from what is saved." in words(page)
    assert editor_of(page)[1] == "1"


def test_the_text_comes_back_for_more_editing(admin):
    page = send(admin, "edit", "half: written\n\n  <b>", "1")

    assert editor_of(page) == ("half: written\n\n  <b>", "1")


def test_what_would_be_cancelled_is_told_and_then_cancelled(installation, acme, admin):
    installation.close_ticket(acme, "1")
    waiting = installation.close_ticket(acme, "2")
    text, base = editor(admin)
    written = text[: text.index("- name: solved")] + text[text.index("- name: after a chat") :]

    page = send(admin, "check", written, base)
    assert "2 waiting deliveries will be cancelled" in words(page)
    assert installation.delivery(acme, waiting).state == "scheduled"

    send(admin, "save", written, base)
    assert "Saved as version 2. 2 waiting deliveries were cancelled." in words(admin.get(PAGE))
    assert installation.delivery(acme, waiting).state == "cancelled"


def test_a_new_source_is_announced_with_an_address_and_gets_one(installation, acme, admin):
    text, base = editor(admin)
    written = text.replace(
        "connections:\n", "- {name: shop, kind: generic, credentials: {url_only: true}}\nconnections:\n"
    )

    page = send(admin, "check", written, base)
    assert "A source that is added gets an address of its own." in words(page)

    send(admin, "save", written, base)
    assert len(installation.keys(acme, "shop")) == 1


@pytest.mark.parametrize("step", ["check", "save"])
def test_what_somebody_else_saved_meanwhile_is_not_overwritten(installation, acme, admin, step):
    text, base = editor(admin)
    installation.apply(CONFIGURATION.replace("name: Acme", "name: Acme of the operator"))

    page = send(admin, step, text.replace("name: Acme", "name: Mine"), base)

    assert page.status_code == 409
    assert "Somebody else has saved this configuration meanwhile" in words(page)
    assert editor_of(page) == (text.replace("name: Acme", "name: Mine"), base)
    assert stored(installation, acme)["name"] == "Acme of the operator"


@pytest.mark.parametrize("base", ["", "one", "-1", "9" * 30])
def test_a_form_without_a_version_is_refused(admin, base):
    assert send(admin, "save", "tenant: acme", base).status_code == 400


def test_new_settings_resume_a_connection_that_waited_for_them(installation, acme, admin):
    with installation.parts.database.write() as db:
        lab = connections.connection_by_name(db, acme.id, "lab")
        connections.pause_connection(
            db, acme.id, lab.id, reason="credentials", words="Wrong API key", now=installation.clock()
        )

    change(admin, "api_token: {secret: set}", "api_token: a-better-token")

    assert "Paused since" not in words(admin.get("/settings/"))


# --- former versions --------------------------------------------------------------------------------------------------


def test_the_last_change_can_be_undone_and_the_undoing_as_well(installation, acme, admin):
    change(admin, "name: Acme", "name: Acme Ltd")
    page = admin.get(PAGE)
    assert "Version 2" in words(page)
    assert "tenant: name changes from Acme to Acme Ltd." in words(page)
    assert "settings page" in words(page)
    assert "Undo the last change" in words(page)

    asked = admin.get(f"{PAGE}versions/1")
    assert "Undo the last change?" in words(asked)
    assert "tenant : name changes from Acme Ltd to Acme." in words(asked)
    assert stored(installation, acme)["name"] == "Acme Ltd"

    assert admin.post(f"{PAGE}versions/1", {"base": "2"}).status_code == 303
    assert stored(installation, acme)["name"] == "Acme"
    assert "Saved as version 3." in words(admin.get(PAGE))

    assert admin.post(f"{PAGE}versions/2", {"base": "3"}).status_code == 303
    assert stored(installation, acme)["name"] == "Acme Ltd"


def test_restoring_brings_back_the_secrets_of_that_time(installation, acme, admin):
    change(admin, "api_token: {secret: set}", "api_token: mistyped")

    admin.post(f"{PAGE}versions/1", {"base": "2"})

    assert stored(installation, acme)["connections"][0]["settings"]["api_token"].reveal() == "lab-token"
    with installation.parts.database.read() as db:
        lab = connections.connection_by_name(db, acme.id, "lab")
        assert "lab-token" in installation.parts.vault.open(lab.settings, settings_place(acme.id, lab.id))


def test_a_version_like_the_present_one_offers_nothing_to_restore(admin):
    change(admin, "name: Acme", "name: Acme Ltd")
    change(admin, "name: Acme Ltd", "name: Acme")

    page = admin.get(f"{PAGE}versions/1")

    assert "there is nothing to restore" in words(page)


def test_restoring_is_refused_when_somebody_has_saved_meanwhile(installation, acme, admin):
    change(admin, "name: Acme", "name: Acme Ltd")
    installation.apply(CONFIGURATION.replace("name: Acme", "name: Acme of the operator"))

    page = admin.post(f"{PAGE}versions/1", {"base": "2"})

    assert page.status_code == 409
    assert "Somebody else has saved" in words(page)
    assert stored(installation, acme)["name"] == "Acme of the operator"


@pytest.mark.parametrize("version", [0, 2, 99])
def test_only_former_versions_can_be_restored(admin, version):
    change(admin, "name: Acme", "name: Acme Ltd")

    assert admin.get(f"{PAGE}versions/{version}").status_code == 404
    assert admin.post(f"{PAGE}versions/{version}", {"base": "2"}).status_code == 404


def test_a_version_that_no_longer_fits_says_why(tmp_path):
    before = Installation(tmp_path, vendor="http://127.0.0.1:9")
    before.apply(CONFIGURATION)
    tenant = before.apply(CONFIGURATION.replace("VENDOR", "https://www.mysurveylab.com"))
    before.close()
    # The operator has taken the address out of those that are allowed.
    after = Installation(tmp_path)
    visitor = after.visitor(after.add_link(tenant))

    page = visitor.get(f"{PAGE}versions/1")

    assert page.status_code == 422
    assert "connections[0].settings.origin" in words(page)
    assert visitor.post(f"{PAGE}versions/1", {"base": "2"}).status_code == 409
    after.close()


def test_the_example_beside_the_editor_is_in_order(installation, admin):
    page = admin.get(PAGE)
    example = html.unescape(re.search(r"Example of a configuration\">(.*?)</pre>", page.text, re.DOTALL)[1])

    assert check_document(read_document(example)).slug == "acme"


def test_the_placeholders_are_listed_beside_the_editor(admin):
    assert "ticket.requester.email Requester: e-mail address" in words(admin.get(PAGE))
