"""What a run does without a control plane, and with a cluster of the user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import devcluster
from devcluster import ControlPlane, DevclusterError, faults
from devcluster.errors import NotRunning
from devcluster.kubeconfig import CONTEXT

ROOT = Path(__file__).resolve().parents[2]


def run_pytest(empty_cache: Path, continuous_integration: str) -> subprocess.CompletedProcess[str]:
    """One test that needs the control plane, on a machine where nothing is built."""
    test = "tests/devcluster/test_boot.py::test_kubectl_sees_it"
    dropped = {"KUBEBUILDER_ASSETS", "KIRO_TEST_CONTEXT", "PYTEST_ADDOPTS"}
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("PYTEST_XDIST") and key not in dropped
    }
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--basetemp",
            str(empty_cache / "t"),
            test,
        ],
        cwd=ROOT,
        env={**inherited, "XDG_CACHE_HOME": str(empty_cache), "CI": continuous_integration},
        capture_output=True,
        text=True,
        check=False,
    )


def test_ci_fails_without_a_control_plane(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "true")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "NO CONTROL PLANE" in done.stdout
    assert "python -m devcluster build" in done.stdout


def test_elsewhere_the_tests_are_skipped(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "")
    assert done.returncode == pytest.ExitCode.OK
    assert "1 skipped" in done.stdout
    assert "NO CONTROL PLANE" in done.stdout


def test_a_cluster_of_the_users_own(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if control_plane.external:
        pytest.skip("this run is one already")
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    own = devcluster.use_context(tmp_path / "own", CONTEXT)
    assert own.server == control_plane.server
    assert "node-0" in own.kubectl("get", "nodes").stdout
    assert own.rest.get("/api/v1/nodes")["items"]
    with pytest.raises(DevclusterError, match="cluster of your own"):
        faults.inject(own, "default", "web", "oom")
    own.stop()
    with pytest.raises(NotRunning):
        devcluster.attach(own.folder)
    assert control_plane.rest.get("/api/v1/nodes")["items"]


def test_an_unknown_context(tmp_path: Path, control_plane: ControlPlane) -> None:
    assert control_plane.folder.exists()
    with pytest.raises(DevclusterError, match="no usable context 'nowhere'"):
        devcluster.use_context(tmp_path / "own", "nowhere")
