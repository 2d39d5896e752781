"""An operator with the rights of an installation and of deploy/cluster-restore, under names of its own.

ClusterRoles belong to the whole cluster, which tests share: each has names of its own, also in the overlay.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from devcluster import ControlPlane
from devcluster.errors import ApiError
from devcluster.kubeconfig import Access
from devcluster.rest import APPLY, MERGE, Rest
from devcluster.wait import until
from kiro_operator.core.checks import registry
from kiro_operator.core.remedies.restore_rbac import NAME
from tests.deploy.rendered import DEPLOY, kustomized
from tests.deploy.rights import ACCOUNT, RBAC, Installed
from tests.harness.admission import BINDING, CANARY, POLICY
from tests.harness.forked import ForkedOperator
from tests.harness.world import enforce
from tools.admission import USER

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PLACES = {
    "ClusterRole": f"{RBAC}/clusterroles",
    "ClusterRoleBinding": f"{RBAC}/clusterrolebindings",
    POLICY: f"{ADMISSION}/validatingadmissionpolicies",
    BINDING: f"{ADMISSION}/validatingadmissionpolicybindings",
    "KiroSafetyBaseline": "/apis/kiro.dev/v1alpha1/kirosafetybaselines",
}
ONLY = [{"id": name, "enabled": False} for name in registry() if name != "safety-cluster-role"]
ACTION = {"name": "RestoreRBAC", "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}
GET = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
PATCH = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}
EXEC = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}
LOG = {"apiGroups": [""], "resources": ["pods/log"], "resourceNames": ["kiro-0"], "verbs": ["get"]}
URL = {"nonResourceURLs": ["/healthz"], "verbs": ["get"]}
WIDEST = [{**GET, "verbs": ["get", "list"], "resourceNames": []}, {**PATCH, "resourceNames": []}, LOG]
"""What the baseline allows, unless a test says otherwise."""
MALLORY = {"apiGroup": GROUP, "kind": "Group", "name": "mallory"}


class Restoring(Installed):
    """A namespace with an operator that may bring one ClusterRole and its binding back."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        super().__init__(plane, namespace, folder)
        self.name = f"{NAME}-{uuid.uuid4().hex[:8]}"
        """What ClusterRole, ClusterRoleBinding and KiroSafetyBaseline are called here."""
        self.without: tuple[str, str] = ("", "")
        """A resource, and a verb on it that the overlay is to lack."""
        self._made = [f"{PLACES[kind]}/{self.name}" for kind in ("ClusterRole", "ClusterRoleBinding")]
        self._granted = False
        self._token: Rest | None = None

    # --- objects --------------------------------------------------------------------------------

    @property
    def kiro(self) -> Object:
        """Who the ClusterRole is bound to by default."""
        return {"kind": "ServiceAccount", "name": "kiro", "namespace": self.namespace}

    def make(self, kind: str, name: str = "", **body: Any) -> None:
        """An object of the cluster that is taken away when the test ends."""
        name = name or self.name
        self.plane.rest.post(PLACES[kind], {"kind": kind, "metadata": {"name": name}, **body})
        self._made.append(f"{PLACES[kind]}/{name}")

    def baseline(
        self, rules: list[Object] | None = None, subjects: list[Object] | None = None, name: str = ""
    ) -> None:
        """What the admin of the cluster allows."""
        bounds = {
            "rules": WIDEST if rules is None else rules,
            "subjects": [self.kiro] if subjects is None else subjects,
        }
        self.make("KiroSafetyBaseline", name, apiVersion="kiro.dev/v1alpha1", spec={"clusterRole": bounds})

    def role(self, *rules: Object) -> None:
        """The ClusterRole."""
        self.make("ClusterRole", rules=list(rules))

    def bind(self, *subjects: Object, role: str = "") -> None:
        """The ClusterRoleBinding."""
        reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": role or self.name}
        self.make("ClusterRoleBinding", roleRef=reference, subjects=list(subjects))

    def found(self, kind: str = "ClusterRole") -> Object:
        """An object of that name as it is now."""
        return self.plane.rest.get(f"{PLACES[kind]}/{self.name}")

    def holds(self, *rules: Object) -> bool:
        """Whether the ClusterRole is there and has these rules."""
        try:
            return bool(self.found().get("rules") == list(rules))
        except ApiError as error:
            if error.status != 404:
                raise
            return False

    def change(self, kind: str, **body: Any) -> None:
        """What somebody else does to it."""
        self.plane.rest.patch(f"{PLACES[kind]}/{self.name}", body)

    # --- the operator ---------------------------------------------------------------------------

    def desire(self, *rules: Object, **policy: Any) -> Object:
        """A policy that desires these rules, and a KiroHealthCheck; returns the latter."""
        wanted: Object = {"name": self.name, "rules": list(rules or (GET, PATCH)), "onDrift": "Restore"}
        wanted |= {"subjects": [self.kiro]} | policy.pop("clusterRole", {})
        wanted["rules"] = [{"resourceNames": []} | rule for rule in wanted["rules"]]
        self.policy(**enforce(**({"actions": [ACTION], "clusterRole": wanted} | policy)))
        return self.health_check(
            safetyPolicyRef={"name": "policy"},
            interval="5s",
            checks=ONLY,
            remediation={"stabilization": "1s"},
        )

    def restorer(self, *, server: str = "", start: bool = True) -> ForkedOperator:
        """An operator that is shown the facts of the cluster."""
        return self.operator("--cluster-facts-namespace", self.namespace, server=server, start=start)

    def begin(self, *rules: Object, **policy: Any) -> None:
        """Have an operator restore these rules."""
        self.desire(*rules, **policy)
        self.restorer()

    def grant(self) -> None:
        """The rights without the operator."""
        if self._granted:
            return
        self._granted = True
        super()._grant()
        self._made.append(f"{PLACES['ClusterRoleBinding']}/operator-{self.namespace}")
        self._overlay()

    def _grant(self) -> None:
        self.grant()

    def _overlay(self) -> None:
        """What confines the operator, with deploy/cluster-restore, but for names and what it is to lack."""
        names = {NAME: self.name, USER: f"system:serviceaccount:{self.namespace}:{ACCOUNT}"}
        resource, verb = self.without
        for item in confining():
            content = json.dumps({part: item[part] for part in item.keys() & {"rules", "roleRef", "spec"}})
            name = item["metadata"]["name"].replace("kiro-operator", self.namespace, 1)
            for old, new in names.items():
                content = content.replace(old, new)
            body: Object = json.loads(content)
            if item["kind"] == BINDING:
                body["spec"]["policyName"] = name
            if item["kind"] == "ClusterRoleBinding":
                body["roleRef"]["name"] = name
                body["subjects"] = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": self.namespace}]
            if item["kind"] == "ClusterRole":
                for rule in body["rules"]:
                    if rule["resources"] == [resource]:
                        rule["verbs"].remove(verb)
                body["rules"] = [rule for rule in body["rules"] if rule["verbs"]]
            self.make(item["kind"], name, **body)

    def token(self) -> Rest:
        """The API as whoever holds the operator's token reaches it; once the overlay holds for it."""
        self.grant()
        folder = self.plane.service_account_dir(self.namespace, ACCOUNT)
        access = Access(self.plane.server, self.plane.admin.ca, token=(folder / "token").read_text())
        mine = self._token = Rest(access)

        def holds() -> bool:
            """All policies are loaded: what is too wide is refused by them, and not by RBAC."""
            configs = f"{self.path('configmaps', api='/api/v1')}?dryRun=All"
            refusals = [
                refusal(mine, "POST", configs, {"metadata": {"name": "canary"}}),
                self.applied(mine, "ClusterRole", dry=True, rules=[EXEC]),
                self.applied(mine, "ClusterRoleBinding", dry=True, **self.binding_of(self.name, MALLORY)),
            ]
            return all("ValidatingAdmissionPolicy" in item for item in refusals)

        until(holds, "the ValidatingAdmissionPolicies to hold", 30)
        return mine

    def binding_of(self, role: str, *subjects: Object) -> Object:
        """The content of a binding."""
        return {
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": list(subjects),
        }

    def applied(self, rest: Rest, kind: str, *, dry: bool = False, name: str = "", **body: Any) -> str:
        """Why a server-side apply is refused; empty when it is not."""
        name = name or self.name
        body = {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}, **body}
        query = "fieldManager=t&force=true" + ("&dryRun=All" if dry else "")
        return refusal(rest, "PATCH", f"{PLACES[kind]}/{name}?{query}", body)

    def writes(self) -> list[tuple[str, str]]:
        """What the operator has changed in RBAC, from the audit log."""
        return [
            (event["objectRef"]["resource"], event["verb"])
            for event in self.written()
            if event["objectRef"].get("apiGroup") == GROUP and "dryRun" not in event["requestURI"]
        ]

    def close(self) -> None:
        """End all operators, and take away what belongs to the cluster."""
        super().close()
        if self._token is not None:
            self._token.close()
        # The admission policies go first: they hold for the operator's token alone, but need the baseline.
        for path in reversed(self._made):
            try:
                self.plane.rest.delete(path)
            except ApiError as error:
                if error.status != 404:
                    raise


