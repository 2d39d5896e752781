"""The faults: what is done at a mutation, or to what the operator reads from then on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Fault, Request
from kiro_operator.adapters.kubernetes.client import REQUEST_TIMEOUT
from tests.deploy.rights import Right, granted
from tests.faults.matrix import rights
from tests.harness.world import World

Matcher = Callable[[Request], bool]
PARTS = (
    "overlays/kiro-system",
    "namespace/exec",
    "namespace/change-autoscaling",
    "cluster-restore/objects",
)
"""Of deploy/, whose rights are taken away. Other parts grant a verb on a resource that one of these has."""
READS = r"^(?!.*/leases)"
"""All reads but those of the Lease: a stale one costs nothing but the time until it is lifted."""
STREAMS = r"watch=(1|true)\b"
BLIND_SECONDS = 4.0
"""How long reads are broken; longer than an action takes, and shorter than a stream may be silent."""
LATE_SECONDS = 1.5
"""By which events are late."""
REVOKED_SECONDS = 8.0
"""How long a right is missing, from the first request that is refused: long enough to lose the Lease."""
UNAVAILABLE = 503
"""Of the errors that are answered, the one that is aimed at every mutation."""
UNUSED_SECONDS = 20.0
"""A right that nothing needed for so long is given back: there was no fault."""
HELD_SECONDS = 110.0
"""How long a write is held at most; the proxy lets go a little later."""


class Patient:
    """What a fault may do to the operator under test."""

    def __init__(
        self, world: World, proxy: FaultProxy, kill: Callable[[], None], pause: Callable[[], None]
    ) -> None:
        self.world = world
        self.proxy = proxy
        self._kill = kill
        self._pause = pause
        self.reading: list[Fault] = []
        """Faults of reads that are switched on."""
        self.relist = False
        """Whether all is to be listed anew when they are over: what was lost cannot be known."""
        self.released = threading.Event()
        """Lets a write go on that was held."""
        self._give_back: Callable[[], None] | None = None

    def kill(self, _: Request) -> None:
        """End the process as a crash does."""
        self._kill()

    def pause(self, _: Request) -> None:
        """Stop the process in its tracks; another one takes over."""
        self._pause()

    def pause_and_hold(self, request: Request) -> None:
        """The same, with a write under way that arrives when it is released."""
        self.pause(request)
        self.released.wait(HELD_SECONDS)

    def deprive(self, right: Right) -> None:
        """Take a right away."""
        self._give_back = rights.take(self.world, right)

    def list_anew(self) -> None:
        """Cut all streams, and tell each once that its history is gone."""
        told: set[str] = set()

        def once(request: Request) -> bool:
            new = request.path not in told
            told.add(request.path)
            return new

        self.proxy.expire(path=STREAMS, when=once)
        self.proxy.cut()

    def blind(self, make: Callable[[FaultProxy], list[Fault]], *, relist: bool = True) -> None:
        """Break what is read."""
        self.reading = make(self.proxy)
        self.relist = relist

    def see(self) -> None:
        """Let it read again, and do what it could."""
        if self._give_back is not None:
            self._give_back()
            self._give_back = None
        reading, self.reading = self.reading, []
        for fault in reading:
            fault.lift()
        if reading and self.relist:
            self.list_anew()


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        arm: Switch it on for the mutations of a matcher; returns the fault that tells of its hit.
        seconds: How long it lasts from there.
        everywhere: Whether it is aimed at every mutation, or only at those where most is at stake.
        missing: The right that is taken away, of which somebody has to be told.
    """

    arm: Callable[[Patient, Matcher], Fault]
    seconds: float = 0.0
    everywhere: bool = False
    missing: Right | None = None


def _answer(status: int) -> Kind:
    retry_after = 1 if status == 429 else None
    return Kind(
        lambda patient, when: patient.proxy.answer(status, retry_after=retry_after, when=when, count=1),
        everywhere=status == UNAVAILABLE,
    )


def _reading(make: Callable[[FaultProxy], list[Fault]], *, relist: bool = True) -> Kind:
    return Kind(
        lambda patient, when: patient.proxy.before(
            lambda _: patient.blind(make, relist=relist), when=when, count=1
        ),
        BLIND_SECONDS,
    )


def _stale(proxy: FaultProxy) -> list[Fault]:
    """Lists as they were at first, and nobody tells what came since."""
    return [proxy.stale(path=READS), proxy.half_open(path=STREAMS)]


def _away(proxy: FaultProxy) -> list[Fault]:
    """Nobody is there, for the Lease either."""
    refused = proxy.refuse()
    proxy.cut()
    return [refused]


