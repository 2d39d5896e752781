"""KiroApprovals as they are watched. What is in them is for core/policy/approvals.py to judge."""

from datetime import UTC, datetime, timedelta

from kiro_operator.core.objects.meta import Base, Metadata


class PlanTarget(Base, frozen=True):
    """The object that a decided plan is about."""

    kind: str = ""
    name: str = ""
    uid: str = ""


class PlanReference(Base, frozen=True):
    """The plan that was decided on."""

    digest: str = ""
    target: PlanTarget = PlanTarget()


class ApprovalSpec(Base, frozen=True):
    """What was decided. One that lacks something is read all the same, and approves nothing."""

    gate: str = ""
    decision: str = ""
    decided_by: str = ""
    reason: str = ""
    plan: PlanReference = PlanReference()
    expires_at: str = ""


class Approval(Base, frozen=True):
    """One KiroApproval."""

    metadata: Metadata
    spec: ApprovalSpec = ApprovalSpec()

    @property
    def settled(self) -> bool:
        """No check judges it."""
        return True

    @property
    def approves(self) -> bool:
        """Whether it lets the plan pass; what does not, denies it."""
        return self.spec.decision == "Approve"

    def expiry(self, longest: timedelta) -> datetime | None:
        """When it ends; None where it says no time, or one further from its creation than ``longest``."""
        created = self.metadata.creation_timestamp
        try:
            written = datetime.fromisoformat(self.spec.expires_at)
            expires = written.astimezone(UTC)
        except (ValueError, OverflowError):
            return None
        if created is None or written.tzinfo is None or expires - created > longest:
            return None
        return expires
