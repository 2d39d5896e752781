"""RestoreRBAC: what is desired is written where it lies within the baseline, and otherwise nothing is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.remediation import KiroRemediationSpec, KiroRemediationStatus, Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.access import RBAC, matches
from kiro_operator.core.checks import registry
from kiro_operator.core.decide import Inputs, Policy, decide
from kiro_operator.core.evidence.access import ACCESS, Access, Binding, Question, RbacRule, Role, Subject
from kiro_operator.core.evidence.restorable import RESTORABLE, Bounds, FoundBinding, FoundRole, Restorable
from kiro_operator.core.grants import beyond, grants, within
from kiro_operator.core.policy.types import Ledger
from kiro_operator.core.snapshot import Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Verdict
from kiro_operator.core.verify import Act, AlreadyDone, Expire, Live, resume
from tests.core.policy.make import NOW, policy, snapshot

CHECK_ID, ACTION, NAME = "safety-cluster-role", ActionName.RESTORE_RBAC, "kiro-autonomous-operations"
GET = RbacRule(("get",), ("",), ("pods",))
PATCH = RbacRule(("get", "patch"), ("apps",), ("deployments",))
EXEC = RbacRule(("create",), ("",), ("pods/exec",))
DESIRED = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]},
]
NAMESPACE = snapshot().namespace
KIRO = Subject("ServiceAccount", "kiro", NAMESPACE)
MALLORY = Subject("Group", "mallory")
BOUNDS = Bounds((RbacRule(("get", "list"), ("",), ("pods",)), PATCH), (KIRO,))


def strict(**changes: Any) -> KiroSafetyPolicySpec:
    wanted = {"rules": DESIRED, "onDrift": "Restore"} | changes.pop("clusterRole", {})
    actions = [{"name": ACTION.value, "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}]
    return policy(**({"clusterRole": wanted, "actions": actions, "scale": None} | changes))


def role(*rules: RbacRule, **more: Any) -> FoundRole:
    return FoundRole(uid="u-role", resource_version="7", rules=rules, **more)


def bound(*subjects: Subject, name: str = NAME) -> FoundBinding:
    return FoundBinding(
        uid="u-binding", resource_version="8", role_kind="ClusterRole", role_name=name, subjects=subjects
    )


def seen(
    *policies: KiroSafetyPolicySpec,
    found: FoundRole | None,
    binding: FoundBinding | None = None,
    bounds: Bounds | None = BOUNDS,
    others: Sequence[Binding] = (Binding("RoleBinding", "kiro", "ClusterRole", NAME, (KIRO,)),),
) -> Snapshot:
    """Listed a while ago, when all was well; read by name just now."""
    listed = Access(
        looked_for=frozenset({NAME}),
        roles=(Role("ClusterRole", NAME, (GET, PATCH), "u-role"),),
        bindings=tuple(others),
    )
    samples = {
        ACCESS.name: Sample(1, NOW, listed),
        RESTORABLE.name: Sample(1, NOW, {NAME: Restorable(found, binding, bounds)}),
    }
    specs = {f"policy-{number}": spec for number, spec in enumerate(policies or (strict(),))}
    return replace(snapshot(), policies=specs, samples=samples)


def verdict_of(facts: Snapshot) -> Verdict:
    check = registry()[CHECK_ID].check
    verdict: Verdict = check.judge(facts, check.parameters(), NOW)
    return verdict


def plan(facts: Snapshot, verdict: Verdict | None = None) -> Any:
    return decide(
        Inputs(
            verdicts={CHECK_ID: (verdict or verdict_of(facts), True)},
            spec=KiroHealthCheckSpec(),
            policies=tuple(Policy(name, spec) for name, spec in facts.policies.items()),
            ledger=Ledger(),
            snapshot=facts,
            now=NOW,
        )
    )


@pytest.mark.parametrize("rules", [(GET, PATCH, EXEC), (PATCH,), (), (RbacRule(("*",), ("*",), ("*",)),)])
def test_a_role_that_differs_is_given_the_rules_that_are_desired(rules: tuple[RbacRule, ...]) -> None:
    [decision] = plan(seen(found=role(*rules))).decisions
    intent = decision.intent
    assert (decision.decision, intent.method, intent.action) == ("Allowed", Method.PATCH, ACTION)
    assert (intent.target.kind, intent.fence.uid, intent.fence.resource_version) == (
        "ClusterRole",
        "u-role",
        "7",
    )
    # A merge patch takes lists as a whole, so that nothing else is left in them.
    assert json.loads(intent.change.patch) == {"rules": DESIRED, "aggregationRule": None}


def test_a_role_that_is_kept_in_git_is_reverted_there() -> None:
    made = plan(seen(found=role(GET, gitops="Argo CD")))
    [decision] = made.decisions
    assert (decision.decision, decision.gate, decision.reason) == ("Denied", "gitops", "OwnedByGitOps")
    assert [item.reason for item in made.escalations] == ["OwnedByGitOps"]


def test_the_difference_is_on_record() -> None:
    [decision] = plan(seen(found=role(GET, EXEC))).decisions
    assert "taken out: create pods/exec; added: get deployments.apps" in decision.intent.change.diff


def test_a_role_that_is_absent_is_made_anew() -> None:
    [decision] = plan(seen(found=None)).decisions
    assert (decision.decision, decision.intent.method) == ("Allowed", Method.CREATE)
    assert json.loads(decision.intent.change.patch) == {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NAME},
        "rules": DESIRED,
    }


def test_nothing_desired_is_an_empty_role() -> None:
    """As the API server has it, where an empty list is none."""
    nothing = strict(clusterRole={"rules": []})
    [decision] = plan(seen(nothing, found=role(GET))).decisions
    assert json.loads(decision.intent.change.patch) == {"rules": None, "aggregationRule": None}
    [decision] = plan(seen(nothing, found=None)).decisions
    assert json.loads(decision.intent.change.patch).keys() == {"apiVersion", "kind", "metadata"}


def test_a_foreign_subject_is_taken_out_and_nobody_is_bound_more_widely() -> None:
    facts = seen(found=role(GET, PATCH), binding=bound(MALLORY), bounds=Bounds((), ()))
    [decision] = plan(facts).decisions
    assert (decision.decision, decision.intent.target.kind) == ("Allowed", "ClusterRoleBinding")
    assert (decision.intent.fence.uid, decision.intent.fence.resource_version) == ("u-binding", "8")
    # The ServiceAccount is bound by a RoleBinding of the namespace: that does not become the whole cluster.
    assert json.loads(decision.intent.change.patch) == {"subjects": None}
    assert "taken out: Group mallory" in decision.intent.change.diff


def test_who_is_bound_by_nothing_else_is_bound_again() -> None:
    own = {"kind": "ServiceAccount", "name": "kiro", "namespace": NAMESPACE}
    [decision] = plan(seen(found=role(GET, PATCH), binding=bound(MALLORY), others=())).decisions
    assert json.loads(decision.intent.change.patch) == {"subjects": [own]}
    [decision] = plan(seen(found=role(GET, PATCH), binding=None, others=())).decisions
    made = json.loads(decision.intent.change.patch)
    assert decision.intent.method is Method.CREATE
    assert (made["subjects"], made["roleRef"]["name"]) == ([own], NAME)


def test_what_is_as_it_should_be_is_left_alone() -> None:
    made = plan(seen(found=role(GET, PATCH), binding=bound(KIRO)))
    assert (made.decisions, made.escalations, made.held) == ((), (), ())


def refused(facts: Snapshot) -> tuple[str, str]:
    """The one escalation, and that nothing is done."""
    made = plan(facts)
    assert not made.decisions
    [escalation] = made.escalations
    return escalation.reason, escalation.message


def test_without_a_baseline_nothing_is_written() -> None:
    reason, message = refused(seen(found=role(EXEC), bounds=None))
    assert reason == "NoBaseline"
    assert f"KiroSafetyBaseline {NAME}" in message


def test_what_is_desired_beyond_the_baseline_is_told_and_not_written() -> None:
    reason, message = refused(seen(found=role(EXEC), bounds=Bounds((PATCH,), (KIRO,))))
    assert (reason, "lets be restored: get pods" in message) == ("BeyondBaseline", True)
    reason, message = refused(
        seen(found=role(GET, PATCH), binding=bound(MALLORY), bounds=Bounds(BOUNDS.rules, ()), others=())
    )
    assert reason == "BeyondBaseline"
    assert f"system:serviceaccount:{NAMESPACE}:kiro" in message


@pytest.mark.parametrize(
    "rule",
    [
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]},
        {"apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["get"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "nonResourceURLs": ["/metrics"], "verbs": ["get"]},
        # The schema refuses these; it is not what holds them back.
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]},
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get"]},
        {"apiGroups": [RBAC], "resources": ["clusterroles"], "verbs": ["escalate"]},
    ],
)
def test_no_policy_goes_beyond_the_baseline(rule: dict[str, Any]) -> None:
    reason, _ = refused(seen(strict(clusterRole={"rules": [rule]}), found=role(GET)))
    assert reason == "BeyondBaseline"


def test_a_baseline_that_names_objects_allows_those_alone() -> None:
    bounds = Bounds((replace(GET, resource_names=("a",)),), (KIRO,))
    for names in ([], ["b"], ["a", "b"], [""]):
        wanted = strict(clusterRole={"rules": [{**DESIRED[0], "resourceNames": names}]})
        assert refused(seen(wanted, found=role(EXEC), bounds=bounds))[0] == "BeyondBaseline", names
    wanted = strict(clusterRole={"rules": [{**DESIRED[0], "resourceNames": ["a"]}]})
    [decision] = plan(seen(wanted, found=role(EXEC), bounds=bounds)).decisions
    assert decision.decision == "Allowed"


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "ServiceAccount", "name": "kiro", "namespace": "kube-system"},
        {"kind": "ServiceAccount", "name": "default"},
        {"kind": "User", "name": f"system:serviceaccount:{NAMESPACE}:kiro"},
        {"kind": "Group", "name": "kiro"},
        {"kind": "Group", "name": "system:authenticated"},
    ],
)
def test_nobody_else_is_bound(other: dict[str, str]) -> None:
    wanted = strict(clusterRole={"subjects": [{"kind": "ServiceAccount", "name": "kiro"}, other]})
    facts = seen(wanted, found=role(GET, PATCH), binding=bound(KIRO, MALLORY))
    assert refused(facts)[0] == "BeyondBaseline"


@pytest.mark.parametrize(
    "other",
    [
        strict(clusterRole={"rules": DESIRED[:1], "onDrift": "Observe"}),
        strict(clusterRole={"rules": DESIRED[:1]}),
        strict(clusterRole={"onDrift": "Observe"}),
        strict().model_copy(update={"cluster_role": None}),
        strict(clusterRole={"onDrift": "Observe"}, actions=[], mode="Observe"),
    ],
)
def test_what_not_all_policies_ask_for_is_not_restored(other: KiroSafetyPolicySpec) -> None:
    for policies in ((strict(), other), (other, strict())):
        made = plan(seen(*policies, found=role(EXEC)))
        assert not made.decisions
        assert "PoliciesDisagree" in {item.reason for item in made.escalations}


def test_policies_that_say_the_same_in_other_rules_agree() -> None:
    split = [{**DESIRED[1], "verbs": [verb]} for verb in ("patch", "get")]
    other = strict(clusterRole={"rules": [DESIRED[0], *split]})
    [decision] = plan(seen(strict(), other, found=role(EXEC))).decisions
    assert decision.decision == "Allowed"


def test_a_binding_of_another_role_is_for_a_person() -> None:
    facts = seen(found=role(GET, PATCH), binding=bound(KIRO, name="cluster-admin"), others=())
    assert refused(facts)[0] == "OtherRole"


def test_other_bindings_are_left_to_people() -> None:
    more = Binding("ClusterRoleBinding", "more", "ClusterRole", NAME, (MALLORY, KIRO))
    assert refused(seen(found=role(GET, PATCH), others=(more,)))[0] == "NoRemedy"


def test_observing_asks_a_person() -> None:
    assert refused(seen(strict(clusterRole={"onDrift": "Observe"}), found=role(EXEC)))[0] == "NoRemedy"


@pytest.mark.parametrize(
    ("changes", "more", "gate"),
    [
        ({"actions": []}, {}, "allowed-actions"),
        ({"mode": "Observe"}, {}, "mode"),
        ({}, {"protected": "true"}, "protected"),
        ({"protected": {"selectors": [{"matchLabels": {"team": "core"}}]}}, {}, "protected"),
    ],
)
def test_the_gates_hold_for_it_as_well(changes: dict[str, Any], more: dict[str, str], gate: str) -> None:
    found = role(EXEC, labels={"team": "core"}, **more)
    [decision] = plan(seen(strict(**changes), found=found)).decisions
    assert (decision.decision, decision.gate) == ("Denied", gate)


def test_another_object_or_none_to_be_seen_is_not_acted_on() -> None:
    facts = seen(found=role(EXEC))
    verdict = verdict_of(facts)
    samples: tuple[Any, ...] = (
        Unobserved("Unreachable", "no answer"),
        {},
        {NAME: Restorable(replace(role(EXEC), uid="u-other"), None, BOUNDS)},
        {NAME: Restorable(None, None, BOUNDS)},
    )
    for sample in samples:
        later = replace(facts, samples={**facts.samples, RESTORABLE.name: Sample(2, NOW, sample)})
        made = plan(later, verdict)
        assert not made.decisions, sample
        assert [item.reason for item in made.held] == ["EvidenceMissing"], sample


def test_a_right_that_is_missing_is_for_a_person_to_grant() -> None:
    facts = seen(found=role(EXEC))
    forbidden = Unobserved("Forbidden", "add to the operator's ClusterRole: …")
    later = replace(facts, samples={**facts.samples, RESTORABLE.name: Sample(2, NOW, forbidden)})
    made = plan(later, verdict_of(facts))
    assert not made.decisions
    [escalation] = made.escalations
    assert (escalation.reason, forbidden.message in escalation.message) == ("EvidenceMissing", True)


def resumed(facts: Snapshot, live: Any, state: str) -> object:
    """What becomes of the one action that is planned, where a crash left it in a state."""
    [decision] = plan(facts).decisions
    intent = decision.intent
    target = {"apiVersion": intent.api_version, "kind": intent.target.kind, "name": NAME}
    spec = KiroRemediationSpec.model_validate(
        {
            "action": intent.action,
            "method": intent.method,
            "target": target | {"uid": intent.target.uid},
            "fence": {"uid": intent.fence.uid, "resourceVersion": intent.fence.resource_version},
            "healthCheck": {"name": "kiro", "uid": "u"},
            "policy": {"name": "policy", "uid": "u"},
            "check": CHECK_ID,
            "reason": intent.reason,
            "message": intent.message,
            "episode": 1,
            "step": 1,
            "timeout": "5m",
            "stabilization": "1s",
            "change": {"patch": intent.change.patch, "diff": intent.change.diff},
        }
    )
    status = KiroRemediationStatus.model_validate({"state": state})
    answer = resume(spec, status, Live(workload=None, written=live, failing=True), reserved_at=NOW, now=NOW)
    return answer.reason if isinstance(answer, Expire) else type(answer)


def stored(rules: list[dict[str, Any]] | None, version: str = "9") -> dict[str, Any]:
    """A ClusterRole as the API server tells of it."""
    metadata = {"name": NAME, "uid": "u-role", "resourceVersion": version, "managedFields": []}
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}


@pytest.mark.parametrize(
    ("found", "rules", "live", "reserved", "acting"),
    [
        (role(EXEC), DESIRED, stored([{"verbs": ["create"]}], "7"), Act, Act),
        (role(EXEC), DESIRED, stored(DESIRED), "Healed", AlreadyDone),
        (role(EXEC), [], stored(None), "Healed", AlreadyDone),
        (role(EXEC), DESIRED, stored(DESIRED[:1]), "Changed", "Changed"),
        (role(EXEC), DESIRED, stored([*DESIRED, DESIRED[0]]), "Changed", "Changed"),
        (role(EXEC), DESIRED, {**stored(DESIRED), "aggregationRule": {}}, "Changed", "Changed"),
        (role(EXEC), DESIRED, None, "TargetGone", "TargetGone"),
        (None, DESIRED, None, Act, Act),
        (None, DESIRED, stored(DESIRED), "Healed", AlreadyDone),
        (None, [], stored(None), "Healed", AlreadyDone),
        (None, DESIRED, stored(DESIRED[:1]), "Changed", "Changed"),
    ],
)
def test_after_a_crash_the_live_object_says_whether_it_was_written(
    found: FoundRole | None, rules: list[Any], live: Any, reserved: object, acting: object
) -> None:
    facts = seen(strict(clusterRole={"rules": rules}), found=found)
    assert resumed(facts, live, "Reserved") == reserved
    assert resumed(facts, live, "Acting") == acting


WORDS = {
    "verbs": ["get", "patch", "*"],
    "groups": ["", "apps", "*"],
    "resources": ["pods", "pods/log", "*/log", "deployments", "*"],
    "names": ["", "a", "b"],
    "urls": ["/healthz", "/healthz/*", "pods"],
}


def some(kind: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(WORDS[kind]), max_size=2, unique=True).map(tuple)


RULE = st.builds(
    RbacRule,
    verbs=some("verbs"),
    api_groups=some("groups"),
    resources=some("resources"),
    resource_names=some("names"),
    non_resource_urls=some("urls"),
)
QUESTION = st.builds(
    Question,
    subject=st.just(KIRO),
    verb=st.sampled_from(["get", "patch", "delete"]),
    group=st.sampled_from(["", "apps", "batch"]),
    resource=st.sampled_from(["pods", "deployments", "secrets"]),
    subresource=st.sampled_from(["", "log", "exec"]),
    name=st.sampled_from(["", "a", "b", "c"]),
)


@given(rule=RULE, bounds=st.lists(RULE, max_size=3), asked=st.lists(QUESTION, min_size=1, max_size=20))
def test_what_lies_within_the_bounds_grants_nothing_that_they_do_not(
    rule: RbacRule, bounds: list[RbacRule], asked: list[Question]
) -> None:
    """By RBAC's own semantics, for whatever may be asked."""
    if not within(rule, bounds):
        return
    for question in asked:
        assert not matches(question, rule) or any(matches(question, bound) for bound in bounds)
    assert not beyond([rule], bounds)


