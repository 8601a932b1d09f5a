"""Wall clocks that jump, and clocks that differ from machine to machine."""

from __future__ import annotations

from pathlib import Path

from tests.faults.trial import Trial


def clock_forward(trial: Trial) -> None:
    """The wall clock jumps an hour ahead."""
    _jump(trial, 3600.0)


def clock_back(trial: Trial) -> None:
    """The wall clock jumps a few seconds back: what was accepted before waits as long."""
    _jump(trial, -trial.random.uniform(1.0, 8.0))


def _jump(trial: Trial, seconds: float) -> None:
    offset = _clock(trial, "offset", 0.0)
    trial.begin(web={"clock": str(offset)}, worker={"clock": str(offset)})
    trial.wait_a_while()
    draft = offset.with_suffix(".new")
    draft.write_text(str(seconds), "ascii")
    draft.replace(offset)


def clocks_apart(trial: Trial) -> None:
    """Of three machines each has a time of its own, by more than a lease; what one does seems late to another."""
    web, early, late = (
        _clock(trial, name, seconds) for name, seconds in (("web", 2.0), ("early", 0.0), ("late", 60.0))
    )
    trial.start("worker", clock=str(late))
    trial.begin(web={"clock": str(web)}, worker={"clock": str(early)})


def _clock(trial: Trial, name: str, seconds: float) -> Path:
    """A file that says by how much a clock is off."""
    offset = trial.folder / name
    offset.write_text(str(seconds), "ascii")
    return offset
