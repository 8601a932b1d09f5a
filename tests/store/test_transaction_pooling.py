"""The program works behind a pooler in transaction mode, and leaves nothing on a connection that it gives back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.engine import make_url

from plugin.store.opening import open_database
from plugin.store.schema import migrate, schema_problem
from tests.acme import states
from tests.postgresql import Cluster
from tests.store.pooler import TransactionPooler

_numbers = itertools.count()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture
def pooler(cluster: Cluster) -> Iterator[TransactionPooler]:
    running = TransactionPooler(cluster.socket)
    yield running
    running.close()


@pytest.fixture
def database_url(cluster: Cluster, pooler: TransactionPooler) -> Iterator[str]:
    """An empty database, reached through the pooler; so all of `parts` and `acme` is."""
    name = f"pooled_{next(_numbers)}"
    url = make_url(cluster.create(name)).set(host="127.0.0.1", port=pooler.port, query={})
    pooled = url.render_as_string(hide_password=False)
    database = open_database(pooled)
    migrate(database)
    assert schema_problem(database) is None
    database.close()
    yield pooled
    cluster.drop(name)


@pytest.fixture
def connection(pooler: TransactionPooler) -> Iterator[psycopg.Connection]:
    address = f"postgresql://postgres@127.0.0.1:{pooler.port}/postgres"
    with psycopg.connect(address, autocommit=True) as opened:
        yield opened


def test_nothing_that_a_pooler_takes_away_is_missed_and_nothing_is_left_behind(acme, pooler):
    for ticket in ("35", "36", "37"):
        acme.close(ticket)
    acme.work()
    acme.parts.database.write_probe()

    assert states(acme.deliveries()) == ["accepted"] * 3
    assert pooler.transactions > 20
    assert pooler.left_behind == set()


def test_each_transaction_meets_a_connection_of_its_own(connection):
    first, second = (connection.execute("select pg_backend_pid()").fetchone() for _ in range(2))
    with connection.transaction():
        within = {connection.execute("select pg_backend_pid()").fetchone() for _ in range(3)}

    assert first != second
    assert len(within) == 1


@pytest.mark.parametrize(
    ("statement", "noted"),
    [
        ("set statement_timeout = 1000", "setting: statement_timeout"),
        ("prepare one as select 1", "prepared statement: prepare one as select 1"),
        ("listen wake", "listening: wake"),
        ("select pg_advisory_lock(1)", "advisory lock"),
        ("create temporary table mine (id int)", "temporary table: mine"),
    ],
)
def test_what_a_transaction_leaves_behind_is_noted(pooler, connection, statement, noted):
    connection.execute(statement)
    connection.execute("select 1")

    assert noted in pooler.left_behind


def test_what_ends_with_its_transaction_is_not_noted(pooler, connection):
    with connection.transaction():
        connection.execute("set local statement_timeout = 1000")
        connection.execute("select pg_advisory_xact_lock(1)")
    connection.execute("select 1")

    assert pooler.left_behind == set()