def _killed_and_stale(patient: Patient, when: Matcher) -> Fault:
    def hook(request: Request) -> None:
        patient.blind(_stale)
        patient.kill(request)

    return patient.proxy.after(hook, forward=False, when=when, count=1)


def _stale_lists(patient: Patient, when: Matcher) -> Fault:
    def hook(_: Request) -> None:
        patient.blind(_stale)
        patient.list_anew()

    return patient.proxy.before(hook, when=when, count=1)


def _expired(patient: Patient, when: Matcher) -> Fault:
    return patient.proxy.before(lambda _: patient.list_anew(), when=when, count=1)


def _revoked(right: Right) -> Kind:
    def arm(patient: Patient, when: Matcher) -> Fault:
        def hook(_: Request) -> None:
            patient.deprive(right)
            patient.list_anew()

        return patient.proxy.before(hook, when=when, count=1)

    return Kind(arm, REVOKED_SECONDS, missing=right)


def _revoked_and_killed(right: Right) -> Kind:
    def arm(patient: Patient, when: Matcher) -> Fault:
        def hook(request: Request) -> None:
            patient.deprive(right)
            patient.kill(request)

        return patient.proxy.before(hook, forward=False, when=when, count=1)

    return Kind(arm, REVOKED_SECONDS, missing=right)


@cache
def of_rights() -> Mapping[str, Kind]:
    """For each right that deploy/ grants: taken away from a process that runs, or from one that starts."""
    distinct = {rights.named(right): right for part in PARTS for right in granted(part)}
    return {
        f"{what}: {name}": make(right)
        for what, make in (
            ("right revoked", _revoked),
            ("right revoked, and started anew", _revoked_and_killed),
        )
        for name, right in distinct.items()
    }


def kind(name: str) -> Kind:
    """A kind by its name."""
    return KINDS[name] if name in KINDS else of_rights()[name]


KINDS: Mapping[str, Kind] = {
    "killed before the write": Kind(
        lambda patient, when: patient.proxy.before(patient.kill, forward=False, when=when, count=1),
        everywhere=True,
    ),
    "killed after the write": Kind(
        lambda patient, when: patient.proxy.after(patient.kill, forward=False, when=when, count=1),
        everywhere=True,
    ),
    "killed after the write, stale reads": Kind(_killed_and_stale, BLIND_SECONDS),
    "paused past its Lease": Kind(
        lambda patient, when: patient.proxy.before(patient.pause, forward=False, when=when, count=1)
    ),
    "paused past its Lease, and its write arrives then": Kind(
        lambda patient, when: patient.proxy.before(patient.pause_and_hold, when=when, count=1)
    ),
    "answer lost": Kind(lambda patient, when: patient.proxy.drop_answer(when=when, count=1), everywhere=True),
    "write sent twice": Kind(lambda patient, when: patient.proxy.twice(when=when, count=1)),
    "write arrives after its timeout": Kind(
        lambda patient, when: patient.proxy.delay(REQUEST_TIMEOUT + 1.0, when=when, count=1),
        REQUEST_TIMEOUT + 1.0,
    ),
    "write hangs": Kind(
        lambda patient, when: patient.proxy.hang(forward=False, when=when, count=1),
        REQUEST_TIMEOUT,
        everywhere=True,
    ),
    "answer 409": _answer(409),
    "answer 429": _answer(429),
    "answer 500": _answer(500),
    "answer 503": _answer(503),
    "token refused (401)": _reading(lambda proxy: [proxy.answer(401)], relist=False),
    "API server away": _reading(_away, relist=False),
    "reads hang": _reading(lambda proxy: [proxy.hang(method="GET", path=READS)], relist=False),
    "reads answered 429": _reading(
        lambda proxy: [proxy.answer(429, retry_after=1, method="GET", path=READS)], relist=False
    ),
    "reads answered 503": _reading(lambda proxy: [proxy.answer(503, method="GET", path=READS)], relist=False),
    "events dropped": _reading(lambda proxy: [proxy.drop_events()]),
    "events late": _reading(lambda proxy: [proxy.delay_events(LATE_SECONDS)], relist=False),
    "events twice": _reading(lambda proxy: [proxy.duplicate_events()], relist=False),
    "events out of order": _reading(lambda proxy: [proxy.reorder_events()]),
    "streams half open": _reading(lambda proxy: [proxy.half_open(path=STREAMS)], relist=False),
    "lists stale": Kind(_stale_lists, BLIND_SECONDS),
    "history gone (410)": Kind(_expired),
}
