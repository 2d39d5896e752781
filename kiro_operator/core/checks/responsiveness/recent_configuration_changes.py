"""Changes that came shortly before another check began to fail, and how to take them back."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.changes import CONFIG_CHANGES, Change
from kiro_operator.core.faults.kinds import NOTHING
from kiro_operator.core.findings import found, some
from kiro_operator.core.objects import ReplicaSet, Workload
from kiro_operator.core.snapshot import Collection, Ref, Snapshot, Source, Unobserved, ref_of
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

OPERATOR = "kiro-operator"
"""The operator's own field manager."""
CLUSTER = frozenset({"kube-controller-manager", "kubelet", "kube-scheduler", "kube-apiserver", OPERATOR})
"""Managers that write what follows from a change, and no change of their own."""
_NAMED = 3


class RecentConfigurationChangesParameters(Parameters):
    """Thresholds of recent-configuration-changes."""

    look_back: Annotated[timedelta, Between("1m", "24h")] = Field(
        default=timedelta(minutes=30),
        description="How long before another check began to fail a change is held against it.",
    )
    ignored_managers: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=32)
    ] = Field(
        default=[],
        description="Field managers whose changes are expected, beside those of the cluster itself.",
    )


class Written(Struct, frozen=True):
    """One change of an object's desired state."""

    object: Ref
    manager: str
    time: datetime
    detail: str = ""
    advice: str = ""


def judge(snapshot: Snapshot, parameters: RecentConfigurationChangesParameters, now: datetime) -> Verdict:
    """Relate the changes to the checks that fail; while none does, there is nothing to relate."""
    failing = snapshot.began_failing
    if not failing:
        return passed("No check fails, so no change is held against one.")
    collections: list[Iterable[Workload]] = []
    for source in (snapshot.deployments, snapshot.stateful_sets, snapshot.daemon_sets):
        if isinstance(source, Unobserved):
            return unknown(source)
        collections.append(source)
    if isinstance(snapshot.replica_sets, Unobserved):
        return unknown(snapshot.replica_sets)
    # Nothing outside of this span can matter, which spares most objects a closer look.
    first = min(failing.values()) - parameters.look_back
    ignored = CLUSTER.union(parameters.ignored_managers)
    revisions = _Revisions(snapshot.replica_sets, snapshot.namespace, first)
    changes: list[Written] = []
    for workload in (item for collection in collections for item in collection):
        changes += _of_workload(workload, revisions, ignored, first)
    sample = snapshot.value(CONFIG_CHANGES)
    if not isinstance(sample, Unobserved):
        changes += [_of_sample(change) for change in sample if change.manager not in ignored]
    findings = _findings(changes, failing, parameters.look_back, now)
    if findings:
        return found(findings, status=Status.WARN)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    return passed("No configuration was changed shortly before a check began to fail.")


class _Revisions:
    """The revisions of Deployments, as their ReplicaSets tell."""

    def __init__(self, replica_sets: Collection[ReplicaSet], namespace: str, first: datetime) -> None:
        self.namespace = namespace
        self._young: set[str] = set()
        self._by_owner: dict[str, list[tuple[int, ReplicaSet]]] = {}
        for item in replica_sets:
            for owner in item.metadata.owner_references:
                revision = item.metadata.annotations.revision
                if owner.controller and owner.kind == "Deployment" and revision.isdigit():
                    self._by_owner.setdefault(owner.uid, []).append((int(revision), item))
                    created = item.metadata.creation_timestamp
                    if created is not None and created >= first:
                        self._young.add(owner.uid)

    def of(self, workload: Workload) -> tuple[int, int, datetime] | None:
        """The newest revision, the one before it and when it came; None unless a person made it lately."""
        uid = workload.metadata.uid
        if uid not in self._young:
            return None
        ordered = sorted(self._by_owner[uid], key=lambda item: item[0])
        if len(ordered) == 1:
            return None
        (before, older), (newest, newer) = ordered[-2:]
        restart = newer.spec.template.metadata.annotations.restarted_by
        if restart and restart != older.spec.template.metadata.annotations.restarted_by:
            return None  # a restart of our own
        created = newer.metadata.creation_timestamp
        return None if created is None else (newest, before, created)


def _of_workload(
    workload: Workload, revisions: _Revisions, ignored: frozenset[str], first: datetime
) -> list[Written]:
    ref = ref_of(workload)
    entries = [
        (entry.time, entry.manager)
        for entry in workload.metadata.managed_fields
        if entry.time is not None
        and entry.time >= first
        and not entry.subresource
        and entry.manager not in ignored
    ]
    revision = revisions.of(workload) if workload.kind == "Deployment" else None
    advice = _advice(workload, revision, revisions.namespace)
    if revision is None:
        return [Written(ref, manager, time, "", advice) for time, manager in entries]
    number, _, created = revision
    if not entries:
        # Written before managers were kept, or by one that has handed its fields on since.
        return [Written(ref, "", created, f"revision {number}", advice)]
    return [Written(ref, manager, time, f"revision {number}", advice) for time, manager in entries]


def _advice(workload: Workload, revision: tuple[int, int, datetime] | None, namespace: str) -> str:
    kind, name = workload.kind.lower(), workload.metadata.name
    if workload.metadata.annotations.argocd_tracking:
        return f"revert it in Git, from where Argo CD manages this {workload.kind}"
    if revision is not None:
        return f"kubectl rollout undo {kind}/{name} --to-revision={revision[1]} -n {namespace}"
    if workload.kind == "Deployment":
        return f"kubectl get {kind} {name} -n {namespace} -o yaml --show-managed-fields shows what it wrote"
    return f"kubectl rollout undo {kind}/{name} -n {namespace}"


def _of_sample(change: Change) -> Written:
    advice = f"put its former content back and restart what reads it ({change.kind} keeps no revisions)"
    return Written(Ref(change.kind, change.name), change.manager, change.time, change.detail, advice)


def _findings(
    changes: Iterable[Written], failing: Mapping[str, datetime], look_back: timedelta, now: datetime
) -> list[Finding]:
    """The changes that precede a failure, the last one first."""
    related: list[tuple[Written, list[str]]] = []
    for change in changes:
        checks = sorted(
            check for check, began in failing.items() if began - look_back <= change.time <= began
        )
        if checks:
            related.append((change, checks))
    related.sort(key=lambda item: (-item[0].time.timestamp(), item[0].object, item[0].manager))
    return [
        Finding(
            change.object,
            "ChangedBeforeFailure",
            _message(change, checks),
            min(change.time, now),
            change.object,
            NOTHING,
            workload_wide=True,
        )
        for change, checks in related
    ]


def _message(change: Written, checks: list[str]) -> str:
    who = change.manager or "an unknown manager"
    detail = f" ({change.detail})" if change.detail else ""
    named = some(checks, _NAMED)
    return (
        f"{change.object.kind} {change.object.name} was changed by {who} at {change.time:%Y-%m-%dT%H:%M:%SZ}"
        f"{detail}, before {named} began to fail. If that is the cause: {change.advice}"
    )


CHECK = Check(
    title="No change came shortly before a failure",
    section="responsiveness-service-status",
    command="kubectl get configmaps,replicasets -n {namespace} --show-managed-fields -o yaml",
    sources=(
        Source.DEPLOYMENTS,
        Source.STATEFUL_SETS,
        Source.DAEMON_SETS,
        Source.REPLICA_SETS,
        CONFIG_CHANGES,
    ),
    judge=judge,
    parameters=RecentConfigurationChangesParameters,
    relates=True,
    only_while_failing=True,
)
