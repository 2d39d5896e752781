from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from devcluster.proxy import FaultProxy
from tests.harness.world import World


@pytest.fixture
def own_plane(control_plane: ControlPlane) -> ControlPlane:
    """The run's control plane, where it is not somebody's cluster: nothing there may be broken."""
    if control_plane.external:
        pytest.skip("faults need a control plane of our own")
    return control_plane


@pytest.fixture
def world(own_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    made = World(own_plane, namespace, tmp_path)
    yield made
    made.close()


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(control_plane) as running:
        yield running
