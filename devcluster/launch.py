"""Starts one component so that it dies with its supervisor, however that ends.

Run as a script: `launch.py SUPERVISOR_PID PROGRAM ARGUMENT…`. A script between the two instead of
subprocess's preexec_fn, which is not safe in a process with threads; the death signal outlives exec.
Uses nothing but the standard library and starts with `python -I -S`, because it runs once a component.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def bound(command: list[str] | tuple[str, ...]) -> list[str]:
    """A command that ends with the thread that starts it, however that ends."""
    # -I -S: it needs no site packages, and starts in a few milliseconds.
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL at the death of the thread that has started this process."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    # It may have died before the prctl; then nobody would send the signal.
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def main() -> None:
    """Die with the parent, and become the program."""
    die_with(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    main()
