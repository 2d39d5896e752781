"""Services without a ready endpoint, and ports that cannot be connected to."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Self

from msgspec.structs import replace
from pydantic import Field, model_validator

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.connections import CONNECTIONS, Connection
from kiro_operator.core.faults.kinds import NOTHING, RESTART
from kiro_operator.core.faults.motion import MOVING, Motion, moving
from kiro_operator.core.findings import earliest, found, some
from kiro_operator.core.objects import EndpointSlice, Service, Workload
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved, ref_of
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, unknown

SERVICE_NAME = "kubernetes.io/service-name"
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class NetworkConnectivityParameters(Parameters):
    """Thresholds of network-connectivity."""

    slow_after: Annotated[timedelta, Between("0s", "30s")] = Field(
        default=timedelta(seconds=1), description="Time to connect from which on a port is too slow."
    )
    timeout: Annotated[timedelta, Between("1s", "10s")] = Field(
        default=timedelta(seconds=3), description="Time after which a connect is given up."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.slow_after > self.timeout:
            raise ValueError(
                "slowAfter must not be longer than timeout: a connect is given up before it is slow"
            )
        return self


_ERRORS: Mapping[str, tuple[str, str]] = {
    "refused": ("ConnectionRefused", "refuses connections though it has ready endpoints"),
    "timeout": ("ConnectTimeout", "does not answer a connect: look at its pods and at network policies"),
    "unresolved": ("NameUnresolved", "its name cannot be resolved: look at the cluster's DNS"),
    "unreachable": ("Unreachable", "cannot be reached: look at network policies and the nodes' network"),
}
_OTHER = ("ConnectFailed", "cannot be connected to")
_SLOW = ("ConnectSlow", "takes too long to connect: look at the load of its pods and at the network")
_RANKS = {
    reason: rank
    for rank, reason in enumerate(
        (
            "NoReadyEndpoints",
            "NameUnresolved",
            "Unreachable",
            "ConnectTimeout",
            "ConnectFailed",
            "ConnectionRefused",
            "ConnectSlow",
            "RolloutInProgress",
            "Draining",
        )
    )
}


def judge(snapshot: Snapshot, parameters: NetworkConnectivityParameters, now: datetime) -> Verdict:
    """Judge the Services' endpoints as they are, and their ports by the last sample."""
    services, slices = snapshot.services, snapshot.endpoint_slices
    if isinstance(services, Unobserved):
        return unknown(services)
    if isinstance(slices, Unobserved):
        return unknown(slices)
    if not len(services):
        return skipped("NoServices", f"No Service is selected in namespace {snapshot.namespace}.")
    findings, judged, again = _of_endpoints(services, slices, snapshot, now)
    connections = snapshot.value(CONNECTIONS)
    if not isinstance(connections, Unobserved):
        since = snapshot.sampled_at(CONNECTIONS, now)
        findings += _of_connections(connections, judged, snapshot, parameters, since)
    findings.sort(key=lambda item: (_RANKS[item.reason], item.object, item.message))
    if failing := [item for item in findings if item.reason not in MOVING]:
        return found(failing, next_check=again)
    if findings:
        return found(findings, status=Status.WARN, next_check=again)
    if isinstance(connections, Unobserved):
        return unknown(connections)
    return passed("Every selected Service has a ready endpoint, and its ports can be connected to.")


def _of_endpoints(
    services: Iterable[Service], slices: Iterable[EndpointSlice], snapshot: Snapshot, now: datetime
) -> tuple[list[Finding], dict[str, Service], datetime | None]:
    """What the slices tell against the Services, those that have a ready endpoint, and when to look again.

    The second is by name; the third is when what is on its way will have had its time.
    """
    by_service: dict[str, list[EndpointSlice]] = {}
    for item in slices:
        by_service.setdefault(item.metadata.labels.get(SERVICE_NAME, ""), []).append(item)
    unserved: list[tuple[Service, list[EndpointSlice], list[Workload]]] = []
    served: dict[str, Service] = {}
    for service in services:
        if service.spec.type == "ExternalName":
            continue
        mine = by_service.get(service.metadata.name, [])
        if any(item.settled for item in mine):
            served[service.metadata.name] = service
        elif service.spec.selector:
            behind = _behind(service, snapshot)
            if not behind or any(workload.desired for workload in behind):
                unserved.append((service, mine, behind))
            # Else it is scaled to nothing on purpose.
        # One without a selector and without endpoints has not been set up yet.
    motions = moving((workload for _, _, behind in unserved for workload in behind), snapshot, now)
    findings = [_without_endpoints(*each, motions, now) for each in unserved]
    return findings, served, earliest(*(motion.until for motion in motions.values()))


