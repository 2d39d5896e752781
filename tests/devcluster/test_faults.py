"""Every fault gives the pod the documented status, at once, and recovery gives it back its health."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from devcluster import ControlPlane, faults
from devcluster import nodes as kwok_nodes
from devcluster.wait import until

from .helpers import (
    container,
    evict,
    get_pods,
    make_deployment,
    make_pod,
    ready,
    wait_pod,
    waiting_reason,
)


@pytest.mark.parametrize(
    ("fault", "phase", "waiting", "last"),
    [
        ("crash-loop", "Running", "CrashLoopBackOff", ("Error", 1)),
        ("oom", "Running", "CrashLoopBackOff", ("OOMKilled", 137)),
        ("image-pull", "Pending", "ImagePullBackOff", None),
        ("config-error", "Pending", "CreateContainerConfigError", None),
        ("not-ready", "Running", "", None),
    ],
)
def test_fault_and_recovery(
    control_plane: ControlPlane,
    namespace: str,
    *,
    fault: str,
    phase: str,
    waiting: str,
    last: tuple[str, int] | None,
) -> None:
    make_pod(control_plane, namespace)
    wait_pod(control_plane, namespace, ready, "a healthy pod")

    faults.inject(control_plane, namespace, "web", fault)
    broken = wait_pod(control_plane, namespace, lambda pod: not ready(pod), f"the fault {fault}")
    assert broken["status"]["phase"] == phase
    assert waiting_reason(broken) == waiting
    assert container(broken)["ready"] is False
    terminated = container(broken).get("lastState", {}).get("terminated")
    assert (terminated and (terminated["reason"], terminated["exitCode"])) == last

    faults.clear(control_plane, namespace, "web")
    mended = wait_pod(control_plane, namespace, ready, "recovery")
    assert mended["status"]["phase"] == "Running"
    assert container(mended)["restartCount"] == (1 if last else 0)
    conditions = {each["type"]: each for each in mended["status"]["conditions"]}
    assert "reason" not in conditions["Ready"]


def test_restarts_rise(control_plane: ControlPlane, namespace: str) -> None:
    make_pod(control_plane, namespace)
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    faults.inject(control_plane, namespace, "web", "crash-loop", restart_every="200ms")
    wait_pod(control_plane, namespace, lambda pod: container(pod).get("restartCount", 0) >= 3, "3 restarts")


def test_one_fault_follows_another(control_plane: ControlPlane, namespace: str) -> None:
    make_pod(control_plane, namespace)
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    for fault, reason in (("image-pull", "ImagePullBackOff"), ("oom", "CrashLoopBackOff"), ("not-ready", "")):
        faults.inject(control_plane, namespace, "web", fault)
        wait_pod(
            control_plane,
            namespace,
            lambda pod, reason=reason: not ready(pod) and waiting_reason(pod) == reason,  # type: ignore[misc]
            fault,
        )


def test_only_one_container_breaks(control_plane: ControlPlane, namespace: str) -> None:
    make_pod(control_plane, namespace, containers=("good", "bad"))
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    faults.inject(control_plane, namespace, "web", "crash-loop", container="bad")
    broken = wait_pod(control_plane, namespace, lambda pod: not ready(pod), "the fault")
    assert container(broken, 0)["ready"] is True
    assert container(broken, 0)["restartCount"] == 0
    assert container(broken, 1)["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_init_crash(control_plane: ControlPlane, namespace: str) -> None:
    make_pod(control_plane, namespace, initContainers=[{"name": "setup", "image": "setup"}])
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    faults.inject(control_plane, namespace, "web", "init-crash")
    broken = wait_pod(control_plane, namespace, lambda pod: not ready(pod), "the fault")
    assert broken["status"]["phase"] == "Pending"
    assert broken["status"]["initContainerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert waiting_reason(broken) == "PodInitializing"
    faults.clear(control_plane, namespace, "web")
    wait_pod(control_plane, namespace, ready, "recovery")


def test_init_crash_needs_an_init_container(control_plane: ControlPlane, namespace: str) -> None:
    make_pod(control_plane, namespace)
    with pytest.raises(ValueError, match="has no init container"):
        faults.inject(control_plane, namespace, "web", "init-crash")


def test_unknown_fault_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    with pytest.raises(ValueError, match="crash-loop, oom"):
        faults.inject(control_plane, namespace, "web", "crashloop")


def test_slow_start(control_plane: ControlPlane, namespace: str) -> None:
    annotations = {"devcluster.kiro.dev/fault": "slow-start", "devcluster.kiro.dev/delay": "1s"}
    make_pod(control_plane, namespace, annotations=annotations)
    running = wait_pod(
        control_plane, namespace, lambda pod: pod["status"]["phase"] == "Running", "a running pod"
    )
    assert not ready(running)
    wait_pod(control_plane, namespace, ready, "a ready pod")


def test_pod_fault_ends_with_the_pod(control_plane: ControlPlane, namespace: str) -> None:
    make_deployment(control_plane, namespace)
    (pod,) = until(lambda: [each for each in get_pods(control_plane, namespace) if ready(each)], "a pod")
    name = pod["metadata"]["name"]
    faults.inject(control_plane, namespace, name, "crash-loop")
    wait_pod(control_plane, namespace, lambda pod: not ready(pod), "the fault", name=name)

    evict(control_plane, namespace, name)
    (replacement,) = until(
        lambda: [each for each in get_pods(control_plane, namespace) if ready(each)], "a healthy replacement"
    )
    assert replacement["metadata"]["name"] != name


def test_template_fault_recurs(control_plane: ControlPlane, namespace: str) -> None:
    make_deployment(control_plane, namespace)
    until(lambda: any(map(ready, get_pods(control_plane, namespace))), "a healthy pod")
    faults.inject_template(control_plane, namespace, "deployment/web", "crash-loop")

    def crashing() -> set[str]:
        pods = get_pods(control_plane, namespace)
        return {pod["metadata"]["name"] for pod in pods if waiting_reason(pod) == "CrashLoopBackOff"}

    (first,) = until(crashing, "a crashing pod")
    evict(control_plane, namespace, first)
    (second,) = until(lambda: crashing() - {first}, "its crashing replacement")
    assert second != first

    faults.clear_template(control_plane, namespace, "deployment/web")
    until(lambda: all(map(ready, get_pods(control_plane, namespace))), "recovery")


def test_unschedulable(control_plane: ControlPlane, namespace: str) -> None:
    make_deployment(control_plane, namespace)
    until(lambda: any(map(ready, get_pods(control_plane, namespace))), "a healthy pod")
    faults.inject_template(control_plane, namespace, "deployment/web", "unschedulable")

    def unscheduled() -> bool:
        return any(
            each.get("reason") == "Unschedulable"
            for pod in get_pods(control_plane, namespace)
            for each in pod["status"].get("conditions", ())
        )

    until(unscheduled, "an unschedulable pod")
    faults.clear_template(control_plane, namespace, "deployment/web")
    until(lambda: all(map(ready, get_pods(control_plane, namespace))), "recovery")


@pytest.fixture
def node(control_plane: ControlPlane) -> Iterator[str]:
    """A node of this test's own, which the scheduler gives to nobody: the others belong to all tests."""
    name = f"node-{uuid.uuid4().hex[:6]}"
    cordoned = {**kwok_nodes.manifest(name), "spec": {"unschedulable": True}}
    control_plane.rest.post(kwok_nodes.NODES, cordoned)
    yield name
    control_plane.rest.delete(f"{kwok_nodes.NODES}/{name}")


