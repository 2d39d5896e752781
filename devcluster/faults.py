"""Faults as one-liners: break pods, templates and nodes of a control plane of ours, and mend them again.

    crash-loop     CrashLoopBackOff, last state exit 1, restarts rising with the kubelet's back-off
    oom            the same with OOMKilled, exit 137
    image-pull     ImagePullBackOff, phase Pending
    config-error   CreateContainerConfigError, phase Pending
    not-ready      runs, but Ready is False
    init-crash     Init:CrashLoopBackOff; the pod needs an init container
    slow-start     a new pod becomes Ready only after a delay; a Ready pod is left alone
    unschedulable  on a template only: no node matches

On a pod, a fault lasts until `clear` or until the pod is replaced; on a template it comes back with every
new pod. All go through one HTTPS client; the `_many` functions send their requests at once.
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devcluster.errors import ApiError, DevclusterError
from devcluster.fault_stages import INIT_CRASH, NAMES
from devcluster.plane import ControlPlane
from devcluster.rest import STRATEGIC, Rest, on_each
from devcluster.stages import CONTAINER, DELAY, FAULT, NODE_DOWN, RESTART_EVERY
from devcluster.wait import until

Object = dict[str, Any]
PodRef = tuple[str, str]
"""Namespace and name."""

UNSCHEDULABLE = "unschedulable"
NO_SUCH_NODE = {"devcluster.kiro.dev/no-node-has": "this-label"}
USAGE_CPU = "kwok.x-k8s.io/usage-cpu"
USAGE_MEMORY = "kwok.x-k8s.io/usage-memory"
MUTATING = tuple(
    f"/apis/admissionregistration.k8s.io/v1/mutatingadmission{kind}"
    for kind in ("policies", "policybindings")
)
LOGS_API = "/apis/kwok.x-k8s.io/v1alpha1"
WORKLOADS = {"deployment": "deployments", "statefulset": "statefulsets", "daemonset": "daemonsets"}


def inject(
    plane: ControlPlane,
    namespace: str,
    pod: str,
    fault: str,
    *,
    container: str | None = None,
    restart_every: str | None = None,
    delay: str | None = None,
) -> None:
    """Break one pod; its status shows the fault some milliseconds later.

    Args:
        plane: Where.
        namespace: The pod's namespace.
        pod: The pod's name.
        fault: One of the names above, but `unschedulable`.
        container: Break this container only; by default all.
        restart_every: A Go duration between restarts, instead of 10 s, 20 s, 40 s … 5 min.
        delay: A Go duration until a slow pod is Ready, instead of 5 s.
    """
    inject_many(
        plane, [(namespace, pod)], fault, container=container, restart_every=restart_every, delay=delay
    )


def inject_many(
    plane: ControlPlane,
    pods: Sequence[PodRef],
    fault: str,
    *,
    container: str | None = None,
    restart_every: str | None = None,
    delay: str | None = None,
) -> None:
    """Break many pods at once, as `inject` does one: sixty take about 0.2 s."""
    rest = _own(plane)
    _check(fault)
    if fault == INIT_CRASH:
        on_each(lambda pod: _require_init_container(rest, pod), pods)
    _annotate_many(rest, pods, _annotations(fault, container, restart_every, delay))


def clear(plane: ControlPlane, namespace: str, pod: str) -> None:
    """Mend one pod: it goes back to Running and Ready, and keeps its restart count."""
    clear_many(plane, [(namespace, pod)])


def clear_many(plane: ControlPlane, pods: Sequence[PodRef]) -> None:
    """Mend many pods at once."""
    _annotate_many(_own(plane), pods, dict.fromkeys((FAULT, CONTAINER, RESTART_EVERY, DELAY)))


def inject_template(
    plane: ControlPlane,
    namespace: str,
    workload: str,
    fault: str,
    *,
    container: str | None = None,
    restart_every: str | None = None,
    delay: str | None = None,
) -> None:
    """Break every pod that the workload makes from now on; the changed template rolls it out.

    Args:
        plane: Where.
        namespace: The workload's namespace.
        workload: As "deployment/web", "statefulset/db" or "daemonset/agent".
        fault: One of the names above.
        container: As for `inject`.
        restart_every: As for `inject`.
        delay: As for `inject`.
    """
    template: Object
    if fault == UNSCHEDULABLE:
        template = {"spec": {"nodeSelector": NO_SUCH_NODE}}
    else:
        _check(fault)
        template = {"metadata": {"annotations": _annotations(fault, container, restart_every, delay)}}
    _own(plane).patch(_workload(namespace, workload), {"spec": {"template": template}})


def clear_template(plane: ControlPlane, namespace: str, workload: str) -> None:
    """Take every fault out of the workload's template; that rolls out healthy pods."""
    none = dict.fromkeys((FAULT, CONTAINER, RESTART_EVERY, DELAY))
    template = {
        "metadata": {"annotations": none},
        "spec": {"nodeSelector": dict.fromkeys(NO_SUCH_NODE)},
    }
    _own(plane).patch(_workload(namespace, workload), {"spec": {"template": template}})


