"""People who decide on plans, each with a name and the right to approve at some gates."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

from devcluster import ControlPlane, build
from devcluster.wait import until
from kiro_operator.adapters.kubernetes.admission import TAKES_HOLD
from kiro_operator.core.admission import NAME, in_force_since

Object = dict[str, Any]
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


def wait_for_vouching(plane: ControlPlane) -> None:
    """Wait until decisions count: the admission policy has to have been in force for a while."""
    kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    since = in_force_since(*(plane.rest.get(f"{ADMISSION}/{kind}/{NAME}") for kind in kinds))
    until(
        lambda: now() > since + TAKES_HOLD + timedelta(seconds=1), "the admission policy to be old enough", 30
    )


def now() -> datetime:
    """The time, as the API server has it on the same machine."""
    return datetime.now(UTC)


class Approver:
    """A user who may create KiroApprovals in a namespace, and approve at some gates."""

    def __init__(
        self, plane: ControlPlane, namespace: str, *gates: str, name: str = "dana@example.com"
    ) -> None:
        self.name = name
        self._plane = plane
        self._namespace = namespace
        role = f"approver-{name.partition('@')[0]}"
        where = f"{RBAC}/namespaces/{namespace}"
        rules = [
            {"apiGroups": ["kiro.dev"], "resources": ["kiroapprovals"], "verbs": ["create", "get", "list"]},
            {
                "apiGroups": ["kiro.dev"],
                "resources": [f"kiroapprovals/{gate}" for gate in gates or ("operator-approver",)],
                "verbs": ["approve"],
            },
        ]
        plane.rest.post(f"{where}/roles", {"metadata": {"name": role}, "rules": rules})
        plane.rest.post(
            f"{where}/rolebindings",
            {
                "metadata": {"name": role},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
            },
        )
        until(self._may, f"{name} to be let in", 20)

    def decide(
        self, asked: Object, decision: str = "Approve", *, gate: str = "", lasts: float = 3600
    ) -> Object:
        """Decide on what status.decisions[].approval asks, for so many seconds; returns the KiroApproval."""
        spec = {
            "gate": gate or asked["gates"][0]["gate"],
            "decision": decision,
            "decidedBy": self.name,
            "reason": "for this test",
            "plan": {"digest": asked["digest"], "target": asked["target"]},
            "expiresAt": (now() + timedelta(seconds=lasts)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        body = {
            "apiVersion": "kiro.dev/v1alpha1",
            "kind": "KiroApproval",
            "metadata": {"generateName": "decided-"},
            "spec": spec,
        }
        arguments = ("create", "-n", self._namespace, "-f", "-", "-o", "json")
        made: Object = json.loads(self._kubectl(*arguments, text=json.dumps(body)))
        return made

    def run(self, command: str) -> str:
        """Run a command line as this user would, with kubectl in the path; returns what it prints."""
        kubectl = shlex.join([str(build.program("kubectl")), "--as", self.name])
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", f'kubectl() {{ {kubectl} "$@"; }}; {command}'],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "KUBECONFIG": str(self._plane.kubeconfig)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _kubectl(self, *arguments: str, text: str) -> str:
        return self._plane.kubectl("--as", self.name, *arguments, input=text).stdout

    def _may(self) -> bool:
        told = self._plane.kubectl(
            "--as", self.name, "auth", "can-i", "create", "kiroapprovals.kiro.dev", "-n", self._namespace,
            check=False,
        )  # fmt: skip
        return told.stdout.strip() == "yes"
