"""Which faults are switched on before the API server, and for which requests."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp.hdrs import METH_ANY

from devcluster.proxy_events import Drop, Reorder, Twist, duplicate
from devcluster.wait import until

EVENTS = "events"
OF_STREAMS = frozenset({"half-open", EVENTS})

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


@dataclass
class Request:
    """A request as it was seen, and what became of it."""

    method: str
    path: str
    query: str
    body: bytes
    at: float
    """Monotonic time at which it came."""
    status: int = 0
    """Of the answer that was given; 0 while there is none."""
    forwarded: bool = False

    @property
    def url(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def watch(self) -> bool:
        """Whether it asks for a stream of changes."""
        return bool(re.search(r"(^|&)watch=(1|true)\b", self.query))

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


@dataclass(eq=False)
class Fault:
    """One fault that is switched on."""

    kind: str
    method: str
    path: re.Pattern[str]
    when: Callable[[Request], bool]
    left: int | None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    hook: Callable[[Request], object] | None = None
    forward: bool = True
    twist: Twist | None = None
    """What becomes of each event of a watch."""
    hits: list[Request] = field(default_factory=list)
    """The requests it was applied to."""
    lifted: threading.Event = field(default_factory=threading.Event)

    def lift(self) -> None:
        """Switch it off; what it holds goes on."""
        self.lifted.set()

    def wait(self, count: int = 1, timeout: float = 30.0) -> list[Request]:
        """Wait until it was applied so often; returns the requests."""
        until(lambda: len(self.hits) >= count, f"{self.kind} of {self.method} {self.path.pattern}", timeout)
        return self.hits

    def fits(self, request: Request) -> bool:
        """Whether it is for this request."""
        return (
            not self.lifted.is_set()
            and self.method in {METH_ANY, request.method}
            and self.path.search(request.url) is not None
            and self.when(request)
        )


class Faults:
    """The switches. They can be thrown from any thread."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._mutex = threading.Lock()
        self._answers: dict[str, Answer] | None = None
        """The first answer to each read, by path and query; None: nobody wants them kept."""

    def answer(self, status: int, *, retry_after: int | None = None, **match: Any) -> Fault:
        """Answer with an error instead of forwarding."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return self._add("answer", match, status=status, headers=headers)

    def expire(self, **match: Any) -> Fault:
        """Answer a watch as the API server does whose history is too short: 410, within the stream."""
        return self._add("expire", match, status=410)

    def hang(self, *, forward: bool = True, **match: Any) -> Fault:
        """Take the request and do nothing more, until lifted; then it is forwarded, or never."""
        return self._add("hang", match, forward=forward)

    def delay(self, seconds: float, **match: Any) -> Fault:
        """Forward after a while, also when the client has given up by then."""
        return self._add("delay", match, seconds=seconds)

    def twice(self, **match: Any) -> Fault:
        """Forward it twice, one after the other, and hand back the second answer."""
        return self._add("twice", match)

    def refuse(self, **match: Any) -> Fault:
        """Close the connection without forwarding."""
        return self._add("refuse", match)

    def drop_answer(self, **match: Any) -> Fault:
        """Forward, and close the connection instead of handing back the answer."""
        return self._add("drop", match)

    def half_open(self, **match: Any) -> Fault:
        """Stop handing back bytes, also on streams that are open already, and keep the connection."""
        return self._add("half-open", match)

    def drop_events(self, **match: Any) -> Fault:
        """Lose every second event of watches, also of those that are open already."""
        return self._add(EVENTS, match, twist=Drop())

    def duplicate_events(self, **match: Any) -> Fault:
        """Hand back every event of watches twice."""
        return self._add(EVENTS, match, twist=duplicate)

    def reorder_events(self, **match: Any) -> Fault:
        """Swap the events of each watch in pairs; one that is left over is never told."""
        return self._add(EVENTS, match, twist=Reorder())

    def delay_events(self, seconds: float, **match: Any) -> Fault:
        """Hand back the events of watches late, in their order."""
        return self._add(EVENTS, match, seconds=seconds)

    def record_reads(self) -> None:
        """Keep the first answer to each read from now on, for `stale`."""
        self._answers = {}

    def stale(self, **match: Any) -> Fault:
        """Answer reads as they were answered when they were recorded; those that were not are forwarded."""
        chosen = match.pop("when", lambda _: True)
        return self._add(
            "stale", match | {"when": lambda seen: seen.url in (self._answers or {}) and chosen(seen)}
        )

    def before(self, hook: Callable[[Request], object], *, forward: bool = True, **match: Any) -> Fault:
        """Call a hook with the request before it is forwarded; with `forward=False` it never is."""
        return self._add("before", match, hook=hook, forward=forward)

    def after(self, hook: Callable[[Request], object], *, forward: bool = True, **match: Any) -> Fault:
        """Call a hook once the API server has answered; with `forward=False` the answer is dropped."""
        return self._add("after", match, hook=hook, forward=forward)

    def lift(self) -> None:
        """Switch all faults off."""
        with self._mutex:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.lift()

    def _add(self, kind: str, match: dict[str, Any], **settings: Any) -> Fault:
        unknown = match.keys() - {"method", "path", "when", "count"}
        if unknown:
            raise TypeError(f"a fault has no matcher {sorted(unknown)}")
        fault = Fault(
            kind,
            match.get("method", METH_ANY),
            re.compile(match.get("path", "")),
            match.get("when", lambda _: True),
            match.get("count"),
            **settings,
        )
        with self._mutex:
            self._faults.append(fault)
        return fault

    def _taken(self, request: Request) -> Fault | None:
        """The fault for a request, counted down; those of streams are looked for with each byte."""
        with self._mutex:
            for fault in self._faults:
                if fault.kind in OF_STREAMS or fault.left == 0 or not fault.fits(request):
                    continue
                if fault.left is not None:
                    fault.left -= 1
                fault.hits.append(request)
                return fault
        return None

    def _of_stream(self, kind: str, request: Request) -> list[Fault]:
        """The faults of that kind that are on for a stream now."""
        with self._mutex:
            return [fault for fault in self._faults if fault.kind == kind and fault.fits(request)]
