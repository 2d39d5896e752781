"""What the operator's token reaches by the very rights that deploy/ gives it, without admission policies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from devcluster import ControlPlane
from devcluster.errors import ApiError
from devcluster.rest import Rest
from devcluster.wait import until
from kiro_operator.core.remedies.restore_rbac import NAME
from tests.deploy.others import ADMIN, EVERYTHING, NAMED, OTHERS, Request, send
from tests.deploy.rights import ACCOUNT, allow, granted
from tests.harness.admission import as_account
from tools.rbac import PLACES

FORBIDDEN = 403
PARTS = sorted({str(place.path.parent.relative_to("deploy")) for place in PLACES})
"""All that can be granted: no other manifest grants anything (tests/deploy/test_rbac.py)."""
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
ELSEWHERE: dict[str, Request] = {
    "read-a-secret": ("GET", "{core}/secrets/x", None),
    "list-secrets": ("GET", "{core}/secrets", None),
    "list-all-secrets": ("GET", "/api/v1/secrets", None),
    "list-secrets-of-its-own-namespace": ("GET", "/api/v1/namespaces/kiro-operator/secrets", None),
    "soften-a-policy": ("PATCH", f"{ADMISSION}/validatingadmissionpolicies/kiro-operator-writes", {}),
    "delete-an-admission-policy": (
        "DELETE",
        f"{ADMISSION}/validatingadmissionpolicies/kiro-operator-writes",
        None,
    ),
    "delete-the-approvals": (
        "DELETE",
        f"{ADMISSION}/validatingadmissionpolicies/kiro-operator-approvals",
        None,
    ),
    "unbind-a-policy": (
        "DELETE",
        f"{ADMISSION}/validatingadmissionpolicybindings/kiro-operator-writes",
        None,
    ),
    "make-an-admission-policy": ("POST", f"{ADMISSION}/validatingadmissionpolicies", NAMED),
    "make-a-webhook": ("POST", f"{ADMISSION}/mutatingwebhookconfigurations", NAMED),
    "widen-its-own-cluster-role": ("PATCH", "{cluster}/clusterroles/{binding}", {"rules": []}),
    "bind-itself-elsewhere": (
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
        NAMED,
    ),
    "read-config-maps-elsewhere": ("GET", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", None),
    "evict-elsewhere": ("POST", "/api/v1/namespaces/default/pods/x/eviction", NAMED),
    "exec-elsewhere": ("POST", "/api/v1/namespaces/default/pods/x/exec?command=id", {}),
    "restart-elsewhere": ("PATCH", "/apis/apps/v1/namespaces/default/deployments/x", {}),
    "scale-elsewhere": ("PATCH", "/apis/apps/v1/namespaces/default/deployments/x/scale", {}),
    "record-elsewhere": ("POST", "/apis/kiro.dev/v1alpha1/namespaces/default/kiroremediations", NAMED),
    "patch-another-config-map": ("PATCH", "{core}/configmaps/kube-root-ca.crt", {}),
    "scale-a-deployment-itself": ("PUT", "{apps}/deployments/x", NAMED),
    "replace-a-record": ("PUT", "{kiro}/kiroremediations/x", NAMED),
    "widen-the-baseline": ("PATCH", f"/apis/kiro.dev/v1alpha1/kirosafetybaselines/{NAME}", {}),
    "make-a-baseline": ("POST", "/apis/kiro.dev/v1alpha1/kirosafetybaselines", NAMED),
    "unbind-the-baseline": (
        "DELETE",
        f"{ADMISSION}/validatingadmissionpolicybindings/kiro-operator-baseline-rules",
        None,
    ),
    "delete-what-is-restored": ("DELETE", f"{{cluster}}/clusterroles/{NAME}", None),
}
IMPERSONATED = (("users", ""), ("groups", ""), ("serviceaccounts", ""), ("uids", "authentication.k8s.io"))


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane) -> Iterator[tuple[Rest, str]]:
    """The account's own client, and its namespace."""
    name = f"reach-{uuid.uuid4().hex[:8]}"
    rest = control_plane.rest
    rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    rest.post(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": ACCOUNT}})
    rights = sorted({right for part in PARTS for right in granted(part)})
    account = f"{name}:{ACCOUNT}"
    allow(control_plane, account, None, name, [right for right in rights if right.cluster])
    allow(control_plane, account, name, name, [right for right in rights if not right.cluster])
    token = as_account(control_plane, name, ACCOUNT)
    try:
        until(lambda: _is_let_in(token, name), "the Roles", 20)
        yield token, name
    finally:
        token.close()
        for kind in ("clusterrolebindings", "clusterroles"):
            rest.delete(f"/apis/rbac.authorization.k8s.io/v1/{kind}/{name}")
        rest.delete(f"/api/v1/namespaces/{name}")


def _is_let_in(token: Rest, namespace: str) -> bool:
    """Whether the last of what was bound is in force: what it allows answers that there is no such thing."""
    try:
        token.get(f"/api/v1/namespaces/{namespace}/configmaps/none")
    except ApiError as error:
        return error.status != FORBIDDEN
    return True


def test_two_overlays_alone_let_it_write_a_policy_or_a_health_check() -> None:
    """RBAC cannot say which field of these. Where they are not applied, it lets none be changed."""
    kinds = {"kirosafetypolicies", "kirohealthchecks"}
    writing = {
        (part, right.resource, right.verbs)
        for part in PARTS
        for right in granted(part)
        if right.resource in kinds and set(right.verbs) - {"get", "list", "watch"}
    }
    assert writing == {
        ("namespace/change-boundary", "kirosafetypolicies", ("patch",)),
        ("namespace/change-threshold", "kirohealthchecks", ("patch",)),
    }


BY_ADMISSION = {"widen-its-policy", "change-a-health-check", "hold-a-health-check"}
"""What RBAC lets through where those are applied."""


@pytest.mark.parametrize("case", [case for case in (*OTHERS, *ELSEWHERE) if case not in BY_ADMISSION])
def test_rbac_refuses_what_no_rule_grants(installed: tuple[Rest, str], case: str) -> None:
    token, namespace = installed
    names = ("denial", "node", "pod", "set")
    places = dict.fromkeys(names, "x") | {"namespace": namespace, "binding": namespace, "account": "x"}
    with pytest.raises(ApiError) as refused:
        send(token, (OTHERS | ELSEWHERE)[case], places)
    assert refused.value.status == FORBIDDEN, refused.value
    assert "cannot" in refused.value.message
    assert "ValidatingAdmissionPolicy" not in refused.value.message


@pytest.mark.parametrize(("resource", "group"), IMPERSONATED)
def test_it_acts_as_nobody_else(installed: tuple[Rest, str], resource: str, group: str) -> None:
    token, _ = installed
    asked = {"resourceAttributes": {"verb": "impersonate", "resource": resource, "group": group}}
    review = token.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": asked})
    assert review["status"]["allowed"] is False


def test_by_rbac_alone_what_restores_a_cluster_role_reaches_everything(installed: tuple[Rest, str]) -> None:
    """That it goes no further than the KiroSafetyBaseline is for admission: tests/apiserver."""
    token, namespace = installed
    account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}
    bound = {"roleRef": ADMIN | {"name": NAME}, "subjects": [account]}
    for kind, content in (("ClusterRole", {"rules": [EVERYTHING]}), ("ClusterRoleBinding", bound)):
        body = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": NAME},
        } | content
        send(token, ("APPLY", f"{{cluster}}/{kind.lower()}s/{NAME}", body), {"namespace": namespace})
