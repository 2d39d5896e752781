"""What a plan is made of, and what it is made from.

The plan is data. Whoever acts carries out its Allowed decisions, a dry run shows it, the audit
record holds the gates it passed, and a replay compares two of them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.remediation import RemediationState
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec, Storm
from kiro_operator.core.objects import Approval, Workload
from kiro_operator.core.policy.approvals import Standing
from kiro_operator.core.policy.gates import Passed
from kiro_operator.core.policy.types import Change, Intent, Ledger
from kiro_operator.core.policy.wellness import Memory
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Verdict


class Policy(Struct, frozen=True):
    """A KiroSafetyPolicy in force; without a spec, why nothing may be done."""

    name: str
    """Empty where it is not a policy that stands in the way."""
    spec: KiroSafetyPolicySpec | None
    problem: str = ""
    reason: str = "PolicyUnusable"
    storm: Storm | None = None
    """The mass failure that it remembers."""

    @property
    def refusal(self) -> str:
        """Why nothing may be done, for a person."""
        return f"KiroSafetyPolicy {self.name} cannot be used: {self.problem}" if self.name else self.problem


class Past(Struct, frozen=True, kw_only=True):
    """A proposal that was made: it waits for a person, or has ended."""

    intent: Intent
    """As its KiroRemediation records it."""
    name: str
    made_at: datetime
    state: RemediationState
    open: bool
    """It waits."""
    mine: bool
    """The KiroHealthCheck that is planned for has asked for it."""
    reason: str = ""
    ended_at: datetime | None = None
    acted: bool = False
    """It was carried out, also where its end does not tell, as when its KiroHealthCheck was deleted."""


class New(Struct, frozen=True):
    """What is to be proposed; the change is made exact when the object has been read."""

    intent: Intent
    workload: Workload | None
    passed: tuple[Passed, ...]
    source: Ref | None = None
    """What is to be read as well, since the change comes from there."""


class Withdrawn(Struct, frozen=True):
    """A proposal that waits no more, and why."""

    name: str
    state: RemediationState
    reason: str
    message: str


class Inputs(Struct, frozen=True, kw_only=True):
    """All that a plan depends on."""

    verdicts: Mapping[str, tuple[Verdict, bool]]
    """What is told by each check; the flag says that it is settled and may lead to actions."""
    blind: frozenset[str] = frozenset()
    """Checks that see nothing at this look, though what they saw before goes on to be told."""
    spec: KiroHealthCheckSpec
    policies: tuple[Policy, ...]
    """Each of them has to allow; none: observation only."""
    ledger: Ledger
    """Every remembered action of the namespace, whichever KiroHealthCheck asked for it."""
    snapshot: Snapshot
    """The whole namespace, not only what the KiroHealthCheck selects: the blast radius counts all
    pods, and an autoscaler need not carry the labels of what it scales. Pods that ran to completion
    are best left out of it: they are settled, and only the number of those is asked. With the last samples
    of the polled sources, for the remedies that bring such things back."""
    now: datetime
    memory: Memory = {}
    """What the last plan of this process remembered."""
    commands: Mapping[ActionName, tuple[str, ...]] = {}
    """What the admin has remedies run in pods; one that is not there is not configured."""
    approvals: tuple[Approval, ...] | Unobserved = ()
    """KiroApprovals of the namespace, or why no approval of it counts."""
    own: Ref = Ref("KiroHealthCheck", "")
    """The KiroHealthCheck that is planned for."""
    proposals: tuple[Past, ...] = ()
    """What has been proposed in the namespace, as far as it is on record."""
    untold: Mapping[str, tuple[str, str]] = {}
    """Revisions whose difference may not go on record, newer and earlier, by the UID of the Deployment."""
    unfit: Mapping[tuple[ActionName, Ref], Change] = {}
    """Drafts of which the API server took no record a short while ago."""


class Decision(Struct, frozen=True):
    """One wanted action, and what the gates say of it."""

    intent: Intent
    decision: Literal["Allowed", "Denied", "DryRun"]
    gate: str
    """The gate that decided; ``all`` when all allowed, ``policy`` when there was none to ask."""
    reason: str
    message: str
    until: datetime | None = None
    needs_person: bool = False
    passed: tuple[Passed, ...] = ()
    standings: tuple[Standing, ...] = ()
    """What was decided at each gate where it waits for a person; none where all is Automatic."""

    @property
    def asks(self) -> bool:
        """A person is asked about it: not where no decision of theirs would help."""
        return bool(self.standings) and self.gate not in {"mode", "allowed-actions"}


class Escalation(Struct, frozen=True, order=True):
    """A failing target that waits for a person."""

    target: Ref
    check: str
    reason: str
    cause: str
    """Reason of the finding."""
    message: str


class Held(Struct, frozen=True, order=True):
    """A failing target for which nothing is planned until more is seen: that passes by itself."""

    target: Ref
    check: str
    action: ActionName
    """What is wanted; where not even that is to be seen, the first that its check asks for."""
    reason: str
    message: str


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be done now, what is not and why, and when to think again."""

    decisions: tuple[Decision, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    held: tuple[Held, ...] = ()
    next: datetime | None = None
    """The earliest time at which the same facts could give another plan."""
    memory: Memory = {}
    """For the next plan of this process."""
    proposals: tuple[New, ...] = ()
    """What to propose to a person now."""
    withdrawn: tuple[Withdrawn, ...] = ()
    """Proposals that have become pointless."""
