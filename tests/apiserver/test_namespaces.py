"""A KiroHealthCheck is about its own namespace, whatever its operator could reach."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.harness.world import WATCHED_ONLY, World, enforce

QUICK = {"ladder": [{"action": "Restart", "timeout": "30s"}], "stabilization": "0s"}


@pytest.fixture
def other(control_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """A namespace without a KiroHealthCheck."""
    name = f"other-{uuid.uuid4().hex[:8]}"
    control_plane.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    made = World(control_plane, name, tmp_path)
    yield made
    made.close()
    control_plane.rest.delete(f"/api/v1/namespaces/{name}")


def test_a_health_check_reaches_its_own_namespace_alone(world: World, other: World) -> None:
    """The operator is cluster-admin here, and the same fails in both namespaces."""
    for each in (world, other):
        each.deployment()
        each.policy(**enforce())
        each.break_pod()
    world.health_check(safetyPolicyRef={"name": "policy"}, checks=WATCHED_ONLY, remediation=QUICK)
    theirs = {pod["metadata"]["uid"] for pod in other.pods()}
    operator = world.operator()

    world.wait_remediation("Succeeded")
    world.wait_condition("Healthy", "True")

    assert operator.stop() == 0
    user = f"system:serviceaccount:{world.namespace}:operator"
    asked = [
        event
        for event in world.plane.audit_events(world.offset, naming=user)
        if event["user"]["username"] == user
        and event.get("objectRef", {}).get("namespace") == other.namespace
    ]
    assert not asked
    assert other.remediations() == []
    assert {pod["metadata"]["uid"] for pod in other.pods()} == theirs
    assert other.namespace not in world.describe()
