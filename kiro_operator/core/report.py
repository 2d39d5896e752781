"""What is told about: occurrences, as data, and the fixed words for them."""

from enum import StrEnum

from msgspec import Struct

from kiro_operator.core.snapshot import Ref


class EventReason(StrEnum):
    """Reasons of Events: fixed, so that they can be alerted on."""

    CHECK_FAILED = "CheckFailed"
    CHECK_RECOVERED = "CheckRecovered"
    REMEDIATION_PROPOSED = "RemediationProposed"
    REMEDIATION_STARTED = "RemediationStarted"
    REMEDIATION_SUCCEEDED = "RemediationSucceeded"
    REMEDIATION_FAILED = "RemediationFailed"
    REMEDIATION_DENIED = "RemediationDenied"
    REMEDIATION_DRY_RUN = "RemediationDryRun"
    REMEDIATION_PAUSED = "RemediationPaused"
    REMEDIATION_RESUMED = "RemediationResumed"
    ESCALATED = "Escalated"
    STALLED = "Stalled"


class Occurrence(Struct, frozen=True, kw_only=True):
    """Something worth an Event."""

    namespace: str
    regarding: Ref
    api_version: str
    reason: EventReason
    action: str
    """What was being done, as one CamelCase word."""
    note: str
    warning: bool = False
