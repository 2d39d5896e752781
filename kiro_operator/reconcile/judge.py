"""Judge: run the checks whose facts have changed, and settle each verdict."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.core.conditions import Judged
from kiro_operator.core.findings import earliest
from kiro_operator.core.flap import Settled, Track, settle
from kiro_operator.core.snapshot import Sample, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Status, Verdict, unknown
from kiro_operator.reconcile.observe import began_failing, with_samples
from kiro_operator.reconcile.target import Enabled, Target

NEVER: Sample[Any] = Sample(0, datetime.fromtimestamp(0, UTC), None)
FRESH = 1.5
"""Intervals for which a sample counts as fresh enough to act on."""
_TURN = timedelta(seconds=1)

_FIELDS = {
    Source.PODS: "pods",
    Source.DEPLOYMENTS: "deployments",
    Source.STATEFUL_SETS: "stateful_sets",
    Source.DAEMON_SETS: "daemon_sets",
    Source.REPLICA_SETS: "replica_sets",
    Source.SERVICES: "services",
    Source.ENDPOINT_SLICES: "endpoint_slices",
    Source.AUTOSCALERS: "autoscalers",
    Source.REMEDIATIONS: "remediations",
}

logger = logging.getLogger(__name__)


class Judgement(Struct, frozen=True):
    """All verdicts on one target at one instant."""

    judged: tuple[Judged, ...]
    actionable: frozenset[str]
    """Ids of the checks whose Fail rests on fresh facts."""
    next_check: datetime | None
    """When the same facts could be judged differently."""


def judge(target: Target, snapshot: Snapshot, now: datetime) -> Judgement:
    """Judge a target; what it remembers of each check moves on."""
    judged: list[Judged] = []
    actionable: set[str] = set()
    next_check: datetime | None = None
    began: list[str] = []
    blind = frozenset(
        source for source, field in _FIELDS.items() if isinstance(getattr(snapshot, field), Unobserved)
    )
    for check_id, enabled in target.checks.items():
        raw = target.raw.get(check_id)
        if raw is None or _to_be_judged(raw, enabled, target, blind, now):
            raw = target.raw[check_id] = _run(check_id, enabled, target, snapshot, now)
        number = _oldest(target, enabled).number if enabled.check.polled else None
        before = target.tracks.get(check_id)
        target.tracks[check_id], settled = settle(before, raw, enabled.rule, now, number)
        if settled.verdict.status is Status.FAIL and not _fails(before):
            began.append(check_id)
        judged.append(Judged(enabled.registered, settled.verdict, settled.since))
        if _may_act(check_id, settled, target, enabled, now):
            actionable.add(check_id)
        next_check = earliest(next_check, settled.next_check)
    target.dirty.clear()
    for check_id in began:
        # What judges the verdicts of the others is not counted itself, or it would keep itself up.
        if Source.VERDICTS not in target.checks[check_id].check.sources:
            target.began_to_fail(check_id, now)
    if target.dirty:
        # What judges the verdicts of the others may stand before them: it has its turn right after.
        next_check = earliest(next_check, now + _TURN)
    return Judgement(tuple(judged), frozenset(actionable), next_check)


def _fails(track: Track | None) -> bool:
    """Whether a check fails, seen or not: one that cannot be seen in between has not ended."""
    return track is not None and track.held is not None and track.held.status is Status.FAIL


def _to_be_judged(
    raw: Verdict, enabled: Enabled, target: Target, blind: frozenset[Source], now: datetime
) -> bool:
    """Whether the facts behind a verdict have changed, or time has come to look again."""
    sources = enabled.check.reads
    return (
        not target.dirty.isdisjoint(sources)
        or raw.status is Status.UNKNOWN
        or not blind.isdisjoint(sources)
        or (raw.next_check is not None and raw.next_check <= now)
        or enabled.check.only_while_failing
    )


def _run(check_id: str, enabled: Enabled, target: Target, snapshot: Snapshot, now: datetime) -> Verdict:
    facts = with_samples(snapshot, target, check_id)
    if enabled.check.only_while_failing:
        facts = replace(facts, began_failing=began_failing(target, but=frozenset({check_id})))
    try:
        return enabled.check.judge(facts, enabled.parameters, now)
    except Exception:
        # A fault of one check is that check's Unknown, told in the log; the others go on.
        logger.exception(
            "check %s broke", check_id, extra={"namespace": target.namespace, "healthCheck": target.name}
        )
        return unknown(Unobserved("InternalError", "the check broke; the operator's log has the details"))


def _may_act(check_id: str, settled: Settled, target: Target, enabled: Enabled, now: datetime) -> bool:
    """Whether a Fail may be acted on: by what was seen just now, or by a sample that is still fresh."""
    if settled.verdict.status is not Status.FAIL:
        target.confirmed.pop(check_id, None)
        return False
    sample = _oldest(target, enabled)
    if settled.actionable:
        target.confirmed[check_id] = sample.number
        return True
    if not sample.number or target.confirmed.get(check_id) != sample.number:
        return False
    return abs(now - sample.time) <= FRESH * enabled.interval


def _oldest(target: Target, enabled: Enabled) -> Sample[Any]:
    """The sample that a check's verdict is as old as: of all that it reads, the one furthest behind."""
    read = [target.samples.get((source.name, enabled.seconds), NEVER) for source in enabled.polled]
    return min(read, key=lambda sample: sample.number, default=NEVER)
