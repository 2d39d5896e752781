"""Whoever was slow the last time waits among the slow."""

from __future__ import annotations

import asyncio

import pytest

from kiro_operator.adapters import places
from kiro_operator.adapters.places import Places


async def hold(where: Places, key: str, *, until: asyncio.Event, held: list[str]) -> None:
    async with where.place(key):
        held.append(key)
        await until.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_known_to_hang_takes_no_place_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "SLOW", -1.0)  # however quick, it counts as slow
    where, never = Places(quick=2, slow=1), asyncio.Event()
    for number in range(3):
        async with where.place(f"hung-{number}"):
            pass
    held: list[str] = []
    keys = ["hung-0", "hung-1", "hung-2", "one", "two", "three"]
    tasks = [asyncio.create_task(hold(where, key, until=never, held=held)) for key in keys]
    await settle()
    assert held == ["hung-0", "one", "two"]
    never.set()
    await asyncio.gather(*tasks)
    assert sorted(held) == sorted(keys)


async def test_what_has_become_quick_is_no_longer_among_the_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    where, never = Places(quick=1, slow=1), asyncio.Event()
    monkeypatch.setattr(places, "SLOW", -1.0)
    async with where.place("mended"):
        pass
    monkeypatch.setattr(places, "SLOW", 60.0)
    async with where.place("mended"):
        pass
    held: list[str] = []
    tasks = [asyncio.create_task(hold(where, key, until=never, held=held)) for key in ("mended", "other")]
    await settle()
    assert held == ["mended"]
    never.set()
    await asyncio.gather(*tasks)


async def test_the_slow_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "SLOW", -1.0)
    monkeypatch.setattr(places, "REMEMBERED", 2)
    where, never = Places(quick=1, slow=2), asyncio.Event()
    for key in ("first", "second", "third"):
        async with where.place(key):
            pass
    held: list[str] = []
    tasks = [
        asyncio.create_task(hold(where, key, until=never, held=held))
        for key in ("first", "new", "second", "third")
    ]
    await settle()
    assert held == ["first", "second", "third"]
    never.set()
    await asyncio.gather(*tasks)
