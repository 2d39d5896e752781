"""The local server behaves, and misbehaves as told."""

from __future__ import annotations

import http.client

import pytest

from devcluster.listen import Answer, Request, Server


def get(server: Server, *, timeout: float = 5.0) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_answers_and_remembers() -> None:
    def handler(request: Request) -> Answer:
        return Answer(503 if request.path == "/healthz" else 200, b"busy")

    with Server(handler) as server:
        assert get(server) == (503, b"busy")
        assert [(each.method, each.path) for each in server.requests] == [("GET", "/healthz")]


def test_refuses_and_comes_back_on_its_port() -> None:
    with Server() as server:
        port = server.port
        server.break_with("refuse")
        with pytest.raises(ConnectionRefusedError):
            get(server)
        server.mend()
        assert (server.port, get(server)) == (port, (200, b"ok\n"))


def test_hangs() -> None:
    with Server() as server:
        server.break_with("hang")
        with pytest.raises(TimeoutError):
            get(server, timeout=0.2)
        server.mend()
        assert get(server) == (200, b"ok\n")


def test_accepts_slowly() -> None:
    with Server() as server:
        server.break_with("slow-accept", delay=30.0)
        with pytest.raises(TimeoutError):
            get(server, timeout=0.2)
        server.break_with("slow-accept", delay=0.05)
        assert get(server) == (200, b"ok\n")


def test_resets() -> None:
    with Server() as server:
        server.break_with("reset")
        # A broken pipe where the reset comes before the request is out.
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            get(server)
