"""Exec through a real API server to kwok, and from a server that frames as a kubelet's API server does."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from devcluster import ControlPlane
from kiro_operator import ports
from kiro_operator.adapters.kubernetes import exec as adapter
from kiro_operator.adapters.kubernetes.client import EXECS, EXECS_EACH, LOGS, Client
from kiro_operator.adapters.kubernetes.exec import RULES, Executed, execute
from tests.devcluster.helpers import make_pod, ready, wait_pod
from tests.harness.execs import running

from .conftest import ClientWith
from .helpers import eventually

Played = Callable[[web.WebSocketResponse], Awaitable[None]]


# --- kwok, behind a real API server ----------------------------------------------------------------


@pytest.fixture
def pod(control_plane: ControlPlane, namespace: str) -> Iterator[str]:
    """A ready pod whose commands run on this machine."""
    make_pod(control_plane, namespace, containers=("main", "other"))
    wait_pod(control_plane, namespace, ready, "a ready pod")
    with running(control_plane, namespace, "web"):
        yield "web"


async def test_output_and_status(client_with: ClientWith, namespace: str, pod: str) -> None:
    client = client_with(RULES)

    async def run(*command: str) -> Executed:
        return await execute(client, namespace, pod, "main", command, within=10.0, limit=1000)

    assert await run("true") == Executed(0, b"", b"")
    assert await run("sh", "-c", "echo out; echo err >&2; exit 3") == Executed(3, b"out\n", b"err\n")
    assert await run("echo", "a b", "$HOME;", "*") == Executed(0, b"a b $HOME; *\n", b"")


async def test_more_output_than_is_read(client_with: ClientWith, namespace: str, pod: str) -> None:
    done = await execute(
        client_with(RULES),
        namespace,
        pod,
        "main",
        ["head", "-c", "100000", "/dev/zero"],
        within=10.0,
        limit=1000,
    )
    assert done.truncated
    assert done.output == bytes(1000)


async def test_a_command_that_hangs(client_with: ClientWith, namespace: str, pod: str) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    with pytest.raises(TimeoutError):
        await execute(client_with(RULES), namespace, pod, "main", ["sleep", "5"], within=1.0, limit=1000)
    assert clock() - began < 3


async def test_what_cannot_be_run(client_with: ClientWith, namespace: str, pod: str) -> None:
    client = client_with(RULES)
    for name, container, error in (
        (pod, "main", adapter.NoProgram),
        (pod, "absent", ports.ApiError),
        (pod, "other", ports.Unreachable),
        ("absent", "main", ports.NotFound),
    ):
        with pytest.raises(error):
            await execute(client, namespace, name, container, ["no-such-program"], within=10.0, limit=1000)


@pytest.mark.parametrize("verbs", [(), ("get",), ("create",)])
async def test_both_verbs_are_needed(
    client_with: ClientWith,
    namespace: str,
    pod: str,
    verbs: tuple[str, ...],
) -> None:
    client = client_with([replace(RULES[0], verbs=verbs)] if verbs else [])
    with pytest.raises(ports.Forbidden):
        await execute(client, namespace, pod, "main", ["true"], within=10.0, limit=1000)


# --- an API server's own frames --------------------------------------------------------------------


class Exec:
    """Plays an API server's exec; ``play`` is what it does with a connection."""

    def __init__(self) -> None:
        self.play: Played = finish
        self.status = 0
        self.requests: list[Any] = []
        self.port = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.status:
            return web.json_response({"kind": "Status", "message": "no"}, status=self.status)
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",), timeout=0.1)
        await socket.prepare(request)
        await self.play(socket)
        return socket


async def finish(socket: web.WebSocketResponse) -> None:
    await told(socket, {"metadata": {}, "status": "Success"})
    await socket.close()


async def told(socket: web.WebSocketResponse, status: dict[str, Any]) -> None:
    await socket.send_bytes(b"\x03" + json.dumps(status).encode())


