"""The informer against the real API server: listing, watching, bookmarks, cuts and versions too old."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from devcluster import ControlPlane
from kiro_operator import ports
from kiro_operator.adapters.kubernetes import informer
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.informer import Informer, Kind
from kiro_operator.adapters.kubernetes.store import Store
from kiro_operator.adapters.kubernetes.watches import KINDS
from kiro_operator.core.objects import Deployment, Service
from kiro_operator.core.snapshot import Source

SERVICES = Kind("/api/v1", "services", Service)


class Watched:
    """An informer of one namespace's Services, and all that it tells."""

    def __init__(self, client: Any, namespace: str) -> None:
        self.store: Store[Service] = Store(lambda *_: None)
        self.synced = 0
        self.troubles: list[Exception] = []
        self.informer = Informer(
            client,
            SERVICES,
            self.store,
            namespace=namespace,
            covers=lambda: frozenset({namespace}),
            on_synced=self._synced,
            on_trouble=self.troubles.append,
        )
        self._namespace = namespace

    def _synced(self) -> None:
        self.synced += 1

    def names(self) -> list[str]:
        return sorted(item.metadata.name for item in self.store.all(self._namespace))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.informer.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a bounded wait for a condition
            await asyncio.sleep(0.01)


def service(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}


@pytest.fixture
def services(control_plane: ControlPlane, namespace: str) -> Callable[[str, str], None]:
    path = f"/api/v1/namespaces/{namespace}/services"

    def change(verb: str, name: str) -> None:
        if verb == "create":
            control_plane.rest.post(path, service(name))
        else:
            control_plane.rest.delete(f"{path}/{name}")

    return change


async def test_what_comes_and_goes_is_followed(
    client: Client, namespace: str, services: Callable[[str, str], None]
) -> None:
    services("create", "a")
    watched = Watched(client, namespace)
    async with watched.running():
        await until(lambda: watched.synced == 1)
        assert watched.names() == ["a"]
        services("create", "b")
        services("delete", "a")
        await until(lambda: watched.names() == ["b"])
    assert watched.troubles == []
    assert watched.synced == 1


async def test_a_listing_of_many_pages_is_one_listing(
    client: Client, namespace: str, services: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informer, "PAGE", 2)
    for name in "abcde":
        services("create", name)
    watched = Watched(client, namespace)
    async with watched.running():
        await until(lambda: watched.synced == 1)
        assert watched.names() == list("abcde")


