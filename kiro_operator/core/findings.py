"""Findings added up to one verdict: the first finding dominates, the message names the objects."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from kiro_operator.core.snapshot import Ref
from kiro_operator.core.verdict import Finding, Status, Verdict

MESSAGE_LIMIT = 1024
"""What a condition's message may hold."""
_NAMED = 3
_SHARE = 320


def found(
    findings: Sequence[Finding],
    *,
    status: Status = Status.FAIL,
    observed: str | None = None,
    threshold: str | None = None,
    replicas_needed: tuple[tuple[Ref, int], ...] = (),
    next_check: datetime | None = None,
) -> Verdict:
    """The verdict over findings that are in the order of their weight: the first gives the reason."""
    return Verdict(
        status,
        findings[0].reason,
        summary(findings),
        tuple(findings),
        observed,
        threshold,
        replicas_needed,
        next_check,
    )


def summary(findings: Sequence[Finding]) -> str:
    """The first message of each reason in full, the other objects by name, within MESSAGE_LIMIT."""
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.reason, []).append(finding)
    parts: list[str] = []
    room = MESSAGE_LIMIT - 64
    for number, group in enumerate(grouped.values()):
        text = clip(group[0].message, MESSAGE_LIMIT - 64 if len(grouped) == 1 else _SHARE)
        text += _others(group[1:], room - len(text))
        if number and len(text) + 2 > room:
            parts.append("and other reasons")
            break
        room -= len(text) + 2
        parts.append(text)
    return clip("; ".join(parts), MESSAGE_LIMIT)


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names, and whether there are others: a number would change with each of them."""
    return ", ".join(names[:most]) + (" and others" if len(names) > most else "")


def clip(text: str, limit: int) -> str:
    """The text, cut to a number of characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def earliest(*times: datetime | None) -> datetime | None:
    """The first of the times there are."""
    return min((time for time in times if time is not None), default=None)


def _others(group: Sequence[Finding], room: int) -> str:
    if not group:
        return ""
    names: list[str] = []
    for finding in group[:_NAMED]:
        room -= len(finding.object.name) + 2
        if room < 0:
            break
        names.append(finding.object.name)
    rest = len(group) - len(names)
    if not names:
        return f" ({rest} more)"
    return f" (also {_listed(names)}{f' and {rest} more' if rest else ''})"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
