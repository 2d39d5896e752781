"""Sampling: once a round for all checks that read a source, and no source waits for another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator import ports
from kiro_operator.adapters import places
from kiro_operator.adapters.clock import SystemClock
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.api.v1alpha1.conditions import ConditionType
from kiro_operator.core.checks import Check, Parameters, Registered
from kiro_operator.core.flap import FlapRule, Track
from kiro_operator.core.snapshot import Polled, Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Status, Verdict, passed, unknown
from kiro_operator.reconcile import observe
from kiro_operator.reconcile.judge import Judgement, judge
from kiro_operator.reconcile.observe import Observation, with_samples
from kiro_operator.reconcile.target import Enabled, Target

FIRST: Polled[int] = Polled("first", int, timeout=0.2)
SECOND: Polled[int] = Polled("second", int, timeout=0.2)
ABSENT: Polled[int] = Polled("absent", int, section="prometheus")
MINUTE = timedelta(minutes=1)


class Blind:
    """Watches that see nothing: these tests are about what is sampled."""

    def unobserved(self, name: str, namespace: str) -> Unobserved:
        return Unobserved("NotSynced", f"{name} in {namespace}")

    kinds: dict[str, Any] = {}  # noqa: RUF012 - never filled


class Source:
    """An observer whose answers the test decides."""

    rules = ()

    def __init__(self, source: Polled[int], answer: Callable[[], Any]) -> None:
        self.source = source
        self.requests: list[ports.PollRequest] = []
        self._answer = answer

    async def observe(self, request: ports.PollRequest) -> Any:
        self.requests.append(request)
        answer = self._answer()
        return await answer if asyncio.iscoroutine(answer) else answer


def enabled(
    name: str,
    *sources: Polled[int],
    interval: timedelta = MINUTE,
    beside: tuple[Polled[int], ...] = (),
) -> Enabled:
    def verdict(snapshot: Snapshot, _: Parameters, __: datetime) -> Verdict:
        for source in sources:
            value = snapshot.value(source)
            if isinstance(value, Unobserved):
                return unknown(value)
        return passed("all is well")

    check = Check(title=name, section="s", command="c", sources=sources, beside=beside, judge=verdict)
    registered = Registered(name, "responsiveness", ConditionType.RESPONSIVE, check)
    configured = tuple(source for source in sources if not source.section)
    return Enabled(registered, Parameters(), FlapRule(success_threshold=1), interval, configured)


def target(*checks: Enabled) -> Target:
    made = Target(("kiro-system", "kiro"))
    made.uid = "u"
    made.checks = {item.registered.id: item for item in checks}
    made.intervals = frozenset(item.seconds for item in checks if item.polled)
    return made


class Run:
    """An Observation and the samples that it reports, each with whether more of its target are awaited."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self.samples: asyncio.Queue[Target] = asyncio.Queue()
        self.more: list[bool] = []
        self.observation = Observation(
            Blind(),  # type: ignore[arg-type]
            sources,
            SystemClock(),
            Metrics(),
            policies=lambda _: {},
            marks=lambda _: {},
            sampled=self._sampled,
        )

    def _sampled(self, made: Target, more: bool) -> None:  # noqa: FBT001 - as the engine is told
        self.more.append(more)
        self.samples.put_nowait(made)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await self.samples.get()

    def judge(self, made: Target) -> Judgement:
        return judge(made, self.observation.snapshot(made, {}), datetime.now(UTC))


async def never() -> int:
    await asyncio.Event().wait()
    return 0


async def test_one_sample_serves_all_checks_of_a_round() -> None:
    source = Source(FIRST, lambda: 7)
    run, made = Run([source]), target(enabled("a", FIRST), enabled("b", FIRST))
    run.observation.schedule(made)
    await run.until(lambda: bool(made.samples))
    await run.observation.stop()
    [request] = source.requests
    assert [ask.id for ask in request.asks] == ["a", "b"]
    facts = run.observation.snapshot(made, {})
    for name in "ab":
        value = with_samples(facts, made, name).value(FIRST)
        assert value == 7


async def test_each_interval_has_its_own_samples() -> None:
    source = Source(FIRST, lambda: 7)
    made = target(enabled("a", FIRST), enabled("b", FIRST, interval=timedelta(hours=1)))
    run = Run([source])
    run.observation.schedule(made)
    await run.until(lambda: len(made.samples) == 2)
    await run.observation.stop()
    asked = sorted((request.interval, request.asks[0].id) for request in source.requests)
    assert asked == [(MINUTE, "a"), (timedelta(hours=1), "b")]
    assert len({request.asker for request in source.requests}) == 2


