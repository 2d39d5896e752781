"""Commands to a running supervisor: one JSON line there, one JSON line back, over loopback."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from devcluster.errors import DevclusterError, NotRunning
from devcluster.ports import LOOPBACK
from devcluster.state import State

CONNECT_SECONDS = 3.0


def command(folder: Path, verb: str, component: str = "", timeout: float = 60.0) -> dict[str, Any]:
    """Ask the supervisor of `folder` to do something and return its answer.

    Args:
        folder: The control plane's folder.
        verb: ping, shutdown, stop, start, pause or resume.
        component: What the last four are about.
        timeout: Seconds until the answer must be there.

    Raises:
        NotRunning: There is no supervisor.
        DevclusterError: It refused or failed.
    """
    state = State.load(folder)
    request = {"token": state.token, "verb": verb, "component": component, "timeout": timeout}
    try:
        with socket.create_connection((LOOPBACK, state.control_port), CONNECT_SECONDS) as connection:
            connection.settimeout(timeout + CONNECT_SECONDS)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except (ConnectionError, TimeoutError) as error:
        raise NotRunning(f"the control plane in {folder} does not answer: {error}") from error
    if not line:
        raise NotRunning(f"the control plane in {folder} ended meanwhile")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise DevclusterError(answer["error"])
    return answer


def is_running(folder: Path) -> bool:
    """Whether a supervisor answers for the folder."""
    try:
        command(folder, "ping", timeout=CONNECT_SECONDS)
    except (NotRunning, DevclusterError):
        return False
    return True