def _without_endpoints(
    service: Service,
    slices: Iterable[EndpointSlice],
    behind: Sequence[Workload],
    motions: Mapping[str, Motion],
    now: datetime,
) -> Finding:
    name = service.metadata.name
    hint = f"{behind[0].kind} {behind[0].metadata.name}" if len(behind) == 1 else "the pods it selects"
    text = (
        f"Service {name} has no ready endpoint: look at {hint}; where there are no pods, correct the "
        "Service's selector"
    )
    target = ref_of(behind[0]) if len(behind) == 1 else None
    since = min(_changed(service, slices), now)
    finding = Finding(_service(service), "NoReadyEndpoints", text, since, target, NOTHING, at_once=True)
    wanted = [workload for workload in behind if workload.desired]
    if not wanted or any(workload.metadata.uid not in motions for workload in wanted):
        return finding
    named = some([f"{workload.kind} {workload.metadata.name}" for workload in wanted])
    text = f"Service {name} has no ready endpoint while pods of {named} are being moved or replaced"
    return replace(finding, reason=motions[wanted[0].metadata.uid].reason, message=text)


def _of_connections(
    connections: Iterable[Connection],
    judged: Mapping[str, Service],
    snapshot: Snapshot,
    parameters: NetworkConnectivityParameters,
    since: datetime,
) -> list[Finding]:
    findings: list[Finding] = []
    slow = parameters.slow_after.total_seconds()
    for connection in connections:
        service = judged.get(connection.service)
        if service is None or not any(
            port.port == connection.port and port.protocol == "TCP" for port in service.spec.ports
        ):
            continue  # gone, or without endpoints, which says more than a refused connect
        if connection.error:
            reason, text = _ERRORS.get(connection.error, _OTHER)
        elif connection.seconds > slow:
            reason, text = _SLOW
        else:
            continue
        behind = _behind(service, snapshot) if reason == "ConnectionRefused" else []
        target = ref_of(behind[0]) if len(behind) == 1 else None
        if target is not None:
            text += f": {target.kind} {target.name} behind it does not listen there"
        message = f"Service {connection.service}, port {connection.port}: {text}"
        findings.append(
            Finding(
                _service(service),
                reason,
                message,
                since,
                target,
                RESTART if target is not None else NOTHING,
                workload_wide=target is not None,
            )
        )
    return findings


def _behind(service: Service, snapshot: Snapshot) -> list[Workload]:
    """The workloads whose pods the Service selects."""
    wanted = service.spec.selector.items()
    if not wanted:
        return []
    workloads: list[Workload] = []
    for source in (snapshot.deployments, snapshot.stateful_sets, snapshot.daemon_sets):
        if not isinstance(source, Unobserved):
            workloads += [item for item in source if wanted <= item.spec.template.metadata.labels.items()]
    return sorted(workloads, key=lambda item: (item.kind, item.metadata.name))


def _changed(service: Service, slices: Iterable[EndpointSlice]) -> datetime:
    """When the endpoints last changed, as the slices tell."""
    times: list[datetime] = []
    for item in slices:
        changed = _time(item.metadata.annotations.endpoints_changed) or item.metadata.creation_timestamp
        if changed is not None:
            times.append(changed)
    return max(times, default=service.metadata.creation_timestamp or _EPOCH)


def _time(text: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else None


def _service(service: Service) -> Ref:
    return Ref("Service", service.metadata.name, service.metadata.uid)


CHECK = Check(
    title="Services have endpoints and can be connected to",
    section="responsiveness-service-status",
    command="kubectl get services,endpointslices -n {namespace}",
    sources=(
        Source.SERVICES,
        Source.ENDPOINT_SLICES,
        CONNECTIONS,
        Source.DEPLOYMENTS,
        Source.STATEFUL_SETS,
        Source.DAEMON_SETS,
        Source.REPLICA_SETS,
        Source.PODS,
    ),
    judge=judge,
    parameters=NetworkConnectivityParameters,
    # A rollout or an eviction leaves a Service of few pods without an endpoint for a moment.
    fail_after=timedelta(seconds=30),
)
