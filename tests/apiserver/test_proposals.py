"""Proposals: what a person decides on waits on record, is done as it stands there, and never otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane, faults
from devcluster.errors import ApiError
from devcluster.wait import until
from kiro_operator.core.checks import registry
from kiro_operator.core.policy.gates import GATES
from kiro_operator.core.remedies import right_size
from tests.apiserver.test_approvals import look_again
from tests.deploy.rights import Installed
from tests.devcluster.helpers import make_pod
from tests.harness.approvers import Approver, now, wait_for_vouching
from tests.harness.prometheus import PORT, SERVICE, Prometheus, Samples, course, round_hour
from tests.harness.world import World, enforce

Object = dict[str, Any]
BUDGET = {"limit": 5, "window": "1h"}
RIGHT_SIZE = {"name": "RightSize", "approval": "Manual", "budget": BUDGET}
RESTART = {"name": "Restart", "approval": "Automatic", "budget": BUDGET}
CONFIG_MAPS = "/api/v1"
MIB = 2.0**20
IDLE = {"minAge": "0s", "idleMillicores": 100}
"""Parameters of unused-resources by which what uses next to nothing is idle."""
LARGE = {"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}


def used(namespace: str, cores: float = 0.048) -> list[Samples]:
    """A day and more of one Deployment that uses 48m of CPU and 90Mi of memory, and sends next to nothing."""
    end = round_hour(datetime.now(UTC)) + timedelta(hours=1)
    start = end - timedelta(hours=30)
    labels = {"namespace": namespace, "pod": "kiro-7d4b9c6f5-x2x4x", "container": "kiro"}

    def spent(at: datetime) -> float:
        return cores * (at - start).total_seconds()

    held = course(start, end, lambda _: 90 * MIB, minutes=5)
    history = [
        Samples("container_cpu_usage_seconds_total", labels, course(start, end, spent, minutes=5)),
        Samples("container_memory_working_set_bytes", labels, held),
    ]
    for way in ("receive", "transmit"):
        name = f"container_network_{way}_bytes_total"
        sent = course(start, end, lambda at: (at - start).total_seconds(), minutes=5)
        history.append(Samples(name, {"namespace": namespace, "pod": labels["pod"]}, sent))
    # One reading in twelve is 0.93, and no other one is above 0.85.
    busy = course(start, end, lambda at: (8 * (at.minute // 5) + 5) / 100, minutes=5)
    history.append(Samples("node_cpu_utilization", {"node": "one"}, busy))
    return history


@pytest.fixture
def prometheus(namespace: str, tmp_path: Path) -> Iterator[Prometheus]:
    with Prometheus(tmp_path / "prometheus", used(namespace)) as server:
        yield server


@pytest.fixture
def approver(world: World) -> Approver:
    wait_for_vouching(world.plane)
    return Approver(world.plane, world.namespace)


def begin(
    world: World,
    prometheus: Prometheus,
    *,
    metadata: Object | None = None,
    check: str = "over-provisioned",
    parameters: Object | None = None,
    beside: str = "pods-ready",
    **policy: Any,
) -> None:
    """A Deployment that asks for far too much, and an operator that may propose what would do."""
    oversized(world, check, beside, parameters)
    if metadata:
        world.plane.rest.patch(path(world), {"metadata": metadata})
    world.policy(**enforce(**({"actions": [RIGHT_SIZE, RESTART]} | policy)))
    world.operator(*asking(world, prometheus))


def oversized(
    world: World,
    check: str = "over-provisioned",
    beside: str = "pods-ready",
    parameters: Object | None = None,
) -> None:
    """A Deployment that asks for far too much, and a KiroHealthCheck that looks at it."""
    container = {"name": "kiro", "image": "kiro:1", "resources": LARGE}
    template = {"metadata": {"labels": {"app": "kiro"}}, "spec": {"containers": [container]}}
    world.deployment(replicas=2, template=template)
    kept = {check, beside}
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        prometheus={"service": {"name": SERVICE, "port": PORT}},
        checks=[
            {"id": check, "interval": "5s", "parameters": {"window": "24h", **(parameters or {})}},
            *({"id": name, "enabled": False} for name in registry() if name not in kept),
        ],
        remediation={"stabilization": "1s"},
    )


def asking(world: World, prometheus: Prometheus) -> tuple[str, ...]:
    """The operator's flags that say where its Prometheus is."""
    return ("--resolve", f"{SERVICE}.{world.namespace}:{PORT}=127.0.0.1:{prometheus.port}")


