"""The cluster's nodes and what is used of them: ``kubectl top nodes`` and ``kubectl top pods -A``.

What one KiroHealthCheck has had fetched is good for all others for a few seconds: two hundred of them
cost the API server one request.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.adapters.kubernetes.pod_metrics import API, NOT_INSTALLED
from kiro_operator.adapters.kubernetes.unobserved import malformed, unobserved
from kiro_operator.core.evidence.nodes import NODES, NamespaceUsage, Node, Nodes
from kiro_operator.core.objects import Base
from kiro_operator.core.permissions import Grant, Rule, Scope
from kiro_operator.core.quantity import parse_quantity
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

RULES = (
    Rule(
        "",
        ("nodes",),
        ("list",),
        "node-capacity and utilization-patterns judge what nodes have and what troubles them",
        Scope.CLUSTER,
        Grant.CLUSTER_FACTS,
    ),
    Rule(
        "metrics.k8s.io",
        ("nodes",),
        ("list",),
        "node-capacity and utilization-patterns judge how much of the nodes is used",
        Scope.CLUSTER,
        Grant.CLUSTER_FACTS,
    ),
    Rule(
        "metrics.k8s.io",
        ("pods",),
        ("list",),
        "utilization-patterns names the namespaces that use most",
        Scope.CLUSTER,
        Grant.CLUSTER_FACTS,
    ),
)
PAGE = 200
PAGES = 25
KEPT_FOR = 10.0
"""Seconds that an answer serves all who ask."""
NAMESPACES = 5
"""Namespaces that are told, by the memory they use."""
READS_NAMESPACES = "utilization-patterns"

T = TypeVar("T")

_TROUBLES = frozenset({"MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"})
_KEEPS_AWAY = frozenset({"NoSchedule", "NoExecute"})
_NOT_SHOWN = Unobserved(
    NOT_CONFIGURED,
    "facts of the whole cluster are not shown to this namespace: the admin can start the operator with "
    "--cluster-facts-namespace",
)
_TOO_MANY = Unobserved("TooManyNodes", f"the cluster has more than {PAGE * PAGES} nodes, too many to judge")


class _Condition(Base, frozen=True):
    type: str
    status: str = ""


class _Taint(Base, frozen=True):
    key: str = ""
    effect: str = ""


class _Spec(Base, frozen=True):
    unschedulable: bool = False
    taints: tuple[_Taint, ...] | None = None


class _Status(Base, frozen=True):
    allocatable: dict[str, str] | None = None
    conditions: tuple[_Condition, ...] | None = None


class _Metadata(Base, frozen=True):
    name: str
    namespace: str = ""


class _Node(Base, frozen=True):
    metadata: _Metadata
    spec: _Spec = _Spec()
    status: _Status = _Status()


class _Page(Struct, frozen=True, rename={"go_on": "continue"}):
    go_on: str = ""


class _NodeList(Struct, frozen=True):
    metadata: _Page = _Page()
    items: tuple[_Node, ...] | None = None


class _NodeMetrics(Struct, frozen=True):
    metadata: _Metadata
    usage: dict[str, str] = {}


class _NodeMetricsList(Struct, frozen=True):
    items: tuple[_NodeMetrics, ...] | None = None


class _Container(Struct, frozen=True):
    usage: dict[str, str] = {}


class _PodMetrics(Struct, frozen=True):
    metadata: _Metadata
    containers: tuple[_Container, ...] | None = None


class _PodMetricsList(Struct, frozen=True):
    items: tuple[_PodMetrics, ...] | None = None


_nodes = msgspec.json.Decoder(_NodeList)
_node_metrics = msgspec.json.Decoder(_NodeMetricsList)
_pod_metrics = msgspec.json.Decoder(_PodMetricsList)


class Shared(Generic[T]):
    """One answer for everybody who asks within a few seconds, and one request for all who ask at once."""

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        self._fetch = fetch
        self._lock = asyncio.Lock()
        self._value: T
        self._until = -math.inf

    async def get(self) -> T:
        """The answer, fetched anew when it is too old."""
        async with self._lock:
            clock = asyncio.get_running_loop().time
            if clock() >= self._until:
                self._value = await self._fetch()
                self._until = clock() + KEPT_FOR
            return self._value


class ClusterNodes:
    """Samples nodes and their figures, for the namespaces that may see facts of the whole cluster."""

    source = NODES
    rules = RULES

    def __init__(self, client: Client, namespaces: frozenset[str]) -> None:
        self._client = client
        self._namespaces = namespaces
        self._nodes = Shared(self._list)
        self._usage = Shared(self._node_usage)
        self._pods = Shared(self._pod_usage)

    async def observe(self, request: ports.PollRequest) -> Nodes | Unobserved:
        """All nodes, by name."""
        if request.namespace not in self._namespaces:
            return _NOT_SHOWN
        listed = await self._nodes.get()
        if isinstance(listed, Unobserved):
            return listed
        usage = await self._usage.get()
        metrics = usage if isinstance(usage, Unobserved) else None
        known: Mapping[str, tuple[float, float]] = {} if isinstance(usage, Unobserved) else usage
        nodes = tuple(_with_usage(node, known.get(node.name)) for node in listed)
        if metrics is not None or all(ask.id != READS_NAMESPACES for ask in request.asks):
            return Nodes(nodes, metrics)
        pods = await self._pods.get()
        if isinstance(pods, Unobserved):
            # Who uses most is judged nowhere; it is missed where a full node is told.
            return Nodes(nodes, metrics, unranked=pods)
        return Nodes(nodes, metrics, pods[:NAMESPACES], sum(item.memory for item in pods))

    async def _list(self) -> tuple[Node, ...] | Unobserved:
        what = "the list of nodes"
        query = {"limit": str(PAGE)}
        found: list[Node] = []
        try:
            for _ in range(PAGES):
                page = _nodes.decode(await self._client.get("/api/v1/nodes", **query))
                found += (_node(item) for item in page.items or ())
                if not page.metadata.go_on:
                    return tuple(sorted(found, key=lambda node: node.name))
                query["continue"] = page.metadata.go_on
        except MALFORMED as error:
            return malformed(error, "", what)
        except (ports.ApiError, ports.Unreachable) as error:
            return unobserved(error, RULES[0], "", what)
        return _TOO_MANY

    async def _node_usage(self) -> dict[str, tuple[float, float]] | Unobserved:
        body = await self._metrics("nodes", RULES[1], _node_metrics)
        if isinstance(body, Unobserved):
            return body
        used = ((item.metadata.name, _amounts(item.usage)) for item in body.items or ())
        return {name: amounts for name, amounts in used if amounts is not None}

    async def _pod_usage(self) -> tuple[NamespaceUsage, ...] | Unobserved:
        body = await self._metrics("pods", RULES[2], _pod_metrics)
        return body if isinstance(body, Unobserved) else by_namespace(body.items or ())

    async def _metrics(self, what: str, rule: Rule, decoder: msgspec.json.Decoder[T]) -> T | Unobserved:
        named = f"the metrics of {what}"
        try:
            return decoder.decode(await self._client.get(f"{API}/{what}"))
        except ports.NotFound:
            return NOT_INSTALLED
        except MALFORMED as error:
            return malformed(error, "", named)
        except ports.Unreachable as error:
            # The aggregation layer says 503 for an API whose server is not there.
            return NOT_INSTALLED if str(error).startswith("503 ") else unobserved(error, rule, "", named)
        except ports.ApiError as error:
            return unobserved(error, rule, "", named)


def by_namespace(pods: tuple[Any, ...]) -> tuple[NamespaceUsage, ...]:
    """What the pods of each namespace use, the largest first."""
    sums: dict[str, tuple[float, float]] = {}
    for pod in pods:
        cpu, memory = sums.get(pod.metadata.namespace, (0.0, 0.0))
        for container in pod.containers or ():
            amounts = _amounts(container.usage)
            if amounts is not None:
                cpu, memory = cpu + amounts[0], memory + amounts[1]
        sums[pod.metadata.namespace] = (cpu, memory)
    used = (NamespaceUsage(name, cpu, memory) for name, (cpu, memory) in sums.items())
    return tuple(sorted(used, key=lambda item: (-item.memory, item.namespace)))


def _node(item: _Node) -> Node:
    conditions = {condition.type: condition.status for condition in item.status.conditions or ()}
    taints = item.spec.taints or ()
    allocatable = item.status.allocatable or {}
    return Node(
        item.metadata.name,
        _number(allocatable.get("cpu")) or 0.0,
        _number(allocatable.get("memory")) or 0.0,
        ready=conditions.get("Ready") == "True",
        schedulable=not item.spec.unschedulable and not any(taint.effect in _KEEPS_AWAY for taint in taints),
        cordoned=item.spec.unschedulable,
        pressures=tuple(sorted(kind for kind in _TROUBLES if conditions.get(kind) == "True")),
    )


def _with_usage(node: Node, used: tuple[float, float] | None) -> Node:
    if used is None:
        return node
    return msgspec.structs.replace(node, used_cpu=used[0], used_memory=used[1])


def _amounts(usage: Mapping[str, str]) -> tuple[float, float] | None:
    cpu, memory = _number(usage.get("cpu")), _number(usage.get("memory"))
    return None if cpu is None or memory is None else (cpu, memory)


def _number(text: str | None) -> float | None:
    """A quantity that is finite and not negative."""
    try:
        number = parse_quantity(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
