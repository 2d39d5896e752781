"""Whether the nodes are used as they should be, and whether a daily rhythm is made use of."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Self

from msgspec import Struct
from pydantic import Field, model_validator

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.cost_efficiency import _amounts, _history
from kiro_operator.core.checks.performance._series import Expression, about
from kiro_operator.core.evidence.nodes import NODES, Node, Nodes
from kiro_operator.core.evidence.prices import PRICES, Prices, prices
from kiro_operator.core.evidence.series import SERIES, Answer, Query, answer, partial
from kiro_operator.core.findings import found, some
from kiro_operator.core.partial import incomplete, weighed
from kiro_operator.core.promql import PART, filled, union
from kiro_operator.core.quiet import figure
from kiro_operator.core.snapshot import NOT_CONFIGURED, Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import INSUFFICIENT, Finding, Verdict, passed, unknown

_HOUR = timedelta(hours=1)
_DAY = 24
_HALF, _ABOUT = 0.5, 0.1
"""What is most of a whole, and what a share may differ by to be so or not."""
_POINTS = 288
"""Of each node over the window: every five minutes of a day."""
_RESOURCES = ("CPU", "memory")


class UtilizationPatternsParameters(Parameters):
    """Thresholds of utilization-patterns."""

    cpu_query: Expression = Field(
        default="node_cpu_utilization",
        description="PromQL: the share of its CPU that each node uses, from 0 to 1.",
    )
    memory_query: Expression = Field(
        default="kiro_node_memory_utilization",
        description="PromQL: the share of its memory that each node uses, from 0 to 1.",
    )
    window: Annotated[timedelta, Between("1h", "168h")] = Field(
        default=timedelta(hours=24), description="How far back the use of the nodes is looked at."
    )
    low_percent: Annotated[int, Field(ge=0, le=90)] = Field(
        default=20, description="Mean use of the nodes, of CPU as well as of memory, that is too little."
    )
    high_percent: Annotated[int, Field(ge=10, le=100)] = Field(
        default=90, description="Use of one node over an hour, of CPU or of memory, that is too much."
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

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low_percent >= self.high_percent:
            raise ValueError(
                "lowPercent must be below highPercent: else no use is neither too little nor too much"
            )
        return self


class _Use(Struct, frozen=True):
    """What is used of one node, in percent, by resource; of what is not known there is nothing."""

    name: str
    mean: Mapping[str, float]
    peak: Mapping[str, float]


class _Seen(Struct, frozen=True):
    """The use of all nodes, and how it is known."""

    nodes: tuple[_Use, ...]
    since: datetime
    how: str
    window: timedelta | None = None
    """None for a single reading."""
    left_out: str = ""


def queries(parameters: UtilizationPatternsParameters, namespace: str) -> Sequence[Query]:
    """What the nodes used over the window, in one query, and the CPU load of the namespace hour by hour."""
    span = int(parameters.window.total_seconds())
    step = max(1, span // _POINTS)
    parts: dict[str, str] = {}
    for name, given in zip(_RESOURCES, (parameters.cpu_query, parameters.memory_query), strict=True):
        expr = filled(given, namespace)
        parts |= {
            f"{name} mean": f"avg_over_time(({expr})[{span}s:{step}s])",
            # Of whole hours: what lasts for minutes is what room is kept for.
            f"{name} peak": f"max_over_time(avg_over_time(({expr})[1h:5m])[{span}s:1h])",
            f"{name} points": f"count_over_time(({expr})[{span}s:{step}s])",
        }
    load = f"sum({_history.cpu(namespace).replace('[10m]', '[1h]')})"
    return Query(union(parts)), Query(load, window=timedelta(days=parameters.days), step=_HOUR)


def judge(snapshot: Snapshot, parameters: UtilizationPatternsParameters, now: datetime) -> Verdict:
    """Judge the nodes' use over the window, and the namespace's rhythm over days."""
    use, load = queries(parameters, snapshot.namespace)
    seen = _seen(snapshot, use, parameters, now)
    rhythm = _rhythm(snapshot, load, parameters, now)
    nodes = [] if isinstance(seen, Unobserved) else list(_usage(snapshot, seen, parameters))
    shape = [] if isinstance(rhythm, Unobserved) else rhythm
    gaps = [_gaps(snapshot, query) for query in (use, load)]
    missing = tuple(sorted({*gaps[0], *gaps[1]}))
    certain = [*([] if gaps[0] else nodes), *([] if gaps[1] else shape)]
    doubtful = [*(nodes if gaps[0] else []), *(shape if gaps[1] else [])]
    band = f"{parameters.low_percent}% to {parameters.high_percent}%"
    findings, status = weighed(certain, doubtful, missing)
    if findings:
        told = [finding for finding in findings if finding in nodes]
        if isinstance(seen, Unobserved) or findings[0] not in told:
            return found(findings, status=status)
        return found(findings, status=status, observed=_figure(snapshot, seen, told), threshold=band)
    causes = [cause for cause in (seen, rhythm) if isinstance(cause, Unobserved)]
    excused = {NOT_CONFIGURED, *INSUFFICIENT}
    blind = [cause for cause in causes if cause.reason not in excused]
    if blind:
        return unknown(blind[0])
    if missing:
        return incomplete(missing)
    if isinstance(seen, Unobserved) and isinstance(rhythm, Unobserved):
        return unknown(min(causes, key=lambda cause: cause.reason == NOT_CONFIGURED))
    return passed(
        f"{_well(seen)}; {_follows(rhythm)}.", threshold=None if isinstance(seen, Unobserved) else band
    )


def _gaps(snapshot: Snapshot, query: Query) -> tuple[str, ...]:
    """What Prometheus says is missing from an answer."""
    told = answer(snapshot, query)
    return () if isinstance(told, Unobserved) else partial(told)


def _well(seen: _Seen | Unobserved) -> str:
    if isinstance(seen, Unobserved):
        told = seen.reason == NOT_CONFIGURED
        return "Nodes were not looked at" if told else "The use of nodes is not known for long enough"
    return f"Nodes are used as they should be {seen.how}{seen.left_out}"


def _follows(rhythm: list[Finding] | Unobserved) -> str:
    if isinstance(rhythm, Unobserved):
        told = rhythm.reason == NOT_CONFIGURED
        return "load over days was not looked at" if told else "no rhythm can be told yet"
    return "no daily rhythm is left unused"


def _seen(
    snapshot: Snapshot, query: Query, parameters: UtilizationPatternsParameters, now: datetime
) -> _Seen | Unobserved:
    """What Prometheus knows of the window; only where there is none, what the metrics API says right now."""
    told = answer(snapshot, query)
    if not isinstance(told, Unobserved):
        return _over_window(told, parameters, snapshot, now)
    if told.reason == NOT_CONFIGURED:
        return _reading(snapshot, now)
    if told.reason != "NoData":
        return told
    text = (
        "Prometheus has no history of what the nodes use: load deploy/monitoring/recording-rules.yaml, or "
        "set cpuQuery and memoryQuery"
    )
    return Unobserved(told.reason, text)


def _over_window(
    told: Answer, parameters: UtilizationPatternsParameters, snapshot: Snapshot, now: datetime
) -> _Seen | Unobserved:
    figures: dict[str, dict[str, float]] = {}
    for series in told.series:
        if math.isfinite(series.last):
            ref, _ = about(series.labels, snapshot.namespace)
            parts = figures.setdefault(ref.name, {})
            part = series.labels.get(PART, "")
            # Of two exporters on one node the busier figure counts.
            parts[part] = max(series.last, parts.get(part, -math.inf))
    nodes, young, numberless, gaps = [], [], [], set()
    for name, parts in sorted(figures.items()):
        known = [each for each in _RESOURCES if parts.get(f"{each} points", 0.0) >= _POINTS // 2]
        if known and not all(f"{each} {stat}" in parts for each in known for stat in ("mean", "peak")):
            numberless.append(name)
        elif known:
            mean = {each: 100 * parts[f"{each} mean"] for each in known}
            peak = {each: 100 * parts[f"{each} peak"] for each in known}
            nodes.append(_Use(name, mean, peak))
            gaps |= set(_RESOURCES) - set(known)
        else:
            young.append(name)
    span = format_duration(parameters.window)
    if numberless and not nodes:
        whose = some(numberless)
        text = f"What is used of {whose} is no number: see what cpuQuery and memoryQuery divide by."
        return Unobserved("NotANumber", text)
    if not nodes:
        return Unobserved("TooFewPoints", f"Less than half of the last {span} is known of any node.")
    left_out = f", without {' and '.join(sorted(gaps))} that is not recorded" if gaps else ""
    left_out += f", but for {some(young)}, known for too short" if young else ""
    left_out += f", but for {some(numberless)}, of which it is no number" if numberless else ""
    since = snapshot.sampled_at(SERIES, now)
    return _Seen(tuple(nodes), since, f"over {span}", parameters.window, left_out)


def _reading(snapshot: Snapshot, now: datetime) -> _Seen | Unobserved:
    cluster = snapshot.value(NODES)
    if isinstance(cluster, Unobserved):
        return cluster
    if cluster.metrics is not None:
        return cluster.metrics
    measured = _measured(cluster)
    if not measured:
        return Unobserved("NoMetrics", "No node has figures: check metrics-server.")
    uses = []
    for node in measured:
        now_used = {
            "CPU": 100 * (node.used_cpu or 0.0) / node.cpu,
            "memory": 100 * (node.used_memory or 0.0) / node.memory,
        }
        uses.append(_Use(node.name, now_used, now_used))
    return _Seen(tuple(uses), snapshot.sampled_at(NODES, now), "by this reading alone, without Prometheus")


def _cluster(snapshot: Snapshot) -> Nodes | None:
    """The nodes as the API server tells of them, where they are shown."""
    value = snapshot.value(NODES)
    return None if isinstance(value, Unobserved) else value


def _measured(cluster: Nodes) -> list[Node]:
    return [
        node
        for node in cluster.nodes
        if node.ready and node.used_cpu is not None and node.cpu and node.memory
    ]


def _usage(snapshot: Snapshot, seen: _Seen, parameters: UtilizationPatternsParameters) -> Iterator[Finding]:
    cluster = _cluster(snapshot)
    lasted = f" over an hour of the last {format_duration(seen.window)}" if seen.window else " right now"
    for node in seen.nodes:
        over = [name for name in _RESOURCES if node.peak.get(name, 0.0) > parameters.high_percent]
        if over:
            what = f"Node {node.name} uses more than {parameters.high_percent}% of its {' and '.join(over)}"
            words, *equally = (
                f"{what}{lasted}{whose}: spread the load, or add a node"
                for whose in (_largest(cluster, over) if cluster else [""])
            )
            ref = Ref("Node", node.name)
            yield Finding(ref, "NodeOverused", words, seen.since, equally=tuple(equally))
    means = _means(seen, cluster)
    if len(means) == len(_RESOURCES) and max(means.values()) < parameters.low_percent:
        # Whichever is the emptiest now, the same words: the first by name stands for all.
        name = seen.nodes[0].name
        others = " and the others" if len(seen.nodes) > 1 else ""
        span = f" over {format_duration(seen.window)}" if seen.window else ", by this reading alone"
        idle = _idle(cluster, means, prices(snapshot)) if cluster else ""
        text = (
            f"Node {name}{others} use {figure(max(means.values()), '%')} of their CPU or memory, whichever "
            f"is more, on average{span}{idle}: fewer or smaller nodes would do"
        )
        yield Finding(Ref("Node", name), "NodesUnderused", text, seen.since)


def _figure(snapshot: Snapshot, seen: _Seen, findings: Sequence[Finding]) -> str | None:
    """What was measured of the first finding."""
    if not findings:
        return None
    if findings[0].reason == "NodesUnderused":
        return figure(max(_means(seen, _cluster(snapshot)).values()), "%")
    most = next(max(node.peak.values()) for node in seen.nodes if node.name == findings[0].object.name)
    return figure(most, "%")


def _means(seen: _Seen, cluster: Nodes | None) -> dict[str, float]:
    """The mean use of all nodes together, larger ones counting for more where their size is known."""
    sizes = {node.name: {"CPU": node.cpu, "memory": node.memory} for node in cluster.nodes} if cluster else {}
    means: dict[str, float] = {}
    for name in _RESOURCES:
        known = [node for node in seen.nodes if name in node.mean]
        sized = all(sizes.get(node.name, {}).get(name) for node in known)
        weights = [sizes[node.name][name] if sized else 1.0 for node in known]
        if known:
            means[name] = sum(
                weight * node.mean[name] for weight, node in zip(weights, known, strict=True)
            ) / sum(weights)
    return means


def _idle(cluster: Nodes, means: Mapping[str, float], costs: Prices | None) -> str:
    """What lies idle on average: cores, bytes and money."""
    share = {name: 1 - mean / 100 for name, mean in means.items()}
    cores = share["CPU"] * sum(node.cpu for node in cluster.nodes if node.ready)
    memory = share["memory"] * sum(node.memory for node in cluster.nodes if node.ready)
    worth = _amounts.a_month(costs, cores=cores, memory=memory)
    return f", so that {_amounts.wasted(cores, memory)} lie idle{worth}"


def _largest(cluster: Nodes, over: list[str]) -> list[str]:
    """The namespace that uses more than half of the memory of all pods, and what may be told as well."""
    if "memory" in over and cluster.unranked is not None:
        return [f"; whose pods use most memory is not known ({cluster.unranked.message})"]
    if "memory" not in over or not cluster.memory_of_pods:
        return [""]
    shares = [(item.memory / cluster.memory_of_pods, item.namespace) for item in cluster.namespaces]
    told = {
        f"; most of the memory of all pods is that of namespace {name}": share
        for share, name in shares
        if share > _HALF - _ABOUT
    }
    if all(share < _HALF + _ABOUT for share, _ in shares):
        told[""] = _HALF
    return sorted(told, key=lambda words: -told[words])


def _rhythm(
    snapshot: Snapshot, query: Query, parameters: UtilizationPatternsParameters, now: datetime
) -> list[Finding] | Unobserved:
    """A load that rises and falls with the hour of each day while no autoscaler follows it."""
    if isinstance(snapshot.autoscalers, Unobserved):
        return snapshot.autoscalers
    load = _history.read(snapshot, query)
    if isinstance(load, Unobserved):
        return load
    if len(snapshot.autoscalers):
        return []
    hours = _by_hour([point for item in load.series for point in item.points], parameters.days)
    if hours is None:
        return Unobserved("TooFewDays", f"Not every hour of the last {parameters.days} days is known.")
    # On every day: one busy afternoon is no rhythm.
    busiest = max(range(_DAY), key=lambda hour: (min(hours[hour]), -hour))
    quietest = min(range(_DAY), key=lambda hour: (max(hours[hour]), hour))
    high, low = min(hours[busiest]), max(hours[quietest])
    if high < parameters.min_millicores / 1000 or high < parameters.daily_ratio * low:
        return []
    mean = sum(map(sum, hours)) / sum(map(len, hours))
    text = (
        f"Namespace {snapshot.namespace} has a strong daily rhythm, and no autoscaler follows it: the CPU "
        f"load of its busiest hour is more than {parameters.daily_ratio:g} times that of its quietest, every "
        f"day{_spared(high - mean, prices(snapshot))}. Add a HorizontalPodAutoscaler, or scale by the clock"
    )
    ref = Ref("Namespace", snapshot.namespace)
    return [Finding(ref, "DailyShapeUnused", text, snapshot.sampled_at(SERIES, now))]


def _spared(cores: float, costs: Prices | None) -> str:
    """What following the load would spare on average; of memory the load tells nothing."""
    if cores <= 0:
        return ""
    worth = _amounts.a_month(costs, cores=cores)
    return f", and {_amounts.wasted(cores, 0.0)} of it are idle on average{worth}"


def _by_hour(points: Iterable[tuple[float, float]], days: int) -> list[list[float]] | None:
    """The load at each hour of the day, of all days but the first; None where an hour is missing."""
    found_: list[list[float]] = [[] for _ in range(_DAY)]
    for time, value in points:
        if math.isfinite(value):
            found_[int(time // 3600) % _DAY].append(value)
    return found_ if all(len(values) >= days for values in found_) else None


CHECK = Check(
    title="Nodes are used well, and daily rhythms are used",
    section="cost-efficiency-metrics",
    command="kubectl top nodes --sort-by=cpu; kubectl top pods -A --sort-by=memory; promtool query instant "
    "{prometheus} {cpu_query}",
    sources=(NODES, SERIES, PRICES),
    judge=judge,
    parameters=UtilizationPatternsParameters,
    queries=queries,
    interval=timedelta(minutes=10),
)
