"""The result as a table, for docs/faults.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.faults.matrix import plan
from tests.faults.matrix.case import Result
from tests.faults.matrix.oracle import Rule

PAGE = Path(__file__).resolve().parents[3] / "docs" / "faults.md"
BEGIN, END = "<!-- result: written by `make faults` -->", "<!-- end of result -->"
HEADINGS = (
    "faults", "double actions", "over budget", "lost intents", "other violations", "not converged",
    "slowest convergence",
)  # fmt: skip
_NAMED = (Rule.DOUBLE, Rule.BUDGET, Rule.LOST)


def counted(results: Iterable[Result]) -> list[str]:
    """One row's cells: of the faults that were there."""
    there = [result for result in results if result.reached]
    rules = [{item.rule for item in result.violations} for result in there]
    slowest = max((result.seconds for result in there), default=0.0)
    return [
        str(len(there)),
        *(str(sum(rule in found for found in rules)) for rule in _NAMED),
        str(sum(not found <= set(_NAMED) for found in rules)),
        str(sum(bool(result.trouble) for result in there)),
        f"{slowest:.0f} s",
    ]


def render(results: Sequence[Result]) -> str:
    """Two tables, by fault and by scenario, and how many cases there were."""
    missed = [result.case for result in results if not result.reached]
    kills = [case for case in missed if case.kind in plan.KILLED]
    owed = sum(map(plan.is_owed, kills))
    lines = [BEGIN, "", *_table("fault", results, lambda result: result.case.kind.partition(":")[0]), ""]
    lines += [*_table("scenario", results, lambda result: result.case.scenario), ""]
    lines += [
        f"{len(results)} cases were planned. In {len(missed)} the write did not come in that run, so that",
        f"there was no fault; they are not counted. {len(kills)} of them are kills, tried twice: how many",
        f"writes tell of an action changes from run to run. At a record or an action {owed} are missing.",
        "",
        END,
    ]
    return "\n".join(lines)


def _table(by: str, results: Sequence[Result], key: Callable[[Result], str]) -> list[str]:
    rows = [
        [name, *counted(r for r in results if key(r) == name)] for name in dict.fromkeys(map(key, results))
    ]
    rows.append(["**all**", *counted(results)])
    return [
        f"| {' | '.join((by, *HEADINGS))} |",
        f"|---|{'---:|' * len(HEADINGS)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def write(results: Sequence[Result], page: Path = PAGE) -> None:
    """Put the result between its marks.

    Raises:
        ValueError: The page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks {BEGIN} or {END}")
    page.write_text(before + render(results) + after, encoding="utf-8")
