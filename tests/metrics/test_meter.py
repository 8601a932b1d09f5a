"""Counting in memory, and how it comes into the store."""

from __future__ import annotations

import threading
import time

import pytest

from plugin.errors import StoreUnavailable
from plugin.metrics import Meter
from plugin.metrics import meter as meter_module
from plugin.metrics.catalogue import (
    CALL_SECONDS,
    CLAIMED,
    COUNTERS,
    EVENTS,
    EXPIRED,
    HISTOGRAMS,
    SETTLED,
    TRIGGERS,
    VERDICTS,
)
from plugin.store import counters


class Faltering:
    """A database that refuses the next writes."""

    def __init__(self, database):
        self._database = database
        self.refusals = 0

    def write(self):
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("The disk is away.")
        return self._database.write()


@pytest.fixture
def meter(database):
    return Meter(database, sources=["zendesk"], vendors=["surveylab"])


def stored(database):
    with database.read() as db:
        return counters.all_counters(db)


def test_nothing_is_written_until_it_is_flushed(database, meter):
    meter.count(EXPIRED)

    assert stored(database) == {}
    meter.flush()
    assert stored(database) == {("survey_plugin_deliveries_expired_total", ()): 1}


def test_what_several_processes_count_is_added_up(database):
    for times in (1, 2, 3):
        process = Meter(database, sources=["zendesk"], vendors=[])
        for _ in range(times):
            process.count(TRIGGERS, "zendesk", "202")
        process.flush()
        process.flush()

    assert stored(database) == {("survey_plugin_triggers_total", ("zendesk", "202")): 6}


def test_a_value_falls_into_the_first_bucket_that_holds_it(database, meter):
    for rows in (0, 1, 2, 3, 64, 65):
        meter.observe(CLAIMED, rows)
    meter.flush()

    buckets = {labels[0]: value for (_, labels), value in stored(database).items()}
    assert buckets == {"0.0": 1, "1.0": 1, "2.0": 1, "4.0": 1, "64.0": 1, "+Inf": 1, "sum": 135}


def test_a_label_that_stands_in_no_list_is_not_stored(database, meter):
    meter.count(SETTLED, "acme@example.com", "accepted", "done")
    meter.count(SETTLED, "surveylab", "a state", "a reason")
    meter.count(VERDICTS, "ask", "a cause")
    meter.count(VERDICTS, "ask", "another cause")
    meter.observe(CALL_SECONDS, 0.02, "a vendor")
    meter.flush()

    found = stored(database)
    assert found["survey_plugin_deliveries_settled_total", ("other", "accepted", "done")] == 1
    assert found["survey_plugin_deliveries_settled_total", ("surveylab", "other", "other")] == 1
    assert found["survey_plugin_verdicts_total", ("ask", "other")] == 2
    assert found["survey_plugin_call_seconds", ("other", "0.025")] == 1


def test_a_failed_flush_keeps_what_was_counted(database):
    faltering = Faltering(database)
    meter = Meter(faltering, sources=[], vendors=[])
    meter.count(EXPIRED, by=2)
    faltering.refusals = 1

    with pytest.raises(StoreUnavailable):
        meter.flush()
    meter.count(EXPIRED)
    meter.flush()

    assert stored(database) == {("survey_plugin_deliveries_expired_total", ()): 3}


def test_a_stop_stores_the_rest_and_bears_a_store_that_is_away(database):
    faltering = Faltering(database)
    meter = Meter(faltering, sources=[], vendors=[])
    meter.keep_flushing()
    meter.count(EXPIRED)
    faltering.refusals = 1

    meter.close()
    assert stored(database) == {}
    meter.close()

    assert stored(database) == {("survey_plugin_deliveries_expired_total", ()): 1}
    assert "metrics" not in {thread.name for thread in threading.enumerate()}


def test_the_thread_goes_on_after_a_store_that_was_away(database, monkeypatch):
    monkeypatch.setattr(meter_module, "FLUSH_EVERY", 0.01)
    faltering = Faltering(database)
    meter = Meter(faltering, sources=[], vendors=[])
    meter.count(EXPIRED)
    faltering.refusals = 3

    meter.keep_flushing()
    deadline = time.monotonic() + 10
    while not stored(database) and time.monotonic() < deadline:
        time.sleep(0.01)
    meter.close()

    assert faltering.refusals == 0
    assert stored(database) == {("survey_plugin_deliveries_expired_total", ()): 1}


def test_nothing_is_lost_or_doubled_between_threads_and_flushes(database, meter):
    def work():
        for _ in range(2000):
            meter.count(EVENTS, "ticket.closed")
            meter.observe(CLAIMED, 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        meter.flush()
    meter.flush()

    found = stored(database)
    assert found["survey_plugin_events_total", ("ticket.closed",)] == 8000
    assert found["survey_plugin_claimed_deliveries", ("1.0",)] == 8000
    assert found["survey_plugin_claimed_deliveries", ("sum",)] == 8000


def test_processes_that_flush_at_the_same_time_do_not_wait_in_a_circle(database):
    kinds = ["ticket.closed", "chat.ended", "crm.changed", "sms.sent"]
    problems = []

    def work(order):
        process = Meter(database, sources=[], vendors=[])
        try:
            for _ in range(20):
                for kind in order:
                    process.count(EVENTS, kind)
                process.flush()
        except StoreUnavailable as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(order,)) for order in (kinds, kinds[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert set(stored(database).values()) == {40}


def test_counting_takes_microseconds(meter):
    rounds = 20_000
    began = time.perf_counter()
    for _ in range(rounds):
        meter.count(SETTLED, "surveylab", "accepted", "done")
    counting = (time.perf_counter() - began) / rounds

    # It is about half a microsecond; this machine may be busy.
    assert counting < 20e-6


@pytest.mark.parametrize("metric", [*COUNTERS, *HISTOGRAMS], ids=lambda metric: metric.name)
def test_names_follow_the_conventions_and_sentences_are_sentences(metric):
    is_counter = metric in COUNTERS
    assert metric.name.startswith("survey_plugin_")
    assert metric.name.endswith("_total") is is_counter
    assert is_counter or metric.name.endswith(("_seconds", "_deliveries"))
    assert metric.help[0].isupper()
    assert metric.help.endswith(".")
    assert len(metric.help) > 30
