from __future__ import annotations

from datetime import UTC, datetime

import pytest

from plugin.triggers.base.times import read_time, unix_time

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T04:04:05+01:00",
        "2026-01-02 03:04:05",
        "20260102T030405Z",
        "1767323045",
        "1767323045000",
        "1767323045.000",
    ],
)
def test_the_same_moment_is_read_from_every_way_of_writing_it(text):
    assert read_time(text) == MOMENT


def test_fractions_of_a_second_are_kept():
    assert read_time("2026-01-02T03:04:05.250Z") == read_time("1767323045.25") == read_time("1767323045250")


def test_eight_digits_are_a_date_and_not_unix_time():
    assert read_time("20260102") == datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "January 2, 2026",
        "nan",
        "inf",
        "-1",
        "1e10",
        "999999999999999",
        "9" * 400,
        "١٧٦٧٣٢٣٠٤٥",
        "0001-01-01T00:00:00+14:00",
        "2026-13-01",
        "\ud800",
    ],
)
def test_what_is_no_time_is_none(text):
    assert read_time(text) is None


def test_the_unit_of_unix_time_is_the_callers_word():
    assert unix_time("1767323045") == unix_time("1767323045000", milliseconds=True) == MOMENT
