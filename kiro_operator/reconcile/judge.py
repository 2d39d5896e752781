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
    settled: dict[str, Settled] = {}
    blind = frozenset(
        source for source, field in _FIELDS.items() if isinstance(getattr(snapshot, field), Unobserved)
    )
    for about_others in (False, True):
        if about_others:
            # These come last, and so are told of what this very judgement finds to fail.
            _tell(target)
        for check_id, enabled in target.checks.items():
            if enabled.check.about_others is not about_others:
                continue
            raw = target.raw.get(check_id)
            if raw is None or _to_be_judged(raw, enabled, target, blind, now):
                raw = target.raw[check_id] = _run(check_id, enabled, target, snapshot, now)
            number = _oldest(target, enabled).number if enabled.check.polled else None
            before = target.tracks.get(check_id)
            target.tracks[check_id], settled[check_id] = settle(before, raw, enabled.rule, now, number)
            if settled[check_id].verdict.status is Status.FAIL and not (about_others or _fails(before)):
                # What judges the verdicts of the others is not counted itself, or it would keep itself up.
                target.began_to_fail(check_id, now)
    target.dirty.clear()
    checks = target.checks.items()
    return Judgement(
        tuple(_judged(enabled, settled[check_id]) for check_id, enabled in checks),
        frozenset(
            check_id
            for check_id, enabled in checks
            if _may_act(check_id, settled[check_id], target, enabled, now)
        ),
        earliest(*(item.next_check for item in settled.values())),
    )


def _tell(target: Target) -> None:
    """Have the checks that relate to what fails judged anew, if that has changed."""
    failing = began_failing(target)
    if failing == target.failing:
        return
    target.failing = failing
    for check_id, enabled in target.checks.items():
        if enabled.check.relates:
            target.raw.pop(check_id, None)


def _judged(enabled: Enabled, settled: Settled) -> Judged:
    """What is reported, with how much earlier than it was seen a fault may have begun.

    That is since the look before. Where only the report is known, it had been seen as often as it takes.
    """
    looks = 1 if settled.began else enabled.rule.failure_threshold
    within = looks * enabled.interval if enabled.check.polled else timedelta(0)
    return Judged(enabled.registered, settled.verdict, settled.since, settled.began, within)


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
    )


def _run(check_id: str, enabled: Enabled, target: Target, snapshot: Snapshot, now: datetime) -> Verdict:
    facts = with_samples(snapshot, target, check_id)
    if enabled.check.about_others:
        facts = replace(facts, began_failing=target.failing, own=target.own)
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
