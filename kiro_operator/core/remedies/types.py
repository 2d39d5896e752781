"""What a remedy is asked, and what it answers besides an intent."""

from collections.abc import Callable
from datetime import timedelta

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import ScaleLimits
from kiro_operator.core.checks import registry
from kiro_operator.core.objects import Workload
from kiro_operator.core.policy.types import Fence, Intent
from kiro_operator.core.snapshot import Ref, Snapshot
from kiro_operator.core.told import words
from kiro_operator.core.verdict import Amendment, Finding

API_VERSION = "apps/v1"


class Wanted(Struct, frozen=True):
    """A finding that asks for an action, and the check that found it."""

    check: str
    finding: Finding

    @property
    def message(self) -> str:
        """What was found, as it may be told."""
        item = registry().get(self.check)
        return words(self.finding.message, people=item is not None and item.names_people)


class Request(Struct, frozen=True, kw_only=True):
    """An object in need, with what a remedy may want to know."""

    target: Ref
    workload: Workload | None
    """The target, where it is one."""
    wanted: tuple[Wanted, ...]
    """Findings that this remedy can help against, oldest first; at least one."""
    snapshot: Snapshot
    episode: int
    step: int
    timeout: timedelta
    stabilization: timedelta
    evicted: int = 0
    """Pods of the workload that were evicted on this rung already."""
    eviction_failed: bool = False
    """The last of these did not help."""
    limits: ScaleLimits | None
    """Bounds of scaling, where a policy gives them."""

    @property
    def running(self) -> Workload:
        """The target as a workload.

        Raises:
            ValueError: it is none, and a check has named a remedy that cannot help it.
        """
        if self.workload is None:
            raise ValueError(f"{self.target.kind} {self.target.name} is no workload")
        return self.workload


class Refusal(Struct, frozen=True):
    """The remedy knows nothing to do."""

    reason: str
    message: str
    lasting: bool
    """Nothing that passes by itself: the next rung of the ladder is tried at once."""


class Draft(Struct, frozen=True):
    """A change that a remedy would have, before the object itself has been read."""

    api_version: str
    patch: str
    """JSON: what is to be merged into the target."""
    diff: str
    """The same for a person."""
    advice: str = ""
    """The command by which a person makes the change; with one the operator never does."""


class Proposer(Struct, frozen=True, kw_only=True):
    """An action that a person decides on, each time: how its change is drafted."""

    action: ActionName
    title: str
    """What it does, in a few words."""
    draft: Callable[[Amendment, Snapshot], Draft | Refusal]


class Remedy(Struct, frozen=True, kw_only=True):
    """An action: what it needs, and how it is planned. Whether it may be done is for the gates."""

    action: ActionName
    title: str
    """What it does, in a few words."""
    propose: Callable[[Request], Intent | Refusal]


def fence_of(workload: Workload) -> Fence:
    """The fence of an action on the workload itself."""
    return Fence(
        workload.metadata.uid,
        workload.metadata.resource_version,
        workload.metadata.generation,
        workload.spec.template.metadata.annotations.restarted_by,
    )
