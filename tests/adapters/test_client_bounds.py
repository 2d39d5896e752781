"""Answers in the API server's place that mean no good: bounded, never unpacked, and told for what they are.

An aggregated API such as the metrics API, a kubelet's log and an admission webhook's words come through it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from kiro_operator import ports
from kiro_operator.adapters.kubernetes import client as client_module
from kiro_operator.adapters.kubernetes import informer as informer_module
from kiro_operator.adapters.kubernetes.access import ClusterAccess
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.adapters.kubernetes.config_changes import ConfigChanges
from kiro_operator.adapters.kubernetes.informer import Informer
from kiro_operator.adapters.kubernetes.nodes import ClusterNodes
from kiro_operator.adapters.kubernetes.pod_metrics import PodMetrics
from kiro_operator.adapters.kubernetes.store import Store
from kiro_operator.adapters.kubernetes.watches import KINDS
from kiro_operator.core.checks.responsiveness.recent_configuration_changes import (
    RecentConfigurationChangesParameters,
)
from kiro_operator.core.objects import Pod
from kiro_operator.core.snapshot import Source, Unobserved
from tests.harness import raw
from tests.harness.raw import Raw, Serve, http

from .helpers import facts, poll

LIMIT = 1_000_000
BOMB = gzip.compress(bytes(50_000_000))
Ask = Callable[[Client], Awaitable[bytes]]


Meet = Callable[[Serve | bytes], Awaitable[tuple[Client, Raw]]]


@pytest_asyncio.fixture
async def meet(client_of: Callable[[str], Client]) -> AsyncIterator[Meet]:
    """Makes clients of servers that answer as the test wants."""
    async with raw.servers() as start:

        async def make(serve: Serve | bytes) -> tuple[Client, Raw]:
            server = await start(serve)
            return client_of(f"http://127.0.0.1:{server.port}"), server

        yield make


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIST", "OBJECT", "LOG"):
        monkeypatch.setattr(client_module, name, LIMIT)
    monkeypatch.setattr(client_module, "REQUEST_TIMEOUT", 5.0)


ASKED: dict[str, Ask] = {
    "get": lambda client: client.get("/x"),
    "metadata": lambda client: client.get_metadata("/x"),
    "log": lambda client: client.get_text("/x"),
    "create": lambda client: client.create("/x", {}),
    "patch": lambda client: client.merge_patch("/x", {}),
    "lease": lambda client: client.put_lease("/x", {}),
    "delete": lambda client: client.delete("/x"),
}
each = pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)


async def asked(meet: Meet, serve: Serve | bytes, ask: Ask) -> bytes:
    client, _ = await meet(serve)
    return await ask(client)


@each
async def test_an_answer_without_an_end(meet: Meet, ask: Ask) -> None:
    with pytest.raises(ports.AnswerTooLarge, match="larger than 10"):
        await asked(meet, raw.pour, ask)


@each
async def test_an_error_without_an_end(meet: Meet, ask: Ask) -> None:
    async def serve(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65_536)
            await writer.drain()

    with pytest.raises(ports.Forbidden):
        await asked(meet, serve, ask)


async def test_exactly_as_much_as_may_be_kept(meet: Meet) -> None:
    body = b"x" * LIMIT
    assert await asked(meet, http(body), ASKED["get"]) == body
    with pytest.raises(ports.AnswerTooLarge):
        await asked(meet, http(body + b"x"), ASKED["get"])
    slack = client_module.SLACK

    def log(client: Client) -> Awaitable[bytes]:
        return client.get_text("/x", limitBytes="100")

    assert await asked(meet, http(b"x" * (100 + slack)), log) == b"x" * (100 + slack)
    with pytest.raises(ports.AnswerTooLarge):
        await asked(meet, http(b"x" * (101 + slack)), log)


async def test_nothing_is_unpacked(meet: Meet) -> None:
    bomb = http(BOMB, "200 OK", "Content-Encoding: gzip")
    assert await asked(meet, bomb, ASKED["get"]) == BOMB
    with pytest.raises(ports.Unreachable, match="503"):
        await asked(meet, http(BOMB, "503 No", "Content-Encoding: gzip"), ASKED["get"])


async def test_an_answer_that_drips_ends(meet: Meet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "REQUEST_TIMEOUT", 0.5)
    for serve in (raw.drip, raw.dripping_headers, raw.silent):
        with pytest.raises(ports.Unreachable, match="Timeout"):
            await asked(meet, serve, ASKED["get"])


HOSTILE: dict[str, tuple[Serve | bytes, str]] = {
    "without an end": (raw.pour, "AnswerTooLarge"),
    "bomb": (http(BOMB, "200 OK", "Content-Encoding: gzip"), "MalformedAnswer"),
    "deep": (http(b'{"x":' + b"[" * 400_000), "MalformedAnswer"),
    "deep items": (http(b'{"items":[{"metadata":' + b'{"a":' * 100_000), "MalformedAnswer"),
    "not UTF-8": (http(b'{"items":[{"metadata":{"name":"\xff"}}]}'), "MalformedAnswer"),
    "something else": (http(b"<html>log in</html>", "200 OK", "Content-Type: text/html"), "MalformedAnswer"),
    "redirect": (http(b"", "302 Found", "Location: http://169.254.169.254/"), "Refused"),
}


@pytest.mark.parametrize(("serve", "reason"), HOSTILE.values(), ids=HOSTILE)
async def test_sources_say_why(meet: Meet, serve: Serve | bytes, reason: str) -> None:
    client, server = await meet(serve)
    request = poll(facts("kiro"), RecentConfigurationChangesParameters())
    for source in (
        PodMetrics(client),
        ClusterNodes(client, frozenset({"kiro"})),
        ConfigChanges(client),
        ClusterAccess(client, frozenset({"kiro"})),
    ):
        sample: Any = await source.observe(request)
        assert isinstance(sample, Unobserved), source
        assert sample.reason == reason, source
        assert str(server.port) not in sample.message


# --- watches --------------------------------------------------------------------------------------


def page(**more: Any) -> bytes:
    return json.dumps({"metadata": {"resourceVersion": "1"}, "items": [], **more}).encode()


class Watched:
    """An informer of pods, and what it meets."""

    def __init__(self, client: Client) -> None:
        self.synced = asyncio.Event()
        self.troubles: asyncio.Queue[Exception] = asyncio.Queue()
        store: Store[Pod] = Store(lambda *_: None)
        self.informer: Informer[Pod] = Informer(
            client,
            KINDS[Source.PODS],
            store,
            namespace="kiro",
            covers=lambda: frozenset({"kiro"}),
            on_synced=self.synced.set,
            on_trouble=self.troubles.put_nowait,
        )


async def line_without_an_end(writer: asyncio.StreamWriter) -> None:
    writer.write(http(b"", "200 OK", length=False))
    while not writer.is_closing():
        writer.write(b"[" * 65_536)
        await writer.drain()


@pytest.mark.parametrize(
    ("listing", "watch", "trouble"),
    [
        (raw.pour, None, ports.AnswerTooLarge),
        (http(BOMB, "200 OK", "Content-Encoding: gzip"), None, msgspec.DecodeError),
        (http(b'{"x":' + b"[" * 400_000), None, RecursionError),
        (http(b'{"metadata":{"resourceVersion":"\xff"}}'), None, UnicodeDecodeError),
        (None, line_without_an_end, ports.AnswerTooLarge),
        (
            None,
            http(BOMB + b"\n", "200 OK", "Content-Encoding: gzip", length=False),
            msgspec.DecodeError,
        ),
        (None, http(b'{"type":"ADDED","object":' + b"[" * 400_000 + b"\n", length=False), RecursionError),
        (None, http(b"", "302 Found", "Location: http://169.254.169.254/"), ports.ApiError),
        (None, http(b"no", "500 No"), ports.Unreachable),
    ],
)
async def test_a_watch_goes_on_afterwards(
    meet: Meet,
    monkeypatch: pytest.MonkeyPatch,
    listing: Serve | bytes | None,
    watch: Serve | bytes | None,
    trouble: type[Exception],
) -> None:
    monkeypatch.setattr(informer_module, "BACKOFF", (0.01, 0.01))
    monkeypatch.setattr(informer_module, "LINE", LIMIT)
    again = asyncio.Event()
    hostile = {"list": listing, "watch": watch}

    async def serve(writer: asyncio.StreamWriter) -> None:
        kind = "watch" if b"watch=1" in server.requests[-1] else "list"
        if kind == "watch" and not any(hostile.values()):
            again.set()
        given = hostile[kind] or (http(page()) if kind == "list" else raw.silent)
        await (raw.sends(given) if isinstance(given, bytes) else given)(writer)

    client, server = await meet(serve)
    watched = Watched(client)
    running = asyncio.create_task(watched.informer.run())
    try:
        async with asyncio.timeout(20):
            met = await watched.troubles.get()
            assert isinstance(met, trouble)
            hostile.update(list=None, watch=None)
            await watched.synced.wait()
            await again.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_what_is_malformed_is_what_msgspec_raises() -> None:
    for body in (b"", b"\xff", b'"\xff"', b"[" * 400_000):
        with pytest.raises(MALFORMED):
            msgspec.json.decode(body)
