"""What a faulty network may do to the events of a watch: lose, double or swap them, or be late with them.

Bookmarks and errors pass unharmed. A stream that has lost or swapped events goes on as if nothing had been,
which no API server does: whoever uses these has the client list anew (410) when the fault is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Stream = int
"""Tells one stream from another."""
Twist = Callable[[Stream, bytes], list[bytes]]
"""What is sent, without line ends, in place of one event of a stream."""


def is_event(line: bytes) -> bool:
    """Whether a line of a watch tells of an object."""
    return not line.lstrip().startswith((b'{"type":"BOOKMARK"', b'{"type":"ERROR"'))


@dataclass
class Drop:
    """Loses the first event of a stream, and from then on every second one."""

    _seen: dict[Stream, int] = field(default_factory=dict)

    def __call__(self, stream: Stream, line: bytes) -> list[bytes]:
        """Nothing, or the event."""
        seen = self._seen[stream] = self._seen.get(stream, 0) + 1
        return [] if seen % 2 else [line]


def duplicate(_: Stream, line: bytes) -> list[bytes]:
    """The event twice."""
    return [line, line]


@dataclass
class Reorder:
    """Holds an event until the next has come, and sends it after that one."""

    _held: dict[Stream, bytes] = field(default_factory=dict)

    def __call__(self, stream: Stream, line: bytes) -> list[bytes]:
        """Nothing, or two events."""
        held = self._held.pop(stream, None)
        if held is not None:
            return [line, held]
        self._held[stream] = line
        return []