async def test_a_watch_that_ends_goes_on_where_it_stopped_with_a_bookmark(
    client: Client, namespace: str, services: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server sends a bookmark before it ends a watch; taking it in costs no new listing."""
    monkeypatch.setattr(informer, "WATCH_SPAN", 4.0)
    services("create", "a")
    watched = Watched(client, namespace)
    async with watched.running():
        await until(lambda: watched.synced == 1)
        listed = watched.informer._version
        services("create", "b")
        await until(lambda: watched.names() == ["a", "b"])
        version = watched.informer._version
        assert version != listed
        heard = watched.informer.last_sign_of_life
        await until(lambda: watched.informer.last_sign_of_life != heard, 30)
        services("delete", "a")
        await until(lambda: watched.names() == ["b"])
    assert watched.troubles == []
    assert watched.synced == 1


async def test_a_version_too_old_lists_anew_and_tells_of_deletes(
    client: Client, namespace: str, services: Callable[[str, str], None]
) -> None:
    for name in "abc":
        services("create", name)
    watched = Watched(client, namespace)
    async with watched.running():
        await until(lambda: watched.synced == 1)
    services("delete", "b")
    watched.informer._version = "1"  # long compacted, or older than the watch cache
    async with watched.running():
        await until(lambda: watched.names() == ["a", "c"])


class Scripted:
    """A client whose watches say what a test wrote."""

    def __init__(self, *watches: list[bytes] | Exception) -> None:
        self.watches = list(watches)
        self.lists = 0
        self.asked: list[str] = []
        self.over = asyncio.Event()

    async def get(self, _: str, **__: str) -> bytes:
        self.lists += 1
        return b'{"metadata":{"resourceVersion":"%d"},"items":[]}' % (self.lists * 100)

    @asynccontextmanager
    async def stream(self, _: str, **params: Any) -> AsyncIterator[aiohttp.StreamReader]:
        self.asked.append(params["resourceVersion"])
        if not self.watches:
            self.over.set()
            await asyncio.Event().wait()
        told = self.watches.pop(0)
        if isinstance(told, Exception):
            raise told
        chunks = told

        class Content:
            async def iter_any(self) -> AsyncIterator[bytes]:
                for chunk in chunks:
                    yield chunk

        yield Content()  # type: ignore[misc]


class Paged(Scripted):
    """Has two pages, and answers for the second what a test wrote."""

    def __init__(self, *second: Exception) -> None:
        super().__init__()
        self.second = list(second)

    async def get(self, _: str, **params: str) -> bytes:
        if "continue" not in params:
            self.lists += 1
            return b'{"metadata":{"resourceVersion":"100","continue":"2"},"items":[]}'
        if not self.second:
            self.over.set()
            await asyncio.Event().wait()
        raise self.second.pop(0)


def event(kind: str, name: str, version: int) -> bytes:
    body = {"metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": str(version)}}
    return msgspec.json.encode({"type": kind, "object": body}) + b"\n"


BOOKMARK = b'{"type":"BOOKMARK","object":{"kind":"Service","metadata":{"resourceVersion":"150"}}}\n'
EXPIRED = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'


async def run(scripted: Scripted) -> Watched:
    watched = Watched(scripted, "n")
    async with watched.running():
        async with asyncio.timeout(20):
            await scripted.over.wait()
    return watched


async def test_lines_may_be_cut_anywhere() -> None:
    lines = event("ADDED", "a", 101) + event("ADDED", "b", 102) + BOOKMARK
    scripted = Scripted([lines[n : n + 7] for n in range(0, len(lines), 7)])
    watched = await run(scripted)
    assert watched.names() == ["a", "b"]
    assert scripted.asked == ["100", "150"]
    assert scripted.lists == 1


@pytest.mark.parametrize(
    "gone", [ports.Gone(410, "Expired", "too old"), [EXPIRED]], ids=["as the answer", "in the stream"]
)
async def test_gone_is_told_in_two_ways_and_both_list_anew(gone: Any) -> None:
    scripted = Scripted([event("ADDED", "a", 101)], gone)
    watched = await run(scripted)
    assert scripted.lists == 2
    assert scripted.asked == ["100", "101", "200"]
    assert watched.names() == []
    assert watched.troubles == []


async def test_what_cannot_be_reached_is_asked_again_from_where_it_stopped() -> None:
    scripted = Scripted([event("ADDED", "a", 101)], ports.Unreachable("cut"), [event("DELETED", "a", 102)])
    watched = await run(scripted)
    assert scripted.lists == 1
    assert scripted.asked == ["100", "101", "101", "102"]
    assert [type(trouble) for trouble in watched.troubles] == [ports.Unreachable]
    assert watched.names() == []


async def test_what_cannot_be_read_is_listed_anew() -> None:
    scripted = Scripted([b'{"type":"ADDED","object":{"metadata":{}}}\n'])
    await run(scripted)
    assert scripted.lists == 2


def test_the_wait_grows_is_bounded_and_respects_the_server() -> None:
    waits = [informer._wait(attempt, ports.Unreachable("")) for attempt in range(1, 15)]
    assert waits[0] <= 0.05
    assert all(wait <= 30.0 for wait in waits)
    assert waits[-1] >= 15.0
    throttled = ports.TooManyRequests(429, "", "", retry_after=45.0)
    assert informer._wait(1, throttled) == 45.0
    assert informer._wait(1, ports.TooManyRequests(429, "", "", retry_after=86400.0)) == ports.LEFT_ALONE


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """After how many attempts the informer has waited, each time; it goes on at once."""
    waited: list[int] = []

    def wait(attempt: int, _: Exception | None = None) -> float:
        waited.append(attempt)
        return 0.0

    monkeypatch.setattr(informer, "_wait", wait)
    return waited


GONE = ports.Gone(410, "Expired", "too old")
BROKEN = b'{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError","message":"no"}}\n'


async def test_a_listing_that_never_comes_to_its_end_is_no_sign_of_life(waits: list[int]) -> None:
    scripted = Paged(*[ports.Unreachable("timeout")] * 5)
    watched = await run(scripted)
    assert waits == [1, 2, 3, 4, 5]
    assert scripted.lists == 6
    assert watched.informer.last_sign_of_life is None


async def test_a_watch_that_tells_of_errors_alone_is_no_sign_of_life(waits: list[int]) -> None:
    watched = Watched(scripted := Scripted(*[[BROKEN]] * 5), "n")
    async with watched.running():
        await until(lambda: watched.synced == 1)
        listed = watched.informer.last_sign_of_life
        await until(scripted.over.is_set)
    assert waits == [1, 2, 3, 4, 5]
    assert scripted.lists == 1
    assert watched.informer.last_sign_of_life == listed


@pytest.mark.parametrize(
    ("scripted", "expected"),
    [
        (lambda: Scripted(*[[]] * 6), [1, 2, 3, 4]),
        (lambda: Scripted(*[GONE] * 6), [1, 2, 3, 4]),
        (lambda: Scripted(*[[EXPIRED]] * 6), [1, 2, 3, 4]),
        (lambda: Paged(*[GONE] * 6), [1, 2, 3, 4]),
        (lambda: Scripted(*[[b"{}\n"]] * 6), [1, 2, 3, 4, 5, 6]),
    ],
    ids=["ends", "too old", "too old in the stream", "too old from page to page", "unreadable"],
)
async def test_what_comes_to_nothing_again_and_again_waits_longer_each_time(
    scripted: Callable[[], Scripted], expected: list[int], waits: list[int]
) -> None:
    await run(scripted())
    assert waits == expected


@pytest.mark.parametrize("gone", [GONE, [EXPIRED]], ids=["as the answer", "in the stream"])
async def test_a_watch_that_ends_and_is_too_old_now_and_then_goes_on_at_once(
    gone: Any, waits: list[int]
) -> None:
    rounds = [[[event("ADDED", "a", 101 + number)], gone] for number in range(4)]
    scripted = Scripted(*(told for each in rounds for told in each))
    await run(scripted)
    assert waits == []
    assert scripted.lists == 5


async def test_a_watch_that_stood_in_quiet_and_ends_goes_on_at_once(
    waits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informer, "STOOD", 0.0)
    await run(Scripted(*[[]] * 4, [EXPIRED], [], [EXPIRED]))
    assert waits == []


async def test_no_time_that_somebody_made_up_hides_all_others(
    client: Client, control_plane: ControlPlane, namespace: str
) -> None:
    """Whoever may write an object may write the times of its managers; the API server knows a year zero."""
    made = {
        "metadata": {"name": "odd"},
        "spec": {
            "selector": {"matchLabels": {"app": "odd"}},
            "template": {
                "metadata": {"labels": {"app": "odd"}},
                "spec": {"containers": [{"name": "odd", "image": "odd:1"}]},
            },
        },
    }
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    control_plane.rest.post(path, made)
    entry = {
        "manager": "odd",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": "0000-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    kept = control_plane.rest.patch(f"{path}/odd", {"metadata": {"managedFields": [entry]}})
    assert entry["time"] in [item["time"] for item in kept["metadata"]["managedFields"]]

    store: Store[Deployment] = Store(lambda *_: None)
    troubles: list[Exception] = []
    deployments = Informer(
        client,
        KINDS[Source.DEPLOYMENTS],
        store,
        namespace=namespace,
        covers=lambda: frozenset({namespace}),
        on_synced=lambda: None,
        on_trouble=troubles.append,
    )
    task = asyncio.create_task(deployments.run())
    try:
        await until(lambda: bool(troubles) or bool(list(store.all(namespace))))
    finally:
        task.cancel()

    assert troubles == []
    [found] = store.all(namespace)
    assert [field.time for field in found.metadata.managed_fields if field.manager == "odd"] == [None]
