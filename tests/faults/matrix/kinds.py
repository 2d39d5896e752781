"""The faults: what is done at a mutation, or to what the operator reads from then on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Fault, Request
from kiro_operator.adapters.kubernetes.client import REQUEST_TIMEOUT

Matcher = Callable[[Request], bool]
READS = r"^(?!.*/leases)"
"""All reads but those of the Lease: a stale one costs nothing but the time until it is lifted."""
STREAMS = r"watch=(1|true)\b"
BLIND_SECONDS = 4.0
"""How long reads are broken; longer than an action takes, and shorter than a stream may be silent."""
LATE_SECONDS = 1.5
"""By which events are late."""


class Patient:
    """What a fault may do to the operator under test."""

    def __init__(self, proxy: FaultProxy, kill: Callable[[], None], pause: Callable[[], None]) -> None:
        self.proxy = proxy
        self._kill = kill
        self._pause = pause
        self.reading: list[Fault] = []
        """Faults of reads that are switched on."""
        self.relist = False
        """Whether all is to be listed anew when they are over: what was lost cannot be known."""

    def kill(self, _: Request) -> None:
        """End the process as a crash does."""
        self._kill()

    def pause(self, _: Request) -> None:
        """Stop the process in its tracks; another one takes over."""
        self._pause()

    def list_anew(self) -> None:
        """Cut all streams, and tell each once that its history is gone."""
        told: set[str] = set()

        def once(request: Request) -> bool:
            new = request.path not in told
            told.add(request.path)
            return new

        self.proxy.answer(410, path=STREAMS, when=once)
        self.proxy.cut()

    def blind(self, make: Callable[[FaultProxy], list[Fault]], *, relist: bool = True) -> None:
        """Break what is read."""
        self.reading = make(self.proxy)
        self.relist = relist

    def see(self) -> None:
        """Let it read again."""
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
    """

    arm: Callable[[Patient, Matcher], Fault]
    seconds: float = 0.0
    everywhere: bool = False


def _answer(status: int) -> Kind:
    retry_after = 1 if status == 429 else None
    return Kind(
        lambda patient, when: patient.proxy.answer(status, retry_after=retry_after, when=when, count=1),
        everywhere=True,
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
    "events dropped": _reading(lambda proxy: [proxy.drop_events()]),
    "events late": _reading(lambda proxy: [proxy.delay_events(LATE_SECONDS)], relist=False),
    "events twice": _reading(lambda proxy: [proxy.duplicate_events()], relist=False),
    "events out of order": _reading(lambda proxy: [proxy.reorder_events()]),
    "streams half open": _reading(lambda proxy: [proxy.half_open(path=STREAMS)], relist=False),
    "lists stale": Kind(_stale_lists, BLIND_SECONDS),
    "history gone (410)": Kind(_expired),
}
