"""Counts what came in, once its answer is known: one place for every way that a trigger may end."""

from __future__ import annotations

import time
from http import HTTPStatus

from flask import Response, g

from plugin.metrics import Meter
from plugin.metrics.catalogue import ACCEPT_SECONDS, DUPLICATES, EVENTS, NO_SOURCE, TRIGGERS, VERDICTS
from plugin.pipeline.record import Acceptance
from plugin.web.desk import desk


def count_trigger(response: Response) -> Response:
    """After a request to a source's address. The view leaves in `g` how far it came: source_kind, acceptance."""
    meter = desk().meter
    meter.keep_flushing()
    source = g.get("source_kind", NO_SOURCE)
    meter.count(TRIGGERS, source, str(response.status_code))
    if "acceptance" in g:
        count_acceptance(meter, source, g.acceptance)
    if response.status_code == HTTPStatus.ACCEPTED:
        meter.observe(ACCEPT_SECONDS, time.monotonic() - g.began)
    return response


def count_acceptance(meter: Meter, source: str, acceptance: Acceptance) -> None:
    """Count the events of one trigger and what was decided about them. source: its kind."""
    for event in acceptance.events:
        if event.duplicate:
            meter.count(DUPLICATES, source)
            continue
        meter.count(EVENTS, event.kind)
        for verdict in event.verdicts:
            meter.count(VERDICTS, str(verdict["verdict"]), str(verdict["cause"]))
