from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.harness.world import World


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    made = World(control_plane, namespace, tmp_path)
    yield made
    made.close()
