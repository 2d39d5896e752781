"""Deployments, StatefulSets and DaemonSets that do not reach what they are meant to run."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated

from msgspec.structs import replace
from pydantic import Field

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.faults.kinds import NOTHING, RESTART
from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.faults.workloads import Helped, helped
from kiro_operator.core.findings import earliest, found
from kiro_operator.core.gitops import keeper
from kiro_operator.core.objects import (
    DaemonSet,
    Deployment,
    ManagedMetadata,
    ReplicaSet,
    StatefulSet,
    Workload,
)
from kiro_operator.core.policy.rollouts import EPOCH, in_progress, is_on_delete, is_stuck, written
from kiro_operator.core.revisions import by_deployment, running_before
from kiro_operator.core.snapshot import Collection, Ref, Snapshot, Source, Unobserved, ref_of
from kiro_operator.core.verdict import Amendment, Finding, Status, Verdict, passed, skipped, unknown


class WorkloadsAvailableParameters(Parameters):
    """Thresholds of workloads-available."""

    available_grace: Annotated[timedelta, Between("0s", "24h")] = Field(
        default=timedelta(minutes=1),
        description="How long fewer replicas than desired may be available while no rollout is in progress.",
    )
    start_grace: Annotated[timedelta, Between("0s", "24h")] = Field(
        default=timedelta(minutes=2),
        description="How long a pod may take to start before it counts against its workload.",
    )
    rollout_deadline: Annotated[timedelta, Between("10s", "24h")] = Field(
        default=timedelta(minutes=10),
        description=(
            "How long the rollout of a StatefulSet or DaemonSet may make no progress. A Deployment has "
            "its own spec.progressDeadlineSeconds."
        ),
    )
    generation_grace: Annotated[timedelta, Between("0s", "24h")] = Field(
        default=timedelta(seconds=30),
        description="How long a change may wait until its controller has seen it.",
    )

    def shadowed(self) -> str:
        """A rollout makes no progress while a pod starts."""
        if self.start_grace <= self.rollout_deadline:
            return ""
        return (
            "startGrace never decides in a rollout: rolloutDeadline is shorter, and a pod may take that long"
        )


_RANKS = {
    "GenerationNotObserved": 0,
    "ReplicaFailure": 1,
    "ProgressDeadlineExceeded": 2,
    "RolloutStuck": 3,
    "ReplicasUnavailable": 4,
}
_TEXTS = {
    "GenerationNotObserved": (
        "{kind} {name}: its last change has not been taken up by the controller: check that "
        "kube-controller-manager runs"
    ),
    "ReplicaFailure": (
        "{kind} {name}: pods cannot be created: look at quotas, admission webhooks and the service account; "
        "kubectl describe {lower} {name} says why"
    ),
    "ProgressDeadlineExceeded": (
        "{kind} {name}: its rollout ran past its progress deadline: see "
        "kubectl rollout status {lower}/{name}, or {back}"
    ),
    "RolloutStuck": (
        "{kind} {name}: its rollout makes no progress: see kubectl rollout status {lower}/{name}, or {back}"
    ),
    "ReplicasUnavailable": "{kind} {name}: fewer replicas are available than desired",
}
_ADVICE: Mapping[Helped, str] = {
    Helped.YES: "; its pods' logs say why",
    Helped.NO: "; its pods have a fault that no restart can fix: see the check pods-ready",
    Helped.STARTING: "; its pods are starting",
    Helped.MOVING: "; its pods are being moved",
    Helped.NO_PODS: "; pods are missing or not available yet: see kubectl describe {lower} {name}",
    Helped.UNSEEN: "; its pods cannot be observed",
}
_OWN_ADVICE = frozenset({"GenerationNotObserved", "ReplicaFailure"})

Fault = tuple[str, datetime, timedelta]
"""Reason, since when, and how long it may last."""


def judge(snapshot: Snapshot, parameters: WorkloadsAvailableParameters, now: datetime) -> Verdict:
    """Judge the workloads that have not settled."""
    collections: list[Collection[Deployment] | Collection[StatefulSet] | Collection[DaemonSet]] = []
    for source in (snapshot.deployments, snapshot.stateful_sets, snapshot.daemon_sets):
        if isinstance(source, Unobserved):
            return unknown(source)
        collections.append(source)
    if not any(len(collection) for collection in collections):
        return skipped(
            "NoWorkloads",
            f"No Deployment, StatefulSet or DaemonSet is selected in namespace {snapshot.namespace}.",
        )
    faulty: list[tuple[Workload, str, datetime]] = []
    again: datetime | None = None
    for workload in (item for collection in collections for item in collection.unsettled):
        fault = _fault_of(workload, parameters)
        if fault is None:
            continue
        reason, since, grace = fault
        since = min(since, now)
        if now - since >= grace:
            faulty.append((workload, reason, since))
        else:
            again = earliest(again, since + grace)
    findings, moving, later = _findings(faulty, snapshot, parameters, now)
    again = earliest(again, later)
    if findings:
        return found(findings, next_check=again)
    if moving:
        return found(moving, status=Status.WARN, next_check=again)
    verdict = passed("Every selected workload has its replicas available, or is on its way within its grace.")
    return verdict if again is None else replace(verdict, next_check=again)


def _fault_of(workload: Workload, parameters: WorkloadsAvailableParameters) -> Fault | None:
    """What is wrong with one workload, without regard to how long it has been."""
    if workload.metadata.deletion_timestamp is not None:
        return None
    status = workload.status
    if status.observed_generation < workload.metadata.generation:
        # Until the controller has looked, the rest of the status tells of another spec.
        return "GenerationNotObserved", written(workload, status=False), parameters.generation_grace
    if workload.desired <= 0:
        return None
    if isinstance(workload, Deployment):
        fault, rolling = _of_deployment(workload), in_progress(workload)
    else:
        fault, rolling = None, _updates(workload)
        if rolling:
            fault = "RolloutStuck", written(workload, status=True), parameters.rollout_deadline
    if fault is not None or rolling or workload.available >= workload.desired:
        return fault
    available = workload.condition("Available")
    since = None
    if available is not None and available.status == "False":
        since = available.last_transition_time
    return "ReplicasUnavailable", since or written(workload, status=True), parameters.available_grace


def _of_deployment(workload: Deployment) -> Fault | None:
    failure = workload.condition("ReplicaFailure")
    if failure is not None and failure.status == "True":
        return "ReplicaFailure", failure.last_transition_time or EPOCH, timedelta(0)
    progressing = workload.condition("Progressing")
    if progressing is not None and progressing.status == "False" and not workload.spec.paused:
        return "ProgressDeadlineExceeded", progressing.last_transition_time or EPOCH, timedelta(0)
    return None


def _updates(workload: Workload) -> bool:
    """A StatefulSet or DaemonSet is on its way to a newer revision."""
    status = workload.status
    if is_on_delete(workload):
        return False
    if isinstance(workload, DaemonSet):
        return status.updated_number_scheduled < workload.desired
    if status.update_revision == status.current_revision:
        return False
    return status.updated_replicas < workload.desired - workload.held_back


def _findings(
    faulty: Iterable[tuple[Workload, str, datetime]],
    snapshot: Snapshot,
    parameters: WorkloadsAvailableParameters,
    now: datetime,
) -> tuple[list[Finding], list[Finding], datetime | None]:
    """The findings, those of what is only being moved, and when pods will have had their time."""
    ordered = sorted(faulty, key=lambda item: (_RANKS[item[1]], item[0].kind, item[0].metadata.name))
    if not ordered:
        return [], [], None
    refs = [ref_of(item) for item, _, _ in ordered]
    limits = PodFaultParameters(start_grace=parameters.start_grace)
    help_for = helped(frozenset(refs), snapshot, limits, now)
    running = _running_before(ordered, snapshot)
    findings: list[Finding] = []
    moving: list[Finding] = []
    again: datetime | None = None
    for ref, (workload, reason, since) in zip(refs, ordered, strict=True):
        help_ = help_for[ref]
        if reason != "ReplicasUnavailable":
            earlier = running.get(ref.uid)
            back = _way_back(workload, earlier, snapshot.namespace)
            finding = _finding(workload, ref, reason, since, help_.answer, back=back)
            findings.append(replace(finding, amendment=_rollback(ref, earlier)))
        elif help_.answer is Helped.STARTING:
            again = earliest(again, help_.again)
        elif help_.answer is Helped.MOVING:
            again = earliest(again, help_.again)
            moving.append(_moving(ref, since))
        elif help_.answer is Helped.YES and 2 * workload.available >= workload.desired:
            # While most replicas serve, the fault is in single pods; those that are well stay untouched.
            findings += [_of_pod(ref, pod, since, paused=workload.spec.paused) for pod in help_.pods]
        else:
            findings.append(_finding(workload, ref, reason, since, help_.answer))
    return findings, moving, again


def _running_before(
    faulty: Iterable[tuple[Workload, str, datetime]], snapshot: Snapshot
) -> Mapping[str, ReplicaSet]:
    """What to go back to from rollouts that are stuck, by the Deployment's UID."""
    stuck = [
        workload
        for workload, reason, _ in faulty
        # Of a rollout that could not even begin, nothing is known.
        if reason == "ProgressDeadlineExceeded" and isinstance(workload, Deployment) and is_stuck(workload)
    ]
    if not stuck or isinstance(snapshot.replica_sets, Unobserved):
        return {}
    revisions = by_deployment(snapshot.replica_sets)
    found = {item.metadata.uid: running_before(item, revisions.get(item.metadata.uid, ())) for item in stuck}
    return {uid: item for uid, item in found.items() if item is not None}


