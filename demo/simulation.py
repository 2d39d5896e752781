"""The simulated Kiro: what its containers would do by themselves, log, answer and use up CPU."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from demo.cluster import NAMESPACE, Cluster
from devcluster import ControlPlane, faults
from devcluster.errors import DevclusterError
from devcluster.listen import Server

SERVICES = {"kiro": 8080, "autonomous-operations": 8081}
TALKING = (*SERVICES, "mcp-server")
TICK_SECONDS = 0.5
TICKS_A_LINE = 4
STOP_SECONDS = 10.0
LIGHT_LOAD = "120m"
KIRO = "app=kiro"

BEGINNINGS = {
    "kiro": (
        "INFO  starting kiro 1.4.2",
        "INFO  steering: 4 documents loaded from .kiro/steering",
        "INFO  mcp: connected to mcp-server:8080, 12 tools",
        "INFO  listening on :8080",
    ),
    "autonomous-operations": (
        "INFO  starting autonomous-operations 1.4.2",
        "INFO  boundaries: kiro-safety-config read, 7 rules",
        "INFO  scheduler: next pass in 60s",
    ),
    "mcp-server": (
        "INFO  mcp-server 0.9.1",
        "INFO  tools: aws, prometheus, kubernetes",
        "INFO  ready on :8080",
    ),
}
ROUTINE = {
    "kiro": (
        "INFO  request=diagnose status=200 duration=412ms",
        "INFO  request=explain status=200 duration=268ms",
        "INFO  context: 3 documents, 1820 tokens",
    ),
    "autonomous-operations": (
        "INFO  pass: 14 candidates, 0 eligible",
        "INFO  operation=rightsize scope=staging result=success",
    ),
    "mcp-server": ("INFO  tool=prometheus.query status=ok duration=38ms", "INFO  health check ok"),
}


class Simulation:
    """Plays the containers' part, on a thread, as a context manager.

    Every new pod gets a log to show, and load on kiro spreads evenly over however many pods it has, as
    it would behind a Service: so adding a replica really helps.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._cluster = Cluster(plane)
        self._servers = {name: Server() for name in SERVICES}
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._load: int | None = None
        self._shared: tuple[str, ...] = ()
        self._logs: dict[str, Path] = {}
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)

    def __enter__(self) -> Self:
        for server in self._servers.values():
            server.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(STOP_SECONDS)
        for server in self._servers.values():
            server.close()

    @property
    def resolve_flags(self) -> tuple[str, ...]:
        """How the operator is told where the Services are on this machine, which has no cluster DNS."""
        pairs = (
            f"{name}.{NAMESPACE}:{port}={self._servers[name].address}" for name, port in SERVICES.items()
        )
        return tuple(itertools.chain.from_iterable(("--resolve", pair) for pair in pairs))

    def load(self, millicores: int | None) -> None:
        """Put so much load on kiro, over all its pods together; None: the light load of every day."""
        with self._lock:
            self._load, self._shared = millicores, ()

    def _run(self) -> None:
        for tick in itertools.count():
            # A request may meet the end of the control plane, or of a pod: the next tick tries again.
            with contextlib.suppress(DevclusterError, OSError, http.client.HTTPException):
                self._tick(talk=tick % TICKS_A_LINE == 0, turn=tick // TICKS_A_LINE)
            if self._ended.wait(TICK_SECONDS):
                return

    def _tick(self, *, talk: bool, turn: int) -> None:
        names = [str(pod["metadata"]["name"]) for pod in self._cluster.pods()]
        for name in names:
            service = next((each for each in TALKING if name.startswith(f"{each}-")), "kiro")
            if name not in self._logs:
                self._logs[name] = faults.logs(self._plane, NAMESPACE, name, BEGINNINGS[service])
            elif talk:
                lines = ROUTINE[service]
                faults.append_log(self._logs[name], [lines[turn % len(lines)]])
        self._share(tuple(name for name in names if name.startswith("kiro-")))

    def _share(self, pods: tuple[str, ...]) -> None:
        with self._lock:
            if pods == self._shared or not pods:
                return
            each = LIGHT_LOAD if self._load is None else f"{self._load // len(pods)}m"
            faults.usage(self._plane, NAMESPACE, KIRO, cpu=each)
            self._shared = pods
