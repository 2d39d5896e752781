"""What AWS says of an account: who asks, what Kiro may do there, and what it costs."""

from datetime import date, datetime

from msgspec import Struct

from kiro_operator.core.snapshot import Polled


class Identity(Struct, frozen=True):
    """An identity as STS tells it."""

    account: str
    arn: str
    """Of the role or user itself, not of the session."""


class AwsIdentity(Struct, frozen=True):
    """Who the operator is to AWS, and who it should be."""

    identity: Identity | None = None
    """None where AWS refuses to tell."""
    refused: str = ""
    """Why AWS would not have the credentials, as one CamelCase word; empty when it did."""
    advice: str = ""
    """What to do about that."""
    expected_account: str | None = None
    expected_role: str | None = None


class Simulated(Struct, frozen=True):
    """IAM's answer for one action on one resource."""

    action: str
    resource: str
    wanted: bool
    """Whether it has to be allowed, or else denied."""
    decision: str
    """allowed, explicitDeny or implicitDeny."""
    denied_by: str = ""
    """What else than its policies denies it: organization or boundary."""
    missing_context: tuple[str, ...] = ()
    """Condition keys that the policies ask for and nobody gave a value."""


class AwsPermissions(Struct, frozen=True):
    """IAM's answers for all declared actions."""

    principal: str
    simulated: tuple[Simulated, ...]


class DayCost(Struct, frozen=True):
    """What one day cost."""

    day: date
    amount: float
    estimated: bool = False
    """Not yet final; of the youngest days it may be a part only."""


class Costs(Struct, frozen=True):
    """Daily costs of an account, oldest first. A day that is not there is not known, and not free."""

    account: str
    unit: str
    days: tuple[DayCost, ...]
    asked: datetime


AWS_IDENTITY: Polled[AwsIdentity] = Polled(
    "aws-identity", AwsIdentity, section="aws", timeout=30.0, names_people=True
)
AWS_PERMISSIONS: Polled[AwsPermissions] = Polled(
    "aws-permissions", AwsPermissions, section="aws", timeout=60.0, names_people=True
)
AWS_COST: Polled[Costs] = Polled("aws-cost", Costs, section="aws", timeout=60.0)