@contextmanager
def broken_image(plane: ControlPlane, namespace: str, image: str, fault: str) -> Iterator[None]:
    """Break every pod that is made of an image, while this lasts: a release that does not get going.

    What makes the pods does not show it, unlike a fault in a template.

    Args:
        plane: Where.
        namespace: Of the pods.
        image: As a container names it, such as "web:2".
        fault: One of the names above, but `unschedulable`.
    """
    rest, name = _own(plane), f"broken-image-{namespace}"
    _check(fault)
    policy = {"kind": "MutatingAdmissionPolicy", "metadata": {"name": name}}
    binding = {"kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name}}
    rest.post(MUTATING[0], policy | {"spec": _breaking(namespace, image, fault)})
    rest.post(MUTATING[1], binding | {"spec": {"policyName": name}})
    try:
        until(lambda: _is_broken(rest, namespace, image), f"{image} to be broken", 30)
        yield
    finally:
        for path in reversed(MUTATING):
            rest.delete(f"{path}/{name}")


def _breaking(namespace: str, image: str, fault: str) -> Object:
    annotations = f"{json.dumps(FAULT)}: {json.dumps(fault)}"
    marked = f"Object{{metadata: Object.metadata{{annotations: {{{annotations}}}}}}}"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    is_made_of = f"object.spec.containers.exists(c, c.image == {json.dumps(image)})"
    return {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "resourceRules": [pods],
        },
        "matchConditions": [{"name": "image", "expression": is_made_of}],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": marked}}],
    }


