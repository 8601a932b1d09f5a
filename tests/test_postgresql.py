"""The PostgreSQL that the tests bring along does what the tests rely on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.postgresql import Cluster, PostgresqlMissing, installed_binaries, newest_binaries, server

ROOT = Path(__file__).parent.parent


def test_two_versions_of_postgresql_come_with_the_requirements():
    assert {16, 18} <= installed_binaries().keys()


@pytest.mark.parametrize("version", [16, 18])
def test_what_was_committed_outlives_a_kill_of_the_server_and_all_its_backends(version):
    with Cluster(installed_binaries()[version], durable=True) as cluster:
        cluster.create("books")
        with cluster.connect("books") as connection:
            connection.execute("create table kept (number int)")
            connection.execute("insert into kept values (1)")
            backends = psutil.Process(cluster.pid).children()

            cluster.restart()

            with pytest.raises(psycopg.OperationalError):
                connection.execute("select 1")
        with cluster.connect("books") as connection:
            assert connection.execute("select number from kept").fetchall() == [(1,)]
            assert connection.info.server_version // 10000 == version
    assert backends
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in backends)


def test_a_database_is_copied_from_a_template_and_dropped_under_its_users():
    with server() as running:
        try:
            running.create("survey_template")
            with running.connect("survey_template") as connection:
                connection.execute("create table kept as select 1 as number")
            assert running.create("survey_copy", template="survey_template") == running.url("survey_copy")
            with running.connect("survey_copy") as connection:
                assert connection.execute("select number from kept").fetchall() == [(1,)]
                running.drop("survey_copy")
            with pytest.raises(psycopg.OperationalError):
                running.connect("survey_copy")
        finally:
            running.drop("survey_copy")
            running.drop("survey_template")


def test_the_server_and_its_data_go_with_a_process_that_is_killed():
    code = (
        "import os; from tests.postgresql import Cluster; cluster = Cluster();"
        "print(cluster.pid, cluster.url('postgres').partition('%2F')[2], flush=True); os.kill(os.getpid(), 9)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False).stdout

    pid, folder = said.split()
    deadline = time.monotonic() + 20
    while psutil.pid_exists(int(pid)) or Path("/", folder.replace("%2F", "/")).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_postgresql_is_a_failure_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("TEST_POSTGRES_BIN", raising=False)

    with pytest.raises(PostgresqlMissing, match=r"install requirements/dev\.txt.*TEST_DATABASE_URL"):
        newest_binaries()


def test_another_postgresql_can_be_chosen(monkeypatch):
    older = installed_binaries()[16]
    monkeypatch.setenv("TEST_POSTGRES_BIN", os.fspath(older))

    with Cluster() as cluster, cluster.connect() as connection:
        assert connection.info.server_version // 10000 == 16
