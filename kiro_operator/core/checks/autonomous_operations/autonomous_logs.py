"""Failures that autonomous operations log: ``kubectl logs -l component=autonomous-operations``."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks import Check
from kiro_operator.core.checks.autonomous_operations._pods import AutonomousPods, written
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.findings import clip, found
from kiro_operator.core.loglines import LINE_LIMIT, is_error, is_quiet
from kiro_operator.core.quiet import tally
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
_ABOUT_AS_MANY = 2
"""What is counted half as often as another may be as frequent."""


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
                words = list(_words(kind, count, group))
                findings.append(_finding(snapshot, pod, kind, words, since))
    if findings:
        findings.sort(key=lambda item: (_ORDER[item.reason], item.object))
        first = findings[0]
        return found(
            findings,
            observed=f"{first.reason} {tally(counted[first.object.name, first.reason])}",
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


def _words(kind: str, count: int, tails: Iterable[LogTail]) -> Iterator[str]:
    """What a pod shows, and then in which other words that may be told as well."""
    text = f"shows {kind} {tally(count)}"
    reasons = _reasons(tails) if kind == "OperationsFailed" else [""]
    for reason in reasons or [""]:
        mostly = f", mostly with the reason {reason!r}" if reason else ""
        yield f"{text}{mostly}: {_TEXTS[kind]}"


def _reasons(tails: Iterable[LogTail]) -> list[str]:
    """The reasons of failed operations of which any may be the most frequent, the one that is now first."""
    told = Counter(
        _NUMBER.sub("#", clip(record.reason, 80))
        for tail in tails
        for record in _operations(tail)
        if record.outcome is Outcome.FAILURE and record.reason
    )
    most = max(told.values(), default=0)
    frequent = (reason for reason in told if told[reason] * _ABOUT_AS_MANY >= most)
    return sorted(frequent, key=lambda reason: (-told[reason], reason))


def _finding(snapshot: Snapshot, pod: str, kind: str, words: list[str], since: datetime) -> Finding:
    itself = None if isinstance(snapshot.pods, Unobserved) else snapshot.pods.get(pod)
    ref = Ref("Pod", pod, itself.metadata.uid if itself else "")
    target = (controller_of(itself, snapshot) or ref) if itself else None
    message, *others = (f"Pod {pod} {text}" for text in words)
    return Finding(ref, kind, message, since, target, equally=tuple(others))


CHECK = Check(
    title="Autonomous operations do not fail again and again",
    section="autonomous-operations-logs",
    command="kubectl logs -n {namespace} -l {label} --tail=100",
    sources=(POD_LOGS,),
    judge=judge,
    parameters=AutonomousLogsParameters,
    # A sample holds what was logged since the last one: a burst is in one of them only. What has failed is
    # told for a while, so that it is not gone before anybody has looked.
    failure_threshold=1,
    success_threshold=5,
)
