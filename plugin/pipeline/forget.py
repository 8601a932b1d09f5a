"""Finding one person in all that a tenant keeps, and erasing them. What was decided stays; whom it was about goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from plugin.domain.identity import Mint
from plugin.errors import NotAllowed
from plugin.pipeline.fingerprint import mark_of
from plugin.store import persons
from plugin.store.database import Database
from plugin.store.earlier import receipts_completed, subjects_of
from plugin.store.persons import KINDS, Traces, Wanted

#: The shortest text that is searched for.
_SHORTEST: Final = 5

#: Gets the receipts looked through so far, and how many there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Found:
    """Where a person was found.

    searched: receipts looked through. receipts: those that name the person. counts: rows that do, by their kind.
    cancelled: deliveries to the person that were still waiting (when erasing). under_way: calls to the person that were
    being made meanwhile; what they bring may be written down after the search has passed.
    """

    searched: int
    receipts: int
    counts: Mapping[str, int]
    cancelled: int = 0
    under_way: int = 0

    @property
    def is_empty(self) -> bool:
        return not self.receipts

    def lines(self) -> Iterator[str]:
        """For people: what was searched, and where the person was found."""
        if self.is_empty:
            yield f"Searched {_receipts(self.searched)}: nothing that is kept names this person."
            return
        yield f"Searched {_receipts(self.searched)}; found in {_receipts(self.receipts)}:"
        for kind in KINDS:
            if self.counts.get(kind):
                yield f"  {kind:<16} {self.counts[kind]:>6,}"


def find_person(database: Database, tenant_id: str, address: str, progress: Progress) -> Found:
    """Where a person is found by e-mail address or phone number; the letters' case does not matter.

    Raises NotAllowed when the address is too short to be one.
    """
    _refuse_short(address)
    sum_ = _Sum()
    for traces in _pages(database, tenant_id, address, progress):
        sum_.add(traces)
    return sum_.found()


def forget_person(database: Database, mint: Mint, tenant_id: str, address: str, progress: Progress) -> Found:
    """Erase a person from every row that holds them; gives what was found. Raises NotAllowed, as find_person.

    Each page of receipts is a transaction of its own. When it is stopped half-way, doing it again does the rest.
    """
    _refuse_short(address)
    sum_ = _Sum()
    about: set[tuple[str, str]] = set()
    for traces in _pages(database, tenant_id, address, progress):
        sum_.add(traces)
        if traces.triggers:
            with database.write() as db:
                about |= subjects_of(db, traces.events)
                sum_.cancelled += persons.erase_traces(db, tenant_id, traces, mint.now())
    with database.write() as db:
        # What later events have taken over from these, behind the search's back.
        completed = receipts_completed(db, tenant_id, about)
        late = persons.traces_in(db, completed, Wanted(address), mark_of(tenant_id, address))
        sum_.cancelled += persons.erase_traces(db, tenant_id, late, mint.now())
        persons.erase_mark(db, tenant_id, mark_of(tenant_id, address))
    return sum_.found()


def _pages(database: Database, tenant_id: str, address: str, progress: Progress) -> Iterator[Traces]:
    """Walk through all receipts of a tenant, a page at a time."""
    wanted, person = Wanted(address), mark_of(tenant_id, address)
    with database.read() as db:
        total = persons.count_receipts(db, tenant_id)
    searched, last = 0, None
    while True:
        with database.read() as db:
            page = persons.page_of_receipts(db, tenant_id, last)
            if page is None:
                return
            traces = persons.traces_in(db, page.trigger_ids, wanted, person)
        yield traces
        last = page.last
        searched += len(page.trigger_ids)
        progress(searched, max(total, searched))


class _Sum:
    """What all pages held together."""

    def __init__(self) -> None:
        self.cancelled = 0
        self._searched = self._receipts = self._under_way = 0
        self._counts: Counter[str] = Counter()
        self._ahead: set[str] = set()

    def add(self, traces: Traces) -> None:
        self._searched += traces.searched
        # Receipts that were counted with the page of the call that they are about come by once more.
        self._receipts += len(traces.triggers - self._ahead)
        self._ahead |= traces.ahead
        self._under_way += traces.under_way
        self._counts += traces.counts

    def found(self) -> Found:
        return Found(self._searched, self._receipts, self._counts, self.cancelled, self._under_way)


def _refuse_short(address: str) -> None:
    if len(address.strip()) < _SHORTEST:
        raise NotAllowed("Give the whole e-mail address or phone number; a part of one would be found in many others.")


def _receipts(count: int) -> str:
    return f"{count:,} receipt{'' if count == 1 else 's'}"
