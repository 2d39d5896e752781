"""Operators that are forked from a process that has imported the program already.

Most of the CPU of an operator's start are imports, and tests start it thousands of times. From there on it
is what `python -m kiro_operator` is: a process of its own, with its own arguments, environment and log. How
it starts from nothing is for the tests of an installation, the demo and the benchmarks, which do.
"""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from devcluster.launch import die_with
from devcluster.operator import OperatorProcess, Started

NAME = "kiro_operator"
"""What such a process is called, in `ps` as well."""
_FORKING = multiprocessing.get_context("forkserver")
_PR_SET_NAME = 15
_LOST = 255
"""Exit status that multiprocessing makes up when it was told none; the operator has no such status itself."""
_FORKING.set_forkserver_preload(["kiro_operator.__main__", __name__])
_LOCK = threading.Lock()
"""A status comes through a pipe and is read once: two threads that do would make another one of it."""


def _settings() -> dict[str, str]:
    """What an interpreter reads when it starts."""
    return {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}


_SETTINGS = _settings()


@atexit.register
def _end_all() -> None:
    """Otherwise an operator that a test has left behind would be waited for, at exit, for good."""
    for process in multiprocessing.active_children():
        process.kill()


class ForkedOperator(OperatorProcess):
    """One replica of the operator; it ends with the process that starts it.

    Attributes:
        forked: False starts it from nothing, for what would not show otherwise: memory of its own, and the
            order of sets, in which all that are forked agree.
    """

    forked = True

    def _spawn(self, arguments: list[str], environment: Mapping[str, str]) -> Started:
        # With other settings neither this one nor, if it is the first, all that come after it may be forked.
        if not self.forked or _settings() != _SETTINGS:
            return super()._spawn(arguments, environment)
        self.log.touch()
        process = _FORKING.Process(target=_become, args=(arguments, dict(environment), self.log))
        with _LOCK:
            process.start()
        return _Forked(process)


class _Forked:
    """What `OperatorProcess` wants of a process, as subprocess names it."""

    def __init__(self, process: multiprocessing.context.ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        with _LOCK:
            status = self._process.exitcode
        if status == _LOST:
            raise RuntimeError(f"the process that operator {self.pid} was forked from is gone")
        return status

    def wait(self, timeout: float) -> int:
        multiprocessing.connection.wait([self._process.sentinel], timeout)
        status = self.poll()
        if status is None:
            raise TimeoutError(f"operator {self.pid} has not ended within {timeout:.0f} s")
        return status

    def send_signal(self, number: int) -> None:
        # As Popen has it: one that has ended by itself is sent nothing.
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


def _become(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    die_with(os.getppid())
    starter = multiprocessing.parent_process()
    if starter is None or not starter.is_alive():
        sys.exit("who started this is gone")
    if sys.platform == "linux":
        # All that is forked has the same command line: by its name it can be told.
        ctypes.CDLL(None).prctl(_PR_SET_NAME, NAME.encode(), 0, 0, 0)
    os.environ.clear()
    os.environ.update(environment)
    # What it shares with the process that forks, and that one with its own parent, keeps them alive.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    sys.argv = ["kiro_operator", *arguments]

    from kiro_operator.__main__ import main  # noqa: PLC0415 - it is there already, and only in this process

    sys.exit(main())
