"""Hands expressions and schemas to the sandbox, and takes back what came of them in time."""

import asyncio
import contextlib
import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

SECONDS = 2
"""Processor time for all tasks of one server's round."""
WAIT = 6.0
"""Seconds after which a round's child is killed, on however busy a machine."""
MEMORY = 128 * 1024 * 1024
"""Bytes of a child, with what it has from the fork: with AT_ONCE the container stays below its limit."""
AT_ONCE = 2

_PROGRAM = Path(__file__).with_name("sandbox.py")


class Outcome(Struct, frozen=True):
    """What came of one task: a value, or a reason why there is none."""

    value: bool | float | None = None
    at: str = ""
    reason: str = ""
    message: str = ""


LOST = Outcome(
    reason="TooExpensive",
    message=(
        "this or what comes before it takes too long to evaluate: use fewer nested all, exists, map and "
        "filter on large answers"
    ),
)


BUSY = Outcome(reason="NotAsked", message="the operator was busy with other answers until the time was up")


class Evaluator:
    """Has the sandbox fork a child a round; never more than AT_ONCE at a time."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._sandbox: Sandbox | None = None

    async def evaluate(self, tasks: Sequence[dict[str, Any]], *, within: float = WAIT) -> list[Outcome]:
        """One outcome a task, ``within`` seconds; those that the child did not get to are LOST."""
        if not tasks:
            return []
        outcomes: list[Outcome] = []
        end = asyncio.get_running_loop().time() + within
        try:
            async with asyncio.timeout_at(end):
                await self._free.acquire()
        except TimeoutError:
            return [BUSY] * len(tasks)
        try:
            with (
                self._running().child() as ours,
                contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError),
            ):
                async with asyncio.timeout_at(end):
                    await _talk(ours, json.dumps(tasks).encode(), outcomes, len(tasks))
        finally:
            self._free.release()
        return outcomes + [LOST] * (len(tasks) - len(outcomes))

    async def close(self) -> None:
        """End the sandbox when the rounds have ended; none begins after that."""
        for _ in range(AT_ONCE):
            await self._free.acquire()
        if self._sandbox is not None:
            await self._sandbox.close()

    def _running(self) -> "Sandbox":
        """The sandbox; a new one if there is none yet, or none any more."""
        if self._sandbox is None or self._sandbox.ended():
            self._sandbox = Sandbox()
        return self._sandbox


class Sandbox:
    """The program that forks. It ends when its channel does, and its children with it."""

    def __init__(self) -> None:
        # Of messages, so that none is read by halves.
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(0)
        self._numbers = itertools.count()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own program
                (sys.executable, "-I", str(_PROGRAM), str(SECONDS), str(MEMORY), str(WAIT)),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
            )

    @contextlib.contextmanager
    def child(self) -> Iterator[socket.socket]:
        """A socket to a child of its own, which is killed when this is left."""
        number = b"%d" % next(self._numbers)
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                self._tell(number, theirs.fileno())
            try:
                yield ours
            finally:
                # The sandbox takes it before it forks the next one.
                self._tell(number)

    def ended(self) -> bool:
        """Whether it has died; then it leaves nothing open."""
        if self._process.poll() is None:
            return False
        self._channel.close()
        return True

    async def close(self) -> None:
        """Have it end its children and itself."""
        self._channel.close()
        await asyncio.to_thread(self._process.wait)

    def _tell(self, number: bytes, *handed: int) -> None:
        try:
            socket.send_fds(self._channel, [number], handed)
        except OSError:
            # It is dead, or reads no longer: the round is lost, and the next one has another sandbox.
            self._process.kill()


async def _talk(ours: socket.socket, given: bytes, outcomes: list[Outcome], count: int) -> None:
    """Hand the tasks over, and take each outcome as it is written; what came before the end is kept."""
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    try:
        writer.write(given)
        writer.write_eof()
        while len(outcomes) < count:
            line = await reader.readline()
            if not line.endswith(b"\n"):
                return  # it was killed
            outcomes.append(msgspec.json.decode(line, type=Outcome))
    finally:
        writer.transport.abort()
