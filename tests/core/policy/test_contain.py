"""Contain: the key that the policy names, for findings of harm; nothing fights it, and nothing lifts it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.adapters.kubernetes.safety_config import kept, named_by
from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.remediation import (
    KiroRemediationSpec,
    KiroRemediationStatus,
    Method,
    RemediationState,
)
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec, Storm
from kiro_operator.core.access import cells
from kiro_operator.core.checks import registry
from kiro_operator.core.decide import Decision, Inputs, Plan, Policy, decide
from kiro_operator.core.evidence.access import ACCESS, Access, Review
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG
from kiro_operator.core.patches import merged
from kiro_operator.core.policy.types import Entry, Ledger
from kiro_operator.core.snapshot import Ref, Sample, Snapshot, Unobserved
from kiro_operator.core.switches import held
from kiro_operator.core.verdict import Verdict
from kiro_operator.core.verify import verify_held
from tests.core.policy.make import NOW, pod, policy, snapshot, workload

ACTION, NAME = ActionName.CONTAIN, "kiro-safety-config"
SWITCH = {"configMap": NAME, "key": "operations", "value": "suspended"}
DESIRED = {"operations": "supervised", "limit": "3"}
RIGHTS = {"mustAllow": [], "mustDeny": [{"verb": "get", "resource": "secrets"}]}
CHECKS = ("service-account-permissions", "safety-config")


def allowed(**changes: Any) -> KiroSafetyPolicySpec:
    actions = [
        {"name": name, "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}
        for name in ("Contain", "RestoreSafetyConfig")
    ]
    spec = {"actions": actions, "containment": SWITCH, "permissions": RIGHTS, "scale": None}
    return policy(**(spec | changes))


def stored(data: Mapping[str, str], **more: Any) -> dict[str, Any]:
    metadata = {"name": NAME, "uid": "u-1", "resourceVersion": "7"} | more.pop("metadata", {})
    return {"metadata": metadata, "data": dict(data)} | more


def seen(found: dict[str, Any] | None, *policies: KiroSafetyPolicySpec, harm: bool = True) -> Snapshot:
    specs = {f"policy-{number}": spec for number, spec in enumerate(policies or (allowed(),))}
    facts = replace(snapshot(), policies=specs)
    questions = [
        cell.question
        for spec in specs.values()
        if spec.permissions is not None
        for cell in cells(spec.permissions, facts.namespace)
    ]
    reviews = tuple(Review(question, harm) for question in questions)
    config = None if found is None else kept(json.dumps(found).encode())
    samples = {
        SAFETY_CONFIG.name: Sample(1, NOW, {NAME: config}),
        ACCESS.name: Sample(1, NOW, Access(accounts={"kiro": True}, reviews=reviews)),
    }
    return replace(facts, samples=samples)


def plan(facts: Snapshot, *, ledger: Ledger | None = None, storm: Storm | None = None) -> Plan:
    verdicts: dict[str, tuple[Verdict, bool]] = {}
    for name in CHECKS:
        check = registry()[name].check
        verdicts[name] = (check.judge(facts, check.parameters(), NOW), True)
    return decide(
        Inputs(
            verdicts=verdicts,
            spec=KiroHealthCheckSpec(),
            policies=tuple(Policy(name, spec, storm=storm) for name, spec in facts.policies.items()),
            ledger=ledger or Ledger(),
            snapshot=facts,
            now=NOW,
        )
    )


def one(facts: Snapshot, **more: Any) -> Decision:
    [decision] = plan(facts, **more).decisions
    return decision


@pytest.mark.parametrize(
    ("before", "undo"),
    [(DESIRED, {"operations": "supervised"}), ({"limit": "3"}, {"operations": None})],
)
def test_it_sets_the_one_key_and_says_how_to_lift_it(
    before: dict[str, str], undo: dict[str, str | None]
) -> None:
    found = stored(before)
    decision = one(seen(found))
    intent, change = decision.intent, decision.intent.change
    assert (decision.decision, intent.action, intent.method) == ("Allowed", ACTION, Method.PATCH)
    assert (intent.fence.uid, intent.fence.resource_version) == ("u-1", "7")
    assert change is not None
    assert json.loads(change.patch) == {"data": {"operations": "suspended"}}
    after = merged(found, json.loads(change.patch))
    words = shlex.split(change.diff.partition("to lift it: ")[2])
    assert words[:4] == ["kubectl", "patch", "configmap", NAME]
    assert words[4:7] == ["-n", seen(found).namespace, "--type=merge"]
    assert json.loads(words[-1]) == json.loads(change.undo) == {"data": undo}
    assert merged(after, json.loads(words[-1]))["data"] == before


def test_a_value_that_looks_like_a_secret_is_not_told() -> None:
    switch = SWITCH | {"key": "api_token"}
    decision = one(seen(stored({"api_token": "hunter2hunter2"}), allowed(containment=switch)))
    assert decision.intent.change is not None
    assert decision.intent.change.undo == ""
    assert "hunter2" not in str(decision)


@pytest.mark.parametrize("changes", [{"actions": []}, {"containment": None}])
def test_without_both_the_action_and_its_setting_nothing_asks_for_it(changes: dict[str, Any]) -> None:
    made = plan(seen(stored(DESIRED), allowed().model_copy(update=changes)))
    assert not made.decisions
    assert {item.reason for item in made.escalations} == {"NoRemedy"}


def test_by_default_it_waits_for_a_person() -> None:
    actions = [{"name": "Contain", "budget": {"limit": 1, "window": "1h"}}]
    decision = one(seen(stored(DESIRED), allowed(actions=actions)))
    assert (decision.decision, decision.gate) == ("Denied", "approval")


def test_it_does_not_wait_until_most_of_the_namespace_is_well() -> None:
    """The worse it stands, the more it matters that nobody makes it worse."""
    down = [workload("kiro", replicas=2)], [pod(f"kiro-{number}", "kiro", ready=False) for number in range(2)]
    sick = snapshot(*down)
    facts = replace(seen(stored(DESIRED)), pods=sick.pods, deployments=sick.deployments)
    assert one(facts).decision == "Allowed"
    drifted = allowed(safetyConfig={"data": DESIRED, "onDrift": "Restore"})
    found = seen(stored(DESIRED | {"limit": "9"}), drifted, harm=False)
    facts = replace(found, pods=sick.pods, deployments=sick.deployments)
    assert one(facts).gate == "blast-radius", "what mends waits"


def test_it_does_not_wait_until_a_mass_failure_is_long_over() -> None:
    storm = Storm(since=NOW - timedelta(minutes=5), subsided=NOW - timedelta(minutes=1))
    assert one(seen(stored(DESIRED)), storm=storm).decision == "Allowed"
    drifted = allowed(safetyConfig={"data": DESIRED, "onDrift": "Restore"})
    found = seen(stored(DESIRED | {"limit": "9"}), drifted, harm=False)
    assert one(found, storm=storm).gate == "storm", "what mends waits"


def test_policies_that_disagree_contain_nothing() -> None:
    other = allowed(containment=SWITCH | {"value": "off"})
    assert not plan(seen(stored(DESIRED), allowed(), other)).decisions


def test_what_a_service_account_lacks_is_no_harm() -> None:
    rights = {"mustAllow": [{"verb": "create", "resource": "pods"}], "mustDeny": []}
    made = plan(seen(stored(DESIRED), allowed(permissions=rights), harm=False))
    assert not made.decisions


def test_where_the_configuration_is_absent_or_unseen_nothing_is_done() -> None:
    assert not plan(seen(None)).decisions
    facts = seen(stored(DESIRED))
    unseen = {**facts.samples, SAFETY_CONFIG.name: Sample(2, NOW, Unobserved("Timeout", "no answer"))}
    made = plan(replace(facts, samples=unseen))
    assert not made.decisions
    assert {item.reason for item in made.escalations} == {"NoRemedy"}


def test_before_the_first_look_at_the_configuration_nobody_is_called() -> None:
    facts = seen(stored(DESIRED))
    made = plan(replace(facts, samples={ACCESS.name: facts.samples[ACCESS.name]}))
    assert (made.decisions, made.escalations) == ((), ())
    assert [item.reason for item in made.held] == ["AwaitingSamples"]


def test_while_it_holds_it_is_not_asked_for_again_and_nothing_restores_over_it() -> None:
    spec = allowed(safetyConfig={"data": DESIRED, "onDrift": "Restore"})
    made = plan(seen(stored(DESIRED | {"operations": "suspended"}), spec))
    assert not made.decisions
    found = stored({"operations": "suspended", "limit": "9"})
    decision = one(seen(found, spec, harm=False))
    assert decision.intent.action is ActionName.RESTORE_SAFETY_CONFIG
    assert decision.intent.change is not None
    assert json.loads(decision.intent.change.patch) == {"data": {"limit": "3"}}


def test_once_lifted_what_is_desired_counts_again() -> None:
    spec = allowed(safetyConfig={"data": DESIRED, "onDrift": "Restore"})
    assert not plan(seen(stored(DESIRED), spec, harm=False)).decisions
    decision = one(seen(stored(DESIRED | {"operations": "free"}), spec, harm=False))
    assert decision.intent.action is ActionName.RESTORE_SAFETY_CONFIG


def test_harm_is_contained_before_drift_is_mended_and_each_has_its_turn() -> None:
    spec = allowed(safetyConfig={"data": DESIRED, "onDrift": "Restore"}, cooldown="0s")
    facts = seen(stored(DESIRED | {"limit": "9"}), spec)
    first = one(facts)
    assert first.intent.action is ACTION
    done = entry(first, ActionName.RESTORE_SAFETY_CONFIG)
    again = one(facts, ledger=Ledger((done,)))
    assert (again.intent.action, again.intent.step) == (ACTION, 2)
    both = Ledger((done, entry(again, ACTION)))
    assert [item.reason for item in plan(facts, ledger=both).escalations] == ["LadderExhausted"]


def entry(decision: Decision, action: ActionName) -> Entry:
    return Entry(
        name=decision.intent.name,
        action=action,
        method=Method.PATCH,
        target=decision.intent.target,
        episode=1,
        step=decision.intent.step,
        state=RemediationState.SUCCEEDED,
        reserved_at=NOW - timedelta(minutes=8),
        acted_at=NOW - timedelta(minutes=8),
        completed_at=NOW - timedelta(minutes=7),
    )


def test_what_a_policy_names_is_sampled() -> None:
    assert named_by([allowed(containment=SWITCH | {"configMap": "switches"})]) == ["switches"]


SPEC = KiroRemediationSpec.model_validate(
    {
        "action": "Contain",
        "method": "Patch",
        "target": {"apiVersion": "v1", "kind": "ConfigMap", "name": NAME, "uid": "u-1"},
        "change": {"patch": '{"data":{"operations":"suspended"}}', "diff": "operations → 'suspended'"},
        "fence": {"uid": "u-1", "resourceVersion": "7"},
        "healthCheck": {"name": "kiro", "uid": "u-2"},
        "policy": {"name": "policy", "uid": "u-3"},
        "check": "service-account-permissions",
        "reason": "PermissionExcessive",
        "message": "it may too much",
        "episode": 1,
        "step": 1,
        "timeout": "5m",
        "stabilization": "1m",
    }
)
STATUS = KiroRemediationStatus(state=RemediationState.VERIFYING, acted_at=NOW)


@pytest.mark.parametrize(
    ("stays", "seen_after", "after", "state", "reason"),
    [
        (True, -1, 10, "Verifying", "NotObserved"),
        (True, 1, 10, "Verifying", "Holding"),
        # What was seen before its time is over says nothing of the rest, however late it is by now.
        (True, 1, 60, "Verifying", "Holding"),
        (True, 59, 400, "Verifying", "Holding"),
        (True, 60, 60, "Succeeded", "Held"),
        (True, 61, 75, "Succeeded", "Held"),
        (False, 1, 10, "Failed", "Reverted"),
        (False, 61, 75, "Failed", "Reverted"),
        (False, -1, 10, "Verifying", "NotObserved"),
        (Unobserved("Timeout", "no answer"), 1, 10, "Verifying", "NotObserved"),
        (Unobserved("Timeout", "no answer"), 61, 75, "Verifying", "NotObserved"),
        (Unobserved("Timeout", "no answer"), 1, 300, "Failed", "NotObserved"),
    ],
)
def test_it_succeeds_by_staying(
    stays: bool | Unobserved,  # noqa: FBT001 - a fact
    seen_after: int,
    after: int,
    state: str,
    reason: str,
) -> None:
    seen_at = NOW + timedelta(seconds=seen_after)
    result = verify_held(SPEC, STATUS, stays, seen_at, NOW + timedelta(seconds=after))
    assert (result.state, result.reason) == (state, reason)
    if reason == "Holding":
        assert result.next == NOW + timedelta(minutes=1), "only what is sampled from then on tells"


def test_what_is_set_is_told_from_what_somebody_else_has_set() -> None:
    ref, patch = Ref("ConfigMap", NAME, "u-1"), '{"data":{"operations":"suspended","gone":null}}'
    assert held(ref, patch, "6", seen(stored({"operations": "suspended", "other": "x"}))) is True
    assert held(ref, patch, "6", seen(stored({"operations": "supervised"}))) is False
    assert held(ref, patch, "6", seen(stored({"operations": "suspended", "gone": ""}))) is False
    assert held(ref, patch, "6", seen(stored({"operations": "suspended"}, metadata={"uid": "u-2"}))) is False
    assert held(ref, patch, "6", seen(None)) is False


def test_a_list_that_is_older_than_the_change_is_nobody_who_took_it_back() -> None:
    ref, patch = Ref("ConfigMap", NAME, "u-1"), '{"data":{"operations":"suspended"}}'
    stale = held(ref, patch, "7", seen(stored({"operations": "supervised"})))
    assert isinstance(stale, Unobserved)
    assert stale.reason == "Stale"
