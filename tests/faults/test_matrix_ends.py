"""How the processes of the matrix end: it leaves none behind, and sees each that crashes."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from devcluster import ControlPlane
from devcluster.wait import until
from tests.faults.matrix import plan
from tests.faults.matrix.case import Case, play, record
from tests.faults.matrix.oracle import Rule
from tests.faults.matrix.scenarios import SCENARIOS
from tests.harness.forked import NAME
from tests.harness.world import World


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_workers_and_operators_end_with_it(
    own_plane: ControlPlane, tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "tests.faults.matrix", "--plane", str(own_plane.folder)]
    command += ["--scenarios", "^logged$", "--only", "killed before", "--workers", "2"]
    with (tmp_path / "out").open("wb") as out:
        matrix = psutil.Popen(command, stdout=out, stderr=out)

    def at_work() -> list[psutil.Process] | None:
        found: list[psutil.Process] = matrix.children(recursive=True)
        words: set[str] = set()
        for child in found:
            # One may have ended meanwhile.
            with suppress(psutil.NoSuchProcess):
                words.update((child.name(), *child.cmdline()))
        return found if words >= {NAME, "demo.mcp_server"} else None

    started: list[psutil.Process] = []
    try:
        started = until(at_work, "an operator of a worker, and what it looks at", 150)
        matrix.send_signal(number)
        matrix.wait(30)
        _, left = psutil.wait_procs(started, 10)
        assert not left
    finally:
        for each in (matrix, *started):
            if each.is_running():
                each.kill()
        matrix.wait()


def test_a_crash_is_seen_also_where_another_one_loses_its_lease(
    own_plane: ControlPlane, tmp_path: Path
) -> None:
    restore = next(scenario for scenario in SCENARIOS if scenario.name == "restore")
    baseline = record(own_plane, restore, tmp_path)
    case = Case("restore", "paused past its Lease", plan.moments(baseline)[1])

    def crashing(which: int) -> list[Rule]:
        crashed: list[int] = []

        def crash(world: World) -> None:
            if len(world._operators) == 2 and not crashed:
                crashed.append(world._operators[which].pid)
                os.kill(crashed[0], signal.SIGKILL)

        scenario = replace(restore, drive=crash)
        result = play(own_plane, replace(baseline, scenario=scenario), case, tmp_path)
        assert crashed
        return [violation.rule for violation in result.violations]

    # The one that was paused, and its successor.
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(crashing, (0, 1))) == [[Rule.CRASH]] * 2
