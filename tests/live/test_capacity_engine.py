"""Capacity and cost in a whole operator: from what the cluster holds to the status of a KiroHealthCheck."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from devcluster.wait import until
from tests.devcluster.helpers import make_pod
from tests.harness.world import World


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    made = World(control_plane, namespace, tmp_path)
    yield made
    made.close()


def test_what_fits_nowhere_is_told_in_the_status(world: World) -> None:
    rest = world.plane.rest
    claims = world.path("persistentvolumeclaims", api="/api/v1")
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}
    rest.post(claims, {"metadata": {"name": "data"}, "spec": size})
    make_pod(world.plane, world.namespace)
    ids = ("unused-resources", "node-capacity", "over-provisioned", "autoscaling-configuration")
    young = {"minAge": "1h"}
    world.health_check(
        interval="5s",
        checks=[
            {"id": each, "interval": "5s", "parameters": young if each == "unused-resources" else {}}
            for each in ids
        ],
        prices={"currency": "EUR", "storageGiBMonth": "0.1"},
    )
    world.operator("--cluster-facts-namespace", world.namespace)
    # The claim is younger than an hour: nothing is unused, and idle Deployments cannot be looked for.
    world.wait_check("unused-resources", "Pass", timeout=60.0)
    world.wait_check("over-provisioned", "Skipped", timeout=60.0)
    world.wait_check("autoscaling-configuration", "Skipped", timeout=60.0)

    resources = {"requests": {"cpu": "100000"}}
    giant = {"containers": [{"name": "main", "image": "main", "resources": resources}]}
    rest.post(world.path("pods", api="/api/v1"), {"metadata": {"name": "giant"}, "spec": giant})
    world.wait_check("node-capacity", "Fail", timeout=60.0)


def test_since_when_waste_stands_outlives_the_operator(world: World) -> None:
    claims = world.path("persistentvolumeclaims", api="/api/v1")
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}
    world.plane.rest.post(claims, {"metadata": {"name": "old"}, "spec": size})
    once = {"interval": "5s", "failureThreshold": 1, "parameters": {"minAge": "0s"}}
    world.health_check(interval="5s", checks=[{"id": "unused-resources", **once}])
    operator = world.operator()
    world.wait_check("unused-resources", "Fail", timeout=60.0)

    def since() -> dict[str, str | None]:
        return {item["name"]: item.get("since") for item in world.check("unused-resources")["objects"]}

    before = since()
    assert before["old"]
    operator.kill()
    world.plane.rest.post(claims, {"metadata": {"name": "new"}, "spec": size})
    world.restart(operator)
    # That the new one is there says that the next process has looked for itself.
    after = until(lambda: found if "new" in (found := since()) else None, "the new claim", 60.0)
    assert after["old"] == before["old"]
    assert str(after["new"]) > str(before["old"])
