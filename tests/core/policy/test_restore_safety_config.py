"""RestoreSafetyConfig: the one change after which nothing differs, or a reason why there is none."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.adapters.kubernetes.safety_config import kept
from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.checks import registry
from kiro_operator.core.decide import Inputs, Policy, decide
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData
from kiro_operator.core.patches import merged
from kiro_operator.core.policy.types import Change, Entry, Ledger
from kiro_operator.core.snapshot import Ref, Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Verdict
from tests.core.policy.make import NOW, policy, snapshot
from tests.core.policy.test_restore_steering import MARKS

CHECK_ID, ACTION = "safety-config", ActionName.RESTORE_SAFETY_CONFIG
DESIRED = {"mode": "supervised", "limit": "3"}


def strict(**changes: Any) -> KiroSafetyPolicySpec:
    wanted = {"data": DESIRED, "onDrift": "Restore"} | changes.pop("safetyConfig", {})
    actions = [{"name": ACTION.value, "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}]
    return policy(**({"safetyConfig": wanted, "actions": actions, "scale": None} | changes))


def stored(data: dict[str, str] | None, **more: Any) -> dict[str, Any]:
    metadata = {"name": "kiro-safety-config", "uid": "u-1", "resourceVersion": "7"} | more.pop("metadata", {})
    return {"kind": "ConfigMap", "metadata": metadata} | ({} if data is None else {"data": data}) | more


def seen(found: dict[str, Any] | None, *policies: KiroSafetyPolicySpec) -> Snapshot:
    config: ConfigData | None = None if found is None else kept(json.dumps(found).encode())
    named = [spec.safety_config.name for spec in policies if spec.safety_config is not None]
    sample = Sample(1, NOW, dict.fromkeys(named) | {"kiro-safety-config": config})
    specs = {f"policy-{number}": spec for number, spec in enumerate(policies)}
    return replace(snapshot(), policies=specs, samples={SAFETY_CONFIG.name: sample})


def plan(facts: Snapshot, *, ledger: Ledger | None = None) -> Any:
    check = registry()[CHECK_ID].check
    verdict: Verdict = check.judge(facts, check.parameters(), NOW)
    return decide(
        Inputs(
            verdicts={CHECK_ID: (verdict, True)},
            spec=KiroHealthCheckSpec(),
            policies=tuple(Policy(name, spec) for name, spec in facts.policies.items()),
            ledger=ledger or Ledger(),
            snapshot=facts,
            now=NOW,
        )
    )


@pytest.mark.parametrize(
    "found",
    [
        stored({"mode": "free", "limit": "3"}),
        stored({"mode": "supervised"}),
        stored({**DESIRED, "backdoor": "on"}),
        stored(None),
        stored({"mode": "supervised"}, binaryData={"limit": "aGk="}),
        stored(DESIRED, binaryData={"blob": "aGk="}),
        stored({"mode": "free", "token": "hunter2hunter2"}, binaryData={"limit": "aGk=", "blob": "aGk="}),
    ],
)
def test_after_the_change_nothing_differs(found: dict[str, Any]) -> None:
    [decision] = plan(seen(found, strict())).decisions
    assert (decision.decision, decision.intent.method, decision.intent.action) == (
        "Allowed",
        Method.PATCH,
        ACTION,
    )
    assert (decision.intent.fence.uid, decision.intent.fence.resource_version) == ("u-1", "7")
    change = json.loads(decision.intent.change.patch)
    assert "metadata" not in change
    after = merged(found, change)
    assert after["data"] == DESIRED
    assert not after.get("binaryData")
    assert "hunter2" not in decision.intent.change.diff + decision.intent.message


@pytest.mark.parametrize("metadata", MARKS)
def test_what_is_kept_in_git_is_reverted_there(metadata: dict[str, Any]) -> None:
    """Two who bring it back to what each of them has would not come to an end."""
    made = plan(seen(stored({"mode": "free"}, metadata=metadata), strict()))
    [decision] = made.decisions
    assert (decision.decision, decision.gate, decision.reason) == ("Denied", "gitops", "OwnedByGitOps")
    assert [item.reason for item in made.escalations] == ["OwnedByGitOps"]


def test_what_is_absent_is_made_anew() -> None:
    [decision] = plan(seen(None, strict())).decisions
    assert (decision.decision, decision.intent.method) == ("Allowed", Method.CREATE)
    made = json.loads(decision.intent.change.patch)
    assert made["data"] == DESIRED
    assert made["metadata"] == {"name": "kiro-safety-config"}


def test_what_is_as_it_should_be_is_left_alone() -> None:
    made = plan(seen(stored(DESIRED), strict()))
    assert (made.decisions, made.escalations, made.held) == ((), (), ())


def test_observing_asks_a_person() -> None:
    made = plan(seen(stored({"mode": "free"}), strict(safetyConfig={"onDrift": "Observe"})))
    assert not made.decisions
    assert [item.reason for item in made.escalations] == ["NoRemedy"]


@pytest.mark.parametrize(
    "other",
    [
        strict(safetyConfig={"data": {"mode": "free"}, "onDrift": "Observe"}),
        strict(safetyConfig={"data": {"mode": "free"}}),
        strict(safetyConfig={"onDrift": "Observe"}),
        strict(safetyConfig={"name": "another"}),
        strict(safetyConfig={"name": "another", "onDrift": "Observe"}),
        strict().model_copy(update={"safety_config": None}),
        strict(safetyConfig={"data": {"mode": "free"}}, actions=[]),
        strict(safetyConfig={"onDrift": "Observe"}, actions=[], mode="Observe"),
    ],
)
def test_what_not_all_policies_ask_for_is_not_restored(other: KiroSafetyPolicySpec) -> None:
    """Nor does it matter which of the two the KiroHealthCheck names."""
    for policies in ((strict(), other), (other, strict())):
        made = plan(seen(stored({"mode": "odd"}), *policies))
        assert not made.decisions
        assert "PoliciesDisagree" in {item.reason for item in made.escalations}


def test_what_all_policies_ask_for_is_restored() -> None:
    [decision] = plan(seen(stored({"mode": "odd"}), strict(), strict(cooldown="1h"))).decisions
    assert decision.decision == "Allowed"


def test_a_policy_about_other_actions_is_told_by_its_gate() -> None:
    other = policy()
    [decision] = plan(seen(stored({"mode": "odd"}), strict(), other)).decisions
    assert (decision.decision, decision.reason) == ("Denied", "ActionNotAllowed")


def test_more_keys_than_are_looked_at_are_for_a_person() -> None:
    made = plan(seen(stored({f"key-{number}": "x" for number in range(200)}), strict()))
    assert not made.decisions
    assert [item.reason for item in made.escalations] == ["TooManyKeys"]


@pytest.mark.parametrize(
    ("changes", "gate", "reason"),
    [
        ({"actions": []}, "allowed-actions", None),
        ({"pauseRequests": ["maintenance"]}, "pause-requests", None),
        ({"mode": "Observe"}, "mode", None),
        ({"protected": {"selectors": [{"matchLabels": {"team": "core"}}]}}, "protected", "Protected"),
    ],
)
def test_the_gates_hold_for_it_as_well(changes: dict[str, Any], gate: str, reason: str | None) -> None:
    found = stored({"mode": "free"}, metadata={"labels": {"team": "core"}})
    [decision] = plan(seen(found, strict(**changes))).decisions
    assert (decision.decision, decision.gate) == ("Denied", gate)
    assert reason is None or decision.reason == reason


def test_the_annotation_protects_it() -> None:
    found = stored({"mode": "free"}, metadata={"annotations": {"kiro.dev/protected": "true"}})
    [decision] = plan(seen(found, strict())).decisions
    assert (decision.decision, decision.gate) == ("Denied", "protected")


def test_another_object_or_none_to_be_seen_is_not_acted_on() -> None:
    facts = seen(stored({"mode": "free"}), strict())
    check = registry()[CHECK_ID].check
    verdict = check.judge(facts, check.parameters(), NOW)
    for sample in (
        Unobserved("Timeout", "no answer"),
        {"kiro-safety-config": kept(json.dumps(stored({}, metadata={"uid": "u-2"})).encode())},
        {"kiro-safety-config": None},
    ):
        later = replace(facts, samples={SAFETY_CONFIG.name: Sample(2, NOW, sample)})
        made = decide(
            Inputs(
                verdicts={CHECK_ID: (verdict, True)},
                spec=KiroHealthCheckSpec(),
                policies=tuple(Policy(name, spec) for name, spec in facts.policies.items()),
                ledger=Ledger(),
                snapshot=later,
                now=NOW,
            )
        )
        assert not [item for item in made.decisions if item.decision == "Allowed"], sample


def test_who_changes_it_again_soon_after_is_for_a_person_to_stop() -> None:
    facts = seen(stored({"mode": "free"}), strict())
    [first] = plan(facts).decisions
    done = Entry(
        name=first.intent.name,
        action=ACTION,
        method=Method.PATCH,
        target=first.intent.target,
        episode=1,
        step=1,
        state=RemediationState.SUCCEEDED,
        reserved_at=NOW - timedelta(minutes=8),
        acted_at=NOW - timedelta(minutes=8),
        completed_at=NOW - timedelta(minutes=7),
        check=CHECK_ID,
    )
    made = plan(facts, ledger=Ledger((done,)))
    assert not made.decisions
    assert [item.reason for item in made.escalations] == ["LadderExhausted"]


BUDGET = {"limit": 5, "window": "1h"}
SUSPENDED = {"configMap": "kiro-safety-config", "key": "operations", "value": "suspended"}
CONTAINED = Entry(
    name="configmap-x-e1s1",
    action=ActionName.CONTAIN,
    method=Method.PATCH,
    target=Ref("ConfigMap", "kiro-safety-config", "u-1"),
    episode=1,
    step=1,
    state=RemediationState.SUCCEEDED,
    reserved_at=NOW - timedelta(hours=2),
    acted_at=NOW - timedelta(hours=2),
    completed_at=NOW - timedelta(hours=2),
    change=Change('{"data": {"operations": "suspended"}}', "d", '{"data": {"operations": "enabled"}}'),
    check="service-account-permissions",
)


@pytest.mark.parametrize(
    "change",
    [
        {"actions": ["RestoreSafetyConfig"], "containment": SUSPENDED},
        {"actions": ["RestoreSafetyConfig"]},
        {"actions": ["RestoreSafetyConfig", "Contain"], "containment": SUSPENDED | {"value": "paused"}},
    ],
    ids=["Contain is listed no more", "containment is gone", "its value is another one"],
)
def test_a_policy_that_says_less_lifts_no_containment(change: dict[str, Any]) -> None:
    actions = [{"name": name, "approval": "Automatic", "budget": BUDGET} for name in change["actions"]]
    wanted = {"safetyConfig": {"data": DESIRED | {"operations": "enabled"}}}
    said = strict(**wanted, **change | {"actions": actions})
    found = seen(stored(DESIRED | {"operations": "suspended"}), said)
    result = plan(found, ledger=Ledger((CONTAINED,)))
    assert not [each for each in result.decisions if each.decision == "Allowed"]
    # Without the record it is a change like any other.
    free = plan(found)
    assert [each.decision for each in free.decisions] == ["Allowed"]


def later(**changes: Any) -> Entry:
    """A containment by another key, that came an hour later."""
    two = Change('{"data": {"mode": "halt"}}', "d", '{"data": {"mode": null}}')
    after = CONTAINED.reserved_at + timedelta(hours=1)
    made = replace(CONTAINED, name="configmap-x-e1s2", step=2, reserved_at=after, acted_at=after, change=two)
    return replace(made, **changes)


@pytest.mark.parametrize(
    "entries",
    [
        (CONTAINED, later()),
        (CONTAINED, later(state=RemediationState.FAILED, reason="Reverted")),
    ],
    ids=["another key later", "that one was lifted"],
)
def test_each_containment_that_stands_is_left_alone(entries: tuple[Entry, ...]) -> None:
    said = strict(safetyConfig={"data": DESIRED | {"operations": "enabled"}})
    found = seen(stored(DESIRED | {"operations": "suspended", "mode": "halt"}), said)
    written = [each.intent.change for each in plan(found, ledger=Ledger(entries)).decisions]
    assert not [each for each in written if each is None or "operations" in json.loads(each.patch)["data"]]
    [free] = [each.intent.change for each in plan(found).decisions]
    assert free is not None
    assert json.loads(free.patch)["data"]["operations"] == "enabled"
