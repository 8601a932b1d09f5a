"""The overview, the set-up guides, and pausing a connection."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta

import pytest

from plugin.store import connections, workers
from plugin.tenant_file.apply import KEY_OVERLAP
from tests.web.installation import CONFIGURATION, Installation, words

EMPTY = "tenant: acme\nname: Acme\n"


def pause(installation, tenant, **why):
    with installation.parts.database.write() as db:
        lab = connections.connection_by_name(db, tenant.id, "lab")
        connections.pause_connection(db, tenant.id, lab.id, now=installation.clock(), **why)


def test_sources_are_shown_with_their_addresses_and_kind(installation, acme, admin):
    page = admin.get("/settings/")

    for source in ("desk", "trial"):
        assert f"http://localhost/triggers/{installation.keys(acme, source)[0]}" in page.text
    assert "Any other system" in words(page)
    assert "In state test nothing is sent to anybody" in words(page)


def test_a_viewer_sees_no_address_and_no_buttons(installation, acme, viewer):
    page = viewer.get("/settings/")

    assert "http://localhost/triggers/•••" in page.text
    assert installation.keys(acme, "desk")[0] not in page.text
    assert "Pause" not in words(page)
    assert "You may look, not change" in words(page)


@pytest.mark.parametrize(
    ("body", "token", "said"),
    [
        ({"ticket": {"id": "1"}}, None, "taken (202)"),
        (b"{", None, "refused: it could not be read (400)"),
        (
            {"ticket": {"id": "1"}},
            "wrong",
            "refused: it did not prove who sent it; compare the secret on both sides (401)",
        ),
    ],
)
def test_the_last_request_is_told_with_its_answer(installation, acme, admin, body, token, said):
    assert "Last request None yet." in words(admin.get("/settings/"))

    installation.send(acme, "desk", body, token=token)

    assert f": {said}" in words(admin.get("/settings/"))


def test_an_old_address_is_shown_until_it_ends(installation, acme, admin):
    old = installation.keys(acme, "desk")[0]
    installation.apply(CONFIGURATION.replace("{name: desk,", "{name: desk, key: a-new-key-of-our-own,"))
    page = admin.get("/settings/")
    assert "http://localhost/triggers/a-new-key-of-our-own" in page.text
    assert "Old address" in words(page)
    assert f"http://localhost/triggers/{old}" in page.text
    assert "It has not been used." in words(page)

    installation.app.test_client().post(
        f"/triggers/{old}", json={"ticket": {}}, headers={"Authorization": "Bearer desk-token"}
    )
    assert "change it over on the other side" in words(admin.get("/settings/"))

    installation.clock.advance(seconds=KEY_OVERLAP.total_seconds())
    admin.open(installation.add_link(acme))
    assert "Old address" not in words(admin.get("/settings/"))


@pytest.mark.parametrize("page", ["/settings/", "/settings/sources/desk/guide"])
def test_an_admin_downloads_what_is_installed_on_the_other_side(installation, acme, admin, page):
    assert 'action="/settings/sources/desk/package"' in admin.get(page).text

    answer = admin.post("/settings/sources/desk/package", page=page)

    assert answer.status_code == 200
    assert answer.content_type == "application/zip"
    assert answer.headers["Content-Disposition"] == "attachment; filename=generic-acme-desk.zip"
    assert answer.headers["Cache-Control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert f"/triggers/{installation.keys(acme, 'desk')[0]}" in archive.read("guide.md").decode()


def test_a_download_that_lacks_a_secret_says_which(installation, acme, admin):
    installation.apply(
        CONFIGURATION.replace(
            "{name: desk, kind: generic, credentials: {bearer: desk-token}}",
            "{name: desk, kind: zendesk, credentials: {conversations_secret: secret-of-messaging-0123456789}}",
        )
    )

    answer = admin.post("/settings/sources/desk/package", page="/settings/")

    assert answer.status_code == 409
    assert "holds signing_secret, which desk does not have" in words(answer)


def test_a_viewer_is_offered_no_download(installation, acme, viewer):
    for page in ("/settings/", "/settings/sources/desk/guide"):
        assert "Download" not in words(viewer.get(page))


def test_connections_are_shown_with_what_waits_for_them(installation, acme, admin):
    installation.close_ticket(acme)

    page = words(admin.get("/settings/"))

    assert "lab SurveyLab active Waiting 1 delivery Last success None yet" in page
    assert "spare SurveyLab active Waiting 0 deliveries" in page


def test_a_paused_connection_is_shown_with_the_vendors_words_and_what_is_parked(installation, acme, admin):
    installation.close_ticket(acme)
    pause(installation, acme, reason="credentials", words="<b>Wrong</b> API key")

    page = admin.get("/settings/")

    assert "Paused since" in words(page)
    assert "The vendor refused the credentials" in words(page)
    assert "&lt;b&gt;Wrong&lt;/b&gt; API key" in page.text
    assert "Parked 1 delivery" in words(page)


def test_a_viewer_sees_the_vendors_words_without_addresses(installation, acme, viewer):
    pause(installation, acme, reason="quota", words="Limit reached for lucja.nowak@example.com")

    page = viewer.get("/settings/")

    assert "l•••@example.com" in page.text
    assert "lucja.nowak" not in page.text


def test_rules_are_shown_with_what_they_decided_in_the_last_week(installation, acme, admin):
    installation.close_ticket(acme, "1")
    installation.clock.advance(days=8)
    admin.open(installation.add_link(acme))
    installation.close_ticket(acme, "2")
    installation.close_ticket(acme, "3", tags="no_survey")
    installation.close_ticket(acme, "4", email="")

    page = words(admin.get("/settings/"))

    assert "solved Ticket closed Add a respondent to a collector → lab 1 1 1 problems: show the receipts" in page
    assert "after a chat Chat ended Add a respondent to a collector → spare 0 3 0" in page


def test_a_rule_says_when_it_asks_and_that_it_may_ask_twice(installation, acme, admin):
    assert "may ask twice" not in words(admin.get("/settings/"))
    more = "ask: {delay_minutes: 30, expires_hours: 24}\n  when_uncertain: resend"
    installation.apply(CONFIGURATION.replace("- name: solved", f"- name: solved\n  {more}"))

    page = words(admin.get("/settings/"))

    assert "→ lab, 30 minutes after the event came in, and no more after 1 day may ask twice" in page


def test_a_rule_that_is_switched_off_says_so(installation, acme, admin):
    installation.apply(CONFIGURATION.replace("- name: solved", "- name: solved\n  enabled: false"))

    assert "solved switched off" in words(admin.get("/settings/"))


def test_a_missing_worker_is_told_until_one_is_alive(installation, acme, admin):
    assert "No worker is running. Triggers are kept and will be sent when one runs." in words(admin.get("/settings/"))

    with installation.parts.database.write() as db:
        workers.beat(db, "one", now=installation.clock(), threads=2)
    assert "No worker is running" not in words(admin.get("/settings/"))

    installation.clock.advance(minutes=1)
    assert "No worker is running" in words(admin.get("/settings/"))


def test_an_empty_tenant_is_told_what_to_do_next(installation):
    visitor = installation.visitor(installation.add_link(installation.apply(EMPTY)))

    page = words(visitor.get("/settings/"))

    for said in (
        "There is no source yet. Add one",
        "There is no connection yet. Add one",
        "There is no rule yet, so nothing is sent. Add",
    ):
        assert said in page


def test_times_are_in_the_tenants_zone(tmp_path):
    installation = Installation(tmp_path)
    tenant = installation.apply(CONFIGURATION.replace("Europe/Warsaw", "Asia/Kolkata"))
    visitor = installation.visitor(installation.add_link(tenant))
    installation.close_ticket(tenant)

    page = visitor.get("/settings/")

    assert f"{installation.clock() + timedelta(hours=5, minutes=30):%H:%M:%S}" in page.text
    assert "Times are in Asia/Kolkata." in words(page)
    installation.close()


# --- old secrets, other accounts ------------------------------------------------------------------------------------

ROTATED = CONFIGURATION.replace(
    "credentials: {bearer: desk-token}",
    "credentials: {bearer: desk-token}, old_credentials: {bearer: {secret: set}}",
)


def test_the_overview_says_whether_the_old_secret_is_still_in_use(installation):
    acme = installation.apply(CONFIGURATION.replace("bearer: desk-token", "bearer: old-token"))
    installation.apply(ROTATED.replace("{secret: set}", "old-token"))
    admin = installation.visitor(installation.add_link(acme))

    assert installation.send(acme, "desk", {"ticket": {"id": "1"}}).status_code == 202
    assert "Old credentials Not used any more since they were replaced." in words(admin.get("/settings/"))

    assert installation.send(acme, "desk", {"ticket": {"id": "2"}}, token="old-token").status_code == 202
    assert "Old credentials Still in use, the last time" in words(admin.get("/settings/"))
    assert installation.send(acme, "desk", {"ticket": {"id": "3"}}, token="third-token").status_code == 401

    installation.apply(CONFIGURATION)
    assert installation.send(acme, "desk", {"ticket": {"id": "4"}}, token="old-token").status_code == 401
    assert "Old credentials" not in words(admin.get("/settings/"))


def test_events_of_other_accounts_are_told_on_the_overview(installation):
    credentials = "{header: {name: Authorization, value: Bearer crm-token}}"
    of_hubspot = f"- {{name: crm, kind: hubspot, credentials: {credentials}, settings: {{portal_id: '62515'}}}}\n"
    acme = installation.apply(CONFIGURATION.replace("connections:", f"{of_hubspot}connections:", 1))
    admin = installation.visitor(installation.add_link(acme))
    change = {"subscriptionType": "ticket.propertyChange", "propertyName": "subject", "occurredAt": 1767323041000}
    changes = [
        change | {"eventId": 1, "objectId": number, "portalId": account} for number, account in enumerate((62515, 7, 8))
    ]

    assert installation.send(acme, "crm", changes[:1]).status_code == 202
    assert "Of other accounts" not in words(admin.get("/settings/"))

    answer = installation.send(acme, "crm", changes)

    assert (answer.status_code, len(answer.get_json()["events"])) == (202, 1)
    page = words(admin.get("/settings/"))
    assert "Of other accounts 2 events were dropped, the last" in page
    assert "since they were about another account than this source's." in page


# --- the set-up guide -------------------------------------------------------------------------------------------------


def test_the_guide_holds_the_sources_own_address_and_the_bodies_to_paste(installation, acme, admin):
    page = admin.get("/settings/sources/desk/guide")

    assert f"http://localhost/triggers/{installation.keys(acme, 'desk')[0]}" in page.text
    assert "<h1>Connect any other system</h1>" in page.text
    assert "ticket_closed.json" in words(page)
    assert '"requester": {' in words(page)


def test_the_guide_keeps_the_address_from_a_viewer(installation, acme, viewer):
    page = viewer.get("/settings/sources/desk/guide")

    assert page.status_code == 200
    assert installation.keys(acme, "desk")[0] not in page.text


def test_there_is_no_guide_for_a_source_that_does_not_exist(admin):
    page = admin.get("/settings/sources/nobody/guide")

    assert page.status_code == 404
    assert "This tenant has no source named nobody." in words(page)


# --- pausing and resuming ---------------------------------------------------------------------------------------------


def test_pausing_asks_first_and_then_parks_what_is_due(installation, acme, admin):
    installation.close_ticket(acme)
    assert "Pause lab?" in words(admin.get("/settings/connections/lab/pause"))
    assert "active" in words(admin.get("/settings/"))

    answer = admin.post("/settings/connections/lab/pause")

    assert (answer.status_code, answer.location) == (303, "/settings/")
    page = words(admin.get("/settings/"))
    assert "lab is paused. What is due waits until you resume it." in page
    assert "Parked 1 delivery" in page


def test_resuming_says_what_waits_and_why_and_then_lets_it_go(installation, acme, admin):
    installation.close_ticket(acme)
    pause(installation, acme, reason="quota", words="Invitations limit has been reached")
    page = words(admin.get("/settings/connections/lab/resume"))
    assert "1 delivery waits for lab" in page
    assert "Invitations limit has been reached" in page

    admin.post("/settings/connections/lab/resume")

    page = words(admin.get("/settings/"))
    assert "lab is resumed." in page
    assert "Paused since" not in page


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_a_viewer_is_not_even_asked(viewer, action):
    assert viewer.get(f"/settings/connections/lab/{action}").status_code == 403
