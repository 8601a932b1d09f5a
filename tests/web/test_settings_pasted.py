"""The page that turns a pasted vendor URL into YAML."""

from __future__ import annotations

import html
import re

from plugin.store import tenants
from tests.web.installation import words

PAGE = "/settings/paste/"
TOKEN = "k3h3k4h5k3h4"
URL = f"https://mysurveylab.com/api.php?apiToken={TOKEN}&cId=83&email={{{{ticket.requester.email}}}}&crk={{{{ticket.id}}}}"


def shown_yaml(page):
    return html.unescape(re.search(r"<pre[^>]*data-copy>(.*?)</pre>", page.text, re.DOTALL)[1])


def test_a_pasted_url_is_shown_as_yaml_with_what_to_look_at(admin):
    page = admin.post(PAGE, {"url": URL})

    assert page.status_code == 200
    assert "cId: '83'" in shown_yaml(page)
    assert "api_token: {secret: set}" in shown_yaml(page)
    assert "The address was mended to https://www.mysurveylab.com." in words(page)
    assert "`crk` must be new for each invitation" in words(page)
    assert "write each in the place of its {secret: set}" in words(page)


def test_secrets_are_shown_only_on_demand_and_never_in_an_address(admin):
    assert TOKEN not in admin.post(PAGE, {"url": URL}).text

    page = admin.post(PAGE, {"url": URL, "with_secrets": "yes"})

    assert f"api_token: {TOKEN}" in shown_yaml(page)
    assert page.text.count(TOKEN) == 1
    assert page.headers["Cache-Control"] == "no-store"
    assert TOKEN not in str(page.headers)


def test_neither_url_nor_secret_is_logged(admin, capsys):
    admin.post(PAGE, {"url": URL, "with_secrets": "yes"})
    admin.post(PAGE, {"url": f"https://surveys.example.com/?token={TOKEN}"})

    logged = "".join(capsys.readouterr())
    assert "/settings/paste/" in logged
    assert TOKEN not in logged
    assert "mysurveylab" not in logged


def test_the_result_fits_into_the_configuration(installation, acme, admin):
    fragment = shown_yaml(admin.post(PAGE, {"url": URL, "with_secrets": "yes"}))
    connections, rules = re.fullmatch(r"connections:\n(.*)rules:\n(.*)", fragment, re.DOTALL).groups()
    editor = admin.get("/settings/configuration/")
    text = html.unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", editor.text, re.DOTALL)[1])
    written = text.replace("connections:\n", f"connections:\n{connections}").replace("rules:\n", f"rules:\n{rules}")

    saved = admin.post("/settings/configuration/save", {"text": written, "base": "1"}, page="/settings/configuration/")

    assert saved.status_code == 303, words(saved)


def test_names_that_are_in_use_are_not_given_again(installation, acme, admin):
    text = "connection: surveylab"
    assert text in shown_yaml(admin.post(PAGE, {"url": URL}))
    test_the_result_fits_into_the_configuration(installation, acme, admin)
    assert f"{text}-2" in shown_yaml(admin.post(PAGE, {"url": URL}))


def test_a_url_of_nobody_is_told_and_not_repeated(admin):
    page = admin.post(PAGE, {"url": f"https://surveys.example.com/?token={TOKEN}"})

    assert page.status_code == 422
    assert "No survey vendor here knows this URL." in words(page)
    assert TOKEN not in page.text


def test_pasting_changes_nothing(installation, acme, admin):
    admin.post(PAGE, {"url": URL})

    with installation.parts.database.read() as db:
        assert tenants.tenant_by_id(db, acme.id).version == 1


def test_a_viewer_is_not_shown_the_form(viewer):
    assert viewer.get(PAGE).status_code == 403


def test_the_configuration_leads_here(admin):
    assert f'href="{PAGE}"' in admin.get("/settings/configuration/").text
