from __future__ import annotations

from plugin.pacing import START, Pacing


class Monotonic:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def begin_all(pacing: Pacing, lane: str) -> int:
    """Begin as many calls as the lane may."""
    count = pacing.allowed(lane)
    for _ in range(count):
        pacing.begun(lane)
    return count


def test_a_lane_that_has_not_answered_may_begin_two_calls_and_no_more() -> None:
    pacing = Pacing(32, Monotonic())
    assert begin_all(pacing, "new") == START == 2
    assert pacing.allowed("new") == 0
    assert pacing.allowed("another") == START


def test_a_lane_that_answers_soon_has_as_many_calls_under_way_as_there_are_senders() -> None:
    pacing = Pacing(32, Monotonic())
    under_way, widest = 0, []
    for _ in range(8):
        under_way += begin_all(pacing, "quick")
        widest.append(under_way)
        for _ in range(under_way):
            pacing.ended("quick", hanging=False)
        under_way = 0
    assert widest == [2, 4, 8, 16, 32, 32, 32, 32]


def test_a_call_that_hung_earns_no_more_than_its_own_place() -> None:
    pacing = Pacing(32, Monotonic())
    begin_all(pacing, "hung")
    for _ in range(5):
        pacing.ended("hung", hanging=True)
        assert begin_all(pacing, "hung") == 1


def test_a_lane_that_was_idle_for_a_moment_begins_anew() -> None:
    clock = Monotonic()
    pacing = Pacing(32, clock)
    for _ in range(4):
        pacing.begun("now and then")
        pacing.ended("now and then", hanging=False)
    assert pacing.allowed("now and then") > START
    pacing.forget_idle()
    assert pacing.allowed("now and then") > START
    clock.seconds = 0.2
    pacing.forget_idle()
    assert pacing.allowed("now and then") == START


def test_what_is_under_way_is_not_forgotten_however_long_it_takes() -> None:
    clock = Monotonic()
    pacing = Pacing(32, clock)
    begin_all(pacing, "hanging")
    clock.seconds = 60.0
    pacing.forget_idle()
    assert pacing.allowed("hanging") == 0


def test_the_end_of_a_call_that_was_claimed_before_is_no_gift() -> None:
    pacing = Pacing(32, Monotonic())
    pacing.ended("unknown", hanging=False)
    assert pacing.allowed("unknown") == START
