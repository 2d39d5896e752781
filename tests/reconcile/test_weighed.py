"""What one check finds is weighed by another, also across a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kiro_operator.api.v1alpha1.conditions import ConditionType
from kiro_operator.core.checks import Check, Parameters, Registered, registry
from kiro_operator.core.conditions import Outcome, Permission, summarize
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS, Optimizations
from kiro_operator.core.findings import found
from kiro_operator.core.flap import FlapRule
from kiro_operator.core.snapshot import Polled, Ref, Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, unknown
from kiro_operator.reconcile.judge import Judgement, judge
from kiro_operator.reconcile.target import Enabled, Target
from tests.adapters.helpers import facts

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
USE: Polled[tuple[str, ...]] = Polled("use", tuple[str, ...])
"""The workloads that are over-provisioned, in place of days of Prometheus."""


def oversized(snapshot: Snapshot, _: Parameters, now: datetime) -> Verdict:
    names = snapshot.value(USE)
    if isinstance(names, Unobserved):
        return unknown(names)
    at = snapshot.sampled_at(USE, now)
    waste = [Finding(Ref("Deployment", name), "OverProvisioned", f"{name} wastes", at) for name in names]
    return found(waste) if waste else passed("none")


class Engine:
    """A KiroHealthCheck as one process holds it; ``restarted`` is the next process."""

    def __init__(self, status: dict[str, Any] | None = None) -> None:
        self.target = Target(("kiro-system", "kiro"))
        metadata = {
            "namespace": "kiro-system",
            "name": "kiro",
            "uid": "u",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": "2026-03-01T12:00:00Z",
        }
        self.target.take({"metadata": metadata, "spec": {}, "status": status or {}})
        once = FlapRule(failure_threshold=1, success_threshold=1)
        check = Check(title="t", section="s", command="c", sources=(USE,), judge=oversized)
        fake = Registered("over-provisioned", "cost-efficiency", ConditionType.COST_EFFICIENT, check)
        missed = self.target.checks["missed-opportunities"]
        # In the order of the registry, in which what weighs comes before what it weighs.
        self.target.checks = {
            "missed-opportunities": missed,
            "over-provisioned": Enabled(fake, Parameters(), once, missed.interval, (USE,)),
        }
        self._numbers = {USE.name: 0, OPTIMIZATIONS.name: 0}

    def sample(self, source: Polled[Any], value: Any, now: datetime) -> None:
        self._numbers[source.name] += 1
        seconds = self.target.checks["missed-opportunities"].seconds
        self.target.samples[source.name, seconds] = Sample(self._numbers[source.name], now, value)
        self.target.dirty.add(source.name)

    def judge(self, now: datetime) -> Judgement:
        judgement = judge(self.target, facts("kiro-system"), now)
        allowed = Permission(allowed=False, reason="NoPolicy", message="none")
        outcome = Outcome(
            generation=1, namespace="kiro-system", now=now, judged=judgement.judged, permission=allowed
        )
        self.target.status = summarize(outcome, self.target.status)
        return judgement

    def told(self, now: datetime, *wasted: str) -> tuple[str, str]:
        """Status and reason of missed-opportunities once both have been sampled."""
        self.sample(OPTIMIZATIONS, Optimizations(()), now)
        self.sample(USE, wasted, now)
        return shown(self.judge(now))

    def restarted(self) -> Engine:
        return Engine(self.target.status.model_dump(mode="json", by_alias=True, exclude_none=True))


def shown(judgement: Judgement) -> tuple[str, str]:
    [missed] = [item for item in judgement.judged if item.registered.id == "missed-opportunities"]
    return missed.verdict.status.value, missed.verdict.reason


def test_waste_is_missed_once_it_has_stood_for_days() -> None:
    engine = Engine()
    assert engine.told(START, "web") == ("Pass", "AsExpected")
    assert engine.told(START + 5 * DAY, "new", "web") == ("Pass", "AsExpected")
    # At the very moment, by what both have seen in this judgement.
    assert engine.judge(START + 5 * DAY).next_check == START + 7 * DAY
    assert engine.told(START + 7 * DAY, "new", "web") == ("Fail", "WasteLeftAlone")
    assert engine.told(START + 8 * DAY, "new") == ("Pass", "AsExpected")
    assert engine.told(START + 9 * DAY, "new", "web") == ("Pass", "AsExpected")


def test_what_has_stood_before_a_restart_counts_after_it() -> None:
    engine = Engine()
    engine.told(START, "web")
    found_ = engine.target.status.checks[-1]
    assert [(item.name, item.since) for item in found_.objects] == [("web", START)]
    engine = engine.restarted()
    # Not before it is seen to be there still.
    engine.sample(OPTIMIZATIONS, Optimizations(()), START + 7 * DAY)
    assert shown(engine.judge(START + 7 * DAY)) == ("Pass", "AsExpected")
    # A process that ends before it has looked again loses nothing.
    engine = engine.restarted()
    assert engine.told(START + 7 * DAY, "web") == ("Fail", "WasteLeftAlone")


def test_a_restart_takes_back_no_fail_before_it_has_looked() -> None:
    engine = Engine()
    engine.told(START, "web")
    assert engine.told(START + 7 * DAY, "web") == ("Fail", "WasteLeftAlone")
    engine = engine.restarted()
    for hour in range(2):
        engine.sample(OPTIMIZATIONS, Optimizations(()), START + 7 * DAY + timedelta(hours=hour))
        assert shown(engine.judge(START + 7 * DAY + timedelta(hours=hour))) == ("Fail", "WasteLeftAlone")
    assert engine.told(START + 8 * DAY) == ("Pass", "AsExpected")


def test_the_verdicts_are_told_in_the_order_of_the_registry() -> None:
    engine = Engine()
    engine.told(START, "web")
    order = [item.id for item in engine.target.status.checks]
    assert order == sorted(order, key=list(registry()).index)
