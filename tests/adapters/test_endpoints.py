"""Endpoints that misbehave: the sample comes in time, whatever they do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from devcluster.listen import Answer, Server
from kiro_operator.adapters.http.endpoints import LARGEST, Endpoints
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.network.connections import Dns, Fixed
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.evidence.reachability import Reached
from kiro_operator.core.snapshot import Unobserved

from .helpers import facts, poll


def spec(*endpoints: dict[str, Any]) -> KiroHealthCheckSpec:
    return KiroHealthCheckSpec.model_validate({"autonomy": {"endpoints": list(endpoints)}})


def service(name: str) -> dict[str, Any]:
    return {"name": name, "service": {"name": name, "port": 80}}


async def sample(
    fetcher: Fetcher, body: KiroHealthCheckSpec, interval: timedelta = timedelta(seconds=30)
) -> dict[str, str]:
    found = await Endpoints(fetcher).observe(poll(facts("kiro"), spec=body, interval=interval))
    await fetcher.close()
    assert not isinstance(found, Unobserved)
    assert [item.name for item in found] == sorted(item.name for item in found)
    assert all(isinstance(item, Reached) for item in found)
    return {item.name: item.missing.reason if item.missing else "" for item in found}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200),
        Answer(401),
        Answer(503),
        Answer(302, headers={"Location": "http://169.254.169.254/latest"}),
        Answer(200, b"x" * (LARGEST + 1)),
    ],
    ids=lambda answer: str(answer.status),
)
async def test_any_answer_is_one(answer: Answer) -> None:
    with Server(lambda _: answer) as server:
        fetcher = Fetcher(Fixed({"a.kiro:80": server.address}))
        assert await sample(fetcher, spec(service("a"))) == {"a": ""}
        assert len(server.requests) == 1


async def test_all_that_hang_are_told_within_the_budget() -> None:
    names = [f"n{number:02}" for number in range(16)]
    with Server() as server:
        server.break_with("hang")
        fetcher = Fetcher(Fixed({f"{name}.kiro:80": server.address for name in names}))
        started = asyncio.get_running_loop().time()
        found = await sample(fetcher, spec(*map(service, names)), timedelta(seconds=5))
        assert asyncio.get_running_loop().time() - started < 5
    assert found == dict.fromkeys(names, "Timeout")


async def test_one_that_resets_holds_up_no_other() -> None:
    with Server() as good, Server() as bad:
        bad.break_with("reset")
        fetcher = Fetcher(Fixed({"a.kiro:80": bad.address, "b.kiro:80": good.address}))
        assert await sample(fetcher, spec(service("b"), service("a"))) == {"a": "Unreachable", "b": ""}


async def test_addresses_that_nobody_may_reach_through_the_operator() -> None:
    fetcher = Fetcher(Dns(), frozenset({"169.254.169.254:80", "localhost:80"}))
    body = spec(
        {"name": "metadata", "host": "169.254.169.254:80"},
        {"name": "mine", "host": "localhost:80"},
        {"name": "other", "host": "example.com:80"},
    )
    assert await sample(fetcher, body) == {
        "metadata": "AddressForbidden",
        "mine": "AddressForbidden",
        "other": "HostNotAllowed",
    }
