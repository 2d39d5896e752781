"""From verdicts, plan and past actions to the status that people and pipelines read.

Pure, and a function of nothing but its inputs: the same facts give the same status to the letter,
so that comparing it with what was last written tells whether there is anything to write.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from msgspec import Struct

from kiro_operator.api.v1alpha1.conditions import Condition, ConditionType
from kiro_operator.api.v1alpha1.healthcheck import (
    PROPOSALS,
    Asked,
    CheckStatus,
    Decision,
    FoundObject,
    KiroHealthCheckSpec,
    KiroHealthCheckStatus,
    RemediationSummary,
)
from kiro_operator.core import told
from kiro_operator.core.bottleneck import Suspect, bottleneck
from kiro_operator.core.checks import Parameters, Registered
from kiro_operator.core.gravity import gravity
from kiro_operator.core.showing import command
from kiro_operator.core.snapshot import CERTAIN, Ref
from kiro_operator.core.standing import Since
from kiro_operator.core.verdict import INSUFFICIENT, Status, Verdict

OBSERVED_GRACE = timedelta(seconds=60)
"""How long a source may be out of reach before Observed turns False; a missing permission counts at once."""
OBJECTS, DECISIONS, REMEDIATIONS = 10, 10, 5
MESSAGE = 1024
ALL_OBJECTS, ALL_MESSAGES, ALL_COMMANDS = 65, 11 * 1024, 4 * 1024
"""What all checks together may name and say, so that the whole status stays below 64 KiB."""
QUIET = 120
"""What a check may say that passes or is skipped: what is wrong has the room."""

COMMAND, WORD, NAME, MANY = 256, 128, 253, 20
_QUIET = frozenset({Status.PASS, Status.SKIPPED})
_NO_VERDICT = frozenset(
    {ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.ESCALATED}
)
_GRAVITY = {condition.value: number for number, condition in enumerate(ConditionType)}
"""Symptoms in the order of what they cost: a Kiro that does not answer comes first."""

Truth = Literal["True", "False", "Unknown"]


class Judged(Struct, frozen=True):
    """One check's verdict as it stands."""

    registered: Registered
    verdict: Verdict
    since: datetime
    """When it was last reported anew."""
    began: datetime | None = None
    """When the fault behind a Fail was first seen; None where that is not known."""
    within: timedelta = timedelta(0)
    """How much earlier it may have begun."""
    standing: Since = {}
    """Since when each object is found, where another check weighs it."""
    parameters: Parameters | None = None
    """What was set for the check; None for its defaults."""

    @property
    def first_seen(self) -> datetime:
        """When it began, as far as is known."""
        return self.began or self.since


class Escalation(Struct, frozen=True, order=True):
    """A person is needed, and why."""

    reason: str
    message: str


class Permission(Struct, frozen=True):
    """Whether the operator may act at all, before any one action is looked at."""

    allowed: bool
    reason: str
    message: str


class Outcome(Struct, frozen=True, kw_only=True):
    """All that a reconciliation found out."""

    generation: int
    namespace: str
    now: datetime
    stalled: Permission | None = None
    """Why the spec cannot be acted on, in the words of a refusal."""
    suspended: bool = False
    judged: Sequence[Judged] = ()
    spec: KiroHealthCheckSpec = KiroHealthCheckSpec()
    """Where the evidence was."""
    waiting_for: str = ""
    """What is still being listed; empty when everything has been seen once."""
    permission: Permission
    decisions: Sequence[Decision] = ()
    asked: Sequence[Asked] | None = None
    """What a person was asked about; None where that was not thought about: what is known stays."""
    escalations: Sequence[Escalation] = ()
    remediations: Sequence[RemediationSummary] = ()
    requested_at: str = ""


