"""A real Prometheus on this machine: history made up in advance, and an exporter whose values are set."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import yaml

from devcluster import build, wait
from devcluster.errors import BootFailed
from devcluster.listen import Answer, Server
from devcluster.paths import HERE

START_SECONDS = 60.0
STOP_SECONDS = 10.0
_LISTENS = re.compile(r'msg="Listening on".* address=127\.0\.0\.1:(\d+)')


class Samples(NamedTuple):
    """The history of one series: Unix times in seconds and values. What is left out is a gap."""

    name: str
    labels: Mapping[str, str]
    points: Iterable[tuple[float, float]]


def course(
    start: datetime, end: datetime, value: Callable[[datetime], float | None], *, minutes: float = 1.0
) -> list[tuple[float, float]]:
    """Points from start to end, both included; where ``value`` gives None there is a gap.

    A counter is a ``value`` that grows; one that is reset falls back to zero.
    """
    found: list[tuple[float, float]] = []
    at = start
    while at <= end:
        if (number := value(at)) is not None:
            found.append((at.timestamp(), number))
        at += timedelta(minutes=minutes)
    return found


def round_hour(at: datetime) -> datetime:
    """The beginning of the hour."""
    return at.replace(minute=0, second=0, microsecond=0)


class Exporter:
    """What a live target shows; scraped every second."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self.server = Server(lambda _: Answer(body=self._text(), headers={"Content-Type": "text/plain"}))

    def set(self, name: str, value: float, **labels: str) -> None:
        """Show a value from the next scrape on."""
        self._values[_series(name, labels)] = value

    def remove(self, name: str, **labels: str) -> None:
        """Show it no more: the series goes stale with the next scrape."""
        del self._values[_series(name, labels)]

    def clear(self) -> None:
        """Show nothing."""
        self._values.clear()

    def _text(self) -> bytes:
        return "".join(
            f"{series} {_number(value)}\n" for series, value in self._values.copy().items()
        ).encode()


class Prometheus:
    """A Prometheus on a free loopback port, as a context manager; ``rules`` are rule files."""

    def __init__(self, folder: Path, history: Iterable[Samples] = (), rules: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._history = history
        self._rules = rules
        self._process: subprocess.Popen[bytes] | None = None
        self.exporter = Exporter()
        self.port = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> Self:
        """Write the history and start; returns once it answers queries."""
        data = self._folder / "data"
        if not data.exists():
            self._backfill(data)
        self.exporter.server.__enter__()
        config = self._folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump(self._config()))
        log = self._folder / "prometheus.log"
        log.touch()
        skip = log.stat().st_size
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [
                    # Ends with this process, however that ends.
                    *(sys.executable, "-I", "-S", str(HERE / "launch.py"), str(os.getpid())),
                    *(str(program("prometheus")), f"--config.file={config}"),
                    *(f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=10y"),
                    # Targets are looked for every 5 s otherwise, which the first scrape would wait for.
                    *("--web.listen-address=127.0.0.1:0", "--scrape.discovery-reload-interval=1s"),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        try:
            self.port = int(wait.until(lambda: self._listens(log, skip), "Prometheus", START_SECONDS)[1])
            wait.until(self._ready, "Prometheus to be ready", START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it; another start goes on with the same data."""
        self.exporter.server.close()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process = None

    # --- what a test asks of it -----------------------------------------------------------------

    def query(self, expr: str, at: datetime | None = None) -> list[dict[str, Any]]:
        """The result of an instant query."""
        form = {"query": expr} | ({"time": f"{at.timestamp():.3f}"} if at else {})
        found: list[dict[str, Any]] = self._get("/api/v1/query?" + urllib.parse.urlencode(form))["data"][
            "result"
        ]
        return found

    def wait(self, expr: str, timeout: float = 20.0) -> list[dict[str, Any]]:
        """The result of a query once it has one."""
        return wait.until(lambda: self.query(expr), f"a result of {expr}", timeout)

    def wait_gone(self, expr: str, timeout: float = 20.0) -> None:
        """Wait until a query has no result."""
        wait.until(lambda: not self.query(expr), f"no result of {expr}", timeout)

    # --- within ---------------------------------------------------------------------------------

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _listens(self, log: Path, skip: int) -> re.Match[str] | None:
        text = log.read_bytes()[skip:].decode(errors="replace")
        if self._process is None or self._process.poll() is not None:
            raise BootFailed(f"Prometheus has ended:\n{text[-2000:]}")
        return _LISTENS.search(text)

    def _config(self) -> dict[str, Any]:
        return {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in self._rules],
            "scrape_configs": [
                {
                    "job_name": "test",
                    "honor_labels": True,
                    # So that what is scraped goes on with the series that the history began.
                    "metric_relabel_configs": [{"action": "labeldrop", "regex": "job|instance"}],
                    "static_configs": [{"targets": [self.exporter.server.address]}],
                }
            ],
        }

    def _backfill(self, data: Path) -> None:
        data.mkdir(parents=True)
        source = self._folder / "history.txt"
        with source.open("w") as file:
            for name, labels, points in self._history:
                series = _series(name, labels)
                file.writelines(f"{series} {_number(value)} {time:.3f}\n" for time, value in points)
            file.write("# EOF\n")
        if source.stat().st_size <= len("# EOF\n"):
            return
        done = subprocess.run(
            [
                *(str(program("promtool")), "tsdb", "create-blocks-from", "openmetrics", "--quiet"),
                *("--max-block-duration=1000h", str(source), str(data)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode:
            raise BootFailed(f"promtool could not write the history: {done.stdout}{done.stderr}")


def program(name: str) -> Path:
    """A program of Prometheus', built when it is not there: minutes on a fresh machine, once.

    Raises:
        BuildFailed: it cannot be built here.
    """
    if build.locate(name) is None:
        build.build((name,))
    return build.program(name)


def _series(name: str, labels: Mapping[str, str]) -> str:
    pairs = ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(labels.items()))
    return f"{name}{{{pairs}}}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return f"{value!r}" if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")
