"""RestoreRBAC is interrupted: by death between its two steps, and by others who write meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Request
from devcluster.wait import until
from tests.harness.restoring import EXEC, GET, MALLORY, PATCH, PLACES, Restoring, refusal

ROLES, BASELINES = PLACES["ClusterRole"], PLACES["KiroSafetyBaseline"]


@pytest.fixture
def world(own_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Restoring]:
    made = Restoring(own_plane, namespace, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("found", "resource", "moment"),
    [
        ("widened", "clusterrolebindings", "before"),
        ("widened", "clusterrolebindings", "after"),
        ("absent", "clusterroles", "after"),
        ("absent", "clusterrolebindings", "before"),
        ("absent", "clusterrolebindings", "after"),
    ],
)
def test_a_death_between_role_and_binding_ends_each_of_them_once(
    world: Restoring, proxy: FaultProxy, found: str, resource: str, moment: str
) -> None:
    """The role is written; the binding is just about to be, or has been and nobody has been told."""
    world.baseline()
    if found == "widened":
        world.role(GET, PATCH, EXEC)
        world.bind(world.kiro, MALLORY)
    world.desire()
    operator = world.restorer(server=proxy.url, start=False)

    def kill(_: Request) -> None:
        until(lambda: world.holds(GET, PATCH), "the role to be written", 30)
        operator.kill()

    dying = proxy.before if moment == "before" else proxy.after
    fault = dying(kill, forward=False, method="PATCH", path=rf"/{resource}/{world.name}\?", count=1)
    operator.start()
    world.wait_fault(fault)
    operator.wait()
    proxy.lift()
    begun = {item["metadata"]["uid"] for item in world.remediations()}
    assert len(begun) == (1 if resource == "clusterroles" else 2)
    assert any(item["status"]["state"] == "Acting" for item in world.remediations())

    world.restart(operator)

    done = world.wait_remediation("Succeeded", 2, timeout=90)
    ended = [(item["metadata"]["name"], item["status"]) for item in world.remediations()]
    assert begun <= {item["metadata"]["uid"] for item in done}, ended
    assert len(ended) == 2
    assert world.holds(GET, PATCH)
    assert world.found("ClusterRoleBinding")["subjects"] == [world.kiro]
    assert sorted(world.writes()) == [("clusterrolebindings", "patch"), ("clusterroles", "patch")]
    world.wait_condition("AutonomyEffective", "True")
    policy = world.get("kirosafetypolicies", "policy")["status"]
    assert {item["remediation"] for item in policy["reservations"]} == {
        item["metadata"]["name"] for item in done
    }


def test_a_baseline_that_is_deleted_meanwhile_allows_nothing(world: Restoring, proxy: FaultProxy) -> None:
    """It was there when the action was decided, and is gone when the change arrives."""
    world.baseline()
    world.role(GET, PATCH, EXEC)
    world.bind(world.kiro)
    mine = world.token()
    world.desire()

    def delete(_: Request) -> None:
        world.plane.rest.delete(f"{BASELINES}/{world.name}")
        path = f"{ROLES}/{world.name}?dryRun=All"
        until(lambda: "no params" in refusal(mine, "PATCH", path, {"rules": [GET]}), "its end to be seen", 30)

    fault = proxy.before(delete, method="PATCH", path=rf"/clusterroles/{world.name}\?", count=1)
    world.restorer(server=proxy.url)
    world.wait_fault(fault)

    [denied] = world.wait_remediation("Denied")
    assert "no params found" in denied["status"]["message"]
    escalated = world.wait_condition("Escalated", "True", reason="NoBaseline")
    assert f"KiroSafetyBaseline {world.name}" in escalated["message"]
    assert world.holds(GET, PATCH, EXEC)
    assert not world.writes()


def test_a_baseline_that_is_narrowed_meanwhile_counts_as_it_is(world: Restoring, proxy: FaultProxy) -> None:
    world.baseline()
    world.role(GET)
    world.bind(world.kiro)
    mine = world.token()
    world.desire()

    def narrow(_: Request) -> None:
        spec = {"clusterRole": {"rules": [{**GET, "resourceNames": []}]}}
        world.plane.rest.patch(f"{BASELINES}/{world.name}", {"spec": spec})
        path = f"{ROLES}/{world.name}?dryRun=All"
        until(lambda: "wider" in refusal(mine, "PATCH", path, {"rules": [PATCH]}), "it to be seen", 30)

    fault = proxy.before(narrow, method="PATCH", path=rf"/clusterroles/{world.name}\?", count=1)
    world.restorer(server=proxy.url)
    world.wait_fault(fault)

    [denied] = world.wait_remediation("Denied")
    assert "wider than the KiroSafetyBaseline" in denied["status"]["message"]
    world.wait_condition("Escalated", "True", reason="BeyondBaseline")
    assert world.holds(GET)
    assert not world.writes()


def test_what_somebody_else_makes_first_is_looked_at_and_not_overwritten(
    world: Restoring, proxy: FaultProxy
) -> None:
    world.baseline()
    world.bind(world.kiro)
    world.desire()
    fault = proxy.before(
        lambda _: world.role(GET, EXEC), method="PATCH", path=rf"/clusterroles/{world.name}\?", count=1
    )
    world.restorer(server=proxy.url)
    world.wait_fault(fault)

    [done] = world.wait_remediation("Succeeded", timeout=60)
    [overtaken] = world.wait_remediation("Expired")
    assert (overtaken["spec"]["method"], overtaken["status"]["reason"]) == ("Create", "Changed")
    assert (done["spec"]["method"], "taken out: create pods/exec" in done["spec"]["change"]["diff"]) == (
        "Patch",
        True,
    )
    assert world.holds(GET, PATCH)
    assert world.writes() == [("clusterroles", "patch")]
