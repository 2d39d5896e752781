"""A ClusterRole and its binding are brought back within the baseline, by the rights of the overlay alone.

ClusterRoles belong to the whole cluster, which tests share: each has names of its own, also in the overlay.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster import ControlPlane
from devcluster.errors import ApiError
from devcluster.kubeconfig import Access
from devcluster.rest import APPLY, MERGE, Rest
from devcluster.wait import until
from kiro_operator.core.checks import registry
from kiro_operator.core.remedies.restore_rbac import NAME
from tests.deploy.rendered import text
from tests.deploy.rights import ACCOUNT, RBAC, Installed
from tests.harness.world import enforce

Object = dict[str, Any]
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
BASELINES = "/apis/kiro.dev/v1alpha1/kirosafetybaselines"
PLACES = {
    "ClusterRole": f"{RBAC}/clusterroles",
    "ClusterRoleBinding": f"{RBAC}/clusterrolebindings",
    "ValidatingAdmissionPolicy": f"{ADMISSION}/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": f"{ADMISSION}/validatingadmissionpolicybindings",
    "KiroSafetyBaseline": BASELINES,
}
ONLY = [{"id": name, "enabled": False} for name in registry() if name != "safety-cluster-role"]
ACTION = {"name": "RestoreRBAC", "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}
GET = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
PATCH = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}
EXEC = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}
LOG = {"apiGroups": [""], "resources": ["pods/log"], "resourceNames": ["kiro-0"], "verbs": ["get"]}
WIDEST = [{**GET, "verbs": ["get", "list"], "resourceNames": []}, {**PATCH, "resourceNames": []}, LOG]
MALLORY = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "mallory"}


class Restoring(Installed):
    """An operator with the rights of an installation and of deploy/cluster-restore, under its own names."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        super().__init__(plane, namespace, folder)
        self.name = f"{NAME}-{uuid.uuid4().hex[:8]}"
        self._made: list[str] = []

    @property
    def kiro(self) -> Object:
        """Who the ClusterRole is bound to by default."""
        return {"kind": "ServiceAccount", "name": "kiro", "namespace": self.namespace}

    def make(self, kind: str, name: str = "", **body: Any) -> None:
        """An object of the cluster that is taken away when the test ends."""
        name = name or self.name
        self.plane.rest.post(PLACES[kind], {"kind": kind, "metadata": {"name": name}, **body})
        self._made.append(f"{PLACES[kind]}/{name}")

    def baseline(self, rules: list[Object] | None = None, subjects: list[Object] | None = None) -> None:
        bounds = {
            "rules": WIDEST if rules is None else rules,
            "subjects": [self.kiro] if subjects is None else subjects,
        }
        self.make("KiroSafetyBaseline", apiVersion="kiro.dev/v1alpha1", spec={"clusterRole": bounds})

    def role(self, *rules: Object) -> None:
        self.make("ClusterRole", rules=list(rules))

    def bind(self, *subjects: Object) -> None:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": self.name}
        self.make("ClusterRoleBinding", roleRef=reference, subjects=list(subjects))

    def found(self, kind: str = "ClusterRole") -> Object:
        return self.plane.rest.get(f"{PLACES[kind]}/{self.name}")

    def change(self, kind: str, **body: Any) -> None:
        self.plane.rest.patch(f"{PLACES[kind]}/{self.name}", body)

    def begin(self, *rules: Object, **policy: Any) -> None:
        wanted = {"name": self.name, "rules": list(rules or (GET, PATCH)), "onDrift": "Restore"}
        self.policy(**enforce(**({"actions": [ACTION], "clusterRole": wanted} | policy)))
        self.health_check(
            safetyPolicyRef={"name": "policy"},
            interval="5s",
            checks=ONLY,
            remediation={"stabilization": "1s"},
        )
        self.operator("--cluster-facts-namespace", self.namespace)

    def _grant(self) -> None:
        super()._grant()
        self._made.append(f"{PLACES['ClusterRoleBinding']}/operator-{self.namespace}")
        self.overlay()

    def overlay(self) -> None:
        """deploy/cluster-restore as it is, but for the names."""
        manifests = text("cluster-restore").replace(NAME, self.name)
        manifests = manifests.replace(
            "system:serviceaccount:kiro-operator:kiro-operator",
            f"system:serviceaccount:{self.namespace}:{ACCOUNT}",
        )
        manifests = re.sub("(name|policyName): kiro-operator-", rf"\1: {self.namespace}-", manifests)
        for item in yaml.safe_load_all(manifests):
            metadata, kind = item.pop("metadata"), item.pop("kind")
            if kind == "ClusterRoleBinding":
                item["subjects"] = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": self.namespace}]
            self.make(kind, metadata["name"], **item)

    def token(self) -> Rest:
        """The API as whoever holds the operator's token reaches it; once the overlay holds for it."""
        folder = self.plane.service_account_dir(self.namespace, ACCOUNT)
        mine = Rest(Access(self.plane.server, self.plane.admin.ca, token=(folder / "token").read_text()))
        dry = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [EXEC]}

        def holds() -> bool:
            """Both policies are loaded: what is too wide is refused by them, and not by RBAC."""
            query = "dryRun=All&fieldManager=t&force=true"
            refusals = [
                refusal(mine, "PATCH", f"{PLACES[kind]}/{self.name}?{query}", body)
                for kind, body in (
                    ("ClusterRole", dry | {"metadata": {"name": self.name}}),
                    ("ClusterRoleBinding", self.other_binding()),
                )
            ]
            return all("ValidatingAdmissionPolicy" in item for item in refusals)

        until(holds, "the ValidatingAdmissionPolicies to hold", 30)
        return mine

    def other_binding(self, *subjects: Object) -> Object:
        return {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": self.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": self.name},
            "subjects": list(subjects or (MALLORY,)),
        }

    def writes(self) -> list[tuple[str, str]]:
        """What the operator has changed in RBAC, from the audit log."""
        return [
            (event["objectRef"]["resource"], event["verb"])
            for event in self.written()
            if event["objectRef"].get("apiGroup") == "rbac.authorization.k8s.io"
        ]

    def close(self) -> None:
        super().close()
        # The admission policies go first: they hold for the operator's token alone, but need the baseline.
        for path in reversed(self._made):
            try:
                self.plane.rest.delete(path)
            except ApiError as error:
                if error.status != 404:
                    raise