def path(world: World) -> str:
    return world.path("deployments", "kiro", api="/apis/apps/v1")


def requests(world: World) -> Object:
    found: Object = world.plane.rest.get(path(world))
    requested: Object = found["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    return requested


def waiting(world: World, *, other_than: str = "") -> Object:
    """Wait until the status asks for a decision on a proposal; returns what is asked."""

    def shown() -> Object | None:
        for item in world.get("kirohealthchecks", "kiro").get("status", {}).get("decisions", []):
            asked: Object = item.get("approval") or {}
            if asked and asked["digest"] != other_than:
                return asked
        return None

    try:
        return until(shown, "a proposal to wait", 60)
    except Exception as error:
        raise AssertionError(f"{error}\nstatus: {world.describe()}\nlog: {world.log_tail()}") from error


def test_what_is_approved_is_written_as_it_stands_on_record(
    world: World, prometheus: Prometheus, approver: Approver
) -> None:
    begin(world, prometheus)
    request = waiting(world)
    [proposal] = world.wait_remediation("Proposed")
    spec = proposal["spec"]
    assert (spec["action"], spec["method"], spec["digest"]) == ("RightSize", "Patch", request["digest"])
    [container] = json.loads(spec["change"]["patch"])["spec"]["template"]["spec"]["containers"]
    wanted = container["resources"]["requests"]
    assert wanted == {"cpu": "48m", "memory": "110Mi"}
    assert "requests.cpu: 2 → 48m" in spec["change"]["diff"]
    # Nobody approves it: it changes nothing, uses no budget, calls for nobody, and is not made again.
    look_again(world)
    assert requests(world) == LARGE["requests"]
    assert len(world.remediations()) == 1
    assert world.get("kirosafetypolicies", "policy")["status"]["used"] == "0/20"
    world.wait_condition("Escalated", "False")
    world.wait_condition("RemediationAllowed", "True")
    # Nor does it stand in the way of what is done by itself.
    world.break_pod()
    [restarted] = world.wait_remediation("Succeeded", timeout=60)
    assert restarted["spec"]["action"] == "Restart"
    assert waiting(world)["digest"] == request["digest"]

    approver.decide(request)

    done = next(item for item in world.wait_remediation("Succeeded", 2, timeout=90) if item["spec"] == spec)
    assert done["status"]["reason"] == "InForce"
    [approval] = world.items("kiroapprovals")
    assert [item["uid"] for item in done["status"]["approvals"]] == [approval["metadata"]["uid"]]
    assert [item["gate"] for item in done["status"]["gates"]] == [name for name, _ in GATES]
    assert requests(world) == wanted
    world.wait_check("over-provisioned", "Pass", timeout=60)
    writes = [event for event in world.written() if event["objectRef"]["resource"] == "deployments"]
    assert [(event["verb"], event["objectRef"]["name"]) for event in writes] == [("patch", "kiro")]
    assert world.get("kirosafetypolicies", "policy")["status"]["used"] == "2/20"

    # The record says how to take it back.
    undo = done["spec"]["change"]["undo"]
    world.plane.kubectl("patch", "deployment/kiro", "-n", world.namespace, "--type", "strategic", "-p", undo)
    assert requests(world) == LARGE["requests"]


def test_a_whole_core_that_was_approved_is_in_force(
    world: World, namespace: str, tmp_path: Path, approver: Approver
) -> None:
    """The API server has 1 for 1000m: that is nobody's change."""
    with Prometheus(tmp_path / "whole", used(namespace, 0.995)) as prometheus:
        begin(world, prometheus)
        request = waiting(world)
        assert "requests.cpu: 2 → 1;" in request["change"]
        approver.decide(request)
        [done] = world.wait_remediation("Succeeded", timeout=60)
        assert done["status"]["reason"] == "InForce"
        assert requests(world)["cpu"] == "1"


def test_a_target_that_changed_needs_a_new_proposal_and_a_stale_approval_fires_nothing(
    world: World, prometheus: Prometheus, approver: Approver
) -> None:
    begin(world, prometheus, pauseRequests=["INC-7"])
    old = waiting(world)
    world.plane.kubectl("set", "image", "deployment/kiro", "kiro=kiro:2", "-n", world.namespace)
    new = waiting(world, other_than=old["digest"])
    [gone] = world.wait_remediation("Expired")
    assert (gone["spec"]["digest"], gone["status"]["reason"]) == (old["digest"], "Changed")

    approver.decide(old)
    stale = approver.decide(new, lasts=3)
    until(lambda: told(world)["reason"] == "Paused", "the new one to be approved", 20)
    until(lambda: now() > datetime.fromisoformat(stale["spec"]["expiresAt"]), "the approval to expire", 10)
    policy = world.path("kirosafetypolicies", "policy")
    world.plane.rest.patch(policy, {"spec": {"pauseRequests": []}})

    until(lambda: "expired at" in told(world)["message"], "it to be told", 20)
    look_again(world)
    assert requests(world) == LARGE["requests"]
    assert sorted(item["status"]["state"] for item in world.remediations()) == ["Expired", "Proposed"]


def told(world: World) -> Object:
    """The decision on the proposal that waits."""
    decisions = world.get("kirohealthchecks", "kiro")["status"]["decisions"]
    found: Object = next(item for item in decisions if item["action"] == "RightSize")
    return found


def test_what_is_denied_is_not_proposed_again(
    world: World, prometheus: Prometheus, approver: Approver
) -> None:
    begin(world, prometheus)
    approver.decide(waiting(world), "Deny")
    [denied] = world.wait_remediation("Denied")
    assert denied["status"]["reason"] == "ApprovalDenied"
    look_again(world)
    look_again(world)
    assert [item["metadata"]["uid"] for item in world.remediations()] == [denied["metadata"]["uid"]]
    assert requests(world) == LARGE["requests"]


def test_what_a_gitops_tool_keeps_is_for_its_repository(
    world: World, prometheus: Prometheus, approver: Approver
) -> None:
    begin(world, prometheus, metadata={"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}})
    [advice] = world.wait_remediation("Proposed", timeout=60)
    assert advice["spec"]["method"] == "Advise"
    assert "Flux keeps Deployment kiro" in advice["status"]["message"]
    aim = advice["spec"]["target"]
    target = {"kind": aim["kind"], "name": aim["name"], "uid": aim["uid"]}
    asked = {"digest": advice["spec"]["digest"], "target": target}
    approver.decide(asked, gate="operator-approver")
    look_again(world)
    assert requests(world) == LARGE["requests"]
    [still] = world.remediations()
    assert still["status"]["state"] == "Proposed"


@pytest.mark.parametrize(("policy", "told"), [({"mode": "DryRun"}, True), ({"actions": [RESTART]}, False)])
def test_without_leave_it_is_advice(
    world: World,
    prometheus: Prometheus,
    policy: dict[str, Any],
    told: bool,  # noqa: FBT001
) -> None:
    begin(world, prometheus, **policy)
    world.wait_check("over-provisioned", "Fail", timeout=60)
    look_again(world)
    decisions = world.get("kirohealthchecks", "kiro")["status"]["decisions"]
    assert [(item["action"], item["decision"]) for item in decisions] == [("RightSize", "DryRun")] * told
    assert not world.remediations()


def test_without_its_right_an_approved_proposal_says_which(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, prometheus: Prometheus
) -> None:
    world = Installed(control_plane, namespace, tmp_path)
    # The overlay for restarts has the same right, and that of this proposal is not part of an installation.
    world.pick = lambda right: right.role != "kiro-operator-restart"
    try:
        wait_for_vouching(control_plane)
        begin(world, prometheus)
        Approver(control_plane, namespace).decide(waiting(world))
        [denied] = world.wait_remediation("Denied", timeout=60)
        assert denied["status"]["reason"] == "Forbidden"
        assert right_size.RULES[0].advice(namespace) in denied["status"]["message"]
        assert requests(world) == LARGE["requests"]
    finally:
        world.close()


def test_what_does_nothing_is_turned_off_when_approved(
    world: World, prometheus: Prometheus, approver: Approver
) -> None:
    action = RIGHT_SIZE | {"name": "RemoveUnused"}
    begin(world, prometheus, check="unused-resources", parameters=IDLE, actions=[action])
    request = waiting(world)
    assert "spec.replicas: 2 → 0" in request["change"]
    look_again(world)
    assert world.plane.rest.get(path(world))["spec"]["replicas"] == 2

    approver.decide(request)

    [done] = world.wait_remediation("Succeeded", timeout=60)
    assert world.plane.rest.get(path(world))["spec"]["replicas"] == 0
    world.wait_check("unused-resources", "Pass", timeout=60)
    where = ("deployment/kiro", "-n", world.namespace, "--type", "strategic", "-p")
    world.plane.kubectl("patch", *where, done["spec"]["change"]["undo"])
    world.all_ready("kiro", 2)


def test_what_a_person_would_apply_and_was_denied_is_not_proposed_again(
    world: World, prometheus: Prometheus, approver: Approver
) -> None:
    begin(world, prometheus, metadata={"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}})
    [advice] = world.wait_remediation("Proposed", timeout=60)
    aim = advice["spec"]["target"]
    target = {"kind": aim["kind"], "name": aim["name"], "uid": aim["uid"]}
    approver.decide({"digest": advice["spec"]["digest"], "target": target}, "Deny", gate="operator-approver")
    [denied] = world.wait_remediation("Denied")
    assert denied["status"]["reason"] == "ApprovalDenied"
    look_again(world)
    look_again(world)
    assert [item["metadata"]["uid"] for item in world.remediations()] == [denied["metadata"]["uid"]]


def test_an_autoscaler_gets_the_room_that_was_approved(
    world: World, prometheus: Prometheus, approver: Approver
) -> None:
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kiro"},
        "minReplicas": 2,
        "maxReplicas": 2,
        "metrics": [{"type": "Resource", "resource": metric}],
    }
    where = world.path("horizontalpodautoscalers", api="/apis/autoscaling/v2")
    body = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "kiro"}}
    world.plane.rest.post(where, {**body, "spec": spec})
    begin(
        world,
        prometheus,
        check="autoscaling-configuration",
        actions=[RIGHT_SIZE | {"name": "ChangeAutoscaling"}],
    )
    request = waiting(world)
    assert "maxReplicas: 2 → 3" in request["change"]
    approver.decide(request)
    [done] = world.wait_remediation("Succeeded", timeout=60)
    assert json.loads(done["spec"]["change"]["undo"]) == {"spec": {"maxReplicas": 2}}
    assert world.plane.rest.get(f"{where}/kiro")["spec"]["maxReplicas"] == 3
    world.wait_check("autoscaling-configuration", "Pass", timeout=60)


BOUNDS = {"actions": ["scale"], "risky": [], "kinds": ["Deployment"], "maximumChange": 50}
"""But for the namespace."""


def crossing(world: World) -> Path:
    """A pod that logs a drain, which BOUNDS do not allow, and a KiroHealthCheck that looks at it.

    Returns the log.
    """
    make_pod(world.plane, world.namespace)
    pod = world.path("pods", "web", api="/api/v1")
    world.plane.rest.patch(pod, {"metadata": {"labels": {"component": "autonomous-operations"}}})
    log = faults.logs(world.plane, world.namespace, "web", [drain(world.namespace)])
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        checks=[{"id": name, "enabled": False} for name in registry() if name != "autonomous-scope"],
        remediation={"stabilization": "1s"},
    )
    return log


def drain(namespace: str) -> str:
    """The record of an operation."""
    target = {"kind": "Deployment", "namespace": namespace, "name": "kiro"}
    operation = {"record": "operation", "id": "op-1", "action": "drain", "outcome": "success"}
    return json.dumps(operation | {"target": target})


def test_a_boundary_is_widened_when_approved(world: World, approver: Approver) -> None:
    bounds = BOUNDS | {"namespaces": [world.namespace]}
    world.policy(**enforce(actions=[RIGHT_SIZE | {"name": "ChangeBoundary"}], boundaries=bounds))
    crossing(world)
    world.operator()
    request = waiting(world)
    policy = world.path("kirosafetypolicies", "policy")
    before = world.plane.rest.get(policy)["spec"]
    assert before["boundaries"] == bounds

    approver.decide(request)

    [done] = world.wait_remediation("Succeeded", timeout=60)
    widened = bounds | {"actions": ["scale", "drain"]}
    assert world.plane.rest.get(policy)["spec"] == before | {"boundaries": widened}
    world.wait_check("autonomous-scope", "Pass", timeout=60)
    world.plane.rest.patch(policy, json.loads(done["spec"]["change"]["undo"]))
    assert world.plane.rest.get(policy)["spec"] == before


STEERING = "kiro-steering"
MISWRITTEN = "\n---\ninclusion: Always\n---\n# Product\n\nPrefer small steps.\n"


def miswritten(world: World) -> None:
    """A steering document whose front matter Kiro overlooks, and a KiroHealthCheck that looks at it."""
    data = {"product.md": MISWRITTEN, "other.md": "# Other\n"}
    body = {"metadata": {"name": STEERING}, "data": data}
    world.plane.rest.post(world.path("configmaps", api=CONFIG_MAPS), body)
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        steering={"configMaps": [STEERING]},
        checks=[
            {"id": "steering-syntax", "interval": "5s"},
            *({"id": name, "enabled": False} for name in registry() if name != "steering-syntax"),
        ],
        remediation={"stabilization": "1s"},
    )