async def test_a_source_that_hangs_delays_no_other() -> None:
    hung, fast = Source(FIRST, never), Source(SECOND, lambda: 1)
    run, made = Run([hung, fast]), target(enabled("a", FIRST), enabled("b", SECOND))
    run.observation.schedule(made)
    await run.until(lambda: ("second", 60.0) in made.samples)
    assert ("first", 60.0) not in made.samples
    await run.until(lambda: ("first", 60.0) in made.samples)
    await run.observation.stop()
    value = made.samples["first", 60.0].value
    assert isinstance(value, Unobserved)
    assert value.reason == "Timeout"


async def test_many_that_hang_hold_up_only_their_own_source() -> None:
    hung, fast = Source(FIRST, never), Source(SECOND, lambda: 1)
    run = Run([hung, fast])
    many = [target(enabled("a", FIRST), enabled("b", SECOND)) for _ in range(3 * observe.QUICK)]
    for number, made in enumerate(many):
        made.key = ("kiro-system", f"kiro-{number}")
        run.observation.sample_now(made)
    await run.until(lambda: all(("second", 60.0) in made.samples for made in many))
    assert len(hung.requests) == observe.QUICK
    await run.observation.stop()


async def test_the_last_sample_of_a_target_is_told_from_those_before_it() -> None:
    gate = asyncio.Event()

    async def late() -> int:
        await gate.wait()
        return 3

    slow: Polled[int] = Polled("third", int)
    run = Run([Source(FIRST, lambda: 1), Source(slow, late)])
    made = target(enabled("a", FIRST), enabled("b", slow, interval=2 * MINUTE))
    run.observation.sample_now(made)
    await run.until(lambda: ("first", 60.0) in made.samples)
    assert run.more == [True], "the other one is at another interval, and not there yet"
    gate.set()
    await run.until(lambda: ("third", 120.0) in made.samples)
    assert run.more == [True, False]
    await run.observation.stop()


async def test_the_first_rounds_of_a_crowd_are_spread_over_a_minute() -> None:
    patient: Polled[int] = Polled("first", int)
    run = Run([Source(patient, lambda: 1)])
    at_once = int(observe.CROWD / observe.FIRST)
    many = [target(enabled("a", patient, interval=timedelta(hours=1))) for _ in range(5 * at_once)]
    for number, made in enumerate(many):
        made.key = ("kiro-system", f"kiro-{number}")
        run.observation.schedule(made)
    await run.until(lambda: all(made.samples for made in many[:at_once]))
    now = time.monotonic()
    turns = [run.observation.turns[made.key, 3600.0] - now for made in many[at_once:] if not made.samples]
    await run.observation.stop()
    assert len(turns) > 3 * at_once
    assert max(turns) <= observe.FIRST_TURN
    assert max(turns) - min(turns) > observe.FIRST_TURN / 2


async def test_those_that_hung_the_last_time_hold_up_no_other_of_their_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patient: Polled[int] = Polled("first", int)
    hanging, started = asyncio.Event(), asyncio.Semaphore(0)

    async def hang() -> int:
        started.release()
        return await never()

    run = Run([Source(patient, lambda: hang() if hanging.is_set() else 1)])
    many = [target(enabled("a", patient)) for _ in range(observe.QUICK)]
    monkeypatch.setattr(places, "SLOW", -1.0)  # however quick, it counts as slow
    for number, made in enumerate(many):
        made.key = ("kiro-system", f"hung-{number}")
        run.observation.schedule(made)
    await run.until(lambda: all(made.samples for made in many))
    hanging.set()
    for made in many:
        run.observation.sample_now(made)
    async with asyncio.timeout(5):
        for _ in many:
            await started.acquire()
    hanging.clear()
    well = target(enabled("a", patient))
    run.observation.schedule(well)
    await run.until(lambda: bool(well.samples))
    await run.observation.stop()
    assert {made.samples["first", 60.0].number for made in many} == {1}