def summarize(outcome: Outcome, before: KiroHealthCheckStatus) -> KiroHealthCheckStatus:
    """The status to show; what has not changed keeps its times."""
    told = sum(item.verdict.status not in _QUIET for item in outcome.judged)
    room = ALL_MESSAGES - QUIET * (len(outcome.judged) - told)
    bounds = _Bounds(
        objects=min(OBJECTS, ALL_OBJECTS // max(1, told)),
        message=min(MESSAGE, room // max(1, told)),
        command=min(COMMAND, ALL_COMMANDS // max(1, told)),
        figure=WORD if told <= MANY else WORD // 3,
    )
    judged = [_check(item, outcome, bounds) for item in outcome.judged]
    checks = before.checks if outcome.suspended else judged
    return KiroHealthCheckStatus(
        observed_generation=outcome.generation,
        conditions=_conditions(outcome, before),
        failing=before.failing if outcome.suspended else _failing(outcome.judged),
        last_action=_last_action(outcome.remediations),
        checks=checks,
        # What waits for a person can be approved by its entry alone; all else comes again by itself.
        decisions=sorted(outcome.decisions, key=lambda item: item.approval is None)[:DECISIONS],
        asked=before.asked if outcome.asked is None else list(outcome.asked),
        decision_count=len(outcome.decisions),
        remediations=list(outcome.remediations[:REMEDIATIONS]),
        last_handled_reconcile_at=outcome.requested_at[:64] or None,
    )


def _conditions(outcome: Outcome, before: KiroHealthCheckStatus) -> list[Condition]:
    told: list[tuple[ConditionType, Truth, str, str]] = []
    if outcome.stalled:
        problem = shorten(outcome.stalled.message, MESSAGE)
        told.append((ConditionType.READY, "False", outcome.stalled.reason, problem))
        told.append((ConditionType.STALLED, "True", outcome.stalled.reason, problem))
    elif outcome.waiting_for:
        message = f"waiting for the first listing of {outcome.waiting_for}"
        told.append((ConditionType.READY, "Unknown", "Progressing", message))
        told.append((ConditionType.RECONCILING, "True", "Progressing", message))
    elif outcome.suspended:
        told.append((ConditionType.READY, "True", "Suspended", "spec.suspend is true: nothing is checked"))
    else:
        told.append((ConditionType.READY, "True", "Reconciled", "all enabled checks are being judged"))
    kept = before.conditions if outcome.suspended else []
    if not outcome.suspended:
        told.append((ConditionType.HEALTHY, *_health(outcome.judged)))
        for condition in sorted({item.registered.condition for item in outcome.judged}):
            of_symptom = [item for item in outcome.judged if item.registered.condition == condition]
            told.append((ConditionType(condition), *_named(condition, of_symptom)))
        told.append((ConditionType.OBSERVED, *_observed(outcome.judged, outcome.now)))
        told.append((ConditionType.REMEDIATION_ALLOWED, *_allowed(outcome)))
        told.append((ConditionType.ESCALATED, *_escalated(outcome.escalations)))
    conditions = {c.type: c for c in kept if c.type not in (ConditionType.STALLED, ConditionType.RECONCILING)}
    for kind, status, reason, message in told:
        # Each part is without credentials already; put together, the id of a check such as
        # mcp-authorization would make what follows it look like one.
        said = Said(kind, status, reason, _cut(message, MESSAGE))
        conditions[kind] = dated(said, before.conditions, outcome.generation, outcome.now)
    return list(conditions.values())


def broken_off(
    before: KiroHealthCheckStatus, problem: Permission, generation: int, now: datetime
) -> KiroHealthCheckStatus:
    """The status to show when nothing could be found out: what it told stays, and no verdict of it holds."""
    told: dict[str, Truth] = {
        condition.type: "Unknown" for condition in before.conditions if condition.type not in _NO_VERDICT
    }
    told |= {ConditionType.READY: "False", ConditionType.STALLED: "True"}
    conditions = {c.type: c for c in before.conditions if c.type != ConditionType.RECONCILING}
    for kind, status in told.items():
        said = Said(ConditionType(kind), status, problem.reason, problem.message)
        conditions[said.type] = dated(said, before.conditions, generation, now)
    return before.model_copy(
        update={"observed_generation": generation, "conditions": list(conditions.values())}
    )


class Said(Struct, frozen=True):
    """What a condition says now."""

    type: ConditionType
    status: Truth
    reason: str
    message: str


def dated(said: Said, before: Iterable[Condition], generation: int, now: datetime) -> Condition:
    """A condition, with the time of its last transition."""
    old = next((condition for condition in before if condition.type == said.type), None)
    return Condition(
        type=said.type,
        status=said.status,
        observed_generation=generation,
        last_transition_time=old.last_transition_time
        if old and old.status == said.status
        else now.replace(microsecond=0),
        reason=said.reason,
        message=said.message,
    )


def _named(condition: str, judged: Sequence[Judged]) -> tuple[Truth, str, str]:
    """A symptom's condition; where resources hold each other up it begins with the one that is short."""
    status, reason, message = _health(judged)
    if condition == ConditionType.PERFORMANCE_ADEQUATE and status == "False":
        suspects = [
            Suspect(item.registered.id, item.verdict, item.first_seen, item.within) for item in judged
        ]
        if found := bottleneck(suspects):
            message = f"{told.line(shorten(found.message, MESSAGE, people=False))}; {message}"
    return status, reason, message


def _health(judged: Iterable[Judged]) -> tuple[Truth, str, str]:
    by_status: dict[Status, list[Judged]] = {}
    for item in judged:
        by_status.setdefault(item.verdict.status, []).append(item)
    if failing := by_status.get(Status.FAIL):
        return "False", "ChecksFailing", _told(failing)
    # What is seen and not enough to judge by is no blind spot.
    unknown = [item for item in by_status.get(Status.UNKNOWN, []) if item.verdict.reason not in INSUFFICIENT]
    essential = [item for item in unknown if not item.registered.check.polled]
    answered = Status.PASS in by_status or Status.WARN in by_status
    if essential or (unknown and not answered):
        return "Unknown", "NotObserved", _told(essential or unknown)
    if warnings := by_status.get(Status.WARN):
        return "True", "Warnings", _told(warnings)
    if not answered:
        return "Unknown", "NothingToJudge", "no enabled check has anything to judge"
    passing = len(by_status[Status.PASS])
    return "True", "AsExpected", f"{passing} check{'s' * (passing != 1)} pass{'es' * (passing == 1)}"


def _observed(judged: Iterable[Judged], now: datetime) -> tuple[Truth, str, str]:
    missing = [
        item
        for item in judged
        if item.verdict.status == Status.UNKNOWN
        and item.verdict.reason not in INSUFFICIENT
        and (item.verdict.reason in CERTAIN or now - item.since >= OBSERVED_GRACE)
    ]
    if not missing:
        return "True", "AsExpected", "every enabled check can be observed"
    reasons = {item.verdict.reason for item in missing}
    reason = reasons.pop() if len(reasons) == 1 else "SeveralReasons"
    return "False", reason, _told(missing)


def next_transition(judged: Iterable[Judged], now: datetime) -> datetime | None:
    """When Observed would turn False by itself."""
    due = [
        item.since + OBSERVED_GRACE
        for item in judged
        if item.verdict.status == Status.UNKNOWN and item.since + OBSERVED_GRACE > now
    ]
    return min(due, default=None)


def _allowed(outcome: Outcome) -> tuple[Truth, str, str]:
    if not outcome.permission.allowed:
        return "False", outcome.permission.reason, shorten(outcome.permission.message, MESSAGE)
    # A proposal that waits for a person holds nothing back.
    denied = [
        decision
        for decision in outcome.decisions
        if decision.decision == "Denied" and decision.action not in PROPOSALS
    ]
    if denied:
        first = denied[0]
        return (
            "False",
            first.reason,
            f"{first.action} of {first.target.kind} {first.target.name}: {shorten(first.message, MESSAGE)}",
        )
    return "True", outcome.permission.reason, outcome.permission.message


def _escalated(escalations: Sequence[Escalation]) -> tuple[Truth, str, str]:
    if not escalations:
        return "False", "NotNeeded", "nothing waits for a person"
    reasons = {item.reason for item in escalations}
    reason = reasons.pop() if len(reasons) == 1 else "SeveralReasons"
    return "True", reason, "; ".join(sorted(shorten(item.message, MESSAGE) for item in escalations))


class _Bounds(Struct, frozen=True, kw_only=True):
    """Bytes and objects that one check that does not pass may have."""

    objects: int
    message: int
    command: int
    figure: int


def _check(item: Judged, outcome: Outcome, bounds: _Bounds) -> CheckStatus:
    verdict = item.verdict
    quiet = verdict.status in _QUIET
    found = {(ref.kind, ref.name): ref for ref in (finding.object for finding in verdict.findings)}
    # What stands is still told while nothing new is seen: the next process goes on from the status.
    objects = found or ({} if quiet else {(kind, name): Ref(kind, name) for kind, name in item.standing})
    return CheckStatus(
        id=item.registered.id,
        status=verdict.status.value,
        reason=verdict.reason,
        message=_words(item, verdict.message, QUIET if quiet else bounds.message),
        since=item.since.replace(microsecond=0),
        began=item.began and item.began.replace(microsecond=0),
        # Names and figures may be those of others: what the API would refuse must not silence the rest.
        observed=_optional(item, verdict.observed, bounds.figure),
        threshold=_optional(item, verdict.threshold, bounds.figure),
        command=None if quiet else _command(item, outcome, bounds.command),
        objects=[
            FoundObject(
                kind=shorten(ref.kind, WORD, people=False),
                name=_cut(told.name(ref), NAME),
                since=_second(item, *key),
            )
            for key, ref in sorted(objects.items())[: bounds.objects]
        ],
        object_count=len(objects),
    )


def _second(item: Judged, kind: str, name: str) -> datetime | None:
    since = item.standing.get((kind, name))
    return since.replace(microsecond=0) if since else None


def _optional(item: Judged, text: str | None, limit: int) -> str | None:
    return None if text is None else _words(item, text, limit)


def _command(item: Judged, outcome: Outcome, longest: int) -> str | None:
    """What shows a person the same; nothing rather than half of it."""
    check = item.registered.check
    parameters = item.parameters or check.parameters()
    shown = command(check, item.verdict, parameters, outcome.spec, outcome.namespace, longest=longest)
    without = told.words(shown or "", people=item.registered.names_people)
    return without if 0 < len(without) <= longest else None


def _told(items: Iterable[Judged]) -> str:
    """The worst in full and every other by its id."""
    ordered = _worst_first(items)
    ids = [item.registered.id for item in ordered]
    lines: list[str] = []
    for number, item in enumerate(ordered):
        line = f"{item.registered.id}: {_words(item, item.verdict.message, 300)}"
        rest = ", ".join(ids[number + 1 :])
        if lines and len("; ".join([*lines, line])) + len(rest) + 8 > MESSAGE:
            return _cut(f"{'; '.join(lines)}; also {', '.join(ids[number:])}", MESSAGE)
        lines.append(line)
    return "; ".join(lines)


def _worst_first(items: Iterable[Judged]) -> list[Judged]:
    """First the graver symptom, then the graver fault, then what began first."""
    return sorted(
        items,
        key=lambda item: (
            _GRAVITY[item.registered.condition],
            gravity(item.registered.id, item.verdict),
            item.first_seen,
            item.registered.id,
        ),
    )


def _failing(judged: Iterable[Judged]) -> str:
    """What fits a printer column: the worst of the failing checks and how many more there are."""
    failing = _worst_first(item for item in judged if item.verdict.status == Status.FAIL)
    if not failing:
        return ""
    return failing[0].registered.id + (f" +{len(failing) - 1}" if len(failing) > 1 else "")


def _last_action(remediations: Sequence[RemediationSummary]) -> str:
    last = next((item for item in remediations if item.state != "Proposed"), None)
    if last is None:
        return ""
    return f"{last.method} {_cut(last.target.name, 16)}: {last.state}"


def _words(item: Judged, text: str, limit: int) -> str:
    """Words of a verdict, cut to ``limit`` bytes, on one line."""
    return told.line(shorten(text, limit, people=item.registered.names_people))


def shorten(text: str, limit: int, *, people: bool = True) -> str:
    """Cut to ``limit`` bytes, visibly; what others wrote may be in it, so without credentials.

    With ``people`` users stay named in it: who paused, who approved, who may do what.
    """
    return _cut(told.words(text[: 2 * limit], people=people), limit)


def _cut(text: str, limit: int) -> str:
    """Cut to ``limit`` bytes as they are stored: a character may take four, and a quote two."""
    if _stored(text) <= limit:
        return text
    kept = text[: limit - 1]
    while (over := _stored(kept) + 3 - limit) > 0:
        kept = kept[: len(kept) - max(1, over // 4)]
    return kept + "…"


def _stored(text: str) -> int:
    return len(msgspec.json.encode(text)) - 2


def invariants(status: KiroHealthCheckStatus) -> Mapping[str, bool]:
    """What holds of every status that is written, by name; tests and the writer hold it against these."""
    by_type = {condition.type: condition for condition in status.conditions}
    ready = by_type.get(ConditionType.READY)
    stalled = ConditionType.STALLED in by_type
    reconciling = ConditionType.RECONCILING in by_type
    return {
        "Ready is always there": ready is not None,
        "Stalled and Reconciling exclude each other": not (stalled and reconciling),
        "Stalled and Reconciling are there only when True": all(
            by_type[kind].status == "True"
            for kind in (ConditionType.STALLED, ConditionType.RECONCILING)
            if kind in by_type
        ),
        "Ready is not True while Stalled or Reconciling": not (
            ready is not None and ready.status == "True" and (stalled or reconciling)
        ),
        "every condition speaks of the observed generation": all(
            condition.observed_generation <= status.observed_generation for condition in status.conditions
        ),
    }
