"""Servers on loopback that answer each request with bytes of the test's choosing, and mean no good."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Raw:
    """A server that answers each request with bytes of the test's choosing."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.requests: list[bytes] = []
        self.port = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                request = await reader.readuntil(b"\r\n\r\n")
                # What is left unread would have the answer thrown away when the connection is closed.
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", request)
                request += await reader.readexactly(int(length[1]) if length else 0)
                self.requests.append(request)
                await self._serve(writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # what nobody reads would be kept for whoever might
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


Started = Callable[..., Awaitable[Raw]]


@contextlib.asynccontextmanager
async def servers() -> AsyncIterator[Started]:
    """Starts servers that end with the test."""
    running: list[tuple[asyncio.Server, Raw]] = []

    async def start(serve: Serve | bytes, context: ssl.SSLContext | None = None) -> Raw:
        raw = Raw(sends(serve) if isinstance(serve, bytes) else serve)
        server = await asyncio.start_server(raw.connected, "127.0.0.1", 0, ssl=context)
        running.append((server, raw))
        raw.port = server.sockets[0].getsockname()[1]
        return raw

    yield start
    for server, raw in running:
        server.close()
        await raw.end()


def sends(body: bytes) -> Serve:
    async def serve(writer: asyncio.StreamWriter) -> None:
        writer.write(body)
        await writer.drain()

    return serve


def http(body: bytes, status: str = "200 OK", *headers: str, length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def drip(writer: asyncio.StreamWriter) -> None:
    """An answer whose end never comes, a byte now and then."""
    writer.write(http(b"", "200 OK", length=False))
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def pour(writer: asyncio.StreamWriter) -> None:
    """An answer whose end never comes, as fast as it is read."""
    writer.write(http(b"", "200 OK", length=False))
    while not writer.is_closing():
        writer.write(b" " * 65_536)
        await writer.drain()


async def silent(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():  # noqa: ASYNC110 - a stream has no event for it
        await asyncio.sleep(0.05)


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"X-A: " + b"b" * 4000 + b"\r\n")
        await writer.drain()


async def dripping_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-A: ")
    while not writer.is_closing():
        writer.write(b"b")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless_chunk(writer: asyncio.StreamWriter) -> None:
    """A chunk whose length never ends, as fast as it is read."""
    writer.write(http(b"", "200 OK", "Transfer-Encoding: chunked", length=False))
    while not writer.is_closing():
        writer.write(b"0" * 65_536)
        await writer.drain()


async def endless_continue(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await writer.drain()
