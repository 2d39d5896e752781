"""What Kiro works with, real and on loopback: an MCP server and a Prometheus with a week of history."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from devcluster.errors import BootFailed
from devcluster.launch import bound
from devcluster.prometheus import Prometheus, Samples, course
from devcluster.wait import until

ROOT = Path(__file__).resolve().parent.parent
PROMETHEUS_HOST = "prometheus.monitoring.svc:9090"
START_SECONDS = 30.0
DAYS = 9
MINUTES = 5.0
MEBIBYTE = 2.0**20

PLATFORM: Mapping[str, float] = {
    "kiro_autonomous_success_rate": 0.97,
    "kiro_cache_hit_ratio": 0.93,
    "kiro_cpu_throttling_ratio": 0.01,
    "kiro_database_query_seconds": 0.02,
    "kiro_error_ratio": 0.002,
    "kiro_quota_utilization": 0.4,
    "kiro_requests_per_second": 14.0,
    "kiro_response_seconds": 0.3,
    "kiro_container_memory_utilization": 0.35,
    "kiro_volume_utilization": 0.3,
}
"""What the platform's own metrics show, each with the label of its namespace."""
NODES: Mapping[str, float] = {
    "node_cpu_utilization": 0.3,
    "kiro_node_filesystem_utilization": 0.4,
    "kiro_node_network_utilization": 0.2,
    "kiro_network_latency_seconds": 0.002,
}
"""What every node shows."""
USED: Mapping[str, tuple[float, float]] = {
    "kiro": (0.09, 110.0),
    "autonomous-operations": (0.08, 105.0),
    "mcp-server": (0.08, 100.0),
    "dashboard": (0.05, 90.0),
    "reports": (0.0, 20.0),
}
"""Cores and MiB that a pod of each Deployment has used all along."""


class McpServer:
    """One ``python -m demo.mcp_server``, whose fault is switched while it runs, as a context manager."""

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
        """Start it, on the port that it had before, if any; returns once it answers.

        It ends with the thread that starts it.
        """
        self._process = subprocess.Popen(
            bound([sys.executable, "-m", "demo.mcp_server", "--port", str(self.port)]),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = self._process.stdout.readline() if self._process.stdout else ""
        if not told:
            raise BootFailed("the MCP server ended at once")
        self.port = json.loads(told)["port"]
        until(self._healthy, "the MCP server to answer", START_SECONDS)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def fault(self, name: str = "", *, at: str = "", delay: float = 3.0) -> None:
        """Have a fault from the next request on; none mends it."""
        query = urlencode({"fault": name, "at": at, "delay": delay})
        address = f"http://{self.address}/control?{query}"
        request = urllib.request.Request(address, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            answer.read()

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Backends:
    """The servers of the demo, as a context manager."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self._namespace = namespace
        self._stack = contextlib.ExitStack()
        self.mcp = McpServer()
        self.prometheus = Prometheus(
            folder, _history(namespace), rules=[ROOT / "deploy/monitoring/rules.yaml"]
        )

    def __enter__(self) -> Self:
        self._stack.enter_context(self.mcp)
        self._stack.enter_context(self.prometheus)
        for name, value in PLATFORM.items():
            self.show(name, value)
        for name, value in NODES.items():
            self.prometheus.exporter.set(name, value, node="demo-node")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def show(self, metric: str, value: float | None = None) -> None:
        """Have a metric of the platform show a value; none: the one of every day."""
        self.prometheus.exporter.set(
            metric, PLATFORM[metric] if value is None else value, namespace=self._namespace
        )

    @property
    def flags(self) -> tuple[str, ...]:
        """How the operator is told where they are."""
        where = PROMETHEUS_HOST.replace(".svc", "")
        return (
            *("--allow-host", PROMETHEUS_HOST),
            *("--resolve", f"{where}=127.0.0.1:{self.prometheus.port}"),
            *("--resolve", f"mcp-server.{self._namespace}:8080={self.mcp.address}"),
        )


def _history(namespace: str) -> Iterator[Samples]:
    """Days in which all was well, a little more by day than by night."""
    now = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
    begin = now - dt.timedelta(days=DAYS)

    def wave(level: float) -> list[tuple[float, float]]:
        return course(begin, now, lambda at: level * (1 - 0.02 * math.sin(at.hour) ** 2), minutes=MINUTES)

    def counted(cores: float) -> list[tuple[float, float]]:
        return course(begin, now, lambda at: cores * (at - begin).total_seconds(), minutes=MINUTES)

    for name, value in PLATFORM.items():
        yield Samples(name, {"namespace": namespace}, wave(value))
    for name, value in NODES.items():
        yield Samples(name, {"node": "demo-node"}, wave(value))
    for name, (cores, mebibytes) in USED.items():
        # Pods come and go; their names tell whose they were.
        labels = {"namespace": namespace, "pod": f"{name}-7d4b9c6f5-x2x4x", "container": name}
        yield Samples("container_cpu_usage_seconds_total", labels, counted(cores))
        yield Samples("container_memory_working_set_bytes", labels, wave(mebibytes * MEBIBYTE))
        traffic = counted(cores * MEBIBYTE)
        yield Samples("container_network_receive_bytes_total", labels, traffic)
        yield Samples("container_network_transmit_bytes_total", labels, traffic)
