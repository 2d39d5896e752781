"""Alarms, and turns that are spread and stay where they are."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.reconcile.scheduler import Alarms, until_turn


async def test_an_alarm_rings_once_and_the_last_word_counts() -> None:
    rung: asyncio.Queue[str] = asyncio.Queue()
    alarms: Alarms[str] = Alarms(rung.put_nowait)
    alarms.set("a", 3600)
    alarms.set("a", 0.01)
    alarms.set("never", 0.01)
    alarms.cancel("never")
    alarms.cancel("unknown")
    assert alarms.waiting("a")
    assert len(alarms) == 1

    async with asyncio.timeout(2):
        assert await rung.get() == "a"
    assert not alarms.waiting("a")
    assert len(alarms) == 0
    alarms.set("after", -5.0)
    async with asyncio.timeout(2):
        assert await rung.get() == "after"
    assert rung.empty()


async def test_an_alarm_can_be_set_anew_while_it_rings() -> None:
    alarms: Alarms[str] = Alarms(lambda key: alarms.set(key, 3600))
    alarms.set("a", 0.0)
    async with asyncio.timeout(2):
        while True:
            await asyncio.sleep(0)
            if alarms._alarms["a"].when() > asyncio.get_running_loop().time() + 60:
                break
    alarms.cancel("a")


@given(st.text(max_size=60), st.floats(1, 86_400), st.floats(0, 1e7))
def test_the_next_turn_lies_ahead_within_one_interval(name: str, interval: float, now: float) -> None:
    wait = until_turn(name, interval, now)

    assert 0 < wait <= interval
    # At that turn, or a little late, the one after it is an interval on: no turn is taken twice.
    again = until_turn(name, interval, now + wait + 0.0005 * interval)
    assert 0.99 * interval <= again <= interval


@given(st.text(max_size=60), st.integers(0, 1000))
def test_a_restart_changes_no_turn(name: str, seconds: int) -> None:
    turn = until_turn(name, 60.0, 0.0)
    expected = (turn - seconds) % 60.0
    wait = until_turn(name, 60.0, float(seconds))
    assert min(abs(wait - expected), abs(wait - expected - 60.0)) < 0.1


def test_a_thousand_names_are_spread_over_the_interval() -> None:
    tenths = [0] * 10
    for number in range(1000):
        tenths[int(until_turn(f"namespace-{number}/kiro/service-logs", 60.0, 0.0) / 60.0 * 9.999)] += 1
    assert max(tenths) < 160
    assert min(tenths) > 50
