"""A whole operator with MCP servers: the checks in a status, a fault found and forgotten, little memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from devcluster import ControlPlane
from devcluster.wait import until
from kiro_operator.core.checks import registry
from tests.harness.execs import running
from tests.harness.mcp_servers import McpProcess
from tests.harness.world import World

from .test_mcp import kiro_uses, server

SETTINGS = "kiro-settings"
IDS = [check_id for check_id in registry() if check_id.startswith("mcp-")]
MEBIBYTE = 1024 * 1024


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    made = World(control_plane, namespace, tmp_path)
    yield made
    made.close()


@pytest.fixture
def shop() -> Iterator[McpProcess]:
    with McpProcess() as started:
        yield started


def test_all_checks_in_one_status(world: World, shop: McpProcess) -> None:
    world.deployment(replicas=1)
    quick = {"interval": "5s", "failureThreshold": 1, "successThreshold": 1}
    # The MCP settings are sampled with the hooks.
    checks: list[dict[str, Any]] = [
        {"id": name} | (quick if name in {*IDS, "hooks-syntax"} else {"enabled": False})
        for name in registry()
    ]
    settings = world.path("configmaps", api="/api/v1")
    body = {"metadata": {"name": SETTINGS}, "data": {"mcp.json": kiro_uses(shop="http://shop:8080/mcp")}}
    world.plane.rest.post(settings, body)
    operator = world.operator(
        "--resolve",
        f"shop.{world.namespace}:8080={shop.address}",
        "--mcp-client-command",
        "true",
        start=False,
    )
    operator.forked = False  # what it holds in memory is to be its own
    operator.start()
    pod = world.pods()[0]["metadata"]["name"]
    with running(world.plane, world.namespace, pod, container="kiro"):
        world.health_check(
            interval="5s",
            checks=checks,
            mcp={"servers": [server()], "client": {}},
            steering={"configMaps": [SETTINGS]},
        )
        until(
            lambda: "(ConfigMap kiro-settings), line 1" in world.check("mcp-tools").get("message", ""),
            "the file to be held against the servers",
            60.0,
        )
        assert world.check("mcp-tools")["reason"] == "PlainHttp"
        https = {"data": {"mcp.json": kiro_uses(shop="https://shop.example.com/mcp")}}
        world.plane.rest.patch(f"{settings}/{SETTINGS}", https)
        for check_id in IDS:
            world.wait_check(check_id, "Pass", timeout=60.0)
        before = world.get("kirohealthchecks", "kiro")["metadata"]["resourceVersion"]
        shop.fault("wrong-answer")
        found = world.wait_check("mcp-data-accuracy", "Fail")
        assert found["reason"] == "AnswerDiffers"
        assert world.get("kirohealthchecks", "kiro")["metadata"]["resourceVersion"] != before
        assert {name: world.check(name)["status"] for name in IDS if name != "mcp-data-accuracy"} == {
            name: "Pass" for name in IDS if name != "mcp-data-accuracy"
        }
        world.wait_condition("ResponsesAppropriate", "False")
        shop.fault()
        world.wait_check("mcp-data-accuracy", "Pass")
        resident = psutil.Process(operator.pid).memory_info().rss / MEBIBYTE
        assert resident < 160  # the SDK is 35 of it
