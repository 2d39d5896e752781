"""The command line: run benchmarks, print tables, keep the figures."""

import argparse
import datetime as dt
import os
import sys
import time
import traceback
from pathlib import Path

from bench import docs, operator, results, table
from bench.cases import CASES
from bench.results import Run


def main() -> int:
    """Run what was asked for; 1 when a benchmark could not be run, whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the operator.")
    parser.add_argument("--only", nargs="+", choices=tuple(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="measure nothing, write docs/benchmarks.md from the last runs",
    )
    parser.add_argument(
        "--profile",
        metavar="FILE",
        help="run the operator under cProfile, which slows it, and keep the profile of the last one; "
        "figures are not kept",
    )
    flags = parser.parse_args()
    if flags.profile:
        os.environ[operator.PROFILE] = str(Path(flags.profile).resolve())
    known = results.load()
    if flags.write_docs:
        print(f"written: {docs.write(known)}")
        return 0
    failed = []
    for name in flags.only or CASES:
        try:
            run = _run(name, quick=flags.quick)
        except Exception:  # noqa: BLE001 - one that breaks must not cost the others
            traceback.print_exc()
            failed.append(name)
            continue
        table.show(
            run.figures, f"{name}: {run.seconds:.0f} s, load {run.load_before:.1f} → {run.load_after:.1f}"
        )
        if not flags.quick and not flags.profile:
            known.runs[name] = run
            results.save(known)
    if failed:
        print(f"could not be run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, *, quick: bool) -> Run:
    taken_at = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M")
    before, started = os.getloadavg()[0], time.monotonic()
    figures = CASES[name](quick)
    return Run(taken_at, time.monotonic() - started, quick, before, os.getloadavg()[0], figures)


if __name__ == "__main__":
    sys.exit(main())
