"""A ClusterRole and its binding are brought back within the baseline, by the rights of the overlay alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from devcluster.wait import until
from kiro_operator.core.evidence.access import RbacRule
from kiro_operator.core.grants import within
from tests.deploy.rights import RBAC
from tests.harness.restoring import (
    ADMISSION,
    EXEC,
    GET,
    LOG,
    MALLORY,
    PATCH,
    PLACES,
    URL,
    WIDEST,
    Object,
    Restoring,
    refusal,
)

EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
ROLES, BINDINGS, BASELINES = (
    PLACES[kind] for kind in ("ClusterRole", "ClusterRoleBinding", "KiroSafetyBaseline")
)


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Restoring]:
    made = Restoring(control_plane, namespace, tmp_path)
    yield made
    made.close()


def test_what_was_widened_is_narrowed_once(world: Restoring) -> None:
    world.baseline()
    world.role(GET, PATCH)
    world.bind(world.kiro)
    world.begin()
    world.wait_condition("AutonomyEffective", "True")
    assert not world.remediations()

    world.change("ClusterRole", rules=[GET, PATCH, EXEC])

    [done] = world.wait_remediation("Succeeded")
    found = world.found()
    assert found["rules"] == [GET, PATCH]
    assert (done["spec"]["action"], done["spec"]["method"]) == ("RestoreRBAC", "Patch")
    assert (done["spec"]["target"]["kind"], done["spec"]["fence"]["uid"]) == (
        "ClusterRole",
        found["metadata"]["uid"],
    )
    assert "taken out: create pods/exec" in done["spec"]["change"]["diff"]
    world.wait_condition("AutonomyEffective", "True")

    world.change("ClusterRoleBinding", subjects=[world.kiro, MALLORY])

    world.wait_remediation("Succeeded", 2)
    assert world.found("ClusterRoleBinding")["subjects"] == [world.kiro]
    assert world.writes() == [("clusterroles", "patch"), ("clusterrolebindings", "patch")]


def test_what_was_deleted_is_made_anew(world: Restoring) -> None:
    world.baseline()
    world.begin(GET, LOG)
    done = world.wait_remediation("Succeeded", 2, timeout=60)
    # A ClusterRole that is not there can be bound, and is not found to be: first the one, then the other.
    assert [(item["spec"]["target"]["kind"], item["spec"]["method"]) for item in done] == [
        ("ClusterRole", "Create"),
        ("ClusterRoleBinding", "Create"),
    ]
    assert world.found()["rules"] == [GET, LOG]
    bound = world.found("ClusterRoleBinding")
    assert (bound["roleRef"]["name"], bound["subjects"]) == (world.name, [world.kiro])


def test_a_role_that_gathers_its_rules_is_cut_off_from_where_they_come(world: Restoring) -> None:
    """Rules taken out alone would be back in a moment: the controller manager gathers them anew."""
    world.baseline()
    world.role(GET, PATCH)
    world.bind(world.kiro)
    label = {f"gathered-{world.namespace}": "true"}
    world.plane.rest.post(
        ROLES, {"metadata": {"name": f"{world.name}-more", "labels": label}, "rules": [EXEC]}
    )
    world.change("ClusterRole", aggregationRule={"clusterRoleSelectors": [{"matchLabels": label}]})
    until(lambda: world.holds(EXEC), "the rules to be gathered", 30)

    world.begin()

    world.wait_remediation("Succeeded")
    found = world.found()
    assert (found["rules"], "aggregationRule" in found) == ([GET, PATCH], False)
    assert world.writes() == [("clusterroles", "patch")]
    world.plane.rest.delete(f"{ROLES}/{world.name}-more")


@pytest.mark.parametrize("kind", ["ClusterRole", "ClusterRoleBinding"])
def test_what_is_kept_in_git_is_reverted_there(world: Restoring, kind: str) -> None:
    world.baseline()
    world.role(GET, EXEC) if kind == "ClusterRole" else world.role(GET, PATCH)
    world.bind(world.kiro) if kind == "ClusterRole" else world.bind(world.kiro, MALLORY)
    world.change(kind, metadata={"annotations": {"argocd.argoproj.io/tracking-id": "kiro:rbac/roles"}})

    world.begin()

    world.wait_condition("Escalated", "True", reason="OwnedByGitOps")
    assert not world.writes()


BEYOND: dict[str, tuple[Object, str]] = {
    "another resource": ({"rules": [GET, EXEC]}, "create pods/exec"),
    "a subresource": ({"rules": [GET, {**GET, "resources": ["pods/log"]}]}, "get pods/log"),
    "another verb": ({"rules": [{**GET, "verbs": ["get", "delete"]}]}, "delete pods"),
    "a path": ({"rules": [GET, URL]}, "get /healthz"),
    "all names where one is allowed": ({"rules": [{**LOG, "resourceNames": []}]}, "get pods/log"),
    "another name": ({"rules": [{**LOG, "resourceNames": ["vault-0"]}]}, "get pods/log/vault-0"),
}


@pytest.mark.parametrize("case", BEYOND)
def test_what_is_desired_beyond_the_baseline_is_told_and_not_written(world: Restoring, case: str) -> None:
    """Whoever writes the policy of a namespace comes to nothing that the cluster's admin does not allow."""
    wanted, named = BEYOND[case]
    world.baseline()
    world.role(GET)
    world.bind(world.kiro)
    world.begin(clusterRole=wanted)
    escalated = world.wait_condition("Escalated", "True", reason="BeyondBaseline")
    assert f"KiroSafetyBaseline {world.name} lets be restored: {named}" in escalated["message"]
    assert world.holds(GET)
    assert not world.remediations()
    assert not world.writes()


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "ServiceAccount", "name": "kiro", "namespace": "kube-system"},
        {"kind": "Group", "name": "system:authenticated"},
        {"kind": "User", "name": "kiro"},
    ],
    ids=lambda item: item["kind"],
)
def test_whom_the_baseline_does_not_name_is_not_bound(world: Restoring, other: Object) -> None:
    world.baseline()
    world.role(GET, PATCH)
    world.bind(world.kiro)
    world.begin(clusterRole={"subjects": [world.kiro, other]})
    escalated = world.wait_condition("Escalated", "True", reason="BeyondBaseline")
    assert "lets be bound in the whole cluster" in escalated["message"]
    assert world.found("ClusterRoleBinding")["subjects"] == [world.kiro]
    assert not world.writes()


