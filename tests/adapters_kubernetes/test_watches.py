"""Which namespaces are watched as they come and go: nothing passes for seen that nobody looks at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from kiro_operator import ports
from kiro_operator.adapters.kubernetes import watches
from kiro_operator.adapters.kubernetes.watches import KindWatches, Watches
from kiro_operator.core.snapshot import Source

PODS = "/api/v1/pods"


def pods_of(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


EXPIRED = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'


class Silent:
    """A watch that says nothing until it is told to end as too old."""

    def __init__(self, end: asyncio.Event) -> None:
        self._end = end

    async def iter_any(self) -> AsyncIterator[bytes]:
        await self._end.wait()
        yield EXPIRED


class Cluster:
    """A client of a cluster with one pod in each namespace, whose watches are silent until they are told."""

    def __init__(self, *namespaces: str) -> None:
        self.namespaces = list(namespaces)
        self.listed: list[str] = []
        self.held: set[str] = set()
        """Paths whose listing is under way until they are taken out."""
        self.refusals: dict[str, list[Exception]] = {}
        """What a path answers instead, one listing after the other."""
        self.ends: dict[str, asyncio.Event] = {}
        """Watches that are open; once set, one ends as too old."""

    async def get(self, path: str, **_: str) -> bytes:
        if not path.endswith("/pods"):
            return b'{"metadata":{"resourceVersion":"10"},"items":[]}'
        self.listed.append(path)
        while path in self.held:  # noqa: ASYNC110 - what a test lets go
            await asyncio.sleep(0)
        if self.refusals.get(path):
            raise self.refusals[path].pop(0)
        where = [n for n in self.namespaces if path in (PODS, pods_of(n))]
        items = [
            {"metadata": {"name": "p", "namespace": n, "uid": n, "resourceVersion": "5"}, "spec": {}}
            for n in where
        ]
        return msgspec.json.encode({"metadata": {"resourceVersion": "10"}, "items": items})

    @asynccontextmanager
    async def stream(self, path: str, **_: Any) -> AsyncIterator[Silent]:
        end = self.ends[path] = asyncio.Event()
        yield Silent(end)


class Watched:
    """The pods of a cluster, as they are watched."""

    def __init__(self, all_kinds: Watches) -> None:
        self._all = all_kinds
        self.kind: KindWatches[Any] = all_kinds.kinds[Source.PODS]

    def follow(self, namespaces: Iterable[str]) -> None:
        self._all.follow(frozenset(namespaces))

    def seen(self, namespace: str) -> list[str] | str:
        """The names of the pods there, or the reason why they cannot be seen."""
        unobserved = self._all.unobserved(Source.PODS, namespace)
        return unobserved.reason if unobserved else self.kept(namespace)

    def kept(self, namespace: str) -> list[str]:
        return [item.metadata.name for item in self.kind.store.all(namespace)]

    def open(self) -> list[str | None]:
        """The namespace of each watch; None for the whole cluster."""
        return sorted((watch.namespace for watch in self.kind._watches), key=str)


@asynccontextmanager
async def watching(cluster: Cluster, *, limit: int = 2) -> AsyncIterator[Watched]:
    made = Watches(
        cluster,  # type: ignore[arg-type]
        limit=limit,
        stale_after=90.0,
        on_change=lambda *_: None,
        on_synced=lambda *_: None,
    )
    try:
        yield Watched(made)
    finally:
        await made.stop()


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a bounded wait for a condition
            await asyncio.sleep(0)


async def test_a_namespace_that_comes_back_to_a_cluster_wide_watch_is_listed_anew() -> None:
    cluster = Cluster(*"abc")
    async with watching(cluster) as watched:
        watched.follow("abc")
        await until(lambda: watched.seen("c") == ["p"])
        watched.follow("ab")
        assert watched.kept("c") == []

        watched.follow("abc")
        assert watched.seen("c") == "NotSynced"
        await until(lambda: watched.seen("c") == ["p"])
        assert cluster.listed == [PODS, pods_of("c")]
        assert [watched.seen(namespace) for namespace in "ab"] == [["p"], ["p"]]


async def test_what_leaves_during_the_listing_of_the_cluster_is_not_kept() -> None:
    cluster = Cluster(*"abc")
    cluster.held.add(PODS)
    async with watching(cluster) as watched:
        watched.follow("abc")
        await until(lambda: cluster.listed == [PODS])
        watched.follow("ab")
        cluster.held.clear()
        await until(lambda: watched.seen("a") == ["p"])
        assert watched.kept("c") == []
        assert watched.seen("c") == "NotSynced"


async def test_a_namespace_that_was_watched_by_itself_is_forgotten_when_it_leaves() -> None:
    async with watching(Cluster(*"ab")) as watched:
        watched.follow("ab")
        await until(lambda: watched.seen("b") == ["p"])
        watched.follow("a")
        assert watched.open() == ["a"]
        assert watched.kept("b") == []


@pytest.mark.parametrize(
    ("later", "left"),
    [("d", [None, "d"]), ("defg", [None])],
    ids=["one more", "too many to watch one by one"],
)
async def test_what_comes_while_the_cluster_is_listed_keeps_its_watch(
    later: str, left: list[str | None]
) -> None:
    cluster = Cluster(*"abc", *later)
    cluster.held |= {PODS, *(pods_of(namespace) for namespace in later)}
    async with watching(cluster) as watched:
        watched.follow("abc")
        await until(lambda: cluster.listed == [PODS])
        watched.follow("abc" + later)
        await until(lambda: len(cluster.listed) == 2)
        cluster.held.discard(PODS)
        await until(lambda: watched.seen("a") == ["p"])
        cluster.held.clear()
        await until(lambda: all(watched.seen(namespace) == ["p"] for namespace in "abc" + later))
        await until(lambda: watched.open() == left)


async def test_a_cluster_that_is_listed_anew_ends_no_watch_beside_it() -> None:
    cluster = Cluster(*"abcd")
    async with watching(cluster) as watched:
        watched.follow("abc")
        await until(lambda: watched.seen("a") == ["p"])
        watched.follow("abcd")
        await until(lambda: watched.seen("d") == ["p"])
        cluster.ends[PODS].set()
        await until(lambda: cluster.listed == [PODS, pods_of("d"), PODS])
        await until(lambda: not cluster.ends[PODS].is_set())
        assert watched.open() == [None, "d"]
        assert watched.seen("d") == ["p"]


async def test_a_cluster_wide_watch_takes_over_from_those_that_it_covers() -> None:
    cluster = Cluster(*"abcd")
    async with watching(cluster) as watched:
        watched.follow("ab")
        await until(lambda: watched.seen("b") == ["p"])
        watched.follow("abcd")
        assert watched.seen("b") == ["p"]  # seen all the time
        await until(lambda: watched.seen("d") == ["p"])
        assert watched.open() == [None]


def refused(status: int) -> ports.Forbidden:
    return ports.Forbidden(status, "", "no")


async def test_a_token_that_is_refused_once_says_nothing_about_rights() -> None:
    cluster = Cluster(*"abc")
    cluster.refusals[PODS] = [refused(401)]
    async with watching(cluster) as watched:
        watched.follow("abc")
        await until(lambda: watched.seen("c") == ["p"])
        assert watched.open() == [None]
        assert cluster.listed == [PODS, PODS]


async def test_a_right_that_was_missing_for_a_while_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "REFUSED", 0.01)
    cluster = Cluster(*"abc")
    cluster.refusals[PODS] = [refused(403)] * 3
    async with watching(cluster) as watched:
        watched.follow("abc")
        await until(lambda: watched.open() == [None] and watched.seen("a") == ["p"])
        assert cluster.listed.count(PODS) == 4
        assert [cluster.listed.count(pods_of(namespace)) for namespace in "abc"] == [1, 1, 1]


async def test_what_is_watched_one_by_one_stays_so_until_the_cluster_may_be() -> None:
    cluster = Cluster(*"abc")
    cluster.refusals[PODS] = [refused(403)] * 2
    async with watching(cluster) as watched:
        watched.follow("abc")
        await until(lambda: all(watched.seen(namespace) == ["p"] for namespace in "abc"))
        watched.follow("abc")
        assert watched.open() == ["a", "b", "c"]  # not at every turn
        cluster.held.add(PODS)
        for attempt in range(2):
            watched.kind._try_cluster_again()
            watched.follow("abc")
            assert watched.open() == [None, "a", "b", "c"]  # one attempt at a time
            assert watched.seen("c") == ["p"]
            if attempt == 0:
                cluster.held.clear()
                await until(lambda: watched.open() == ["a", "b", "c"])
                assert watched.seen("c") == ["p"]
        await until(lambda: watched.open() == [None])
        assert cluster.listed == [PODS, *(pods_of(namespace) for namespace in "abc"), PODS, PODS]
