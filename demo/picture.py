"""What the live view shows at one moment, read from the API server in one go."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from demo.cluster import Cluster, Object, is_ready, restarts, state

CONDITIONS = (
    "Ready",
    "Healthy",
    "Responsive",
    "AutonomyEffective",
    "CostEfficient",
    "Observed",
    "RemediationAllowed",
    "Escalated",
)
BAD_WHEN_TRUE = frozenset({"Escalated", "Stalled"})


@dataclass(frozen=True)
class PodRow:
    """A line of kubectl get pods, with what kubectl top shows."""

    name: str
    ready: bool
    state: str
    restarts: int
    cpu: str


@dataclass(frozen=True)
class ConditionRow:
    """A condition of the KiroHealthCheck."""

    kind: str
    status: str
    reason: str
    good: bool | None
    """None: it is not known."""


@dataclass(frozen=True)
class RemediationRow:
    """A line of kubectl get krem."""

    name: str
    method: str
    target: str
    state: str
    message: str
    age: str


@dataclass(frozen=True)
class EventRow:
    """One of the operator's Events."""

    time: str
    reason: str
    note: str
    warning: bool


@dataclass(frozen=True)
class Picture:
    """One moment."""

    pods: tuple[PodRow, ...] = ()
    conditions: tuple[ConditionRow, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    """Printer columns of the KiroHealthCheck and the KiroSafetyPolicy."""
    decision: str = ""
    remediations: tuple[RemediationRow, ...] = ()
    events: tuple[EventRow, ...] = field(default=())


def take(cluster: Cluster, cpu: dict[str, int]) -> Picture:
    """Look at everything once."""
    now = dt.datetime.now(dt.UTC)
    check, policy = cluster.health_check(), cluster.policy()
    return Picture(
        pods=tuple(_pod(pod, cpu) for pod in cluster.pods(leaving=True)),
        conditions=_conditions(check),
        columns=_columns(check, policy),
        decision=_decision(check),
        remediations=tuple(_remediation(each, now) for each in reversed(cluster.remediations())),
        events=tuple(_event(each) for each in cluster.events() if _is_told_once(each)),
    )


def _pod(pod: Object, cpu: dict[str, int]) -> PodRow:
    name = str(pod["metadata"]["name"])
    used = f"{cpu[name]}m" if name in cpu else "-"
    return PodRow(name, is_ready(pod), state(pod), restarts(pod), used)


def _conditions(check: Object) -> tuple[ConditionRow, ...]:
    found = {each["type"]: each for each in check.get("status", {}).get("conditions", [])}
    rows = []
    for kind in CONDITIONS:
        condition = found.get(kind, {})
        status = str(condition.get("status", "Unknown"))
        good = None if status == "Unknown" else (status == "True") != (kind in BAD_WHEN_TRUE)
        rows.append(ConditionRow(kind, status, str(condition.get("reason", "")), good))
    return tuple(rows)


def _columns(check: Object, policy: Object) -> tuple[tuple[str, str], ...]:
    status = check.get("status", {})
    return (
        ("failing", str(status.get("failing") or "-")),
        ("last action", str(status.get("lastAction") or "-")),
        ("policy", str(policy["spec"].get("mode", "DryRun"))),
        ("budget used", str(policy.get("status", {}).get("used") or "-")),
    )


def _decision(check: Object) -> str:
    """What stands in the way, in the status' own words."""
    conditions = {each["type"]: each for each in check.get("status", {}).get("conditions", [])}
    for kind, status in (("Escalated", "True"), ("RemediationAllowed", "False")):
        if conditions.get(kind, {}).get("status") == status:
            return str(conditions[kind]["message"])
    healthy = conditions.get("Healthy", {})
    return str(healthy.get("message", "not judged yet"))


def _remediation(item: Object, now: dt.datetime) -> RemediationRow:
    spec, status = item["spec"], item.get("status", {})
    replicas = spec.get("replicas")
    target = f"{spec['target']['kind']} {spec['target']['name']}"
    return RemediationRow(
        name=str(item["metadata"]["name"]),
        method=f"{spec['method']} {replicas['before']}→{replicas['after']}"
        if replicas
        else str(spec["method"]),
        target=target,
        state=str(status.get("state", "")),
        message=str(status.get("message", "")),
        age=_age(item["metadata"]["creationTimestamp"], now),
    )


def _is_told_once(event: Object) -> bool:
    """An action is told of its target and of the KiroHealthCheck; one line for it is enough here."""
    regards_check = event.get("regarding", {}).get("kind") == "KiroHealthCheck"
    return regards_check or not str(event.get("reason", "")).startswith("Remediation")


def _event(event: Object) -> EventRow:
    time = str(event.get("eventTime") or "")[11:19]
    return EventRow(time, str(event["reason"]), str(event.get("note", "")), event.get("type") == "Warning")


def _age(stamp: str, now: dt.datetime) -> str:
    seconds = max(0, int((now - dt.datetime.fromisoformat(stamp)).total_seconds()))
    return f"{seconds}s" if seconds < 120 else f"{seconds // 60}m{seconds % 60:02}s"