def test_a_wider_baseline_of_another_name_allows_nothing(world: Restoring) -> None:
    """Neither does it bound this ClusterRole, nor may the operator touch the one that it bounds."""
    other = f"{world.name}-other"
    world.baseline(rules=[{**GET, "resourceNames": []}])
    world.baseline(rules=[{**EXEC, "resourceNames": []}], name=other)
    world.role(GET)
    world.make("ClusterRole", other, rules=[GET])
    world.bind(world.kiro)
    world.begin(EXEC)
    world.wait_condition("Escalated", "True", reason="BeyondBaseline")

    wanted = {"name": other, "rules": [EXEC | {"resourceNames": []}], "onDrift": "Restore"}
    world.plane.rest.patch(world.path("kirosafetypolicies", "policy"), {"spec": {"clusterRole": wanted}})

    held = world.wait_condition("Escalated", "True", reason="EvidenceMissing")
    assert f"resourceNames ['{other}']" in held["message"]
    assert [world.plane.rest.get(f"{ROLES}/{name}")["rules"] for name in (world.name, other)] == [[GET]] * 2
    assert not world.remediations()
    assert not world.writes()


def test_a_binding_of_another_role_is_left_to_a_person(world: Restoring) -> None:
    """What a binding is of cannot be changed, and the operator deletes none."""
    world.baseline()
    world.role(GET, PATCH)
    world.bind(MALLORY, role="view")
    world.begin()
    escalated = world.wait_condition("Escalated", "True", reason="OtherRole")
    assert "grants ClusterRole view" in escalated["message"]
    assert world.found("ClusterRoleBinding")["roleRef"]["name"] == "view"
    assert not world.writes()


