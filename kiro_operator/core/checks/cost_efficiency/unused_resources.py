"""What nobody uses any more: idle Deployments, claims, Services and ConfigMaps."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.cost_efficiency import _amounts, _history
from kiro_operator.core.checks.cost_efficiency._requests import requested
from kiro_operator.core.evidence.inventory import INVENTORY, Claim, Uses
from kiro_operator.core.evidence.prices import PRICES, Prices, prices
from kiro_operator.core.evidence.series import SERIES, Answer, Query
from kiro_operator.core.findings import found, some
from kiro_operator.core.objects import Deployment, EndpointSlice, Service
from kiro_operator.core.partial import incomplete, lacking, weighed
from kiro_operator.core.snapshot import (
    NOT_CONFIGURED,
    Collection,
    Ref,
    Snapshot,
    Unobserved,
    awaiting,
)
from kiro_operator.core.verdict import Amendment, Finding, Verdict, passed, unknown

_COVERED = 0.8
"""Share of the window that a history has to cover."""
_SERVICE_NAME = "kubernetes.io/service-name"
_Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=253)]], Field(max_length=64)]


class UnusedResourcesParameters(Parameters):
    """Thresholds of unused-resources."""

    min_age: Annotated[timedelta, Between("0s", "720h")] = Field(
        default=timedelta(hours=24), description="Age below which nothing counts as unused."
    )
    window: Annotated[timedelta, Between("24h", "720h")] = Field(
        default=timedelta(days=7), description="How long a Deployment must have been idle."
    )
    idle_millicores: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=10, description="CPU that a pod of an idle Deployment uses at most, in millicores."
    )
    idle_bytes: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=1024, description="Network traffic of a pod of an idle Deployment at most, in bytes a second."
    )
    ignore: _Names = Field(
        default=["kiro-safety-config"],
        description="Names to leave alone, such as ConfigMaps read over the API; a final * fits any end.",
    )


def queries(parameters: UnusedResourcesParameters, namespace: str) -> Sequence[Query]:
    """The peaks of CPU and network traffic over the window, and how much of it is known."""
    count = ("points", "count_over_time(")
    cpu = _history.by_owner("max", _history.cpu(namespace))
    network = _history.by_owner("max", _history.network(namespace))
    return (
        _history.stats(cpu, parameters.window, ("used", "quantile_over_time(0.99, "), count),
        _history.stats(network, parameters.window, ("used", "quantile_over_time(0.99, "), count),
    )


class _Facts(Struct, frozen=True):
    claims: tuple[Claim, ...]
    uses: Uses
    services: Collection[Service]
    slices: Collection[EndpointSlice]
    deployments: Collection[Deployment]


class _Judge:
    """What is too young, or to be left alone."""

    def __init__(self, parameters: UnusedResourcesParameters, facts: _Facts, now: datetime) -> None:
        self.parameters = parameters
        self._before = now - parameters.min_age
        self._exact = {name for name in parameters.ignore if not name.endswith("*")} | set(facts.uses.named)
        self._starts = tuple(name[:-1] for name in parameters.ignore if name.endswith("*"))

    def __call__(self, name: str, created: datetime | None) -> bool:
        """Whether an object of this name and age may be called unused."""
        young = created is None or created > self._before
        return not (young or name in self._exact or name.startswith(self._starts))


def judge(snapshot: Snapshot, parameters: UnusedResourcesParameters, now: datetime) -> Verdict:
    """Judge Deployments that do nothing, then what nothing refers to."""
    facts = _facts(snapshot)
    if isinstance(facts, Unobserved):
        return unknown(facts)
    judged = _Judge(parameters, facts, now)
    costs = prices(snapshot)
    since = snapshot.sampled_at(INVENTORY, now)
    history = _peaks(snapshot, parameters)
    missing: tuple[str, ...] = ()
    young: list[str] = []
    idle: list[Finding] = []
    if not isinstance(history, Unobserved):
        missing = lacking(*history)
        idle, young = _idle(snapshot, facts, history, judged, now)
    findings = [
        *_claims(facts, judged, costs, since),
        *_services(facts, judged, since),
        *_config_maps(facts, judged, since),
    ]
    told, status = weighed(findings, idle, missing)
    if told:
        # What runs and does nothing costs most.
        return found(sorted(told, key=lambda item: item.reason != "IdleDeployment"), status=status)
    if missing:
        return incomplete(missing)
    if isinstance(history, Unobserved) and history.reason != NOT_CONFIGURED:
        return unknown(history)
    looked = " Idle Deployments were not looked for." if isinstance(history, Unobserved) else ""
    looked += f" Not known for long enough to be idle: {some(young)}." if young else ""
    return passed(f"Nothing in the namespace is unused.{looked}")


def _facts(snapshot: Snapshot) -> _Facts | Unobserved:
    inventory = snapshot.value(INVENTORY)
    if isinstance(inventory, Unobserved):
        return inventory
    for part in ("claims", "uses"):
        if part in inventory.missing:
            return inventory.missing[part]
    if inventory.uses is None:
        return awaiting(INVENTORY)
    if isinstance(snapshot.services, Unobserved):
        return snapshot.services
    if isinstance(snapshot.endpoint_slices, Unobserved):
        return snapshot.endpoint_slices
    if isinstance(snapshot.deployments, Unobserved):
        return snapshot.deployments
    return _Facts(
        inventory.claims, inventory.uses, snapshot.services, snapshot.endpoint_slices, snapshot.deployments
    )


def _peaks(snapshot: Snapshot, parameters: UnusedResourcesParameters) -> tuple[Answer, Answer] | Unobserved:
    """CPU and network of each owner."""
    cpu, network = (_history.read(snapshot, query) for query in queries(parameters, snapshot.namespace))
    if isinstance(cpu, Unobserved):
        return cpu
    if isinstance(network, Unobserved):
        return network
    return cpu, network


def _idle(
    snapshot: Snapshot,
    facts: _Facts,
    history: tuple[Answer, Answer],
    judged: _Judge,
    now: datetime,
) -> tuple[list[Finding], list[str]]:
    """Deployments that do nothing, and names of those of which too little is known."""
    parameters = judged.parameters
    used = [_history.stat(item, "used") for item in history]
    points = [_history.stat(item, "points") for item in history]
    bounds = (parameters.idle_millicores / 1000, float(parameters.idle_bytes))
    known = sorted({owner for owner, _ in used[0]})
    wanted = _COVERED * parameters.window / _history.STEP
    findings: list[Finding] = []
    young: list[str] = []
    for item in sorted(facts.deployments, key=lambda item: item.metadata.name):
        metadata = item.metadata
        if item.desired == 0 or not judged(metadata.name, metadata.creation_timestamp):
            continue
        ref = Ref("Deployment", metadata.name, metadata.uid)
        keys = [(owner, "") for owner in _history.owners(ref, known, frozenset())]
        busy = any(
            figures.get(key, 0.0) > bound for figures, bound in zip(used, bounds, strict=True) for key in keys
        )
        if busy:
            continue
        if all(sum(known_.get(key, 0.0) for key in keys) >= wanted for known_ in points):
            text = _left_idle(snapshot, ref, parameters)
            amendment = Amendment(ActionName.REMOVE_UNUSED, ref, (("replicas", "0"),))
            since = snapshot.sampled_at(SERIES, now)
            findings.append(Finding(ref, "IdleDeployment", text, since, amendment=amendment))
        else:
            young.append(ref.name)
    return findings, young


def _left_idle(snapshot: Snapshot, ref: Ref, parameters: UnusedResourcesParameters) -> str:
    cpu, memory = requested(snapshot, ref)
    asks = [
        *([f"{cpu:g} cores"] if cpu else []),
        *([f"{_amounts.size(memory)} of memory"] if memory else []),
    ]
    waste = f" and keeps {' and '.join(asks)} from others" if asks else ""
    return (
        f"Deployment {ref.name} has done next to nothing over {format_duration(parameters.window)}, at most "
        f"{parameters.idle_millicores}m of CPU and {parameters.idle_bytes} B/s of traffic a pod{waste}"
        f"{_amounts.a_month(prices(snapshot), cores=cpu, memory=memory)}: scale it to zero, or remove it"
    )


def _claims(facts: _Facts, judged: _Judge, costs: Prices | None, since: datetime) -> Iterator[Finding]:
    used = {name for template in facts.uses.templates for name in template.claims}
    starts = tuple(
        f"{claim}-{template.name}-"
        for template in facts.uses.templates
        for claim in template.claim_templates
        if template.kind == "StatefulSet"
    )
    # The largest first: they cost most.
    for claim in sorted(facts.claims, key=lambda claim: (-claim.bytes, claim.name)):
        # A StatefulSet that is scaled down keeps its claims, to find its data again.
        if claim.kept or claim.name in used or claim.name.startswith(starts):
            continue
        if judged(claim.name, claim.created):
            text = (
                f"PersistentVolumeClaim {claim.name} is mounted by nothing and holds "
                f"{_amounts.size(claim.bytes)} of storage{_amounts.a_month(costs, storage=claim.bytes)}: "
                "back it up if need be, and delete it"
            )
            yield Finding(Ref("PersistentVolumeClaim", claim.name), "UnmountedClaim", text, since)


def _services(facts: _Facts, judged: _Judge, since: datetime) -> Iterator[Finding]:
    served = {slice_.metadata.labels.get(_SERVICE_NAME, "") for slice_ in facts.slices if slice_.endpoints}
    for service in sorted(facts.services, key=lambda service: service.metadata.name):
        metadata, spec = service.metadata, service.spec
        if not spec.selector or spec.type == "ExternalName" or metadata.name in served:
            continue
        if metadata.owner_references or not judged(metadata.name, metadata.creation_timestamp):
            continue
        if any(spec.selector.items() <= template.labels.items() for template in facts.uses.templates):
            continue  # something would make pods for it, were it scaled up
        waste = " and keeps a load balancer" if spec.type == "LoadBalancer" else ""
        text = (
            f"Service {metadata.name} has no endpoints{waste}, and nothing makes pods that it selects: "
            "correct its selector, or delete it"
        )
        yield Finding(Ref("Service", metadata.name, metadata.uid), "ServiceWithoutEndpoints", text, since)


def _config_maps(facts: _Facts, judged: _Judge, since: datetime) -> Iterator[Finding]:
    used = {name for template in facts.uses.templates for name in template.config_maps}
    for item in sorted(facts.uses.config_maps, key=lambda item: item.name):
        if not item.kept and item.name not in used and judged(item.name, item.created):
            text = (
                f"ConfigMap {item.name} is referred to by no pod, workload or job: delete it, or annotate it "
                f"with kiro.dev/keep=true if it is read over the API"
            )
            yield Finding(Ref("ConfigMap", item.name), "UnusedConfigMap", text, since)


CHECK = Check(
    title="Nothing in the namespace is unused",
    section="cost-efficiency-allocation",
    command="kubectl get deployments,persistentvolumeclaims,endpointslices,configmaps -n {namespace}",
    commands={
        "IdleDeployment": "kubectl top pods -n {namespace}; promtool query instant {prometheus} "
        "'sum by (pod) "
        '(rate(container_cpu_usage_seconds_total{{namespace="{namespace}"}}[10m]))\''
    },
    sources=(INVENTORY, SERIES, PRICES),
    judge=judge,
    parameters=UnusedResourcesParameters,
    queries=queries,
    # What is unused today was unused an hour ago; and listing a namespace is not free.
    interval=timedelta(hours=1),
    failure_threshold=2,
    success_threshold=1,
)