def _is_broken(rest: Rest, namespace: str, image: str) -> bool:
    pod = {"metadata": {"name": "canary"}, "spec": {"containers": [{"name": "one", "image": image}]}}
    made = rest.post(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
    return FAULT in made["metadata"].get("annotations", {})


def node_down(plane: ControlPlane, node: str) -> None:
    """Silence a node: Ready becomes Unknown, the node controller taints it, its pods are no longer Ready.

    The pods' conditions are written here, as the node controller does when a kubelet goes silent; it only
    does so when it notices the silence itself, 50 s later. Containers stay as they last were.
    """
    rest = _own(plane)
    rest.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": {FAULT: NODE_DOWN}}})
    _set_pods_ready(rest, node, ready=False)


def node_up(plane: ControlPlane, node: str) -> None:
    """Bring a silenced node back, with its pods."""
    rest = _own(plane)
    rest.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": {FAULT: None}}})
    _set_pods_ready(rest, node, ready=True)


def usage(
    plane: ControlPlane, namespace: str, selector: str, *, cpu: str | None = None, memory: str | None = None
) -> int:
    """Make the pods of a label selector use so much, each; returns how many there are.

    metrics-server shows it with its next but one scrape at the latest, 30 s later.
    """
    wanted = {USAGE_CPU: cpu, USAGE_MEMORY: memory}
    rest = _own(plane)
    pods = pods_of(plane, namespace, selector)
    _annotate_many(rest, pods, {key: value for key, value in wanted.items() if value is not None})
    return len(pods)


def logs(
    plane: ControlPlane,
    namespace: str,
    pod: str,
    lines: Iterable[str],
    *,
    container: str | None = None,
    previous: Iterable[str] | None = None,
) -> Path:
    """Let `kubectl logs` of the pod (or `pod/container`) show these lines; returns the log's file.

    Lines appended to the file by `append_log` are seen by `logs -f`.

    Args:
        plane: Where.
        namespace: The pod's namespace.
        pod: The pod's name.
        lines: What the container wrote, without line ends.
        container: Of this container only; by default of all.
        previous: What `kubectl logs --previous` shows.
    """
    folder = plane.folder / "pod-logs" / namespace
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{pod}.{container}" if container else pod
    current = folder / f"{stem}.log"
    current.write_text("", encoding="utf-8")
    append_log(current, lines)
    entry: Object = {"logsFile": str(current), "follow": True}
    if container:
        entry["containers"] = [container]
    if previous is not None:
        before = folder / f"{stem}.previous.log"
        before.write_text("", encoding="utf-8")
        append_log(before, previous)
        entry["previousLogsFile"] = str(before)
    _write_logs(_own(plane), namespace, pod, entry)
    return current


def append_log(file: Path, lines: Iterable[str]) -> None:
    """Append lines to a file that `logs` returned, in the format of the container runtime."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    with file.open("a", encoding="utf-8") as log:
        log.writelines(f"{now} stdout F {line}\n" for line in lines)


def pods_of(plane: ControlPlane, namespace: str, selector: str) -> list[PodRef]:
    """The pods of a label selector."""
    found = plane.rest.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
    return [(namespace, pod["metadata"]["name"]) for pod in found]


def _own(plane: ControlPlane) -> Rest:
    if plane.external:
        raise DevclusterError("faults need kwok's pods; this is a cluster of your own")
    return plane.rest


def _check(fault: str) -> None:
    if fault not in NAMES:
        raise ValueError(f"no such fault for a pod: {fault!r}; there are {', '.join(NAMES)}")


def _annotations(
    fault: str, container: str | None, restart_every: str | None, delay: str | None
) -> dict[str, str | None]:
    """All four keys: what an earlier fault left is taken away."""
    return {FAULT: fault, CONTAINER: container, RESTART_EVERY: restart_every, DELAY: delay}


def _annotate_many(rest: Rest, pods: Sequence[PodRef], annotations: dict[str, Any]) -> None:
    patch = {"metadata": {"annotations": annotations}}
    on_each(lambda pod: rest.patch(_path(pod), patch), pods)


def _path(pod: PodRef) -> str:
    return f"/api/v1/namespaces/{pod[0]}/pods/{pod[1]}"


def _workload(namespace: str, workload: str) -> str:
    kind, _, name = workload.partition("/")
    if kind not in WORKLOADS or not name:
        raise ValueError(f"{workload!r} is not one of {', '.join(f'{each}/NAME' for each in WORKLOADS)}")
    return f"/apis/apps/v1/namespaces/{namespace}/{WORKLOADS[kind]}/{name}"


def _require_init_container(rest: Rest, pod: PodRef) -> None:
    if not rest.get(_path(pod))["spec"].get("initContainers"):
        raise ValueError(f"{pod[0]}/{pod[1]} has no init container to crash")


def _set_pods_ready(rest: Rest, node: str, *, ready: bool) -> None:
    """Write the condition Ready of a node's healthy pods; the broken ones are not Ready anyway."""
    on_node = rest.get(f"/api/v1/pods?fieldSelector=spec.nodeName={node},status.phase=Running")["items"]
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": now,
        "reason": None if ready else "NodeNotReady",
    }
    healthy = [
        (pod["metadata"]["namespace"], pod["metadata"]["name"])
        for pod in on_node
        if all(each["ready"] for each in pod["status"].get("containerStatuses", ()))
    ]
    patch = {"status": {"conditions": [condition]}}
    on_each(lambda pod: rest.patch(f"{_path(pod)}/status", patch, STRATEGIC), healthy)


def _write_logs(rest: Rest, namespace: str, pod: str, entry: Object) -> None:
    """Add the entry to the pod's Logs object, which has one for each container or one for all."""
    path = f"{LOGS_API}/namespaces/{namespace}/logs/{pod}"
    try:
        entries = rest.get(path)["spec"]["logs"]
    except ApiError as error:
        if error.status != http.client.NOT_FOUND:
            raise
        entries = []
    others = [each for each in entries if each.get("containers") != entry.get("containers")]
    body = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Logs",
        "metadata": {"name": pod, "namespace": namespace},
        # kwok takes the first that fits, so the one for all containers comes last.
        "spec": {"logs": sorted([*others, entry], key=lambda each: "containers" not in each)},
    }
    rest.apply(path, body)