def test_a_steering_document_is_mended_when_approved(world: World, approver: Approver) -> None:
    miswritten(world)
    world.policy(**enforce(actions=[RIGHT_SIZE | {"name": "EditSteering"}]))
    world.operator()
    request = waiting(world)
    approver.decide(request)
    [done] = world.wait_remediation("Succeeded", timeout=60)
    data = world.get("configmaps", STEERING, api=CONFIG_MAPS)["data"]
    mended = "---\ninclusion: always\n---\n# Product\n\nPrefer small steps.\n"
    assert data == {"product.md": mended, "other.md": "# Other\n"}
    assert json.loads(done["spec"]["change"]["undo"]) == {"data": {"product.md": MISWRITTEN}}
    world.wait_check("steering-syntax", "Pass", timeout=60)


def test_a_threshold_is_moved_when_approved(world: World, prometheus: Prometheus, approver: Approver) -> None:
    action = RIGHT_SIZE | {"name": "ChangeThreshold"}
    begin(world, prometheus, check="threshold-fit", beside="cpu-usage", actions=[action])
    request = waiting(world)
    assert request["target"]["kind"] == "KiroHealthCheck"
    assert 'spec.checks[cpu-usage].parameters: nothing → {"threshold":93}' in request["change"]
    before = world.get("kirohealthchecks", "kiro")["spec"]

    approver.decide(request)

    [done] = world.wait_remediation("Succeeded", timeout=60)
    after = world.get("kirohealthchecks", "kiro")["spec"]
    moved = {"id": "cpu-usage", "enabled": True, "parameters": {"threshold": 93}}
    assert after == before | {"checks": [*before["checks"], moved]}
    world.wait_check("threshold-fit", "Pass", timeout=60)
    world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), json.loads(done["spec"]["change"]["undo"]))
    assert world.get("kirohealthchecks", "kiro")["spec"] == before


