"""A real Prometheus on this machine: history made up in advance, and an exporter whose values are set."""

from __future__ import annotations

import json
import math
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml

from devcluster import build, wait
from devcluster.errors import BootFailed
from devcluster.listen import Answer, Server
from devcluster.webserver import ANYWHERE, WebServer


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


class Prometheus(WebServer):
    """A Prometheus with a history; ``rules`` are rule files."""

    def __init__(self, folder: Path, history: Iterable[Samples] = (), rules: Sequence[Path] = ()) -> None:
        super().__init__("prometheus", folder)
        self._history = history
        self._rules = rules
        self.exporter = Exporter()

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> Self:
        """Write the history and start; returns once it answers queries."""
        data = self._folder / "data"
        if not data.exists():
            self._backfill(data)
        self.exporter.server.__enter__()
        config = self._folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump(self._config()))
        self.launch(
            (
                *(str(program("prometheus")), f"--config.file={config}", ANYWHERE),
                *(f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=10y"),
                # Targets are looked for every 5 s otherwise, which the first scrape would wait for.
                "--scrape.discovery-reload-interval=1s",
            )
        )
        return self

    def stop(self) -> None:
        """End it; another start goes on with the same data."""
        self.exporter.server.close()
        super().stop()

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
