"""Reserving budget: several at once in one write, and nobody without one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kiro_operator import ports
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import Reservation
from kiro_operator.reconcile.policies import Policies, Policy
from tests.harness.world import enforce
from tests.reconcile.make import Still

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Writes:
    """Stands where the status is written: counts, and fails or hangs on demand."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def merge_patch(self, _path: str, body: Any) -> bytes:
        self.bodies.append(body)
        await self.gate.wait()
        if self.error:
            raise self.error
        return msgspec.json.encode({"metadata": {"resourceVersion": str(len(self.bodies) + 1)}})


def body(limit: int) -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "n", "uid": "u", "generation": 1, "resourceVersion": "1"}
    return {"metadata": metadata, "spec": enforce(budget={"limit": limit, "window": "1h"})}


def reservation(name: str) -> Reservation:
    return Reservation(remediation=name, action=ActionName.RESTART, time=NOW - timedelta(seconds=1))


def made(limit: int) -> tuple[Policies, Policy, Writes]:
    writes = Writes()
    policies = Policies(writes, Still(NOW), Metrics(), lambda _: None)  # type: ignore[arg-type]
    return policies, policies.take(body(limit)), writes


async def begin(policies: Policies, policy: Policy, count: int) -> list[asyncio.Task[str]]:
    tasks = [
        asyncio.create_task(policies.reserve(policy, [reservation(f"r{number}")], []))
        for number in range(count)
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_those_who_wait_are_taken_along_by_one_write() -> None:
    policies, policy, writes = made(limit=20)
    tasks = await begin(policies, policy, 10)
    writes.gate.set()
    assert await asyncio.gather(*tasks) == [""] * 10
    assert len(writes.bodies) <= 2
    names = {item["remediation"] for item in writes.bodies[-1]["status"]["reservations"]}
    assert names == {f"r{number}" for number in range(10)}


async def test_no_more_are_granted_than_the_budget_holds() -> None:
    policies, policy, writes = made(limit=3)
    writes.gate.set()
    tasks = await begin(policies, policy, 10)
    answers = await asyncio.gather(*tasks)
    assert answers.count("") == 3
    assert len(policy.status.reservations) == 3


async def test_an_error_is_everybodys() -> None:
    policies, policy, writes = made(limit=20)
    writes.error = ports.Unreachable("cut")
    tasks = await begin(policies, policy, 5)
    writes.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, ports.Unreachable) for answer in answers)


async def test_whoever_was_taken_along_by_one_that_is_cut_short_reserves_again() -> None:
    policies, policy, writes = made(limit=20)
    first, *others = await begin(policies, policy, 4)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    writes.gate.set()
    assert await asyncio.gather(*others) == [""] * 3
    granted = {item.remediation for item in policy.status.reservations}
    assert {"r1", "r2", "r3"} <= granted


async def test_a_policy_that_changed_meanwhile_grants_nothing() -> None:
    policies, policy, writes = made(limit=20)
    await policy.lock.acquire()
    (task,) = await begin(policies, policy, 1)
    policies.take(body(20) | {"metadata": body(20)["metadata"] | {"generation": 2, "resourceVersion": "2"}})
    policy.lock.release()
    assert await task == "the policy changed meanwhile"
    assert not writes.bodies
