"""A reverse proxy before the API server, with faults that are switched on and off while it runs.

    with FaultProxy(plane) as proxy:
        world.operator(server=proxy.url)
        proxy.answer(503, method="PATCH", path=r"/status$", count=1)

Each fault takes a matcher: `method`, `path` (a regular expression, searched in path and query), `when` (a
predicate on the Request) and `count` (how many requests it is for; without, all until `lift`). Of several
faults that match, the one that was added first is taken. Its clients know it by the certificate of the API
server itself, so whoever trusts the one trusts the other. It listens on loopback only and runs on a
thread, so it ends with its process. A command in a pod (exec) is a request like any other: its output is
handed back when it has ended, and it is told nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import aiohttp
from aiohttp import web
from aiohttp.hdrs import METH_ANY

from devcluster.errors import DevclusterError
from devcluster.pki import Pair
from devcluster.plane import ControlPlane
from devcluster.ports import LOOPBACK
from devcluster.proxy_events import is_event
from devcluster.proxy_faults import EVENTS, Answer, Fault, Faults, Request

START_SECONDS = 10.0
# A hook that blocks for longer than this is a mistake in a test; a held request is let go after it.
HELD_SECONDS = 120.0
SHUTDOWN_SECONDS = 0.1
CLOSING_SECONDS = 5.0
LOOK_SECONDS = 0.02
SWITCHING = 101
# What one hop tells the next, and what this proxy decides anew.
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te"})
REASONS = {
    409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable",
}  # fmt: skip


class FaultProxy(Faults):
    """The proxy. A context manager; its faults can be switched from any thread.

    Attributes:
        requests: All requests seen, in order.
    """

    def __init__(self, plane: ControlPlane) -> None:
        if plane.external:
            raise DevclusterError("the proxy shows the certificate of a control plane of ours")
        super().__init__()
        self.requests: list[Request] = []
        self._upstream = plane.server
        pki = plane.ca.parent
        self._serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._serving.load_cert_chain(pki / "serving.crt", pki / "serving.key")
        self._trust = ssl.create_default_context(cafile=str(plane.ca))
        self._trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._streams: dict[asyncio.Transport, Request] = {}
        self._told: dict[int, list[bytes]] = {}
        """What commands have said, by the id of their request."""
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._port = 0
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(START_SECONDS) or self._failure is not None:
            raise DevclusterError(f"the proxy did not start: {self._failure!r}")
        return self

    def __exit__(self, *_: object) -> None:
        self.lift()
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(START_SECONDS)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://{LOOPBACK}:{self._port}"

    def serve_with(self, pair: Pair) -> None:
        """Show another certificate from the next connection on."""
        self._serving.load_cert_chain(pair.cert, pair.key)

    def cut(self, path: str = "") -> int:
        """Cut the open streams whose path and query match; returns how many that were."""
        with self._mutex:
            cut = [line for line, request in self._streams.items() if re.search(path, request.url)]
        for line in cut:
            self._loop.call_soon_threadsafe(line.abort)
        return len(cut)

    def cut_all(self) -> None:
        """Cut every connection, also those that are idle: each client has to shake hands anew."""

        def cut() -> None:
            for connection in self._server.connections:
                if connection.transport is not None:
                    connection.transport.abort()

        self._loop.call_soon_threadsafe(cut)

    def streams(self, path: str = "") -> int:
        """How many streams are open."""
        with self._mutex:
            return sum(bool(re.search(path, request.url)) for request in self._streams.values())

    def seen(self, method: str = METH_ANY, path: str = "") -> list[Request]:
        """The requests of a method whose path and query match, in order."""
        return [
            request
            for request in tuple(self.requests)
            if method in {METH_ANY, request.method} and re.search(path, request.url)
        ]

    # --- forwarding -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - told by whoever waits for the start
            self._failure = error
        finally:
            self._started.set()
            self._loop.run_until_complete(_cancel_the_rest())
            self._loop.close()

    async def _serve(self) -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._trust),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
        ) as self._client:
            self._server = web.Server(self._handle)
            listening = await self._loop.create_server(self._server, LOOPBACK, 0, ssl=self._serving)
            self._port = int(listening.sockets[0].getsockname()[1])
            self._started.set()
            await self._ending.wait()
            # What has just been accepted has to begin before the server closes: after that asyncio gives
            # it up with its socket open.
            for each in listening.sockets:
                self._loop.remove_reader(each.fileno())
            await asyncio.sleep(0)
            listening.close()
            await self._server.shutdown(SHUTDOWN_SECONDS)

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        request = Request(
            incoming.method, incoming.path, incoming.query_string, await incoming.read(), time.monotonic()
        )
        self.requests.append(request)
        fault = self._taken(request)
        if fault is not None:
            if (answer := self._instead(request, fault)) is not None:
                return answer
            await self._first(incoming, request, fault)
            kept = fault.kind == "refuse" or (fault.kind in {"hang", "before"} and not fault.forward)
            if kept or self._ending.is_set():
                return self._hang_up(incoming)
        return await self._forward(incoming, request, fault)

    def _instead(self, request: Request, fault: Fault) -> web.Response | None:
        """What is answered without asking the API server."""
        match fault.kind:
            case "answer":
                return self._error(request, fault)
            case "expire":
                request.status = 200
                event = {"type": "ERROR", "object": self._status(410)}
                return web.json_response(event, dumps=lambda content: json.dumps(content) + "\n")
            case "stale" if self._answers:
                request.status, headers, content = self._answers[request.url]
                return web.Response(status=request.status, body=content, headers=headers)
        return None

    async def _first(self, incoming: web.BaseRequest, request: Request, fault: Fault) -> None:
        """What comes before a request is forwarded, if it is."""
        match fault.kind:
            case "hang":
                await self._held(fault)
            case "twice":
                await self._exchange(incoming, request)
            case "delay":
                await asyncio.sleep(fault.seconds)
            case "before":
                await self._hooked(fault, request)

    async def _forward(
        self, incoming: web.BaseRequest, request: Request, fault: Fault | None
    ) -> web.StreamResponse:
        if request.watch:
            return await self._watch(incoming, request)
        answered = await self._exchange(incoming, request)
        told = self._told.pop(id(request), None)
        if answered is None:
            return self._hang_up(incoming)
        status, headers, content = answered
        if self._answers is not None and request.method == "GET" and status == 200:
            self._answers.setdefault(request.url, answered)
        if fault and fault.kind == "after":
            await self._hooked(fault, request)
        if fault and (fault.kind == "drop" or (fault.kind == "after" and not fault.forward)):
            return self._hang_up(incoming)
        await self._half_opened(request)
        if told is not None:
            return await self._tell(incoming, told)
        return web.Response(status=status, body=content, headers=headers)

    async def _execute(self, incoming: web.BaseRequest, request: Request) -> Answer:
        """Have a command run to its end; keeps what it says."""
        request.forwarded = True
        try:
            async with self._client.ws_connect(
                self._upstream + incoming.raw_path,
                protocols=_protocols(incoming),
                headers={"Authorization": incoming.headers.get("Authorization", "")},
                max_msg_size=0,
            ) as upstream:
                request.status = SWITCHING
                self._told[id(request)] = [
                    message.data async for message in upstream if message.type is aiohttp.WSMsgType.BINARY
                ]
        except aiohttp.WSServerHandshakeError as error:
            request.status = error.status
        return request.status, {}, b""

    async def _tell(self, incoming: web.BaseRequest, told: list[bytes]) -> web.StreamResponse:
        answer = web.WebSocketResponse(protocols=_protocols(incoming))
        try:
            await answer.prepare(incoming)
            for message in told:
                await answer.send_bytes(message)
            await answer.close()
        except ConnectionError:  # whoever asked is gone
            return self._hang_up(incoming)
        return answer

    async def _exchange(self, incoming: web.BaseRequest, request: Request) -> Answer | None:
        """Ask the API server and read its whole answer; None when there is none."""
        try:
            if incoming.headers.get("Upgrade", "").lower() == "websocket":
                return await self._execute(incoming, request)
            async with self._asked(incoming, request) as upstream:
                return upstream.status, _kept(upstream), await upstream.read()
        except (aiohttp.ClientError, ConnectionError):
            return None

    async def _watch(self, incoming: web.BaseRequest, request: Request) -> web.StreamResponse:
        try:
            async with self._asked(incoming, request) as upstream:
                if upstream.status == 200:
                    return await self._stream(incoming, request, upstream)
                return web.Response(
                    status=upstream.status, body=await upstream.read(), headers=_kept(upstream)
                )
        except (aiohttp.ClientError, ConnectionError):
            return self._hang_up(incoming)

    @asynccontextmanager
    async def _asked(
        self, incoming: web.BaseRequest, request: Request
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {name: value for name, value in incoming.headers.items() if name.lower() not in HOP_BY_HOP}
        request.forwarded = True
        async with self._client.request(
            request.method,
            self._upstream + incoming.raw_path,
            data=request.body or None,
            headers=headers,
            allow_redirects=False,
        ) as upstream:
            request.status = upstream.status
            yield upstream

    async def _stream(
        self, incoming: web.BaseRequest, request: Request, upstream: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        answer = web.StreamResponse(status=upstream.status, headers=_kept(upstream))
        line = incoming.transport
        if line is None:
            return answer
        with self._mutex:
            self._streams[line] = request
        leaving = asyncio.create_task(self._leave_with(line, upstream))
        try:
            await answer.prepare(incoming)
            rest = b""
            async for chunk in upstream.content.iter_any():
                await self._half_opened(request)
                *lines, rest = (rest + chunk).split(b"\n")
                told = await self._twisted(request, lines)
                if told:
                    await answer.write(b"".join(line + b"\n" for line in told))
        finally:
            leaving.cancel()
            with self._mutex:
                self._streams.pop(line, None)
        return answer

    async def _leave_with(self, line: asyncio.Transport, upstream: aiohttp.ClientResponse) -> None:
        """End the stream from the API server once its reader is gone."""
        while not line.is_closing():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LOOK_SECONDS)
        upstream.close()

    async def _twisted(self, request: Request, lines: list[bytes]) -> list[bytes]:
        """The lines to hand back instead of these."""
        for fault in self._of_stream(EVENTS, request):
            if not any(map(is_event, lines)):
                continue
            fault.hits.append(request)
            await asyncio.sleep(fault.seconds)
            if fault.twist is None or fault.lifted.is_set():
                continue
            twist = fault.twist
            lines = [
                told for line in lines for told in (twist(id(request), line) if is_event(line) else [line])
            ]
        return lines

    async def _half_opened(self, request: Request) -> None:
        for fault in self._of_stream("half-open", request):
            fault.hits.append(request)
            await self._held(fault)

    async def _held(self, fault: Fault) -> None:
        deadline = time.monotonic() + HELD_SECONDS
        # Faults are lifted from other threads, which have no asyncio.Event to set.
        while not (fault.lifted.is_set() or self._ending.is_set()) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)

    async def _hooked(self, fault: Fault, request: Request) -> None:
        if fault.hook:
            await asyncio.wait_for(asyncio.to_thread(fault.hook, request), HELD_SECONDS)

    def _error(self, request: Request, fault: Fault) -> web.Response:
        request.status = fault.status
        return web.json_response(self._status(fault.status), status=fault.status, headers=fault.headers)

    @staticmethod
    def _status(code: int) -> dict[str, object]:
        return {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": REASONS.get(code, ""), "message": "injected by the proxy",
        }  # fmt: skip

    def _hang_up(self, incoming: web.BaseRequest) -> web.Response:
        if incoming.transport is not None:
            incoming.transport.abort()
        return web.Response(status=502)


def _protocols(incoming: web.BaseRequest) -> list[str]:
    return [name.strip() for name in incoming.headers.get("Sec-WebSocket-Protocol", "").split(",")]


def _kept(upstream: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: value for name, value in upstream.headers.items() if name.lower() not in HOP_BY_HOP}


async def _cancel_the_rest() -> None:
    """End the requests that are still being worked on, and close every connection.

    A client that is stopped or too slow to say goodbye is not waited for. The loop alone knows them all: TLS
    connections close in several turns of it, which nobody offers to wait for, and what was being accepted
    meanwhile is a connection of its own.
    """
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    end = loop.time() + CLOSING_SECONDS
    while loop.time() < end:
        await asyncio.sleep(LOOK_SECONDS)
        tasks = asyncio.all_tasks() - {this}
        lines = [line for line in getattr(loop, "_transports", {}).values() if _is_open(line)]
        if not tasks and not lines:
            return
        for task in tasks:
            task.cancel()
        for line in lines:
            line.abort()


def _is_open(line: asyncio.Transport) -> bool:
    return int(line.get_extra_info("socket").fileno()) != -1
