"""Judge: run the checks whose facts have changed, and settle each verdict."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.core.conditions import Judged
from kiro_operator.core.findings import earliest
from kiro_operator.core.flap import Settled, settle
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


def judge(target: Target, snapshot: Snapshot, now: datetime) -> Judgement:
    """Judge a target; what it remembers of each check moves on."""
    judged: dict[str, Judged] = {}
    anew: set[str] = set()
    actionable: set[str] = set()
    next_check: datetime | None = None
    blind = frozenset(
        source for source, field in _FIELDS.items() if isinstance(getattr(snapshot, field), Unobserved)
    )
    others = frozenset(name for item in target.checks.values() for name in item.check.weighs)
    for check_id, enabled in _in_turn(target.checks):
        raw = target.raw.get(check_id)
        if (
            raw is None
            or not anew.isdisjoint(enabled.check.weighs)
            or _to_be_judged(raw, enabled, target, blind, now)
        ):
            facts = _with_weighed(snapshot, enabled, judged, now)
            raw = target.raw[check_id] = _run(check_id, enabled, target, facts, now)
            anew.add(check_id)
        number = _number(target, enabled)
        target.tracks[check_id], settled = settle(target.tracks.get(check_id), raw, enabled.rule, now, number)
        standing: Since = {}
        if check_id in others:
            standing = stood(target.standing.get(check_id, {}), settled.verdict, now)
            target.standing[check_id] = standing
        judged[check_id] = Judged(enabled.registered, settled.verdict, settled.since, standing)
        if _may_act(check_id, settled, target, enabled, now):
            actionable.add(check_id)
        next_check = earliest(next_check, settled.next_check)
    target.dirty.clear()
    # Told in the order of the registry, in whichever they were judged.
    told = tuple(judged[check_id] for check_id in target.checks)
    return Judgement(told, frozenset(actionable), next_check)


def _in_turn(checks: Mapping[str, Enabled]) -> list[tuple[str, Enabled]]:
    """The checks, those that weigh others behind these."""
    return sorted(checks.items(), key=lambda item: bool(item[1].check.weighs))


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


def _number(target: Target, enabled: Enabled) -> int | None:
    """Number of the sample on which a check is judged: none yet, before what it weighs has been sampled."""
    if not enabled.check.polled:
        return None
    others = (target.checks[name] for name in enabled.check.weighs if name in target.checks)
    if any(other.polled and not _oldest(target, other).number for other in others):
        return 0
    return _oldest(target, enabled).number


def _oldest(target: Target, enabled: Enabled) -> Sample[Any]:
    """The sample that a check's verdict is as old as: of all that it reads, the one furthest behind."""
    read = [target.samples.get((source.name, enabled.seconds), NEVER) for source in enabled.polled]
    return min(read, key=lambda sample: sample.number, default=NEVER)
