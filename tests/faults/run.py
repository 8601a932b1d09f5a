"""Crash rounds from the command line: one by name and seed, or all of them so many times.

python tests/faults/run.py kill-worker --seed 42 --engine postgresql
python tests/faults/run.py --rounds 3
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # started as a file, Python looks beside it alone

from tests.faults.mistakes import MISTAKES
from tests.faults.rounds import ROUNDS, run_round
from tests.faults.stores import STORES, Store
from tests.faults.trial import Result

_HEAD = (
    f"{'round':30}{'store':>12}{'seed':>8}{'acked':>7}{'lost':>6}{'doubled':>9}{'uncertain':>11}{'in flight':>11}"
    f"{'recovery s':>12}"
)


def main() -> int:
    options = _options()
    print(_HEAD, flush=True)
    ran = failed = 0
    for name in STORES if options.engine == "both" else [options.engine]:
        with STORES[name]() as store:
            for result in _results(options, store):
                _show(result)
                ran += 1
                failed += bool(result.failures)
    print(f"{failed} of {ran} rounds failed." if failed else f"Every one of {ran} rounds passed.")
    return 1 if failed or not ran else 0


def _results(options: argparse.Namespace, store: Store) -> Iterator[Result]:
    names = [options.round] if options.round else list(ROUNDS)
    for number in range(options.rounds):
        for name in names:
            if store.name in ROUNDS[name].stores:
                yield run_round(name, options.seed + number, store, tickets=options.tickets, mistake=options.mistake)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Crash the program under load, and see whether it kept its promises.")
    parser.add_argument("round", nargs="?", choices=ROUNDS, metavar="ROUND", help=f"one of: {', '.join(ROUNDS)}")
    parser.add_argument("--engine", choices=[*STORES, "both"], default="both", help="the store it works with; both")
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().randrange(1_000_000),
        help="decides what a round does by chance, one more for each repetition; a new one when left out",
    )
    parser.add_argument("--rounds", type=int, default=1, help="how often each is run")
    parser.add_argument("--tickets", type=int, default=300, help="how many tickets are closed in a round; 300")
    parser.add_argument("--mistake", choices=MISTAKES, help="make this mistake in the program on purpose")
    return parser.parse_args()


def _show(result: Result) -> None:
    found = result.judgement
    print(
        f"{result.round:30}{result.store:>12}{result.seed:8}{found.acknowledged:7}{len(found.lost):6}"
        f"{len(found.doubled):9}{len(found.uncertain):11}{result.in_flight:11}{result.recovery:12.1f}",
        flush=True,
    )
    for failure in result.failures:
        print(f"    FAILED: {failure}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
