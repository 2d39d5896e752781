"""Plays the whole matrix on a control plane of its own, and writes docs/faults.md.

    python -m tests.faults.matrix [--only REGEX] [--scenarios REGEX] [--workers N]

Ends with 0 if every case held, and there were as many as are promised.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from functools import cache, partial
from pathlib import Path

import devcluster
from devcluster import ControlPlane, DevclusterError
from tests.conftest import CRDS, VOUCHING
from tests.faults.matrix import plan, table
from tests.faults.matrix.case import Baseline, Case, Result, play, record
from tests.faults.matrix.scenarios import SCENARIOS
from tests.harness.approvers import wait_for_vouching

PROMISED = 300
"""Faults that there have to be."""
WORKERS = 8
"""Cases at once: they wait most of the time."""


@cache
def _plane(folder: Path) -> ControlPlane:
    return devcluster.attach(folder)


def _play(folder: Path, logs: Path, scenario: int, outcome: Sequence[object], case: Case) -> Result:
    """In a worker: scenarios hold functions, which do not travel."""
    mutations, ended, actions, rights = outcome
    baseline = Baseline(SCENARIOS[scenario], mutations, ended, actions, rights)  # type: ignore[arg-type]
    try:
        return play(_plane(folder), baseline, case, logs)
    except DevclusterError as error:  # one that could not be played is no reason not to play the others
        return Result(case, reached=True, trouble=f"not played to its end: {error}")


def main(arguments: Sequence[str]) -> int:
    """Play, tell, write; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix")
    parser.add_argument("--only", default="", help="cases whose text matches; nothing is written")
    parser.add_argument("--scenarios", default="", help="scenarios whose names match; nothing is written")
    parser.add_argument("--workers", type=int, default=WORKERS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kiro-faults-") as scratch:
        folder, logs = Path(scratch) / "plane", Path(scratch) / "runs"
        plane = devcluster.boot(folder, name="faults", metrics_server=False)
        try:
            plane.apply(CRDS)
            plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
            plane.apply(VOUCHING)
            wait_for_vouching(plane)
            results = _all(plane, folder, logs, options)
        finally:
            plane.stop()
    bad = [result for result in results if result.reached and not result.good]
    there = sum(result.reached for result in results)
    print(table.render(results))
    partly = bool(options.only or options.scenarios)
    if not partly:
        table.write(results)
    print(f"{there} faults, {len(bad)} of them went wrong")
    return 1 if bad or (there < PROMISED and not partly) else 0


def _all(plane: ControlPlane, folder: Path, logs: Path, options: argparse.Namespace) -> list[Result]:
    began = time.monotonic()
    chosen = [item for item in SCENARIOS if re.search(options.scenarios, item.name)]
    with ThreadPoolExecutor(options.workers) as pool:
        baselines: list[Baseline] = list(pool.map(partial(record, plane, folder=logs), chosen))
    work = []
    for place, baseline in enumerate(baselines):
        outcome = (baseline.mutations, baseline.outcome, baseline.actions, baseline.rights)
        cases = [
            case for case in plan.cases(baseline, baselines[:place]) if re.search(options.only, str(case))
        ]
        print(
            f"{baseline.scenario.name}: {len(baseline.mutations)} mutations, {len(cases)} cases", flush=True
        )
        work += [(SCENARIOS.index(baseline.scenario), outcome, case) for case in cases]
    context = multiprocessing.get_context("spawn")
    results: dict[Case, Result] = {}
    with ProcessPoolExecutor(options.workers, mp_context=context) as processes:
        running = [processes.submit(_play, folder, logs, *item) for item in work]
        for done in as_completed(running):
            result = done.result()
            results[result.case] = result
            print(f"{time.monotonic() - began:6.0f} s {len(results)}/{len(work)} {told(result)}", flush=True)
    return [results[case] for _, _, case in work]


def told(result: Result) -> str:
    """A result in a line, or in many if it is bad."""
    if not result.reached:
        return f"not reached  {result.case}"
    if result.good:
        return f"{result.seconds:4.1f} s {result.starts} starts  {result.case}"
    found = "\n".join(f"    {item.rule}: {item.text}" for item in result.violations)
    return f"BAD  {result.case}\n{found}\n    {result.trouble}\n{result.log}\n"
