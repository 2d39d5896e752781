"""A real Alertmanager on this machine: alerts are posted to its API, with the times that are wanted."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import yaml

from devcluster import build, wait
from devcluster.webserver import ANYWHERE, WebServer

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


class Alertmanager(WebServer):
    """An Alertmanager without a cluster."""

    def __init__(self, folder: Path, config: Mapping[str, Any] = CONFIG) -> None:
        super().__init__("alertmanager", folder)
        self._config = config

    def start(self) -> Self:
        """Start; returns once it answers."""
        config = self._folder / "alertmanager.yaml"
        config.write_text(yaml.safe_dump(dict(self._config)))
        files = (f"--config.file={config}", f"--storage.path={self._folder / 'data'}")
        # It finds its templates where it was unpacked.
        self.launch((str(program()), *files, ANYWHERE, "--cluster.listen-address="), cwd=build.cache_folder())
        return self

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


def program() -> Path:
    """The program, fetched when it is not there.

    Raises:
        BuildFailed: it cannot be had.
    """
    if build.locate("alertmanager") is None:
        build.build(("alertmanager",))
    return build.program("alertmanager")