def refusal(rest: Rest, method: str, path: str, body: Any) -> str:
    """Why a request is refused; empty when it is not."""
    try:
        rest.request(method, path, body, APPLY if "fieldManager" in path else MERGE)
    except ApiError as error:
        return error.message
    return ""


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
    world.bind(world.kiro)
    world.begin(GET, LOG)
    [done] = world.wait_remediation("Succeeded")
    assert done["spec"]["method"] == "Create"
    assert world.found()["rules"] == [GET, LOG]
    world._made.append(f"{PLACES['ClusterRole']}/{world.name}")  # the operator made it


def test_what_is_desired_beyond_the_baseline_is_told_and_not_written(world: Restoring) -> None:
    world.baseline(rules=[{**GET, "resourceNames": []}])
    world.role(GET)
    world.bind(world.kiro)
    world.begin(GET, EXEC)
    escalated = world.wait_condition("Escalated", "True", reason="BeyondBaseline")
    assert f"KiroSafetyBaseline {world.name} lets be restored: create pods/exec" in escalated["message"]
    assert world.found()["rules"] == [GET]
    assert not world.remediations()
    assert not world.writes()


def test_whoever_holds_the_operators_token_gets_no_further(world: Restoring) -> None:
    """The rights of the overlay, used past the operator's own code."""
    world.baseline()
    world.role(GET)
    world.bind(world.kiro)
    world._grant()  # the rights without the operator
    mine = world.token()
    roles, bindings = PLACES["ClusterRole"], PLACES["ClusterRoleBinding"]
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}

    for rules in (
        [EXEC],
        [GET, everything],
        [{**GET, "verbs": ["get", "delete"]}],
        [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
        # The baseline limits it to one name.
        [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}],
        [{**LOG, "resourceNames": ["kiro-0", "vault-0"]}],
    ):
        why = refusal(mine, "PATCH", f"{roles}/{world.name}", {"rules": rules})
        assert "wider than the KiroSafetyBaseline" in why, rules
    gathered = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"x": "y"}}]}}
    assert "gathered" in refusal(mine, "PATCH", f"{roles}/{world.name}", gathered)
    label = {"metadata": {"labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}}
    assert "labels are left" in refusal(mine, "PATCH", f"{roles}/{world.name}", label)
    for subject in (MALLORY, {**world.kiro, "namespace": "kube-system"}, {**MALLORY, "kind": "User"}):
        change = {"subjects": [world.kiro, subject]}
        assert "does not name" in refusal(mine, "PATCH", f"{bindings}/{world.name}", change), subject

    # Of another name neither RBAC nor the policies let anything through.
    other = {"metadata": {"name": f"{world.name}-more"}, "rules": [GET]}
    for path in (roles, f"{RBAC}/namespaces/{world.namespace}/roles"):
        assert "cannot create resource" in refusal(mine, "POST", path, other)
    applied = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", **other}
    assert "cannot patch resource" in refusal(
        mine, "PATCH", f"{roles}/{world.name}-more?fieldManager=t", applied
    )
    assert "cannot delete resource" in refusal(mine, "DELETE", f"{roles}/{world.name}", None)
    assert "cannot patch resource" in refusal(mine, "PATCH", f"{BASELINES}/{world.name}", {"spec": {}})
    assert world.found()["rules"] == [GET]
    assert world.found("ClusterRoleBinding")["subjects"] == [world.kiro]

    # What lies within it goes through, by the very same rights.
    assert not refusal(mine, "PATCH", f"{roles}/{world.name}", {"rules": [PATCH, LOG]})
    assert world.found()["rules"] == [PATCH, LOG]
    assert not refusal(mine, "PATCH", f"{bindings}/{world.name}", {"subjects": None})


def test_without_a_baseline_nothing_can_be_written(world: Restoring) -> None:
    world.role(GET)
    world._grant()  # the rights without the operator
    mine = world.token()
    path = f"{PLACES['ClusterRole']}/{world.name}"
    assert "no params found" in refusal(mine, "PATCH", path, {"rules": []})
    # It takes the admin in for that name alone: they write the baseline first.
    assert "no params found" in refusal(world.plane.rest, "PATCH", path, {"rules": [GET, PATCH]})
    world.make("ClusterRole", f"{world.name}-other", rules=[GET])
    world.baseline()
    until(lambda: not refusal(mine, "PATCH", path, {"rules": []}), "the baseline to be seen", 30)
