"""A real Alertmanager on this machine: alerts are posted to its API, with the times that are wanted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from devcluster import build, wait
from devcluster.errors import BootFailed
from devcluster.paths import HERE

START_SECONDS = 30.0
STOP_SECONDS = 10.0
# Nothing is notified: groups are what is looked at.
CONFIG = {
    "route": {"receiver": "nobody", "group_by": ["alertname"], "group_wait": "1s"},
    "receivers": [{"name": "nobody"}],
    "inhibit_rules": [
        {
            "source_matchers": ['alertname="KubeNodeNotReady"', 'inhibits="pods"'],
            "target_matchers": ['pod!=""'],
            "equal": ["node"],
        }
    ],
}
_LISTENS = re.compile(r"Listening on\"? address=127\.0\.0\.1:(\d+)")


class Alertmanager:
    """An Alertmanager on a free loopback port, without cluster, as a context manager."""

    def __init__(self, folder: Path, config: Mapping[str, Any] = CONFIG) -> None:
        self._folder = folder
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start; returns once it answers."""
        config = self._folder / "alertmanager.yaml"
        config.write_text(yaml.safe_dump(dict(self._config)))
        log = self._folder / "alertmanager.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    # Ends with this process, however that ends.
                    *(sys.executable, "-I", "-S", str(HERE / "launch.py"), str(os.getpid())),
                    *(str(program()), f"--config.file={config}", f"--storage.path={self._folder / 'data'}"),
                    *("--web.listen-address=127.0.0.1:0", "--cluster.listen-address="),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=build.cache_folder(),  # where it finds its templates
            )
        try:
            self.port = int(wait.until(lambda: self._listens(log), "Alertmanager", START_SECONDS)[1])
            wait.until(self._ready, "Alertmanager to be ready", START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

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

    # --- what is done with it ---------------------------------------------------------------

    def fire(self, name: str, *, minutes: float = 0.0, **labels: str) -> None:
        """Have an alert that began so many minutes ago, and wait until it is in a group."""
        now = datetime.now(UTC)
        self._post(name, labels, now - timedelta(minutes=minutes), now + timedelta(hours=12))
        wait.until(lambda: self._has(name, labels), f"the alert {name}")

    def resolve(self, name: str, **labels: str) -> None:
        """End an alert, and wait until it is in no group."""
        now = datetime.now(UTC)
        self._post(name, labels, now - timedelta(days=1), now - timedelta(seconds=1))
        wait.until(lambda: not self._has(name, labels), f"the alert {name} to be gone")

    def silence(self, minutes: float = 60.0, **labels: str) -> None:
        """Silence the alerts with these labels."""
        now = datetime.now(UTC)
        matchers = [{"name": key, "value": value, "isRegex": False} for key, value in labels.items()]
        self._send(
            "/api/v2/silences",
            {
                "matchers": matchers,
                "startsAt": now.isoformat(),
                "endsAt": (now + timedelta(minutes=minutes)).isoformat(),
                "createdBy": "test",
                "comment": "seen",
            },
        )

    def groups(self) -> list[dict[str, Any]]:
        """The groups as the API shows them."""
        address = f"http://127.0.0.1:{self.port}/api/v2/alerts/groups"
        with urllib.request.urlopen(address, timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    # --- within ---------------------------------------------------------------------------------

    def _has(self, name: str, labels: Mapping[str, str]) -> bool:
        wanted = {"alertname": name, **labels}
        return any(alert["labels"] == wanted for group in self.groups() for alert in group["alerts"])

    def _post(self, name: str, labels: Mapping[str, str], starts: datetime, ends: datetime) -> None:
        alert = {
            "labels": {"alertname": name, **labels},
            "startsAt": starts.isoformat(),
            "endsAt": ends.isoformat(),
        }
        self._send("/api/v2/alerts", [alert])

    def _send(self, path: str, body: Any) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _listens(self, log: Path) -> re.Match[str] | None:
        text = log.read_bytes().decode(errors="replace")
        if self._process is None or self._process.poll() is not None:
            raise BootFailed(f"Alertmanager has ended:\n{text[-2000:]}")
        return _LISTENS.search(text)


def program() -> Path:
    """The program, fetched when it is not there.

    Raises:
        BuildFailed: it cannot be had.
    """
    if build.locate("alertmanager") is None:
        build.build(("alertmanager",))
    return build.program("alertmanager")