@pytest_asyncio.fixture
async def kubelet(client_of: Callable[[str], Client]) -> AsyncIterator[tuple[Exec, Client]]:
    played = Exec()
    app = web.Application()
    app.router.add_get("/{path:.*}", played.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    played.port = runner.addresses[0][1]
    yield played, client_of(f"http://127.0.0.1:{played.port}")
    await runner.cleanup()


async def run(client: Client, *, within: float = 5.0, limit: int = 1000) -> Executed:
    return await execute(client, "kiro", "web", "main", ["mcp-client", "a b"], within=within, limit=limit)


async def test_the_request(kubelet: tuple[Exec, Client]) -> None:
    played, client = kubelet
    assert await run(client) == Executed(0, b"", b"")
    [request] = played.requests
    assert request.path == "/api/v1/namespaces/kiro/pods/web/exec"
    assert request.query.getall("command") == ["mcp-client", "a b"]
    assert request.query.get("container") == "main"
    assert request.headers["Sec-WebSocket-Protocol"] == "v5.channel.k8s.io"
    assert request.headers["Authorization"] == "Bearer token"


async def test_exit_status_as_a_kubelet_tells_it(kubelet: tuple[Exec, Client]) -> None:
    played, client = kubelet

    async def play(socket: web.WebSocketResponse) -> None:
        for frame in (b"\x01", b"\x02", b"\x01one ", b"\x02oh", b"\x01two", b"\xff\x01", b"\x07junk"):
            await socket.send_bytes(frame)
        await socket.send_str("text frames are not part of it")
        cause = {"reason": "ExitCode", "message": "42"}
        message = "command terminated with non-zero exit code"
        failure = {"status": "Failure", "reason": "NonZeroExitCode", "message": message}
        await told(socket, failure | {"details": {"causes": [cause]}})
        await socket.close()

    played.play = play
    assert await run(client) == Executed(42, b"one two", b"oh")


async def test_what_the_container_runtime_refuses(kubelet: tuple[Exec, Client]) -> None:
    played, client = kubelet

    async def play(socket: web.WebSocketResponse) -> None:
        message = 'exec failed: exec: "mcp-client": executable file not found in $PATH'
        await told(socket, {"status": "Failure", "reason": "InternalError", "message": message})

    played.play = play
    with pytest.raises(adapter.NoProgram, match="executable file not found"):
        await run(client)


async def test_cut_before_the_status(kubelet: tuple[Exec, Client]) -> None:
    played, client = kubelet

    async def orderly(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x01half of")
        await socket.close()

    async def abruptly(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x01half of")
        transport = socket._req.transport if socket._req else None
        assert transport is not None
        transport.abort()

    for play in (orderly, abruptly):
        played.play = play
        with pytest.raises(ports.Unreachable):
            await run(client)


async def test_a_server_that_never_goes_on_is_left_in_time(kubelet: tuple[Exec, Client]) -> None:
    """Not even the closing handshake is waited for."""
    played, client = kubelet
    over = asyncio.Event()

    async def play(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x01x")
        await over.wait()

    played.play = play
    clock = asyncio.get_running_loop().time
    began = clock()
    with pytest.raises(TimeoutError):
        await run(client, within=0.5)
    assert clock() - began < 2
    over.set()


async def test_output_over_the_limit_is_left_in_time(kubelet: tuple[Exec, Client]) -> None:
    played, client = kubelet
    over = asyncio.Event()

    async def play(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x01" + b"x" * 600)
        await socket.send_bytes(b"\x01" + b"y" * 600)
        await over.wait()

    played.play = play
    clock = asyncio.get_running_loop().time
    began = clock()
    done = await run(client)
    assert (done.truncated, done.output) == (True, b"x" * 600 + b"y" * 400)
    assert clock() - began < 2
    over.set()


async def test_exactly_the_limit_is_not_over_it(kubelet: tuple[Exec, Client]) -> None:
    played, client = kubelet

    async def play(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x01" + b"x" * 1000)
        await finish(socket)

    played.play = play
    done = await run(client)
    assert (done.truncated, done.status, len(done.output)) == (False, 0, 1000)


async def test_a_status_of_more_than_the_output_may_have_is_read(kubelet: tuple[Exec, Client]) -> None:
    played, client = kubelet

    async def play(socket: web.WebSocketResponse) -> None:
        causes = [{"reason": "ExitCode", "message": "5"}]
        failure = {"status": "Failure", "message": "m" * 400, "details": {"causes": causes}}
        await told(socket, failure)

    played.play = play
    assert (await run(client, limit=10)).status == 5


async def test_a_frame_larger_than_any_limit(kubelet: tuple[Exec, Client]) -> None:
    played, client = kubelet

    async def play(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x01" + b"x" * 5 * 1024 * 1024)

    played.play = play
    with pytest.raises(ports.Unreachable):
        await run(client)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, ports.Forbidden),
        (403, ports.Forbidden),
        (404, ports.NotFound),
        (400, ports.ApiError),
        (429, ports.TooManyRequests),
        (500, ports.Unreachable),
        (200, ports.Unreachable),
    ],
)
async def test_refused(kubelet: tuple[Exec, Client], status: int, error: type[Exception]) -> None:
    kubelet[0].status = status
    with pytest.raises(error):
        await run(kubelet[1])


async def test_nobody_there(client_of: Callable[[str], Client], unused_tcp_port: int) -> None:
    with pytest.raises(ports.Unreachable):
        await run(client_of(f"http://127.0.0.1:{unused_tcp_port}"))


async def test_connections_are_given_back(kubelet: tuple[Exec, Client]) -> None:
    """More commands than there are connections, one after the other and at once."""
    _, client = kubelet
    done = await asyncio.gather(*(run(client) for _ in range(30)))
    assert {one.status for one in done} == {0}
    connector = client._streams.connector
    assert isinstance(connector, aiohttp.TCPConnector)
    assert not connector._acquired


@given(st.binary(max_size=200))
def test_no_status_breaks_it(told_: bytes) -> None:
    with contextlib.suppress(ports.Unreachable):
        assert isinstance(adapter._exit_status(told_), int)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_words_of_a_status_break_it(status: str, cause: str, message: str) -> None:
    body = {
        "status": status,
        "message": message,
        "details": {"causes": [{"reason": "ExitCode", "message": cause}]},
    }
    with contextlib.suppress(ports.Unreachable):
        assert isinstance(adapter._exit_status(json.dumps(body).encode()), int)


async def test_commands_that_hang_hold_up_no_logs_and_no_other_namespace(
    kubelet: tuple[Exec, Client],
) -> None:
    played, client = kubelet
    over = asyncio.Event()

    async def play(socket: web.WebSocketResponse) -> None:
        if "/evil" in played.requests[-1].path:
            await over.wait()
        await finish(socket)

    async def wanted(number: int) -> None:
        async def there() -> bool:
            return len(played.requests) == number

        await eventually(there, f"{number} commands")

    async def run_in(namespace: str) -> Executed:
        return await execute(client, namespace, "web", "main", ["x"], within=10.0, limit=10)

    played.play = play
    hung = [asyncio.create_task(run_in("evil")) for _ in range(EXECS + LOGS)]
    await wanted(EXECS_EACH)
    async with asyncio.timeout(3):
        assert await run_in("kiro") == Executed(0, b"", b"")
    hung += [asyncio.create_task(run_in(f"evil{number}")) for number in range(EXECS)]
    await wanted(EXECS + 1)
    played.status = 404
    async with asyncio.timeout(3):
        with pytest.raises(ports.NotFound):
            await client.get_text("/api/v1/namespaces/kiro/pods/web/log")
    played.status = 0
    over.set()
    assert await asyncio.gather(*hung) == [Executed(0, b"", b"")] * len(hung)


async def test_a_command_is_begun_in_time_or_not_at_all(kubelet: tuple[Exec, Client]) -> None:
    """Where there is a queue, whoever may act only for a while leaves it."""
    played, client = kubelet
    over = asyncio.Event()

    async def play(socket: web.WebSocketResponse) -> None:
        await over.wait()
        await finish(socket)

    async def begun() -> bool:
        return len(played.requests) == EXECS_EACH

    played.play = play
    hung = [asyncio.create_task(run(client)) for _ in range(EXECS_EACH)]
    await eventually(begun, "the commands before it")
    with pytest.raises(TimeoutError):
        await execute(client, "kiro", "web", "main", ["x"], within=5.0, limit=10, opening=0.2)
    over.set()
    assert await asyncio.gather(*hung) == [Executed(0, b"", b"")] * EXECS_EACH
    assert len(played.requests) == EXECS_EACH


async def test_a_command_is_not_begun_if_it_may_not_be_when_its_turn_comes(
    kubelet: tuple[Exec, Client],
) -> None:
    played, client = kubelet
    over, withdrawn = asyncio.Event(), asyncio.Event()

    async def play(socket: web.WebSocketResponse) -> None:
        await over.wait()
        await finish(socket)

    async def begun() -> bool:
        return len(played.requests) == EXECS_EACH

    def on_turn() -> None:
        if withdrawn.is_set():
            raise LookupError

    played.play = play
    hung = [asyncio.create_task(run(client)) for _ in range(EXECS_EACH)]
    await eventually(begun, "the commands before it")
    waits = execute(client, "kiro", "web", "main", ["x"], within=5.0, limit=10, on_turn=on_turn)
    waiting = asyncio.create_task(waits)
    await asyncio.sleep(0)
    withdrawn.set()
    over.set()
    with pytest.raises(LookupError):
        await waiting
    assert await asyncio.gather(*hung) == [Executed(0, b"", b"")] * EXECS_EACH
    assert len(played.requests) == EXECS_EACH


async def test_a_command_may_go_on_for_longer_than_its_opening_may_take(kubelet: tuple[Exec, Client]) -> None:
    played, client = kubelet

    async def play(socket: web.WebSocketResponse) -> None:
        await asyncio.sleep(0.4)
        await finish(socket)

    played.play = play
    done = await execute(client, "kiro", "web", "main", ["x"], within=5.0, limit=10, opening=0.2)
    assert done == Executed(0, b"", b"")