@given(
    bound=RULE,
    keep=st.tuples(*[st.sets(st.integers(0, 1), min_size=1)] * 3),
    limited=st.sampled_from([(), ("a",)]),
)
def test_whatever_is_cut_down_lies_within(
    bound: RbacRule, keep: tuple[set[int], set[int], set[int]], limited: tuple[str, ...]
) -> None:
    def cut(values: tuple[str, ...], which: set[int]) -> tuple[str, ...]:
        return tuple(value for number, value in enumerate(values) if number in which)

    rule = replace(
        bound,
        verbs=cut(bound.verbs, keep[0]),
        api_groups=cut(bound.api_groups, keep[1]),
        resources=cut(bound.resources, keep[2]),
        resource_names=bound.resource_names or limited,
    )
    assert within(rule, [bound])
    # One verb more is beyond it.
    assert not within(replace(rule, verbs=(*rule.verbs, "delete")), [bound])


@given(rules=st.lists(RULE, max_size=3), bounds=st.lists(RULE, max_size=3))
def test_whatever_a_policy_desires_is_written_within_the_baseline_or_not_at_all(
    rules: list[RbacRule], bounds: list[RbacRule]
) -> None:
    """Through the whole decision: the patch of any intent grants no piece that the baseline does not."""
    wanted = [
        {
            "verbs": list(rule.verbs),
            "apiGroups": list(rule.api_groups),
            "resources": list(rule.resources),
            "resourceNames": list(rule.resource_names),
            "nonResourceURLs": list(rule.non_resource_urls),
        }
        for rule in rules
        if rule.verbs
    ]
    facts = seen(
        strict(clusterRole={"rules": wanted}),
        found=role(RbacRule(("delete",), ("",), ("nodes",))),
        bounds=Bounds(tuple(bounds), (KIRO,)),
    )
    for decision in plan(facts).decisions:
        written = [
            RbacRule(
                tuple(rule["verbs"]),
                tuple(rule.get("apiGroups", ())),
                tuple(rule.get("resources", ())),
                tuple(rule.get("resourceNames", ())),
                tuple(rule.get("nonResourceURLs", ())),
            )
            for rule in json.loads(decision.intent.change.patch)["rules"] or ()
        ]
        assert not beyond(written, bounds)
        assert set(grants(written)) == set(grants(rule for rule in rules if rule.verbs))
