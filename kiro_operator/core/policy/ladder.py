"""Episodes and steps: which illness of a target this is, and what was tried against it.

An episode lasts from a fault until the target has been well for a quiet period. Within it, each
remedy that was tried brings the next rung of the ladder, whether it failed or helped only for a
while. An eviction alone does not: other pods of the workload may fail for the same reason, so that
the rung is done with only after a rollout, or after two evictions in a row that did not help. The
quiet period comes from the KiroHealthCheck alone: were it taken from the policy, a narrower policy
could bring another action about.

Names count on their own: a step number is used once in an episode, also by actions that were
denied or expired and so climbed no rung.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import LadderStep, Remediation
from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.core.policy.history import tried
from kiro_operator.core.policy.types import NOT_FOUND, Entry

SHORTEST_QUIET = timedelta(minutes=10)
"""Twice the longest pause of a container that crashes again and again."""


class Turn(Struct, frozen=True):
    """What comes next for a target."""

    episode: int
    step: int
    """For the name of the next action."""
    rung: int
    """Index of the first rung of the ladder that was not tried to its end in this episode."""
    evicted: int = 0
    """Pods that were evicted on that rung already."""
    eviction_failed: bool = False
    """The last of these did not help."""


def quiet_period(remediation: Remediation) -> timedelta:
    """How long a target must be well before its next fault is a new episode."""
    timeouts = (step.timeout for step in remediation.ladder)
    return max(SHORTEST_QUIET, remediation.stabilization, *timeouts)


def turn(
    entries: tuple[Entry, ...],
    ladder: Sequence[LadderStep],
    *,
    since: datetime,
    recovered_at: datetime | None,
    quiet: timedelta,
) -> Turn:
    """The turn of a target that fails ``since``, by its entries of the ledger.

    A success is itself evidence of health, so a fault that began a quiet period after it is a new
    one. After a failure only a recovery that was watched makes the next fault a new one: an object
    that crashes in turns keeps dating its fault anew.
    """
    if not entries:
        return Turn(1, 1, 0)
    episode = max(entry.episode for entry in entries)
    done = tried(entries, episode)
    if done:
        last = max(done, key=lambda entry: entry.ended_at)
        recovered = recovered_at is not None and recovered_at > last.ended_at
        if recovered or (last.state is RemediationState.SUCCEEDED and since - last.ended_at >= quiet):
            return Turn(episode + 1, 1, 0)
    step = max(entry.step for entry in entries if entry.episode == episode) + 1
    rung, evictions = _climb(done, ladder)
    return Turn(episode, step, rung, len(evictions), _failed(evictions))


def _climb(done: tuple[Entry, ...], ladder: Sequence[LadderStep]) -> tuple[int, list[Entry]]:
    """Climb the ladder along what was tried; one that is not on it, after an edit, takes a rung too.

    Returns the rung reached, and the evictions that were tried on it.
    """
    rung = 0
    evictions: list[Entry] = []
    for entry in done:
        on_it = any(step.action is entry.action for step in ladder)
        if entry.reason == NOT_FOUND and not on_it:
            # Nothing was run, and whoever took it off the ladder asks for what comes after it.
            continue
        at = next((at for at in range(rung, len(ladder)) if ladder[at].action is entry.action), rung)
        if entry.method is Method.EVICT and at < len(ladder):
            if at != rung:
                rung, evictions = at, []
            twice = _failed(evictions) and entry.state is not RemediationState.SUCCEEDED
            evictions.append(entry)
            if not twice:
                continue
        rung, evictions = at + 1, []
    return rung, evictions


def _failed(evictions: Sequence[Entry]) -> bool:
    """Whether the last eviction did not help."""
    return bool(evictions) and evictions[-1].state is not RemediationState.SUCCEEDED
