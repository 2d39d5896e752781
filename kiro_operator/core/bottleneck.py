"""The bottleneck: of several performance checks that fail, the one that began first and explains others.

A resource that is used up shows in what depends on it: a full disk makes the database slow, the database
makes requests slow. Which way round is known beforehand; what came first is seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from kiro_operator.core.findings import clip
from kiro_operator.core.verdict import Status, Verdict

TOGETHER = timedelta(minutes=2)
"""What begins within so long began at once: metrics are scraped, and averaged over minutes. How seldom each
check looks comes on top of it."""
MESSAGE = 500

_SERVED = frozenset({"response-time", "throughput", "error-rate"})
_STORED = _SERVED | {"database-performance"}
EXPLAINS: Mapping[str, frozenset[str]] = {
    # By check: what is seen elsewhere when this is short. In the order of how deep down it is, which
    # decides between those that began at once.
    "capacity-forecast": frozenset({"storage-usage"}),
    "storage-usage": _STORED | {"capacity-forecast"},
    "network-bandwidth": _STORED | {"network-latency"},
    "memory-usage": _STORED | {"cpu-usage", "cache-effectiveness"},
    "limits-and-quotas": _STORED | {"autoscaling-behavior", "cpu-usage", "memory-usage"},
    "cpu-usage": _STORED | {"network-latency"},
    "autoscaling-behavior": _SERVED | {"cpu-usage", "memory-usage", "limits-and-quotas"},
    "network-latency": _STORED,
    "cache-effectiveness": _STORED | {"cpu-usage"},
    "database-performance": _SERVED,
}
RESOURCES: Mapping[str, str] = {
    "capacity-forecast": "storage",
    "storage-usage": "storage",
    "network-bandwidth": "network bandwidth",
    "memory-usage": "memory",
    "limits-and-quotas": "limits and quotas",
    "cpu-usage": "CPU",
    "autoscaling-behavior": "autoscaling",
    "network-latency": "network latency",
    "cache-effectiveness": "the cache",
    "database-performance": "the database",
}
_DEPTH = {check: depth for depth, check in enumerate(EXPLAINS)}


class Suspect(Struct, frozen=True):
    """A check's verdict, and when its fault was first seen."""

    check: str
    verdict: Verdict
    began: datetime
    within: timedelta = timedelta(0)
    """How much earlier it may have begun: what is sampled is seen at the next look at it."""

    @property
    def earliest(self) -> datetime:
        """Before this it had not begun, nor at once with what had."""
        return self.began - self.within - TOGETHER


class Bottleneck(Struct, frozen=True):
    """What is short, and why it is held to be the cause."""

    resource: str
    check: str
    since: datetime
    explains: tuple[str, ...]
    """Checks that fail because of it, by what is known of how things depend on each other."""
    unexplained: tuple[str, ...]
    """Checks that fail as well, and not because of it."""
    evidence: str
    """What its own check says."""

    @property
    def message(self) -> str:
        """For a person; it does not change while the same checks fail."""
        since = self.since.strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"bottleneck: {self.resource}, since {since}, which explains {', '.join(self.explains)}"
        if self.unexplained:
            text += f" but not {', '.join(self.unexplained)}"
        return clip(f"{text}: {self.evidence}", MESSAGE)


def bottleneck(suspects: Iterable[Suspect]) -> Bottleneck | None:
    """The bottleneck of what fails; None unless a resource explains at least one other failing check.

    Of those that explain others, the one that began first; of those that may have begun first, the one
    that explains most, then the one deepest down.
    """
    failing = sorted(
        (item for item in suspects if item.verdict.status is Status.FAIL), key=lambda item: item.check
    )
    causes = [(item, found) for item in failing if (found := _explained(item, failing))]
    if not causes:
        return None
    first = min(item.began for item, _ in causes)
    cause, found = min(
        ((item, found) for item, found in causes if item.earliest <= first),
        key=lambda pair: (-len(pair[1]), _DEPTH[pair[0].check]),
    )
    others = tuple(item.check for item in failing if item is not cause and item.check not in found)
    return Bottleneck(RESOURCES[cause.check], cause.check, cause.began, found, others, cause.verdict.message)


def _explained(cause: Suspect, failing: Sequence[Suspect]) -> tuple[str, ...]:
    """What may have begun since then, directly or by way of something else that fails."""
    later = {item.check for item in failing if item.began >= cause.earliest}
    reached: set[str] = set()
    ahead = [cause.check]
    while ahead:
        found = (EXPLAINS.get(ahead.pop(), frozenset()) & later) - reached - {cause.check}
        reached |= found
        ahead += found
    return tuple(sorted(reached))
