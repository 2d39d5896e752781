"""Failures that autonomous operations log: ``kubectl logs -l component=autonomous-operations``."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks import Check
from kiro_operator.core.checks.autonomous_operations._pods import AutonomousPods, written
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.findings import clip, found
from kiro_operator.core.loglines import LINE_LIMIT, is_error, is_quiet
from kiro_operator.core.records import OperationRecord
from kiro_operator.core.records.types import Outcome
from kiro_operator.core.signatures import BUILT_IN, Severity, Signature
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of
from kiro_operator.core.verdict import Finding, Verdict, passed


def _own(name: str, pattern: str, text: str) -> Signature:
    return Signature(name, re.compile(pattern, re.IGNORECASE), text)


SIGNATURES = (
    _own(
        "AdmissionDenied",
        r"admission webhook|validatingadmissionpolicy|denied the request",
        "admission refuses what it wants to write: hold the operation against the admission policies",
    ),
    _own(
        "QuotaExceeded",
        r"exceeded quota|quota exceeded|insufficient quota",
        "a quota is used up: raise it, or let it do less",
    ),
    _own(
        "WriteConflict",
        r"object has been modified|resourceversion conflict|409 conflict",
        "something else writes the same objects: find out which by their managedFields",
    ),
    _own(
        "ApprovalTimeout",
        r"approval (?:timed out|timeout|expired)|no approval within|waiting for approval timed out",
        "nobody approved in time: see the approvers of its gate",
    ),
    _own(
        "RolledBack",
        r"\broll(?:ed|ing)[ -]?back\b|rollback (?:started|completed|failed)",
        "operations were rolled back: see what they did not achieve",
    ),
    _own(
        "DeadlineExceeded",
        r"deadline exceeded|operation timed out|context deadline|timed out waiting",
        "operations run out of time: see what they wait for",
    ),
    *(signature for signature in BUILT_IN if signature.severity is Severity.FAIL),
)
_TEXTS = {signature.name: signature.text for signature in SIGNATURES} | {
    "OperationsFailed": "its records tell of operations that failed",
    "ErrorsLogged": "it logs errors that no signature knows",
}
_ORDER = {name: place for place, name in enumerate(_TEXTS)}
_NUMBER = re.compile(r"[0-9]+")
_BANDS = ((10, "a few times"), (100, "dozens of times"), (1000, "hundreds of times"))


class AutonomousLogsParameters(AutonomousPods):
    """Thresholds of autonomous-logs."""

    failures: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=3, description="Failures of one kind that one pod may not reach between two samples."
    )


def judge(snapshot: Snapshot, parameters: AutonomousLogsParameters, now: datetime) -> Verdict:
    """Group the failures of each pod by what they look like."""
    tails = written(snapshot, parameters.label)
    if isinstance(tails, Verdict):
        return tails
    by_pod: dict[str, list[LogTail]] = {}
    for tail in tails:
        by_pod.setdefault(tail.pod, []).append(tail)
    since = snapshot.sampled_at(POD_LOGS, now)
    findings: list[Finding] = []
    counted: dict[tuple[str, str], int] = {}
    for pod, group in sorted(by_pod.items()):
        counts = Counter(kind for tail in group for kind in _failures(tail))
        for kind, count in counts.items():
            if count >= parameters.failures:
                counted[pod, kind] = count
                findings.append(_finding(snapshot, pod, kind, _words(kind, count, group), since))
    if findings:
        findings.sort(key=lambda item: (_ORDER[item.reason], item.object))
        first = findings[0]
        return found(
            findings,
            observed=f"{first.reason} {band(counted[first.object.name, first.reason])}",
            threshold=f"fewer than {parameters.failures} of one kind in a sample",
        )
    return passed("Autonomous operations log no failure that repeats.")


def _failures(tail: LogTail) -> Iterable[str]:
    """The kind of each failure in a log: its records, and the lines that are none."""
    failed = [record for record in _operations(tail) if record.outcome is Outcome.FAILURE]
    for record in failed:
        yield _kind(record.reason) or "OperationsFailed"
    ids = frozenset(record.id for record in _operations(tail))
    for line in tail.lines:
        kind = _of_line(line)
        # A record has been counted by what it says of itself.
        if kind and not (line.rstrip().endswith("}") and any(f'"{name}"' in line for name in ids)):
            yield kind


def _of_line(line: str) -> str:
    if is_quiet(line):
        return ""
    return _kind(line[:LINE_LIMIT]) or ("ErrorsLogged" if is_error(line) else "")


def _kind(text: str) -> str:
    lower = text.lower()
    for signature in SIGNATURES:
        if signature.needles and not any(needle in lower for needle in signature.needles):
            continue
        if signature.pattern.search(text):
            return signature.name
    return ""


def _operations(tail: LogTail) -> list[OperationRecord]:
    return [record for record in tail.records if isinstance(record, OperationRecord)]


def _words(kind: str, count: int, tails: Iterable[LogTail]) -> str:
    text = f"shows {kind} {band(count)}"
    if kind == "OperationsFailed":
        told = Counter(
            _NUMBER.sub("#", clip(record.reason, 80))
            for tail in tails
            for record in _operations(tail)
            if record.outcome is Outcome.FAILURE and record.reason
        )
        if told:
            text += f", mostly with the reason {min(told, key=lambda reason: (-told[reason], reason))!r}"
    return f"{text}: {_TEXTS[kind]}"


def _finding(snapshot: Snapshot, pod: str, kind: str, words: str, since: datetime) -> Finding:
    itself = None if isinstance(snapshot.pods, Unobserved) else snapshot.pods.get(pod)
    ref = Ref("Pod", pod, itself.metadata.uid if itself else "")
    target = (controller_of(itself, snapshot) or ref) if itself else None
    return Finding(ref, kind, f"Pod {pod} {words}", since, target)


def band(count: int) -> str:
    """A count in words that do not change with every sample."""
    return next((words for limit, words in _BANDS if count < limit), "thousands of times")


CHECK = Check(
    title="Autonomous operations do not fail again and again",
    section="autonomous-operations-logs",
    command="kubectl logs -n {namespace} -l component=autonomous-operations --tail=100",
    sources=(POD_LOGS,),
    judge=judge,
    parameters=AutonomousLogsParameters,
    # A sample holds what was logged since the last one: a burst is in one of them only. What has failed is
    # told for a while, so that it is not gone before anybody has looked.
    failure_threshold=1,
    success_threshold=5,
)
