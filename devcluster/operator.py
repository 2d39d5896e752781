"""The operator as a process beside the control plane, known to it by a ServiceAccount as in a pod."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from devcluster.launch import bound
from devcluster.plane import ControlPlane
from devcluster.wait import until

READY_SECONDS = 30.0


class Started(Protocol):
    """A process that runs, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """Process id."""

    def poll(self) -> int | None:
        """Exit status; None while it runs."""

    def wait(self, timeout: float) -> int:
        """Exit status, as soon as it has ended."""

    def send_signal(self, number: int) -> None:
        """Send it a signal."""


class OperatorProcess:
    """One replica of the operator.

    Attributes:
        log: File with what it writes, a JSON object on each line.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        namespace: str,
        service_account: str,
        log: Path,
        flags: tuple[str, ...] = (),
        server: str = "",
    ) -> None:
        """Say how it is to run; `start` runs it.

        Args:
            plane: Where.
            namespace: Namespace of its ServiceAccount and its Lease.
            service_account: Name of the ServiceAccount.
            log: File to write its log to.
            flags: More command-line flags.
            server: Address of the API server, where it is not the control plane's own.
        """
        self._plane = plane
        self._namespace = namespace
        self._service_account = service_account
        self._flags = flags
        self._server = server or plane.server
        self._process: Started | None = None
        self._port = 0
        self.log = log

    @property
    def pid(self) -> int:
        """Process id."""
        return self._known.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> Self:
        """Start the process, and wait until it answers its probes.

        It ends with the thread that starts it, so also with a process that is killed.
        """
        address = urlsplit(self._server)
        folder = self._plane.service_account_dir(self._namespace, self._service_account)
        arguments = [
            "--service-account-dir", str(folder), "--namespace", self._namespace, "--port", "0", *self._flags,
        ]  # fmt: skip
        environment = {
            **os.environ,
            "KUBERNETES_SERVICE_HOST": str(address.hostname),
            "KUBERNETES_SERVICE_PORT": str(address.port),
            "POD_NAME": f"{self._service_account}-{os.getpid()}",
        }
        self._process = self._spawn(arguments, environment)
        if wait:
            self._port = int(until(self._listening, "the operator to listen", READY_SECONDS)["port"])
            until(lambda: self.probe("/readyz")[0] == 200, "the operator to be ready", READY_SECONDS)
        return self

    def _spawn(self, arguments: list[str], environment: Mapping[str, str]) -> Started:
        command = bound([sys.executable, "-m", "kiro_operator", *arguments])
        with self.log.open("ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=output, env=environment)

    def stop(self, timeout: float = 10.0) -> int:
        """End it as Kubernetes does, with SIGTERM; returns its exit status."""
        return self._end(signal.SIGTERM, timeout)

    def kill(self) -> int:
        """End it as a crash does."""
        return self._end(signal.SIGKILL, 10.0)

    def pause(self) -> None:
        """Stop the process in its tracks."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a stopped process go on."""
        self._send(signal.SIGCONT)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait until it ends by itself; returns its exit status."""
        return self._known.wait(timeout)

    def probe(self, path: str) -> tuple[int, str]:
        """Ask one of its own pages; returns HTTP status and text."""
        try:
            with urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return int(answer.status), answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def records(self) -> Iterator[dict[str, Any]]:
        """What it has logged since it was started first."""
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                yield {"message": line}

    def _listening(self) -> dict[str, Any] | None:
        if not self.running:
            raise RuntimeError(f"the operator ended at once:\n{self.log.read_text()[-3000:]}")
        found = [record for record in self.records() if record.get("message") == "listening"]
        fresh = [record for record in found if record.get("pid") == self.pid]
        return fresh[-1] if fresh else None

    @property
    def _known(self) -> Started:
        if self._process is None:
            raise RuntimeError("the operator has not been started")
        return self._process

    def _send(self, number: int) -> None:
        if self._known.poll() is None:
            self._known.send_signal(number)

    def _end(self, number: int, timeout: float) -> int:
        self._send(number)
        return self._known.wait(timeout)
