"""The work queue: what is asked for is worked, once, one at a time, the urgent first."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kiro_operator.ports import LEFT_ALONE
from kiro_operator.reconcile import queue
from kiro_operator.reconcile.queue import Urgency, WorkQueue


async def take(work: WorkQueue[str]) -> str:
    async with asyncio.timeout(1):
        return await work.get()


async def test_asking_again_before_it_is_worked_changes_nothing() -> None:
    work: WorkQueue[str] = WorkQueue()
    work.add("a")
    work.add("a")

    assert len(work) == 1
    assert await take(work) == "a"
    work.done("a")
    assert len(work) == 0


async def test_the_urgent_go_first_and_equals_in_order() -> None:
    work: WorkQueue[str] = WorkQueue()
    work.add("later", Urgency.RESYNC)
    work.add("one")
    work.add("two")
    work.add("now", Urgency.FAILURE)
    work.add("later", Urgency.FAILURE)  # has become urgent, behind the one that was first
    work.add("one", Urgency.RESYNC)  # stays as urgent as it was

    assert [await take(work) for _ in range(4)] == ["now", "later", "one", "two"]
    assert len(work) == 0


async def test_a_key_asked_for_while_it_is_worked_is_worked_again_and_not_at_the_same_time() -> None:
    work: WorkQueue[str] = WorkQueue()
    work.add("a")
    await take(work)
    work.add("a", Urgency.RESYNC)
    work.add("a", Urgency.FAILURE)
    work.add("b", Urgency.CHANGE)

    assert len(work) == 1
    work.done("a")
    assert [await take(work), await take(work)] == ["a", "b"]


async def test_get_waits_and_wakes() -> None:
    work: WorkQueue[str] = WorkQueue()
    getting = asyncio.create_task(work.get())
    await asyncio.sleep(0)
    assert not getting.done()
    work.add("a")
    async with asyncio.timeout(1):
        assert await getting == "a"


async def test_failures_wait_longer_each_time_until_one_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "BACKOFF", (8.0, 60.0))
    work: WorkQueue[str] = WorkQueue()

    waits = [work.retry("a") for _ in range(6)]

    for wait, longest in zip(waits, (8, 16, 32, 60, 60, 60), strict=True):
        assert longest / 2 <= wait <= longest
    work.succeeded("a")
    assert work.retry("a") <= 8
    assert work.retry("a", at_least=200.0) == 200.0
    work.forget("a")


async def test_a_server_that_asks_for_a_day_has_minutes() -> None:
    work: WorkQueue[str] = WorkQueue()
    assert work.retry("a", at_least=86400.0) == LEFT_ALONE
    work.forget("a")


async def test_a_retry_comes_by_itself_and_a_forgotten_key_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "BACKOFF", (0.01, 0.01))
    work: WorkQueue[str] = WorkQueue()
    work.retry("gone")
    work.add("gone")
    work.forget("gone")
    work.retry("a")

    assert await take(work) == "a"
    work.done("a")
    assert len(work) == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await work.get()


async def test_whoever_the_server_asks_to_wait_is_not_woken_before() -> None:
    work: WorkQueue[str] = WorkQueue()
    work.add("a")
    await take(work)
    work.retry("a", at_least=0.2)
    work.done("a")
    began = asyncio.get_running_loop().time()
    work.add("a", Urgency.FAILURE)
    work.add("b")

    assert await take(work) == "b"
    assert len(work) == 0
    assert await take(work) == "a"
    assert asyncio.get_running_loop().time() - began >= 0.19
    work.done("a")
    work.add("a")
    assert await take(work) == "a"


async def test_progress_is_told_when_a_key_is_taken_and_when_it_is_done() -> None:
    work: WorkQueue[str] = WorkQueue()
    assert work.last_progress == 0.0
    work.add("a")
    await take(work)
    taken = work.last_progress
    assert taken > 0.0
    work.done("a")
    assert work.last_progress >= taken


class QueueMachine(RuleBasedStateMachine):
    """The queue against a model: which keys are owed a look, and which are being worked."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.queue: WorkQueue[int] = WorkQueue()
        self.owed: dict[int, int] = {}
        self.again: dict[int, int] = {}
        self.working: set[int] = set()

    def teardown(self) -> None:
        self.loop.close()

    @rule(key=st.integers(0, 4), urgency=st.sampled_from(Urgency))
    def add(self, key: int, urgency: Urgency) -> None:
        self.queue.add(key, urgency)
        where = self.again if key in self.working else self.owed
        where[key] = min(urgency, where.get(key, urgency))

    @precondition(lambda self: self.owed)
    @rule()
    def get(self) -> None:
        key = self.loop.run_until_complete(asyncio.wait_for(self.queue.get(), 1))
        assert self.owed[key] == min(self.owed.values())
        assert key not in self.working
        del self.owed[key]
        self.working.add(key)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.loop.run_until_complete(self._done(key))
        self.working.discard(key)
        if key in self.again:
            self.owed[key] = self.again.pop(key)

    async def _done(self, key: int) -> None:
        self.queue.done(key)

    @rule(key=st.integers(0, 4))
    def forget(self, key: int) -> None:
        self.queue.forget(key)
        self.owed.pop(key, None)
        self.again.pop(key, None)

    @invariant()
    def counts(self) -> None:
        assert len(self.queue) == len(self.owed)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