def _way_back(workload: Workload, earlier: ReplicaSet | None, namespace: str) -> str:
    """How a person takes a rollout back."""
    if owner := _gitops_owner(workload.metadata):
        return f"revert it in the repository from which {owner} keeps it"
    name = f"{workload.kind.lower()}/{workload.metadata.name}"
    revision = f" --to-revision={earlier.metadata.annotations.revision}" if earlier else ""
    return f"go back with kubectl rollout undo {name} -n {namespace}{revision}"


def _gitops_owner(metadata: ManagedMetadata) -> str:
    marks = [*metadata.labels, "argocd.argoproj.io/" if metadata.annotations.argocd_tracking else ""]
    return keeper(marks, ((entry.manager, entry.subresource) for entry in metadata.managed_fields))


def _rollback(ref: Ref, earlier: ReplicaSet | None) -> Amendment | None:
    if earlier is None:
        return None
    metadata = earlier.metadata
    values = (("replicaSet", metadata.name), ("revision", metadata.annotations.revision))
    return Amendment(ActionName.ROLLBACK, ref, values)


def _moving(ref: Ref, since: datetime) -> Finding:
    text = "{} {}: fewer replicas are available than desired while pods of it are being moved or replaced"
    return Finding(ref, "Draining", text.format(ref.kind, ref.name), since, ref, NOTHING, workload_wide=True)


