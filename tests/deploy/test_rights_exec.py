"""Running commands in pods is opt-in: what deploy/namespace/exec grants is what it takes, and no more.

For a command over a websocket the API server asks for both verbs and notes only one in its audit log: that
the other is needed shows where it is missing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from devcluster.operator import OperatorProcess
from devcluster.rest import on_each
from devcluster.wait import until
from kiro_operator.adapters.kubernetes.exec import RULES
from kiro_operator.core.remedies import commands
from tests.deploy.rights import ACCOUNT, Installed, allow, granted, own
from tests.harness.execs import running
from tests.harness.world import enforce

Object = dict[str, Any]
[EXEC] = granted("namespace/exec")
HELD: tuple[tuple[str, ...], ...] = (EXEC.verbs, *((verb,) for verb in EXEC.verbs))
"""The verbs that the operator has in each namespace: all of them, or one."""


@pytest.fixture
def worlds(control_plane: ControlPlane, tmp_path: Path) -> Iterator[list[Installed]]:
    """A namespace for each; the first one is the operator's own as well."""
    tag = f"exec-{uuid.uuid4().hex[:6]}"
    made = []
    for number in range(len(HELD)):
        control_plane.rest.post("/api/v1/namespaces", {"metadata": {"name": f"{tag}-{number}"}})
        world = Installed(control_plane, f"{tag}-{number}", tmp_path)
        world.tag = tag
        made.append(world)
    yield made
    on_each(lambda world: world.close(), made)
    for world in made:
        control_plane.rest.delete(f"/api/v1/namespaces/{world.namespace}")


def test_commands_take_all_that_is_granted_and_nothing_else_does(
    worlds: list[Installed], tmp_path: Path
) -> None:
    home, plane = worlds[0], worlds[0].plane
    _grant(worlds)
    on_each(_look, worlds)
    operator = OperatorProcess(
        plane,
        namespace=home.namespace,
        service_account=ACCOUNT,
        log=tmp_path / "operator.log",
        flags=(
            *("--watch-label-selector", f"test={home.tag}", "--lease-retry-period", "0.2"),
            *("--mcp-client-command", "true"),
            *("--mcp-reconnect-command", "true"),
            # Nobody listens there.
            *(word for each in worlds for word in ("--resolve", f"shop.{each.namespace}:8080=127.0.0.1:9")),
        ),
    )
    with ExitStack() as stack:
        pod = home.pods("kiro")[0]["metadata"]["name"]
        stack.enter_context(running(plane, home.namespace, pod, container="app"))
        operator.start()
        try:
            home.wait_check("mcp-connection", "Pass")
            home.wait_remediation("Verifying", timeout=60)
            for world in worlds[1:]:
                _is_forbidden(world)
            # Before it is stopped, which may cut a request off that is on its way.
            answers = until(lambda: _answers(home, home), "the commands in the audit log")
        finally:
            status = operator.stop()
    assert status == 0
    assert answers == {("get", 101)}, "what is granted is enough, and each command was begun"
    for world in worlds[1:]:
        assert _answers(home, world) == {("get", 403)}


def _grant(worlds: list[Installed]) -> None:
    """What the overlay grants, and in each namespace so much of exec."""
    home, plane = worlds[0], worlds[0].plane
    plane.rest.post(home.path("serviceaccounts", api="/api/v1"), {"metadata": {"name": ACCOUNT}})
    account = f"{home.namespace}:{ACCOUNT}"
    allow(plane, account, None, f"operator-{home.namespace}", [each for each in granted() if each.cluster])
    allow(plane, account, home.namespace, "own", filter(own, granted()))
    for world, verbs in zip(worlds, HELD, strict=True):
        held = [each for each in granted() if not (own(each) or each.cluster)]
        allow(plane, account, world.namespace, "all", [*held, replace(EXEC, verbs=verbs)])


def _look(world: Installed) -> None:
    world.workload("Deployment", "kiro", 1)
    world.settled("Deployment", "kiro")
    once = [
        {"id": name, "failureThreshold": 1, "successThreshold": 1}
        for name in ("mcp-connection", "mcp-server-health")
    ]
    action = {"name": "ReconnectMCP", "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}
    world.policy(**enforce(actions=[action]))
    world.health_check(
        interval="5s",
        safetyPolicyRef={"name": "policy"},
        mcp={"client": {}, "servers": [{"name": "shop", "service": {"name": "shop", "port": 8080}}]},
        checks=once,
    )


def _is_forbidden(world: Installed) -> None:
    """The check says which rule to add, as does the remedy, and no other check misses anything."""

    def told() -> Object | None:
        check = world.check("mcp-connection")
        return check if check.get("reason") == "Forbidden" else None

    found = until(told, "the command to be refused", 30)
    assert (found["status"], found["message"]) == ("Unknown", RULES[0].advice(world.namespace))
    checks = world.get("kirohealthchecks", "kiro")["status"]["checks"]
    assert [item["id"] for item in checks if item["reason"] == "Forbidden"] == ["mcp-connection"]
    refused = world.wait_remediation("Denied", timeout=60)[0]
    assert (refused["spec"]["action"], refused["status"]["reason"]) == ("ReconnectMCP", "Forbidden")
    assert commands.RULES[0].advice(world.namespace) in refused["status"]["message"]


def _answers(home: Installed, world: Installed) -> set[tuple[str, int]]:
    """What the operator asked of exec in a namespace, by the audit log: verb and status."""
    return {
        (event["verb"], int(event["responseStatus"]["code"]))
        for event in home.plane.audit_events(home.offset, naming=home.namespace)
        if event["user"]["username"] == f"system:serviceaccount:{home.namespace}:{ACCOUNT}"
        and event.get("objectRef", {}).get("subresource") == "exec"
        and event["objectRef"]["namespace"] == world.namespace
    }
