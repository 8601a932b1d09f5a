"""The page of the people who want no more invitations."""

from __future__ import annotations

import pytest

from tests.web.installation import CONFIGURATION, OTHER, words

PAGE = "/settings/no-invitations"
ADDRESS = "ada.lovelace@example.com"


@pytest.fixture
def admin(installation):
    return installation.visitor(installation.add_link(installation.apply(CONFIGURATION), "admin"))


def say(visitor, action, address=ADDRESS, because=""):
    """What the page says after one of its buttons."""
    answer = visitor.post(PAGE, {"action": action, "address": address, "because": because})
    assert answer.status_code == 303
    assert "@" not in answer.headers["Location"]
    return words(visitor.get(PAGE))


def test_an_empty_list_says_so(admin):
    assert "Nobody is on the list." in words(admin.get(PAGE))


def test_a_person_is_looked_up_put_on_the_list_and_invited_again(admin):
    assert "This person is not on it." in say(admin, "find")
    assert "This person is sent no more invitations." in say(admin, "add", because="by phone")
    assert "A person of your team said so on" in say(admin, "find", ADDRESS.upper())
    assert "by phone" in words(admin.get(PAGE))
    assert "This person may be invited again." in say(admin, "remove")
    assert "Nobody is on the list." in words(admin.get(PAGE))


def test_the_page_never_shows_an_address(admin):
    say(admin, "add")
    assert ADDRESS not in admin.get(PAGE).text


def test_half_an_address_is_refused_with_a_sentence(admin):
    assert "Give the whole e-mail address or phone number." in say(admin, "add", "ada")
    assert "Nobody is on the list." in words(admin.get(PAGE))


def test_a_viewer_sees_the_list_and_has_no_form(installation, admin):
    say(admin, "add", because=f"{ADDRESS} wrote to us")
    viewer = installation.visitor(installation.add_link(installation.apply(CONFIGURATION), "viewer"))
    page = viewer.get(PAGE)
    assert "wrote to us" in page.text
    assert ADDRESS not in page.text
    assert "<input id=" not in page.text
    assert viewer.post(PAGE, {"action": "remove", "address": ADDRESS}).status_code == 403


def test_the_list_of_another_tenant_is_its_own(installation, admin):
    say(admin, "add")
    other = installation.visitor(installation.add_link(installation.apply(OTHER), "admin"))
    assert "Nobody is on the list." in words(other.get(PAGE))
    assert "This person is not on it." in say(other, "find")
