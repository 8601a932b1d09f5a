from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugin.pipeline.coalesce import Coalescer


class Held:
    """Work whose first round waits until it is let go on, so that others come meanwhile."""

    def __init__(self, fail=None):
        self.rounds = []
        self.began = threading.Event()
        self.go_on = threading.Event()
        self.fail = fail

    def __call__(self, items):
        self.rounds.append(list(items))
        if len(self.rounds) == 1:
            self.began.set()
            assert self.go_on.wait(10)
        if self.fail in items:
            raise KeyError(self.fail)
        return [item * 10 for item in items]


def run(held, items, *, most=32, patience=10.0):
    """What each caller gets, the first of them alone and the others while its work is under way."""
    coalescer = Coalescer(held, most)

    def call(item):
        try:
            return coalescer.do(item, patience)
        except Exception as error:  # handed over to the test
            return error

    with ThreadPoolExecutor(len(items)) as threads:
        first = threads.submit(call, items[0])
        assert held.began.wait(10)
        others = []
        for item in items[1:]:
            others.append(threads.submit(call, item))
            while len(coalescer._waiting) < len(others) and not others[-1].done():
                pass
        held.go_on.set()
        return [future.result(10) for future in [first, *others]]


def test_a_caller_alone_does_not_wait_for_company():
    held = Held()
    held.go_on.set()

    assert Coalescer(held, 8).do(1, 1.0) == 10


def test_those_who_come_meanwhile_are_done_together_and_each_gets_its_own_answer():
    held = Held()

    assert run(held, [1, 2, 3, 4]) == [10, 20, 30, 40]
    assert held.rounds == [[1], [2, 3, 4]]


def test_no_more_than_the_most_are_done_at_once():
    held = Held()

    assert run(held, [1, 2, 3, 4, 5, 6], most=2) == [10, 20, 30, 40, 50, 60]
    assert held.rounds == [[1], [2, 3], [4, 5], [6]]


def test_a_failure_is_told_to_those_it_concerns_and_the_line_goes_on():
    answers = run(Held(fail=2), [1, 2, 3, 4], most=2)

    assert [answers[0], answers[3]] == [10, 40]
    assert [type(answer) for answer in answers[1:3]] == [KeyError, KeyError]


def test_who_has_waited_long_enough_leaves_and_is_not_done():
    held = Held()
    coalescer = Coalescer(held, 8)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(coalescer.do, 1, 10.0)
        assert held.began.wait(10)

        with pytest.raises(TimeoutError):
            coalescer.do(2, 0.01)

        held.go_on.set()
        assert first.result(10) == 10
    assert coalescer.do(3, 1.0) == 30
    assert held.rounds == [[1], [3]]
