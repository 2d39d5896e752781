"""Plays the whole matrix on a control plane of its own, and writes docs/faults.md.

    python -m tests.faults.matrix [--only REGEX] [--scenarios REGEX] [--workers N] [--plane FOLDER]

Ends with 0 if every case held, there were as many as are promised, and no kill at a record or an action is
missing; one whose write does not come is tried once more. However it ends, all that it has started ends with
it: workers are killed at the death of their parent, and operators at that of their worker.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import devcluster
from devcluster import ControlPlane, DevclusterError
from devcluster.launch import die_with
from tests.conftest import CRDS, VOUCHING
from tests.faults.matrix import plan, table
from tests.faults.matrix.case import Baseline, Case, Result, play, record
from tests.faults.matrix.mutations import Mutation
from tests.faults.matrix.scenarios import SCENARIOS, Outcome
from tests.harness.approvers import wait_for_vouching

PROMISED = 300
"""Faults that there have to be."""
SEED = 1
WORKERS = 8
"""Cases at once: they wait most of the time."""


Learned = tuple[tuple[Mutation, ...], Outcome, dict[str, int], tuple[str, ...]]
"""A Baseline without its scenario: that holds functions, which do not travel."""


@cache
def _plane(folder: Path) -> ControlPlane:
    return devcluster.attach(folder)


def _begin(parent: int) -> None:
    """In a worker: end with its parent. An interrupt from the keyboard is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)


def _record(folder: Path, logs: Path, scenario: int) -> Learned:
    """In a worker."""
    found = record(_plane(folder), SCENARIOS[scenario], logs)
    return found.mutations, found.outcome, found.actions, found.rights


def _play(folder: Path, logs: Path, scenario: int, learned: Learned, case: Case) -> Result:
    """In a worker."""
    try:
        return play(_plane(folder), Baseline(SCENARIOS[scenario], *learned), case, logs)
    except DevclusterError as error:  # one that could not be played is no reason not to play the others
        return Result(case, reached=True, trouble=f"not played to its end: {error}")


@contextmanager
def _workers(number: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that are killed when there is an error, or the run is interrupted."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(number, context, _begin, (os.getpid(),)) as processes:
        try:
            yield processes
        except BaseException:
            # Otherwise all that is planned would be played first.
            for child in multiprocessing.active_children():
                child.kill()
            raise


@contextmanager
def _control_plane(scratch: Path) -> Iterator[ControlPlane]:
    plane = devcluster.boot(scratch / "plane", name="faults", metrics_server=False)
    try:
        plane.apply(CRDS)
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        plane.apply(VOUCHING)
        yield plane
    finally:
        plane.stop()


@contextmanager
def _attached(folder: Path) -> Iterator[ControlPlane]:
    plane = devcluster.attach(folder)
    yield plane
    plane.close()


def main(arguments: Sequence[str]) -> int:
    """Play, tell, write; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix")
    parser.add_argument("--only", default="", help="cases whose text matches; nothing is written")
    parser.add_argument("--scenarios", default="", help="scenarios whose names match; nothing is written")
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--plane", type=Path, help="a control plane that runs, instead of one of its own")
    options = parser.parse_args(arguments)
    # Default is to end at once; this way the control plane and the files are cleaned up first.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="kiro-faults-") as scratch:
        where = _attached(options.plane) if options.plane else _control_plane(Path(scratch))
        with where as plane:
            wait_for_vouching(plane)
            results = _all(plane.folder, Path(scratch) / "runs", options)
    print(table.render(results))
    partly = bool(options.only or options.scenarios)
    if not partly:
        table.write(results)
    wrong = what_is_wrong(results, promised=0 if partly else PROMISED)
    print(f"{sum(result.reached for result in results)} faults, {len(wrong)} troubles", *wrong, sep="\n")
    return 1 if wrong else 0


def what_is_wrong(results: Sequence[Result], promised: int = PROMISED) -> list[str]:
    """Why a run has failed; empty when it has not."""
    wrong = [f"went wrong: {result.case}" for result in results if result.reached and not result.good]
    missed = [result.case for result in results if not result.reached]
    wrong += [f"never killed: {case}" for case in missed if plan.is_owed(case)]
    there = len(results) - len(missed)
    return wrong + ([f"only {there} faults, and {promised} are promised"] if there < promised else [])


def _all(folder: Path, logs: Path, options: argparse.Namespace) -> list[Result]:
    began = time.monotonic()
    chosen = [place for place, item in enumerate(SCENARIOS) if re.search(options.scenarios, item.name)]
    results: dict[Case, Result] = {}
    with _workers(options.workers) as processes:
        recording = [processes.submit(_record, folder, logs, place) for place in chosen]
        learned = [done.result() for done in recording]
        baselines = [Baseline(SCENARIOS[place], *item) for place, item in zip(chosen, learned, strict=True)]
        work = [
            (chosen[number], learned[number], case)
            for number, baseline in enumerate(baselines)
            for case in plan.cases(baseline, baselines[:number])
            if re.search(options.only, str(case))
        ]
        for baseline in baselines:
            name, number = baseline.scenario.name, len(baseline.mutations)
            cases = sum(case.scenario == name for _, _, case in work)
            print(f"{name}: {number} mutations, {cases} cases", flush=True)
        # Mixed, always in the same way: what takes long does not come all at once.
        mixed = random.Random(SEED).sample(work, len(work))  # noqa: S311 - an order, no secret

        def play_all(items: Sequence[tuple[int, Learned, Case]]) -> None:
            for done in as_completed([processes.submit(_play, folder, logs, *item) for item in items]):
                result = done.result()
                results[result.case] = result
                passed, count = time.monotonic() - began, f"{len(results)}/{len(work)}"
                print(f"{passed:6.0f} s {count} {told(result)}", flush=True)

        play_all(mixed)
        # A write that did not come may come in another run.
        play_all([item for item in mixed if item[-1].kind in plan.KILLED and not results[item[-1]].reached])
    return [results[case] for _, _, case in work]


def told(result: Result) -> str:
    """A result in a line, or in many if it is bad."""
    if not result.reached:
        return f"not reached  {result.case}"
    if result.good:
        return f"{result.seconds:4.1f} s {result.starts} starts  {result.case}"
    found = "\n".join(f"    {item.rule}: {item.text}" for item in result.violations)
    return f"BAD  {result.case}\n{found}\n    {result.trouble}\n{result.log}\n"
