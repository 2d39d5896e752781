"""Inside one process: what decoding, holding and judging pods costs."""

import json
import subprocess
import sys
from statistics import median

from bench.figures import Figure

GROUP = "micro"
RUNS = 7


def run(quick: bool) -> list[Figure]:  # noqa: FBT001 - the one switch of all benchmarks
    """Measure twice, with few pods and with many: the difference is what the pods need."""
    many = 2_000 if quick else 20_000
    few = _measure(many // 4)
    found = _measure(many)
    held = found["store full MiB"] - few["store full MiB"]
    each = held * 1024 / (many - many // 4)
    size = f"{found['bytes a pod'] / 1000:.1f} KB of JSON each"
    told = [
        ("decode one pod", "µs", found["decode µs"], None, size),
        ("one pod held", "KiB", each, None, size),
        (
            f"{many:,} pods held",
            "MiB",
            each * many / 1024,
            60.0,
            f"resident memory, by difference, median of {RUNS}",
        ),
        ("watch line → store, nothing new", "µs", found["event µs"], None, "decode, compare, replace"),
    ]
    judged = [
        (f"judge {name.removesuffix(', µs')}", "µs", value, None, f"of {many:,} pods")
        for name, value in found.items()
        if name.endswith("unsettled, µs")
    ]
    return [
        Figure(group=GROUP, name=name, unit=unit, value=value, bound=bound, note=note)
        for name, unit, value, bound, note in (*told, *judged)
    ]


def _measure(pods: int) -> dict[str, float]:
    """The median of several processes: by how much memory one grows at a time differs from run to run."""
    runs = [_once(pods) for _ in range(RUNS)]
    return {name: median(run[name] for run in runs) for name in runs[0]}


def _once(pods: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.micro_worker", str(pods)], check=True, capture_output=True, text=True
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured
