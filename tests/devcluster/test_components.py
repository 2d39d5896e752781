"""Components can be taken away for a while and come back as they were."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import devcluster
from devcluster import ControlPlane
from devcluster.errors import DevclusterError
from devcluster.wait import until

from .helpers import get_pods, make_deployment, ready


@pytest.fixture(scope="module")
def spare(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane to be rough with: the run's own belongs to all tests."""
    assert control_plane.folder.exists()
    folder: Path = tmp_path_factory.mktemp("spare") / "plane"
    plane = devcluster.boot(folder, name="spare", metrics_server=False)
    yield plane
    plane.stop()


def test_the_api_server_goes_away_and_comes_back(spare: ControlPlane) -> None:
    server = spare.server
    make_deployment(spare, "default", "before")
    spare.stop_component("kube-apiserver")
    with pytest.raises(ConnectionRefusedError):
        spare.rest.get("/readyz")
    assert spare.state.components["kube-apiserver"].state == "stopped"

    spare.start_component("kube-apiserver")
    assert spare.server == server
    # All that hang on it go on: a new deployment is scheduled and runs.
    make_deployment(spare, "default", "after", replicas=2)
    until(lambda: sum(map(ready, get_pods(spare, "default"))) == 3, "all pods to be ready", 60.0)
    assert {each.state for each in spare.state.components.values()} == {"ready"}


def test_the_api_server_freezes(spare: ControlPlane) -> None:
    spare.pause("kube-apiserver")
    frozen = spare.kubectl("--request-timeout=1s", "get", "--raw", "/readyz", check=False)
    assert frozen.returncode != 0
    spare.resume("kube-apiserver")
    until(lambda: spare.rest.get("/api/v1/nodes")["items"], "the nodes")


def test_a_component_that_dies_later_shows(spare: ControlPlane) -> None:
    os.kill(spare.state.components["kube-scheduler"].pid, signal.SIGKILL)
    until(lambda: spare.state.components["kube-scheduler"].state == "died", "the death to show")
    assert spare.state.components["kube-scheduler"].exit_code == -signal.SIGKILL
    spare.start_component("kube-scheduler")
    assert spare.state.components["kube-scheduler"].state == "ready"


def test_an_unknown_component_is_refused(spare: ControlPlane) -> None:
    with pytest.raises(DevclusterError, match="no component 'kubelet'; there are etcd"):
        spare.stop_component("kubelet")