def test_a_namespace_that_the_admin_does_not_list_restores_nothing(world: Restoring) -> None:
    world.baseline()
    world.role(EXEC)
    world.bind(world.kiro)
    world.desire()
    world.operator("--cluster-facts-namespace", "elsewhere")
    world.wait_check("safety-cluster-role", "Skipped")
    # Before the policy has been seen, it is for want of one.
    flag = "--cluster-facts-namespace"
    until(lambda: flag in world.check("safety-cluster-role")["message"], "the reason", 30)
    assert world.holds(EXEC)
    assert not world.writes()


def test_a_record_that_somebody_forged_is_held_by_the_api_server(world: Restoring) -> None:
    """What is taken up after a crash is written as the record has it; nobody has to believe the record."""
    world.baseline()
    world.role(GET)
    world.bind(world.kiro)
    world.token()
    asker = world.desire()
    for kind, change in (
        ("ClusterRole", {"rules": [GET, EXEC]}),
        ("ClusterRoleBinding", {"subjects": [world.kiro, MALLORY]}),
    ):
        world.record(
            f"forged-{kind.lower()}",
            "Reserved",
            world.found(kind),
            asker,
            action="RestoreRBAC",
            method="Patch",
            check="safety-cluster-role",
            reason="RoleDiffers",
            change={"patch": json.dumps(change), "diff": "nothing to worry about"},
        )

    world.restorer()

    [denied] = world.wait_remediation("Denied", timeout=60)
    assert denied["metadata"]["name"] == "forged-clusterrole"
    assert "wider than the KiroSafetyBaseline" in denied["status"]["message"]
    [needless] = world.wait_remediation("Expired")
    assert (needless["metadata"]["name"], needless["status"]["reason"]) == (
        "forged-clusterrolebinding",
        "Healed",
    )
    # And what is desired is done all the same.
    world.wait_remediation("Succeeded", timeout=60)
    assert world.holds(GET, PATCH)
    assert world.found("ClusterRoleBinding")["subjects"] == [world.kiro]
    assert world.writes() == [("clusterroles", "patch")]


NEEDED = [
    ("kirosafetybaselines", "get", "held"),
    ("clusterroles", "get", "held"),
    ("clusterrolebindings", "get", "held"),
    ("clusterroles", "patch", "role"),
    ("clusterroles", "escalate", "role"),
    ("clusterroles", "create", "no role"),
    ("clusterrolebindings", "patch", "binding"),
    ("clusterroles", "bind", "binding"),
    ("clusterrolebindings", "create", "no binding"),
]
"""Each verb of the overlay, and what cannot be brought back without it."""


@pytest.mark.parametrize(("resource", "verb", "what"), NEEDED, ids=lambda item: item)
def test_a_right_that_is_revoked_is_told_with_its_rule(
    world: Restoring, resource: str, verb: str, what: str
) -> None:
    """None of them is granted for nothing, `escalate` and `bind` least of all."""
    world.without = (resource, verb)
    world.baseline()
    kinds = {"no role": ["ClusterRoleBinding"], "no binding": ["ClusterRole"]}
    there = kinds.get(what, ["ClusterRole", "ClusterRoleBinding"])
    if "ClusterRole" in there:
        world.role(GET, PATCH, *([EXEC] if what in {"role", "held"} else []))
    if "ClusterRoleBinding" in there:
        world.bind(world.kiro, *([MALLORY] if what == "binding" else []))
    before = [world.found(kind) for kind in there]

    world.begin()

    if what == "held":
        held = world.wait_condition("Escalated", "True", reason="EvidenceMissing")
        message = held["message"]
        assert not world.remediations()
    else:
        message = world.wait_remediation("Denied")[0]["status"]["message"]
    assert "add to the operator's ClusterRole" in message
    assert f"'{resource}'" in message
    assert f"'{verb}'" in message
    assert not world.writes()
    assert before == [world.found(kind) for kind in there]


