"""What workloads ask for and never use: requests against days of history."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Self

from msgspec import Struct
from pydantic import Field, model_validator

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.cost_efficiency import _amounts, _history
from kiro_operator.core.evidence.prices import PRICES, Prices, prices
from kiro_operator.core.evidence.series import SERIES, Query
from kiro_operator.core.findings import found, some
from kiro_operator.core.objects import Container, Phase, Pod
from kiro_operator.core.partial import incomplete, lacking, proven
from kiro_operator.core.quantity import mebibytes, millicores, parse_quantity
from kiro_operator.core.quiet import figure
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of
from kiro_operator.core.verdict import Amendment, Finding, Verdict, passed, skipped, unknown

_JUDGED = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
_MIB, _GIB = 2.0**20, 2.0**30
_LEAST_CPU, _LEAST_MEMORY = 0.01, 16 * _MIB
"""What anything is to ask for, however little it uses."""


class OverProvisionedParameters(Parameters):
    """Thresholds of over-provisioned."""

    window: Annotated[timedelta, Between("24h", "720h")] = Field(
        default=timedelta(days=7), description="How far back use is looked at."
    )
    waste_percent: Annotated[int, Field(ge=10, le=99)] = Field(
        default=50, description="Share of a request that is too much to be never used."
    )
    min_millicores: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=500, description="CPU that a workload's pods waste together before it counts, in millicores."
    )
    min_mebibytes: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        default=1024, description="Memory that a workload's pods waste together before it counts, in MiB."
    )
    memory_headroom_percent: Annotated[int, Field(ge=0, le=200)] = Field(
        default=15, description="Room to leave above the peak of memory."
    )
    min_points: Annotated[int, Field(ge=10, le=10_000)] = Field(
        default=_history.POINTS, description="Points of history without which nothing is said."
    )

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        if self.min_points * _history.STEP > self.window:
            raise ValueError("minPoints must fit into window, which has one in ten minutes")
        return self


class Oversize(Struct, frozen=True):
    """A container that asks for more than it needs."""

    container: str
    resource: str
    request: float
    right: float
    """What would do."""
    waste: float
    """Of all its pods together."""

    @property
    def amount(self) -> str:
        """What would do, as a request is written."""
        return millicores(self.right) if self.resource == "cpu" else mebibytes(self.right)

    def __str__(self) -> str:
        if self.resource == "cpu":
            return f"{figure(1000 * self.right, 'm')} instead of {_amounts.cores(self.request)} CPU"
        return f"{figure(self.right / _MIB, 'Mi')} instead of {_amounts.size(self.request)} memory"


class _History(Struct, frozen=True):
    """What is known of the past."""

    used: Mapping[str, Mapping[_history.Key, float]]
    """By resource."""
    points: Mapping[str, Mapping[_history.Key, float]]
    missing: tuple[str, ...]
    """What Prometheus says is missing."""


def queries(parameters: OverProvisionedParameters, namespace: str) -> Sequence[Query]:
    """The 95th percentile of CPU and the peak of memory, each with its number of points."""
    count = ("points", "count_over_time(")
    cpu = _history.by_owner("max", _history.cpu(namespace), "container")
    memory = _history.by_owner("max", _history.memory(namespace), "container")
    return (
        _history.stats(cpu, parameters.window, ("used", "quantile_over_time(0.95, "), count),
        _history.stats(memory, parameters.window, ("used", "max_over_time("), count),
    )


def judge(snapshot: Snapshot, parameters: OverProvisionedParameters, now: datetime) -> Verdict:
    """Judge each workload whose pods run and ask for something."""
    pods = snapshot.pods
    if isinstance(pods, Unobserved):
        return unknown(pods)
    workloads = _workloads(pods, snapshot)
    if not workloads:
        return skipped("NoRequests", "No selected workload that runs asks for CPU or memory.")
    past = _past(snapshot, parameters)
    if isinstance(past, Unobserved):
        return unknown(past)
    exact = frozenset(ref.name for ref in workloads if ref.kind != "Deployment")
    since = snapshot.sampled_at(SERIES, now)
    costs = prices(snapshot)
    findings: list[Finding] = []
    young: list[str] = []
    for ref, group in sorted(workloads.items()):
        sizes = list(_sizes(ref, group, past, exact, parameters))
        if not sizes:
            young.append(ref.name)
        elif finding := _finding(ref, sizes, parameters, costs, since):
            findings.append(finding)
    if findings:
        threshold = f"{parameters.waste_percent}% unused"
        return found(findings, status=proven(past.missing), threshold=threshold)
    if past.missing:
        return incomplete(past.missing)
    if len(young) == len(workloads):
        text = f"There are less than {parameters.min_points} points of history for any workload."
        return unknown(Unobserved("TooFewPoints", text))
    text = "No workload asks for much more than it uses."
    return passed(text + (f" Too young to be judged: {some(sorted(young))}." if young else ""))


def _past(snapshot: Snapshot, parameters: OverProvisionedParameters) -> _History | Unobserved:
    cpu, memory = (_history.read(snapshot, query) for query in queries(parameters, snapshot.namespace))
    if isinstance(cpu, Unobserved):
        return cpu
    if isinstance(memory, Unobserved):
        return memory
    return _History(
        {"cpu": _history.stat(cpu, "used"), "memory": _history.stat(memory, "used")},
        {"cpu": _history.stat(cpu, "points"), "memory": _history.stat(memory, "points")},
        lacking(cpu, memory),
    )


def _workloads(pods: Iterable[Pod], snapshot: Snapshot) -> dict[Ref, list[Pod]]:
    found_: dict[Ref, list[Pod]] = {}
    for pod in pods:
        owner = controller_of(pod, snapshot)
        if owner is None or owner.kind not in _JUDGED or pod.status.phase is not Phase.RUNNING:
            continue
        if any(container.resources.requests for container in pod.spec.containers):
            found_.setdefault(owner, []).append(pod)
    return found_


def _sizes(
    ref: Ref, pods: list[Pod], past: _History, exact: frozenset[str], parameters: OverProvisionedParameters
) -> Iterator[Oversize]:
    """Each request that there is enough history for, also those that are right."""
    requested: dict[tuple[str, str], list[float]] = {}
    for pod in pods:
        for container in pod.spec.containers:
            for resource in ("memory", "cpu"):
                if request := _request(container, resource):
                    requested.setdefault((container.name, resource), []).append(request)
    for (container_name, resource), amounts in sorted(requested.items()):
        known = sorted({owner for owner, name in past.used[resource] if name == container_name})
        keys = [(owner, container_name) for owner in _history.owners(ref, known, exact)]
        if sum(past.points[resource].get(key, 0.0) for key in keys) < parameters.min_points:
            continue
        used = max(past.used[resource][key] for key in keys)
        if resource == "cpu":
            right = max(_LEAST_CPU, used)
        else:
            right = max(_LEAST_MEMORY, used * (1 + parameters.memory_headroom_percent / 100))
        waste = sum(max(0.0, amount - right) for amount in amounts)
        yield Oversize(container_name, resource, max(amounts), right, waste)


def _request(container: Container, resource: str) -> float:
    try:
        return parse_quantity(container.resources.requests.get(resource, "0"))
    except ValueError:
        return 0.0  # the API server validates quantities; what it let through is not judged


def _finding(
    ref: Ref,
    sizes: list[Oversize],
    parameters: OverProvisionedParameters,
    costs: Prices | None,
    since: datetime,
) -> Finding | None:
    least = {"cpu": parameters.min_millicores / 1000, "memory": parameters.min_mebibytes * _MIB}
    total = {"cpu": 0.0, "memory": 0.0}
    large = [
        size for size in sizes if size.request - size.right >= parameters.waste_percent / 100 * size.request
    ]
    for size in large:
        total[size.resource] += size.waste
    large = [size for size in large if total[size.resource] >= least[size.resource]]
    if not large:
        return None
    cores = total["cpu"] if total["cpu"] >= least["cpu"] else 0.0
    memory = total["memory"] if total["memory"] >= least["memory"] else 0.0
    worth = _amounts.a_month(costs, cores=cores, memory=memory)
    text = (
        f"{ref.kind} {ref.name} wastes {_amounts.wasted(cores, memory)}{worth}: "
        f"request {'; '.join(_advice(large))}"
    )
    values = tuple((f"{size.container}/{size.resource}", size.amount) for size in large)
    amendment = Amendment(ActionName.RIGHT_SIZE, ref, values)
    return Finding(ref, "OverProvisioned", text, since, amendment=amendment)


def _advice(large: list[Oversize]) -> Iterator[str]:
    for container in sorted({size.container for size in large}):
        changes = " and ".join(str(size) for size in large if size.container == container)
        yield f"{changes} for container {container}"


CHECK = Check(
    title="Workloads ask for what they use",
    section="cost-efficiency-allocation",
    command="kubectl top pods -n {namespace} --containers; kubectl describe {object} -n {namespace}; "
    "promtool query instant {prometheus} "
    "'max_over_time(container_memory_working_set_bytes{{namespace=\"{namespace}\"}}[7d])'",
    sources=(SERIES, PRICES),
    judge=judge,
    parameters=OverProvisionedParameters,
    queries=queries,
    # A week's history does not change its mind within minutes.
    interval=timedelta(minutes=30),
    failure_threshold=1,
    success_threshold=1,
)
