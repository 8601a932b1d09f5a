"""Calls of commands to this installation's own pages, through the same door as every other call."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from plugin import __version__
from plugin.app import Config
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, origin_of
from plugin.outbound import Outbound

_DEADLINE = 10.0


def own_request(url: str, *, json: Any = None, headers: tuple[tuple[str, str], ...] = ()) -> OutboundRequest:
    """A GET, or a POST of `json`, to one of our own addresses."""
    path = tuple(urlsplit(url).path.strip("/").split("/"))
    return OutboundRequest("GET" if json is None else "POST", origin_of(url), path, json=json, headers=headers)


def send_own(request: OutboundRequest) -> OutboundResponse:
    """Raises OutboundFailed."""
    with Outbound(extra_origins=[request.origin], user_agent=f"survey-plugin/{__version__}") as door:
        return door.send(request, allowed_origins=[], deadline=_DEADLINE)


def ask_own(config: Config, page: str) -> OutboundResponse:
    """GET a page below BASE_URL. Raises OutboundFailed."""
    return send_own(own_request(f"{config.base_url}/{page}"))
