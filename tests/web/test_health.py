"""Whether the process is up, and whether it is ready to take triggers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from plugin.store import workers
from plugin.store.turn import WriteTurn
from tests.web.installation import Installation


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_to_anybody_and_names_nothing(installation: Installation, path: str, tmp_path: Path) -> None:
    answer = installation.app.test_client().get(path)

    assert answer.status_code == 200
    assert str(tmp_path) not in answer.text
    assert "Set-Cookie" not in answer.headers


def test_a_missing_worker_is_told_and_is_still_ready(installation: Installation) -> None:
    database, now = installation.parts.database, installation.clock()
    with database.write() as db:
        workers.beat(db, "alive", now=now, threads=1)
        workers.beat(db, "silent", now=now - timedelta(minutes=5), threads=1)
    client = installation.app.test_client()

    assert client.get("/readyz").json == {"status": "ready", "store": "takes writes", "workers_alive": 1}
    installation.clock.advance(minutes=1)
    late = client.get("/readyz")
    assert late.json is not None
    assert (late.status_code, late.json["workers_alive"]) == (200, 0)


def test_a_store_that_takes_no_write_is_not_ready_while_the_process_is_up(
    installation: Installation, tmp_path: Path
) -> None:
    client = installation.app.test_client()

    with WriteTurn(tmp_path / "plugin.db.turn").taken(1):
        ready, healthy = client.get("/readyz"), client.get("/healthz")

    assert ready.status_code == 503
    assert ready.json is not None
    assert ready.json["status"] == "not ready"
    assert healthy.json == {"status": "up"}


def test_a_damaged_store_is_not_ready(installation: Installation, tmp_path: Path) -> None:
    installation.parts.database.close()
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"plugin.db{suffix}").write_bytes(b"no database" * 500)

    answer = installation.app.test_client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json is not None
    assert "damaged" in answer.json["store"]
