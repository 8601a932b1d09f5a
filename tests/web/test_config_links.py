"""From a config link to a session, and from there to its end."""

from __future__ import annotations

import re

import pytest
from flask.sessions import SecureCookieSessionInterface
from sqlalchemy import func, select

from plugin.store import tenants
from plugin.store.tables import sessions
from tests.web.installation import CONFIGURATION, Installation, words


def count_sessions(installation):
    with installation.parts.database.read() as db:
        return db.execute(select(func.count()).select_from(sessions)).scalar()


def session_cookie(visitor):
    return visitor.client.get_cookie("survey_plugin")


def test_opening_a_link_shows_a_button_and_begins_no_session(installation, acme):
    visitor = installation.visitor()

    page = visitor.get(installation.add_link(acme))

    assert page.status_code == 200
    assert "Settings of Acme" in words(page)
    assert '<form method="post">' in page.text
    assert count_sessions(installation) == 0
    assert visitor.get("/settings/").status_code == 403


def test_the_button_begins_a_session_and_leads_to_the_settings(installation, acme):
    visitor = installation.visitor()

    answer = visitor.open(installation.add_link(acme))

    assert (answer.status_code, answer.location) == (303, "/settings/")
    assert visitor.get("/settings/").status_code == 200
    assert count_sessions(installation) == 1


def test_the_button_works_over_https_without_a_referrer(tmp_path):
    secure = Installation(tmp_path, base_url="https://surveys.example.com")
    link = secure.add_link(secure.apply(CONFIGURATION))
    client = secure.app.test_client()
    page = client.get(link, base_url="https://surveys.example.com")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]

    answer = client.post(link, base_url="https://surveys.example.com", data={"csrf_token": token})

    assert answer.status_code == 303
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    secure.close()


def test_a_link_works_more_than_once_until_it_expires(installation, acme):
    link = installation.add_link(acme, hours=2)
    assert installation.visitor().open(link).status_code == 303
    assert installation.visitor().open(link).status_code == 303

    installation.clock.advance(hours=2)

    page = installation.visitor().get(link)
    assert page.status_code == 403
    assert "This link has expired or was withdrawn" in words(page)
    assert "Acme" not in page.text


def test_a_withdrawn_link_opens_nothing_and_its_sessions_have_ended(installation, acme):
    link = installation.add_link(acme)
    visitor = installation.visitor(link)

    installation.revoke_links(acme)

    assert visitor.get("/settings/").status_code == 403
    assert visitor.get(link).status_code == 403
    assert count_sessions(installation) == 0


@pytest.mark.parametrize(
    "damage", [lambda link: link[:-1], lambda link: f"{link[:-3]}AAA", lambda link: "/config/" + "x" * 5000]
)
def test_a_link_that_was_not_made_here_is_not_found(installation, acme, damage):
    page = installation.visitor().get(damage(installation.add_link(acme)))

    assert page.status_code == 404
    assert "Acme" not in page.text


def test_a_form_without_the_hidden_field_begins_no_session(installation, acme):
    link = installation.add_link(acme)

    answer = installation.visitor().client.post(link)

    assert answer.status_code == 400
    assert "Go back, reload the page" in words(answer)
    assert count_sessions(installation) == 0


def test_a_session_never_outlives_its_link(installation, acme):
    visitor = installation.visitor(installation.add_link(acme, minutes=30))
    installation.clock.advance(minutes=29)
    assert visitor.get("/settings/").status_code == 200

    installation.clock.advance(minutes=1)

    assert visitor.get("/settings/").status_code == 403


def test_a_session_lasts_twelve_hours_at_most(installation, acme):
    visitor = installation.visitor(installation.add_link(acme, days=7))

    installation.clock.advance(hours=12)

    assert visitor.get("/settings/").status_code == 403


def test_the_cookie_holds_an_id_that_is_not_stored(installation, acme):
    visitor = installation.visitor(installation.add_link(acme))

    cookie = session_cookie(visitor)
    serializer = SecureCookieSessionInterface().get_signing_serializer(installation.app)
    held = serializer.loads(cookie.value)

    assert set(held) == {"_permanent", "id"}
    with installation.parts.database.read() as db:
        assert held["id"] not in db.execute(select(sessions.c.id_hash)).scalars().all()
    assert (cookie.http_only, cookie.same_site, cookie.path) == (True, "Lax", "/")


def test_a_browser_gets_a_new_id_with_each_link_and_the_former_session_ends(installation, acme, blue):
    visitor = installation.visitor(installation.add_link(acme))
    before = session_cookie(visitor).value
    stolen = installation.app.test_client()
    stolen.set_cookie("survey_plugin", before)
    assert stolen.get("/settings/").status_code == 200

    visitor.open(installation.add_link(blue))

    assert "Nordic" in words(visitor.get("/settings/"))
    assert stolen.get("/settings/").status_code == 403
    assert count_sessions(installation) == 1


def test_ending_a_session_ends_it_for_good(installation, acme):
    visitor = installation.visitor(installation.add_link(acme, "viewer"))
    before = session_cookie(visitor).value

    answer = visitor.post("/settings/leave")

    assert (answer.status_code, answer.location) == (303, "/")
    assert "Your session has ended." in words(visitor.get("/"))
    visitor.client.set_cookie("survey_plugin", before)
    assert visitor.get("/settings/").status_code == 403


def test_what_a_page_is_made_of_brings_no_cookie_back(installation, acme, admin):
    assert admin.get("/settings/").status_code == 200
    with admin.get("/static/pages.css") as style:
        assert "Set-Cookie" not in style.headers


def test_the_bare_address_says_what_this_is_and_how_to_get_in(installation):
    assert "open the config link" in words(installation.visitor().get("/"))


def test_the_session_of_a_removed_tenant_is_over(installation, acme, admin):
    with installation.parts.database.write() as db:
        tenants.remove_tenant(db, acme.id)

    assert admin.get("/settings/").status_code == 403
