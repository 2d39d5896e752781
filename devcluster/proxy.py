"""A reverse proxy before the API server, with faults that are switched on and off while it runs.

    with FaultProxy(plane) as proxy:
        world.operator(server=proxy.url)
        proxy.answer(503, method="PATCH", path=r"/status$", count=1)

Each fault takes a matcher: `method`, `path` (a regular expression, searched in path and query), `when` (a
predicate on the Request) and `count` (how many requests it is for; without, all until `lift`). Of several
faults that match, the one that was added first is taken. Its clients know it by the certificate of the API
server itself, so whoever trusts the one trusts the other. It listens on loopback only and runs on a
thread, so it ends with its process.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web
from aiohttp.hdrs import METH_ANY

from devcluster.errors import DevclusterError
from devcluster.plane import ControlPlane
from devcluster.ports import LOOPBACK
from devcluster.wait import until

START_SECONDS = 10.0
# A hook that blocks for longer than this is a mistake in a test; a held request is let go after it.
HELD_SECONDS = 120.0
CLOSING_SECONDS = 0.1
LOOK_SECONDS = 0.02
# What one hop tells the next, and what this proxy decides anew.
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te"})
REASONS = {
    409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable",
}  # fmt: skip


@dataclass
class Request:
    """A request as it was seen, and what became of it."""

    method: str
    path: str
    query: str
    body: bytes
    at: float
    """Monotonic time at which it came."""
    status: int = 0
    """Of the answer that was given; 0 while there is none."""
    forwarded: bool = False

    @property
    def url(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def watch(self) -> bool:
        """Whether it asks for a stream of changes."""
        return bool(re.search(r"(^|&)watch=(1|true)\b", self.query))

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


@dataclass(eq=False)
class Fault:
    """One fault that is switched on."""

    kind: str
    method: str
    path: re.Pattern[str]
    when: Callable[[Request], bool]
    left: int | None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    hook: Callable[[Request], object] | None = None
    forward: bool = True
    hits: list[Request] = field(default_factory=list)
    """The requests it was applied to."""
    lifted: threading.Event = field(default_factory=threading.Event)

    def lift(self) -> None:
        """Switch it off; what it holds goes on."""
        self.lifted.set()

    def wait(self, count: int = 1, timeout: float = 30.0) -> list[Request]:
        """Wait until it was applied so often; returns the requests."""
        until(lambda: len(self.hits) >= count, f"{self.kind} of {self.method} {self.path.pattern}", timeout)
        return self.hits

    def fits(self, request: Request) -> bool:
        """Whether it is for this request."""
        return (
            not self.lifted.is_set()
            and self.method in {METH_ANY, request.method}
            and self.path.search(request.url) is not None
            and self.when(request)
        )


class FaultProxy:
    """The proxy. A context manager; its faults can be switched from any thread.

    Attributes:
        requests: All requests seen, in order.
    """

    def __init__(self, plane: ControlPlane) -> None:
        if plane.external:
            raise DevclusterError("the proxy shows the certificate of a control plane of ours")
        self.requests: list[Request] = []
        self._upstream = plane.server
        pki = plane.ca.parent
        self._serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._serving.load_cert_chain(pki / "serving.crt", pki / "serving.key")
        self._trust = ssl.create_default_context(cafile=str(plane.ca))
        self._trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._faults: list[Fault] = []
        self._streams: dict[asyncio.Transport, Request] = {}
        self._mutex = threading.Lock()
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

    # --- faults -----------------------------------------------------------------------------------

    def answer(self, status: int, *, retry_after: int | None = None, **match: Any) -> Fault:
        """Answer with an error instead of forwarding."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return self._add("answer", match, status=status, headers=headers)

    def expire(self, **match: Any) -> Fault:
        """Answer a watch as the API server does whose history is too short: 410, within the stream."""
        return self._add("expire", match, status=410)

    def hang(self, **match: Any) -> Fault:
        """Take the request and do nothing more, until lifted; then it is forwarded."""
        return self._add("hang", match)

    def delay(self, seconds: float, **match: Any) -> Fault:
        """Forward after a while."""
        return self._add("delay", match, seconds=seconds)

    def refuse(self, **match: Any) -> Fault:
        """Close the connection without forwarding."""
        return self._add("refuse", match)

    def drop_answer(self, **match: Any) -> Fault:
        """Forward, and close the connection instead of handing back the answer."""
        return self._add("drop", match)

    def half_open(self, **match: Any) -> Fault:
        """Stop handing back bytes, also on streams that are open already, and keep the connection."""
        return self._add("half-open", match)

    def before(self, hook: Callable[[Request], object], *, forward: bool = True, **match: Any) -> Fault:
        """Call a hook with the request before it is forwarded; with `forward=False` it never is."""
        return self._add("before", match, hook=hook, forward=forward)

    def after(self, hook: Callable[[Request], object], *, forward: bool = True, **match: Any) -> Fault:
        """Call a hook once the API server has answered; with `forward=False` the answer is dropped."""
        return self._add("after", match, hook=hook, forward=forward)

    def cut(self, path: str = "") -> int:
        """Cut the open streams whose path and query match; returns how many that were."""
        with self._mutex:
            cut = [line for line, request in self._streams.items() if re.search(path, request.url)]
        for line in cut:
            self._loop.call_soon_threadsafe(line.abort)
        return len(cut)

    def streams(self, path: str = "") -> int:
        """How many streams are open."""
        with self._mutex:
            return sum(bool(re.search(path, request.url)) for request in self._streams.values())

    def lift(self) -> None:
        """Switch all faults off."""
        with self._mutex:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.lift()

    def seen(self, method: str = METH_ANY, path: str = "") -> list[Request]:
        """The requests of a method whose path and query match, in order."""
        return [
            request
            for request in tuple(self.requests)
            if method in {METH_ANY, request.method} and re.search(path, request.url)
        ]

    def _add(self, kind: str, match: dict[str, Any], **settings: Any) -> Fault:
        unknown = match.keys() - {"method", "path", "when", "count"}
        if unknown:
            raise TypeError(f"a fault has no matcher {sorted(unknown)}")
        fault = Fault(
            kind,
            match.get("method", METH_ANY),
            re.compile(match.get("path", "")),
            match.get("when", lambda _: True),
            match.get("count"),
            **settings,
        )
        with self._mutex:
            self._faults.append(fault)
        return fault

    def _taken(self, request: Request) -> Fault | None:
        """The fault for a request, counted down; half-open ones are looked for with each byte."""
        with self._mutex:
            for fault in self._faults:
                if fault.kind == "half-open" or fault.left == 0 or not fault.fits(request):
                    continue
                if fault.left is not None:
                    fault.left -= 1
                fault.hits.append(request)
                return fault
        return None

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
            server = web.Server(self._handle)
            runner = web.ServerRunner(server, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=self._serving)
            await site.start()
            self._port = int(runner.addresses[0][1])
            self._started.set()
            await self._ending.wait()
            await runner.cleanup()

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        request = Request(
            incoming.method, incoming.path, incoming.query_string, await incoming.read(), time.monotonic()
        )
        self.requests.append(request)
        fault = self._taken(request)
        match fault.kind if fault else "":
            case "answer":
                return self._error(request, fault)
            case "expire":
                request.status = 200
                event = {"type": "ERROR", "object": self._status(410)}
                return web.json_response(event, dumps=lambda content: json.dumps(content) + "\n")
            case "refuse":
                return self._hang_up(incoming)
            case "hang":
                await self._held(fault)
            case "delay":
                await asyncio.sleep(fault.seconds if fault else 0)
            case "before":
                await self._hooked(fault, request)
                if fault and not fault.forward:
                    return self._hang_up(incoming)
        return await self._forward(incoming, request, fault)

    async def _forward(
        self, incoming: web.BaseRequest, request: Request, fault: Fault | None
    ) -> web.StreamResponse:
        headers = {name: value for name, value in incoming.headers.items() if name.lower() not in HOP_BY_HOP}
        request.forwarded = True
        try:
            async with self._client.request(
                request.method,
                self._upstream + incoming.raw_path,
                data=request.body or None,
                headers=headers,
                allow_redirects=False,
            ) as upstream:
                request.status = upstream.status
                if request.watch and upstream.status == 200:
                    return await self._stream(incoming, request, upstream)
                content = await upstream.read()
        except (aiohttp.ClientError, ConnectionError):
            return self._hang_up(incoming)
        if fault and fault.kind == "after":
            await self._hooked(fault, request)
        if fault and (fault.kind == "drop" or (fault.kind == "after" and not fault.forward)):
            return self._hang_up(incoming)
        await self._half_opened(request)
        return web.Response(status=upstream.status, body=content, headers=_kept(upstream))

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
            async for chunk in upstream.content.iter_any():
                await self._half_opened(request)
                await answer.write(chunk)
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

    async def _half_opened(self, request: Request) -> None:
        with self._mutex:
            found = [fault for fault in self._faults if fault.kind == "half-open" and fault.fits(request)]
        for fault in found:
            fault.hits.append(request)
            await self._held(fault)

    async def _held(self, fault: Fault | None) -> None:
        deadline = time.monotonic() + HELD_SECONDS
        # Faults are lifted from other threads, which have no asyncio.Event to set.
        while fault and not (fault.lifted.is_set() or self._ending.is_set()) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)

    async def _hooked(self, fault: Fault | None, request: Request) -> None:
        if fault and fault.hook:
            await asyncio.wait_for(asyncio.to_thread(fault.hook, request), HELD_SECONDS)

    def _error(self, request: Request, fault: Fault | None) -> web.Response:
        request.status = fault.status if fault else 500
        headers = fault.headers if fault else None
        return web.json_response(self._status(request.status), status=request.status, headers=headers)

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


def _kept(upstream: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: value for name, value in upstream.headers.items() if name.lower() not in HOP_BY_HOP}


async def _cancel_the_rest() -> None:
    """End the requests that are still being worked on."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    # TLS connections close in several turns of the loop, which nobody offers to wait for.
    await asyncio.sleep(CLOSING_SECONDS)
