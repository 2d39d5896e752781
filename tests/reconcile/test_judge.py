"""Judging: which checks are told of what else fails, when they are judged anew, and what may be borrowed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kiro_operator.core.checks import Check, Parameters, Registered, registry
from kiro_operator.core.evidence.logs import POD_LOGS
from kiro_operator.core.evidence.steering import STEERING
from kiro_operator.core.flap import FlapRule, seeded
from kiro_operator.core.snapshot import Polled, Ref, Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown
from kiro_operator.reconcile.judge import Judgement, judge
from kiro_operator.reconcile.observe import began_failing, with_samples
from kiro_operator.reconcile.target import Enabled, Target
from tests.adapters.helpers import facts

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
METER: Polled[int] = Polled("meter", int)
EVERY = timedelta(minutes=5)


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


class Scene:
    """A target with a check that fails above 5, and one that relates what it reads to that."""

    def __init__(self) -> None:
        self.told: list[dict[str, datetime]] = []
        self.target = Target(("kiro-system", "kiro"))
        # It comes first in the registry's order, as steering-changes does before service-logs.
        self.enable("a-relating", self._relate, relates=True)
        self.enable("b-metered", self._meter, METER)

    def enable(self, name: str, judged: Any, *sources: Polled[int], **more: Any) -> None:
        check = Check(title=name, section="s", command="c", sources=sources, judge=judged, **more)
        registered = Registered(name, "responsiveness", "Responsive", check)
        self.target.checks[name] = Enabled(registered, Parameters(), FlapRule(), EVERY, sources)

    def _relate(self, snapshot: Snapshot, _: Parameters, __: datetime) -> Verdict:
        self.told.append(dict(snapshot.began_failing))
        if not snapshot.began_failing:
            return passed("nothing fails")
        return Verdict(Status.FAIL, "Related", f"before {', '.join(snapshot.began_failing)} began to fail")

    @staticmethod
    def _meter(snapshot: Snapshot, _: Parameters, __: datetime) -> Verdict:
        value = snapshot.value(METER)
        assert not isinstance(value, Unobserved)
        return Verdict(Status.FAIL, "High", f"{value}") if value > 5 else passed("low")

    def sample(self, value: int, minutes: float) -> Judgement:
        former = self.target.samples.get((METER.name, EVERY.total_seconds()))
        sample = Sample(former.number + 1 if former else 1, at(minutes), value)
        self.target.samples[METER.name, EVERY.total_seconds()] = sample
        self.target.dirty.add(METER.name)
        return self.judge(minutes)

    def judge(self, minutes: float) -> Judgement:
        return judge(self.target, facts("kiro-system"), at(minutes))


def said(judgement: Judgement) -> dict[str, str]:
    return {item.registered.id: item.verdict.status.value for item in judgement.judged}


def test_a_relating_check_is_told_of_what_the_same_judgement_finds_to_fail() -> None:
    scene = Scene()
    seen = [scene.sample(9, minutes) for minutes in (0, 5, 10)]
    assert [said(one)["a-relating"] for one in seen] == ["Pass", "Pass", "Fail"]
    assert list(said(seen[-1])) == ["a-relating", "b-metered"], "the order of the registry stays"
    assert scene.told == [{}, {"b-metered": at(0)}]


def test_it_is_judged_anew_only_when_what_fails_has_changed() -> None:
    scene = Scene()
    for minutes in (0, 5, 10, 15, 20):
        scene.sample(9, minutes)
        scene.judge(minutes + 1)
    assert len(scene.told) == 2
    first, second = scene.judge(21), scene.judge(22)
    assert first == second
    scene.sample(1, 25)
    assert said(scene.sample(1, 30)) == {"a-relating": "Pass", "b-metered": "Pass"}
    assert scene.told[2:] == [{}]


def test_a_check_that_only_relates_is_no_failure_to_relate_to() -> None:
    scene = Scene()
    for minutes in (0, 5, 10):
        scene.sample(9, minutes)
    assert said(scene.judge(11))["a-relating"] == "Fail"
    assert began_failing(scene.target) == {"b-metered": at(0)}


def test_how_much_earlier_a_fault_may_have_begun() -> None:
    scene = Scene()
    for minutes in (0, 5):
        scene.sample(9, minutes)
    relating, metered = scene.sample(9, 10).judged
    assert (metered.began, metered.since, metered.within) == (at(0), at(10), EVERY)
    assert (relating.began, relating.within) == (at(10), timedelta(0)), "watched facts are dated"


@pytest.mark.parametrize(("told", "within"), [(at(-30), EVERY), (None, 3 * EVERY)])
def test_after_a_restart_it_is_as_sure_as_what_the_status_tells(
    told: datetime | None, within: timedelta
) -> None:
    scene = Scene()
    scene.target.tracks["b-metered"] = seeded(Status.FAIL, "High", at(-20), "9", told, polled=True)
    _, metered = scene.sample(9, 0).judged
    assert (metered.first_seen, metered.within) == (told or at(-20), within)
    assert scene.told == [{"b-metered": told or at(-20)}]


def taken(*checks: dict[str, Any], **spec: Any) -> Target:
    """A target of that spec, with these checks in its status."""
    target = Target(("kiro-system", "kiro"))
    metadata = {
        "uid": "u",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-03-02T11:00:00Z",
    }
    target.take({"metadata": metadata, "spec": spec, "status": {"checks": list(checks)}})
    assert target.problem is None
    return target


STEERED = {"configMaps": ["kiro-steering"]}
READ_LOGS = sorted(item.id for item in registry().values() if POD_LOGS in item.check.sources)


def test_records_are_borrowed_from_whoever_has_logs_read() -> None:
    target = taken(steering=STEERED)
    borrower = target.checks["steering-changes"]
    assert (borrower.polled, borrower.borrowed) == ((STEERING,), (POD_LOGS,))
    rounds = [seconds for seconds in target.intervals if POD_LOGS in target.sources(seconds, ())]
    assert len(rounds) == 1, "logs are read once"
    assert POD_LOGS.name not in with_samples(facts("kiro-system"), target, "steering-changes").samples
    for number, seconds in enumerate((60.0, 20.0)):
        target.samples[POD_LOGS.name, seconds] = Sample(7 - number, at(number), ())
    seen = with_samples(facts("kiro-system"), target, "steering-changes").sample(POD_LOGS)
    assert seen is not None
    assert seen.time == at(1), "the last one, at whatever interval"


def test_and_are_read_for_it_where_nobody_else_does() -> None:
    off = [{"id": name, "enabled": False} for name in READ_LOGS if name != "steering-changes"]
    target = taken(steering=STEERED, checks=off)
    borrower = target.checks["steering-changes"]
    assert (borrower.polled, borrower.borrowed) == ((STEERING, POD_LOGS), ())


def test_when_it_began_survives_a_restart() -> None:
    verdict = {"id": "cpu-usage", "status": "Fail", "reason": "CpuHigh", "message": "Node a is busy"}
    times = {"since": "2026-03-02T11:50:00Z", "began": "2026-03-02T11:30:00Z"}
    assert began_failing(taken(verdict | times)) == {"cpu-usage": at(-30)}


def test_a_finding_that_is_dated_needs_no_further_sample() -> None:
    """As those of steering-changes are: what it relates to is known between two of its own samples."""
    scene = Scene()
    dated = Verdict(
        Status.FAIL, "Related", "m", (Finding(Ref("Thing", "a"), "Related", "m", at(-60), at_once=True),)
    )
    scene.enable(
        "c-polled", lambda seen, *_: dated if seen.began_failing else passed("m"), METER, relates=True
    )
    seen = [said(scene.sample(9, minutes))["c-polled"] for minutes in (0, 5)]
    scene.target.tracks["b-metered"] = seeded(Status.FAIL, "High", at(1), polled=True)
    assert [*seen, said(scene.judge(6))["c-polled"]] == ["Pass", "Pass", "Fail"]


def test_a_fail_that_is_merely_held_is_not_acted_on() -> None:
    """As when a rollout of what fails begins between two samples."""
    scene = Scene()
    seen = [scene.sample(9, minutes) for minutes in (0, 5, 10)]
    assert ["b-metered" in one.actionable for one in seen] == [False, False, True]
    assert "b-metered" in scene.judge(11).actionable
    scene.target.raw["b-metered"] = Verdict(Status.WARN, "RolloutInProgress", "m")
    held = scene.judge(12)
    assert said(held)["b-metered"] == "Fail"
    assert "b-metered" not in held.actionable


def section(name: str) -> Polled[int]:
    return Polled(name, int, section="prometheus")


def told(target: Target, raw: Verdict, minutes: float) -> Verdict:
    """What is told of a check that has polled sources, none of which is configured."""
    check = Check(title="t", section="s", command="c", sources=(section("metrics"),), judge=lambda *_: raw)
    registered = Registered("response-time", "performance", "PerformanceAdequate", check)
    target.checks = {"response-time": Enabled(registered, Parameters(), FlapRule(), EVERY, ())}
    target.raw.clear()
    [judged] = judge(target, facts("kiro-system"), at(minutes)).judged
    return judged.verdict


FAILS = Verdict(Status.FAIL, "Bad", "by what is watched")


def test_without_what_it_samples_a_check_goes_by_what_is_watched() -> None:
    target = Target(("kiro-system", "kiro"))
    assert told(target, FAILS, 0).status is Status.FAIL
    assert told(target, passed("well"), 1).status is Status.PASS


def test_what_an_earlier_process_saw_to_be_well_is_told_and_is_no_look() -> None:
    def metered(snapshot: Snapshot, _: Parameters, __: datetime) -> Verdict:
        value = snapshot.value(METER)
        return unknown(value) if isinstance(value, Unobserved) else passed("low")

    scene = Scene()
    scene.enable("b-metered", metered, METER)
    scene.target.tracks["b-metered"] = seeded(Status.PASS, "AsExpected", at(-30), "low", polled=True)

    def looks(judgement: Judgement) -> tuple[str, bool]:
        return said(judgement)["b-metered"], "b-metered" in judgement.blind

    assert looks(scene.judge(0)) == ("Pass", True)
    assert looks(scene.sample(1, 1)) == ("Pass", False)
    scene.target.raw["b-metered"] = unknown(Unobserved("Timeout", "no answer"))
    assert looks(scene.judge(2)) == ("Pass", True), "what was seen before goes on to be told"


def test_a_fail_of_what_is_sampled_no_more_ends_after_a_restart() -> None:
    target = Target(("kiro-system", "kiro"))
    target.tracks["response-time"] = seeded(Status.FAIL, "Slow", at(-30), "too slow", polled=True)
    skipped = Verdict(Status.SKIPPED, "NotConfigured", "spec.prometheus is not set")
    assert told(target, skipped, 0).status is Status.SKIPPED


def test_what_nobody_weighs_is_not_told_to_stand() -> None:
    since = {("Deployment", "big"): at(-60)}
    target = Target(("kiro-system", "kiro"))
    target.standing = {"over-provisioned": since, "unused-resources": since}
    metadata = {
        "uid": "u",
        "generation": 2,
        "resourceVersion": "2",
        "creationTimestamp": "2026-03-01T00:00:00Z",
    }
    target.uid = "u"
    off = [{"id": "missed-opportunities", "enabled": False}]
    target.take({"metadata": metadata, "spec": {"checks": off}})
    assert target.standing == {}
