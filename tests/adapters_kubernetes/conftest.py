from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from devcluster import ControlPlane
from kiro_operator.adapters.kubernetes import credentials
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.settings import parse


class FakeClock:
    """Implements ports.Clock; stands still until it is moved."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 1, 1, tzinfo=UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """The operator's own client, as the administrator."""
    settings = parse(["--kubeconfig", str(control_plane.kubeconfig)], {})
    made = Client(credentials.load(settings))
    yield made
    await made.close()