async def test_a_source_that_is_not_configured_is_never_asked() -> None:
    source = Source(ABSENT, lambda: 1)
    run, made = Run([source]), target(enabled("a", ABSENT))
    run.observation.schedule(made)
    [verdict] = run.judge(made).judged
    assert (verdict.verdict.status, verdict.verdict.reason) == (Status.SKIPPED, "NotConfigured")
    assert "spec.prometheus" in verdict.verdict.message
    assert source.requests == []
    await run.observation.stop()


async def test_a_check_of_two_sources_counts_a_round_once_both_have_answered() -> None:
    released = asyncio.Event()

    async def late() -> int:
        await released.wait()
        return 2

    slow: Polled[int] = Polled("slow", int)
    run = Run([Source(FIRST, lambda: 1), Source(slow, late)])
    made = target(enabled("a", FIRST, slow))
    run.observation.schedule(made)
    await run.until(lambda: ("first", 60.0) in made.samples)
    [item] = run.judge(made).judged
    assert item.verdict.status is Status.UNKNOWN
    assert made.tracks["a"].sample == 0
    released.set()
    await run.until(lambda: ("slow", 60.0) in made.samples)
    [item] = run.judge(made).judged
    assert (item.verdict.status, made.tracks["a"].sample) == (Status.PASS, 1)
    await run.observation.stop()


async def test_what_another_check_has_sampled_is_looked_at_and_never_waited_for() -> None:
    slow = Source(SECOND, never)
    run = Run([Source(FIRST, lambda: 1), slow])
    made = target(enabled("a", FIRST, beside=(SECOND,)))
    run.observation.schedule(made)
    await run.until(lambda: bool(made.samples))
    assert slow.requests == [], "nothing is sampled for it"
    [item] = run.judge(made).judged
    assert (item.verdict.status, made.tracks["a"].sample) == (Status.PASS, 1)
    facts = run.observation.snapshot(made, {})
    before = with_samples(facts, made, "a").value(SECOND)
    assert isinstance(before, Unobserved)

    now = datetime.now(UTC)
    made.samples["second", 300.0] = Sample(4, now, 7)
    made.samples["second", 3600.0] = Sample(9, now - MINUTE, 8)
    made.dirty.add("second")
    run.judge(made)
    newest = with_samples(facts, made, "a").value(SECOND)
    assert newest == 7, "whichever round took it"
    assert made.tracks["a"].sample == 1, "it counts for no round"
    await run.observation.stop()


def test_what_is_looked_at_besides_has_a_check_judged_anew() -> None:
    seen: list[Any] = []

    def verdict(snapshot: Snapshot, _: Parameters, __: datetime) -> Verdict:
        seen.append(snapshot.value(SECOND))
        return passed("all is well")

    run, item = Run([]), enabled("a", ABSENT, beside=(SECOND,))
    check = replace(item.check, judge=verdict)
    made = target(replace(item, registered=Registered("a", "s", ConditionType.RESPONSIVE, check)))
    run.judge(made)
    made.samples["second", 300.0] = Sample(1, datetime.now(UTC), 7)
    run.judge(made)
    made.dirty.add("second")
    run.judge(made)
    assert len(seen) == 2
    assert seen[1] == 7


async def test_a_check_that_is_gone_ends_its_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "until_turn", lambda *_: 0.0)
    source = Source(FIRST, lambda: 7)
    run, made = Run([source]), target(enabled("a", FIRST))
    run.observation.schedule(made)
    await run.until(lambda: len(source.requests) > 1)
    made.checks, made.intervals = {}, frozenset()
    run.observation.forget(made.key)
    count = len(source.requests)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(source.requests) == count


def body(generation: int, **spec: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "kiro-system",
        "name": "kiro",
        "uid": "u",
        "generation": generation,
        "resourceVersion": str(generation),
        "creationTimestamp": "2026-03-01T12:00:00Z",
    }
    return {"metadata": metadata, "spec": spec}


def test_what_was_sampled_elsewhere_does_not_count() -> None:
    made = Target(("kiro-system", "kiro"))
    made.take(body(1, prometheus={"host": "one.example:9090"}))
    [interval] = {item.seconds for name, item in made.checks.items() if name == "autonomous-success-rate"}
    made.samples["prometheus", interval] = Sample(1, datetime.now(UTC), ())
    made.take(body(2, prometheus={"host": "one.example:9090"}, interval="1m"))
    assert made.samples
    made.take(body(3, prometheus={"host": "two.example:9090"}))
    assert not made.samples
    assert made.look_anew
    made.samples["prometheus", interval], made.look_anew = Sample(1, datetime.now(UTC), ()), False
    made.take(body(4, prometheus={"host": "two.example:9090"}, selector={"matchLabels": {"app": "kiro"}}))
    assert not made.samples, "it is about other pods now"
    assert made.look_anew


