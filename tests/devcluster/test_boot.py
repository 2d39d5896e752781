"""The control plane comes up, several live side by side, and nothing of one outlives its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import devcluster
from devcluster import ControlPlane, control
from devcluster.errors import BootFailed, NotRunning
from devcluster.wait import until

from .helpers import get_pods, make_deployment, ready

COMPONENTS = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}


def test_a_deployment_becomes_ready(control_plane: ControlPlane, namespace: str) -> None:
    make_deployment(control_plane, namespace, replicas=3)
    until(lambda: sum(map(ready, get_pods(control_plane, namespace))) == 3, "three ready pods")


def test_kubectl_sees_it(control_plane: ControlPlane) -> None:
    assert "node-0" in control_plane.kubectl("get", "nodes").stdout
    assert "Server Version" in control_plane.kubectl("version").stdout


def test_side_by_side_and_sigkill(control_plane: ControlPlane, tmp_path: Path) -> None:
    """A second control plane is another one; SIGKILL of its supervisor leaves no process of it."""
    second = devcluster.boot(tmp_path / "second", metrics_server=False, nodes=1)
    assert second.server != control_plane.server
    second.rest.post("/api/v1/namespaces", {"metadata": {"name": "only-here"}})
    names = {each["metadata"]["name"] for each in control_plane.rest.get("/api/v1/namespaces")["items"]}
    assert "only-here" not in names

    state = second.state
    assert state.components.keys() == COMPONENTS
    processes = [psutil.Process(each.pid) for each in state.components.values()]
    second.close()
    os.kill(state.pid, signal.SIGKILL)
    until(lambda: not any(map(is_alive, processes)), "all components to end")
    with pytest.raises(NotRunning, match="not running"):
        devcluster.attach(second.folder)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_ends_with_its_parent(control_plane: ControlPlane, tmp_path: Path) -> None:
    """Bound to a process, it ends with that, however it ends."""
    assert control_plane.folder.exists()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        plane = devcluster.boot(tmp_path / "bound", metrics_server=False, nodes=0, parent_pid=parent.pid)
        assert control.is_running(plane.folder)
        parent.kill()
    until(lambda: not control.is_running(plane.folder), "the control plane to end")
    until(lambda: plane.state.phase == "stopped", "its last word")
    assert not (plane.folder / "etcd").exists()


@pytest.fixture
def broken_etcd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An etcd that says why and dies, in the place of the real one."""
    assets = tmp_path / "assets"
    assets.mkdir()
    etcd = assets / "etcd"
    etcd.write_text("#!/bin/sh\necho 'etcd: the disk is on fire' >&2\nexit 3\n", encoding="utf-8")
    etcd.chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))


@pytest.mark.usefixtures("control_plane", "broken_etcd")
def test_a_component_that_dies_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BootFailed, match="etcd died with exit code 3") as caught:
        devcluster.boot(tmp_path / "broken", metrics_server=False)
    assert "the disk is on fire" in str(caught.value)


@pytest.mark.usefixtures("control_plane")
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(BootFailed, match="was not made by devcluster"):
        devcluster.boot(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_one_control_plane_a_folder(control_plane: ControlPlane) -> None:
    if control_plane.external:
        pytest.skip("there is no supervisor")
    with pytest.raises(BootFailed, match="already running"):
        devcluster.boot(control_plane.folder)


def test_attach_to_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no control plane was started"):
        devcluster.attach(tmp_path)
