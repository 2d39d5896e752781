"""A change of steering documents, hooks or MCP settings that came before answers got worse."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from msgspec.structs import replace
from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.logs import POD_LOGS
from kiro_operator.core.evidence.steering import STEERING, Revision, is_hook, is_steering
from kiro_operator.core.findings import some
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.statistics import percentage
from kiro_operator.core.steering.judging import INTERVAL, verdict
from kiro_operator.core.steering.ratings import Rated, Rise, Span, rises
from kiro_operator.core.verdict import Finding, Verdict, unknown

_NAMED = 3
_UNSHOWN = {
    "NotKept": "the former text was not kept",
    "NotWhole": "one of the two texts could not be read whole",
    "NothingVisible": "no line differs visibly",
    "NoRoom": "the history has no more room for it",
    "Secret": "the former text holds a secret and was not kept",
    "TooLarge": "there was no room to keep the former text",
}


class SteeringChangesParameters(Parameters):
    """Thresholds of steering-changes."""

    look_back: Annotated[timedelta, Between("5m", "168h")] = Field(
        default=timedelta(hours=6),
        description="How long before answers got worse a change is held against it.",
    )
    checks: Annotated[list[Annotated[str, Field(min_length=1, max_length=63)]], Field(max_length=32)] = Field(
        default=[
            "query-context",
            "mcp-response-quality",
            "mcp-data-accuracy",
            "service-logs",
        ],
        description="Checks whose failure tells that answers got worse.",
    )
    min_rated: Annotated[int, Field(ge=5, le=10_000)] = Field(
        default=20,
        description="Rated answers before a change, and as many after it, that it takes to compare them.",
    )
    rise_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=10, description="Percentage points more of the answers that have to be rated bad."
    )


def judge(snapshot: Snapshot, parameters: SteeringChangesParameters, now: datetime) -> Verdict:
    """Hold the changes against the checks that fail, and against the feedback before and after each."""
    steering = snapshot.value(STEERING)
    if isinstance(steering, Unobserved):
        return unknown(steering)
    history = steering.history
    changes = sorted(
        (one for one in history.revisions if not one.first), key=lambda one: (-one.time.timestamp(), one.path)
    )
    failing = {check: began for check, began in snapshot.began_failing.items() if check in parameters.checks}
    worse = _worse(changes, snapshot, parameters, now)
    by_checks: list[Finding] = []
    by_feedback: list[Finding] = []
    for change in changes:
        if checks := _failed_since(change, failing, parameters.look_back):
            by_checks.append(_before_failure(change, checks, history.note, now))
        elif _span(change) in worse:
            by_feedback.append(_before_feedback(change, history.note, now))
    well = "No change came shortly before answers got worse."
    # The note is to be seen: of a check that passes the status shows a line only.
    told = verdict([*by_checks, *by_feedback], (), steering, f"{well} {history.note}".rstrip())
    return _with_shares(told, worse) if by_feedback else told


def _worse(
    changes: Sequence[Revision], snapshot: Snapshot, parameters: SteeringChangesParameters, now: datetime
) -> Mapping[Span, Rise]:
    """When a change was made that ratings say was for the worse."""
    recent = {_span(change) for change in changes if now - change.time <= parameters.look_back}
    tails = snapshot.value(POD_LOGS)
    if not recent or isinstance(tails, Unobserved):
        return {}  # most of the time no record need be looked at
    records = (record for tail in tails if not isinstance(tail, Unobserved) for record in tail.window)
    found = rises(
        {_span(change) for change in changes},
        Rated.of(records, now),
        least=parameters.min_rated,
        points=parameters.rise_percent / 100,
    )
    return {span: rise for span, rise in found.items() if span in recent}


def _span(change: Revision) -> Span:
    """A file's change is known from the sample that saw it, which came up to an interval later."""
    return Span(change.time, change.time if change.manager else change.time - INTERVAL)


def _failed_since(change: Revision, failing: Mapping[str, datetime], look_back: timedelta) -> list[str]:
    """The checks that began to fail shortly after it."""
    begin = _span(change).begin
    return sorted(check for check, began in failing.items() if begin <= began <= change.time + look_back)


def _before_failure(change: Revision, checks: Sequence[str], note: str, now: datetime) -> Finding:
    named = some(checks, _NAMED)
    finding = _finding(change, "ChangedBeforeFailure", f"before {named} began to fail", note, now)
    # Those checks have counted their samples, and the change is dated: nothing is gained by waiting.
    return replace(finding, at_once=True)


def _before_feedback(change: Revision, note: str, now: datetime) -> Finding:
    return _finding(
        change, "ChangedBeforeBadFeedback", "and more answers were rated bad from then on", note, now
    )


def _finding(change: Revision, reason: str, what: str, note: str, now: datetime) -> Finding:
    did = "removed" if not change.digest else "added" if change.added else "changed"
    who = f" by {change.manager}" if change.manager else ""
    back = "take it out again" if change.added else "put the former version back"
    words = (
        f"{_kind(change.path)} {change.path} was {did}{who} at {change.time:%Y-%m-%dT%H:%M:%SZ}, {what}: "
        f"if that is the cause, {back}{_difference(change)}"
    )
    if note:
        words += f" ({note})"
    return Finding(Ref("SteeringDocument", change.path), reason, words, min(change.time, now))


def _kind(path: str) -> str:
    return "Steering document" if is_steering(path) else "Hook" if is_hook(path) else "MCP settings file"


def _difference(change: Revision) -> str:
    if change.diff:
        return f"; the change: {change.diff}"
    if change.unshown:
        return f"; the change cannot be shown: {_UNSHOWN.get(change.unshown, change.unshown)}"
    return ""


def _with_shares(told: Verdict, worse: Mapping[Span, Rise]) -> Verdict:
    """The verdict with the greatest share of bad answers after a change, and the one before that."""
    (bad, rated), (former, of) = max(
        ((rise.after, rise.before) for rise in worse.values()), key=lambda pair: pair[0][0] / pair[0][1]
    )
    return replace(
        told,
        observed=f"{percentage(bad / rated)} rated bad",
        threshold=f"{percentage(former / of)} before the change",
    )


CHECK = Check(
    title="No steering change made answers worse",
    section="response-quality-steering",
    command="kubectl get configmaps -n {namespace} {steering} --show-managed-fields -o yaml; "
    "in a pod: ls -l .kiro/steering",
    sources=(STEERING, POD_LOGS),
    judge=judge,
    parameters=SteeringChangesParameters,
    interval=INTERVAL,
    failure_threshold=1,
    success_threshold=1,
    relates=True,
    # What it looks at is all that is remembered of the records, however often they are read.
    borrows=(POD_LOGS,),
)
