"""What a remedy is asked, and what it answers besides an intent."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import ScaleLimits
from kiro_operator.core.checks import registry
from kiro_operator.core.objects import Workload
from kiro_operator.core.policy.situation import autoscaler_of
from kiro_operator.core.policy.text import clip, named
from kiro_operator.core.policy.types import Change, Fence, Intent
from kiro_operator.core.snapshot import Ref, Snapshot
from kiro_operator.core.told import line, words
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
        return line(words(self.finding.message, people=item is not None and item.names_people))


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
    contained: Mapping[str, str] = {}
    """What a containment of the target has set, by its record: only a person lifts it."""
    command: tuple[str, ...] = ()
    """What the admin has this remedy run in a pod; empty: nothing."""

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
    """JSON: what is to be merged into the target; nothing yet where it comes from ``source``."""
    diff: str
    """The same for a person."""
    source: Ref | None = None
    """The ReplicaSet whose pod template is to be in force again: what differs is seen when both are read."""
    revision: str = ""
    """Its revision."""
    undo: str = ""
    """JSON: what the patch takes to stand in its places. Where something else does, nothing is proposed."""


class Proposer(Struct, frozen=True, kw_only=True):
    """An action that a person decides on, each time: how its change is drafted."""

    action: ActionName
    title: str
    """What it does, in a few words."""
    draft: Callable[[Amendment, Snapshot], Draft | Refusal]
    settling: timedelta = timedelta(0)
    """How long a target is left alone after one was carried out: what that has done shows late."""


class Remedy(Struct, frozen=True, kw_only=True):
    """An action: what it needs, and how it is planned. Whether it may be done is for the gates."""

    action: ActionName
    title: str
    """What it does, in a few words."""
    propose: Callable[[Request], Intent | Refusal]
    holds: bool = False
    """It does not mend what was found: it succeeds when what it has set stays so."""


def unscaled(target: Ref, snapshot: Snapshot, why: str) -> Refusal | None:
    """Why a workload is left alone: an autoscaler scales it, or whether one does is not to be seen.

    ``why`` is what follows from the autoscaler, after its name.
    """
    scaler, seen = autoscaler_of(target, snapshot)
    if not seen:
        message = f"whether an autoscaler scales {named(target)} cannot be observed"
        return Refusal("ScaledByAutoscaler", message, lasting=False)
    if scaler is None:
        return None
    return Refusal("ScaledByAutoscaler", f"HorizontalPodAutoscaler {scaler} {why}", lasting=True)


def fence_of(workload: Workload) -> Fence:
    """The fence of an action on the workload itself."""
    return Fence(
        workload.metadata.uid,
        workload.metadata.resource_version,
        workload.metadata.generation,
        workload.spec.template.metadata.annotations.restarted_by,
    )


def writing(
    request: Request,
    action: ActionName,
    method: Method,
    fence: Fence,
    *,
    content: Mapping[str, Any],
    diff: str,
    undo: str = "",
    holding: timedelta | None = None,
) -> Intent:
    """The intent that writes to an object of the core group: the object, or a merge patch.

    ``holding`` is how long it has to stay so, where that is not the stabilization.
    """
    want = request.wanted[0]
    return Intent(
        action=action,
        method=method,
        target=request.target,
        api_version="v1",
        fence=fence,
        check=want.check,
        reason=want.finding.reason,
        message=want.message,
        episode=request.episode,
        step=request.step,
        timeout=request.timeout + (holding or timedelta(0)),
        stabilization=request.stabilization if holding is None else holding,
        change=Change(json.dumps(content, sort_keys=True), clip(diff), undo),
    )
