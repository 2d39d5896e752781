"""CPU and memory in use against what containers may use: ``kubectl top pods``."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.usage import POD_METRICS, PodUsage, Usage
from kiro_operator.core.findings import found, some
from kiro_operator.core.objects import Container, Pod
from kiro_operator.core.quantity import parse_quantity
from kiro_operator.core.quiet import figure
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of
from kiro_operator.core.verdict import Finding, Status, Verdict, skipped, unknown

_SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})
_FOR_THEMSELVES = frozenset({"Job", "CronJob", "Node"})
_MOST_OF = 2


class ResourceUtilizationParameters(Parameters):
    """Thresholds of resource-utilization."""

    cpu_percent: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=90, description="Share of a container's CPU limit, or else request, that is too much."
    )
    memory_percent: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=90, description="Share of a container's memory limit, or else request, that is too much."
    )
    max_age: Annotated[timedelta, Between("10s", "1h")] = Field(
        default=timedelta(minutes=5), description="Age from which on a measurement no longer counts."
    )


class Load(Struct, frozen=True):
    """What one container uses of one resource."""

    pod: Ref
    owner: Ref
    container: str
    resource: str
    used: float
    allowed: float

    @property
    def share(self) -> float:
        """In percent of what it may use."""
        return 100 * self.used / self.allowed


def judge(snapshot: Snapshot, parameters: ResourceUtilizationParameters, now: datetime) -> Verdict:
    """Judge each running container that has a limit or a request."""
    pods, usage = snapshot.pods, snapshot.value(POD_METRICS)
    if isinstance(pods, Unobserved):
        return unknown(pods)
    running = [pod for pod in pods if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp]
    if not running:
        return skipped("NoPods", f"No selected pod runs in namespace {snapshot.namespace}.")
    if isinstance(usage, Unobserved):
        return unknown(usage)
    measured = [(pod, usage[pod.metadata.name]) for pod in running if _measured(pod, usage, parameters, now)]
    if not measured:
        return unknown(
            Unobserved(
                "NoMetrics",
                "The metrics API has no recent figures for any selected pod: check metrics-server.",
            )
        )
    loads: list[Load] = []
    boundless: set[str] = set()
    for pod, used in measured:
        _collect(pod, used, snapshot, loads, boundless)
    if not loads and boundless:
        return Verdict(
            Status.WARN,
            "NoLimits",
            "No container has a limit or a request to hold its use against: "
            f"set resources for {some(sorted(boundless))}.",
        )
    limits = {"cpu": parameters.cpu_percent, "memory": parameters.memory_percent}
    since = snapshot.sampled_at(POD_METRICS, now)
    floor = _unproven(running, {pod.metadata.name for pod, _ in measured}, snapshot)
    return _verdict(loads, limits, boundless, min(since, now), floor)


def _unproven(running: Iterable[Pod], measured: set[str], snapshot: Snapshot) -> dict[Ref, int]:
    """Running pods of each workload of which one has no figures yet: none of them is known to be spare."""
    counts: dict[Ref, int] = {}
    young: set[Ref] = set()
    for pod in running:
        owner = controller_of(pod, snapshot)
        if owner is not None and owner.kind in _SCALED:
            counts[owner] = counts.get(owner, 0) + 1
            if pod.metadata.name not in measured:
                young.add(owner)
    return {owner: count for owner, count in counts.items() if owner in young}


def _measured(
    pod: Pod, usage: Mapping[str, PodUsage], parameters: ResourceUtilizationParameters, now: datetime
) -> bool:
    found_ = usage.get(pod.metadata.name)
    return found_ is not None and (found_.timestamp is None or now - found_.timestamp <= parameters.max_age)


def _collect(pod: Pod, used: PodUsage, snapshot: Snapshot, loads: list[Load], boundless: set[str]) -> None:
    itself = Ref("Pod", pod.metadata.name, pod.metadata.uid)
    owner = controller_of(pod, snapshot) or itself
    if owner.kind in _FOR_THEMSELVES:
        return  # a batch job is meant to use all it may
    for container in pod.spec.containers:
        usage = used.containers.get(container.name)
        if usage is None:
            continue
        bounded = False
        for resource, amount in _amounts(usage):
            allowed = _allowed(container, resource)
            if allowed > 0:
                loads.append(Load(itself, owner, container.name, resource, amount, allowed))
                bounded = True
        if not bounded:
            boundless.add(container.name)


def _amounts(usage: Usage) -> tuple[tuple[str, float], ...]:
    return ("memory", float(usage.memory)), ("cpu", usage.cpu)


def _allowed(container: Container, resource: str) -> float:
    text = container.resources.limits.get(resource) or container.resources.requests.get(resource)
    try:
        return parse_quantity(text) if text else 0.0
    except ValueError:
        return 0.0  # the API server validates quantities; what it let through is not judged


def _verdict(
    loads: Iterable[Load],
    limits: Mapping[str, int],
    boundless: set[str],
    since: datetime,
    unproven: Mapping[Ref, int],
) -> Verdict:
    groups: dict[tuple[str, Ref], list[Load]] = {}
    for load in loads:
        groups.setdefault((load.resource, load.owner), []).append(load)
    # Memory before CPU: what runs out of memory is killed, what runs out of CPU is slow.
    ordered = sorted(groups.items(), key=lambda item: (item[0][0] != "memory", item[0][1]))
    findings: list[Finding] = []
    needed = dict(unproven)
    peaks: list[tuple[str, float]] = []
    for (resource, owner), group in ordered:
        if owner.kind in _SCALED:
            # Also where all is well: what carries the load must not be taken back.
            needed[owner] = max(needed.get(owner, 1), _needed(group, limits[resource]))
        over = [load for load in group if load.share > limits[resource]]
        if not over:
            continue
        findings += _findings(resource, owner, group, over, since)
        peaks.append((resource, max(load.share for load in over)))
    replicas_needed = tuple(sorted(needed.items()))
    if not findings:
        text = "No container uses more of its CPU or memory than it should."
        if boundless:
            text += f" Without limit and request, and so not judged: {some(sorted(boundless))}."
        return Verdict(Status.PASS, "AsExpected", text, replicas_needed=replicas_needed)
    resource = peaks[0][0]
    peak = max(share for name, share in peaks if name == resource)
    return found(
        findings,
        observed=f"{resource} {figure(peak, '%')}",
        threshold=f"{limits[resource]}%",
        replicas_needed=replicas_needed,
    )


def _findings(
    resource: str, owner: Ref, group: Iterable[Load], over: list[Load], since: datetime
) -> list[Finding]:
    remedies = _remedies(resource, owner)
    reason = "MemoryHigh" if resource == "memory" else "CpuHigh"
    noun = "memory" if resource == "memory" else "CPU"
    advice = (
        "look for a leak, raise the memory limit or add replicas"
        if resource == "memory"
        else "add replicas or raise the CPU limit"
    )
    pods = sorted({load.pod for load in over})
    total = len({load.pod for load in group})
    if total > 1 and len(pods) * _MOST_OF > total:
        text = f"{owner.kind} {owner.name}: most of its pods use nearly all the {noun} they may: {advice}"
        return [Finding(owner, reason, text, since, owner, remedies, workload_wide=True)]
    names = {pod: min(load.container for load in over if load.pod == pod) for pod in pods}
    return [
        Finding(
            pod,
            reason,
            f"Pod {pod.name}: container {names[pod]} uses nearly all the {noun} it may: {advice}",
            since,
            owner,
            remedies,
        )
        for pod in pods
    ]


def _remedies(resource: str, owner: Ref) -> tuple[ActionName, ...]:
    restart = (ActionName.RESTART,) if resource == "memory" else ()
    return restart + ((ActionName.SCALE,) if owner.kind in _SCALED else ())


def _needed(group: Iterable[Load], percent: int) -> int:
    """The fewest replicas among which the use of each container stays within the threshold."""
    by_container: dict[str, list[Load]] = {}
    for load in group:
        by_container.setdefault(load.container, []).append(load)
    return max(
        math.ceil(
            sum(load.used for load in loads) / (percent / 100 * min(load.allowed for load in loads)) - 1e-9
        )
        for loads in by_container.values()
    )


CHECK = Check(
    title="CPU and memory are not used up",
    section="responsiveness-service-status",
    command="kubectl top pods -n {namespace} {selector} --containers",
    # It reads the pods as well, but is judged when figures come in: an event of one pod must not
    # cost a walk over all of them.
    sources=(POD_METRICS,),
    judge=judge,
    parameters=ResourceUtilizationParameters,
)
