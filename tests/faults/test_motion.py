"""Drains, upgrades and rollouts move pods on purpose: nothing is done about them, and nobody is called."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane, faults, nodes
from devcluster.wait import until
from tests.harness.commands import FLAGS, kiro
from tests.harness.mcp_servers import McpProcess
from tests.harness.scenes import Scene
from tests.harness.world import WATCHED_ONLY, World, enforce

KEY = "kiro.dev/test-node"
COUNT = 3

PATIENT = [*WATCHED_ONLY, {"id": "pods-ready", "parameters": {"notReadyGrace": "1s", "startGrace": "4s"}}]
"""A start: more than a busy machine takes to have a pod ready, and less than one that starts slowly."""


@pytest.fixture
def pool(control_plane: ControlPlane) -> Iterator[list[str]]:
    """Nodes of this test's own: the others belong to all tests."""
    group = uuid.uuid4().hex[:6]
    names = [f"node-{group}-{number}" for number in range(COUNT)]
    for name in names:
        make_node(control_plane, name, group)
    until(lambda: all(ready(control_plane, name) for name in names), "the nodes")
    yield names
    for name in names:
        control_plane.kubectl("delete", "node", name, "--ignore-not-found", "--wait=false")


def make_node(plane: ControlPlane, name: str, group: str, version: str = "") -> None:
    manifest = nodes.manifest(name)
    manifest["metadata"]["labels"][KEY] = group
    if version:
        manifest["status"]["nodeInfo"] = {"kubeletVersion": version}
    taint = {"key": KEY, "value": group, "effect": "NoSchedule"}
    plane.rest.post(nodes.NODES, {**manifest, "spec": {"taints": [taint]}})


def ready(plane: ControlPlane, name: str) -> bool:
    return nodes.is_ready(plane.rest.get(f"{nodes.NODES}/{name}"))


def placed(pool: list[str], world: World, replicas: int) -> None:
    """A Deployment on the nodes of this test, looked after."""
    group = pool[0].split("-")[1]
    labels = {"app": "kiro"}
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "nodeSelector": {KEY: group},
            "tolerations": [{"key": KEY, "operator": "Exists"}],
            "containers": [{"name": "kiro", "image": "kiro:1"}],
        },
    }
    world.deployment(replicas=replicas, template=template)
    world.policy(**enforce(maxUnhealthy="50%", stormCooldown="1m"))
    Scene(world, "Evict").watch(checks=PATIENT)
    world.operator()
    world.wait_condition("Healthy", "True")


def on(world: World, name: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in world.pods() if pod["spec"].get("nodeName") == name]


