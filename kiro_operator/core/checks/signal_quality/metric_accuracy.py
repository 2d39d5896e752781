"""Whether two sources of one fact agree: the metrics API, the API server and Prometheus."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.series import SERIES, Answer, Query, answer
from kiro_operator.core.evidence.usage import POD_METRICS
from kiro_operator.core.findings import found
from kiro_operator.core.objects import ConditionKind, Pod, Truth
from kiro_operator.core.partial import incomplete, lacking, proven, unnumbered
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, unknown

SLACK = 32 * 1024 * 1024
"""Bytes by which two measurements, taken at different times, always may differ."""
_FRESH = timedelta(minutes=5)
_TRUE = 0.5


class MetricAccuracyParameters(Parameters):
    """Tolerances of metric-accuracy."""

    tolerance_percent: Annotated[int, Field(ge=5, le=500)] = Field(
        default=30, description="How far the two measurements of a pod's memory may lie apart, in percent."
    )
    grace: Annotated[timedelta, Between("30s", "1h")] = Field(
        default=timedelta(minutes=5),
        description="How long a pod's readiness must have lasted before Prometheus has to know of it.",
    )


def queries(_parameters: MetricAccuracyParameters, namespace: str) -> Sequence[Query]:
    """Memory by pod and container, as the kubelet tells it, and readiness by pod."""
    mine = f'namespace="{namespace}"'
    return (
        Query(
            "sum by (pod, container) "
            f'(container_memory_working_set_bytes{{{mine},container!="",container!="POD"}})'
        ),
        Query(f'max by (pod) (kube_pod_status_ready{{{mine},condition="true"}})'),
    )


def judge(snapshot: Snapshot, parameters: MetricAccuracyParameters, now: datetime) -> Verdict:
    """Compare what both sides know, pod by pod."""
    pods = snapshot.pods
    if isinstance(pods, Unobserved):
        return unknown(pods)
    running = [pod for pod in pods if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp]
    memory_query, ready_query = queries(parameters, snapshot.namespace)
    memory, ready = answer(snapshot, memory_query), answer(snapshot, ready_query)
    if isinstance(memory, Unobserved) and isinstance(ready, Unobserved):
        return unknown(memory)
    if not running:
        return skipped("NoPods", f"No selected pod runs in namespace {snapshot.namespace}.")
    since = snapshot.sampled_at(SERIES, now)
    findings = [
        *_memory(running, _measured(snapshot, now), memory, parameters, since),
        *_readiness(running, ready, now - parameters.grace, since),
    ]
    wrong = sorted(
        (item for item in findings if item is not None), key=lambda item: (item.reason, item.object)
    )
    missing = lacking(memory, ready)
    if wrong:
        # A part of a pod's containers, or of what a store has, is less than the whole.
        return found(wrong, status=proven(missing), threshold=f"{parameters.tolerance_percent}%")
    if not findings:
        return unknown(_nothing(snapshot, memory))
    if missing:
        return incomplete(missing)
    if refs := _numberless(running, memory, ready):
        return found([unnumbered(ref, "figure in Prometheus", since) for ref in refs], status=Status.WARN)
    return passed("Where two sources know of the same pod, they agree.")


def _memory(
    pods: Iterable[Pod],
    measured: Mapping[str, Mapping[str, float]],
    told: Answer | Unobserved,
    parameters: MetricAccuracyParameters,
    since: datetime,
) -> Iterator[Finding | None]:
    """For each pod whose memory both sides know, what is wrong, or None."""
    known = {} if isinstance(told, Unobserved) else _by(told, "pod", "container")
    for pod in pods:
        name = pod.metadata.name
        both = [container for container in measured.get(name, {}) if f"{name}/{container}" in known]
        if not both:
            continue
        one = sum(measured[name][container] for container in both)
        other = sum(known[f"{name}/{container}"] for container in both)
        text = (
            f"Pod {name}: the metrics API and Prometheus tell different memory: see which of them "
            "lags, or whether container_memory_working_set_bytes is scraped twice"
        )
        differs = abs(one - other) > max(SLACK, parameters.tolerance_percent / 100 * min(one, other))
        yield Finding(Ref("Pod", name, pod.metadata.uid), "MemoryDiffers", text, since) if differs else None


def _readiness(
    pods: Iterable[Pod], told: Answer | Unobserved, before: datetime, since: datetime
) -> Iterator[Finding | None]:
    """For each pod whose readiness has lasted and both sides know, what is wrong, or None."""
    known = {} if isinstance(told, Unobserved) else _by(told, "pod")
    for pod in pods:
        name, ready = pod.metadata.name, _ready(pod, before)
        if ready is None or name not in known:
            continue
        text = (
            f"Pod {name}: kube_pod_status_ready is not what the API server says: "
            "see whether kube-state-metrics is up to date"
        )
        differs = (known[name] > _TRUE) != ready
        yield (
            Finding(Ref("Pod", name, pod.metadata.uid), "ReadinessDiffers", text, since) if differs else None
        )


def _numberless(pods: Iterable[Pod], *told: Answer | Unobserved) -> list[Ref]:
    """Running pods of which Prometheus tells something that is no number."""
    names = {
        series.labels.get("pod", "")
        for item in told
        if isinstance(item, Answer)
        for series in item.series
        if not math.isfinite(series.last)
    }
    found_ = (pod.metadata for pod in pods if pod.metadata.name in names)
    return sorted(Ref("Pod", metadata.name, metadata.uid) for metadata in found_)


def _nothing(snapshot: Snapshot, memory: Answer | Unobserved) -> Unobserved:
    usage = snapshot.value(POD_METRICS)
    for side in (usage, memory):
        if isinstance(side, Unobserved):
            return side
    return Unobserved(
        "NothingToCompare",
        "No pod is known both to the cluster's API and to Prometheus: see its relabelling.",
    )


def _measured(snapshot: Snapshot, now: datetime) -> Mapping[str, Mapping[str, float]]:
    """Memory by pod and container, as the metrics API tells it, as far as it is fresh."""
    usage = snapshot.value(POD_METRICS)
    if isinstance(usage, Unobserved):
        return {}
    return {
        pod: {container: float(used.memory) for container, used in item.containers.items()}
        for pod, item in usage.items()
        if item.timestamp is None or now - item.timestamp <= _FRESH
    }


def _by(told: Answer, *labels: str) -> dict[str, float]:
    """Last finite value by labels, joined with a slash."""
    return {
        "/".join(series.labels.get(label, "") for label in labels): series.last
        for series in told.series
        if math.isfinite(series.last)
    }


def _ready(pod: Pod, before: datetime) -> bool | None:
    """Whether a pod is Ready; None when it became so, or not so, only lately."""
    for condition in pod.status.conditions:
        if condition.type is ConditionKind.READY:
            changed = condition.last_transition_time
            return condition.status is Truth.TRUE if changed is not None and changed <= before else None
    return None


CHECK = Check(
    title="Two sources of one fact agree",
    section="signal-quality-data",
    command="kubectl top pods -n {namespace} --containers; promtool query instant {prometheus} 'sum by (pod) "
    '(container_memory_working_set_bytes{{namespace="{namespace}",container!=""}})\'',
    # It reads the pods as well, but is judged when figures come in.
    sources=(SERIES, POD_METRICS),
    judge=judge,
    parameters=MetricAccuracyParameters,
    queries=queries,
)
