"""A change of steering documents that came before answers got worse."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.steering import STEERING, Revision
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.steering.judging import INTERVAL, verdict
from kiro_operator.core.verdict import Finding, Verdict, unknown

_NAMED = 3


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


def judge(snapshot: Snapshot, parameters: SteeringChangesParameters, now: datetime) -> Verdict:
    """Relate the changes to the checks that fail; while none does, no change is held against anything."""
    steering = snapshot.value(STEERING)
    if isinstance(steering, Unobserved):
        return unknown(steering)
    history = steering.history
    failing = {check: began for check, began in snapshot.began_failing.items() if check in parameters.checks}
    failures = [
        finding
        for revision in sorted(history.revisions, key=lambda one: (-one.time.timestamp(), one.path))
        if (finding := _finding(revision, failing, parameters.look_back, now, history.note))
    ]
    if history.note:
        # Short, for the note is to be seen: of a check that passes the status shows a line only.
        return verdict(failures, (), steering, f"No change came before answers got worse. {history.note}")
    well = "No change of a steering document came shortly before answers got worse."
    return verdict(failures, (), steering, well)


def _finding(
    revision: Revision, failing: Mapping[str, datetime], look_back: timedelta, now: datetime, note: str
) -> Finding | None:
    # A file's change is known from the sample that saw it, which came up to an interval later.
    earliest = revision.time if revision.manager else revision.time - INTERVAL
    checks = sorted(
        check
        for check, began in failing.items()
        if not revision.first and earliest <= began <= revision.time + look_back
    )
    if not checks:
        return None
    named = ", ".join(checks[:_NAMED]) + (" and others" if len(checks) > _NAMED else "")
    who = f" by {revision.manager}" if revision.manager else ""
    did = "changed" if revision.digest else "removed"
    diff = f"; the change: {revision.diff}" if revision.diff else ""
    words = (
        f"{revision.path} was {did}{who} at {revision.time:%Y-%m-%dT%H:%M:%SZ}, before {named} began "
        f"to fail: if that is the cause, put the former version back{diff}"
    )
    if note:
        words += f" ({note})"
    # The checks named have counted their samples, and the change is dated: nothing is gained by waiting.
    return Finding(
        Ref("SteeringDocument", revision.path),
        "ChangedBeforeFailure",
        words,
        min(revision.time, now),
        at_once=True,
    )


CHECK = Check(
    title="No steering change made answers worse",
    section="response-quality-steering",
    command="kubectl get configmaps -n {namespace} --show-managed-fields -o yaml",
    sources=(STEERING,),
    judge=judge,
    parameters=SteeringChangesParameters,
    interval=INTERVAL,
    failure_threshold=1,
    success_threshold=1,
    relates=True,
)