def _finding(
    workload: Workload, ref: Ref, reason: str, since: datetime, answer: Helped, *, back: str = ""
) -> Finding:
    text = _TEXTS[reason]
    remedies = NOTHING
    if reason not in _OWN_ADVICE:
        text += _ADVICE[answer]
        remedies = RESTART if answer is Helped.YES and not workload.spec.paused else NOTHING
    message = text.format(kind=ref.kind, lower=ref.kind.lower(), name=ref.name, back=back)
    return Finding(ref, reason, message, since, ref, remedies, workload_wide=True)


def _of_pod(ref: Ref, pod: Ref, since: datetime, *, paused: bool) -> Finding:
    text = _TEXTS["ReplicasUnavailable"].format(kind=ref.kind, name=ref.name)
    message = f"{text}, because of pod {pod.name}: kubectl logs {pod.name} says why"
    return Finding(pod, "ReplicasUnavailable", message, since, ref, NOTHING if paused else RESTART)


CHECK = Check(
    title="Workloads have the replicas they should have",
    section="responsiveness-service-status",
    command="kubectl get deployments,statefulsets,daemonsets -n {namespace}",
    sources=(
        Source.DEPLOYMENTS,
        Source.STATEFUL_SETS,
        Source.DAEMON_SETS,
        Source.REPLICA_SETS,
        Source.PODS,
    ),
    judge=judge,
    parameters=WorkloadsAvailableParameters,
)
