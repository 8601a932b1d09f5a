"""Ports to listen at: whether one is free, and the next one that is."""

from __future__ import annotations

import errno
import socket
import time
from typing import Final

from plugin.errors import SurveyPluginError

#: How long a port may still be held by a program that is ending, seconds.
_PATIENCE: Final = 5.0
#: Ports that are tried one after the other.
_TRIED: Final = 200


def wait_until_free(host: str, port: int, *, patience: float = _PATIENCE) -> None:
    """Return once nobody listens at the address. Raises SurveyPluginError when that takes longer than `patience`
    seconds, and when it is no address of this machine or one that this user must not listen at.
    """
    deadline = time.monotonic() + patience
    while (problem := _problem(host, port)) is not None:
        if problem.errno != errno.EADDRINUSE:
            raise SurveyPluginError(f"Nothing can listen at {url_of(host, port)}: {problem.strerror}.")
        if time.monotonic() >= deadline:
            raise SurveyPluginError(f"Port {port} is in use by another program; choose another one with --port.")
        time.sleep(0.1)


def next_free_port(first: int) -> int:
    """The first port from `first` on that nobody on this machine listens at. Raises SurveyPluginError."""
    for port in range(first, min(first + _TRIED, 65536)):
        if _problem("127.0.0.1", port) is None:
            return port
    raise SurveyPluginError(f"There is no free port among the {_TRIED} from {first} on.")


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _problem(host: str, port: int) -> OSError | None:
    """What keeps this machine from listening at an address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As the server does it: a port whose last connections are only just closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None
