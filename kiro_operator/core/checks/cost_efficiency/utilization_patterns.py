"""Whether the nodes are used as they should be, and whether a daily rhythm is made use of."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.cost_efficiency import _history
from kiro_operator.core.evidence.nodes import NODES, Node, Nodes
from kiro_operator.core.evidence.series import SERIES, Answer, Query, Series, partial
from kiro_operator.core.findings import found
from kiro_operator.core.partial import incomplete, weighed
from kiro_operator.core.snapshot import NOT_CONFIGURED, Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, unknown

_HOUR = timedelta(hours=1)
_DAY = 24
_STEP = 5


class UtilizationPatternsParameters(Parameters):
    """Thresholds of utilization-patterns."""

    low_percent: Annotated[int, Field(ge=0, le=90)] = Field(
        default=20, description="Mean use of the nodes, of CPU as well as of memory, that is too little."
    )
    high_percent: Annotated[int, Field(ge=10, le=100)] = Field(
        default=90, description="Use of one node, of CPU or of memory, that is too much."
    )
    days: Annotated[int, Field(ge=2, le=14)] = Field(default=3, description="Days whose rhythm is compared.")
    daily_ratio: Annotated[float, Field(ge=1.5, le=100)] = Field(
        default=4.0,
        description="A rhythm is strong when the busiest hour has so many times the load of the quietest.",
    )
    min_millicores: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=1000,
        description="CPU load of the busiest hour below which a rhythm does not count, in millicores.",
    )


def queries(parameters: UtilizationPatternsParameters, namespace: str) -> Sequence[Query]:
    """The CPU load of the namespace, hour by hour."""
    load = f"sum({_history.cpu(namespace).replace('[10m]', '[1h]')})"
    return (Query(load, window=timedelta(days=parameters.days), step=_HOUR),)


def judge(snapshot: Snapshot, parameters: UtilizationPatternsParameters, now: datetime) -> Verdict:
    """Judge the nodes' use now, and the namespace's rhythm over days."""
    cluster = snapshot.value(NODES)
    [query] = queries(parameters, snapshot.namespace)
    load = _history.read(snapshot, query)
    missing = () if isinstance(load, Unobserved) else partial(load)
    findings: list[Finding] = []
    if not isinstance(cluster, Unobserved):
        findings += _usage(cluster, parameters, snapshot.sampled_at(NODES, now))
    band = f"{parameters.low_percent}% to {parameters.high_percent}%"
    rhythm: list[Finding] = []
    if not isinstance(load, Unobserved):
        rhythm += _rhythm(snapshot, load.series, parameters, snapshot.sampled_at(SERIES, now))
    findings, status = weighed(findings, rhythm, missing)
    if findings:
        return found(findings, status=status, threshold=band)
    return _well(cluster, load, missing, band)


def _well(
    cluster: Nodes | Unobserved, load: Answer | Unobserved, missing: tuple[str, ...], band: str
) -> Verdict:
    """Nothing is found; whether all was looked at."""
    trouble = _trouble(cluster)
    if trouble is not None and trouble.reason != NOT_CONFIGURED:
        return unknown(trouble)
    if missing:
        return incomplete(missing)
    if isinstance(load, Unobserved) and load.reason != NOT_CONFIGURED:
        return unknown(load)
    if trouble is not None:
        if isinstance(load, Unobserved):
            return unknown(trouble)
        return passed("The load has no daily rhythm that is not made use of; nodes were not looked at.")
    if isinstance(load, Unobserved):
        return passed(
            "The nodes are used as they should be; load over days was not looked at.", threshold=band
        )
    return passed("The nodes are used as they should be, and no daily rhythm is left unused.", threshold=band)


def _trouble(cluster: Nodes | Unobserved) -> Unobserved | None:
    if isinstance(cluster, Unobserved):
        return cluster
    if cluster.metrics is not None:
        return cluster.metrics
    if not _measured(cluster):
        return Unobserved("NoMetrics", "No node has figures: check metrics-server.")
    return None


def _measured(cluster: Nodes) -> list[Node]:
    return [
        node
        for node in cluster.nodes
        if node.ready and node.used_cpu is not None and node.cpu and node.memory
    ]


def _usage(cluster: Nodes, parameters: UtilizationPatternsParameters, since: datetime) -> Iterator[Finding]:
    nodes = _measured(cluster)
    for node in nodes:
        over = [name for name, share in _shares([node]) if share > parameters.high_percent]
        if over:
            text = (
                f"Node {node.name} uses nearly all its {' and '.join(over)}{_largest(cluster, over)}: spread "
                "the load, or add a node"
            )
            yield Finding(Ref("Node", node.name), "NodeOverused", text, since)
    means = _shares(nodes)
    if nodes and all(share < parameters.low_percent for _, share in means):
        # Whichever is the emptiest now, the same words: the first by name stands for all.
        name = nodes[0].name
        most = max(share for _, share in means)
        others = " and the others" if len(nodes) > 1 else ""
        text = (
            f"Node {name}{others} use less than {_banded_up(most)}% of their CPU and memory on average: "
            "fewer or smaller nodes would do"
        )
        yield Finding(Ref("Node", name), "NodesUnderused", text, since)


def _shares(nodes: Iterable[Node]) -> tuple[tuple[str, float], ...]:
    """What is used of CPU and memory, in percent of what all these nodes offer."""
    cpu = memory = used_cpu = used_memory = 0.0
    for node in nodes:
        cpu, memory = cpu + node.cpu, memory + node.memory
        used_cpu, used_memory = used_cpu + (node.used_cpu or 0.0), used_memory + (node.used_memory or 0.0)
    return (
        ("CPU", 100 * used_cpu / cpu if cpu else 0.0),
        ("memory", 100 * used_memory / memory if memory else 0.0),
    )


def _largest(cluster: Nodes, over: list[str]) -> str:
    """The namespace that uses more than half of the memory of all pods: no other can take its place soon."""
    if "memory" in over and cluster.unranked is not None:
        return f"; whose pods use most memory is not known ({cluster.unranked.message})"
    if "memory" not in over or not cluster.namespaces:
        return ""
    first = cluster.namespaces[0]
    most = first.memory > cluster.memory_of_pods / 2
    return f"; most of the memory of all pods is that of namespace {first.namespace}" if most else ""


def _rhythm(
    snapshot: Snapshot, series: Sequence[Series], parameters: UtilizationPatternsParameters, since: datetime
) -> Iterator[Finding]:
    """A load that rises and falls with the hour of each day while no autoscaler follows it."""
    if isinstance(snapshot.autoscalers, Unobserved) or len(snapshot.autoscalers):
        return
    hours = _by_hour([point for item in series for point in item.points], parameters.days)
    if hours is None:
        return
    # On every day: one busy afternoon is no rhythm.
    busiest = max(range(_DAY), key=lambda hour: (min(hours[hour]), -hour))
    quietest = min(range(_DAY), key=lambda hour: (max(hours[hour]), hour))
    high, low = min(hours[busiest]), max(hours[quietest])
    if high < parameters.min_millicores / 1000 or high < parameters.daily_ratio * low:
        return
    text = (
        f"Namespace {snapshot.namespace} has a strong daily rhythm, and no autoscaler follows it: the CPU "
        f"load of its busiest hour is more than {parameters.daily_ratio:g} times that of its quietest, every "
        "day. Add a HorizontalPodAutoscaler, or scale by the clock"
    )
    yield Finding(Ref("Namespace", snapshot.namespace), "DailyShapeUnused", text, since)


def _by_hour(points: Iterable[tuple[float, float]], days: int) -> list[list[float]] | None:
    """The load at each hour of the day, of all days but the first; None where an hour is missing."""
    found_: list[list[float]] = [[] for _ in range(_DAY)]
    for time, value in points:
        if math.isfinite(value):
            found_[int(time // 3600) % _DAY].append(value)
    return found_ if all(len(values) >= days for values in found_) else None


def _banded_up(percent: float) -> int:
    return _STEP * (math.floor(percent / _STEP) + 1)


CHECK = Check(
    title="Nodes are used well, and daily rhythms are used",
    section="cost-efficiency-metrics",
    command="kubectl top nodes --sort-by=cpu; kubectl top pods -A --sort-by=memory",
    sources=(NODES, SERIES),
    judge=judge,
    parameters=UtilizationPatternsParameters,
    queries=queries,
    interval=timedelta(minutes=10),
)
