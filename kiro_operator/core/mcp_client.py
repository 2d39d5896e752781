"""The MCP client: the pod in which it is tested and reconnected, its workload, and those of the servers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from kiro_operator.api.v1alpha1.evidence.mcp import McpClient
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.faults.motion import Motion, moving
from kiro_operator.core.findings import MESSAGE_LIMIT, clip
from kiro_operator.core.objects import Pod, Selector, Service, Workload
from kiro_operator.core.policy.selectors import selector_of
from kiro_operator.core.snapshot import Collection, Snapshot, Source, Unobserved, ref_of
from kiro_operator.core.verdict import Finding

READS = (
    Source.DEPLOYMENTS,
    Source.STATEFUL_SETS,
    Source.DAEMON_SETS,
    Source.SERVICES,
    Source.REPLICA_SETS,
    Source.PODS,
)
"""What tells which workloads a fault is to be treated at, and whether they are on their way."""
RECONNECT = frozenset(
    {
        "BadStatus",
        "ClientFailed",
        "ClientTimeout",
        "Timeout",
        "ToolMissing",
        "Unreachable",
    }
)
"""Reasons of faults that a new connection can help against: not a credential, nor load."""
RESYNC = frozenset({"AnswerDiffers", "DataStale", "SourcesDisagree"})
"""Reasons of faults that a synchronization of the data can help against."""
_REMEDIES: Mapping[str, tuple[ActionName, ...]] = {
    **dict.fromkeys(RECONNECT, (ActionName.RECONNECT_MCP, ActionName.RESTART)),
    **dict.fromkeys(RESYNC, (ActionName.RESYNC_MCP,)),
}


def choose(pods: Iterable[Pod], spec: McpClient) -> tuple[Pod, str] | None:
    """The first ready pod by name that has the container, and that container."""
    selector = selector_of(spec.selector)
    for pod in sorted(pods, key=lambda each: each.metadata.name):
        names = [container.name for container in pod.spec.containers]
        name = spec.container or (names[0] if names else "")
        if name in names and _ready(pod) and selector.matches(pod.metadata.labels):
            return pod, name
    return None


def treated(faults: Sequence[Finding], snapshot: Snapshot, now: datetime) -> list[Finding]:
    """The faults, with what can be done against each where the client's workload is known.

    That takes spec.mcp.client, and that its selector leaves one workload: whoever did not say which
    one is the client gets none restarted for it. Where that cannot be seen for now, the remedies have no
    target: nothing is done, and nothing is taken for mended either. Nor is it while the server is being
    rolled out or moved: then the reason is that motion's.
    """
    mcp = snapshot.own.mcp
    if not faults or mcp is None:
        return list(faults)
    workloads, services = _workloads(snapshot), snapshot.services
    if workloads is None or isinstance(services, Unobserved):
        if mcp.client is None:
            return list(faults)
        return [replace(fault, remedies=_REMEDIES.get(fault.reason, ())) for fault in faults]
    client = _only(workloads, selector_of(mcp.client.selector).matches) if mcp.client else None
    servers = {
        each.name: found
        for each in mcp.servers
        if each.service and (found := _behind(services.get(each.service.name), workloads))
    }
    motions = moving(servers.values(), snapshot, now)
    return [_treated(fault, client, servers, motions) for fault in faults]


def _treated(
    fault: Finding, client: Workload | None, servers: Mapping[str, Workload], motions: Mapping[str, Motion]
) -> Finding:
    remedies = _REMEDIES.get(fault.reason, ())
    target = ref_of(client) if client else None
    if ActionName.RESTART not in remedies:
        return replace(fault, target=target, remedies=remedies) if remedies and target else fault
    of_server = fault.object.kind == "MCPServer"
    server = servers.get(fault.object.name) if of_server else None
    for each in servers.values():
        # The client's own test does not tell which of the servers fails it.
        motion = motions.get(each.metadata.uid) if each is server or not of_server else None
        if motion is not None:
            which = f"{each.kind} {each.metadata.name}"
            text = f"{fault.message}; it is left alone while pods of {which} are being moved or replaced"
            message = clip(text, MESSAGE_LIMIT)
            return replace(fault, reason=motion.reason, message=message, remedies=remedies)
    if target is None:
        return fault
    return replace(
        fault,
        target=target,
        remedies=remedies,
        fallback=ref_of(server) if server and server != client else None,
        workload_wide=True,
    )


def _behind(service: Service | None, workloads: Sequence[Workload]) -> Workload | None:
    """The workload that a server's Service of this namespace selects."""
    if service is None or not service.spec.selector:
        return None
    return _only(workloads, Selector(match_labels=service.spec.selector).matches)


def _workloads(snapshot: Snapshot) -> list[Workload] | None:
    """All of the namespace; None where some cannot be seen."""
    found: list[Workload] = []
    for source in (snapshot.deployments, snapshot.stateful_sets, snapshot.daemon_sets):
        if not isinstance(source, Collection):
            return None
        found += source
    return found


def _only(workloads: Sequence[Workload], matches: Callable[[dict[str, str]], bool]) -> Workload | None:
    """The one workload whose pods match; None where there is none, or several."""
    found = [each for each in workloads if matches(each.spec.template.metadata.labels)]
    return found[0] if len(found) == 1 else None


def _ready(pod: Pod) -> bool:
    return not pod.metadata.deletion_timestamp and any(
        condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions
    )
