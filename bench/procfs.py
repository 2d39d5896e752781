"""What the kernel tells of a process: CPU time and memory."""

import contextlib
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """CPU time of a living process over all its threads, to the nanosecond; of living threads only."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident_mib(pid: int) -> float:
    """Resident memory, exactly: statm and status round what each thread has not told yet."""
    return _kib(Path(f"/proc/{pid}/smaps_rollup"), "Rss") / 1024


def peak_mib(pid: int) -> float:
    """The most memory that was ever resident."""
    return _kib(Path(f"/proc/{pid}/status"), "VmHWM") / 1024


def _kib(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ValueError(f"{file} has no {name}")
