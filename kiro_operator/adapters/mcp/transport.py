"""The SDK's HTTP, done by the operator's own Fetcher: its addresses, its trust, and bounds of its own.

The SDK reads answers whole, follows redirects within a server and tells little of what went wrong. So
whatever goes wrong is kept here, in ``problem``, and the SDK sees an answer that it gives up on.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping

import aiohttp
import httpx2

from kiro_operator.adapters.http.fetch import Fetcher, unreachable
from kiro_operator.core.snapshot import Unobserved

BYTES = 512 * 1024
"""Of all answers of a session."""
PARTS = 65_536
"""Commas and opening brackets of all answers: a few bytes of JSON become many of memory."""
MESSAGES = 256
"""Requests of a session, and events in their answers: each has the SDK do something."""
FAREWELL = 1.0
"""Seconds for the request that ends a session."""
_EVENTS = "text/event-stream"
_ANSWERS = ("application/json", _EVENTS)
_ACCEPTED = 202


class Transport(httpx2.AsyncBaseTransport):
    """Requests of one session, to one URL, until a deadline of the event loop's clock."""

    def __init__(
        self,
        fetcher: Fetcher,
        url: str,
        headers: Mapping[str, str],
        context: ssl.SSLContext | bool,  # noqa: FBT001 - as Fetcher.access gives it
        deadline: float,
    ) -> None:
        self._fetcher = fetcher
        self._url = url
        self._headers = headers
        self._context = context
        self._deadline = deadline
        self._bytes, self._parts, self._messages = BYTES, PARTS, MESSAGES
        self._over: Unobserved | None = None
        """Why the session has ended: it has used up what it may."""
        self.problem: Unobserved | None = None
        """What went wrong last."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request of the SDK."""
        if request.url != httpx2.URL(self._url):  # as text they differ where the port is the scheme's own
            return self._failed(redirected(self._url))
        if request.method == "GET" and "last-event-id" not in request.headers:
            return httpx2.Response(405)  # notifications are not wanted
        if request.method != "DELETE" and (over := self.spend(messages=1)):
            return self._failed(over)
        try:
            async with asyncio.timeout_at(self._until(request.method)):
                answer = await self._fetcher.exchange(
                    request.method,
                    self._url,
                    headers={**dict(request.headers), **self._headers, "accept-encoding": "identity"},
                    body=await request.aread(),
                    context=self._context,
                )
        except TimeoutError:
            return self._failed(Unobserved("Timeout", f"{self._url} did not answer in time"))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._failed(unreachable(self._url, error))
        if problem := self._refused(answer, request.method):
            answer.close()
            return self._failed(problem, answer.status)
        return httpx2.Response(
            answer.status,
            headers=_headers(answer),
            stream=_Body(self, answer, self._until(request.method)),
        )

    def _until(self, method: str) -> float:
        if method == "DELETE":
            return asyncio.get_running_loop().time() + FAREWELL
        return self._deadline

    def _refused(self, answer: aiohttp.ClientResponse, method: str) -> Unobserved | None:
        """Why an answer is not worth reading."""
        status, url = answer.status, self._url
        if method != "POST" or status == _ACCEPTED:
            return None
        if 300 <= status < 400:
            return redirected(url)
        if status in {401, 403}:
            return Unobserved("Unauthorized", f"{url} answers {status}: set or renew its credential")
        if not 200 <= status < 300:
            if answer.content_type == "application/json":
                return None  # it may be an error of the protocol
            return Unobserved("BadAnswer", f"{url} answers with status {status}: see mcpPath and its log")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            return Unobserved("MalformedAnswer", f"{url} answers compressed, which nobody asked for")
        if answer.content_type not in _ANSWERS:
            return Unobserved("MalformedAnswer", f"{url} answers with something that is not MCP: see mcpPath")
        return None

    def _failed(self, problem: Unobserved, status: int = 502) -> httpx2.Response:
        self.problem = problem
        return httpx2.Response(status if status >= 400 else 502)  # what the SDK takes as no answer

    def cut(self, problem: Unobserved) -> httpx2.StreamError:
        """Note why a body is read no further."""
        self.problem = problem
        return httpx2.StreamError(problem.reason)

    def spend(self, messages: int, chunk: bytes = b"") -> Unobserved | None:
        """Take from what the session may use up; why it is over, if it is."""
        self._messages -= messages
        self._bytes -= len(chunk)
        self._parts -= sum(chunk.count(mark) for mark in b",[{")
        if self._over is None and min(self._bytes, self._parts) < 0:
            self._over = Unobserved("AnswerTooLarge", f"{self._url} answers with more than is read of it")
        elif self._over is None and self._messages < 0:
            text = f"{self._url} sends more than {MESSAGES} messages in one session"
            self._over = Unobserved("TooManyMessages", text)
        return self._over

    @property
    def url(self) -> str:
        """The only URL there is."""
        return self._url


class _Body(httpx2.AsyncByteStream):
    """A body that is read within the session's bounds."""

    def __init__(self, transport: Transport, answer: aiohttp.ClientResponse, until: float) -> None:
        self._transport = transport
        self._answer = answer
        self._until = until

    async def __aiter__(self) -> AsyncIterator[bytes]:
        transport = self._transport
        last = b""
        while True:
            try:
                async with asyncio.timeout_at(self._until):
                    chunk = await self._answer.content.readany()
            except TimeoutError:
                text = f"{transport.url} did not end its answer in time"
                raise transport.cut(Unobserved("Timeout", text)) from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise transport.cut(unreachable(transport.url, error)) from error
            if not chunk:
                return
            counted = events(last, chunk) if self._answer.content_type == _EVENTS else 0
            last = chunk[-1:]
            if over := transport.spend(counted, chunk):
                raise transport.cut(over)
            yield chunk

    async def aclose(self) -> None:
        """Hang up, unless the answer was read to its end."""
        self._answer.close()


def events(last: bytes, chunk: bytes) -> int:
    """How many events end in a chunk, each with an empty line; ``last`` is the byte before it.

    It may count one too often, and never too seldom.
    """
    return (last + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n\n")


def _headers(answer: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    """Those of an answer, with a type that names no charset: it is UTF-8, whatever is said."""
    kind = (b"content-type", answer.content_type.encode())
    return [pair for pair in answer.raw_headers if pair[0].lower() != b"content-type"] + [kind]


def redirected(url: str) -> Unobserved:
    """A redirect is not followed."""
    return Unobserved("Redirected", f"{url} answers with a redirect, which is not followed: see mcpPath")