def test_whoever_holds_the_operators_token_gets_no_further(world: Restoring) -> None:
    """The rights of the overlay, used past the operator's own code."""
    world.baseline()
    world.role(GET)
    world.bind(world.kiro)
    mine = world.token()

    gathered = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"x": "y"}}]}}
    assert "gathers no rules" in refusal(mine, "PATCH", f"{ROLES}/{world.name}", gathered)
    label = {"metadata": {"labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}}
    assert "it changes nothing of metadata alone" in refusal(mine, "PATCH", f"{ROLES}/{world.name}", label)
    for subject in (
        MALLORY,
        {**MALLORY, "kind": "User"},
        {**world.kiro, "namespace": "kube-system"},
        {**MALLORY, "name": f"system:serviceaccounts:{world.namespace}"},
        # The very ServiceAccount, by another name: whoever it is, the baseline does not say so.
        {**MALLORY, "kind": "User", "name": f"system:serviceaccount:{world.namespace}:kiro"},
    ):
        change = {"subjects": [world.kiro, subject]}
        assert "does not name" in refusal(mine, "PATCH", f"{BINDINGS}/{world.name}", change), subject
    assert "cannot update resource" in refusal(mine, "PUT", f"{ROLES}/{world.name}", world.found())

    # Of another name neither RBAC nor the policies let anything through.
    other = {"metadata": {"name": f"{world.name}-more"}, "rules": [GET]}
    for path in (ROLES, f"{RBAC}/namespaces/{world.namespace}/roles"):
        assert "cannot create resource" in refusal(mine, "POST", path, other)
    assert "cannot patch resource" in world.applied(
        mine, "ClusterRole", name=f"{world.name}-more", rules=[GET]
    )
    # It may bind the ClusterRole, but make no binding to do so with.
    bound = {"metadata": {"name": "more"}, **world.binding_of(world.name, MALLORY)}
    for path in (BINDINGS, f"{RBAC}/namespaces/{world.namespace}/rolebindings"):
        assert "cannot create resource" in refusal(mine, "POST", path, bound)
    for path in (f"{ROLES}/{world.name}", f"{BINDINGS}/{world.name}"):
        assert "cannot delete resource" in refusal(mine, "DELETE", path, None)
    # What holds it cannot be changed by it either.
    holding = f"{ADMISSION}/validatingadmissionpolicybindings/{world.namespace}-baseline-rules"
    assert world.plane.rest.get(holding)["spec"]["validationActions"] == ["Deny"]
    for path in (f"{BASELINES}/{world.name}", holding):
        assert "cannot patch resource" in refusal(mine, "PATCH", path, {"spec": {}})
    assert world.holds(GET)
    assert world.found("ClusterRoleBinding")["subjects"] == [world.kiro]

    # What lies within it goes through, by the very same rights.
    assert not refusal(mine, "PATCH", f"{ROLES}/{world.name}", {"rules": [PATCH, LOG]})
    assert world.holds(PATCH, LOG)
    assert not refusal(mine, "PATCH", f"{BINDINGS}/{world.name}", {"subjects": None})
    # Made anew, it is of this ClusterRole: what it is of cannot be changed, so it is asked for then.
    world.plane.rest.delete(f"{BINDINGS}/{world.name}")
    stronger = world.binding_of("view", world.kiro)
    assert world.applied(mine, "ClusterRoleBinding", **stronger)
    world.plane.kubectl(
        *("create", "clusterrole", f"{world.namespace}-binds", "--verb=bind"),
        *("--resource=clusterroles.rbac.authorization.k8s.io", "--resource-name=view"),
    )
    world.make(
        "ClusterRoleBinding",
        f"{world.namespace}-binds",
        **world.binding_of(
            f"{world.namespace}-binds", {**world.kiro, "name": "operator", "namespace": world.namespace}
        ),
    )
    until(
        lambda: "binds no other role" in world.applied(mine, "ClusterRoleBinding", dry=True, **stronger),
        "RBAC to allow what the policy then refuses",
        30,
    )
    assert not world.applied(mine, "ClusterRoleBinding", **world.binding_of(world.name, world.kiro))
    world.plane.rest.delete(f"{ROLES}/{world.namespace}-binds")


BOUNDS = [
    *WIDEST,
    {
        "apiGroups": ["", "apps"],
        "resources": ["pods", "deployments"],
        "verbs": ["watch"],
        "resourceNames": [],
    },
    {"nonResourceURLs": ["/healthz", "/metrics"], "verbs": ["get"], "resourceNames": []},
]
RULES: list[Object] = [
    GET,
    PATCH,
    LOG,
    EXEC,
    URL,
    EVERYTHING,
    {**EVERYTHING, "verbs": ["get"]},
    {"nonResourceURLs": ["*"], "verbs": ["get"]},
    {"nonResourceURLs": ["/healthz/*"], "verbs": ["get"]},
    {**URL, "verbs": ["get", "post"]},
    {**GET, "verbs": ["list", "get"]},
    {**GET, "verbs": ["*"]},
    {**GET, "verbs": ["get", "watch"]},
    {**GET, "verbs": ["get", "get"]},
    {**GET, "resources": ["pods", "pods/log"]},
    {**GET, "resources": ["pods/*"]},
    {**GET, "resources": ["*/log"], "resourceNames": ["kiro-0"]},
    {**GET, "apiGroups": ["", "apps"]},
    {**GET, "apiGroups": ["*"]},
    {**GET, "resourceNames": ["kiro-0"]},
    {**GET, "resourceNames": [""]},
    {**LOG, "resourceNames": []},
    {**LOG, "resourceNames": [""]},
    {**LOG, "resourceNames": ["*"]},
    {**LOG, "resourceNames": ["kiro-0", "vault-0"]},
    {"apiGroups": ["", "apps"], "resources": ["pods", "deployments"], "verbs": ["watch"]},
    {"apiGroups": ["", "apps", "batch"], "resources": ["pods"], "verbs": ["watch"]},
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["escalate"]},
    {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]},
]


