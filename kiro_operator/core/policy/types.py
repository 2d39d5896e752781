"""The data that gates work on."""

from datetime import datetime, timedelta

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS, ActionName
from kiro_operator.api.v1alpha1.remediation import FINAL_STATES, Method, RemediationState
from kiro_operator.api.v1alpha1.safetypolicy import Storm
from kiro_operator.core.objects import Approval, Workload
from kiro_operator.core.snapshot import Ref, Unobserved

NEVER_ACTED = frozenset({RemediationState.DENIED, RemediationState.EXPIRED})
WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
"""Kinds that run pods and that actions are for."""
REVERTED = "Reverted"
"""Reason of a Failed action whose change somebody else took back."""
NOT_FOUND = "CommandNotFound"
"""Reason of a Failed action whose container has no such program: nothing was run."""


class Fence(Struct, frozen=True):
    """The object to be changed, as it was when the action was decided."""

    uid: str
    resource_version: str
    generation: int = 0
    intent: str = ""
    revision: str = ""
    """Of a proposal: the revision of the pod template."""


class Change(Struct, frozen=True):
    """What is written, for the methods Create and Patch."""

    patch: str
    """JSON: the object, or the merge patch."""
    diff: str
    """The same for a person, redacted."""
    undo: str = ""
    """JSON: the patch that gives back what was there; empty where none is known."""
    revision: str = ""
    """Of a Rollback: the earlier revision of the pod template that it brings back."""


class Command(Struct, frozen=True):
    """What is run, for the method Exec."""

    argv: tuple[str, ...]
    container: str


class Intent(Struct, frozen=True, kw_only=True):
    """One action that a failing check asks for."""

    action: ActionName
    method: Method
    target: Ref
    api_version: str
    fence: Fence
    check: str
    reason: str
    message: str
    episode: int
    step: int
    timeout: timedelta
    stabilization: timedelta
    pod: Ref | None = None
    replicas: tuple[int, int] | None = None
    """Replicas before and after, for the Scale methods."""
    change: Change | None = None
    command: Command | None = None
    digest: str = ""
    """Of the plan, for a person to decide on; without one nobody can."""
    since: datetime | None = None
    """Since when the target has been in need."""
    asked: bool = False
    """A person has been asked since then: it may have been denied, whatever the policy says by now."""

    @property
    def proposed(self) -> bool:
        """A person decides on it, and it has no place on a ladder."""
        return self.action in PROPOSALS

    @property
    def name(self) -> str:
        """Name of the KiroRemediation: the same for whoever decides the same, which makes it the lock."""
        if self.proposed:
            return proposal_name(self.target, self.action, self.digest)
        return remediation_name(self.target, self.episode, self.step)


def remediation_name(target: Ref, episode: int, step: int) -> str:
    """``<kind>-<name>-<start of the UID>-e<episode>s<step>``, within 253 characters."""
    return f"{target.kind.lower()}-{target.name[:180]}-{target.uid[:13]}-e{episode}s{step}"


def proposal_name(target: Ref, action: ActionName, digest: str) -> str:
    """``<kind>-<name>-<start of the UID>-<action>-<start of the digest>``, within 253 characters."""
    return f"{target.kind.lower()}-{target.name[:180]}-{target.uid[:13]}-{action.lower()}-{digest[:8]}"


class Entry(Struct, frozen=True, kw_only=True):
    """One past or running action of the namespace, as its KiroRemediation tells."""

    name: str
    action: ActionName
    method: Method
    target: Ref
    episode: int
    step: int
    state: RemediationState
    reserved_at: datetime
    reason: str = ""
    acted_at: datetime | None = None
    completed_at: datetime | None = None
    pod: Ref | None = None
    """The one to evict, or to run a command in."""
    replicas: tuple[int, int] | None = None
    change: Change | None = None
    """What was written, where it can be given back, or contains."""
    check: str = ""
    """Id of the check that asked; empty when it is not known."""
    approvals: tuple[str, ...] = ()
    """UIDs of the KiroApprovals that let it through: each lets one action through."""

    @property
    def running(self) -> bool:
        """Not yet in a final state."""
        return self.state not in FINAL_STATES

    @property
    def counts(self) -> bool:
        """Counts against budgets: all but those that are known never to have acted.

        An action whose target went away afterwards ends as Expired, and was an action all the same.
        """
        return self.state not in NEVER_ACTED or self.acted_at is not None

    @property
    def spends(self) -> bool:
        """Takes from budgets: what was set for a while has paid for being given back."""
        return self.counts and self.method is not Method.GIVE_BACK

    @property
    def started_at(self) -> datetime:
        """When it acted; until that is known, when it was reserved."""
        return self.reserved_at if self.acted_at is None else max(self.acted_at, self.reserved_at)

    @property
    def ended_at(self) -> datetime:
        """When it reached its final state, as far as its record tells."""
        return self.started_at if self.completed_at is None else max(self.completed_at, self.started_at)


