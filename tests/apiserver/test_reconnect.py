"""ReconnectMCP and ResyncMCP: the command of the admin is run once, and what follows if it does not help."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster.wait import until
from kiro_operator.core.policy.types import remediation_name
from kiro_operator.core.snapshot import Ref
from tests.harness.commands import CLIENT, FLAGS, HEALS, Kiro, kiro
from tests.harness.mcp_servers import McpProcess
from tests.harness.world import World

CHECK = "mcp-connection"
SHOP = {"name": "shop", "service": {"name": "shop", "port": 8080}}


@pytest.fixture
def platform(world: World, tmp_path: Path) -> Iterator[Kiro]:
    with kiro(world, tmp_path) as made:
        yield made


@pytest.fixture
def shop() -> Iterator[McpProcess]:
    with McpProcess() as started:
        yield started


def course(world: World) -> list[tuple[str, str, str]]:
    found = [item["spec"] for item in world.remediations()]
    return [(spec["action"], spec["method"], spec["target"]["name"]) for spec in found]


def execs(world: World, command: str) -> list[dict[str, Any]]:
    """Requests of the operator to run a command, by the audit log."""
    return [
        event
        for event in world.plane.audit_events(world.offset, naming=world.namespace)
        if event.get("objectRef", {}).get("subresource") == "exec"
        and event["objectRef"]["namespace"] == world.namespace
        and f"command={command}" in event["requestURI"]
    ]


def test_a_client_that_cannot_connect_is_reconnected_once_in_one_pod(world: World, platform: Kiro) -> None:
    platform.watch(CHECK)
    world.operator(*FLAGS)

    [done] = world.wait_remediation("Succeeded", timeout=60)

    first = world.pods()[0]["metadata"]
    spec = done["spec"]
    assert course(world) == [("ReconnectMCP", "Exec", "kiro")]
    assert spec["command"] == {"argv": ["env", "mcp-client", "reconnect"], "container": "kiro"}
    assert (spec["pod"]["name"], spec["pod"]["uid"], spec["fence"]["uid"]) == (
        first["name"],
        first["uid"],
        first["uid"],
    )
    assert platform.runs == ["reconnect"]
    assert [event["objectRef"]["name"] for event in execs(world, "reconnect")] == [first["name"]]
    world.wait_check(CHECK, "Pass")
    assert not [item for item in world.written() if item["objectRef"]["resource"] in {"pods", "deployments"}]


def test_what_does_not_help_is_followed_by_restarts_of_client_and_server(
    world: World, platform: Kiro, shop: McpProcess
) -> None:
    """The command fails and says why, with a secret in it; only the restart of the server helps."""
    platform.does("reconnect", "echo 'no way: password=hunter2hunter2' >&2; exit 3")
    world.deployment("shop", replicas=2)
    service = {"metadata": {"name": "shop"}, "spec": {"selector": {"app": "shop"}, "ports": [{"port": 8080}]}}
    world.plane.rest.post(world.path("services", api="/api/v1"), service)
    shop.fault("down")
    platform.watch("mcp-server-health", mcp={"servers": [SHOP]})
    world.operator(*FLAGS, "--resolve", f"shop.{world.namespace}:8080={shop.address}")
    before = world.get("deployments", "shop", api="/apis/apps/v1")["metadata"]["generation"]

    def restarted() -> bool:
        return bool(world.get("deployments", "shop", api="/apis/apps/v1")["metadata"]["generation"] > before)

    [first] = world.wait_remediation("Verifying", timeout=60)
    until(restarted, "the restart of the server", 120)
    shop.fault()

    world.wait_remediation("Succeeded", timeout=60)
    assert course(world) == [
        ("ReconnectMCP", "Exec", "kiro"),
        ("Restart", "RolloutRestart", "kiro"),
        ("Restart", "RolloutRestart", "shop"),
    ]
    assert [item["status"]["state"] for item in world.remediations()] == ["Failed", "Failed", "Succeeded"]
    assert platform.runs == ["reconnect"]
    assert "exit status 3: no way" in first["status"]["message"]
    assert "hunter2" not in str(world.remediations()) + world.describe() + world.log_tail()


def out_of_step(platform: Kiro, shop: McpProcess) -> tuple[str, ...]:
    """A server that gives wrong answers until it is resynchronized; returns flags of the operator."""
    query = {
        "name": "lamp",
        "tool": "get_price",
        "arguments": {"item": "lamp"},
        "expect": "result.structuredContent.price > 40.0",
    }
    mend = f"curl -fsS -X POST 'http://{shop.address}/control?fault='"
    platform.does("resync", mend)
    shop.fault("wrong-answer")
    platform.watch(
        "mcp-data-accuracy",
        mcp={"servers": [SHOP | {"goldenQueries": [query]}]},
        remediation={"stabilization": "1s", "ladder": [{"action": "ResyncMCP", "timeout": "60s"}]},
    )
    return (*FLAGS, "--resolve", f"shop.{platform.world.namespace}:8080={shop.address}")


def test_stale_data_is_resynchronized(world: World, platform: Kiro, shop: McpProcess) -> None:
    world.operator(*out_of_step(platform, shop))
    world.wait_remediation("Succeeded", timeout=60)
    assert course(world) == [("ResyncMCP", "Exec", "kiro")]
    assert platform.runs == ["resync"]


def test_a_dry_run_runs_nothing_and_says_what_it_would(world: World, platform: Kiro) -> None:
    platform.watch(CHECK, policy={"mode": "DryRun"})
    world.operator(*FLAGS)

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            world.get("kirohealthchecks", "kiro").get("status", {}).get("decisions", [])
        )
        return found

    until(lambda: bool(told()), "a decision", 60)
    assert [(item["action"], item["decision"]) for item in told()] == [("ReconnectMCP", "DryRun")]
    assert platform.runs == []


def test_a_command_without_a_ready_pod_is_shown_as_denied_and_calls_nobody(
    world: World, platform: Kiro, shop: McpProcess
) -> None:
    """No pod has the container in which it is to be run."""
    shop.fault("down")
    platform.watch("mcp-server-health", mcp={"servers": [SHOP], "client": CLIENT | {"container": "other"}})
    world.operator(*FLAGS, "--resolve", f"shop.{world.namespace}:8080={shop.address}")
    world.wait_condition("RemediationAllowed", "False", reason="NoReadyPod")
    status = world.get("kirohealthchecks", "kiro")["status"]
    [shown] = status["decisions"]
    assert (shown["action"], shown["decision"], shown["gate"], shown["reason"]) == (
        "ReconnectMCP",
        "Denied",
        "target",
        "NoReadyPod",
    )
    assert shown["target"] == {"kind": "Deployment", "name": "kiro"}
    assert status["decisionCount"] == 1
    world.wait_condition("Escalated", "False")
    assert platform.runs == []


def test_a_program_that_is_not_there_fails_at_once_and_nothing_graver_follows(
    world: World, platform: Kiro
) -> None:
    """Nothing was run. A person is called, and the client is not restarted in its place."""
    platform.watch(CHECK)
    flags = [*FLAGS[:2], "--mcp-reconnect-command", "no-such-program"]
    world.operator(*flags)
    [failed] = world.wait_remediation("Failed", timeout=60)
    assert failed["status"]["reason"] == "CommandNotFound"
    assert failed["status"]["message"] == "nothing was run: container kiro has no program no-such-program"
    escalated = world.wait_condition("Escalated", "True", reason="CommandNotFound")
    assert "ReconnectMCP ran nothing" in escalated["message"]
    assert course(world) == [("ReconnectMCP", "Exec", "kiro")]


@pytest.mark.parametrize(
    ("argv", "uid", "reason"),
    [
        (["env", "mcp-client", "evil"], None, "CommandChanged"),
        (["env", "mcp-client", "reconnect"], "x", "PodGone"),
    ],
)
def test_a_record_that_somebody_wrote_has_nothing_else_run(
    world: World, platform: Kiro, argv: list[str], uid: str | None, reason: str
) -> None:
    """Neither another command nor the same in another pod."""
    platform.does("evil", HEALS)
    platform.does("reconnect", "true")
    platform.watch(CHECK)
    name = forged(world, argv, uid)
    world.operator(*FLAGS)
    expired = world.wait_remediation("Expired", timeout=60)
    assert [(item["metadata"]["name"], item["status"]["reason"]) for item in expired] == [(name, reason)]
    assert "evil" not in platform.runs


def forged(world: World, argv: list[str], uid: str | None) -> str:
    """A record of a command, as the operator would write it."""
    kiro_, pod = (
        world.get("deployments", "kiro", api="/apis/apps/v1")["metadata"],
        world.pods()[0]["metadata"],
    )
    target = Ref("Deployment", "kiro", kiro_["uid"])
    owners = {
        field: {"name": name, "uid": world.get(plural, name)["metadata"]["uid"]}
        for field, plural, name in (
            ("healthCheck", "kirohealthchecks", "kiro"),
            ("policy", "kirosafetypolicies", "policy"),
        )
    }
    of_pod = {"apiVersion": "v1", "kind": "Pod", "name": pod["name"], "uid": uid or pod["uid"]}
    body = {
        "apiVersion": "kiro.dev/v1alpha1",
        "kind": "KiroRemediation",
        "metadata": {"name": remediation_name(target, 1, 1)},
        "spec": {
            "action": "ReconnectMCP",
            "method": "Exec",
            "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kiro", "uid": kiro_["uid"]},
            "pod": of_pod,
            "command": {"argv": argv, "container": "kiro"},
            "fence": {"uid": of_pod["uid"], "resourceVersion": pod["resourceVersion"]},
            "check": CHECK,
            "reason": "ClientFailed",
            "message": "it fails",
            "episode": 1,
            "step": 1,
            "timeout": "10s",
            "stabilization": "1s",
        }
        | owners,
    }
    made: str = world.plane.rest.post(world.path("kiroremediations"), body)["metadata"]["name"]
    return made
