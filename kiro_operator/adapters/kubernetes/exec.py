"""One command in a container: ``kubectl exec``, without a shell, with a limit on time and output.

It speaks the API server's own websocket protocol (``v5.channel.k8s.io``): each message begins with the
number of its channel; the last one, on the error channel, is a metav1.Status with the exit status. A
kubelet tells a non-zero exit as reason NonZeroExitCode with a cause ExitCode; kwok as an internal error
that ends in ``exit status N``.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import aiohttp
import msgspec
from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.core.permissions import Grant, Rule

RULES = (
    Rule(
        "",
        ("pods/exec",),
        ("create", "get"),
        "some evidence exists only inside a pod: an MCP client's own test, files, decision logs",
        grant=Grant.EXEC,
    ),
)
STDOUT, STDERR, ERROR = 1, 2, 3
STATUS_LIMIT = 65_536
"""Bytes of the status at the end."""

_NO_PROGRAM = ("executable file not found", "no such file or directory")
_CODE = re.compile(r"[0-9]{1,3}")
_EXIT = re.compile(r"exit status (\d{1,3})\b|command terminated with exit code (\d{1,3})\b")


class NoProgram(ports.Unreachable):
    """The container has no such program: nothing was run."""


class Executed(Struct, frozen=True):
    """What came of a command."""

    status: int
    """Exit status; 0 is success."""
    output: bytes
    errors: bytes
    truncated: bool = False
    """More was written than the limit let through; then the exit status is not known and is 0."""


class _Cause(Struct):
    reason: str = ""
    message: str = ""


class _Details(Struct):
    causes: list[_Cause] = []


class _Status(Struct):
    status: str = ""
    reason: str = ""
    message: str = ""
    details: _Details | None = None


async def execute(
    client: Client,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    within: float,
    limit: int,
    opening: float | None = None,
    on_turn: Callable[[], None] = lambda: None,
) -> Executed:
    """Run a command, ``limit`` bytes of output at most.

    It is begun within ``opening`` seconds or not at all, by default whenever its turn comes; nor if
    ``on_turn`` raises, which is called then.

    Raises:
        ports.ApiError: it was refused, or the pod or container is not there.
        NoProgram: the container has no such program.
        ports.Unreachable: the connection failed, or the kubelet could not run it.
        TimeoutError: it did not end within ``within`` seconds.
    """
    query = [("container", container), ("stdout", "1"), ("stderr", "1")]
    query += [("command", one) for one in command]
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
    streams: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray(), ERROR: bytearray()}
    truncated = False
    async with asyncio.timeout(within), AsyncExitStack() as stack:
        async with asyncio.timeout(opening):
            socket = await stack.enter_async_context(client.websocket(namespace, path, query, on_turn))
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            stream = streams.get(message.data[0])
            if stream is None:
                continue
            room = (STATUS_LIMIT if stream is streams[ERROR] else limit) - len(stream)
            stream += message.data[1 : 1 + room]
            if len(message.data) - 1 > room:
                truncated = True
                break
    if truncated:
        return Executed(0, bytes(streams[STDOUT]), bytes(streams[STDERR]), truncated=True)
    return Executed(_exit_status(bytes(streams[ERROR])), bytes(streams[STDOUT]), bytes(streams[STDERR]))


def _exit_status(told: bytes) -> int:
    """The exit status in the last message of the error channel.

    Raises:
        NoProgram: the container has no such program.
        ports.Unreachable: there is none: the command was not run, or the connection broke off.
    """
    try:
        status = msgspec.json.decode(told, type=_Status)
    except MALFORMED as error:
        raise ports.Unreachable("the connection ended before the command did") from error
    if status.status == "Success":
        return 0
    causes = status.details.causes if status.details else []
    for cause in causes:
        if cause.reason == "ExitCode" and (code := _CODE.fullmatch(cause.message)):
            return int(code[0])
    if found := _EXIT.search(status.message):
        return int(found[1] or found[2])
    why = f"the command could not be run: {status.message[:300] or status.reason}"
    raise (NoProgram if any(sign in why for sign in _NO_PROGRAM) else ports.Unreachable)(why)