def reserved(intent: Intent, now: datetime) -> Entry:
    """The intent as the ledger holds it once it is reserved."""
    return Entry(
        name=intent.name,
        action=intent.action,
        method=intent.method,
        target=intent.target,
        episode=intent.episode,
        step=intent.step,
        state=RemediationState.RESERVED,
        reserved_at=now,
        pod=intent.pod,
        replicas=intent.replicas,
        change=remembered(intent.action, intent.change),
        check=intent.check,
    )


def remembered(action: ActionName, change: Change | None) -> Change | None:
    """A change that can be given back, or that contains; others are not kept in mind: they may be long."""
    return change if change is not None and (change.undo or action is ActionName.CONTAIN) else None


class Ledger(Struct, frozen=True):
    """All actions of the namespace that are still remembered, in any order."""

    entries: tuple[Entry, ...] = ()

    @property
    def remedies(self) -> "Ledger":
        """The same without proposals: these belong to no illness, and climb no ladder."""
        return Ledger(tuple(entry for entry in self.entries if entry.action not in PROPOSALS))

    def of(self, target: Ref) -> tuple[Entry, ...]:
        """The actions on one target, by episode and step."""
        mine = (entry for entry in self.entries if entry.target.uid == target.uid)
        return tuple(sorted(mine, key=lambda entry: (entry.episode, entry.step)))

    def plus(self, entry: Entry) -> "Ledger":
        """The ledger with one more entry."""
        return Ledger((*self.entries, entry))

    def without(self, name: str) -> "Ledger":
        """The ledger without one action, for asking the gates about that very action once more."""
        return Ledger(tuple(entry for entry in self.entries if entry.name != name))


class Situation(Struct, frozen=True, kw_only=True):
    """Facts about the target of one intent, as observed; None where there are none."""

    pods: int | None
    """Pods of the namespace that count for the blast radius; None when they cannot be observed.

    Those of what is being turned off do not.
    """
    unhealthy_pods: int | None
    """Those of them that are not ready."""
    unhealthy_expected: int = 0
    """Healthy pods that what is already allowed, on other targets, may yet take down."""
    pod_observed: bool = True
    """False when the pod to evict is not to be seen."""
    pod_ready: bool = False
    """The pod to evict serves all the same."""
    reach_observed: bool = True
    """False when it cannot be seen which pods an action would reach that reaches all of the target."""
    observed: bool
    """Whether the target is to be seen, or known not to be there."""
    workload: Workload | None
    """The target, for a Deployment, StatefulSet or DaemonSet."""
    labels: dict[str, str]
    """Labels of the target."""
    pod_labels: dict[str, str]
    """Labels of the pod to evict; empty without one."""
    protected: bool
    """What the action would reach carries the annotation kiro.dev/protected, and not as false."""
    gitops: str = ""
    """The GitOps tool that owns the target; empty for none, and for workloads."""
    autoscaler: str | None
    """Name of the HorizontalPodAutoscaler that owns the target's replicas; looked for by what sets these."""
    autoscalers_observed: bool
    """False when it is not known whether there is one."""
    drained_by: datetime | None = None
    """When the last of the target's pods that are being moved off their nodes is to be gone."""
    storm: Storm | None = None
    """The mass failure that the policy that is asked remembers."""
    namespace: str = ""
    approvals: tuple[Approval, ...] | Unobserved = ()
    """Denials, and approvals whose author is vouched for; why no approval counts, when none does."""


class Allow(Struct, frozen=True):
    """The gate lets the action through; the message says what it saw."""

    message: str


class Deny(Struct, frozen=True):
    """The gate holds the action back."""

    reason: str
    message: str
    until: datetime | None = None
    """When the answer may change by itself; None: when something else changes."""
    needs_person: bool = False
    """Waiting will not change it: a person has to."""

    @property
    def holds(self) -> tuple[bool, bool, float]:
        """How long it holds; of several the greatest is told, for an earlier time would be no promise."""
        return self.needs_person, self.until is None, self.until.timestamp() if self.until else 0.0


Answer = Allow | Deny
