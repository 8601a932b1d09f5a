from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugin.wake import WakeHint, WakeListener, wake_folder


@pytest.fixture
def folder(tmp_path):
    return wake_folder(f"sqlite:///{tmp_path}/a.db")


@pytest.fixture
def hint(folder):
    sender = WakeHint(folder)
    yield sender
    sender.close()


@contextmanager
def worker(folder):
    woken = threading.Event()
    with WakeListener(folder).listening(woken.set):
        yield woken


def test_a_hint_wakes_every_worker_of_the_machine(folder, hint):
    with worker(folder) as first, worker(folder) as second:
        hint.send()

        assert first.wait(5)
        assert second.wait(5)


def test_a_worker_hears_every_hint_after_a_moment_of_quiet(folder, hint):
    with worker(folder) as woken:
        for _ in range(5):
            hint.send()
            assert woken.wait(5)
            woken.clear()
            woken.wait(0.01)


def test_many_hints_at_once_neither_block_nor_raise(folder, hint):
    with worker(folder) as woken:
        for _ in range(5000):
            hint.send()
        assert woken.wait(5)


def test_a_hint_that_nobody_hears_is_lost_in_silence(folder, hint):
    hint.send()
    with worker(folder):
        pass
    hint.send()

    assert list(folder.iterdir()) == []


def test_what_a_dead_worker_left_behind_is_cleared_away(folder, hint):
    with worker(folder) as woken:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
            dead.bind(str(folder / "dead"))
        hint.send()
        assert woken.wait(5)

        assert not (folder / "dead").exists()


def test_only_this_user_can_reach_the_sockets(folder):
    with worker(folder):
        [path] = folder.iterdir()

        assert (folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_folder_that_others_can_write_to_is_not_used(folder, hint):
    folder.mkdir()
    folder.chmod(0o777)

    with worker(folder) as woken:
        hint.send()
        assert not woken.wait(0.05)
    assert list(folder.iterdir()) == []


def test_the_folder_stands_beside_a_file_unless_its_path_is_too_long_for_a_socket(tmp_path):
    assert wake_folder("sqlite:////srv/data/survey.db") == Path("/srv/data/survey.db.wake")

    long = wake_folder(f"sqlite:////{'x' * 100}/survey.db")

    assert len(str(long)) < 80
    assert long != wake_folder(f"sqlite:////{'y' * 100}/survey.db")


def test_one_server_has_one_folder_whatever_the_password():
    one = wake_folder("postgresql+psycopg://user:one@db.example.com/surveys")

    assert one == wake_folder("postgresql+psycopg://user:two@db.example.com/surveys")
    assert one != wake_folder("postgresql+psycopg://user:one@db.example.com/other")
    assert str(os.getuid()) in one.name
