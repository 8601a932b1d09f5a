"""What a scrape shows, read by the parser that Prometheus' own tools use."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain

from plugin import __version__
from plugin.domain.outcome import Reason
from plugin.metrics import Scrape
from plugin.metrics.catalogue import ACCEPT_SECONDS, CALL_SECONDS, CANCELLED, EXPIRED, SETTLED
from plugin.metrics.exposition import render
from plugin.metrics.scrape import KEEP_QUEUE
from plugin.store import connections, counters, workers


class Monotonic:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def monotonic():
    return Monotonic()


@pytest.fixture
def scrape(database, clock, monotonic):
    return Scrape(database, clock, monotonic)


def samples(reading):
    """Values by sample name and by labels, in the order of the labels' names."""
    page, content_type = render(reading, "")
    assert content_type.startswith("text/plain; version=0.0.4")
    found = {}
    for family in read_plain(page.decode()):
        for sample in family.samples:
            found[sample.name, *(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


def test_an_installation_that_has_done_nothing_shows_what_it_would_count(scrape):
    found = samples(scrape.read())

    assert found["survey_plugin_deliveries_expired_total",] == 0
    assert found["survey_plugin_accept_seconds_count",] == 0
    assert found["survey_plugin_accept_seconds_bucket", "+Inf"] == 0
    assert found["survey_plugin_oldest_due_seconds",] == 0
    assert found["survey_plugin_live_deliveries", "scheduled"] == 0
    assert found["survey_plugin_workers",] == 0
    assert ("survey_plugin_worker_heartbeat_age_seconds",) not in found


def test_both_formats_are_spoken_and_say_the_same(parts, scrape):
    parts.meter.count(EXPIRED, by=7)
    parts.meter.observe(CALL_SECONDS, 0.3, "surveylab")
    parts.meter.flush()
    reading = scrape.read()

    page, content_type = render(reading, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    openly = {
        (sample.name, *sample.labels.values()): sample.value
        for family in read_openmetrics(page.decode())
        for sample in family.samples
    }
    plainly = samples(reading)
    assert openly["survey_plugin_deliveries_expired_total",] == 7
    assert {key[0] for key in openly} == {key[0] for key in plainly}


def test_buckets_hold_all_that_lies_below_them(parts, scrape):
    for seconds in (0.001, 0.002, 0.02, 9.0):
        parts.meter.observe(ACCEPT_SECONDS, seconds)
    parts.meter.flush()
    found = samples(scrape.read())

    name = "survey_plugin_accept_seconds"
    assert [found[f"{name}_bucket", bound] for bound in ("0.002", "0.005", "0.025", "2.5", "+Inf")] == [2, 2, 3, 3, 4]
    assert found[f"{name}_count",] == 4
    assert found[f"{name}_sum",] == pytest.approx(9.023)


def test_what_another_version_counts_otherwise_breaks_nothing(database, scrape):
    with database.write() as db:
        counters.add(
            db,
            {
                ("survey_plugin_of_tomorrow_total", ("x",)): 1.0,
                ("survey_plugin_events_total", ("ticket.closed", "one label more")): 1.0,
                ("survey_plugin_accept_seconds", ("0.003",)): 2.0,
            },
        )
    found = samples(scrape.read())

    assert not any("tomorrow" in key[0] for key in found)
    assert ("survey_plugin_events_total", "ticket.closed", "one label more") not in found
    assert [found["survey_plugin_accept_seconds_bucket", bound] for bound in ("0.002", "0.003", "+Inf")] == [0, 2, 2]


def test_every_family_has_a_sentence_and_a_name_of_ours(parts, scrape):
    parts.meter.count(SETTLED, "surveylab", "accepted", "done")
    parts.meter.flush()
    page, _ = render(scrape.read(), "")

    for family in read_plain(page.decode()):
        assert family.name.startswith("survey_plugin_")
        assert family.documentation.endswith(".")


def test_the_operating_guide_names_each_metric(parts, scrape, clock):
    with parts.database.write() as db:
        workers.beat(db, "one", now=clock(), threads=8)
    page, _ = render(scrape.read(), "")
    guide = (Path(__file__).parents[2] / "docs/operating.md").read_text("utf-8")

    names = [line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE ")]
    assert len(names) > 20
    assert [name for name in names if not re.search(rf"`{name}[`{{]", guide)] == []


def test_the_queue_is_told_by_state(acme, scrape, clock):
    acme.close("1")
    acme.close("2")
    clock.advance(seconds=30)
    queue = scrape.read().queue

    assert (queue.scheduled, queue.parked, queue.claimed, queue.uncertain) == (2, 0, 0, 0)
    assert scrape.read().oldest_due_age == pytest.approx(31, abs=2)


def test_what_waits_behind_a_pause_is_parked_and_not_overdue(acme, scrape, database, clock):
    acme.close("1")
    with database.write() as db:
        [lab] = connections.connections_of(db, acme.tenant.id)
        connections.pause_connection(
            db, acme.tenant.id, lab.id, reason=Reason.QUOTA, words="limit of ada@example.com", now=clock()
        )
    clock.advance(hours=1)
    reading = scrape.read()

    assert (reading.queue.scheduled, reading.queue.parked) == (0, 1)
    assert reading.oldest_due_age == 0
    found = samples(reading)
    assert found["survey_plugin_paused_lanes", "quota"] == 1
    assert found["survey_plugin_paused_lanes", "by_hand"] == 0
    assert found["survey_plugin_lanes",] == 1


def test_a_reason_that_stands_in_no_list_is_shown_as_other(scrape):
    reading = scrape.read()
    reading = replace(reading, queue=replace(reading.queue, paused={"ada@example.com": 2, "": 1}))

    assert samples(reading)["survey_plugin_paused_lanes", "other"] == 3


def test_what_is_uncertain_is_counted(acme, scrape):
    acme.close("1", requester={"email": "slow@example.com"})
    acme.work()

    assert [delivery.state for delivery in acme.deliveries()] == ["uncertain"]
    assert scrape.read().queue.uncertain == 1


def test_the_queue_is_not_counted_again_at_once(acme, scrape, monotonic):
    assert scrape.read().queue.scheduled == 0
    acme.close("1")

    monotonic.now += KEEP_QUEUE - 0.1
    assert scrape.read().queue.scheduled == 0
    monotonic.now += 0.1
    assert scrape.read().queue.scheduled == 1


def test_a_queue_that_took_long_to_count_is_kept_for_longer(acme, database, clock):
    ticks = iter([0.0, 2.0, 41.9, 42.0, 42.0, 100.0])
    scrape = Scrape(database, clock, lambda: next(ticks))

    assert scrape.read().queue.scheduled == 0
    acme.close("1")
    assert scrape.read().queue.scheduled == 0
    assert scrape.read().queue.scheduled == 1


def test_workers_are_told_by_their_heartbeats(database, scrape, clock):
    with database.write() as db:
        workers.beat(db, "one", now=clock(), threads=8)
        workers.beat(db, "two", now=clock(), threads=4)
    clock.advance(seconds=5)
    with database.write() as db:
        workers.beat(db, "two", now=clock(), threads=4)
    clock.advance(seconds=16)
    found = samples(scrape.read())

    assert found["survey_plugin_workers",] == 1
    assert found["survey_plugin_worker_senders",] == 4
    assert found["survey_plugin_worker_heartbeat_age_seconds",] == 16


def test_the_version_is_told(scrape, database):
    with database.read() as db:
        engine = db.dialect.name
    page, _ = render(scrape.read(), "")

    [build] = [line for line in page.decode().splitlines() if line.startswith("survey_plugin_build_info")]
    assert f'version="{__version__}"' in build
    assert f'database="{engine}"' in build


def test_what_a_worker_does_is_counted(acme, parts, scrape):
    acme.close("1")
    acme.close("2", requester={"email": "slow@example.com"})
    acme.work()
    parts.meter.flush()
    found = samples(scrape.read())

    assert found["survey_plugin_deliveries_settled_total", "done", "accepted", "surveylab"] == 1
    assert found["survey_plugin_deliveries_settled_total", "unrecognised", "uncertain", "surveylab"] == 1
    assert found["survey_plugin_attempts_total", "accepted", "surveylab"] == 1
    assert found["survey_plugin_attempts_total", "uncertain", "surveylab"] == 1
    assert found["survey_plugin_call_seconds_count", "surveylab"] == 2
    assert found["survey_plugin_claimed_deliveries_sum",] == 2
    assert found["survey_plugin_claim_seconds_count",] >= 1
    assert found["survey_plugin_due_to_claim_seconds_count",] == 2


def test_what_is_cancelled_is_counted(parts, scrape):
    parts.meter.count(CANCELLED, by=3)
    parts.meter.flush()

    assert samples(scrape.read())["survey_plugin_deliveries_cancelled_total",] == 3
