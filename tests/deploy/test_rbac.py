from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from kiro_operator.core.permissions import Grant, Rule, Scope
from kiro_operator.core.remedies.restore_rbac import NAME
from tests.deploy.rendered import OVERLAYS, ROOT, objects, of_kind, rules
from tools import rbac

ASKED = {"subjectaccessreviews"}
"""What is created and stored nowhere: a question that the API server answers."""


def _restoring(**changes: Any) -> Rule:
    """The one rule that may hold escalate and bind, changed."""
    return replace(rbac.RESTORING, **{"why": "narrow it"} | changes)


def test_what_is_committed_is_what_the_code_declares() -> None:
    assert rbac.stale() == []


def test_a_stale_file_is_named_and_fails_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rbac.main(["--root", str(tmp_path)]) == 0
    assert rbac.main(["--root", str(tmp_path), "--check"]) == 0
    role = tmp_path / "deploy/base/rbac-cluster.yaml"
    role.write_text(role.read_text().replace("- watch", "").replace("watch]", "delete]"))

    assert rbac.main(["--root", str(tmp_path), "--check"]) == 1

    assert capsys.readouterr().err == "deploy/base/rbac-cluster.yaml is stale: run `make rbac`\n"


def test_the_prose_around_the_table_is_kept(tmp_path: Path) -> None:
    page = tmp_path / rbac.GUIDE
    page.parent.mkdir()
    page.write_text(f"before\n{rbac.BEGIN}\na stale row\n{rbac.END}\nafter\n")

    rbac.main(["--root", str(tmp_path)])

    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith(f"{rbac.END}\nafter\n")
    assert "a stale row" not in page.read_text()


def test_rules_are_found_wherever_they_are_declared() -> None:
    declaring = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "kiro_operator").rglob("*.py")
        if re.search(r"^RULES\b(?!.* = \(\)$)", path.read_text(), re.MULTILINE)
    }
    remedies = "kiro_operator.core.remedies"
    handing_on = {remedies, f"{remedies}.reconnect_mcp", f"{remedies}.resync_mcp"}

    assert declaring - handing_on == set(rbac.declared().values())
    assert len(declaring) >= 8


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Rule("", ("*",), ("get",), "all"), "wildcards"),
        (Rule("*", ("pods",), ("get",), "all"), "wildcards"),
        (Rule("", ("pods",), ("*",), "all"), "wildcards"),
        (Rule("", ("secrets",), ("list",), "metadata"), "secrets must never"),
        (Rule("", ("pods/portforward",), ("create",), "reach"), "pods/portforward must never"),
        (Rule("", ("serviceaccounts/token",), ("create",), "act"), "serviceaccounts/token must never"),
        (Rule("", ("pods/exec",), ("create",), "look inside"), "by the overlay exec alone"),
        (Rule("", ("pods",), ("create",), "a copy"), "never made"),
        (Rule("", ("pods",), ("delete",), "restart"), "evicted"),
        (Rule("rbac.authorization.k8s.io", ("roles",), ("escalate",), "mend"), "escalate must never"),
        (Rule("apps", ("deployments",), ("patch",), "x", Scope.CLUSTER, Grant.RESTART), "never wider"),
        (_restoring(names=()), "bind, escalate must never"),
        (_restoring(names=(NAME, "admin")), "bind, escalate must never"),
        (_restoring(grant=Grant.RESTORE), "bind, escalate must never"),
        (_restoring(resources=("clusterroles", "roles")), "bind, escalate must never"),
        (_restoring(verbs=("escalate", "impersonate")), "escalate, impersonate must never"),
        (
            Rule(
                "rbac.authorization.k8s.io", ("roles",), ("patch",), "x", Scope.CLUSTER, Grant.CLUSTER_RESTORE
            ),
            "named, object by object",
        ),
        (Rule("", ("pods",), ("get",), ""), "say which resources"),
        (Rule("kiro.dev", ("kiroapprovals",), ("create",), "decide"), "people decide"),
        (Rule("kiro.dev", ("kiroapprovals",), ("list", "delete"), "tidy"), "people decide"),
        (Rule("kiro.dev", ("kiroapprovals/drains",), ("approve",), "decide"), "people decide"),
        (
            Rule(
                "kiro.dev",
                ("kirosafetybaselines",),
                ("patch",),
                "widen it",
                Scope.CLUSTER,
                Grant.CLUSTER_RESTORE,
                (NAME,),
            ),
            "people decide",
        ),
        (Rule("", ("pods",), ("list",), "x", names=("one",)), "cannot limit"),
    ],
)
def test_what_must_never_be_granted_is_refused(rule: Rule, why: str) -> None:
    with pytest.raises(rbac.UnsafeRuleError, match=why):
        rbac.refuse_unsafe(rule)


