"""Who may read the metrics, and what triggers leave in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from plugin.app import create_app
from plugin.redaction import Secret
from plugin.store.tenants import Tenant
from plugin.store.turn import WriteTurn
from plugin.web.receive import LARGEST_BODY
from tests.web.installation import CONFIGURATION, Installation

TOKEN = "operator-token-0123456789"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
PERSON = "canary@example.com"


@pytest.fixture
def operated(tmp_path: Path) -> Iterator[Installation]:
    """An installation whose operator wants metrics."""
    made = Installation(tmp_path)
    parts = replace(made.parts, config=replace(made.parts.config, operator_token=Secret(TOKEN)))
    made.app = create_app(parts=parts)
    yield made
    made.close()


@pytest.fixture
def tenant(operated: Installation) -> Tenant:
    return operated.apply(CONFIGURATION.replace("tenant: acme", "tenant: canary-slug").replace("Acme", "Canary Ltd"))


def scraped(operated: Installation) -> dict[tuple[str, ...], float]:
    """Values by sample name and by labels, in the order of the labels' names."""
    operated.parts.meter.flush()
    answer = operated.app.test_client().get("/metrics", headers=SHOWN)
    assert answer.status_code == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def triggers(operated: Installation) -> dict[tuple[str, ...], float]:
    return {key[1:]: value for key, value in scraped(operated).items() if key[0] == "survey_plugin_triggers_total"}


def sender(operated: Installation) -> FlaskClient:
    return operated.app.test_client()


def ticket(number: str) -> dict[str, object]:
    return {"ticket": {"id": number, "requester": {"email": PERSON}}}


def test_without_a_token_in_the_configuration_there_are_no_metrics(installation: Installation) -> None:
    for headers in ({}, SHOWN, {"Authorization": "Bearer "}):
        answer = installation.app.test_client().get("/metrics", headers=headers)

        assert answer.status_code == 404
        assert answer.json is not None
        assert "OPERATOR_TOKEN" in answer.json["error"]


@pytest.mark.parametrize(
    "shown",
    [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer żółw"],
)
def test_any_other_token_is_refused(operated: Installation, shown: str | None) -> None:
    answer = operated.app.test_client().get("/metrics", headers={} if shown is None else {"Authorization": shown})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "survey_plugin" not in answer.text


@pytest.mark.parametrize("shown", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN}"])
def test_the_operator_reads_them_and_nobody_keeps_them(operated: Installation, shown: str) -> None:
    answer = operated.app.test_client().get("/metrics", headers={"Authorization": shown})

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "Set-Cookie" not in answer.headers


def test_a_session_opens_no_metrics(operated: Installation, tenant: Tenant) -> None:
    admin = operated.visitor(operated.add_link(tenant))

    assert admin.get("/metrics").status_code == 401


def test_a_store_that_is_damaged_is_told(operated: Installation, tmp_path: Path) -> None:
    operated.parts.database.close()
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"plugin.db{suffix}").write_bytes(b"no database" * 500)

    answer = operated.app.test_client().get("/metrics", headers=SHOWN)

    assert answer.status_code == 503
    assert answer.json is not None
    assert "damaged" in answer.json["error"]


def test_every_way_that_a_trigger_ends_is_counted_once(operated: Installation, tenant: Tenant, tmp_path: Path) -> None:
    address = f"/triggers/{operated.keys(tenant, 'desk')[0]}"
    client = sender(operated)
    proven = {"Authorization": "Bearer desk-token"}
    client.get(address)
    operated.send(tenant, "desk", ticket("1"))
    operated.send(tenant, "desk", b'{"ticket": ')
    operated.send(tenant, "desk", ticket("2"), token="wrong")
    client.post("/triggers/no-such-key-0123456789", data=b"{}", headers=proven)
    client.post(address, data=b" " * (LARGEST_BODY + 1), headers=proven)
    with WriteTurn(tmp_path / "plugin.db.turn").taken(1):
        operated.send(tenant, "desk", ticket("3"))

    assert triggers(operated) == {
        ("generic", "200"): 1,
        ("generic", "202"): 1,
        ("generic", "400"): 1,
        ("generic", "401"): 1,
        ("generic", "503"): 1,
        ("none", "404"): 1,
        ("none", "413"): 1,
    }
    assert scraped(operated)["survey_plugin_accept_seconds_count",] == 1


def test_events_duplicates_and_verdicts_are_counted(operated: Installation, tenant: Tenant) -> None:
    for number in ("1", "2", "2"):
        operated.send(tenant, "desk", ticket(number))
    operated.send(tenant, "trial", ticket("3"))
    operated.send(tenant, "desk", {"event": "chat.ended", "chat": {"id": "c"}})
    found = scraped(operated)

    assert found["survey_plugin_events_total", "ticket.closed"] == 3
    assert found["survey_plugin_events_total", "chat.ended"] == 1
    assert found["survey_plugin_duplicates_total", "generic"] == 1
    assert found["survey_plugin_verdicts_total", "matched", "ask"] == 2
    assert found["survey_plugin_verdicts_total", "missing", "problem"] == 1
    assert found["survey_plugin_live_deliveries", "scheduled"] == 2


def test_what_a_person_cancels_on_the_pages_is_counted(operated: Installation, tenant: Tenant) -> None:
    receipts = [operated.close_ticket(tenant, number) for number in ("1", "2", "3")]
    admin = operated.visitor(operated.add_link(tenant))
    admin.post(f"/settings/deliveries/{operated.delivery(tenant, receipts[0]).id}/cancel")

    assert scraped(operated)["survey_plugin_deliveries_cancelled_total",] == 1
    text = CONFIGURATION.replace("tenant: acme", "tenant: canary-slug").partition("rules:")[0]
    kept = text.replace("VENDOR", operated.vendor)
    admin.post("/settings/configuration/save", {"text": kept, "base": str(tenant.version)})
    assert scraped(operated)["survey_plugin_deliveries_cancelled_total",] == 3


def test_nothing_that_is_shown_names_a_tenant_a_person_or_a_secret(operated: Installation, tenant: Tenant) -> None:
    operated.send(tenant, "desk", ticket("1"))
    operated.send(tenant, "desk", {"event": f"{PERSON}", "ticket": {"id": PERSON}})
    operated.send(tenant, "desk", ticket("2"), token="canary-wrong-token")
    sender(operated).post(f"/triggers/canary-{'x' * 20}?email={PERSON}", data=json.dumps(ticket("3")))
    operated.parts.meter.flush()
    answer: TestResponse = operated.app.test_client().get(f"/metrics?{PERSON}", headers=SHOWN)

    assert answer.status_code == 200
    for word in ("canary", "@", TOKEN, "token", "desk", "solved", "lab-", operated.keys(tenant, "desk")[0]):
        assert word not in answer.text.lower(), word
