"""Work that several threads want done at the same moment, done once for all of them: one commit instead of many."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Coalescer(Generic[Item, Answer]):
    """Hands the items of concurrent callers together to `work`, which gives an answer for each, in their order.

    The first caller works at once; those who come meanwhile wait, and one of them works for all of them next. So nobody
    waits for company, and the busier it is the more is done at a time. most: items given to `work` at once.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Answer]], most: int) -> None:
        self._work = work
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Item, Answer]] = deque()
        self._is_led = False

    def do(self, item: Item, patience: float) -> Answer:
        """The answer to one item. Raises what `work` raises, and TimeoutError after `patience` seconds in the line."""
        ticket = _Ticket[Item, Answer](item)
        with self._lock:
            self._waiting.append(ticket)
            ticket.leads, self._is_led = not self._is_led, True
        if not ticket.leads and not ticket.is_called(patience):
            if self._leave(ticket):
                raise TimeoutError
            # The work is under way, and has time limits of its own.
            ticket.is_called()
        if ticket.leads:
            self._lead()
        return ticket.result()

    def _leave(self, ticket: _Ticket[Item, Answer]) -> bool:
        """Give up a place in the line; False when it is too late for that."""
        with self._lock:
            if ticket.leads or ticket not in self._waiting:
                return False
            self._waiting.remove(ticket)
            return True

    def _lead(self) -> None:
        """Work for those at the head of the line, which begins with the caller, and call the next one to lead."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            answers = self._work([ticket.item for ticket in batch])
            for ticket, answer in zip(batch, answers, strict=True):
                ticket.answers = [answer]
        except Exception as error:  # each of the callers gets it
            for ticket in batch:
                ticket.error = error
        finally:
            self._call_next()
            for ticket in batch:
                ticket.call()

    def _call_next(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].call()
            else:
                self._is_led = False


class _Ticket(Generic[Item, Answer]):
    """One caller's place in the line."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.leads = False
        self.answers: list[Answer] = []
        self.error: Exception | None = None
        # Closed until the caller is called. A bare lock: an Event is made of three of them, for each request anew.
        self._door = threading.Lock()
        self._door.acquire()  # opened by somebody else

    def call(self) -> None:
        """Wake the caller. One who leads finds the door open the second time as well."""
        if self._door.locked():
            self._door.release()

    def is_called(self, patience: float = -1) -> bool:
        """Wait to be called, `patience` seconds or as long as it takes; whether that came."""
        return self._door.acquire(timeout=patience)

    def result(self) -> Answer:
        if self.error is not None:
            raise self.error
        # Empty only where the leader was interrupted (Ctrl-C in a command).
        [answer] = self.answers
        return answer
