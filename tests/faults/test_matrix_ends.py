"""A run of the matrix that is ended from outside leaves no process behind."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from devcluster import ControlPlane
from devcluster.wait import until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_workers_and_operators_end_with_it(
    control_plane: ControlPlane, tmp_path: Path, number: signal.Signals
) -> None:
    if control_plane.external:
        pytest.skip("faults need a control plane of our own")
    command = [sys.executable, "-m", "tests.faults.matrix", "--plane", str(control_plane.folder)]
    command += ["--scenarios", "^logged$", "--only", "killed before", "--workers", "2"]
    with (tmp_path / "out").open("wb") as out:
        matrix = psutil.Popen(command, stdout=out, stderr=out)

    def at_work() -> list[psutil.Process] | None:
        found: list[psutil.Process] = matrix.children(recursive=True)
        words: set[str] = set()
        for child in found:
            # One may have ended meanwhile.
            with suppress(psutil.NoSuchProcess):
                words.update(child.cmdline())
        return found if words >= {"kiro_operator", "demo.mcp_server"} else None

    started: list[psutil.Process] = []
    try:
        started = until(at_work, "an operator of a worker, and what it looks at", 60)
        matrix.send_signal(number)
        matrix.wait(30)
        _, left = psutil.wait_procs(started, 10)
        assert not left
    finally:
        for each in (matrix, *started):
            if each.is_running():
                each.kill()
        matrix.wait()
