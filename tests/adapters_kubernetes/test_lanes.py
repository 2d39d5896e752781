"""Turns: bounded, the most urgent first, and given back whatever happens."""

from __future__ import annotations

import asyncio

import pytest

from kiro_operator.adapters.kubernetes.client import Lane, Lanes


async def test_the_most_urgent_goes_first_and_equals_in_their_order() -> None:
    lanes, served, open_ = Lanes(1), [], asyncio.Event()

    async def work(name: str, lane: Lane) -> None:
        async with lanes.turn(lane):
            served.append(name)
            await open_.wait()

    wanted = [("first", Lane.RECORD), ("event", Lane.RECORD), ("action", Lane.ACTION)]
    wanted += [("condition", Lane.CONDITION), ("lease", Lane.LEASE), ("another action", Lane.ACTION)]
    tasks = []
    for name, lane in wanted:
        tasks.append(asyncio.create_task(work(name, lane)))
        await asyncio.sleep(0)
    assert served == ["first"]
    open_.set()
    await asyncio.gather(*tasks)
    assert served == ["first", "lease", "condition", "action", "another action", "event"]


async def test_a_turn_that_is_given_up_is_not_lost() -> None:
    lanes = Lanes(1)
    async with lanes.turn(Lane.ACTION):
        waiting = asyncio.create_task(enter(lanes))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(1):
        await enter(lanes)


async def test_a_turn_given_and_given_up_at_the_same_moment_is_passed_on() -> None:
    lanes = Lanes(1)
    turn = lanes.turn(Lane.ACTION)
    await turn.__aenter__()
    first, second = asyncio.create_task(enter(lanes)), asyncio.create_task(enter(lanes))
    await asyncio.sleep(0)
    await turn.__aexit__(None, None, None)
    first.cancel()
    async with asyncio.timeout(1):
        await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_an_error_gives_the_turn_back() -> None:
    lanes = Lanes(1)
    with pytest.raises(ValueError, match="broken"):
        async with lanes.turn(Lane.ACTION):
            raise ValueError("broken")
    async with asyncio.timeout(1):
        await enter(lanes)


async def enter(lanes: Lanes) -> None:
    async with lanes.turn(Lane.ACTION):
        pass