def drain(world: World, name: str) -> None:
    world.plane.kubectl("drain", name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s")


def assert_left_alone(world: World) -> None:
    """Nothing was done, nobody was called, and no storm was made of it."""
    assert Scene(world, "Evict").actions() == []
    assert world.remediations() == []
    assert not world.get("kirosafetypolicies", "policy")["status"].get("storm")
    events = world.items("events", api="/apis/events.k8s.io/v1")
    loud = [
        event
        for event in events
        if event.get("reportingController") == "kiro.dev/kiro-operator"
        and event["reason"] in {"Escalated", "RemediationPaused", "RemediationStarted", "CheckFailed"}
    ]
    assert not loud, json.dumps(loud)


def test_a_node_is_drained(world: World, pool: list[str]) -> None:
    placed(pool, world, 9)
    away = max(pool, key=lambda name: len(on(world, name)))
    assert len(on(world, away)) >= 3
    drain(world, away)
    world.all_ready("kiro", 9)
    assert not on(world, away)
    world.wait_condition("Healthy", "True")
    assert_left_alone(world)


def test_all_nodes_are_upgraded_one_after_the_other(world: World, pool: list[str]) -> None:
    placed(pool, world, 6)
    group = pool[0].split("-")[1]
    for name in pool:
        drain(world, name)
        world.plane.kubectl("delete", "node", name)
        make_node(world.plane, name, group, version="v9.9.9")
        until(partial(ready, world.plane, name), f"{name} to be back")
        world.all_ready("kiro", 6)
    world.wait_condition("Healthy", "True")
    assert_left_alone(world)


def test_no_room_while_the_last_node_is_drained(world: World, pool: list[str]) -> None:
    """Replacements that wait for the node to come back: told as a drain, and left to it."""
    placed(pool, world, 4)
    for name in pool:
        drain(world, name)

    def drained() -> dict[str, Any] | None:
        check = world.check("pods-ready")
        return check if (check["status"], check["reason"]) == ("Warn", "Draining") else None

    until(drained, "pods-ready to say Draining", 60)
    world.plane.kubectl("uncordon", *pool)
    world.all_ready("kiro", 4)
    world.wait_check("pods-ready", "Pass")
    assert Scene(world, "Evict").actions() == []
    assert world.remediations() == []
    assert not world.get("kirosafetypolicies", "policy")["status"].get("storm")


def test_a_kubelet_that_is_gone_is_for_a_person(world: World, pool: list[str]) -> None:
    """A node that is lost is a failure, and no restart of a pod brings it back."""
    placed(pool, world, 9)
    lost = max(pool, key=lambda name: len(on(world, name)))
    faults.node_down(world.plane, lost)
    check = world.wait_check("pods-ready", "Fail")
    assert check["reason"] == "NodeLost"
    world.wait_condition("Escalated", "True", reason="NoRemedy")
    assert Scene(world, "Evict").actions() == []
    assert world.remediations() == []
    faults.node_up(world.plane, lost)
    world.wait_check("pods-ready", "Pass")


def test_a_slow_rollout_is_left_to_itself(world: World, pool: list[str]) -> None:
    """New pods take longer than their grace, and less long than the rollout may."""
    placed(pool, world, 4)
    faults.inject_template(world.plane, world.namespace, "deployment/kiro", "slow-start", delay="6s")

    def told() -> bool:
        check = world.check("pods-ready")
        return (check["status"], check["reason"]) == ("Warn", "RolloutInProgress")

    until(told, "pods-ready to say RolloutInProgress", 60)
    world.all_ready("kiro", 4, timeout=120)
    world.wait_check("pods-ready", "Pass")
    assert_left_alone(world)


def test_an_mcp_server_of_one_replica_is_rolled_out(world: World, tmp_path: Path) -> None:
    """Neither is its client reconnected nor a person called, until the rollout is past its deadline."""
    labels = {"app": "shop"}
    service = {
        "metadata": {"name": "shop", "labels": labels},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 8080}]},
    }
    servers = [{"name": "shop", "service": {"name": "shop", "port": 8080}}]
    checks = ("mcp-server-health", "mcp-connection", "network-connectivity")
    with kiro(world, tmp_path) as platform, McpProcess() as shop:
        platform.state("well")
        # By Recreate the controller may miss to say that it rolls out: no old pod counts beside the new one.
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
        world.deployment("shop", replicas=1, strategy=strategy)
        world.plane.rest.post(world.path("services", api="/api/v1"), service)
        platform.watch(*checks, mcp={"servers": servers})
        world.operator(*FLAGS, "--resolve", f"shop.{world.namespace}:8080={shop.address}")
        for check_id in checks:
            world.wait_check(check_id, "Pass", timeout=60)

        faults.inject_template(world.plane, world.namespace, "deployment/shop", "slow-start", delay="10m")
        until(lambda: progress(world) != "NewReplicaSetAvailable", "the rollout", 30)
        shop.fault("down")
        platform.state("broken")

        for check_id in checks:
            found = world.wait_check(check_id, "Warn", timeout=60)
            assert found["reason"] == "RolloutInProgress"
        assert world.condition("Escalated")["status"] == "False"
        assert (world.remediations(), platform.runs) == ([], [])

        deployment = world.path("deployments", "shop", api="/apis/apps/v1")
        world.plane.rest.patch(deployment, {"spec": {"progressDeadlineSeconds": 1}})
        until(lambda: progress(world) == "ProgressDeadlineExceeded", "the deadline", 30)
        until(lambda: platform.runs, "the client to be reconnected", 60)


def progress(world: World) -> str:
    """What the Deployment shop says of its rollout."""
    status = world.get("deployments", "shop", api="/apis/apps/v1")["status"]
    [reason] = [each["reason"] for each in status["conditions"] if each["type"] == "Progressing"]
    return str(reason)