OPTIMIZING = {"minimumSavingPercent": "15", "mode": "careful", "token": "hunter2-hunter2"}


def optimizer(world: World, *checks: str) -> Path:
    """A Kiro that optimizes by a ConfigMap, of which a number may be proposed to move; returns its log."""
    world.policy(**enforce(actions=[RIGHT_SIZE | {"name": "ChangeOptimization"}]))
    return optimizing(world, *checks)


def optimizing(world: World, *checks: str) -> Path:
    """A Kiro that optimizes by a ConfigMap, and a KiroHealthCheck that looks at it; returns its log."""
    make_pod(world.plane, world.namespace)
    pod = world.path("pods", "web", api=CONFIG_MAPS)
    world.plane.rest.patch(pod, {"metadata": {"labels": {"component": "cost-optimization"}}})
    log = faults.logs(world.plane, world.namespace, "web", ["optimizer 2.1 ready"])
    body = {"metadata": {"name": "kiro-optimization"}, "data": OPTIMIZING}
    world.plane.rest.post(world.path("configmaps", api=CONFIG_MAPS), body)
    parameter = {"key": "minimumSavingPercent", "bolder": "Lower", "min": "1", "max": "50", "step": "5"}
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        optimization={"configMap": "kiro-optimization", "parameters": [parameter]},
        checks=[
            *({"id": name, "interval": "5s"} for name in checks),
            *({"id": name, "enabled": False} for name in registry() if name not in checks),
        ],
        remediation={"stabilization": "1s"},
    )
    return log


