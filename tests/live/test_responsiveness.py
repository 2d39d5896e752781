"""Each check of responsiveness that needs nothing but the cluster passes, fails and passes again on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane, faults
from devcluster.listen import Server
from tests.harness.world import WATCHED_ONLY, World

SOON = {
    "failAfter": "0s",
    "recoverAfter": "0s",
    "failureThreshold": 1,
    "successThreshold": 1,
    "interval": "5s",
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "pods-ready": {"startGrace": "20s", "stableAfter": "5s", "maxRestarts": 100},
    "resource-utilization": {"cpuPercent": 80},
}


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    made = World(control_plane, namespace, tmp_path)
    yield made
    made.close()


def watch(world: World, *checks: str) -> None:
    """A KiroHealthCheck with these checks at once, and of the polled ones no others."""
    settings = {item["id"]: item for item in WATCHED_ONLY}
    for name in checks:
        settings[name] = {"id": name, **SOON, "parameters": PARAMETERS.get(name, {})}
    world.health_check(checks=list(settings.values()))


@pytest.mark.flips("pods-ready", "workloads-available")
def test_a_pod_that_crashes(world: World) -> None:
    world.deployment()
    watch(world, "pods-ready", "workloads-available")
    world.operator()
    world.wait_check("pods-ready", "Pass")
    world.wait_check("workloads-available", "Pass")
    names = [pod["metadata"]["name"] for pod in world.pods()]
    faults.inject_many(world.plane, [(world.namespace, name) for name in names], "crash-loop")
    world.wait_check("pods-ready", "Fail", timeout=60)
    world.wait_check("workloads-available", "Fail", timeout=60)
    faults.clear_many(world.plane, [(world.namespace, name) for name in names])
    world.wait_check("pods-ready", "Pass", timeout=60)
    world.wait_check("workloads-available", "Pass", timeout=60)


@pytest.mark.flips("service-logs")
def test_errors_in_the_logs(world: World) -> None:
    world.deployment()
    pod = world.pods()[0]["metadata"]["name"]
    log = faults.logs(world.plane, world.namespace, pod, ["INFO ready"])
    watch(world, "service-logs")
    world.operator()
    world.wait_check("service-logs", "Pass")
    faults.append_log(log, [f"ERROR request {number} failed: no route" for number in range(200)])
    world.wait_check("service-logs", "Fail", timeout=60)
    world.wait_check("service-logs", "Pass", timeout=60)


@pytest.mark.flips("network-connectivity")
def test_a_port_that_refuses(world: World) -> None:
    world.deployment()
    service = {
        "metadata": {"name": "kiro"},
        "spec": {"selector": {"app": "kiro"}, "ports": [{"name": "http", "port": 8080}]},
    }
    world.plane.rest.post(f"/api/v1/namespaces/{world.namespace}/services", service)
    with Server() as server:
        watch(world, "network-connectivity")
        world.operator("--resolve", f"kiro.{world.namespace}:8080={server.address}")
        world.wait_check("network-connectivity", "Pass")
        server.break_with("refuse")
        world.wait_check("network-connectivity", "Fail", timeout=60)
        server.mend()
        world.wait_check("network-connectivity", "Pass", timeout=60)


@pytest.mark.flips("resource-utilization")
def test_memory_that_runs_out(world: World) -> None:
    world.deployment()
    faults.usage(world.plane, world.namespace, "app=kiro", cpu="50m", memory="20Mi")
    watch(world, "resource-utilization")
    world.operator()
    world.wait_check("resource-utilization", "Pass", timeout=90)
    faults.usage(world.plane, world.namespace, "app=kiro", cpu="10")
    world.wait_check("resource-utilization", "Fail", timeout=90)
    faults.usage(world.plane, world.namespace, "app=kiro", cpu="50m")
    world.wait_check("resource-utilization", "Pass", timeout=90)


@pytest.mark.flips("recent-configuration-changes")
def test_a_change_before_a_failure(world: World) -> None:
    """It never fails by itself: a change that came before a failure is its Warn."""
    world.deployment()
    settings = f"/api/v1/namespaces/{world.namespace}/configmaps"
    world.plane.rest.post(settings, {"metadata": {"name": "settings"}, "data": {"level": "info"}})
    watch(world, "pods-ready", "recent-configuration-changes")
    world.operator()
    world.wait_check("pods-ready", "Pass")
    world.wait_check("recent-configuration-changes", "Pass")
    world.plane.rest.patch(f"{settings}/settings", {"data": {"level": "debug"}})
    pod = world.break_pod("crash-loop")["metadata"]["name"]
    world.wait_check("pods-ready", "Fail", timeout=60)
    world.wait_check("recent-configuration-changes", "Warn", timeout=60)
    faults.clear(world.plane, world.namespace, pod)
    world.wait_check("pods-ready", "Pass", timeout=60)
    world.wait_check("recent-configuration-changes", "Pass", timeout=60)