def test_node_down_and_up(control_plane: ControlPlane, namespace: str, node: str) -> None:
    path = f"{kwok_nodes.NODES}/{node}"
    until(lambda: kwok_nodes.is_ready(control_plane.rest.get(path)), "the node")
    make_pod(control_plane, namespace, nodeName=node)
    wait_pod(control_plane, namespace, ready, "a healthy pod")

    faults.node_down(control_plane, node)

    def tainted() -> bool:
        taints = control_plane.rest.get(path)["spec"].get("taints", ())
        return "node.kubernetes.io/unreachable" in {each["key"] for each in taints}

    until(tainted, "the node controller's taint")
    assert not kwok_nodes.is_ready(control_plane.rest.get(path))
    lost = wait_pod(control_plane, namespace, lambda pod: not ready(pod), "the pod's condition")
    assert container(lost)["ready"] is True

    faults.node_up(control_plane, node)
    until(lambda: kwok_nodes.is_ready(control_plane.rest.get(path)) and not tainted(), "the node to be back")
    wait_pod(control_plane, namespace, ready, "the pod to be back")


def test_sixty_pods_fail_at_once(control_plane: ControlPlane, namespace: str) -> None:
    make_deployment(control_plane, namespace, replicas=60)
    until(lambda: sum(map(ready, get_pods(control_plane, namespace))) == 60, "60 healthy pods", 30.0)
    pods = faults.pods_of(control_plane, namespace, "app=web")
    started = time.monotonic()
    faults.inject_many(control_plane, pods, "crash-loop")
    until(lambda: not any(map(ready, get_pods(control_plane, namespace))), "60 broken pods", 5.0)
    # A generous bound: on two free cores it takes about half a second.
    assert time.monotonic() - started < 5.0
    faults.clear_many(control_plane, pods)
    until(lambda: all(map(ready, get_pods(control_plane, namespace))), "60 healthy pods")
