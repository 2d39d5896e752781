"""A server of Prometheus' family on a free loopback port, as a process that ends with this one."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from devcluster import wait
from devcluster.errors import BootFailed
from devcluster.launch import bound

START_SECONDS = 60.0
STOP_SECONDS = 10.0
ANYWHERE = "--web.listen-address=127.0.0.1:0"
"""The flag for a free port, which the log then names."""
_LISTENS = re.compile(r'Listening on"?.* address=127\.0\.0\.1:(\d+)')


class WebServer(ABC):
    """What such servers have in common, as a context manager: they tell their port, and are ready."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> Self:
        """Start; returns once it answers."""

    def launch(self, command: Sequence[str], *, cwd: Path | None = None) -> None:
        """Run a command until it says that it is ready.

        Raises:
            BootFailed: it has ended instead; with the end of its log.
            WaitTimeout: it does not get there.
        """
        log = self._folder / f"{self._name}.log"
        log.touch()
        skip = log.stat().st_size
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                bound([*command]),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=cwd,
            )
        try:
            self.port = int(wait.until(lambda: self._listens(log, skip), self._name, START_SECONDS)[1])
            wait.until(self._ready, f"{self._name} to be ready", START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process = None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _listens(self, log: Path, skip: int) -> re.Match[str] | None:
        text = log.read_bytes()[skip:].decode(errors="replace")
        if self._process is None or self._process.poll() is not None:
            raise BootFailed(f"{self._name} has ended:\n{text[-2000:]}")
        return _LISTENS.search(text)
