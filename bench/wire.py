"""The bench's own client: raw aiohttp, the peer that the operator is held against."""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from devcluster.kubeconfig import Access

MERGE_PATCH = "application/merge-patch+json"


class Meta(Struct, rename="camel"):
    """Metadata of what is watched."""

    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None


class Condition(Struct):
    """A condition."""

    type: str
    status: str


class Status(Struct):
    """A status: conditions, or the state of a KiroRemediation."""

    conditions: list[Condition] = []
    state: str = ""


class Named(Struct):
    """A reference to an object."""

    name: str


class Spec(Struct, rename="camel"):
    """What is read of the specs of KiroRemediations and Leases."""

    target: Named | None = None
    holder_identity: str | None = None


class Seen(Struct):
    """An object as the bench sees it."""

    metadata: Meta
    spec: Spec = msgspec.field(default_factory=Spec)
    status: Status = msgspec.field(default_factory=Status)

    def condition(self, kind: str) -> str:
        """Status of the condition of that type; empty when there is none."""
        return next((each.status for each in self.status.conditions if each.type == kind), "")


class Change(Struct):
    """An event of a watch, and when its bytes were there."""

    type: str
    object: Seen
    at: float = 0.0


class _List(Struct):
    metadata: Meta


Wanted = Callable[[Change], bool]
"""What is waited for."""


def named(name: str) -> Wanted:
    """Anything that happens to the object of that name."""
    return lambda change: change.object.metadata.name == name


def unhealthy(namespace: str, name: str = "") -> Wanted:
    """A KiroHealthCheck of the namespace, by name or any, turns to Healthy=False."""
    return lambda change: _is(change, namespace, name) and change.object.condition("Healthy") == "False"


def healthy(namespace: str, name: str = "") -> Wanted:
    """A KiroHealthCheck of the namespace, by name or any, is Healthy=True."""
    return lambda change: _is(change, namespace, name) and change.object.condition("Healthy") == "True"


def leaving(name: str) -> Wanted:
    """The pod of that name has been evicted, or is gone."""
    return lambda change: (
        change.object.metadata.name == name
        and (change.object.metadata.deletion_timestamp is not None or change.type == "DELETED")
    )


def verifying(namespace: str, app: str) -> Wanted:
    """The KiroRemediation of that workload has been carried out."""
    return lambda change: (
        change.object.metadata.namespace == namespace
        and change.object.spec.target is not None
        and change.object.spec.target.name == app
        and change.object.status.state == "Verifying"
    )


def _is(change: Change, namespace: str, name: str) -> bool:
    metadata = change.object.metadata
    return metadata.namespace == namespace and name in {"", metadata.name}


class Watch:
    """A watch whose events can be waited for, and looked through later."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._waiting: list[tuple[Wanted, asyncio.Future[Change]]] = []
        self._change = msgspec.json.Decoder(Change)
        self.task: asyncio.Task[None]

    def feed(self, line: bytes, at: float) -> None:
        """Take in one line of the stream."""
        change = self._change.decode(line)
        change.at = at
        self.changes.append(change)
        for wanted, future in self._waiting:
            if not future.done() and wanted(change):
                future.set_result(change)
        self._waiting = [pair for pair in self._waiting if not pair[1].done()]

    def expect(self, wanted: Wanted) -> asyncio.Future[Change]:
        """The first event from now on that is as wanted."""
        future: asyncio.Future[Change] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, future))
        return future

    async def stop(self) -> None:
        """End the stream."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Wire:
    """Requests and watches as the administrator."""

    def __init__(self, access: Access) -> None:
        context = ssl.create_default_context(cafile=str(access.ca))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if access.client:
            context.load_cert_chain(access.client.cert, access.client.key)
        self._server = access.server
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, ssl=context, keepalive_timeout=120),
            headers={"Accept-Encoding": "identity", "Accept": "application/json"},
            read_bufsize=256 * 1024,
            timeout=aiohttp.ClientTimeout(total=None, sock_read=600),
        )
        self._watches: list[Watch] = []

    async def close(self) -> None:
        """End all watches and connections."""
        for watch in self._watches:
            await watch.stop()
        await self._session.close()

    async def patch(self, path: str, body: Any) -> float:
        """Send a merge patch; returns when its sending began."""
        data = msgspec.json.encode(body)
        sent = time.perf_counter()
        async with self._session.patch(
            self._server + path, data=data, headers={"Content-Type": MERGE_PATCH}
        ) as response:
            content = await response.read()
        if response.status >= 300:
            raise RuntimeError(f"{path}: {response.status} {content[:300]!r}")
        return sent

    async def watch(self, path: str) -> Watch:
        """Watch a collection from now on."""
        async with self._session.get(self._server + path, params={"limit": "1"}) as response:
            version = msgspec.json.decode(await response.read(), type=_List).metadata.resource_version
        watch = Watch()
        watch.task = asyncio.create_task(self._follow(watch, path, version))
        self._watches.append(watch)
        await asyncio.sleep(0.1)
        return watch

    async def _follow(self, watch: Watch, path: str, version: str) -> None:
        params = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "3600"}
        rest = b""
        async with self._session.get(self._server + path, params=params) as response:
            async for chunk in response.content.iter_any():
                at = time.perf_counter()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line:
                        watch.feed(line, at)
