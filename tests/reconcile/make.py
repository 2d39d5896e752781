"""What tests of reconciliations are made of: a clock that stands still, and records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kiro_operator.core.objects import Record
from kiro_operator.core.objects.meta import RecordMetadata
from kiro_operator.reconcile.records import Remediation

UID = "11111111-2222-4333-8444-555555555555"


class Still:
    """A clock that stands still."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """That time."""
        return self._now

    def monotonic(self) -> float:
        """No time has passed."""
        return 0.0


def remediation(metadata: RecordMetadata, status: dict[str, Any], **spec: Any) -> Remediation:
    """A KiroRemediation for a target that is given in the spec, as are its action and method."""
    rest = {
        "fence": {"uid": UID, "resourceVersion": "7"},
        "healthCheck": {"name": "kiro", "uid": UID},
        "policy": {"name": "policy", "uid": UID},
        "check": "pods-ready",
        "reason": "CrashLoopBackOff",
        "message": "it fails",
        "episode": 1,
        "step": 1,
        "timeout": "5m",
        "stabilization": "1m",
    }
    return Remediation(Record(metadata=metadata, spec=rest | spec, status=status))
