"""The life of an installation, on a control plane of its own: it ends with the CRDs being deleted."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import devcluster
from devcluster import ControlPlane, faults
from devcluster.errors import KubectlFailed
from devcluster.operator import OperatorProcess
from devcluster.wait import until
from tests.deploy.rendered import DEPLOY, OVERLAYS, ROOT, text
from tests.deploy.rights import Installed

OPERATOR = "system:serviceaccount:kiro-operator:kiro-operator"
SYSTEM = "kiro-system"
Object = dict[str, Any]
pytestmark = pytest.mark.apiserver


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    made = devcluster.boot(tmp_path / "plane", name="install", nodes=1, metrics_server=False, audit=False)
    yield made
    made.stop()


def test_an_installation_lives_and_leaves_nothing_behind(plane: ControlPlane, tmp_path: Path) -> None:
    for namespace in (SYSTEM, "team-b"):
        plane.kubectl("create", "namespace", namespace)
    _install(plane)
    _everything_is_accepted(plane)
    operator = OperatorProcess(
        plane, namespace="kiro-operator", service_account="kiro-operator", log=tmp_path / "operator.log"
    )
    try:
        operator.start()
        _it_works(plane, tmp_path)
        _it_is_confined(plane)
        _a_further_namespace_is_onboarded(plane, tmp_path)
        _the_crds_are_upgraded(plane)
        assert operator.running
        assert operator.stop() == 0
    finally:
        if operator.running:
            operator.kill()
    _it_is_uninstalled(plane)


def _install(plane: ControlPlane) -> None:
    """As docs/install.md says."""
    done = plane.kubectl(
        "apply", "--server-side", "--validate=strict", "-k", str(DEPLOY / "overlays" / "kiro-system")
    )
    assert "Warning" not in done.stderr, done.stderr
    names = [line.partition(" ")[0] for line in done.stdout.splitlines()]
    assert "deployment.apps/kiro-operator" in names
    plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
    # The pods get past the namespace's own pod security, which refuses what asks for more.
    plane.kubectl("rollout", "status", "deployment/kiro-operator", "-n", "kiro-operator", "--timeout=60s")
    with pytest.raises(KubectlFailed, match="violates PodSecurity"):
        plane.kubectl("run", "shell", "--image=shell:1", "-n", "kiro-operator")


def _everything_is_accepted(plane: ControlPlane) -> None:
    for name in ("base", *(f"overlays/{overlay}" for overlay in OVERLAYS)):
        # Not server-side here: kubectl apply -k without a flag must do as well.
        done = plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-k", str(DEPLOY / name))
        assert "violate PodSecurity" not in done.stderr
    for sample in [
        *sorted((DEPLOY / "samples").glob("policy-*.yaml")),
        DEPLOY / "samples" / "approvers.yaml",
    ]:
        plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(sample))
    wrong = (DEPLOY / "samples" / "policy-enforce.yaml").read_text().replace("cooldown:", "coolDown:")
    with pytest.raises(KubectlFailed, match="unknown field"):
        plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=wrong)


def _it_works(plane: ControlPlane, folder: Path) -> None:
    """The samples, and a pod that crashes."""
    world = Installed(plane, SYSTEM, folder)
    world.workload("Deployment", "kiro", 4)
    world.settled("Deployment", "kiro")
    for sample in ("policy-enforce", "healthcheck"):
        plane.kubectl("apply", "--validate=strict", "-f", str(DEPLOY / "samples" / f"{sample}.yaml"))
    # The sample forbids acting on one evening of the week, which this test may run on.
    anytime = '{"spec": {"forbiddenWindows": []}}'
    plane.kubectl("patch", "ksp", "platform", "-n", SYSTEM, "--type=merge", "-p", anytime)
    plane.kubectl("wait", "-n", SYSTEM, "--for=condition=Ready", "khc/platform", "--timeout=30s")
    pod = world.pods("kiro")[0]["metadata"]["name"]
    faults.inject(plane, SYSTEM, pod, "crash-loop")

    def evicted() -> bool:
        return any(item["spec"]["pod"]["name"] == pod for item in world.remediations())

    until(evicted, "the pod to be evicted", 30)
    until(lambda: all(each["metadata"]["name"] != pod for each in world.pods("kiro")), "the pod to go", 30)


def _it_is_confined(plane: ControlPlane) -> None:
    """Its own record may be made in its name, and by its own name only; RBAC would allow both."""
    lease = '{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"%s"}}'
    create = ("create", "-n", "kiro-operator", f"--as={OPERATOR}", "--dry-run=server", "-f", "-")
    plane.kubectl(*create, input=lease % "kiro-operator-1")
    with pytest.raises(KubectlFailed, match="ValidatingAdmissionPolicy 'kiro-operator-leases'"):
        plane.kubectl(*create, input=lease % "another")


def _a_further_namespace_is_onboarded(plane: ControlPlane, folder: Path) -> None:
    """The kustomization that docs/install.md shows."""
    assert _may(plane, "team-b") == {"observe": False, "restart": False, "scale": False}
    (folder / "team-b").mkdir()
    resources = [
        os.path.relpath(DEPLOY / "namespace" / level, folder / "team-b") for level in ("observe", "restart")
    ]
    (folder / "team-b" / "kustomization.yaml").write_text(
        yaml.safe_dump({"namespace": "team-b", "resources": resources})
    )
    plane.kubectl("apply", "--server-side", "--validate=strict", "-k", str(folder / "team-b"))
    assert _may(plane, "team-b") == {"observe": True, "restart": True, "scale": False}
    check = {
        "apiVersion": "kiro.dev/v1alpha1",
        "kind": "KiroHealthCheck",
        "metadata": {"name": "b"},
        "spec": {},
    }
    plane.kubectl("apply", "-n", "team-b", "-f", "-", input=json.dumps(check))
    plane.kubectl("wait", "-n", "team-b", "--for=condition=Ready", "khc/b", "--timeout=30s")


def _may(plane: ControlPlane, namespace: str) -> dict[str, bool]:
    """What the installed ServiceAccount may do in a namespace, by level."""
    asked = {
        "observe": {"verb": "create", "group": "kiro.dev", "resource": "kiroremediations"},
        "restart": {"verb": "create", "resource": "pods", "subresource": "eviction"},
        "scale": {"verb": "patch", "group": "apps", "resource": "deployments", "subresource": "scale"},
    }
    reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return {
        level: plane.rest.post(
            reviews, {"spec": {"user": OPERATOR, "resourceAttributes": {"namespace": namespace} | attributes}}
        )["status"]["allowed"]
        for level, attributes in asked.items()
    }


def _the_crds_are_upgraded(plane: ControlPlane) -> None:
    """A later version adds a field: what is there stays, and what is new is taken."""
    before = _kiro_objects(plane)
    later = yaml.safe_load((ROOT / "crds" / "kiro.dev_kirohealthchecks.yaml").read_text())
    schema = later["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["addedLater"] = {"type": "string", "default": "later"}
    plane.apply(yaml.safe_dump(later))
    platform = f"/apis/kiro.dev/v1alpha1/namespaces/{SYSTEM}/kirohealthchecks/platform"
    until(lambda: "addedLater" in plane.rest.get(platform)["spec"], "the new field")
    assert _kiro_objects(plane) == before

    _install_again = (
        "apply",
        "--server-side",
        "--force-conflicts",
        "-k",
        str(DEPLOY / "overlays" / "kiro-system"),
    )
    plane.kubectl(*_install_again)

    until(lambda: "addedLater" not in plane.rest.get(platform)["spec"], "the field to go again")
    assert _kiro_objects(plane) == before
    plane.kubectl("annotate", "-n", SYSTEM, "khc/platform", "kiro.dev/requestedAt=after-the-upgrade")
    until(
        lambda: plane.rest.get(platform)["status"].get("lastHandledReconcileAt") == "after-the-upgrade",
        "the operator to go on after the upgrade",
        30,
    )


def _kiro_objects(plane: ControlPlane) -> dict[str, str]:
    """UIDs of everything that users or the operator wrote."""
    return {
        f"{plural}/{item['metadata']['namespace']}/{item['metadata']['name']}": item["metadata"]["uid"]
        for plural in ("kirohealthchecks", "kirosafetypolicies", "kiroremediations")
        for item in plane.rest.get(f"/apis/kiro.dev/v1alpha1/{plural}")["items"]
    }


def _it_is_uninstalled(plane: ControlPlane) -> None:
    """The operator first: nothing may depend on it to be deleted."""
    plane.kubectl("delete", "deployment/kiro-operator", "-n", "kiro-operator")
    assert all(
        "finalizers" not in item["metadata"]
        for item in plane.rest.get("/apis/kiro.dev/v1alpha1/kirohealthchecks")["items"]
    )
    plane.kubectl("delete", "khc,ksp,krem,kappr", "--all", "--all-namespaces", "--timeout=20s")
    assert not _kiro_objects(plane)
    # It waits for some eighty objects one after the other, a namespace with its content among them.
    overlay = str(DEPLOY / "overlays" / "kiro-system")
    try:
        plane.kubectl("delete", "--ignore-not-found", "-k", overlay, timeout=240)
    except subprocess.TimeoutExpired as error:
        left = plane.kubectl("get", "namespaces,crds", "-o", "yaml").stdout
        raise AssertionError(f"{error.output!r}\nis all that was deleted; what is left:\n{left}") from error
    plane.kubectl(
        "delete", "rolebinding,role", "-n", "team-b", "-l", "app.kubernetes.io/part-of=kiro-operator"
    )
    kinds = "namespaces,crds,clusterroles,clusterrolebindings,roles,rolebindings,deployments,serviceaccounts"
    kinds += ",validatingadmissionpolicies,validatingadmissionpolicybindings"
    left = plane.kubectl("get", f"{kinds},leases,services,networkpolicies,pdb", "-A", "-o", "name").stdout
    assert "kiro" not in left.replace(f"namespace/{SYSTEM}", "").replace("deployment.apps/kiro\n", "")
    # What the operator looked after is as it was.
    assert f"namespace/{SYSTEM}" in left
    assert "deployment.apps/kiro\n" in left


def test_the_overlays_differ_by_what_they_name_only() -> None:
    full = set(text("overlays/kiro-system").split("---\n"))
    for overlay in ("observe", "restart", "scale"):
        assert set(text(f"overlays/{overlay}").split("---\n")) < full
