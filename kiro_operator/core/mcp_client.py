"""The MCP client: the pod in which it is tested and reconnected, its workload, and those of the servers."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from kiro_operator.api.v1alpha1.evidence.mcp import McpClient
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.objects import Pod, Selector, Workload
from kiro_operator.core.policy.selectors import selector_of
from kiro_operator.core.snapshot import Collection, Ref, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Finding

READS = (Source.DEPLOYMENTS, Source.STATEFUL_SETS, Source.DAEMON_SETS, Source.SERVICES)
"""What tells which workloads a fault is to be treated at."""
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


def treated(faults: Sequence[Finding], snapshot: Snapshot) -> list[Finding]:
    """The faults, with what can be done against each where the client's workload is known.

    That takes spec.mcp.client, and that its selector leaves one workload: whoever did not say which
    one is the client gets none restarted for it. Where that cannot be seen for now, the remedies have no
    target: nothing is done, and nothing is taken for mended either.
    """
    mcp = snapshot.own.mcp
    if not faults or mcp is None or mcp.client is None:
        return list(faults)
    workloads = _workloads(snapshot)
    if workloads is None or isinstance(snapshot.services, Unobserved):
        return [replace(fault, remedies=_REMEDIES.get(fault.reason, ())) for fault in faults]
    client = _only(workloads, selector_of(mcp.client.selector).matches)
    return [_treated(fault, client, workloads, snapshot) if client else fault for fault in faults]


def _treated(fault: Finding, client: Ref, workloads: Sequence[Workload], snapshot: Snapshot) -> Finding:
    remedies = _REMEDIES.get(fault.reason, ())
    if ActionName.RESTART not in remedies:
        return replace(fault, target=client, remedies=remedies) if remedies else fault
    server = _server(fault.object.name, workloads, snapshot) if fault.object.kind == "MCPServer" else None
    return replace(
        fault,
        target=client,
        remedies=remedies,
        fallback=server if server != client else None,
        workload_wide=True,
    )


def _server(name: str, workloads: Sequence[Workload], snapshot: Snapshot) -> Ref | None:
    """The workload that a server's Service of this namespace selects."""
    servers = snapshot.own.mcp.servers if snapshot.own.mcp else []
    at = next((server.service for server in servers if server.name == name), None)
    if at is None or isinstance(snapshot.services, Unobserved):
        return None
    service = snapshot.services.get(at.name)
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


def _only(workloads: Sequence[Workload], matches: Callable[[dict[str, str]], bool]) -> Ref | None:
    """The one workload whose pods match; None where there is none, or several."""
    found = [each for each in workloads if matches(each.spec.template.metadata.labels)]
    if len(found) != 1:
        return None
    return Ref(found[0].kind, found[0].metadata.name, found[0].metadata.uid)


def _ready(pod: Pod) -> bool:
    return not pod.metadata.deletion_timestamp and any(
        condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions
    )
