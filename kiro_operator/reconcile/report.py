"""Report: the only place that writes conditions.

A status is written when it differs from the one that is there, under a compare-and-swap, and never
otherwise: at rest nothing is written.
"""

import logging
from typing import Any

import msgspec

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client, Lane, version_of
from kiro_operator.adapters.kubernetes.events import EventRecorder
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.api.v1alpha1.conditions import ConditionType
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckStatus
from kiro_operator.api.v1alpha1.types import API_VERSION, GROUP, ApiModel
from kiro_operator.core.conditions import invariants
from kiro_operator.core.permissions import Rule, Scope
from kiro_operator.core.report import EventReason, Occurrence
from kiro_operator.core.snapshot import Ref
from kiro_operator.reconcile.target import Target

RULES = (
    Rule(
        GROUP,
        ("kirohealthchecks/status",),
        ("patch",),
        "verdicts and conditions are written into status",
        Scope.CLUSTER,
    ),
    Rule(
        GROUP,
        ("kirohealthchecks",),
        ("get",),
        "after a lost compare-and-swap it is read again",
        Scope.CLUSTER,
    ),
)
OPTIONAL = ("lastHandledReconcileAt",)
VERDICTS = ("Pass", "Warn", "Fail", "Unknown", "Skipped")
TRUTH = {"True": 1, "False": 0, "Unknown": -1}

logger = logging.getLogger(__name__)


class BrokenInvariant(Exception):
    """A status that must never be written was about to be."""


def body_of(status: ApiModel, resource_version: str) -> dict[str, Any]:
    """A merge patch that makes the status what it is to be; lists are replaced whole."""
    content = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name in OPTIONAL:
        content.setdefault(name, None)
    return {"metadata": {"resourceVersion": resource_version}, "status": content}


class Reporter:
    """Writes the status of KiroHealthChecks, and tells of transitions."""

    def __init__(self, client: Client, events: EventRecorder, metrics: Metrics) -> None:
        self._client = client
        self._events = events
        self._metrics = metrics

    async def write(self, target: Target, status: KiroHealthCheckStatus) -> bool:
        """Write the status if it says anything new, and bring its metrics up to date; returns whether it did.

        Raises:
            BrokenInvariant: the status contradicts itself.
            ports.Conflict: somebody else wrote; the target has been read again.
            ports.ApiError, ports.Unreachable: it could not be written.
        """
        if status == target.status:
            # The same object each time, so that what has not changed is compared once.
            self._measure(target, target.status)
            return False
        self._measure(target, status)
        broken = [name for name, holds in invariants(status).items() if not holds]
        if broken:
            raise BrokenInvariant("; ".join(broken))
        path = f"/apis/{API_VERSION}/namespaces/{target.namespace}/kirohealthchecks/{target.name}"
        before = target.status  # the watch may bring the new one before the answer comes
        try:
            answer = await self._client.merge_patch(
                f"{path}/status", body_of(status, target.resource_version), Lane.CONDITION
            )
        except ports.Conflict:
            target.take(msgspec.json.decode(await self._client.get(path)))
            raise
        target.status = status
        target.resource_version = version_of(answer)
        self._metrics.status_writes.labels("KiroHealthCheck").inc()
        self._tell(target, before, status)
        return True

    def _measure(self, target: Target, status: KiroHealthCheckStatus) -> None:
        if status == target.measured:
            return
        checks = {check.id: check.status for check in status.checks}
        known = {check.id: check.status for check in target.measured.checks}
        for name, now in checks.items():
            if known.get(name) != now:
                for value in VERDICTS:
                    self._metrics.check_status.labels(target.namespace, target.name, name, value).set(
                        now == value
                    )
        for name in known.keys() - checks.keys():
            for value in VERDICTS:
                self._metrics.check_status.remove(target.namespace, target.name, name, value)
        conditions = {condition.type: condition.status for condition in status.conditions}
        for kind, truth in conditions.items():
            self._metrics.condition.labels(target.namespace, target.name, kind).set(TRUTH[truth])
        for kind in {condition.type for condition in target.measured.conditions} - conditions.keys():
            self._metrics.condition.remove(target.namespace, target.name, kind)
        target.measured = status

    def _tell(self, target: Target, before: KiroHealthCheckStatus, after: KiroHealthCheckStatus) -> None:
        old = {check.id: check.status for check in before.checks}
        for check in after.checks:
            if check.status == "Fail" and old.get(check.id) != "Fail":
                self._event(
                    target, EventReason.CHECK_FAILED, f"{check.id} fails: {check.message}", warning=True
                )
            elif check.status in {"Pass", "Warn"} and old.get(check.id) == "Fail":
                note = f"{check.id} is well again: {check.message}"
                self._event(target, EventReason.CHECK_RECOVERED, note)
        self._tell_decisions(target, before, after)
        were = {condition.type: condition for condition in before.conditions}
        for kind, reason in (
            (ConditionType.ESCALATED, EventReason.ESCALATED),
            (ConditionType.STALLED, EventReason.STALLED),
        ):
            condition = next((item for item in after.conditions if item.type == kind), None)
            if condition is None or condition.status != "True":
                continue
            was = were.get(kind)
            if was is None or (was.status, was.reason, was.message) != (
                condition.status,
                condition.reason,
                condition.message,
            ):
                self._event(target, reason, f"{condition.reason}: {condition.message}", warning=True)

    def _tell_decisions(
        self, target: Target, before: KiroHealthCheckStatus, after: KiroHealthCheckStatus
    ) -> None:
        known = {(d.action, d.target, d.decision, d.reason) for d in before.decisions}
        for decision in after.decisions:
            if (decision.action, decision.target, decision.decision, decision.reason) in known:
                continue
            what = f"{decision.action} of {decision.target.kind} {decision.target.name} for {decision.check}"
            if decision.decision == "Denied":
                self._metrics.denials.labels(
                    target.namespace, decision.action, decision.gate, decision.reason
                ).inc()
                note = f"{what}: {decision.reason} (gate {decision.gate}): {decision.message}"
                self._event(target, EventReason.REMEDIATION_DENIED, note, warning=True)
            elif decision.decision == "DryRun":
                self._event(target, EventReason.REMEDIATION_DRY_RUN, f"{what}: {decision.message}")

    def _event(self, target: Target, reason: EventReason, note: str, *, warning: bool = False) -> None:
        self._events.record(
            Occurrence(
                namespace=target.namespace,
                regarding=Ref("KiroHealthCheck", target.name, target.uid),
                api_version=API_VERSION,
                reason=reason,
                action="Judge",
                note=note,
                warning=warning,
            )
        )
