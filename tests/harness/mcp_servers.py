"""MCP servers as processes of their own, whose fault is switched while they run."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from devcluster.wait import until

ROOT = Path(__file__).resolve().parents[2]


class McpProcess:
    """One ``python -m demo.mcp_server``, as a context manager."""

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, on the port that it had before, if any; returns once it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "demo.mcp_server", "--port", str(self.port)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = json.loads(self._process.stdout.readline())["port"]
        until(self._healthy, "the MCP server to answer", 30.0)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def fault(self, name: str = "", *, at: str = "", delay: float = 3.0) -> None:
        """Have a fault from the next request on; none mends it."""
        query = urlencode({"fault": name, "at": at, "delay": delay})
        self._post(f"/control?{query}")

    def _post(self, path: str) -> None:
        request = urllib.request.Request(f"http://{self.address}{path}", method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - it is http
            answer.read()

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
