"""DetailedLogging: set for a while, given back by the records alone, never over somebody else's change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.adapters.kubernetes.safety_config import kept
from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.remediation import (
    KiroRemediationSpec,
    KiroRemediationStatus,
    Method,
    RemediationState,
)
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.checks import registry
from kiro_operator.core.decide import Decision, Inputs, Plan, Policy, decide
from kiro_operator.core.evidence.mcp import MCP_SESSIONS, Call, McpSession
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG
from kiro_operator.core.patches import merged
from kiro_operator.core.policy.types import REVERTED, Change, Entry, Ledger
from kiro_operator.core.snapshot import Collection, Ref, Sample, Snapshot, Unobserved
from kiro_operator.core.switches import held
from kiro_operator.core.verdict import Status
from kiro_operator.core.verify import Act, AlreadyDone, Expire, Live, resume, verify_held
from tests.core.policy.make import NOW, pod, policy, snapshot, workload

ACTION, NAME = ActionName.DETAILED_LOGGING, "kiro-logging"
SWITCH = {"configMap": NAME, "key": "level", "value": "debug", "duration": "10m"}
CHECK = "mcp-response-quality"
TARGET = Ref("ConfigMap", NAME, "u-1")
SET = Change('{"data": {"level": "debug"}}', "level", '{"data": {"level": "info"}}')


def allowed(**changes: Any) -> KiroSafetyPolicySpec:
    actions = [{"name": ACTION.value, "approval": "Automatic", "budget": {"limit": 1, "window": "1h"}}]
    return policy(**({"actions": actions, "detailedLogging": SWITCH, "scale": None} | changes))


def stored(data: Mapping[str, str], uid: str = "u-1") -> dict[str, Any]:
    return {"metadata": {"name": NAME, "uid": uid, "resourceVersion": "7"}, "data": dict(data)}


def seen(found: dict[str, Any] | None, spec: KiroSafetyPolicySpec | None = None) -> Snapshot:
    config = None if found is None else kept(json.dumps(found).encode())
    samples = {SAFETY_CONFIG.name: Sample(1, NOW, {NAME: config})}
    return replace(snapshot(), policies={"policy": spec or allowed()}, samples=samples)


def plan(facts: Snapshot, *entries: Entry, wrong: bool = False) -> Plan:
    call = Call("lamp", "get", error=wrong)
    samples = {**facts.samples, MCP_SESSIONS.name: Sample(1, NOW, (McpSession("shop", "u", calls=(call,)),))}
    check = registry()[CHECK].check
    verdict = check.judge(replace(facts, samples=samples), check.parameters(), NOW)
    assert verdict.status is (Status.FAIL if wrong else Status.PASS)
    return decide(
        Inputs(
            verdicts={CHECK: (verdict, True)},
            spec=KiroHealthCheckSpec(),
            policies=tuple(Policy(name, spec) for name, spec in facts.policies.items()),
            ledger=Ledger(entries),
            snapshot=facts,
            now=NOW,
        )
    )


def one(facts: Snapshot, *entries: Entry, **more: Any) -> Decision:
    [decision] = plan(facts, *entries, **more).decisions
    return decision


def entry(step: int = 1, **changes: Any) -> Entry:
    return replace(
        Entry(
            name=f"e1s{step}",
            action=ACTION,
            method=Method.PATCH,
            target=TARGET,
            episode=1,
            step=step,
            state=RemediationState.SUCCEEDED,
            reserved_at=NOW - timedelta(minutes=11),
            acted_at=NOW - timedelta(minutes=11),
            completed_at=NOW - timedelta(minutes=1),
            change=SET,
            check=CHECK,
        ),
        **changes,
    )


@pytest.mark.parametrize(("before", "undo"), [({"level": "info"}, "info"), ({"other": "x"}, None)])
def test_wrong_answers_ask_for_it_and_what_was_there_is_on_record(
    before: dict[str, str], undo: str | None
) -> None:
    decision = one(seen(stored(before)), wrong=True)
    intent, change = decision.intent, decision.intent.change
    assert (decision.decision, intent.action, intent.method) == ("Allowed", ACTION, Method.PATCH)
    assert intent.stabilization == timedelta(minutes=10)
    assert intent.timeout > intent.stabilization
    assert change is not None
    after = merged(stored(before), json.loads(change.patch))
    assert after["data"] == before | {"level": "debug"}
    assert json.loads(change.undo) == {"data": {"level": undo}}
    assert merged(after, json.loads(change.undo))["data"] == before


@pytest.mark.parametrize("value", ["password: hunter2hunter2", "x" * 3000])
def test_what_could_not_be_given_back_is_not_set(value: str) -> None:
    made = plan(seen(stored({"level": value})), wrong=True)
    assert not made.decisions
    assert [item.reason for item in made.escalations] == ["NotReversible"]


def test_when_its_time_is_over_it_is_given_back_whatever_is_found_and_spent() -> None:
    facts = seen(stored({"level": "debug"}), allowed(cooldown="6h"))
    for wrong in (False, True):
        decision = one(facts, entry(), wrong=wrong)
        intent = decision.intent
        assert (decision.decision, intent.method, intent.name[-4:]) == ("Allowed", Method.GIVE_BACK, "e1s2")
        assert (intent.fence.uid, intent.fence.resource_version) == ("u-1", "7")
        assert intent.change is not None
        assert json.loads(intent.change.patch) == {"data": {"level": "info"}}


@pytest.mark.parametrize(
    "entries",
    [
        [entry(state=RemediationState.VERIFYING, completed_at=None)],
        [entry(state=RemediationState.FAILED, reason=REVERTED)],
        [entry(state=RemediationState.EXPIRED, acted_at=None)],
        [entry(), entry(2, method=Method.GIVE_BACK)],
        [entry(), entry(2, method=Method.GIVE_BACK, state=RemediationState.VERIFYING)],
        [entry(), entry(2, method=Method.GIVE_BACK, state=RemediationState.FAILED, reason=REVERTED)],
        [entry(action=ActionName.RESTORE_STEERING)],
    ],
)
def test_what_runs_is_taken_back_or_was_overruled_owes_nothing(entries: list[Entry]) -> None:
    assert not plan(seen(stored({"level": "debug"})), *entries).decisions


@pytest.mark.parametrize(
    "failed",
    [
        entry(2, method=Method.GIVE_BACK, state=RemediationState.EXPIRED, acted_at=None),
        entry(2, method=Method.GIVE_BACK, state=RemediationState.FAILED, reason="NotObserved"),
    ],
)
def test_what_came_to_nothing_is_tried_again(failed: Entry) -> None:
    decision = one(seen(stored({"level": "debug"})), entry(), failed)
    assert (decision.intent.method, decision.intent.name[-4:]) == (Method.GIVE_BACK, "e1s3")


@pytest.mark.parametrize(
    "found", [None, stored({"level": "trace"}), stored({}), stored({"level": "debug"}, uid="u-2")]
)
def test_somebody_elses_change_is_left_as_it_is(found: dict[str, Any] | None) -> None:
    assert not plan(seen(found), entry()).decisions


def test_what_cannot_be_seen_is_not_changed_and_waits() -> None:
    facts = seen(stored({"level": "debug"}))
    unseen: dict[str, Sample[Any]] = {SAFETY_CONFIG.name: Sample(2, NOW, Unobserved("Timeout", "no answer"))}
    made = plan(replace(facts, samples=unseen), entry())
    assert not made.decisions
    assert [(item.target, item.action, item.reason) for item in made.held] == [
        (TARGET, ACTION, "EvidenceMissing")
    ]
    early = plan(replace(facts, samples={}), entry())
    assert [item.reason for item in early.held] == ["AwaitingSamples"]


@pytest.mark.parametrize("policies", [{}, {"policy": allowed(detailedLogging=None, actions=[])}])
def test_what_no_policy_names_any_more_is_for_a_person(policies: dict[str, KiroSafetyPolicySpec]) -> None:
    samples: dict[str, Sample[Any]] = {SAFETY_CONFIG.name: Sample(2, NOW, {})}
    made = plan(replace(seen(None), policies=policies, samples=samples), entry())
    assert not made.decisions
    [told] = made.escalations
    assert (told.target, told.reason) == (TARGET, "NotWatched")
    assert f"kubectl patch configmap {NAME} -n" in told.message
    assert """-p '{"data": {"level": "info"}}'""" in told.message
    assert entry().name in told.message


def test_a_policy_that_no_longer_allows_it_calls_a_person() -> None:
    made = plan(seen(stored({"level": "debug"}), allowed(actions=[])), entry())
    [decision] = made.decisions
    assert (decision.decision, decision.gate) == ("Denied", "allowed-actions")
    [told] = made.escalations
    assert told.target == TARGET
    assert f"kubectl patch configmap {NAME}" in told.message


def test_it_is_given_back_while_much_of_the_namespace_fails_and_without_being_asked_for() -> None:
    manual = [{"name": ACTION.value, "approval": "Manual", "budget": {"limit": 1, "window": "1h"}}]
    sick = snapshot([workload("kiro")], [pod(f"kiro-{number}", "kiro", ready=False) for number in range(2)])
    facts = seen(stored({"level": "debug"}), allowed(actions=manual))
    facts = replace(facts, pods=sick.pods, deployments=sick.deployments)
    assert one(facts, entry()).decision == "Allowed"
    assert one(seen(stored({"level": "info"}), allowed(actions=manual)), wrong=True).gate == "approval"


@pytest.mark.parametrize(
    ("changes", "said", "gate"),
    [
        ({"pauseRequests": ["INC-1"]}, "Denied", "pause-requests"),
        ({"mode": "Observe"}, "Denied", "mode"),
        ({"mode": "DryRun"}, "DryRun", "mode"),
    ],
)
def test_a_brake_holds_it_back_and_a_person_is_told_how_to_give_it_back(
    changes: dict[str, Any], said: str, gate: str
) -> None:
    facts = seen(stored({"level": "debug"}), allowed(**changes))
    made = plan(facts, entry())
    [decision], [told] = made.decisions, made.escalations
    assert (decision.decision, decision.gate) == (said, gate)
    assert (told.target, told.cause) == (TARGET, "TimeIsUp")
    assert f"""kubectl patch configmap {NAME} -n {facts.namespace} --type=merge""" in told.message
    assert """-p '{"data": {"level": "info"}}'""" in told.message
    by_hand = seen(stored({"level": "info"}), allowed(**changes))
    assert plan(by_hand, entry()).escalations == ()


def test_a_pause_calls_nobody_for_setting_it() -> None:
    paused = allowed(pauseRequests=["INC-1"])
    assert plan(seen(stored({"level": "info"}), paused), wrong=True).escalations == ()


@pytest.mark.parametrize(
    ("policies", "reason"),
    [((Policy("policy", None, "it cannot be read"),), "PolicyUnusable"), ((), "NoPolicy")],
)
def test_no_policy_in_force_is_a_brake_as_well(policies: tuple[Policy, ...], reason: str) -> None:
    facts = seen(stored({"level": "debug"}))
    verdict = Inputs(
        verdicts={},
        spec=KiroHealthCheckSpec(),
        policies=policies,
        ledger=Ledger((entry(),)),
        snapshot=facts,
        now=NOW,
    )
    [told] = decide(verdict).escalations
    assert told.reason == reason
    assert f"kubectl patch configmap {NAME}" in told.message


@pytest.mark.parametrize(
    "windows",
    [
        {"forbiddenWindows": [{"name": "all", "schedule": "* * * * *", "duration": "1h", "timeZone": "UTC"}]},
        {"maintenanceWindows": [{"name": "y", "schedule": "0 3 1 1 *", "duration": "1m", "timeZone": "UTC"}]},
    ],
)
def test_a_window_holds_back_what_sets_it_and_not_what_gives_it_back(windows: dict[str, Any]) -> None:
    assert one(seen(stored({"level": "debug"}), allowed(**windows)), entry()).decision == "Allowed"
    assert one(seen(stored({"level": "info"}), allowed(**windows)), wrong=True).decision == "Denied"


ACTED = KiroRemediationStatus(state=RemediationState.VERIFYING, acted_at=NOW - timedelta(minutes=4))


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (timedelta(minutes=5, seconds=59), RemediationState.VERIFYING),
        (timedelta(minutes=6), RemediationState.SUCCEEDED),
        (timedelta(days=1), RemediationState.SUCCEEDED),
    ],
)
def test_its_time_counts_from_the_change_whoever_looks(after: timedelta, state: RemediationState) -> None:
    now = NOW + after
    spec = spec_of("7").model_copy(update={"stabilization": timedelta(minutes=10)})
    assert verify_held(spec, ACTED, held=True, seen_at=now, now=now).state is state


def test_a_clock_that_was_set_back_gives_it_its_time_once_more_and_no_longer() -> None:
    now = NOW - timedelta(days=2)
    spec = spec_of("7").model_copy(update={"stabilization": timedelta(minutes=10)})
    found = verify_held(spec, ACTED, held=True, seen_at=now, now=now)
    assert (found.state, found.next) == (RemediationState.VERIFYING, now + timedelta(minutes=10))


def test_what_nobody_looks_at_any_more_is_no_change_of_somebody_else() -> None:
    facts = replace(seen(None), samples={SAFETY_CONFIG.name: Sample(2, NOW, {})})
    stays = held(TARGET, SET.patch, "6", facts)
    assert isinstance(stays, Unobserved)
    found = verify_held(spec_of("7"), ACTED, held=stays, seen_at=NOW, now=NOW)
    assert (found.state, found.reason) == (RemediationState.FAILED, "NotWatched")
    failed = entry(state=RemediationState.FAILED, reason=found.reason)
    assert one(seen(stored({"level": "debug"})), failed).intent.method is Method.GIVE_BACK


@pytest.mark.parametrize("client", [None, {"selector": {"matchLabels": {"app": "client"}}}])
def test_a_wrong_answer_asks_for_it_where_nothing_would_mend_it(client: dict[str, Any] | None) -> None:
    call = Call("lamp", "get", agrees=False)
    own = KiroHealthCheckSpec.model_validate(
        {
            "mcp": {
                "servers": [{"name": "shop", "service": {"name": "shop", "port": 8080}}],
                **({"client": client} if client else {}),
            }
        }
    )
    facts = seen(stored({"level": "info"}))
    clients = workload("client", labels={"app": "client"})
    samples = {**facts.samples, MCP_SESSIONS.name: Sample(1, NOW, (McpSession("shop", "u", calls=(call,)),))}
    facts = replace(facts, samples=samples, own=own)
    facts = replace(facts, deployments=snapshot([clients]).deployments, services=Collection.of(()))
    check = registry()["mcp-data-accuracy"].check
    [finding] = check.judge(facts, check.parameters(), NOW).findings
    mended = ((ActionName.RESYNC_MCP,), Ref("Deployment", "client", clients.metadata.uid))
    assert (finding.remedies, finding.target) == (mended if client else ((ACTION,), TARGET))


def spec_of(fence: str) -> KiroRemediationSpec:
    return KiroRemediationSpec.model_validate(
        {
            "action": ACTION,
            "method": "GiveBack",
            "target": {"apiVersion": "v1", "kind": "ConfigMap", "name": NAME, "uid": "u-1"},
            "change": {"patch": '{"data": {"level": "info"}}', "diff": "as it was"},
            "fence": {"uid": "u-1", "resourceVersion": fence},
            "healthCheck": {"name": "kiro", "uid": "u-2"},
            "policy": {"name": "policy", "uid": "u-3"},
            "check": CHECK,
            "reason": "TimeIsUp",
            "message": "it is given back",
            "episode": 1,
            "step": 2,
            "timeout": "5m",
            "stabilization": "1m",
        }
    )


@pytest.mark.parametrize("failing", [True, False, None])
@pytest.mark.parametrize(
    ("level", "fence", "state", "answer"),
    [
        ("debug", "7", RemediationState.RESERVED, Act),
        ("debug", "7", RemediationState.ACTING, Act),
        ("info", "6", RemediationState.ACTING, AlreadyDone),
        ("trace", "6", RemediationState.ACTING, Expire),
    ],
)
def test_after_a_crash_it_is_given_back_whatever_is_found(
    level: str,
    fence: str,
    state: RemediationState,
    answer: type,
    failing: bool | None,  # noqa: FBT001 - a fact
) -> None:
    spec = spec_of(fence)
    live = Live(workload=None, written=stored({"level": level}), failing=failing)
    status = KiroRemediationStatus(state=state)
    assert isinstance(resume(spec, status, live, reserved_at=NOW, now=NOW), answer)


def test_what_is_owed_is_given_back_before_anything_else_is_set() -> None:
    ago = NOW - timedelta(minutes=40)
    late = entry(reserved_at=ago, acted_at=ago, completed_at=NOW - timedelta(minutes=30))
    found = seen(stored({"level": "debug"}), allowed(detailedLogging=SWITCH | {"value": "trace"}))
    first = plan(found, late, wrong=True).decisions[0]
    assert (first.intent.method, first.decision) == (Method.GIVE_BACK, "Allowed")


OTHER = Ref("ConfigMap", "other-logging", "u-2")


def two(first: Mapping[str, Any] | None) -> Snapshot:
    """Two ConfigMaps that policies name, the first of which holds that."""
    other = allowed(detailedLogging=SWITCH | {"configMap": OTHER.name})
    second = stored({"level": "debug"}) | {
        "metadata": {"name": OTHER.name, "uid": OTHER.uid, "resourceVersion": "7"}
    }
    found = {OTHER.name: kept(json.dumps(second).encode())}
    if first is not None:
        found[NAME] = kept(json.dumps(first).encode())
    samples: dict[str, Sample[Any]] = {SAFETY_CONFIG.name: Sample(1, NOW, found)}
    named = {"other": other} if first is None else {"policy": allowed(), "other": other}
    return replace(seen(None), policies=named, samples=samples)


def overdue(**changes: Any) -> Entry:
    """One whose time is over, that was set in the second ConfigMap."""
    return entry(target=OTHER, name="e1s1-other", **changes)


def test_what_is_owed_elsewhere_does_not_wait_for_what_is_not_given_back_now() -> None:
    running = entry(2, state=RemediationState.VERIFYING, completed_at=None)
    for facts, others in (
        (two(stored({"level": "debug"})), [entry(), running]),
        (two(stored({"level": "trace"})), [entry()]),
        (two(None), [entry()]),
    ):
        made = plan(facts, *others, overdue())
        assert [(item.intent.target, item.intent.method) for item in made.decisions] == [
            (OTHER, Method.GIVE_BACK)
        ]


def test_each_that_cannot_be_seen_is_told() -> None:
    facts = two(stored({"level": "debug"}))
    unseen: dict[str, Sample[Any]] = {SAFETY_CONFIG.name: Sample(2, NOW, Unobserved("Timeout", "no answer"))}
    held = plan(replace(facts, samples=unseen), entry(), overdue()).held
    assert [(item.target, item.check) for item in held] == [(TARGET, CHECK), (OTHER, CHECK)]
    assert [item.message for item in held] == [
        f"what {name} set for a while cannot be seen: no answer" for name in ("e1s1", "e1s1-other")
    ]
