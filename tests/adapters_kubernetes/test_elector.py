"""Electors against the real API server, each with a clock of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from devcluster import ControlPlane
from kiro_operator import ports
from kiro_operator.adapters.clock import SystemClock
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.elector import Elector
from tests.adapters_kubernetes.conftest import FakeClock


def elector(
    client: Any,
    namespace: str,
    identity: str,
    clock: FakeClock,
    *,
    duration: float = 15.0,
    renew_deadline: float = 10.0,
) -> Elector:
    return Elector(
        client,
        namespace=namespace,
        name="lease",
        identity=identity,
        duration=duration,
        renew_deadline=renew_deadline,
        retry_period=0.01,
        clock=clock,
    )


@pytest.fixture
def other_clock() -> FakeClock:
    return FakeClock()


def lease(plane: ControlPlane, namespace: str) -> dict[str, Any]:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/lease"
    return dict(plane.rest.get(path)["spec"])


async def test_the_first_makes_the_lease_and_the_second_waits_until_it_has_run_out(
    client: Client, control_plane: ControlPlane, namespace: str, clock: FakeClock, other_clock: FakeClock
) -> None:
    first, second = elector(client, namespace, "1", clock), elector(client, namespace, "2", other_clock)
    assert await first._try()
    assert first.leading
    assert first.remaining == 10.0
    assert not await second._try()

    other_clock.pass_by(14.9)
    assert not await second._try()
    assert second.remaining == 0.0
    other_clock.pass_by(0.2)
    assert await second._try()
    assert second.leading
    spec = lease(control_plane, namespace)
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("2", 1)
    # The first finds out by the refusal of its renewal, and was not leading by its own clock before.
    assert not await first._try()


async def test_a_renewal_is_noticed_and_starts_the_wait_anew(
    client: Client, namespace: str, clock: FakeClock, other_clock: FakeClock
) -> None:
    first, second = elector(client, namespace, "1", clock), elector(client, namespace, "2", other_clock)
    await first._try()
    await second._try()
    other_clock.pass_by(14.0)
    clock.pass_by(5.0)
    assert await first._try()
    assert not await second._try()
    other_clock.pass_by(14.0)
    assert not await second._try()
    other_clock.pass_by(2.0)
    assert await second._try()


async def test_without_a_renewal_it_may_not_act_before_anybody_else_may(
    client: Client, namespace: str, clock: FakeClock
) -> None:
    only = elector(client, namespace, "1", clock)
    await only._try()
    clock.pass_by(9.9)
    assert only.leading
    clock.pass_by(0.2)
    assert only.remaining == 0.0


async def test_a_wall_clock_that_jumps_changes_nothing(
    client: Client, namespace: str, clock: FakeClock, other_clock: FakeClock
) -> None:
    first, second = elector(client, namespace, "1", clock), elector(client, namespace, "2", other_clock)
    await first._try()
    other_clock.wall = other_clock.wall.replace(year=2036)
    assert not await second._try()
    clock.wall = clock.wall.replace(year=2016)
    assert await first._try()
    assert first.leading
    assert not await second._try()


async def test_a_lease_given_back_is_taken_at_once(
    client: Client, control_plane: ControlPlane, namespace: str, clock: FakeClock, other_clock: FakeClock
) -> None:
    first, second = elector(client, namespace, "1", clock), elector(client, namespace, "2", other_clock)
    await first._try()
    await first.release()
    assert first.remaining == 0.0
    assert await second._try()
    assert lease(control_plane, namespace)["holderIdentity"] == "2"
    await first.release()  # gives nothing back that is not its own
    assert lease(control_plane, namespace)["holderIdentity"] == "2"


async def test_of_many_that_ask_at_once_one_wins(client: Client, namespace: str, clock: FakeClock) -> None:
    electors = [elector(client, namespace, str(number), clock) for number in range(8)]
    assert sum(await asyncio.gather(*(each._try() for each in electors))) == 1
    assert sum(each.leading for each in electors) == 1


async def test_a_lease_that_somebody_deleted_is_made_anew(
    client: Client, control_plane: ControlPlane, namespace: str, clock: FakeClock
) -> None:
    only = elector(client, namespace, "1", clock)
    await only._try()
    control_plane.rest.delete(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/lease")
    assert await only._try() or await only._try()
    assert only.leading
    assert lease(control_plane, namespace)["holderIdentity"] == "1"


async def test_whoever_sees_that_another_leads_leads_no_longer(
    client: Client, control_plane: ControlPlane, namespace: str, clock: FakeClock, other_clock: FakeClock
) -> None:
    """Where somebody deletes the Lease another one makes it at once, before the deadline of the first."""
    first, second = elector(client, namespace, "1", clock), elector(client, namespace, "2", other_clock)
    await first._try()
    control_plane.rest.delete(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/lease")
    assert await second._try()

    # A refusal alone says nothing: the answer to a renewal of its own may have been lost.
    assert not await first._try()
    assert not await first._try()

    assert second.leading
    assert not first.leading


class Alone:
    """An API server that has this one Lease, and nobody in between."""

    def __init__(self) -> None:
        self.lease: bytes | None = None

    async def get(self, _: str) -> bytes:
        if self.lease is None:
            raise ports.NotFound(404, "NotFound", "")
        return self.lease

    async def create(self, _: str, body: Any) -> bytes:
        return await self.put_lease(_, body)

    async def put_lease(self, _: str, body: Any) -> bytes:
        self.lease = msgspec.json.encode(body)
        return self.lease


async def test_two_do_not_lead_for_the_fraction_of_a_second(clock: FakeClock, other_clock: FakeClock) -> None:
    """A Lease has whole seconds: others wait for no less than whoever holds it takes itself to lead."""
    server = Alone()
    first = elector(server, "n", "1", clock, duration=1.4, renew_deadline=1.3)
    second = elector(server, "n", "2", other_clock)
    assert await first._try()
    assert not await second._try()

    for each in (clock, other_clock):
        each.pass_by(1.2)
    assert first.leading
    assert not await second._try()
    other_clock.pass_by(0.9)
    assert await second._try()


class Hanging:
    """An API server that takes the second write and never answers."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.get, self.create = client.get, client.create

    async def put_lease(self, *_: Any) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_renewal_that_hangs_ends_the_leadership_in_time(client: Client, namespace: str) -> None:
    only = Elector(
        Hanging(client),  # type: ignore[arg-type]
        namespace=namespace,
        name="lease",
        identity="1",
        duration=1.5,
        renew_deadline=1.0,
        retry_period=0.1,
        clock=SystemClock(),
    )
    elected = asyncio.Event()
    async with asyncio.timeout(20):
        await only.run(elected.set)
    assert elected.is_set()
    assert not only.leading


class Failing:
    """Not reachable."""

    async def get(self, *_: Any) -> bytes:
        raise ports.Unreachable("no route")


async def test_whoever_cannot_ask_does_not_lead(clock: FakeClock) -> None:
    alone = elector(Failing(), "n", "1", clock)
    assert not await alone._try()
    assert not alone.leading
    await alone.release()