def logged(kind: str, number: int, days: float, **fields: Any) -> str:
    """A record as cost optimization logs it."""
    made = {
        "record": kind,
        "id": f"opt-{number}",
        "action": "rightsize",
        "object": f"Deployment/kiro-{number}",
    }
    return json.dumps(made | {"time": (now() - timedelta(days=days)).isoformat()} | fields)


def test_a_number_to_optimize_by_is_moved_one_step_when_approved(world: World, approver: Approver) -> None:
    log = optimizer(world, "missed-opportunities")
    faults.append_log(log, [logged("opportunity", 1, 9)])
    world.operator()
    request = waiting(world)
    [proposal] = world.wait_remediation("Proposed")
    spec = proposal["spec"]
    assert (spec["action"], spec["method"], spec["check"]) == (
        "ChangeOptimization",
        "Patch",
        "missed-opportunities",
    )
    assert spec["change"] == {
        "patch": '{"data":{"minimumSavingPercent":"10"}}',
        "diff": "data.minimumSavingPercent: 15 → 10",
        "undo": '{"data":{"minimumSavingPercent":"15"}}',
        "revision": "",
    }
    where = world.path("configmaps", "kiro-optimization", api=CONFIG_MAPS)
    look_again(world)
    assert world.plane.rest.get(where)["data"] == OPTIMIZING
    world.wait_condition("Escalated", "False")
    world.wait_condition("RemediationAllowed", "True")

    approver.decide(request)

    [done] = world.wait_remediation("Succeeded", timeout=60)
    assert done["status"]["reason"] == "InForce"
    assert world.plane.rest.get(where)["data"] == OPTIMIZING | {"minimumSavingPercent": "10"}
    writes = [event for event in world.written() if event["objectRef"]["resource"] == "configmaps"]
    assert [(event["verb"], event["objectRef"]["name"]) for event in writes] == [
        ("patch", "kiro-optimization")
    ]
    # The opportunity still waits, and the next step waits for what this one has done.
    look_again(world)
    world.wait_check("missed-opportunities", "Fail")
    assert [item["metadata"]["uid"] for item in world.remediations()] == [done["metadata"]["uid"]]
    told = json.dumps([world.get("kirohealthchecks", "kiro")["status"], *world.remediations()])
    assert OPTIMIZING["token"] not in told + world.log_tail()

    world.plane.kubectl(
        *("patch", "configmap/kiro-optimization", "-n", world.namespace),
        *("--type", "merge", "-p", done["spec"]["change"]["undo"]),
    )
    assert world.plane.rest.get(where)["data"] == OPTIMIZING


