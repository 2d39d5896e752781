"""What holds for every policy, every order of events and every clock that was set back."""

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec, Mode
from kiro_operator.core.decide import Plan, Policy, decide
from kiro_operator.core.policy.types import Entry, Ledger
from kiro_operator.core.policy.wellness import Memory
from kiro_operator.core.snapshot import Collection, Snapshot
from kiro_operator.core.verdict import Finding, Status, Verdict
from tests.core.policy.make import (
    NOW,
    RESTART,
    SCALE,
    ago,
    entry,
    failing,
    finding,
    inputs,
    platform,
    pod,
    policy,
    ref,
    snapshot,
    well,
)

NAMES = ("api", "db", "web")
GENTLY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
minutes = st.integers(0, 180)
Event = tuple[str, int]


def span(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(lambda count: f"{count}m")


budgets = st.fixed_dictionaries({"limit": st.sampled_from([3, 2, 1, 3, 2, 1, 5, 0]), "window": span(1, 90)})
policies = st.builds(
    lambda restarts, scalings, **rest: policy(
        actions=[
            {"name": "Restart", "approval": "Automatic", "budget": restarts},
            {"name": "Scale", "approval": "Automatic", "budget": scalings},
        ],
        **rest,
    ),
    budgets,
    budgets,
    budget=budgets,
    cooldown=span(0, 15),
    backoff=st.fixed_dictionaries({"initial": span(0, 10), "maximum": span(0, 30)}),
    maxConsecutiveFailures=st.integers(1, 5),
    maxUnhealthy=st.sampled_from(["100%", "60%", 99, "100%", "30%", 1, 9, "80%"]),
    scale=st.fixed_dictionaries(
        {"floor": st.just(1), "ceiling": st.integers(4, 9), "step": st.integers(1, 3)}
    ),
)


class World:
    """Three workloads whose pods fail and heal, a clock that may be set back, and an obedient actor."""

    def __init__(self, allowed: KiroSafetyPolicySpec) -> None:
        self.policy = allowed
        self.elapsed = timedelta(hours=24)
        self.setback = timedelta(0)
        self.sick = dict.fromkeys(NAMES, 1)
        self.replicas = dict.fromkeys(NAMES, 4)
        self.since = dict.fromkeys(NAMES, NOW)
        self.entries: dict[str, Entry] = {}
        self.acted: list[tuple[timedelta, Entry]] = []
        """What was done, by the time that really passed."""
        self.memory: Memory = {}

    @property
    def now(self) -> datetime:
        return NOW + self.elapsed - self.setback

    def facts(self) -> Snapshot:
        made = [
            platform(self.replicas[name], min(self.sick[name], self.replicas[name]), name) for name in NAMES
        ]
        return snapshot([each for each, _ in made], [one for _, pods in made for one in pods])

    def verdicts(self) -> dict[str, tuple[Verdict, bool]]:
        found = [
            finding(f"{name}-{number}", ref(name), since=self.since[name])
            for name in NAMES
            for number in range(min(self.sick[name], self.replicas[name]))
        ]
        return failing(*found) if found else well()

    def happen(self, event: Event) -> None:
        kind, number = event
        name = NAMES[number % len(NAMES)]
        match kind:
            case "wait":
                self.elapsed += timedelta(seconds=20 * number)
            case "set back":
                self.setback += timedelta(minutes=number)
            case "fault":
                self.sick[name], self.since[name] = 1 + number % 4, self.now
            case "heal":
                self.sick[name] = 0
            case _:
                self.progress(kind, number)

    def progress(self, kind: str, number: int) -> None:
        running = sorted((each for each in self.entries.values() if each.running), key=lambda each: each.name)
        if not running:
            return
        chosen = running[number % len(running)]
        changes: dict[str, Any] = {"completed_at": self.now}
        if chosen.state is RemediationState.VERIFYING:
            helped = kind == "succeed"
            changes["state"] = RemediationState.SUCCEEDED if helped else RemediationState.FAILED
        elif kind == "refuse":
            changes["state"] = RemediationState.DENIED if number % 2 else RemediationState.EXPIRED
        else:
            changes = {"state": RemediationState.VERIFYING, "acted_at": self.now}
            self.acted.append((self.elapsed, chosen))
            if chosen.replicas:
                self.replicas[chosen.target.name] = chosen.replicas[1]
        fields = {name: getattr(chosen, name) for name in chosen.__struct_fields__}
        self.entries[chosen.name] = Entry(**(fields | changes))

    def plan(self) -> Plan:
        plan = decide(
            inputs(
                self.verdicts(),
                self.facts(),
                self.entries.values(),
                policies=(Policy("safe", self.policy),),
                now=self.now,
                memory=self.memory,
            )
        )
        self.memory = plan.memory
        for decision in plan.decisions:
            if decision.decision != "Allowed":
                continue
            wanted = decision.intent
            assert wanted.name not in self.entries, "a name was used twice"
            self.entries[wanted.name] = Entry(
                name=wanted.name,
                action=wanted.action,
                method=wanted.method,
                target=wanted.target,
                episode=wanted.episode,
                step=wanted.step,
                state=RemediationState.RESERVED,
                reserved_at=self.now,
                replicas=wanted.replicas,
                check=wanted.check,
            )
        return plan

    def check(self) -> None:
        running = Counter(each.target.uid for each in self.entries.values() if each.running)
        assert all(count == 1 for count in running.values()), "two actions on one target"
        budgets = [(None, self.policy.budget)] + [(each.name, each.budget) for each in self.policy.actions]
        for action, budget in budgets:
            assert budget is not None
            times = sorted(time for time, each in self.acted if action in {None, each.action})
            for first, beyond in zip(times, times[budget.limit :], strict=False):
                assert beyond - first >= budget.window, f"budget of {action} exceeded"


events = st.lists(
    st.tuples(
        st.sampled_from(
            [*["wait"] * 4, *["act"] * 3, "fault", "heal", "succeed", "fail", "fail", "refuse", "set back"]
        ),
        st.integers(0, 120),
    ),
    min_size=20,
    max_size=80,
)


ONE_AN_HOUR = policy(budget={"limit": 1, "window": "1h"}, maxUnhealthy="100%")
LATE = [("wait", 0), ("wait", 200), ("wait", 0), ("act", 0), ("act", 0)]
"""An action that is done long after its reservation, next to one that is not."""


@GENTLY
@given(policies, events)
@example(ONE_AN_HOUR, LATE)
def test_no_sequence_of_events_exceeds_a_budget_or_works_twice_on_a_target(
    allowed: KiroSafetyPolicySpec, happening: list[Event]
) -> None:
    world = World(allowed)
    for event in happening:
        world.happen(event)
        world.plan()
        world.check()


verdict_states = st.tuples(st.sampled_from(list(Status)), st.booleans())


@GENTLY
@given(policies, st.dictionaries(st.sampled_from(["a", "b", "c"]), verdict_states))
def test_only_a_failure_that_is_settled_asks_for_a_remedy(
    allowed: KiroSafetyPolicySpec, states: dict[str, tuple[Status, bool]]
) -> None:
    world = World(allowed)
    world.sick = dict.fromkeys(NAMES, 1)
    found = {
        check: finding(f"{name}-0", ref(name)) for check, name in zip(("a", "b", "c"), NAMES, strict=True)
    }
    verdicts = {
        check: (Verdict(status, "R", "m", (found[check],)), actionable)
        for check, (status, actionable) in states.items()
    }
    plan = decide(inputs(verdicts, world.facts(), policies=(Policy("safe", allowed),)))
    heard = {check for check, state in states.items() if state == (Status.FAIL, True)}
    assert {decision.intent.check for decision in plan.decisions} == heard


def shuffled(chosen: random.Random, items: Any) -> list[Any]:
    order = list(items)
    chosen.shuffle(order)
    return order


@GENTLY
@given(policies, events, st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_does_not_matter(
    allowed: KiroSafetyPolicySpec, happening: list[Event], chosen: random.Random
) -> None:
    world = World(allowed)
    for event in happening:
        world.happen(event)
        world.plan()
    facts = world.facts()
    fields = {name: getattr(facts, name) for name in facts.__struct_fields__}
    kinds = ("pods", "deployments", "replica_sets", "autoscalers")
    mixed = Snapshot(**(fields | {kind: Collection.of(shuffled(chosen, fields[kind])) for kind in kinds}))
    blind = {"z": (Verdict(Status.UNKNOWN, "StaleWatch", "m"), False)}
    verdicts = world.verdicts() | failing(finding(None, ref("db"), wide=True), check="y") | blind
    two = (Policy("a", allowed), Policy("b", policy(mode="DryRun")))

    def planned(facts: Snapshot, mix: bool) -> Plan:  # noqa: FBT001
        def maybe(items: Any) -> list[Any]:
            return shuffled(chosen, items) if mix else list(items)

        turned = {
            check: (
                Verdict(verdict.status, verdict.reason, verdict.message, tuple(maybe(verdict.findings))),
                flag,
            )
            for check, (verdict, flag) in maybe(verdicts.items())
        }
        return decide(
            inputs(
                turned,
                facts,
                maybe(world.entries.values()),
                policies=tuple(maybe(two)),
                now=world.now,
                memory=dict(maybe(world.memory.items())),
            )
        )

    assert planned(mixed, mix=True) == planned(facts, mix=False)


NOON = {"name": "noon", "schedule": "0 11 * * *", "duration": "2h", "timeZone": "UTC"}
narrowings = st.sampled_from(
    [
        lambda _: {"mode": Mode.DRY_RUN},
        lambda _: {"mode": Mode.OBSERVE},
        lambda p: {"actions": p.actions[:1]},
        lambda p: {"actions": p.actions[1:]},
        lambda _: {"actions": []},
        lambda p: {"actions": [each.model_copy(update={"approval": "Manual"}) for each in p.actions]},
        lambda p: {
            "actions": [
                each.model_copy(update={"budget": each.budget.model_copy(update={"limit": 0})})
                for each in p.actions
            ]
        },
        lambda p: {"budget": p.budget.model_copy(update={"limit": max(0, p.budget.limit - 1)})},
        lambda p: {"budget": p.budget.model_copy(update={"window": p.budget.window * 2})},
        lambda p: {"cooldown": p.cooldown * 2 + timedelta(minutes=1)},
        lambda p: {"backoff": p.backoff.model_copy(update={"initial": p.backoff.initial * 2})},
        lambda p: {"backoff": p.backoff.model_copy(update={"maximum": p.backoff.maximum * 2})},
        lambda p: {"max_consecutive_failures": max(1, p.max_consecutive_failures - 1)},
        lambda p: {"storm_cooldown": p.storm_cooldown * 2 + timedelta(minutes=1)},
        lambda _: {"max_unhealthy": 0},
        lambda p: {"max_unhealthy": "10%"} if isinstance(p.max_unhealthy, str) else {"max_unhealthy": 1},
        lambda p: {"scale": p.scale.model_copy(update={"ceiling": max(1, p.scale.ceiling - 2)})},
        lambda p: {"scale": p.scale.model_copy(update={"step": 1})},
        lambda p: {"scale": p.scale.model_copy(update={"floor": p.scale.floor + 3})},
        lambda _: {"forbidden_windows": policy(forbiddenWindows=[NOON]).forbidden_windows},
        lambda _: {"maintenance_windows": policy(maintenanceWindows=[NOON]).maintenance_windows},
        lambda _: {
            "maintenance_windows": policy(
                maintenanceWindows=[NOON | {"schedule": "0 1 * * *"}]
            ).maintenance_windows
        },
        lambda _: {"pause_requests": ["audit"]},
        lambda _: {"protected": policy(protected={"selectors": [{}]}).protected},
        lambda _: {"protected": policy(protected={"selectors": [{"matchLabels": {"app": "api"}}]}).protected},
        *(
            (lambda _, field=field: {field: None})
            for field in (
                "budget",
                "cooldown",
                "backoff",
                "max_consecutive_failures",
                "max_unhealthy",
                "storm_cooldown",
                "scale",
                "forbidden_windows",
                "maintenance_windows",
                "pause_requests",
                "protected",
            )
        ),
    ]
)
entries_of_api = st.lists(
    st.tuples(
        st.sampled_from(["Failed", "Succeeded", "Denied", "Expired", "Verifying"]),
        st.sampled_from([Method.EVICT, Method.SCALE_UP, Method.SCALE_BACK]),
        minutes,
    ),
    max_size=4,
).map(
    lambda drawn: [
        entry(
            step,
            state,
            method,
            at=ago(minutes=age),
            ended=ago(minutes=age - 1),
            replicas={Method.SCALE_UP: (3, 4), Method.SCALE_BACK: (5, 4)}.get(method),
        )
        for step, (state, method, age) in enumerate(drawn, 1)
    ]
)


@settings(parent=GENTLY, max_examples=400)
@given(policies, narrowings, entries_of_api, st.integers(0, 4), minutes)
def test_a_narrower_policy_never_allows_what_the_wider_denied(
    wide: KiroSafetyPolicySpec, narrowing: Any, entries: list[Entry], sick: int, age: int
) -> None:
    changes = narrowing(wide)
    assume(not (scale := changes.get("scale")) or scale.floor <= scale.ceiling)
    narrow = wide.model_copy(update=changes)
    made, pods = platform(4, sick)
    found = [finding(f"api-{number}", since=ago(minutes=age)) for number in range(sick)]

    def allowed(*in_force: KiroSafetyPolicySpec) -> set[Method]:
        named = tuple(Policy(str(number), each) for number, each in enumerate(in_force))
        verdicts = failing(*found) if found else well()
        plan = decide(inputs(verdicts, snapshot([made], pods), entries, policies=named))
        return {d.intent.method for d in plan.decisions if d.decision == "Allowed"}

    assert allowed(narrow) <= allowed(wide)
    assert allowed(wide, narrow) <= allowed(narrow)


@GENTLY
@given(policies, events, st.sampled_from(["annotation", "selector", "pause", "mode"]))
def test_nothing_is_done_to_what_is_protected_or_paused(
    allowed: KiroSafetyPolicySpec, happening: list[Event], how: str
) -> None:
    guard: dict[str, dict[str, Any]] = {
        "annotation": {},
        "selector": {
            "protected": policy(protected={"selectors": [{"matchLabels": {"app": "db"}}]}).protected
        },
        "pause": {"pause_requests": ["audit"]},
        "mode": {"mode": Mode.DRY_RUN},
    }
    world = World(allowed.model_copy(update=guard[how]))
    if how == "annotation":
        plain = world.facts

        def guarded() -> Snapshot:
            facts = plain()
            fields = {name: getattr(facts, name) for name in facts.__struct_fields__}
            made = [
                platform(world.replicas[n], 0, n, protected="true" if n == "db" else "")[0] for n in NAMES
            ]
            return Snapshot(**(fields | {"deployments": Collection.of(made)}))

        world.facts = guarded  # type: ignore[method-assign]
    for event in happening:
        world.happen(event)
        for decision in world.plan().decisions:
            safe = how in {"pause", "mode"} or decision.intent.target == ref("db")
            assert not (safe and decision.decision == "Allowed")


@GENTLY
@given(st.integers(1, 9), st.integers(0, 9), st.booleans())
def test_an_eviction_is_always_of_a_pod_that_was_found_failing(replicas: int, sick: int, wide: bool) -> None:  # noqa: FBT001
    sick = min(sick, replicas)
    assume(sick)
    made, pods = platform(replicas, sick)
    found = [finding(f"api-{number}", wide=wide) for number in range(sick)]
    plan = decide(inputs(failing(*found), snapshot([made], [*pods, pod("api-x", owner="web")])))
    for decision in plan.decisions:
        if decision.intent.method is Method.EVICT:
            assert decision.intent.pod in {each.object for each in found}
            assert 2 * sick <= replicas


def test_the_world_of_these_tests_does_act() -> None:
    world = World(policy(maxUnhealthy="100%"))
    world.sick = {"api": 1, "db": 0, "web": 0}
    again = (("wait", 100), ("fail", 0), ("wait", 100), ("act", 0))
    for event in (("act", 0), *again, *again):
        world.plan()
        world.happen(event)
    methods = [each.method for _, each in world.acted]
    assert methods == [Method.EVICT, Method.ROLLOUT_RESTART, Method.SCALE_UP]
    assert isinstance(world.facts(), Snapshot)
    assert Ledger(tuple(world.entries.values())).of(ref())
    assert {RESTART, SCALE} == {each.action for each in world.entries.values()}
    assert isinstance(world.verdicts()["pods-ready"][0].findings[0], Finding)