def as_read(rule: Object) -> RbacRule:
    return RbacRule(
        *(
            tuple(rule.get(name, ()))
            for name in ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        )
    )


def test_the_api_server_and_the_code_ask_the_same(world: Restoring) -> None:
    """Rule by rule: what the code calls within the baseline is let through, and nothing else."""
    world.baseline(rules=BOUNDS)
    world.role(GET)
    mine = world.token()
    bounds = [as_read(rule) for rule in BOUNDS]
    path = f"{ROLES}/{world.name}?dryRun=All"
    for rule in RULES:
        why = refusal(mine, "PATCH", path, {"rules": [GET, rule]})
        assert ("wider than the KiroSafetyBaseline" in why) == (not within(as_read(rule), bounds)), rule
        assert bool(why) == ("wider than the KiroSafetyBaseline" in why), why
    assert {within(as_read(rule), bounds) for rule in RULES} == {True, False}


def test_without_a_baseline_nothing_can_be_written(world: Restoring) -> None:
    world.role(GET)
    world.bind(world.kiro)
    mine = world.token()
    path = f"{ROLES}/{world.name}"
    assert "no params found" in refusal(mine, "PATCH", path, {"rules": []})
    # It takes the admin in for that name alone: they write the baseline first.
    assert "no params found" in refusal(world.plane.rest, "PATCH", path, {"rules": [GET, PATCH]})
    binding = f"{BINDINGS}/{world.name}"
    assert "no params found" in refusal(world.plane.rest, "PATCH", binding, {"subjects": [MALLORY]})
    world.make("ClusterRole", f"{world.name}-other", rules=[GET])
    world.baseline()
    until(lambda: not refusal(mine, "PATCH", path, {"rules": []}), "the baseline to be seen", 30)
    assert not refusal(world.plane.rest, "PATCH", path, {"rules": [GET, EXEC]})
