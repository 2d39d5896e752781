"""Verdicts: what a check says, as data."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.snapshot import NOT_CONFIGURED, Ref, Unobserved

TOO_FEW_SAMPLES = "TooFewSamples"
"""Reason of an Unknown that only time ends: everything is observed, and it is not enough yet."""
INSUFFICIENT = frozenset(
    {
        TOO_FEW_SAMPLES,
        "NoBaseline",
        "NoFeedback",
        "NoOpportunities",
        "NoOutcomes",
        "NoProposals",
        "TooFewDays",
        "TooFewDecisions",
        "TooFewPoints",
    }
)
"""Such reasons: nothing is out of sight, and nobody has to mend anything."""


class Status(StrEnum):
    """The verdict. Only Fail may lead to an action; Unknown never does."""

    PASS = "Pass"  # noqa: S105 - no password
    WARN = "Warn"
    FAIL = "Fail"
    UNKNOWN = "Unknown"
    SKIPPED = "Skipped"


ITSELF = Ref("KiroHealthCheck", "")
"""Stands for the KiroHealthCheck whose check has found something, which a check does not know."""


class Amendment(Struct, frozen=True):
    """A change that would mend a fault and that a person has to decide on, in the check's own terms."""

    action: ActionName
    target: Ref
    values: tuple[tuple[str, str], ...]
    """What is to be set; the remedy of the action knows the names."""

    def of(self, own: Ref) -> "Amendment":
        """The same, by the name of the KiroHealthCheck that it was found for."""
        return replace(self, target=own) if self.target == ITSELF else self


class Finding(Struct, frozen=True):
    """One object's fault."""

    object: Ref
    reason: str
    """One CamelCase word, such as CrashLoopBackOff."""
    message: str
    """For a person, naming the object; what changes with every reading only as core.quiet marks it."""
    since: datetime
    """When the fault began, as far as the object tells."""
    target: Ref | None = None
    """The workload, or bare pod, that an action would be for; None where no action can help, and with
    ``remedies`` where it cannot be seen for now which one it is."""
    remedies: tuple[ActionName, ...] = ()
    """Actions that can help against this fault, in order; empty: a person is needed."""
    workload_wide: bool = False
    """The fault is in the workload itself, not in one of its pods."""
    at_once: bool = False
    """In a polled check: a watched fact, which does not wait for further samples."""
    amendment: Amendment | None = None
    """What to propose to a person."""
    equally: tuple[str, ...] = ()
    """Other words that hold as well as the message, as far as readings can tell: of two things that are
    about as large, either may be named."""
    fallback: Ref | None = None
    """The workload that is restarted when nothing that was done to the target has helped."""


class Verdict(Struct, frozen=True):
    """What a check says of a snapshot."""

    status: Status
    reason: str
    message: str
    findings: tuple[Finding, ...] = ()
    observed: str | None = None
    threshold: str | None = None
    replicas_needed: tuple[tuple[Ref, int], ...] = ()
    """The fewest replicas that would carry the load seen, by workload, where the check can tell."""
    next_check: datetime | None = None
    """When the same facts could give another verdict by themselves; None: only new facts can."""


def passed(message: str, *, observed: str | None = None, threshold: str | None = None) -> Verdict:
    """All is well."""
    return Verdict(Status.PASS, "AsExpected", message, observed=observed, threshold=threshold)


def unknown(cause: Unobserved) -> Verdict:
    """The observation could not be made; one that nobody asked for is Skipped."""
    status = Status.SKIPPED if cause.reason == NOT_CONFIGURED else Status.UNKNOWN
    return Verdict(status, cause.reason, cause.message)


def too_few(message: str) -> Verdict:
    """All that there is has been seen, and it is not enough to judge by."""
    return Verdict(Status.UNKNOWN, TOO_FEW_SAMPLES, message)


def skipped(reason: str, message: str) -> Verdict:
    """There is nothing to judge."""
    return Verdict(Status.SKIPPED, reason, message)