def test_opposite_wishes_move_nothing_and_are_told(world: World) -> None:
    log = optimizer(world, "missed-opportunities", "optimization-decisions")
    bad = [logged("decision", number, 3, reverted=number < 16) for number in range(10, 22)]
    faults.append_log(log, [logged("opportunity", 1, 9), *bad])
    world.operator()

    def refused() -> Object | None:
        decisions = world.get("kirohealthchecks", "kiro").get("status", {}).get("decisions", [])
        return next((item for item in decisions if item["gate"] == "proposal"), None)

    told = until(refused, "the refusal to be told", 60)
    assert (told["action"], told["reason"], told.get("approval")) == (
        "ChangeOptimization",
        "Contradictory",
        None,
    )
    assert "bolder by missed-opportunities, and more cautious by optimization-decisions" in told["message"]
    assert not world.remediations()
    world.wait_condition("RemediationAllowed", "True")
    world.wait_condition("Escalated", "False")

    # Somebody decides on the opportunity: what is left is one wish.
    faults.append_log(log, [logged("decision", 1, 0, applied=False)])
    [proposal] = world.wait_remediation("Proposed", timeout=60)
    assert proposal["spec"]["change"]["diff"] == "data.minimumSavingPercent: 15 → 20"
    assert proposal["spec"]["check"] == "optimization-decisions"


def test_a_policy_cannot_make_it_automatic(world: World) -> None:
    with pytest.raises(ApiError, match="write approval: Manual"):
        world.policy(**enforce(actions=[RIGHT_SIZE | {"approval": "Automatic"}]))