@cache
def confining() -> tuple[Object, ...]:
    """The admission policies of an overlay that has the component, and the ClusterRole of the latter."""
    with tempfile.TemporaryDirectory() as folder:
        base, component = (
            os.path.relpath(DEPLOY / part, os.path.realpath(folder)) for part in ("base", "cluster-restore")
        )
        text = f"resources: [{base}]\ncomponents: [{component}]\n"
        (Path(folder) / "kustomization.yaml").write_text(text)
        found = list(yaml.safe_load_all(kustomized(Path(folder))))
    confined = {
        item["metadata"]["name"]
        for item in found
        if item["kind"] == POLICY and "matchConditions" in item["spec"]
    }
    mine = [
        item
        for item in found
        if (item["kind"] in {POLICY, BINDING} and item["metadata"]["name"] in confined)
        or item["metadata"]["name"] == "kiro-operator-cluster-restore"
    ]
    # The one that shows that all are in force is made last.
    mine.sort(key=lambda item: (item["metadata"]["name"].endswith(CANARY), item["kind"] == BINDING))
    return tuple(mine)


def refusal(rest: Rest, method: str, path: str, body: Any) -> str:
    """Why a request is refused; empty when it is not."""
    how = "application/json" if method != "PATCH" else APPLY if "fieldManager" in path else MERGE
    try:
        rest.request(method, path, body, how)
    except ApiError as error:
        return error.message
    return ""
