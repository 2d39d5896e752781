"""The pod that deploy/ asks for, before Kubernetes' own strictest rules."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from devcluster import ControlPlane
from devcluster.errors import ApiError
from devcluster.wait import until
from tests.deploy.rendered import of_kind

Object = dict[str, Any]
LABEL = "pod-security.kubernetes.io/enforce"
OUTER = ("securityContext",)
INNER = ("containers", 0, "securityContext")
WEAKER: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "root": ((*OUTER, "runAsNonRoot"), False),
    "root-by-number": ((*OUTER, "runAsUser"), 0),
    "no-seccomp": ((*OUTER, "seccompProfile", "type"), "Unconfined"),
    "escalation": ((*INNER, "allowPrivilegeEscalation"), True),
    "capabilities": ((*INNER, "capabilities", "drop"), []),
    "more-capabilities": ((*INNER, "capabilities", "add"), ["NET_ADMIN"]),
    "host-network": (("hostNetwork",), True),
    "host-processes": (("hostPID",), True),
    "host-files": (("volumes",), [{"name": "host", "hostPath": {"path": "/"}}]),
}


@pytest.fixture(scope="module")
def restricted(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace that enforces the standard `restricted`, as deploy/base's own does."""
    name = f"restricted-{uuid.uuid4().hex[:8]}"
    rest = control_plane.rest
    labels = of_kind("base", "Namespace")[0]["metadata"]["labels"]
    assert labels[LABEL] == "restricted"
    rest.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": {LABEL: labels[LABEL]}}})
    rest.post(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "kiro-operator"}})
    until(lambda: _post(control_plane, name, _pod()), "the namespace to take the pod", 30)
    yield name
    rest.delete(f"/api/v1/namespaces/{name}")


def _pod() -> Object:
    template = deepcopy(of_kind("base", "Deployment")[0]["spec"]["template"])
    return {"metadata": template["metadata"] | {"name": "operator"}, "spec": template["spec"]}


def _post(plane: ControlPlane, namespace: str, pod: Object) -> Object | None:
    """The pod as it would be stored; None while its ServiceAccount is not known yet."""
    try:
        return plane.rest.post(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
    except ApiError as error:
        if "serviceaccount" not in error.message:
            raise
        return None


def test_the_pod_is_restricted(control_plane: ControlPlane, restricted: str) -> None:
    stored = _post(control_plane, restricted, _pod())
    assert stored is not None
    spec = stored["spec"]
    # Nothing is mounted but the token that the API server is asked with, and nothing can be written.
    assert [[*volume] for volume in spec["volumes"]] == [["name", "projected"]]
    [mount] = spec["containers"][0]["volumeMounts"]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert mount["readOnly"] is True
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert len(spec["containers"]) == 1
    assert "initContainers" not in spec


@pytest.mark.parametrize("case", WEAKER)
def test_a_weaker_pod_is_refused(control_plane: ControlPlane, restricted: str, case: str) -> None:
    path, value = WEAKER[case]
    pod = _pod()
    place: Any = pod["spec"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ApiError, match="violates PodSecurity"):
        _post(control_plane, restricted, pod)


def test_nothing_else_in_its_namespace_gets_a_token_by_accident() -> None:
    [account] = of_kind("base", "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert "secrets" not in account
    assert "imagePullSecrets" not in account
