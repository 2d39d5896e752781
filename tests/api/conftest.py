"""A namespace of the control plane, in which the custom resources are served."""

import uuid
from collections.abc import Iterator

import pytest

from devcluster import ControlPlane
from devcluster.wait import until
from tests.api.server import MODELS, Server


@pytest.fixture(scope="session")
def server(control_plane: ControlPlane) -> Iterator[Server]:
    name = f"api-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    server = Server(control_plane, name)
    # Established says that the names are taken; that they are served everywhere comes a moment later.
    until(lambda: _served(server), "the custom resources to be served", 30.0)
    yield server
    server.close()
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


def _served(server: Server) -> bool:
    return all(server.kubectl("get", model.PLURAL).returncode == 0 for model in MODELS.values())
