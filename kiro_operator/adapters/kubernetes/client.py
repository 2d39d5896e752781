"""A thin client of the Kubernetes API: bytes in, bytes out, typed errors.

Decoding is the caller's: each wants its own projection. Nothing is retried here, because only the
caller knows whether a write may be repeated.
"""

import asyncio
import heapq
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Any
from weakref import WeakValueDictionary

import aiohttp
import msgspec
from msgspec import Struct

from kiro_operator import __version__, ports
from kiro_operator.adapters.http.body import bounded
from kiro_operator.adapters.kubernetes.credentials import Credentials
from kiro_operator.core.redact import without_credentials

FIELD_MANAGER = "kiro-operator"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
"""JSON is YAML."""
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
LOGS = 8
"""Logs that are read at once."""
EXECS = 8
"""Commands that run in containers at once."""
EXECS_EACH = 2
"""Of one namespace: commands that hang hold up nobody else's."""
REQUEST_TIMEOUT = 10.0
"""Seconds a request may take."""
LIST = 64 * 1024 * 1024
"""Bytes of an answer to a GET: a page of 500 objects of 130 KB each, which is ten times their usual size."""
OBJECT = 8 * 1024 * 1024
"""Bytes of an answer to a write; etcd keeps objects of up to 1.5 MiB."""
LOG = 4 * 1024 * 1024
"""Bytes of a log where the request does not limit them itself."""
SLACK = 64 * 1024
"""Bytes by which a kubelet may go beyond the limit that it is given."""
ERROR = 256 * 1024
"""Bytes of an error; of one that is longer nothing but its status is told."""
FAREWELL = 0.5
"""Seconds the other side has to answer the end of a websocket."""
_WORDS_LIMIT = 4096
"""Characters of an error's message that are kept."""

MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for an answer that is not what was asked for."""

_DISRUPTION = "DisruptionBudget"
"""The cause by which the API server says that it is no overload that refuses an eviction."""
_BY_STATUS: Mapping[int, type[ports.ApiError]] = {
    401: ports.Forbidden,
    403: ports.Forbidden,
    404: ports.NotFound,
    410: ports.Gone,
    422: ports.Invalid,
    429: ports.TooManyRequests,
}


class Lane(IntEnum):
    """Which requests go first where more are wanted than there are connections."""

    LEASE = 0
    """Without which nothing may be done."""
    CONDITION = 1
    """What users wait for."""
    ACTION = 2
    """What mends."""
    RECORD = 3
    """What tells of it afterwards."""
    LOG = 4
    """Logs have connections of their own: a kubelet that hangs holds up nothing but logs."""


class Lanes:
    """At most so many requests at once, the most urgent first. For one event loop."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._sequence = 0

    @asynccontextmanager
    async def turn(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for a turn, and give it back."""
        if self._free:
            self._free -= 1
        else:
            self._sequence += 1
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (lane, self._sequence, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back()
                raise
        try:
            yield
        finally:
            self._give_back()

    def _give_back(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class _Cause(Struct):
    reason: str = ""


class _Details(Struct):
    retry_after: float | None = msgspec.field(default=None, name="retryAfterSeconds")
    causes: list[_Cause] = []


class _Version(Struct, rename="camel"):
    resource_version: str


class _Versioned(Struct):
    metadata: _Version


class _Status(Struct):
    """metav1.Status, as the server sends it with an error."""

    reason: str = ""
    message: str = ""
    details: _Details | None = None


class Client:
    """Requests to one API server over a bounded pool of connections."""

    def __init__(self, credentials: Credentials, *, connections: int = 16) -> None:
        self._credentials = credentials
        self._lanes = Lanes(connections)
        self._logs = Lanes(LOGS)
        self._execs = Lanes(EXECS)
        self._execs_each: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        context: ssl.SSLContext | bool = credentials.ssl_context() or True
        headers = {"User-Agent": f"kiro-operator/{__version__}", "Accept-Encoding": "identity"}
        self._requests = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections + LOGS, ssl=context, keepalive_timeout=30),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        self._streams = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            middlewares=(_once,),
            # A watch is read as it comes; a small buffer would stop and start the connection all the time.
            read_bufsize=1024 * 1024,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._requests.close()
        await self._streams.close()

    async def get(self, path: str, **params: str) -> bytes:
        """Read an object or a list."""
        return await self._request("GET", path, params=params)

    async def get_text(self, path: str, **params: str) -> bytes:
        """Read what is not JSON, such as a log; of one that is limited, no more than that."""
        most = int(params.get("limitBytes", LOG)) + SLACK
        return await self._request("GET", path, params=params, accept="*/*", lane=Lane.LOG, most=most)

    async def get_metadata(self, path: str, **params: str) -> bytes:
        """List metadata only: names and managers, never contents."""
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        return await self._request("GET", path, params=params, accept=accept)

    async def create(self, path: str, body: Any, lane: Lane = Lane.ACTION) -> bytes:
        """Create an object, or post to a subresource."""
        return await self._request("POST", path, body=body, params=_manager(), lane=lane)

    async def merge_patch(self, path: str, body: Any, lane: Lane = Lane.ACTION) -> bytes:
        """Merge ``body`` into an object; with metadata.resourceVersion in it, a compare-and-swap."""
        return await self._request(
            "PATCH", path, body=body, content_type=MERGE_PATCH, params=_manager(), lane=lane
        )

    async def apply(self, path: str, body: Any, lane: Lane = Lane.ACTION) -> bytes:
        """Apply an object on the server's side, by its name; what somebody else has set is a conflict."""
        return await self._request(
            "PATCH", path, body=body, content_type=APPLY_PATCH, params=_manager(), lane=lane
        )

    async def strategic_patch(self, path: str, body: Any, lane: Lane = Lane.ACTION) -> bytes:
        """The same for Kubernetes' own kinds, where lists such as containers are merged by name."""
        return await self._request(
            "PATCH", path, body=body, content_type=STRATEGIC_PATCH, params=_manager(), lane=lane
        )

    async def replace(self, path: str, body: Any, lane: Lane = Lane.ACTION) -> bytes:
        """Replace an object; with metadata.resourceVersion in it, a compare-and-swap."""
        return await self._request("PUT", path, body=body, params=_manager(), lane=lane)

    async def put_lease(self, path: str, body: Any) -> bytes:
        """Replace a Lease; with metadata.resourceVersion in it, a compare-and-swap."""
        return await self._request("PUT", path, body=body, params=_manager(), lane=Lane.LEASE)

    async def delete(self, path: str, body: Any = None) -> bytes:
        """Delete an object; ``body`` is DeleteOptions, with preconditions."""
        return await self._request("DELETE", path, body=body)

    @asynccontextmanager
    async def stream(
        self, path: str, *, read_timeout: float, **params: str
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Open a watch; silence for ``read_timeout`` seconds ends it as Unreachable."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_TIMEOUT, sock_read=read_timeout)
        try:
            async with self._streams.get(
                self._credentials.server + path,
                params={**params, "watch": "1", "allowWatchBookmarks": "true"},
                headers=self._headers("application/json"),
                timeout=limits,
                allow_redirects=False,
            ) as response:
                if response.status >= 300:
                    async with asyncio.timeout(REQUEST_TIMEOUT):
                        content = await bounded(response, ERROR)
                    raise _error(response.status, response.headers, content or b"")
                yield response.content
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise ports.Unreachable(_words(error)) from error

    @asynccontextmanager
    async def websocket(
        self, namespace: str, path: str, query: Sequence[tuple[str, str]], on_turn: Callable[[], None]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a connection to a pod's subresource that speaks the channel protocol, such as exec.

        ``on_turn`` is called when all waiting for others is over; what it raises keeps it from being opened.
        """
        own = self._execs_each.setdefault(namespace, asyncio.Semaphore(EXECS_EACH))
        try:
            async with own, self._execs.turn(Lane.LOG):
                on_turn()
                async with self._streams.ws_connect(
                    self._credentials.server + path,
                    params=query,
                    protocols=("v5.channel.k8s.io",),
                    headers=self._headers("application/json"),
                    max_msg_size=4 * 1024 * 1024,
                    # Whoever leaves early, as at a limit, does not wait for the other side's farewell.
                    timeout=aiohttp.ClientWSTimeout(ws_close=FAREWELL),
                ) as socket:
                    yield socket
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise ports.Unreachable(_words(error)) from error

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        lane: Lane = Lane.ACTION,
        most: int | None = None,
    ) -> bytes:
        headers = self._headers(accept)
        if most is None:
            most = LIST if method == "GET" else OBJECT
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = content_type
        try:
            async with (
                (self._logs if lane is Lane.LOG else self._lanes).turn(lane),
                asyncio.timeout(REQUEST_TIMEOUT),
                self._requests.request(
                    method,
                    self._credentials.server + path,
                    params=params,
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                failed = response.status >= 300
                content = await bounded(response, ERROR if failed else most)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise ports.Unreachable(_words(error)) from error
        if response.status == 401:
            self._credentials.refused()
        if failed:
            raise _error(response.status, response.headers, content or b"")
        if content is None:
            raise ports.AnswerTooLarge(most)
        return content

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept}
        if token := self._credentials.token():
            headers["Authorization"] = f"Bearer {token}"
        return headers


def _manager() -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER}


def version_of(body: bytes) -> str:
    """The resourceVersion of an object as it was answered; the rest of it, which may be long, is skipped."""
    return msgspec.json.decode(body, type=_Versioned).metadata.resource_version


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send what opens a websocket once: aiohttp repeats a GET without an answer, and a command is one.

    Raises:
        ports.Unreachable: the connection failed.
    """
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if "Upgrade" not in request.headers:
            raise
        raise ports.Unreachable(_words(error)) from error


def _refusal(error: aiohttp.WSServerHandshakeError) -> Exception:
    """Why a websocket was not opened: aiohttp keeps the status of the answer, not its body."""
    status = error.status
    if status >= 500 or status < 400:
        return ports.Unreachable(f"{status} {error.message}")
    return _BY_STATUS.get(status, ports.ApiError)(status, "", error.message)


def _error(status: int, headers: Mapping[str, str], content: bytes) -> Exception:
    try:
        told = msgspec.json.decode(content, type=_Status)
    except MALFORMED:
        told = _Status(message=content[:200].decode("utf-8", "replace"))
    # An admission webhook may have written it, and it is shown.
    message = without_credentials(told.message[:_WORDS_LIMIT])
    retry_after = told.details.retry_after if told.details else None
    if retry_after is None and headers.get("Retry-After", "").isdigit():
        retry_after = float(headers["Retry-After"])
    if status >= 500:
        return ports.Unreachable(f"{status} {message or 'server error'}")
    kind = _BY_STATUS.get(status, ports.ApiError)
    if status == 429 and told.details and any(cause.reason == _DISRUPTION for cause in told.details.causes):
        kind = ports.EvictionRefused
    if status == 409:
        kind = ports.AlreadyExists if told.reason == "AlreadyExists" else ports.Conflict
    return kind(status, told.reason, message, retry_after)
