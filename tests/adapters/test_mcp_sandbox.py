"""The sandbox's processes: which there are, what they may use up, and that none is left."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from kiro_operator.adapters.mcp import evaluation
from kiro_operator.adapters.mcp.evaluation import BUSY, LOST, MEMORY, SECONDS, Evaluator, Outcome

from .helpers import eventually
from .test_mcp import nested, task

WELL = task("result.text == 'hello'")
FINE = [Outcome(value=True)]
ENDLESS = task(nested(10))
BACKTRACKS = {"kind": "schema", "schema": {"type": "string", "pattern": "^(a+)+$"}, "value": "a" * 48 + "b"}
GROWN = "result.structuredContent.l"
FILLS = task(
    f"{GROWN}.map(a, {GROWN}.map(b, {GROWN}.map(c, result.structuredContent.s + 'x'))).size() > 0",
    {"l": list(range(500)), "s": "x" * 100_000},
)
LONG = 60
"""Seconds that no test waits for."""


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that are not ended by a limit of their own."""
    monkeypatch.setattr(evaluation, "SECONDS", LONG)
    monkeypatch.setattr(evaluation, "WAIT", float(LONG))


@pytest_asyncio.fixture
async def started(evaluator: Evaluator) -> AsyncIterator[Evaluator]:
    await works(evaluator)
    yield evaluator


def program(evaluator: Evaluator) -> psutil.Process:
    assert evaluator._sandbox is not None
    return psutil.Process(evaluator._sandbox._process.pid)


def runs(process: psutil.Process) -> bool:
    """Not so when it only waits for its parent: that is for whoever inherits an orphan to do."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def handles(process: psutil.Process) -> dict[str, str]:
    return {handle.name: str(handle.readlink()) for handle in Path(f"/proc/{process.pid}/fd").iterdir()}


async def children(evaluator: Evaluator, count: int) -> list[psutil.Process]:
    """Its children, zombies too, once there are so many."""
    found: list[psutil.Process] = []

    async def asked() -> bool:
        found[:] = program(evaluator).children(recursive=True)
        return len(found) == count

    await eventually(asked, f"{count} children")
    return found


async def works(evaluator: Evaluator, beside: int = 0) -> None:
    """A round is done; of its child nothing is left, only those of other rounds."""
    assert await evaluator.evaluate([WELL]) == FINE
    await children(evaluator, beside)


async def gone(*processes: psutil.Process) -> None:
    async def asked() -> bool:
        return not any(runs(process) for process in processes)

    await eventually(asked, "the end of all processes", LONG / 4)


async def kill(process: psutil.Process) -> None:
    process.kill()
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


async def test_one_program_for_all_rounds(started: Evaluator) -> None:
    before = program(started)
    assert await started.evaluate([WELL, BACKTRACKS | {"value": "a"}]) == FINE * 2
    assert program(started) == before
    await children(started, 0)
    assert before.environ() == {}
    assert sorted(handles(before)) == ["0", "1", "2"]


@pytest.mark.parametrize("hostile", [ENDLESS, BACKTRACKS, FILLS], ids=["endless", "backtracks", "fills"])
async def test_a_round_costs_no_other(started: Evaluator, hostile: dict[str, Any]) -> None:
    before = program(started)
    assert await started.evaluate([WELL, hostile, WELL]) == [*FINE, LOST, LOST]
    await works(started)
    assert program(started) == before


async def test_what_a_child_may_use(started: Evaluator) -> None:
    asked = asyncio.create_task(started.evaluate([ENDLESS]))
    [child] = await children(started, 1)

    async def bounded() -> bool:
        limits = (resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_CORE)
        return [child.rlimit(limit) for limit in limits] == [
            (SECONDS, SECONDS + 1),
            (MEMORY, MEMORY),
            (0, 0),
        ]

    await eventually(bounded, "the child's limits")
    assert child.environ() == {}
    held, of_program = handles(child), handles(program(started))
    assert sorted(held) == ["0", "1", "2"]
    assert held["0"] == held["1"]
    assert of_program["0"] not in held.values()
    assert await asked == [LOST]


@pytest.mark.usefixtures("unhurried")
async def test_rounds_at_once(started: Evaluator) -> None:
    endless = [asyncio.create_task(started.evaluate([ENDLESS], within=LONG))]
    await children(started, 1)
    await works(started, beside=1)
    endless.append(asyncio.create_task(started.evaluate([ENDLESS], within=LONG)))
    await children(started, 2)
    third = await started.evaluate([WELL], within=0.5)
    for one in endless:
        one.cancel()
    assert third == [BUSY]
    await works(started)


@pytest.mark.usefixtures("unhurried")
async def test_who_asks_no_longer_leaves_no_child(started: Evaluator) -> None:
    asked = asyncio.create_task(started.evaluate([ENDLESS]))
    [child] = await children(started, 1)
    asked.cancel()
    await children(started, 0)
    await gone(child)
    await works(started)


async def test_another_program_for_one_that_was_killed(started: Evaluator) -> None:
    before = program(started)
    await kill(before)
    await works(started)
    assert program(started) != before
    assert not before.is_running()


async def test_an_orphan_ends_by_the_clock(monkeypatch: pytest.MonkeyPatch, evaluator: Evaluator) -> None:
    monkeypatch.setattr(evaluation, "SECONDS", LONG)
    monkeypatch.setattr(evaluation, "WAIT", 1.0)
    await works(evaluator)
    asked = asyncio.create_task(evaluator.evaluate([ENDLESS], within=LONG))
    [child] = await children(evaluator, 1)
    await kill(program(evaluator))
    async with asyncio.timeout(LONG / 4):
        assert await asked == [LOST]
    await gone(child)
    await works(evaluator)


@pytest.mark.usefixtures("unhurried")
async def test_nothing_is_left_of_what_is_closed() -> None:
    evaluator = Evaluator()
    await works(evaluator)
    asked = asyncio.create_task(evaluator.evaluate([ENDLESS]))
    before, [child] = program(evaluator), await children(evaluator, 1)
    asked.cancel()
    await evaluator.close()
    assert not before.is_running()
    assert not child.is_running()


OPERATOR = """
import asyncio, json, sys
from kiro_operator.adapters.mcp import evaluation
evaluation.SECONDS, evaluation.WAIT = {long}, {long}
asyncio.run(evaluation.Evaluator().evaluate([json.loads(sys.argv[1])], within={long}))
"""


async def test_nothing_outlives_the_operator() -> None:
    operator = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OPERATOR.format(long=LONG), json.dumps(ENDLESS)
    )

    async def grown() -> list[psutil.Process]:
        found = psutil.Process(operator.pid).children(recursive=True)
        return found if len(found) == 2 else []

    left = await eventually(grown, "the sandbox and its child", LONG / 2)
    operator.send_signal(signal.SIGKILL)
    await operator.wait()
    await gone(*left)
