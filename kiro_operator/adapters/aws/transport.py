"""How botocore sends its requests: as it always does, but with an end to each answer.

botocore reads a body to its end, however long that is, and its timeouts count from one piece to the next:
an answer that never ends, or comes byte by byte, would keep a thread and memory for ever. All of its
requests go through here, also those that it makes by itself for credentials.

Imported with botocore only, which installations without AWS never do.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from http.client import HTTPConnection
from typing import Any, Self
from xml.parsers import expat

import botocore.session
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSPreparedRequest,
    AWSResponse,
)
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as Waited

LIMIT = 1024 * 1024
"""Bytes of an answer's body. The largest that is asked for, a simulation of 128 actions, is a quarter of it.
XML takes up to forty times its length in memory."""
EXCHANGE = 10.0
"""Seconds to connect, ask and read the answer to its end; looking a name up cannot be interrupted."""
CONNECT_TIMEOUT, READ_TIMEOUT, ATTEMPTS = 3.0, 5.0, 2
METADATA_TIMEOUT = 2.0
"""Seconds to connect to whoever hands out credentials on the node, and between two pieces of its answer."""
_CHUNK = 64 * 1024
_AGAIN = 0.5
"""Seconds after which a connection that has been cut is cut again: it may just have been opened."""

_question: ContextVar[float] = ContextVar("until", default=float("inf"))
_exchange: ContextVar["_Exchange"] = ContextVar("exchange")


class AnswerTooLarge(BotoCoreError):
    """A body longer than anything that is asked for."""

    fmt = "{endpoint_url} answers with more than {limit} bytes"


class AnswerDeclares(BotoCoreError):
    """A body with a document type, which AWS never sends and entities could hide in."""

    fmt = "{endpoint_url} answers with a document type"


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All requests of this thread together may take so long."""
    token = _question.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _question.reset(token)


class Session(botocore.session.Session):
    """A session of botocore whose requests all end, at one endpoint where that is given."""

    def __init__(self, endpoint_url: str | None, *, instance_metadata: bool) -> None:
        super().__init__()
        self._endpoint_url = endpoint_url
        self._senders: dict[tuple[tuple[str, str], ...], Sender] = {}
        # As the default it also bounds the clients that botocore makes by itself for credentials.
        self.set_default_client_config(
            Config(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            )
        )
        # What answers this event is the answer: no client sends anything itself. They all inherit it.
        self.register("before-send", self._send)  # type: ignore[arg-type] # the stubs know of no answer
        credentials = self.get_component("credential_provider")
        # These two bring a sender of their own, and there is no other way to give them another.
        for fetcher in (
            credentials.get_provider("container-role")._fetcher,  # noqa: SLF001
            credentials.get_provider("iam-role")._role_fetcher,  # noqa: SLF001
        ):
            if type(fetcher._session) is not URLLib3Session:  # noqa: SLF001
                raise TypeError("botocore fetches credentials in another way than this was written for")
            fetcher._session = Sender(timeout=METADATA_TIMEOUT)  # noqa: SLF001
        if not instance_metadata:
            credentials.remove("iam-role")

    def create_client(self, service_name: str, *args: Any, **options: Any) -> Any:
        """Make a client; one that botocore makes for credentials asks the same endpoint as all others."""
        if options.get("endpoint_url") is None:
            options["endpoint_url"] = self._endpoint_url
        return super().create_client(service_name, *args, **options)

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        proxies: Mapping[str, str] = get_environ_proxies(request.url)
        key = tuple(sorted(proxies.items()))
        sender = self._senders.get(key)
        if sender is None:
            sender = self._senders[key] = Sender(
                verify=self.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True,
                proxies=proxies,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            )
        return sender.send(request)


class Sender(URLLib3Session):
    """botocore's own way to send, which gives up on an answer that is too long or takes too long."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pool_classes_by_scheme.update(http=_Pool, https=_TlsPool)  # type: ignore[attr-defined]

    def send(self, request: AWSPreparedRequest) -> AWSResponse:  # type: ignore[override] # as botocore has it
        """Send a request and read the whole answer.

        Raises:
            BotoCoreError: it did not come, not in time, or was none to read.
        """
        request.stream_output = True  # or it would be read here and now
        with _Exchange(min(EXCHANGE, _question.get() - time.monotonic())) as exchange:
            try:
                response = super().send(request)
                body = _read(response.raw, request.url)
            except (BotoCoreError, HTTPError, OSError) as error:
                if exchange.expired or isinstance(error, Waited):
                    raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
                if isinstance(error, BotoCoreError):
                    raise
                raise ConnectionClosedError(endpoint_url=request.url, error=error) from error
        if exchange.expired:  # a connection that was cut looks like the end of a body without a length
            raise ReadTimeoutError(endpoint_url=request.url, error=None)
        if _declares(body):
            raise AnswerDeclares(endpoint_url=request.url)
        headers: Any = response.headers
        return AWSResponse(response.url, response.status_code, headers, _Body(body))


class _Body:
    """A body that has been read, as AWSResponse reads one."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        """All of it."""
        yield self._body


def _read(raw: Any, url: str) -> bytes:
    """The body as it was sent, never unpacked."""
    body = bytearray()
    # Not by stream(), which reads the line before a chunk however long it is.
    while chunk := raw.read(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > LIMIT:
            raw.close()
            raise AnswerTooLarge(endpoint_url=url, limit=LIMIT)
    return bytes(body)


def _declares(body: bytes) -> bool:
    """Whether it is XML with a document type, in whatever encoding; only what precedes its root is read."""
    parser, found = expat.ParserCreate(), False

    def declared(*_: object) -> None:
        nonlocal found
        found = True
        raise _PrologEnded

    def root(*_: object) -> None:
        raise _PrologEnded

    parser.StartDoctypeDeclHandler, parser.StartElementHandler = declared, root
    try:
        with suppress(_PrologEnded, expat.ExpatError):
            parser.Parse(body, True)  # noqa: FBT003 - the signature is expat's
    except (LookupError, ValueError):
        return True  # an encoding that is not read here may hide one
    return found


class _PrologEnded(Exception):
    """There is nothing more to see."""


class _Exchange:
    """One request and its answer, whose connection is cut when time is up.

    A thread that waits for bytes is woken by nothing else, and its timeout begins anew with each of them.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self.line: socket.socket | None = None
        self._seconds = max(0.0, seconds)
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._token = _exchange.set(self)
        threading.Thread(target=self._watch, name="aws-watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        _exchange.reset(self._token)

    def _watch(self) -> None:
        wait = self._seconds
        while not self._over.wait(wait):
            self.expired, wait = True, _AGAIN
            if self.line is not None:
                with suppress(OSError):
                    # Past TLS, which would wait for the other side's farewell.
                    socket.socket.shutdown(self.line, socket.SHUT_RDWR)


class _Watched(HTTPConnection):
    """Tells the exchange of its thread which socket to cut; once it is closed it knows no longer itself."""

    def connect(self) -> None:
        """Connect, for a first request."""
        super().connect()
        _exchange.get().line = self.sock

    def putrequest(self, *args: Any, **options: Any) -> None:
        """Begin a request, over a connection that may have been opened for another."""
        _exchange.get().line = self.sock
        super().putrequest(*args, **options)


class _Connection(_Watched, AWSHTTPConnection):  # type: ignore[misc] # as the stubs have it
    """Without TLS."""


class _TlsConnection(_Watched, AWSHTTPSConnection):  # type: ignore[misc]
    """With TLS."""


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _TlsConnection
