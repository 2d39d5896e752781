"""The API server goes away for a while, and comes back.

The operator that led ends when its Lease runs out: it may not act any more, and whoever holds the Lease by
then must find it gone. Kubernetes starts it anew. The new one waits for the API server, as a standby, for as
long as it takes: it does not end again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import devcluster
from devcluster import ControlPlane
from devcluster.errors import DevclusterError
from devcluster.proxy import FaultProxy
from devcluster.wait import until
from tests.conftest import CRDS
from tests.harness.kubelet import Kubelet
from tests.harness.need import give_up
from tests.harness.scenes import Scene
from tests.harness.world import STEADY, WATCHED_ONLY, World, enforce

OUTAGE_SECONDS = 60.0
LEASE = ("--lease-duration", "6.0", "--lease-renew-deadline", "4.0", "--lease-retry-period", "0.5")
SAMPLED = [
    *(each for each in WATCHED_ONLY if each["id"] != "resource-utilization"),
    {"id": "resource-utilization", "interval": "5s"},
]


@pytest.fixture
def private(tmp_path: Path) -> Iterator[ControlPlane]:
    try:
        plane = devcluster.boot(tmp_path / "plane", name="outage", metrics_server=False)
    except DevclusterError as error:
        give_up(f"no control plane: {error}")
    try:
        plane.apply(CRDS)
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        yield plane
    finally:
        plane.stop()


def test_a_minute_without_an_api_server(
    private: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private.rest.post("/api/v1/namespaces", {"metadata": {"name": "kiro"}})
    until(lambda: has_account(private, "kiro"), "the account", 30)
    world = World(private, "kiro", tmp_path)
    scene = Scene(world, "Evict")
    try:
        world.deployment()
        world.policy(**enforce())
        scene.watch(checks=SAMPLED)
        kubelet = Kubelet(world.operator())
        # This control plane has no metrics-server: one check cannot see, and says so; the others can.
        world.wait_condition("Observed", "False", reason="NotInstalled", timeout=60)
        assert world.check("resource-utilization")["reason"] == "NotInstalled"
        world.wait_condition("Healthy", "True")

        # The token is mounted already: whoever starts anew needs no API server for it.
        folder = private.folder / "serviceaccounts" / "kiro" / "operator"
        monkeypatch.setattr(private, "service_account_dir", lambda *_: folder)
        # Nor may anyone hold a minute of silence against the nodes before they can say anything.
        private.stop_component("kube-controller-manager")
        private.stop_component("kube-apiserver")
        kubelet.until(OUTAGE_SECONDS)
        assert kubelet.ends == [1]  # once, for its Lease; not again for want of an API server
        private.start_component("kube-apiserver")
        private.close()
        until(lambda: works(private), "the API server", 60)
        private.start_component("kube-controller-manager")
        # An action that helps is judged by what controllers make of it: they have to be at work again.
        private.rest.post("/api/v1/namespaces", {"metadata": {"name": "after"}})
        until(lambda: has_account(private, "after"), "the controllers", 90)
        broken = world.break_pod()

        until(lambda: kubelet.look() and len(world.evictions()) == 1, "the eviction", 90)
        done = world.wait_remediation("Succeeded", timeout=60)
        assert done[0]["spec"]["pod"]["uid"] == broken["metadata"]["uid"]
        world.wait_condition("Healthy", "True")
        assert len(world.remediations()) == 1
        scene.assert_done_once()
        assert kubelet.ends == [1]
    finally:
        world.close()


def has_account(plane: ControlPlane, namespace: str) -> bool:
    """Controllers make it with the namespace."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    return plane.kubectl("get", "--raw", path, check=False).returncode == 0


def works(plane: ControlPlane) -> bool:
    return plane.kubectl("get", "pods", "-A", check=False).returncode == 0


@pytest.mark.parametrize(("lease", "ends"), [(LEASE, [1]), (STEADY, [])], ids=["lease lost", "lease kept"])
def test_failures_while_the_operator_was_cut_off_are_handled_once(
    world: World, proxy: FaultProxy, lease: tuple[str, ...], ends: list[int]
) -> None:
    scene = Scene(world, "Evict")
    world.deployment()
    world.policy(**enforce())
    scene.watch(checks=WATCHED_ONLY)
    kubelet = Kubelet(world.operator(*lease, server=proxy.url))
    world.wait_condition("Healthy", "True")

    dark = proxy.refuse()
    proxy.cut()
    world.break_pod()
    kubelet.until(7.0 if ends else 2.0)
    assert kubelet.ends == ends
    dark.lift()

    until(lambda: kubelet.look() and len(world.evictions()) == 1, "the eviction", 60)
    world.wait_remediation("Succeeded", timeout=60)
    world.wait_condition("Healthy", "True")
    assert len(world.remediations()) == 1
    scene.assert_done_once()
    assert kubelet.ends == ends


def test_without_metrics_one_check_is_unknown_and_the_rest_go_on(world: World, proxy: FaultProxy) -> None:
    proxy.answer(404, path=r"/apis/metrics\.k8s\.io/")
    scene = Scene(world, "Evict")
    world.deployment()
    world.policy(**enforce())
    scene.watch(checks=SAMPLED)
    world.operator(*STEADY, server=proxy.url)

    observed = world.wait_condition("Observed", "False", reason="NotInstalled", timeout=60)
    assert world.check("resource-utilization")["status"] == "Unknown"
    assert "metrics-server" in observed["message"]
    world.wait_condition("Healthy", "True")
    world.break_pod()
    world.wait_remediation("Succeeded")
    scene.assert_done_once()
