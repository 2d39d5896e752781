"""The admission policies of deploy/, put in force for a ServiceAccount of a test."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from devcluster import ControlPlane
from devcluster.kubeconfig import Access
from devcluster.rest import Rest
from devcluster.wait import until
from tests.deploy.rendered import of_kind
from tools.admission import USER

API = "/apis/admissionregistration.k8s.io/v1"
POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
PLURALS = {POLICY: "validatingadmissionpolicies", BINDING: "validatingadmissionpolicybindings"}
CANARY = "configmaps"
"""The policy that is made last. It refuses what RBAC does not, so it shows that all are in force."""
Object = dict[str, Any]


def as_account(plane: ControlPlane, namespace: str, name: str) -> Rest:
    """A client with the token of a ServiceAccount."""
    folder = plane.service_account_dir(namespace, name)
    return Rest(Access(plane.server, folder / "ca.crt", token=(folder / "token").read_text()))


@contextmanager
def confined(
    plane: ControlPlane, namespace: str, name: str, chosen: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Confine a ServiceAccount as deploy/base does the operator's; yields how the policies' names begin.

    It must be allowed to make ConfigMaps. ``chosen`` are variables that an admin has patched, as CEL.
    """
    tag = f"confined-{uuid.uuid4().hex[:8]}"
    user = f"system:serviceaccount:{namespace}:{name}"
    made = [_renamed(item, tag, user) for kind in (POLICY, BINDING) for item in confining(kind)]
    variables = [variable for item in made for variable in item["spec"].get("variables", ())]
    for key, expression in (chosen or {}).items():
        [variable] = [item for item in variables if item["name"] == key]
        variable["expression"] = expression
    made.sort(key=lambda item: (item["kind"], item["metadata"]["name"] == f"{tag}-{CANARY}"))
    for item in made:
        plane.rest.post(f"{API}/{PLURALS[item['kind']]}", item)
    try:
        until(lambda: _refused(plane, namespace, name, tag), "the admission policies to be in force", 30)
        yield tag
    finally:
        for item in reversed(made):
            plane.rest.delete(f"{API}/{PLURALS[item['kind']]}/{item['metadata']['name']}")


def confining(kind: str) -> list[Object]:
    """The policies that are about the operator alone, or their bindings."""
    names = {
        item["metadata"]["name"] for item in of_kind("base", POLICY) if "matchConditions" in item["spec"]
    }
    return [item for item in of_kind("base", kind) if item["metadata"]["name"] in names]


def _renamed(item: Object, tag: str, user: str) -> Object:
    text = json.dumps(item).replace(USER, user)
    renamed: Object = json.loads(text)
    renamed["metadata"]["name"] = item["metadata"]["name"].replace("kiro-operator", tag, 1)
    if item["kind"] == BINDING:
        renamed["spec"]["policyName"] = item["spec"]["policyName"].replace("kiro-operator", tag, 1)
    return renamed


def _refused(plane: ControlPlane, namespace: str, name: str, tag: str) -> bool:
    """Whether the operator may no longer make a ConfigMap of any name."""
    done = plane.kubectl(
        *("create", "configmap", "canary", "--dry-run=server", "-n", namespace),
        f"--as=system:serviceaccount:{namespace}:{name}",
        check=False,
    )
    return f"{tag}-{CANARY}" in done.stderr
