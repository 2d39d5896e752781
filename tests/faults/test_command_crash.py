"""The operator dies around a command in a pod: what may have been run is not run again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Request
from tests.harness.commands import FLAGS, HEALS, Kiro, kiro
from tests.harness.mcp_servers import McpProcess
from tests.harness.world import STEADY, World

CHECK = "mcp-server-health"
SHOP = {"servers": [{"name": "shop", "service": {"name": "shop", "port": 8080}}]}
CREATES = r"/kiroremediations\?"
RECORDS = r"/kiroremediations/[^/]+/status"


@pytest.fixture
def platform(world: World, tmp_path: Path) -> Iterator[Kiro]:
    with kiro(world, tmp_path) as made:
        yield made


@pytest.fixture
def shop(platform: Kiro) -> Iterator[McpProcess]:
    """A server that fails until the command is run."""
    with McpProcess() as started:
        started.fault("down")
        platform.does("reconnect", f"curl -fsS -X POST 'http://{started.address}/control?fault='")
        yield started


def flags(world: World, shop: McpProcess) -> tuple[str, ...]:
    return (*STEADY, *FLAGS, "--resolve", f"shop.{world.namespace}:8080={shop.address}")


def test_a_command_that_was_under_way_is_not_run_again(world: World, platform: Kiro) -> None:
    """The command itself kills the operator, which never hears how it ended."""
    operator = world.operator(*STEADY, *FLAGS, start=False)
    platform.does("reconnect", f'{HEALS}; kill -9 "$(cat {platform.folder}/operator)"')
    operator.start()
    (platform.folder / "operator").write_text(str(operator.pid))
    platform.watch("mcp-connection")
    operator.wait(60)
    [begun] = world.remediations()
    assert begun["status"]["state"] == "Acting"
    platform.does("reconnect", HEALS)

    world.restart(operator)

    [done] = world.wait_remediation("Succeeded", timeout=60)
    assert done["metadata"]["uid"] == begun["metadata"]["uid"]
    assert platform.runs == ["reconnect"]


@pytest.mark.parametrize("helped", [False, True])
def test_one_that_may_have_been_sent_counts_as_run(
    world: World,
    proxy: FaultProxy,
    platform: Kiro,
    shop: McpProcess,
    helped: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """It dies right after Acting was written: the command was never sent, and nobody can know."""
    platform.watch(CHECK, mcp=SHOP, policy={"maxConsecutiveFailures": 1})
    operator = world.operator(*flags(world, shop), server=proxy.url, start=False)

    def kill(_: Request) -> None:
        operator.kill()

    fault = proxy.after(kill, forward=False, method="PATCH", path=RECORDS, count=1)
    operator.start()
    world.wait_fault(fault, timeout=60)
    operator.wait()
    [begun] = world.remediations()
    assert begun["status"]["state"] == "Acting"
    if helped:
        shop.fault()

    world.plane.kubectl("delete", "lease", "kiro-operator", "-n", world.namespace, "--ignore-not-found")
    world.operator(*flags(world, shop))

    [done] = world.wait_remediation("Succeeded" if helped else "Failed", timeout=60)
    assert done["metadata"]["uid"] == begun["metadata"]["uid"]
    assert platform.runs == []


def test_one_that_was_only_intended_is_run_once(
    world: World, proxy: FaultProxy, platform: Kiro, shop: McpProcess
) -> None:
    platform.watch(CHECK, mcp=SHOP)
    operator = world.operator(*flags(world, shop), server=proxy.url, start=False)

    def kill(_: Request) -> None:
        operator.kill()

    fault = proxy.after(kill, forward=False, method="POST", path=CREATES, count=1)
    operator.start()
    world.wait_fault(fault, timeout=60)
    operator.wait()
    [begun] = world.remediations()
    assert begun["status"].get("state", "Reserved") == "Reserved"

    world.plane.kubectl("delete", "lease", "kiro-operator", "-n", world.namespace, "--ignore-not-found")
    world.operator(*flags(world, shop))

    world.wait_remediation("Succeeded", timeout=60)
    ended = [(item["metadata"]["uid"], item["status"]["reason"]) for item in world.remediations()]
    assert ended == [(begun["metadata"]["uid"], "Recovered")]
    assert platform.runs == ["reconnect"]


def test_one_whose_answer_is_lost_is_not_run_again(world: World, proxy: FaultProxy, platform: Kiro) -> None:
    platform.watch("mcp-connection")
    lost = proxy.drop_answer(path=r"/exec\?.*command=reconnect", count=1)
    world.operator(*STEADY, *FLAGS, server=proxy.url)
    world.wait_fault(lost, timeout=60)

    [done] = world.wait_remediation("Succeeded", timeout=60)

    assert done["status"]["actedAt"]
    assert platform.runs == ["reconnect"]
