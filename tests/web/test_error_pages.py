"""What is answered when something goes wrong, to people and to programs; and the headers that every answer has."""

from __future__ import annotations

import fcntl

import pytest
import structlog

from plugin.store.tables import configurations
from tests.web.installation import words


def test_an_unknown_page_is_a_page(installation):
    answer = installation.visitor().get("/nothing")

    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "There is nothing here" in words(answer)
    assert "The requested URL" not in answer.text


@pytest.mark.parametrize("path", ["/triggers/short", "/triggers/a/b", "/healthz/x"])
def test_an_unknown_address_for_programs_is_json(installation, path):
    answer = installation.visitor().get(path)

    assert (answer.status_code, answer.mimetype) == (404, "application/json")
    assert answer.get_json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "mimetype"),
    [
        ("DELETE", "/triggers/a-key-that-is-long-enough", "application/json"),
        ("POST", "/healthz", "application/json"),
        ("DELETE", "/settings/", "text/html"),
    ],
)
def test_a_wrong_method_names_the_right_ones(installation, method, path, mimetype):
    answer = installation.visitor().client.open(path, method=method)

    assert (answer.status_code, answer.mimetype) == (405, mimetype)
    assert "GET" in answer.headers["Allow"]


def test_a_form_that_is_too_large_is_told_so(installation, acme, admin):
    answer = admin.post("/settings/configuration/check", {"text": "x" * 1_100_000, "base": "1"})

    assert answer.status_code == 413
    assert "At most 1 MiB" in words(answer)


def test_a_configuration_of_half_a_megabyte_is_still_read(installation, acme, admin):
    answer = admin.post("/settings/configuration/check", {"text": "x" * 900_000, "base": "1"})

    assert answer.status_code == 422
    assert "longer than 512,000 characters" in words(answer)


def test_a_form_of_another_session_explains_itself(installation, acme, admin):
    answer = admin.client.post("/settings/connections/lab/pause", data={"csrf_token": "stale"})

    assert answer.status_code == 400
    assert "Nothing was changed." in words(answer)


def test_a_busy_database_is_told_with_a_time_to_come_again(installation, acme, admin, tmp_path):
    with (tmp_path / "plugin.db.turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        answer = admin.post("/settings/connections/lab/pause")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "Nothing was changed." in words(answer)


def test_a_secret_that_cannot_be_opened_is_the_operators_business(installation, acme, admin):
    with installation.parts.database.write() as db:
        db.execute(configurations.update().values(sealed="v1.00000000.AAAA"))

    with structlog.testing.capture_logs() as logged:
        answer = admin.get("/settings/configuration/")

    assert answer.status_code == 500
    assert "Something is wrong on our side" in words(answer)
    assert "00000000" not in answer.text
    assert any("DATA_KEYS" in entry.get("detail", "") for entry in logged)


def test_a_fault_of_ours_is_a_page_and_its_log_line_holds_no_path(installation, acme):
    @installation.app.get("/config/<token>/broken")
    def broken(token):
        raise ZeroDivisionError

    with structlog.testing.capture_logs() as logged:
        answer = installation.visitor().get("/config/the-token/broken")

    assert answer.status_code == 500
    assert "It was written to the log." in words(answer)
    assert {"event": "request crashed", "route": "/config/<token>/broken"}.items() <= logged[0].items()
    assert "the-token" not in str(logged)


def test_requests_are_logged_without_key_token_or_search(installation, acme, admin):
    key = installation.keys(acme, "desk")[0]
    link = installation.add_link(acme)

    with structlog.testing.capture_logs() as logged:
        installation.close_ticket(acme)
        admin.get(link)
        admin.get("/settings/receipts?search=jana@example.com")

    assert [entry["route"] for entry in logged] == ["/triggers/<key>", "/config/<token>", "/settings/receipts"]
    for private in (key, link.rpartition("/")[2], "jana"):
        assert private not in str(logged)


@pytest.mark.parametrize("path", ["/", "/nothing", "/healthz", "/settings/", "/static/pages.css"])
def test_every_answer_forbids_what_no_page_needs(installation, path):
    with installation.visitor().get(path) as answer:
        headers = answer.headers

    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in headers


def test_pages_are_not_kept_by_anybody_on_the_way(installation, acme, admin):
    assert admin.get("/settings/").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["pages.css", "copy.js", "favicon.svg"])
def test_what_pages_need_comes_from_here(installation, name):
    with installation.visitor().get(f"/static/{name}") as answer:
        assert answer.status_code == 200
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in answer.text