def test_what_was_bad_elsewhere_does_not_count() -> None:
    made = Target(("kiro-system", "kiro"))
    one = {"servers": [{"name": "m", "host": "one.example:80"}]}
    made.take(body(1, mcp=one))
    assert [made.look_anew] == [False], "rounds that begin together are spread"
    bad = Track(held=Verdict(Status.FAIL, "Down", "503"), poor=True, bad=3)
    made.tracks = {"mcp-server-health": bad, "service-logs": bad, "pods-ready": bad}
    made.take(body(2, mcp=one, interval="2m"))
    assert made.tracks["mcp-server-health"].bad == 3

    made.take(body(3, mcp={"servers": [{"name": "m", "host": "two.example:80"}]}, interval="2m"))
    moved = made.tracks["mcp-server-health"]
    assert (moved.bad, moved.poor, moved.held) == (0, False, bad.held)
    assert made.tracks["service-logs"].bad == 3, "its evidence is where it was"
    assert made.look_anew, "nothing has been sampled yet, and what is being asked is of the other server"

    made.take(body(4, mcp={"servers": [{"name": "m", "host": "two.example:80"}]}, selector={}))
    made.tracks["mcp-server-health"] = bad
    made.take(body(5, mcp={"servers": []}, selector={"matchLabels": {"app": "kiro"}}))
    assert (made.tracks["service-logs"].bad, made.tracks["service-logs"].poor) == (0, False)
    assert made.tracks["pods-ready"].poor, "what is watched has no streaks"


@pytest.mark.parametrize("answers_anyway", [False, True])
async def test_what_was_asked_for_another_spec_is_asked_anew(answers_anyway: bool) -> None:  # noqa: FBT001
    gate = asyncio.Event()
    made = target(enabled("a", Polled("first", int)))

    async def slow() -> int:
        if answers_anyway:
            made.let_go()
            return 1
        await gate.wait()
        return 1

    answers: list[Any] = [slow, lambda: 2]
    asked = asyncio.Event()

    def answer() -> Any:
        asked.set()
        return answers.pop(0)()

    source = Source(Polled("first", int), answer)
    run = Run([source])
    run.observation.sample_now(made)
    async with asyncio.timeout(5):
        await asked.wait()
    if not answers_anyway:
        made.let_go()
    run.observation.sample_now(made)
    await run.until(lambda: bool(made.samples))
    gate.set()
    await run.observation.stop()
    assert len(source.requests) == 2
    assert [sample.value for sample in made.samples.values()] == [2]


async def test_one_old_answer_counts_once_however_often_others_are_had() -> None:
    """Of two sources that a check reads, one was enabled later, and the other waits."""
    first: Polled[int] = Polled("first", int)
    second: Polled[int] = Polled("second", int)
    hang = False
    slow = Source(first, lambda: never() if hang else 1)
    run = Run([slow, Source(second, lambda: 1)])
    early, both = enabled("early", first), enabled("both", first, second)
    fails = replace(both.check, judge=lambda *_: Verdict(Status.FAIL, "Bad", "bad"))
    both = replace(both, registered=replace(both.registered, check=fails))
    made = target(early)

    async def sampled(*names: str) -> None:
        numbers = {name: made._number((name, 60.0)) for name in names}
        run.observation.sample_now(made)
        await run.until(lambda: all(made._number((name, 60.0)) > number for name, number in numbers.items()))

    for _ in range(3):
        await sampled("first")
    made.checks = target(early, both).checks
    await sampled("first", "second")
    run.judge(made)
    assert made.tracks["both"].bad == 1
    hang = True
    for _ in range(3):
        await sampled("second")
        assert "both" not in run.judge(made).actionable
    assert made.tracks["both"].bad == 1
    await run.observation.stop()


def test_what_was_sampled_before_a_pause_does_not_count() -> None:
    made = target(enabled("a", FIRST))
    made.samples["first", 60.0] = Sample(3, datetime.now(UTC), 7)
    made.let_go()
    assert made.look_anew
    assert not made.samples
