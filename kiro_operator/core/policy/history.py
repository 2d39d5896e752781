"""What the ledger tells of one target."""

from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.policy.types import Entry, Ledger
from kiro_operator.core.snapshot import Ref


def acted(ledger: Ledger, target: Ref) -> tuple[Entry, ...]:
    """The target's actions that were done, or may be on their way, oldest first."""
    return tuple(entry for entry in ledger.of(target) if entry.counts)


def came_to_nothing(entries: tuple[Entry, ...], episode: int) -> tuple[Entry, ...]:
    """The last actions of an episode, in a row, that were denied or expired before they were done."""
    last: list[Entry] = []
    for entry in entries:
        if entry.episode == episode and entry.action not in PROPOSALS:
            last = [] if entry.counts else [*last, entry]
    return tuple(last)


def tried(entries: tuple[Entry, ...], episode: int) -> tuple[Entry, ...]:
    """The remedies that were tried to their end in one episode, oldest first.

    That the episode lasts says that none of them helped for good: one that succeeded was followed
    by a relapse. Scaling back is no remedy, nor is what a person decided on.
    """
    return tuple(
        entry
        for entry in entries
        if entry.episode == episode
        and entry.counts
        and not entry.running
        and entry.method is not Method.SCALE_BACK
        and entry.action not in PROPOSALS
    )
