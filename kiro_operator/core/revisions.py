"""Revisions of a Deployment, as its ReplicaSets tell."""

from collections.abc import Iterable, Mapping, Sequence

from kiro_operator.core.objects import Deployment, ReplicaSet

_LONGEST = 20
"""Digits beyond which a text is no revision: anybody who edits a ReplicaSet may write one."""


def by_deployment(replica_sets: Iterable[ReplicaSet]) -> Mapping[str, list[ReplicaSet]]:
    """The revisions of each Deployment, by its UID."""
    found: dict[str, list[ReplicaSet]] = {}
    for item in replica_sets:
        if (owner := owner_of(item)) and number(item):
            found.setdefault(owner, []).append(item)
    return found


def running_before(deployment: Deployment, revisions: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The earlier revision that runs while the newest one does not get going; None where none is seen to.

    That there is an earlier one shows nothing: it may have failed as well. Of several, the one with most pods
    is the one that the failed rollouts were to replace.
    """
    in_force = deployment.metadata.annotations.revision
    newest = next((item for item in revisions if is_revision(item, in_force)), None)
    if newest is None:
        return None
    earlier = [item for item in revisions if number(item) < number(newest)]
    best = max(earlier, key=lambda item: (item.status.available_replicas, number(item)), default=None)
    if best is None or best.status.available_replicas <= newest.status.available_replicas:
        return None
    return best


def owner_of(replica_set: ReplicaSet) -> str:
    """UID of the Deployment that a ReplicaSet is a revision of; empty for none."""
    owners = replica_set.metadata.owner_references
    return next((owner.uid for owner in owners if owner.controller and owner.kind == "Deployment"), "")


def number(replica_set: ReplicaSet) -> int:
    """Number of a revision, from 1; 0 while it has none."""
    revision = replica_set.metadata.annotations.revision
    return int(revision) if revision.isdecimal() and revision.isascii() and len(revision) < _LONGEST else 0


def is_revision(replica_set: ReplicaSet, revision: str) -> bool:
    """Whether it has that very number."""
    return bool(revision) and replica_set.metadata.annotations.revision == revision
