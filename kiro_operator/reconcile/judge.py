"""Judge: run the checks whose facts have changed, and settle each verdict."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.core.conditions import Judged
from kiro_operator.core.findings import earliest
from kiro_operator.core.flap import Settled, Track, settle
from kiro_operator.core.snapshot import Sample, Snapshot, Source, Unobserved
from kiro_operator.core.standing import Since, stood, weighed
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
    blind: frozenset[str] = frozenset()
    """Ids of the checks that see nothing now, though what they saw before may go on to be told."""


def judge(target: Target, snapshot: Snapshot, now: datetime) -> Judgement:
    """Judge a target; what it remembers of each check moves on."""
    judged: dict[str, Judged] = {}
    settled: dict[str, Settled] = {}
    anew: set[str] = set()
    blind = frozenset(
        source for source, field in _FIELDS.items() if isinstance(getattr(snapshot, field), Unobserved)
    )
    # What could not be seen is looked at again while that lasts, and once when it is over.
    unsure, target.blind = blind | target.blind, blind
    weighed_ids = frozenset(name for item in target.checks.values() for name in item.check.weighs)
    for check_id, enabled in _in_turn(target.checks):
        check = enabled.check
        if check.relates:
            # These come last, and so are told of what this very judgement finds to fail.
            _tell(target)
        raw = target.raw.get(check_id)
        if (
            raw is None
            or not anew.isdisjoint(check.weighs)
            or _to_be_judged(raw, enabled, target, unsure, now)
        ):
            facts = _with_weighed(snapshot, enabled, judged, now)
            raw = target.raw[check_id] = _run(check_id, enabled, target, facts, now)
            anew.add(check_id)
        before = target.tracks.get(check_id)
        target.tracks[check_id], now_settled = settle(
            before, raw, enabled.rule, now, _number(target, enabled), had=_had(target, enabled)
        )
        settled[check_id] = now_settled
        if now_settled.verdict.status is Status.FAIL and not (check.about_others or _fails(before)):
            # What judges the verdicts of the others is not counted itself, or it would keep itself up.
            target.began_to_fail(check_id, now)
        standing: Since = {}
        if check_id in weighed_ids:
            standing = stood(target.standing.get(check_id, {}), now_settled.verdict, now)
            target.standing[check_id] = standing
        judged[check_id] = _judged(enabled, now_settled, standing)
    target.dirty.clear()
    checks = target.checks.items()
    return Judgement(
        # Told in the order of the registry, in whichever they were judged.
        tuple(judged[check_id] for check_id in target.checks),
        frozenset(
            check_id
            for check_id, enabled in checks
            if _may_act(check_id, settled[check_id], target, enabled, now)
        ),
        earliest(*(item.next_check for item in settled.values())),
        frozenset(check_id for check_id in target.checks if target.raw[check_id].status is Status.UNKNOWN),
    )


def _in_turn(checks: Mapping[str, Enabled]) -> list[tuple[str, Enabled]]:
    """The checks, behind these those that judge what others say, and last those that relate to what fails."""
    return sorted(checks.items(), key=lambda item: (item[1].check.about_others, item[1].check.relates))


def _tell(target: Target) -> None:
    """Have the checks that relate to what fails judged anew, if that has changed."""
    failing = began_failing(target)
    if failing == target.failing:
        return
    target.failing = failing
    for check_id, enabled in target.checks.items():
        if enabled.check.relates:
            target.raw.pop(check_id, None)


def _with_weighed(
    snapshot: Snapshot, enabled: Enabled, judged: Mapping[str, Judged], now: datetime
) -> Snapshot:
    """The facts with what the checks have found that this one weighs; a disabled one has found nothing."""
    if not enabled.check.weighs:
        return snapshot
    others = {name: judged[name] for name in enabled.check.weighs if name in judged}
    return replace(
        snapshot, weighed={name: weighed(one.verdict, one.standing, now) for name, one in others.items()}
    )


def _judged(enabled: Enabled, settled: Settled, standing: Since) -> Judged:
    """What is reported, with how much earlier than it was seen a fault may have begun.

    That is since the look before. Where only the report is known, it had been seen as often as it takes.
    """
    looks = 1 if settled.began else enabled.rule.failure_threshold
    within = looks * enabled.interval if enabled.check.polled else timedelta(0)
    return Judged(
        enabled.registered,
        settled.verdict,
        settled.since,
        settled.began,
        within,
        standing,
        enabled.parameters,
    )


def _fails(track: Track | None) -> bool:
    """Whether a check fails, seen or not: one that cannot be seen in between has not ended."""
    return track is not None and track.held is not None and track.held.status is Status.FAIL


def _to_be_judged(
    raw: Verdict, enabled: Enabled, target: Target, unsure: frozenset[Source], now: datetime
) -> bool:
    """Whether the facts behind a verdict have changed, or time has come to look again."""
    sources = enabled.check.reads
    return (
        not target.dirty.isdisjoint(sources)
        or not unsure.isdisjoint(sources)
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
    if target.raw[check_id].status is not Status.FAIL:
        return False  # it is merely held: by what is seen now it would not fail
    sample = _oldest(target, enabled)
    if settled.actionable:
        target.confirmed[check_id] = sample.number
        return True
    if not sample.number or target.confirmed.get(check_id) != sample.number:
        return False
    return abs(now - sample.time) <= FRESH * enabled.interval


def _number(target: Target, enabled: Enabled) -> int | None:
    """Number of the sample on which a check is judged: none yet, before what it weighs has been sampled."""
    if not (enabled.polled or enabled.borrowed):
        # None of what it could sample is configured: what is watched is all that it goes by.
        return None
    others = (target.checks[name] for name in enabled.check.weighs if name in target.checks)
    if any(other.polled and not _oldest(target, other).number for other in others):
        return 0
    return _oldest(target, enabled).number


def _had(target: Target, enabled: Enabled) -> bool:
    """Whether all that a check samples has been had, the last time."""
    read = (target.samples.get((source.name, enabled.seconds), NEVER) for source in enabled.polled)
    return all(sample.number and not isinstance(sample.value, Unobserved) for sample in read)


def _oldest(target: Target, enabled: Enabled) -> Sample[Any]:
    """The sample that a check's verdict is as old as: of all that it reads, the one furthest behind."""
    read = [target.samples.get((source.name, enabled.seconds), NEVER) for source in enabled.polled]
    return min(read, key=lambda sample: sample.number, default=NEVER)


def sampled_at(target: Target, check_id: str, now: datetime) -> datetime:
    """When what a check is judged on was sampled; now for what is watched."""
    enabled = target.checks.get(check_id)
    return _oldest(target, enabled).time if enabled is not None and enabled.polled else now
