"""The stores that a round can be run on."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy.engine import make_url

from tests.postgresql import Cluster


class Store(Protocol):
    """name: as it is chosen. durable: what a connection says of itself that waits for the disk when it commits."""

    name: str
    durable: str

    def fresh(self, folder: Path) -> str:
        """The address of a new, empty database."""

    def remove(self, url: str) -> None:
        """Nobody needs that database any more."""


class SqliteStore:
    name = "sqlite"
    durable = "2"  # synchronous=FULL

    def fresh(self, folder: Path) -> str:
        return f"sqlite:///{folder / 'plugin.db'}"

    def remove(self, url: str) -> None:
        """It goes with its folder."""


class PostgresStore:
    """cluster: a server of our own, which rounds may kill."""

    name = "postgresql"
    durable = "on"  # synchronous_commit

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def fresh(self, folder: Path) -> str:
        return self.cluster.create(f"round_{secrets.token_hex(4)}")

    def remove(self, url: str) -> None:
        self.cluster.start()
        self.cluster.drop(str(make_url(url).database))


@contextlib.contextmanager
def _sqlite() -> Iterator[Store]:
    yield SqliteStore()


@contextlib.contextmanager
def _postgresql() -> Iterator[Store]:
    # A commit that does not wait for the disk stays in memory this long, where a kill of the server finds it.
    with Cluster(durable=True, settings={"wal_writer_delay": "10s"}) as cluster:
        yield PostgresStore(cluster)


#: By name, each made when it is needed.
STORES: Final[Mapping[str, Callable[[], contextlib.AbstractContextManager[Store]]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}