def test_rules_of_one_resource_are_merged_without_granting_more() -> None:
    declared = [
        Rule("g", ("a", "b"), ("list",), "first"),
        Rule("g", ("a",), ("get",), "second"),
        Rule("g", ("b",), ("list",), "first"),
        Rule("g", ("a",), ("patch",), "third", names=("one",)),
    ]

    assert rbac.merged(declared) == [
        rbac.Granted("g", ("a",), (), ("get", "list"), ("second", "first")),
        rbac.Granted("g", ("a",), ("one",), ("patch",), ("third",)),
        rbac.Granted("g", ("b",), (), ("list",), ("first",)),
    ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_dangerous_is_granted(overlay: str) -> None:
    for rule in rules(f"overlays/{overlay}"):
        words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert not any("*" in word for word in words)
        assert "secrets" not in rule["resources"]
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])
        if "pods" in rule["resources"]:
            assert set(rule["verbs"]) <= {"get", "list", "watch"}


NEVER = {
    "resources": {
        "secrets",
        "serviceaccounts/token",
        "pods/attach",
        "pods/portforward",
        "pods/proxy",
        "services/proxy",
        "nodes/proxy",
    },
    "verbs": {"escalate", "bind", "impersonate", "deletecollection"},
}

NARROWS = (
    Path("deploy/cluster-restore/objects/rbac.yaml"),
    ["clusterroles"],
    ["kiro-autonomous-operations"],
)
"""The one rule that may hold escalate and bind, of one name: a ClusterRole is not narrowed without them."""


@pytest.mark.parametrize("path", [place.path for place in rbac.PLACES], ids=str)
def test_no_manifest_grants_what_must_never_be_granted(path: Path) -> None:
    """The files as they are; that there are no others is the next test."""
    documents = yaml.safe_load_all((ROOT / path).read_text())
    roles = [item for item in documents if item["kind"].endswith("Role")]
    assert roles
    for rule in (rule for role in roles for rule in role["rules"]):
        assert rule.keys() <= {"apiGroups", "resources", "resourceNames", "verbs"}, rule
        assert not any("*" in word for words in rule.values() for word in words), rule
        narrows = (path, rule["resources"], rule.get("resourceNames")) == NARROWS
        for key, never in NEVER.items():
            assert not (never - {"escalate", "bind"} if narrows else never) & set(rule[key]), rule


def test_no_other_manifest_binds_or_grants_the_operator_anything() -> None:
    kinds = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    granting = {
        path.relative_to(ROOT)
        for path in (ROOT / "deploy").rglob("*.yaml")
        for item in yaml.safe_load_all(path.read_text())
        if item.get("kind") in kinds
    }
    people = {Path("deploy/base/user-roles.yaml"), Path("deploy/samples/approvers.yaml")}
    assert granting == {place.path for place in rbac.PLACES} | people
    bound = {
        subject["kind"]
        for path in people
        for item in yaml.safe_load_all((ROOT / path).read_text())
        for subject in item.get("subjects", ())
    }
    assert bound == {"Group"}


def test_who_writes_which_kind() -> None:
    """By Kubernetes' own view, edit and admin, each of which holds what is aggregated to it."""
    held: dict[str, set[str]] = {"view": set(), "edit": set(), "admin": set()}
    for role in yaml.safe_load_all((ROOT / "deploy/base/user-roles.yaml").read_text()):
        for name, written in held.items():
            if role["metadata"]["labels"].get(f"rbac.authorization.k8s.io/aggregate-to-{name}") == "true":
                for rule in role["rules"]:
                    if not set(rule["verbs"]) <= {"get", "list", "watch"}:
                        written.update(rule["resources"])
    assert held == {
        "view": set(),
        "edit": {"kirohealthchecks"},
        "admin": {"kirohealthchecks", "kirosafetypolicies"},
    }


def test_what_changes_workloads_is_in_its_own_overlay_only() -> None:
    def writes(overlay: str) -> set[str]:
        return {
            resource
            for rule in rules(f"overlays/{overlay}")
            if {"create", "patch", "update", "delete"} & set(rule["verbs"])
            for resource in rule["resources"]
            if resource not in ASKED
        }

    own = {"events", "kirohealthchecks/status", "kiroremediations", "kiroremediations/status"}
    own |= {"kirosafetypolicies/status", "leases"}
    restarting = {"pods/eviction", "deployments", "statefulsets", "daemonsets"}
    scaling = {"deployments/scale", "statefulsets/scale"}
    assert writes("observe") == own
    assert writes("restart") == own | restarting
    assert writes("scale") == own | scaling
    assert writes("kiro-system") == own | restarting | scaling | {"configmaps"}


