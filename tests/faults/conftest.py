from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from devcluster.proxy import FaultProxy
from tests.harness.world import World


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    if control_plane.external:
        pytest.skip("faults need a control plane of our own")
    made = World(control_plane, namespace, tmp_path)
    yield made
    made.close()


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(control_plane) as running:
        yield running
