from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from plugin.domain.identity import Mint, first_id, new_key, new_reference

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


def zeros(size):
    return bytes(size)


def ones(size):
    return b"\xff" * size


def id_at(moment, dice):
    return Mint(lambda: moment, dice).id()


def test_an_id_is_twenty_six_letters_and_digits():
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", id_at(NOW, secrets.token_bytes))


def test_a_later_id_sorts_later_whatever_the_dice_say():
    assert id_at(NOW, ones) < id_at(NOW + timedelta(milliseconds=1), zeros)


def test_the_first_id_of_a_moment_sorts_before_all_that_are_made_then():
    assert first_id(NOW) <= id_at(NOW, zeros) < id_at(NOW, ones) < first_id(NOW + timedelta(milliseconds=1))


@pytest.mark.parametrize("dice", [zeros, ones, secrets.token_bytes])
def test_ids_of_one_mint_sort_in_the_order_they_were_made(dice):
    mint = Mint(lambda: NOW, dice)

    made = [mint.id() for _ in range(200)]

    assert made == sorted(set(made))


def test_a_clock_that_is_set_back_makes_no_id_twice_and_breaks_no_order():
    times = iter([NOW, NOW - timedelta(hours=1), NOW - timedelta(hours=2)])
    mint = Mint(lambda: next(times), zeros)

    made = [mint.id() for _ in range(3)]

    assert made == sorted(set(made))


def test_threads_that_share_a_mint_never_get_one_id():
    mint = Mint(lambda: NOW, zeros)

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: mint.id(), range(2000)))

    assert len(set(made)) == 2000


def test_a_reference_fits_every_vendor():
    assert re.fullmatch(r"[0-9a-hjkmnp-tv-z]{26}", new_reference(secrets.token_bytes))


def test_every_bit_of_a_reference_is_random():
    assert (new_reference(zeros), new_reference(ones)) == ("0" * 26, "z" * 26)


def test_a_key_fits_into_a_url():
    key = new_key(secrets.token_bytes)

    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", key)
    assert key != new_key(secrets.token_bytes)


def test_a_mint_gives_the_time_of_its_clock():
    assert Mint(lambda: NOW, zeros).now() == NOW
