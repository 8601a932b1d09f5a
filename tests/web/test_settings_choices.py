"""The page on which an admin has a connection's vendor list what there is to choose from."""

from __future__ import annotations

import pytest

from tests.web.installation import CONFIGURATION, words

SETTINGS = '{brand: webankieta, id_account: "171257", webhook_key: KEY, webhook_auth: auth-canary, origin: VENDOR}'
WEB = f"- {{name: web, vendor: startquestion, settings: {SETTINGS}}}\nrules:"


def admin_of(installation, key="key-canary", role="admin"):
    tenant = installation.apply(CONFIGURATION.replace("rules:", WEB.replace("KEY", key)))
    return installation.visitor(installation.add_link(tenant, role))


def test_the_overview_leads_to_the_choices_of_a_vendor_that_can_list_any(delivering):
    page = admin_of(delivering).get("/settings/")

    assert 'href="/settings/connections/web/choices"' in page.text
    assert 'href="/settings/connections/lab/choices"' not in page.text


def test_looking_at_the_page_calls_nobody(delivering, vendor):
    before = len(vendor.received)

    page = words(admin_of(delivering).get("/settings/connections/web/choices"))

    assert "Surveys of the account, for id_survey" in page
    assert "Ask the vendor" in page
    assert len(vendor.received) == before


def test_the_button_shows_ids_titles_and_the_parameters_they_are_for(delivering):
    page = words(admin_of(delivering).post("/settings/connections/web/choices"))

    assert "Surveys of the account For id_survey Id What it is 419349 Jak nam poszło? 1 (Helpdesk, zespół 1)" in page
    assert "419393" in page
    assert "Ask again" in page
    assert "may be more" not in page


def test_an_account_without_surveys_is_told(delivering):
    page = words(admin_of(delivering, "none").post("/settings/connections/web/choices"))

    assert "The vendor's list is empty" in page


def test_a_refusal_is_told_in_the_vendor_s_words_and_without_the_keys(delivering):
    answer = admin_of(delivering, "wrong").post("/settings/connections/web/choices")

    assert answer.status_code == 200
    assert "The vendor refuses the credentials of this connection. Unauthorized" in words(answer)
    assert "canary" not in answer.text


def test_a_page_instead_of_a_list_is_shown_as_text(delivering):
    answer = admin_of(delivering, "broken").post("/settings/connections/web/choices")

    assert "The vendor's answer is not one we know." in words(answer)
    assert "&lt;!doctype html&gt;&lt;title&gt;Maintenance" in answer.text


def test_a_vendor_without_a_list_is_told_before_anybody_asks(delivering):
    visitor = admin_of(delivering)

    for page in (visitor.get("/settings/connections/lab/choices"), visitor.post("/settings/connections/lab/choices")):
        assert page.status_code == 200
        assert "SurveyLab has no list to ask for." in words(page)
        assert "Ask the vendor" not in words(page)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_viewer_has_no_vendor_called(delivering, vendor, method):
    before = len(vendor.received)
    visitor = admin_of(delivering, role="viewer")

    assert "Choices" not in words(visitor.get("/settings/"))
    assert getattr(visitor, method)("/settings/connections/web/choices").status_code == 403
    assert len(vendor.received) == before
