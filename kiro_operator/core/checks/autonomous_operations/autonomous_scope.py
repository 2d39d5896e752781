"""Autonomous operations against the policy's boundaries, by the records they leave in the logs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.autonomy import Boundaries
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.checks import Check
from kiro_operator.core.checks.autonomous_operations._pods import AutonomousPods, written
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG
from kiro_operator.core.findings import clip, found
from kiro_operator.core.records import OperationRecord
from kiro_operator.core.records.types import Outcome
from kiro_operator.core.snapshot import Marks, Ref, Snapshot, Source, Unobserved
from kiro_operator.core.statistics import percentage
from kiro_operator.core.switches import asking
from kiro_operator.core.verdict import Amendment, Finding, Status, Verdict, passed, skipped, unknown

_SHOWN = 4
_NAME = 80
_ORDER = ("ActionOutside", "KindOutside", "NamespaceOutside", "ChangeTooLarge")


class AutonomousScopeParameters(AutonomousPods):
    """Thresholds of autonomous-scope."""

    refused_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=50,
        description="Share of refused operations, in percent, above which boundaries are too tight.",
    )
    min_operations: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=10, description="Operations it takes to say that too many are refused."
    )


def judge(snapshot: Snapshot, parameters: AutonomousScopeParameters, now: datetime) -> Verdict:
    """Hold each operation that was carried out against every policy's boundaries."""
    boundaries = {
        name: spec.boundaries
        for name, spec in sorted(snapshot.policies.items())
        if spec.boundaries is not None
    }
    if not boundaries:
        return skipped(
            "NotDeclared",
            "No KiroSafetyPolicy says what autonomous operations may touch: write spec.boundaries.",
        )
    tails = written(snapshot, parameters.label)
    if isinstance(tails, Verdict):
        return tails
    operations = [item for tail in tails for item in tail.window if isinstance(item, OperationRecord)]
    if not operations:
        return _nothing(tails)
    since = snapshot.sampled_at(POD_LOGS, now)
    done = [item for item in operations if item.outcome is not Outcome.REFUSED]
    faults: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for policy, bounds in boundaries.items():
        for operation in done:
            for reason, text, value in _outside(operation, bounds):
                faults.setdefault((policy, reason), set()).add((text, value))
    if faults:
        ordered = sorted(faults.items(), key=lambda item: (_ORDER.index(item[0][1]), item[0][0]))
        (policy, reason), _ = ordered[0]
        findings = [
            _finding(_ref(name, snapshot), why, crossed, _allowed(boundaries[name], why), since)
            for (name, why), crossed in ordered
        ]
        return found(
            asking(findings, ActionName.CONTAIN, snapshot),
            threshold=clip(_allowed(boundaries[policy], reason), 120),
        )
    refused = len(operations) - len(done)
    if len(operations) >= parameters.min_operations and 100 * refused > parameters.refused_percent * len(
        operations
    ):
        names = ", ".join(boundaries)
        return Verdict(
            Status.WARN,
            "TooRestrictive",
            f"Most autonomous operations are refused: hold the boundaries of KiroSafetyPolicy {names}, and "
            "what enforces them, against what the operations are for.",
            observed=f"refused: {percentage(refused / len(operations))}",
            threshold=f"{parameters.refused_percent}%, of at least {parameters.min_operations} operations",
        )
    return passed("Autonomous operations stay within their boundaries.")


def _nothing(tails: Iterable[LogTail]) -> Verdict:
    if any(tail.malformed for tail in tails):
        return unknown(
            Unobserved(
                "MalformedRecords",
                "The logs hold records that cannot be read: hold their fields against spec.records and "
                "docs/records.md.",
            )
        )
    return skipped(
        "NoOperations",
        "The logs hold no recent records of autonomous operations: docs/records.md says how to log them.",
    )


def _outside(operation: OperationRecord, bounds: Boundaries) -> Iterator[tuple[str, str, str]]:
    """Each boundary that an operation crossed, in words, and by what.

    What its record does not tell is not held against it.
    """
    target = operation.target
    what = clip(operation.action, _NAME)
    where = clip("/".join(part for part in (target.kind, target.namespace, target.name) if part), _NAME)
    on = f"{what} on {where}" if where else what
    if operation.action.lower() not in {action.lower() for action in bounds.actions}:
        yield "ActionOutside", on, operation.action
    if target.kind and target.kind.lower() not in {kind.lower() for kind in bounds.kinds}:
        yield "KindOutside", on, target.kind
    if target.namespace and target.namespace not in bounds.namespaces:
        yield "NamespaceOutside", on, target.namespace
    if operation.change_size is not None and abs(operation.change_size) > bounds.maximum_change:
        yield "ChangeTooLarge", on, _size(abs(operation.change_size))


def _size(change: float) -> str:
    """A change in whole numbers, rounded up; one beyond all numbers as it is."""
    return str(math.ceil(change)) if math.isfinite(change) else str(change)


_WORDS = {
    "ActionOutside": "does not list the action of",
    "KindOutside": "does not list the kind of",
    "NamespaceOutside": "does not list the namespace of",
    "ChangeTooLarge": "allows no change as large as that of",
}


def _allowed(bounds: Boundaries, reason: str) -> str:
    """What a boundary lets through."""
    match reason:
        case "ActionOutside":
            return _listed(bounds.actions)
        case "KindOutside":
            return _listed(bounds.kinds)
        case "NamespaceOutside":
            return _listed(bounds.namespaces)
        case _:
            return f"at most {bounds.maximum_change}%"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown or "none"


_FIELDS = {
    "ActionOutside": "actions",
    "KindOutside": "kinds",
    "NamespaceOutside": "namespaces",
    "ChangeTooLarge": "maximumChange",
}
"""Which field of the boundaries would have to be wider."""


def _ref(policy: str, snapshot: Snapshot) -> Ref:
    """The very policy: another one of the same name may have other boundaries."""
    marks = snapshot.marks.get(policy, Marks())
    return Ref("KiroSafetyPolicy", policy, marks.uid)


def _finding(
    policy: Ref, reason: str, crossed: set[tuple[str, str]], allowed: str, since: datetime
) -> Finding:
    texts = sorted({text for text, _ in crossed})
    shown = texts[:_SHOWN]
    rest = len(texts) - len(shown)
    more = f" and {rest} more" if rest else ""
    text = (
        f"{policy.kind} {policy.name} {_WORDS[reason]} operations that were carried out: {'; '.join(shown)}"
        f"{more}; allowed: {clip(allowed, 2 * _NAME)}; see what let them through, or widen the boundary"
    )
    values = tuple((_FIELDS[reason], value) for value in sorted({value for _, value in crossed}))
    amendment = Amendment(ActionName.CHANGE_BOUNDARY, policy, values)
    return Finding(policy, reason, clip(text, 960), since, amendment=amendment)


CHECK = Check(
    title="Autonomous operations stay within their boundaries",
    section="autonomous-operations-logs",
    command="kubectl logs -n {namespace} -l {label} --since=15m",
    sources=(POD_LOGS, SAFETY_CONFIG, Source.POLICIES),
    borrows=(SAFETY_CONFIG,),
    judge=judge,
    parameters=AutonomousScopeParameters,
    # What was done was done: it does not take a second look.
    failure_threshold=1,
    success_threshold=1,
)
