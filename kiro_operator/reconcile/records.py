"""KiroRemediations as read back from the API server: the ledger, and what a status shows of them."""

import json
import logging
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from kiro_operator.adapters.kubernetes.actuator import OBJECTS
from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS, ObjectName, RemediationSummary
from kiro_operator.api.v1alpha1.remediation import (
    ApprovalUsed,
    GateResult,
    KiroRemediationSpec,
    KiroRemediationStatus,
    Method,
    RemediationState,
)
from kiro_operator.api.v1alpha1.remediation import Change as Written
from kiro_operator.api.v1alpha1.types import API_VERSION, format_duration
from kiro_operator.core.conditions import shorten
from kiro_operator.core.decide import Decision
from kiro_operator.core.objects import Record
from kiro_operator.core.policy.plan import Past
from kiro_operator.core.policy.types import (
    WORKLOADS,
    Change,
    Command,
    Entry,
    Fence,
    Intent,
    Ledger,
    remembered,
)
from kiro_operator.core.snapshot import Ref
from kiro_operator.core.switches import SWITCHES
from kiro_operator.reconcile.policies import Policy
from kiro_operator.reconcile.target import Target

MANAGED_BY = {"app.kubernetes.io/managed-by": "kiro-operator"}

logger = logging.getLogger(__name__)


class Remediation:
    """One KiroRemediation, decoded."""

    __slots__ = ("entry", "open", "record", "spec", "status")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.spec = KiroRemediationSpec.model_validate(record.spec)
        self.status = KiroRemediationStatus.model_validate(record.status)
        created = record.metadata.creation_timestamp
        if created is None:
            raise ValueError(f"KiroRemediation {record.metadata.name} has no creationTimestamp")
        _check_sound(self.spec)
        spec, status = self.spec, self.status
        proposed = spec.action in PROPOSALS
        # It is made as Reserved, since a new object has no other status, and Proposed a moment later.
        self.open = proposed and status.state in {RemediationState.PROPOSED, RemediationState.RESERVED}
        """It waits for a person."""
        self.entry = Entry(
            name=record.metadata.name,
            action=spec.action,
            method=spec.method,
            target=Ref(spec.target.kind, spec.target.name, spec.target.uid),
            episode=spec.episode,
            step=spec.step,
            state=status.state,
            reserved_at=(status.acting_at or created) if proposed else created,
            reason=status.reason,
            acted_at=status.acted_at,
            completed_at=status.completed_at,
            pod=Ref(spec.pod.kind, spec.pod.name, spec.pod.uid) if spec.pod else None,
            replicas=(spec.replicas.before, spec.replicas.after) if spec.replicas else None,
            change=remembered(spec.action, _change_of(spec.change)),
            check=spec.check,
            approvals=tuple(item.uid for item in (*spec.approvals, *status.approvals)),
        )

    @property
    def name(self) -> str:
        """Name of the KiroRemediation."""
        return self.record.metadata.name

    def summary(self) -> RemediationSummary:
        """What a KiroHealthCheck's status shows of it."""
        status = self.status
        time = status.completed_at or status.acted_at or status.acting_at or self.entry.reserved_at
        return RemediationSummary(
            name=self.name,
            action=self.spec.action,
            method=self.spec.method.value,
            target=ObjectName(kind=self.spec.target.kind, name=self.spec.target.name),
            state=status.state.value,
            message=shorten(status.message or self.spec.message, 300),
            time=time.replace(microsecond=0),
        )


class Records:
    """Decodes records once per version."""

    def __init__(self) -> None:
        self._decoded: dict[str, tuple[str, Remediation]] = {}

    def read(self, records: Iterable[Record]) -> tuple[list[Remediation], list[str]]:
        """The remediations that can be read, and the names of those that cannot."""
        found: list[Remediation] = []
        unreadable: list[str] = []
        for record in records:
            uid, version = record.metadata.uid, record.metadata.resource_version
            known = self._decoded.get(uid)
            if known is None or known[0] != version:
                try:
                    known = self._decoded[uid] = (version, Remediation(record))
                except (ValidationError, ValueError) as error:
                    logger.warning("KiroRemediation %s cannot be read: %s", record.metadata.name, error)
                    unreadable.append(record.metadata.name)
                    continue
            found.append(known[1])
        return found, unreadable

    def forget(self, uid: str) -> None:
        """Drop a record that is gone."""
        self._decoded.pop(uid, None)


def _check_sound(spec: KiroRemediationSpec) -> None:
    """Refuse what this operator never writes, and what reads it could make nothing of.

    Raises:
        ValueError: its kind has no such method, or its change is none.
    """
    workloads = spec.method in {Method.ROLLOUT_RESTART, Method.SCALE_UP, Method.SCALE_BACK}
    if workloads and spec.target.kind not in WORKLOADS:
        raise ValueError(f"spec.target: no {spec.method.value} of a {spec.target.kind}")
    if spec.change is None:
        return
    if spec.target.kind not in OBJECTS:
        raise ValueError(f"spec.target: no change of a {spec.target.kind}")
    patch, undo = json.loads(spec.change.patch), json.loads(spec.change.undo or "{}")
    if not (isinstance(patch, dict) and isinstance(undo, dict)):
        raise ValueError("spec.change: a patch is a JSON object")  # noqa: TRY004 - as whatever else is wrong
    if spec.action in SWITCHES and not isinstance(patch.get("data"), dict):
        raise ValueError("spec.change: what is set is a key in data")


