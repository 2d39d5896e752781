"""Whether the nodes have room for what autonomous operations add: ``kubectl top nodes``."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.nodes import NODES, Node, Nodes
from kiro_operator.core.findings import found, some
from kiro_operator.core.objects import ConditionKind, Pod, Truth
from kiro_operator.core.quiet import figure
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, unknown

_ADVICE = {
    "MemoryPressure": "the kubelet evicts pods: free memory on it or add nodes",
    "DiskPressure": "the kubelet evicts pods: free disk space on it",
    "PIDPressure": "it runs out of process ids: look for a pod that starts too many",
    "NetworkUnavailable": "its network is not set up: look at the network plugin",
}
_LACKS = re.compile(r"Insufficient ([A-Za-z0-9](?:[A-Za-z0-9_./-]*[A-Za-z0-9])?)")


class NodeCapacityParameters(Parameters):
    """Thresholds of node-capacity."""

    headroom_percent: Annotated[int, Field(ge=1, le=90)] = Field(
        default=15, description="Share of what the nodes offer that is to be free, of CPU and of memory."
    )
    ready_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=100, description="Share of the nodes that is to be Ready."
    )


class _Room(Struct, frozen=True):
    """What is free of one resource on the nodes that take pods."""

    resource: str
    free: float
    """In percent of what they offer."""


def judge(snapshot: Snapshot, parameters: NodeCapacityParameters, now: datetime) -> Verdict:
    """Judge nodes that do not work, then pods that fit nowhere, then room for more."""
    cluster = snapshot.value(NODES)
    if isinstance(cluster, Unobserved):
        return unknown(cluster)
    if not cluster.nodes:
        return skipped("NoNodes", "The cluster has no nodes.")
    since = snapshot.sampled_at(NODES, now)
    findings = [*_troubled(cluster.nodes, parameters, since), *_homeless(snapshot, now)]
    rooms = list(_rooms(cluster))
    short = [room for room in rooms if room.free < parameters.headroom_percent]
    findings += _full(short, since)
    threshold = f"{100 - parameters.headroom_percent}% used"
    if findings:
        # Of nodes that are nearly full what is free moves too much with every reading to be told.
        observed = f"{figure(max(100 - room.free for room in short), '%')} used" if short else None
        return found(findings, observed=observed, threshold=threshold)
    if cluster.metrics is not None:
        return unknown(cluster.metrics)
    if isinstance(snapshot.pods, Unobserved):
        # Whether each has found a node is not known.
        return unknown(snapshot.pods)
    if not rooms:
        return unknown(Unobserved("NoMetrics", "No node that takes pods has figures: check metrics-server."))
    if unmeasured := [node.name for node in _open(cluster.nodes) if node.used_cpu is None]:
        return Verdict(
            Status.WARN,
            "PartialMetrics",
            f"The nodes with figures have room, but these have none: {some(unmeasured)}.",
            threshold=threshold,
        )
    return passed("All nodes work and have room for more pods.", threshold=threshold)


def _open(nodes: Iterable[Node]) -> list[Node]:
    """Nodes that take pods."""
    return [node for node in nodes if node.ready and node.schedulable]


def _troubled(
    nodes: tuple[Node, ...], parameters: NodeCapacityParameters, since: datetime
) -> Iterator[Finding]:
    down = [node for node in nodes if not node.ready]
    if 100 * (len(nodes) - len(down)) < parameters.ready_percent * len(nodes):
        for node in down:
            text = f"Node {node.name} is not Ready: see kubectl describe node {node.name}"
            yield Finding(Ref("Node", node.name), "NodeNotReady", text, since)
    for node in nodes:
        for pressure in node.pressures if node.ready else ():
            text = f"Node {node.name} has {pressure}: {_ADVICE.get(pressure, 'see its conditions')}"
            yield Finding(Ref("Node", node.name), pressure, text, since)
    if not _open(nodes):
        text = f"Node {nodes[0].name} and all others take no pods: uncordon one, or add a node"
        yield Finding(Ref("Node", nodes[0].name), "NoSchedulableNode", text, since)


def _homeless(snapshot: Snapshot, now: datetime) -> Iterator[Finding]:
    """Selected pods that the scheduler finds no node for."""
    pods = snapshot.pods
    if isinstance(pods, Unobserved):
        return
    for pod in sorted(pods.unsettled, key=lambda pod: pod.metadata.name):
        condition = pod.condition(ConditionKind.POD_SCHEDULED)
        if condition is None or condition.status is not Truth.FALSE or condition.reason != "Unschedulable":
            continue
        text = f"Pod {pod.metadata.name} fits on no node{_lacking(condition.message)}: add nodes or free room"
        began = min(condition.last_transition_time or now, now)
        yield Finding(_ref(pod), "DoesNotFit", text, began)


def _ref(pod: Pod) -> Ref:
    return Ref("Pod", pod.metadata.name, pod.metadata.uid)


def _lacking(message: str) -> str:
    """What the scheduler says is short, without its counts of nodes."""
    short = sorted(set(_LACKS.findall(message)))
    return f", which lack {' and '.join(short)}" if short else ""


def _rooms(cluster: Nodes) -> Iterator[_Room]:
    nodes = _open(cluster.nodes)
    cpu = [(node.name, node.cpu, node.used_cpu) for node in nodes if node.used_cpu is not None and node.cpu]
    memory = [
        (node.name, node.memory, node.used_memory)
        for node in nodes
        if node.used_memory is not None and node.memory
    ]
    for resource, figures in (("memory", memory), ("CPU", cpu)):
        if figures:
            offered, used = sum(item[1] for item in figures), sum(item[2] for item in figures)
            yield _Room(resource, max(0.0, 100 * (offered - used) / offered))


def _full(short: Iterable[_Room], since: datetime) -> Iterator[Finding]:
    for room in short:
        reason = "MemoryHeadroomLow" if room.resource == "memory" else "CpuHeadroomLow"
        # It is about all of them: which one is the fullest changes from reading to reading.
        text = (
            f"All nodes together have too little {room.resource} free: add nodes, or move load away from "
            f"those that kubectl top nodes --sort-by={room.resource.lower()} shows first; more pods do not "
            "help full nodes"
        )
        yield Finding(Ref("Cluster", "nodes"), reason, text, since)


CHECK = Check(
    title="Nodes have room for autonomous operations",
    section="autonomous-operations-resources",
    command="kubectl top nodes; kubectl describe nodes | grep -A8 Conditions",
    # It reads pods as well, but is judged when figures come in.
    sources=(NODES,),
    judge=judge,
    parameters=NodeCapacityParameters,
)
