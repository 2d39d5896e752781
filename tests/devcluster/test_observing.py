"""What an operator reads beside objects: logs, metrics and, for tests, the audit log."""

from __future__ import annotations

import json
import ssl
import urllib.request
import uuid

from devcluster import ControlPlane, faults, nodes
from devcluster.plane import whole_lines
from devcluster.wait import until

from .helpers import make_pod, ready, wait_pod


def test_logs(control_plane: ControlPlane, namespace: str) -> None:
    make_pod(control_plane, namespace, containers=("main", "side"))
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    file = faults.logs(control_plane, namespace, "web", ["one", "two"], container="main", previous=["gone"])
    faults.logs(control_plane, namespace, "web", ["aside"], container="side")

    def shown(*arguments: str) -> str:
        return control_plane.kubectl("logs", "web", "-n", namespace, *arguments, check=False).stdout

    until(lambda: shown("-c", "main") == "one\ntwo\n", "the log")
    faults.append_log(file, ["three"])
    assert shown("-c", "main", "--tail=1") == "three\n"
    assert shown("-c", "main", "--previous") == "gone\n"
    until(lambda: shown("-c", "side") == "aside\n", "the other container's log")


def test_usage(control_plane: ControlPlane, namespace: str) -> None:
    make_pod(control_plane, namespace)
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    assert faults.usage(control_plane, namespace, "app=web", cpu="900m", memory="1Gi") == 1
    control_plane.wait_for_metrics()

    def shown() -> bool:
        top = control_plane.kubectl("top", "pods", "-n", namespace, "--no-headers", check=False)
        name, cpu, memory = (top.stdout.split() or ("", "0m", ""))[:3]
        # CPU is a rate, by the clock of a machine that may be busy.
        return (name, memory) == ("web", "1024Mi") and 850 <= int(cpu.removesuffix("m")) <= 950

    # It is right once two scrapes, 15 s apart, saw the usage.
    until(shown, "kubectl top pods", 120.0)


def test_a_node_without_pods_has_figures_too(control_plane: ControlPlane) -> None:
    """metrics-server leaves out what uses nothing, and then is never ready in a fresh cluster."""
    name = f"idle-{uuid.uuid4().hex[:6]}"
    control_plane.rest.post(nodes.NODES, {**nodes.manifest(name), "spec": {"unschedulable": True}})
    try:

        def usage() -> dict[str, str] | None:
            path = f"/apis/metrics.k8s.io/v1beta1/nodes/{name}"
            shown = control_plane.kubectl("get", "--raw", path, check=False)
            return dict(json.loads(shown.stdout)["usage"]) if shown.returncode == 0 else None

        # What it is given to use is drawn anew at each scrape.
        memory = until(usage, "figures of the empty node", 90.0)["memory"]
        assert 200 <= int(memory.removesuffix("Mi")) <= 300
    finally:
        control_plane.rest.delete(f"{nodes.NODES}/{name}")


def test_a_service_account_and_the_audit_log(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "serviceaccount", "robot", "-n", namespace)
    control_plane.kubectl(
        *("create", "rolebinding", "robot", "--clusterrole=edit", "-n", namespace),
        f"--serviceaccount={namespace}:robot",
    )
    make_pod(control_plane, namespace)
    folder = control_plane.service_account_dir(namespace, "robot", 600)
    assert (folder / "namespace").read_text() == namespace
    since = control_plane.audit_offset()

    request = urllib.request.Request(  # noqa: S310 - the URL is ours
        f"{control_plane.server}/api/v1/namespaces/{namespace}/pods/web",
        data=json.dumps({"metadata": {"labels": {"touched": "yes"}}}).encode(),
        headers={
            "Authorization": f"Bearer {(folder / 'token').read_text()}",
            "Content-Type": "application/merge-patch+json",
        },
        method="PATCH",
    )
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    with urllib.request.urlopen(request, context=tls) as response:  # noqa: S310
        assert response.status == 200

    user = f"system:serviceaccount:{namespace}:robot"
    (event,) = until(
        lambda: [each for each in control_plane.audit_events(since) if each["user"]["username"] == user],
        "the audit event",
    )
    assert event["verb"] == "patch"
    assert event["objectRef"]["resource"] == "pods"
    assert event["objectRef"]["name"] == "web"
    assert event["responseStatus"]["code"] == 200
    assert event["requestObject"] == {"metadata": {"labels": {"touched": "yes"}}}


def test_whoever_begins_in_the_middle_of_a_line_begins_at_the_next_one(
    control_plane: ControlPlane, namespace: str
) -> None:
    at, line = until(lambda: _first_with(control_plane, namespace.encode()), "the audit event")
    whole = json.loads(line)
    assert next(control_plane.audit_events(at)) == whole
    assert next(control_plane.audit_events(at, naming=namespace)) == whole
    for inside in (at + 1, at + len(line) - 1):
        assert next(control_plane.audit_events(inside), None) != whole


def test_a_line_that_is_half_written_ends_what_is_read() -> None:
    assert list(whole_lines([b"one\n", b"tw", b"o\n", b"three\n"])) == [b"one\n"]


def _first_with(plane: ControlPlane, mark: bytes) -> tuple[int, bytes] | None:
    """Where in the audit log it is named first, and the line."""
    at = 0
    with plane.audit_log.open("rb") as lines:
        for line in lines:
            if mark in line and line.endswith(b"\n"):
                return at, line
            at += len(line)
    return None
