"""SIGTERM, and new processes beside old ones: nothing may be uncertain, and nobody may notice."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import Final

from plugin.store import schema
from tests.faults.acts.kills import begin_serve
from tests.faults.installation import free_port
from tests.faults.trial import Trial

#: How long the load lasts while processes come and go, seconds.
_WHILE: Final = 8.0


def stop_worker(trial: Trial) -> None:
    """SIGTERM: calls under way are settled, and nothing is uncertain."""
    trial.behaviour.latency = 1.5
    _, worker = trial.begin()
    trial.wait_for_calls()
    worker.terminate()
    trial.start("worker")


def stop_serve(trial: Trial) -> None:
    """SIGTERM for web and worker at once: what was promised waits for the next start."""
    trial.behaviour.latency = 0.3
    serve = begin_serve(trial)
    trial.wait_for_calls()
    serve.terminate()
    trial.start("serve")


def rolling_restart(trial: Trial) -> None:
    """New processes beside the old ones, then without them; no request is refused on the way."""
    trial.spread_load(_WHILE)
    old = trial.begin()
    port = free_port()
    trial.start("worker")
    trial.start("web", port=port)
    trial.installation.wait_for_web(port)
    # As a load balancer does: first nothing new goes to the old one, then it is stopped.
    trial.desk.ports = [port]
    for child in old:
        child.terminate()
    trial.expect("A request was left without an answer.", so=trial.desk.answers[0] == 0)


def two_versions(trial: Trial) -> None:
    """The next version has changed the schema and runs beside this one; then this one is stopped.

    This version goes on where it runs, and where it is started anew it says that it is too old.
    """
    trial.spread_load(_WHILE)
    old = trial.begin()
    next_version = {"next version": str(_next_migrations(trial.folder))}
    migration = trial.start("migrate", **next_version)
    trial.expect("The next version could not change the schema.", so=migration.wait_done(60) == 0)
    port = free_port()
    trial.start("worker", **next_version)
    trial.start("web", port=port, **next_version)
    trial.installation.wait_for_web(port)
    trial.desk.ports = [trial.installation.port, port]
    too_old = trial.start("worker")
    trial.expect("A version that is too old was started.", so=too_old.wait_done(60) == 1)
    trial.expect("It did not say why it cannot be started.", so="a newer version" in too_old.said())
    trial.desk.ports = [port]
    for child in old:
        child.terminate()
    trial.expect("A request was left without an answer.", so=trial.desk.answers[0] == 0)


def _next_migrations(folder: Path) -> Path:
    """This version's migrations and one more, which adds to the schema as an upgrade that is rolled out may."""
    migrations = folder / "migrations"
    shutil.copytree(Path(schema.__file__).parent / "migrations", migrations)
    (migrations / "versions" / "9999_next.py").write_text(_NEXT.format(schema._newest(schema._config())), "ascii")
    return migrations


_NEXT: Final = textwrap.dedent('''
    """What a next version adds."""

    import sqlalchemy as sa
    from alembic import op

    revision = "9999"
    down_revision = "{}"
    branch_labels = None
    depends_on = None


    def upgrade() -> None:
        op.create_table("next_things", sa.Column("id", sa.Text, primary_key=True))
        op.add_column("deliveries", sa.Column("next_text", sa.Text))
        op.add_column("deliveries", sa.Column("next_number", sa.Integer, nullable=False, server_default="0"))
        op.add_column("triggers", sa.Column("next_text", sa.Text))
        op.create_index("next_by_text", "deliveries", ["next_text"])
''').lstrip()
