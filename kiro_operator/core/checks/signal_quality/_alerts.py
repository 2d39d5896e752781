"""What the checks on alerts share: the history of alerts in Prometheus, read as times of firing."""

from collections.abc import Sequence
from datetime import timedelta

from kiro_operator.core.evidence.series import SERIES, Answer, Query, answer
from kiro_operator.core.promql import union
from kiro_operator.core.snapshot import NOT_CONFIGURED, Snapshot, Unobserved

FEWEST = 5
"""Alerts, each as often as it began, below which nothing fails, however it is set: three prove nothing."""
HISTORY = "history"
_RULES = "rules"


def history(selected: str, window: timedelta, step: timedelta) -> Query:
    """When alerts fired, and whether alerting rules are evaluated at all: else silence means nothing."""
    return Query(
        union({HISTORY: selected, _RULES: "(count(ALERTS) or sum(prometheus_rule_group_rules))"}),
        window,
        step,
    )


def fired(snapshot: Snapshot, query: Query) -> Answer | Unobserved:
    """The history of alerts; Unobserved where nothing would have fired anyway."""
    if isinstance(sampled := snapshot.value(SERIES), Unobserved):
        return sampled
    told = answer(snapshot, query)
    if isinstance(told, Unobserved) and told.reason == "NoData":
        return Unobserved(
            "NoAlertRules", "Prometheus evaluates no alerting rule: load deploy/monitoring/rules.yaml"
        )
    return told


def first_missing(*sides: object) -> Unobserved | None:
    """Why not all is seen: a side that is configured and does not answer, or that none is configured."""
    missing = [side for side in sides if isinstance(side, Unobserved)]
    wanted = [side for side in missing if side.reason != NOT_CONFIGURED]
    if wanted:
        return wanted[0]
    return missing[0] if len(missing) == len(sides) else None


def episodes(times: Sequence[float], step: timedelta) -> list[tuple[float, float]]:
    """Begin and end of each stretch without a gap."""
    found: list[tuple[float, float]] = []
    for time in times:
        if found and time - found[-1][1] <= 1.5 * step.total_seconds():
            found[-1] = found[-1][0], time
        else:
            found.append((time, time))
    return found


def most_within(times: Sequence[float], span: timedelta) -> int:
    """The most of these times that lie within a span."""
    ordered = sorted(times)
    most = first = 0
    for last, time in enumerate(ordered):
        while time - ordered[first] > span.total_seconds():
            first += 1
        most = max(most, last - first + 1)
    return most
