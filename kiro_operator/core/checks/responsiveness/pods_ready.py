"""Pods that are not Ready, crash, are killed or restart too often: ``kubectl get pods``."""

from datetime import datetime

from msgspec.structs import replace

from kiro_operator.core.checks import Check
from kiro_operator.core.evidence.nodes import NODES
from kiro_operator.core.faults.kinds import NOTHING
from kiro_operator.core.faults.motion import judged
from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.faults.pods import Fault
from kiro_operator.core.findings import found
from kiro_operator.core.objects import Pod
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved, controller_of
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, unknown

NOT_RESTARTABLE = frozenset({"Job", "CronJob", "Node"})
"""Owners that decide for themselves when a pod runs anew."""


class PodsReadyParameters(PodFaultParameters):
    """Thresholds of pods-ready."""


def judge(snapshot: Snapshot, parameters: PodsReadyParameters, now: datetime) -> Verdict:
    """Judge the unsettled pods; what it costs does not depend on how many are well."""
    pods = snapshot.pods
    if isinstance(pods, Unobserved):
        return unknown(pods)
    if not len(pods):
        return skipped(
            "NoPods",
            f"No pod is selected in namespace {snapshot.namespace}: if there should be one, "
            "correct spec.selector or scale its workload up.",
        )
    faults: list[tuple[int, str, Pod, Fault]] = []
    warnings: list[tuple[int, str, Pod, Fault]] = []
    again: datetime | None = None
    for pod in pods.unsettled:
        fault, later = judged(pod, snapshot, parameters, now)
        if later is not None and (again is None or later < again):
            again = later
        if fault is not None:
            kind = fault.kind
            (warnings if kind.warns else faults).append((kind.rank, pod.metadata.name, pod, fault))
    status = Status.FAIL if faults else Status.WARN
    # One name, one pod: the tuples never compare as far as the pod.
    findings = [_finding(pod, fault, snapshot) for _, _, pod, fault in sorted(faults or warnings)]
    if findings:
        return found(findings, status=status, next_check=again)
    verdict = passed("Every selected pod is Ready, has run to its end, or is within its grace.")
    return verdict if again is None else replace(verdict, next_check=again)


def _finding(pod: Pod, fault: Fault, snapshot: Snapshot) -> Finding:
    itself = Ref("Pod", pod.metadata.name, pod.metadata.uid)
    target = controller_of(pod, snapshot) or itself
    kind = fault.kind
    remedies = NOTHING if target.kind in NOT_RESTARTABLE else kind.remedies
    return Finding(itself, kind.reason, fault.message(itself.name), fault.since, target, remedies)


CHECK = Check(
    title="Pods are Ready and do not crash",
    section="responsiveness-service-status",
    command="kubectl get pods -n {namespace} {selector}; kubectl describe {object} -n {namespace}",
    sources=(
        Source.PODS,
        Source.REPLICA_SETS,
        Source.DEPLOYMENTS,
        Source.STATEFUL_SETS,
        Source.DAEMON_SETS,
    ),
    beside=(NODES,),
    judge=judge,
    parameters=PodsReadyParameters,
)
