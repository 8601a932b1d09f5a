"""Gunicorn's settings, in one place for `survey-plugin serve`, `survey-plugin web` and `gunicorn.conf.py`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from plugin.web.desk import EXTENSION


class QuietLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Sends gunicorn's own log the way of all others, where it is masked. Its access log would hold keys and tokens."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)
        self.access_log.disabled = True

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        # Of a request that is no HTTP gunicorn quotes whole lines, in which keys and addresses may stand anywhere.
        if msg.startswith("Invalid request"):
            msg, args = "A request that is not proper HTTP was refused.", ()
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        # It would name the address with its query; what went wrong is in the traceback.
        if msg.startswith("Error handling request"):
            msg, args = "A request could not be answered.", ()
        super().exception(msg, *args, **kwargs)


def gunicorn_settings(workers: int) -> dict[str, Any]:
    """Settings by gunicorn's names."""
    # For the heartbeats of gunicorn's workers: a disk may stall for longer than their time-out.
    memory = Path("/dev/shm")  # noqa: S108
    return {
        "worker_class": "gthread",
        "workers": workers,
        "threads": 16,
        "timeout": 60,
        "graceful_timeout": 25,
        "keepalive": 5,
        "accesslog": None,
        "logger_class": QuietLogger,
        "control_socket_disable": True,
        "worker_exit": _store_counts,
        "worker_tmp_dir": str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else None,
    }


def _store_counts(_arbiter: object, worker: Any) -> None:
    """Called in one of gunicorn's workers at its end: what it has counted is stored."""
    # It has none where the application could not be loaded.
    desk = getattr(worker.wsgi, "extensions", {}).get(EXTENSION)
    if desk is not None:
        desk.meter.close()


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    def __init__(self, load_app: Callable[[], Flask], settings: dict[str, Any]) -> None:
        self._load_app = load_app
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        # Called in each worker, after the fork: connections belong to one process.
        return self._load_app()


def run_web(
    load_app: Callable[[], Flask], host: str, port: int, *, workers: int, on_start: Callable[[int], object]
) -> None:
    """Serve until told to stop.

    on_start: called in each of gunicorn's workers once it is up, with the process id of the arbiter above it.
    """
    settings = gunicorn_settings(workers) | {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "post_worker_init": lambda worker: on_start(worker.ppid),
    }
    _Server(load_app, settings).run()
