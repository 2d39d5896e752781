"""Hands expressions and schemas to the sandbox, and takes back what came of them in time."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

SECONDS = 2
"""Processor time for all tasks of one server's round."""
WAIT = 6.0
"""Seconds after which the sandbox is killed, on however busy a machine."""
MEMORY = 128 * 1024 * 1024
"""Bytes of a sandbox's own memory: with AT_ONCE of them the container stays below its limit."""
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
    """Starts a sandbox a round; never more than AT_ONCE at a time."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)

    async def evaluate(self, tasks: Sequence[dict[str, Any]], *, within: float = WAIT) -> list[Outcome]:
        """One outcome a task, ``within`` seconds; those that the sandbox did not get to are LOST."""
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
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", str(_PROGRAM), str(SECONDS), str(MEMORY)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
            )
            try:
                with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
                    async with asyncio.timeout_at(end):
                        await _talk(process, json.dumps(tasks).encode(), outcomes, len(tasks))
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        finally:
            self._free.release()
        return outcomes + [LOST] * (len(tasks) - len(outcomes))


async def _talk(
    process: asyncio.subprocess.Process, given: bytes, outcomes: list[Outcome], count: int
) -> None:
    """Hand the tasks over, and take each outcome as it is written; what came before the end is kept."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(given)
    process.stdin.write_eof()
    while len(outcomes) < count:
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            return  # it was killed
        outcomes.append(msgspec.json.decode(line, type=Outcome))
