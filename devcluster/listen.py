"""A real local server that stands behind a Service in tests, and can misbehave as servers do.

The API refuses loopback addresses in EndpointSlices and nothing resolves service names here, so a test
hands the operator this server's address instead of the Service's.
"""

from __future__ import annotations

import http
import http.server
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

Fault = Literal["none", "refuse", "slow-accept", "hang", "reset"]

DEFAULT_DELAY_SECONDS = 2.0
CLOSE_SECONDS = 5.0


@dataclass(frozen=True)
class Request:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the server says."""

    status: int = 200
    body: bytes = b"ok\n"
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Answer]


class Server:
    """An HTTP server on a free loopback port, on threads, as a context manager.

    Faults: `refuse` closes the port (a connection is refused at once), `slow-accept` waits before anything
    is read, `hang` accepts and never answers, `reset` cuts the connection. The port stays the same, also
    after `refuse`.
    """

    def __init__(self, handler: Handler | None = None, *, port: int = 0) -> None:
        self._handler = handler or (lambda _request: Answer())
        self._wanted_port = port
        self._server: http.server.ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._released = threading.Event()
        self._fault: Fault = "none"
        self._delay = DEFAULT_DELAY_SECONDS
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The port that it listens on, or listened on before `refuse`."""
        return self._wanted_port

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address as an http URL without a path."""
        return f"http://{self.address}"

    def break_with(self, fault: Fault, *, delay: float = DEFAULT_DELAY_SECONDS) -> None:
        """Misbehave from the next connection on; `delay` is the seconds of `slow-accept`."""
        self._fault, self._delay = fault, delay
        if fault == "refuse":
            self.close()
        elif self._server is None:
            self._open()

    def mend(self) -> None:
        """Behave again, and let go what hangs."""
        self._fault = "none"
        self._released.set()
        self._released = threading.Event()
        if self._server is None:
            self._open()

    def close(self) -> None:
        """Close the port and let go what hangs."""
        self._released.set()
        self._released = threading.Event()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(CLOSE_SECONDS)
        self._server = self._thread = None

    def _open(self) -> None:
        server = _ThreadingServer(("127.0.0.1", self._wanted_port), self._make_handler())
        self._wanted_port = server.server_port
        self._server = server
        # 0.02: how soon `close` is seen; the default of half a second would be each test's cost.
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _misbehave(self, connection: socket.socket) -> bool:
        """Play the fault on a fresh connection; True when nothing is to be answered."""
        released = self._released
        if self._fault == "slow-accept":
            released.wait(self._delay)
        elif self._fault == "hang":
            released.wait()
            return True
        elif self._fault == "reset":
            # Linger with zero seconds: closing sends a reset instead of an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return True
        return False

    def _answer(self, request: Request) -> Answer:
        self.requests.append(request)
        return self._handler(request)

    def _make_handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        owner = self

        class OneConnection(http.server.BaseHTTPRequestHandler):
            def handle(self) -> None:
                if not owner._misbehave(self.connection):
                    super().handle()

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                request = Request(self.command, self.path, dict(self.headers), self.rfile.read(length))
                answer = owner._answer(request)
                self.send_response(answer.status, http.HTTPStatus(answer.status).phrase)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Keep quiet: `requests` says what came."""

        return OneConnection


class _ThreadingServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # A client that gave up is no reason to print a traceback.
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up; that is what some tests are about."""
