"""The figures on disk: one JSON file, in which a benchmark that is run again replaces its own."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.figures import Figure

FILE = Path(__file__).resolve().parent / "results" / "latest.json"


class Run(Struct):
    """One benchmark's figures, and how busy the machine was."""

    taken_at: str
    seconds: float
    quick: bool
    load_before: float
    """Runnable processes over the minute before."""
    load_after: float
    figures: list[Figure]


class Results(Struct):
    """The last run of each benchmark."""

    cores: int
    memory_gib: float
    runs: dict[str, Run] = {}


def load() -> Results:
    """What was measured before, on this machine; empty when nothing was."""
    if not FILE.exists():
        return Results(os.cpu_count() or 1, _memory_gib())
    return msgspec.json.decode(FILE.read_bytes(), type=Results)


def save(results: Results) -> None:
    """Keep it."""
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(results)))


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