def test_facts_of_the_cluster_are_read_and_only_those_that_no_namespace_has() -> None:
    wide = [rule for rule in rules("cluster-facts") if rule["verbs"] != ["list"]]
    assert [(rule["resources"], rule["verbs"]) for rule in wide] == [([*ASKED], ["create"])]
    listed = {name for rule in rules("cluster-facts") for name in rule["resources"]} - ASKED
    # The metrics of pods are of namespaces: which of them use a full node is a fact of the cluster.
    assert listed == {"nodes", "pods", "clusterroles", "clusterrolebindings"}
    assert {tuple(rule["verbs"]) for rule in rules("namespace/permissions")} == {("get",), ("list",)}


def test_escalate_and_bind_are_for_one_name_in_one_overlay_that_no_other_holds() -> None:
    rbac.refuse_unsafe(_restoring())
    granted = rules("cluster-restore")
    assert [rule["resourceNames"] for rule in granted] == [[NAME]] * len(granted)
    strong = [rule for rule in granted if {"escalate", "bind"} & set(rule["verbs"])]
    assert [rule["resources"] for rule in strong] == [["clusterroles"]]
    assert not any({"list", "watch", "update", "delete"} & set(rule["verbs"]) for rule in granted)
    for overlay in OVERLAYS:
        for kind in ("ValidatingAdmissionPolicy", "ClusterRole"):
            names = {item["metadata"]["name"] for item in of_kind(f"overlays/{overlay}", kind)}
            assert not names & {item["metadata"]["name"] for item in of_kind("cluster-restore", kind)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_role_that_is_installed_writes_a_baseline(overlay: str) -> None:
    """Neither the operator nor whoever administers a namespace, and so writes its policy."""
    kinds = {
        (resource, verb)
        for part in (f"overlays/{overlay}", "cluster-restore")
        for role in of_kind(part, "Role", "ClusterRole")
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert ("kirosafetypolicies", "patch") in kinds
    assert {verb for resource, verb in kinds if resource == "kirosafetybaselines"} == {"get"}


def test_whoever_may_escalate_is_held_by_admission() -> None:
    policies = of_kind("cluster-restore", "ValidatingAdmissionPolicy")
    bindings = of_kind("cluster-restore", "ValidatingAdmissionPolicyBinding")
    assert {item["spec"]["policyName"] for item in bindings} == {
        item["metadata"]["name"] for item in policies
    }
    assert all(item["spec"]["validationActions"] == ["Deny"] for item in bindings)
    assert all(item["spec"]["failurePolicy"] == "Fail" for item in policies)
    for item in bindings:
        assert item["spec"].get("paramRef", {}).get("parameterNotFoundAction", "Deny") == "Deny"
    [account] = of_kind("base", "ServiceAccount")
    who = f"system:serviceaccount:kiro-operator:{account['metadata']['name']}"
    for item in policies:
        [condition] = item["spec"]["matchConditions"]
        assert condition["expression"] == f"request.userInfo.username == '{who}'"
        # Without a parameter that is asked for, nobody gets past: so that is for the one name only.
        [rule] = item["spec"]["matchConstraints"]["resourceRules"]
        assert ("paramKind" in item["spec"]) == (rule.get("resourceNames") == [NAME])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_commands_in_pods_are_in_no_overlay(overlay: str) -> None:
    assert not any("pods/exec" in rule["resources"] for rule in rules(f"overlays/{overlay}"))
    assert [rule["resources"] for rule in rules("namespace/exec")] == [["pods/exec"]]


def test_the_cluster_role_changes_nothing_but_the_operators_own() -> None:
    role = next(
        item
        for item in objects("base")
        if item["kind"] == "ClusterRole" and item["metadata"]["name"] == "kiro-operator"
    )
    for rule in role["rules"]:
        if not set(rule["verbs"]) <= {"get", "list", "watch"}:
            assert rule["apiGroups"] in (["kiro.dev"], ["events.k8s.io"])
            assert rule["apiGroups"] == ["events.k8s.io"] or all(
                name.endswith("/status") for name in rule["resources"]
            )


def test_only_its_own_lease_can_be_changed() -> None:
    leases = [rule for rule in rules("base") if rule["resources"] == ["leases"]]
    assert [rule.get("resourceNames") for rule in leases if rule["verbs"] != ["create"]] == [
        ["kiro-operator"]
    ]


def test_advice_names_the_limits_of_a_rule() -> None:
    rule = Rule("g", ("a",), ("get",), "why", Scope.OWN, names=("one",))
    assert rule.advice("ns") == (
        "add to the operator's Role in its own namespace: apiGroups ['g'], resources ['a'], "
        "resourceNames ['one'], verbs ['get']"
    )
