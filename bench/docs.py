"""docs/benchmarks.md, written from the last figures."""

from pathlib import Path

from bench.figures import Figure, notes
from bench.results import Results, Run
from bench.table import number, target

FILE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

What the operator costs and how fast it is, on a real API server. `make bench` measures everything and prints
tables; `python -m bench --only latency rest` measures some; `--quick` only shows that they run.
`make bench-docs` writes this page from the figures of the last runs, kept in `bench/results/latest.json`.

## How it is measured

- The operator is a process of its own, started as in a pod, against the embedded control plane (etcd,
  kube-apiserver, controller manager, scheduler, and kwok as the nodes). Each benchmark has a control plane
  of its own, so none inherits another's objects.
- **All of them share one machine of {cores} cores**: the API server, etcd, kwok, the controllers, the
  operator and the measuring client compete for the same cores. The figures include that; on a cluster with
  machines of its own they would be better.
- Latencies are held against a floor from the same run: a raw client sends the same PATCH of a pod's status
  and waits for its own watch to show it. Floor and operator take turns, so that both see the same noise.
  A failure needs two such trips (pod to operator, operator to status), so twice the floor is the least.
- The clock starts when the PATCH that breaks a pod is sent, and ends when the measuring client's watch shows
  the outcome. Both are taken in one process by one monotonic clock.
- Pods are about as large as real ones. CPU time is the kernel's count for the process, to the nanosecond,
  less what the process uses at rest. Requests are counted by the API server's audit log.
- *Load* is the number of runnable processes in the minute before and after each run. More than {cores} means
  that something waited for a core: then times are longer than they need be, and a ratio to the floor can look
  better than on a quiet machine, because the floor grows too. "Met" holds for the run that is shown, no more.

"""
MEANING = {
    "micro": "Inside one process",
    "latency": "One failure after the other",
    "action": "Failure to action",
    "burst": "Many failures at once",
    "flatness": "The same failure among more and more targets",
    "cold-start": "Start",
    "rest": "At rest, and pod events",
    "failover": "Failover",
    "attention": "Everything on, with backends that answer and that hang",
}
WORDS = {True: "met", False: "**not met**", None: ""}


def write(results: Results) -> Path:
    """Write the page; returns where."""
    parts = [INTRODUCTION.format(cores=results.cores)]
    parts += [_section(MEANING[name], results.runs[name]) for name in MEANING if name in results.runs]
    FILE.write_text("\n".join(parts), encoding="utf-8")
    return FILE


def _section(title: str, run: Run) -> str:
    lines = [
        f"## {title}",
        "",
        f"Measured {run.taken_at} UTC; load {run.load_before:.1f} before, {run.load_after:.1f} after.",
        "",
        "| figure | target | measured | p50 | p99 | max | n | |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
        *(_row(figure) for figure in run.figures),
        "",
    ]
    remarks = [f"- {note[0].upper()}{note[1:]}." for note in notes(run.figures)]
    return "\n".join([*lines, *remarks, *([""] if remarks else [])])


def _row(figure: Figure) -> str:
    told = figure.spread
    series = [number(each) for each in (told.p50, told.p99, told.max)] if told else ["", "", ""]
    cells = [
        figure.name,
        target(figure),
        f"{number(figure.value)} {figure.unit}".rstrip(),
        *series,
        str(told.samples) if told else "",
        WORDS[figure.met],
    ]
    return f"| {' | '.join(cells)} |"