def _change_of(change: Written | None) -> Change | None:
    return Change(change.patch, change.diff, change.undo) if change is not None else None


def ledger_of(remediations: Iterable[Remediation]) -> Ledger:
    """The ledger that gates read. What waits for a person is in nobody's way."""
    return Ledger(tuple(remediation.entry for remediation in remediations if not remediation.open))


def proposals_of(target: Target, remediations: Iterable[Remediation]) -> tuple[Past, ...]:
    """What has been proposed in the namespace of a KiroHealthCheck."""
    return tuple(
        Past(
            intent=intent_of(item),
            name=item.name,
            made_at=item.record.metadata.creation_timestamp or item.entry.reserved_at,
            state=item.status.state,
            open=item.open,
            mine=item.spec.health_check.uid == target.uid,
            reason=item.status.reason,
            ended_at=item.status.completed_at,
            acted=item.status.acted_at is not None,
        )
        for item in remediations
        if item.spec.action in PROPOSALS
    )


def intent_of(item: Remediation) -> Intent:
    """The intent that a KiroRemediation records."""
    spec = item.spec
    return Intent(
        action=spec.action,
        method=spec.method,
        target=Ref(spec.target.kind, spec.target.name, spec.target.uid),
        api_version=spec.target.api_version,
        fence=Fence(
            spec.fence.uid,
            spec.fence.resource_version,
            spec.fence.generation,
            spec.fence.intent,
            spec.fence.revision,
        ),
        check=spec.check,
        reason=spec.reason,
        message=spec.message,
        episode=spec.episode,
        step=spec.step,
        timeout=spec.timeout,
        stabilization=spec.stabilization,
        pod=Ref(spec.pod.kind, spec.pod.name, spec.pod.uid) if spec.pod else None,
        replicas=(spec.replicas.before, spec.replicas.after) if spec.replicas else None,
        change=Change(spec.change.patch, spec.change.diff, spec.change.undo, spec.change.revision)
        if spec.change
        else None,
        command=Command(tuple(spec.command.argv), spec.command.container) if spec.command else None,
        digest=spec.digest,
        since=item.record.metadata.creation_timestamp,
    )


def approved_by(decision: Decision) -> list[ApprovalUsed]:
    """The KiroApprovals that let an action through, as a record has them."""
    return [
        ApprovalUsed(gate=each.gate, name=each.approval.metadata.name, uid=each.approval.metadata.uid)
        for each in decision.standings
        if each.approval is not None
    ]


def passed(decision: Decision) -> list[GateResult]:
    """What the gates saw that an action has passed, as a record has it."""
    return [GateResult(gate=each.gate, message=shorten(each.message, 1024)) for each in decision.passed]


def manifest(target: Target, decision: Decision, named: Policy) -> dict[str, Any]:
    """The KiroRemediation to create."""
    intent: Intent = decision.intent
    pod = (
        {"apiVersion": "v1", "kind": "Pod", "name": intent.pod.name, "uid": intent.pod.uid}
        if intent.pod
        else None
    )
    spec: dict[str, Any] = {
        "action": intent.action,
        "method": intent.method,
        "target": {
            "apiVersion": intent.api_version,
            "kind": intent.target.kind,
            "name": intent.target.name,
            "uid": intent.target.uid,
        },
        "fence": {
            "uid": intent.fence.uid,
            "resourceVersion": intent.fence.resource_version,
            "generation": intent.fence.generation,
            "intent": intent.fence.intent[:128],
            "revision": intent.fence.revision[:128],
        },
        "healthCheck": {"name": target.name, "uid": target.uid},
        "policy": {"name": named.key[1], "uid": named.uid},
        "check": intent.check,
        "reason": intent.reason,
        "message": shorten(intent.message, 1024),
        "episode": intent.episode,
        "step": intent.step,
        "timeout": format_duration(intent.timeout),
        "stabilization": format_duration(intent.stabilization),
        "gates": [gate.model_dump() for gate in passed(decision)],
    }
    if intent.digest:
        spec["digest"] = intent.digest
    if decision.standings:
        spec["approvals"] = [used.model_dump() for used in approved_by(decision)]
    if pod:
        spec["pod"] = pod
    if intent.replicas:
        spec["replicas"] = {"before": intent.replicas[0], "after": intent.replicas[1]}
    if intent.command:
        spec["command"] = {"argv": list(intent.command.argv), "container": intent.command.container}
    if intent.change:
        spec["change"] = {
            "patch": intent.change.patch,
            "diff": shorten(intent.change.diff, 1024),
            "undo": intent.change.undo,
            "revision": intent.change.revision,
        }
    return {
        "apiVersion": API_VERSION,
        "kind": "KiroRemediation",
        "metadata": {
            "name": intent.name,
            "namespace": target.namespace,
            "labels": MANAGED_BY | {"kiro.dev/healthcheck": target.name},
        },
        "spec": spec,
    }
