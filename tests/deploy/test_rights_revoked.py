"""Take away one right after the other: what needs it says so, with the rule to add, and all else goes on.

One operator looks after a namespace for each right. Beside the two kinds that it must list in the
whole cluster, it holds its rights in each namespace by itself: all but the one that is missing there.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from devcluster.errors import WaitTimeout
from devcluster.operator import OperatorProcess
from devcluster.rest import on_each
from devcluster.wait import until
from kiro_operator.core.checks import registry
from kiro_operator.core.evidence.logs import POD_LOGS
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS
from kiro_operator.core.evidence.steering import STEERING
from tests.deploy.rights import ACCOUNT, Installed, Right, allow, granted, own
from tests.harness.world import enforce

Object = dict[str, Any]
SECONDS = 15.0
LISTED_EVERYWHERE = ("kirohealthchecks", "kirosafetypolicies")
STEERED = frozenset(id_ for id_, item in registry().items() if STEERING in item.check.sources)
LOGGED = frozenset(id_ for id_, item in registry().items() if POD_LOGS in item.check.sources)
DECIDED = frozenset(id_ for id_, item in registry().items() if OPTIMIZATIONS in item.check.sources)
ALLOWED = frozenset({"service-account-permissions", "safety-cluster-role", "approval-gates"})
WORKLOADS = frozenset({"workloads-available", "recent-configuration-changes", "unused-resources"})
CHECKS: Mapping[str, frozenset[str]] = {
    "list pods": frozenset({"pods-ready"}),
    "list deployments": WORKLOADS,
    "list statefulsets": WORKLOADS,
    "list daemonsets": WORKLOADS,
    "list replicasets": frozenset({"recent-configuration-changes"}),
    "list services": frozenset({"network-connectivity"}),
    "list endpointslices": frozenset({"network-connectivity"}),
    "list pods.metrics.k8s.io": frozenset({"resource-utilization"}),
    "get pods": frozenset({"steering-permissions"}),
    "get pods/log": LOGGED,
    "list configmaps": frozenset({"recent-configuration-changes", "unused-resources"}),
    "get configmaps": frozenset({*STEERED, "safety-config"}),
    "list persistentvolumeclaims": frozenset({"unused-resources"}),
    "list cronjobs": frozenset({"unused-resources"}),
    "list jobs": frozenset({"unused-resources"}),
    "list limitranges": frozenset({"limits-and-quotas"}),
    "list resourcequotas": frozenset({"limits-and-quotas"}),
    "get serviceaccounts": ALLOWED,
    "list roles": ALLOWED,
    "list rolebindings": ALLOWED,
}
"""The checks that cannot be judged without a right, exactly; all others are as they would be with it."""
READING = {"cluster", "kiro-operator-observe", "kiro-operator-permissions"}
UNSEEN = Right("cluster", "kiro.dev", "kiroremediations", ("list", "watch"))
RECORDS = {"kiroremediations", "kiroremediations/status", "kirosafetypolicies/status"}
ACTIONS = {
    "pods/eviction": ("Deployment", 4, "Restart"),
    "deployments": ("Deployment", 2, "Restart"),
    "statefulsets": ("StatefulSet", 2, "Restart"),
    "daemonsets": ("DaemonSet", 2, "Restart"),
    "deployments/scale": ("Deployment", 2, "Scale"),
    "statefulsets/scale": ("StatefulSet", 2, "Scale"),
}
"""The workload, its pods and the action that need a resource to be written."""
POLICY = {
    "mode": "Observe",
    "safetyConfig": {"data": {"mode": "supervised"}},
    "clusterRole": {"name": "kiro-autonomous-operations", "rules": []},
    "approvalGates": [
        {"name": "drains", "actions": ["drain"], "approvers": [{"kind": "Group", "name": "leads"}]}
    ],
}
"""Gives the checks of autonomous operations something to judge."""


@dataclass
class Case:
    """A right that is missing in a namespace of its own, where this is broken and that is expected."""

    right: Right | None
    world: Installed
    prepare: Callable[[Installed], None]
    expect: Callable[[Installed, Right], None]


def key(right: Right) -> str:
    """Name of a right to read, with its group where another group has the resource as well."""
    group = f".{right.group}" if right.group == "metrics.k8s.io" else ""
    return f"{right.verbs[0]} {right.resource}{group}"


def revoked() -> Iterator[Right]:
    """What is taken away, one after the other: to get and to list are two things."""
    for right in granted():
        if own(right) or right.role == "cluster-facts":
            continue
        if right.role in READING and right.verbs == ("get", "list"):
            yield from (replace(right, verbs=(verb,)) for verb in right.verbs)
        else:
            yield right


def without(missing: Right | None) -> list[Right]:
    """All rights in a namespace but one, which no other Role there holds either."""
    held = [right for right in granted() if not own(right) and right.role != "cluster-facts"]
    if missing is None:
        return held
    left = []
    for right in held:
        same = (right.group, right.resource) == (missing.group, missing.resource)
        if same and (right.role == missing.role or missing.role in READING):
            right = replace(right, verbs=tuple(verb for verb in right.verbs if verb not in missing.verbs))
        if right.verbs:
            left.append(right)
    return left


@pytest.fixture
def cases(control_plane: ControlPlane, tmp_path: Path) -> Iterator[tuple[Installed, list[Case]]]:
    """The operator's own namespace, and a namespace for each right."""
    tag = f"revoked-{uuid.uuid4().hex[:6]}"
    home = _namespace(control_plane, f"{tag}-home", tag, tmp_path)
    made = [
        Case(right, _namespace(control_plane, f"{tag}-{number}", tag, tmp_path), *_plan(right))
        for number, right in enumerate((None, *revoked()))
    ]
    yield home, made
    home.close()
    for world in (home, *(case.world for case in made)):
        control_plane.rest.delete(f"/api/v1/namespaces/{world.namespace}")


def test_whoever_loses_a_right_says_which_and_the_rest_goes_on(
    cases: tuple[Installed, list[Case]], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    home, every = cases
    _grant(home, every)
    on_each(lambda case: case.prepare(case.world), every)
    operator = OperatorProcess(
        home.plane,
        namespace=home.namespace,
        service_account=ACCOUNT,
        log=tmp_path / "operator.log",
        flags=(
            *("--watch-label-selector", f"test={home.tag}", "--namespace-watches", "100"),
            *(word for case in every for word in ("--cluster-facts-namespace", case.world.namespace)),
        ),
    ).start()
    try:
        for case in every:
            with subtests.test(missing=case.right):
                case.expect(case.world, case.right or granted()[0])
        assert operator.running
        assert operator.probe("/healthz") == (200, "ok\n")
    finally:
        status = operator.stop()
    assert status == 0


def _namespace(plane: ControlPlane, name: str, tag: str, folder: Path) -> Installed:
    plane.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    world = Installed(plane, name, folder)
    world.tag = tag
    return world


def _grant(home: Installed, every: list[Case]) -> None:
    home.plane.rest.post(home.path("serviceaccounts", api="/api/v1"), {"metadata": {"name": ACCOUNT}})
    account, plane = f"{home.namespace}:{ACCOUNT}", home.plane
    everywhere = [Right("cluster", "kiro.dev", kind, ("list", "watch")) for kind in LISTED_EVERYWHERE]
    everywhere += [right for right in granted() if right.role == "cluster-facts"]
    allow(plane, account, None, f"operator-{home.namespace}", everywhere)
    allow(plane, account, home.namespace, "own", filter(own, granted()))
    for case in every:
        allow(plane, account, case.world.namespace, "all-but-one", without(case.right))


def _plan(right: Right | None) -> tuple[Callable[[Installed], None], Callable[[Installed, Right], None]]:
    """How a right is shown to be missing."""
    if right is None:
        return _look, _sees_everything
    writes = {"create", "patch"} & set(right.verbs)
    if right.role in {"kiro-operator-restart", "kiro-operator-scale"} and writes:
        return lambda world: _break(world, *ACTIONS[right.resource]), _is_denied
    if right.role in READING and not writes and key(right) in CHECKS:
        return _look, _is_unknown
    if right.resource == "horizontalpodautoscalers":
        return lambda world: _break(world, *ACTIONS["deployments/scale"]), _is_held
    if right == UNSEEN:
        return lambda world: _break(world, *ACTIONS["pods/eviction"]), _does_nothing_blindly
    if right.resource in RECORDS and writes:
        return lambda world: _break(world, *ACTIONS["pods/eviction"]), _does_nothing
    if right.resource == "kirohealthchecks/status":
        return _look, _stays_silent
    return lambda world: _break(world, *ACTIONS["pods/eviction"]), _acts


def _look(world: Installed) -> None:
    """Something of everything to look at, of which one thing fails that no action helps against."""
    world.workload("Deployment", "kiro")
    world.settled("Deployment", "kiro")
    ports = {"selector": {"app": "kiro"}, "ports": [{"port": 80}]}
    world.plane.rest.post(
        world.path("services", api="/api/v1"), {"metadata": {"name": "kiro"}, "spec": ports}
    )
    world.afflict("kiro", "image-pull", 1)
    world.steering()
    world.policy(**POLICY)
    # Whoever made the workloads just now is no news; without that the check has its answer already.
    ignored = {"id": "recent-configuration-changes", "parameters": {"ignoredManagers": ["unknown"]}}
    world.health_check(interval="5s", checks=[ignored], steering={"configMaps": ["steering"]})


def _break(world: Installed, kind: str, replicas: int, action: str) -> None:
    """A workload that calls for an action."""
    world.workload(kind, "kiro", replicas)
    world.settled(kind, "kiro")
    if action == "Scale":
        world.afflict("kiro", "oom")
    elif kind == "StatefulSet":
        world.afflict("kiro", "crash-loop", restarts=4)
        world.relieve("kiro")
    else:
        world.afflict("kiro", "crash-loop", 1 if replicas == 4 else None)
    world.policy(**enforce())
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        checks=[{"id": "network-connectivity", "enabled": False}],
        remediation={"ladder": [{"action": action, "timeout": "10s"}], "stabilization": "1s"},
    )


def _sees_everything(world: Installed, _: Right) -> None:
    world.wait_check("pods-ready", "Fail")
    _wait(world, "a sample of every check", lambda: not _with_reason(world, "AwaitingSamples"))
    assert not _with_reason(world, "Forbidden")


def _is_unknown(world: Installed, right: Right) -> None:
    def told() -> bool:
        names = CHECKS[key(right)]
        checks = [world.check(name) for name in names]
        return all(check and check["reason"] == "Forbidden" and _names_the_rule(check["message"], right) for check in checks)

    _wait(world, f"{CHECKS[key(right)]} to name the rule", told)
    observed = world.condition("Observed")
    # The metrics API comes up some time after the control plane, and is a reason of its own until then.
    others = set(_with_reason(world, "NotInstalled")) - {"resource-utilization"}
    assert not others
    assert observed["status"] == "False"
    assert observed["reason"] in {"Forbidden", "SeveralReasons"}
    assert world.condition("Ready")["status"] == "True"
    print("FORBIDDEN", key(right), sorted(_with_reason(world, "Forbidden")))
    print("OBSERVED", observed["reason"], observed["message"])
    print("ALL", {i["id"]: i["reason"] for i in world.get("kirohealthchecks", "kiro")["status"]["checks"]})


def _is_denied(world: Installed, right: Right) -> None:
    def denied() -> list[Object]:
        return [item for item in world.remediations() if item["status"].get("reason") == "Forbidden"]

    found = until(denied, f"an action that needs {right.resource}", SECONDS)[0]
    assert found["status"]["state"] == "Denied"
    wanted = Right("", right.group, right.resource, tuple(verb for verb in right.verbs if verb != "get"))
    message = found["status"]["message"]
    assert _names_the_rule(message, wanted)
    assert message.count("add to the operator's") == 1, "it names more than the one rule that is missing"
    _wait(world, "verdicts in spite of it", lambda: world.check("pods-ready").get("status") == "Fail")
    assert not _with_reason(world, "Forbidden")


def _is_held(world: Installed, _: Right) -> None:
    world.wait_condition("RemediationAllowed", "False", reason="EvidenceMissing")
    assert not world.remediations()
    assert world.check("pods-ready")["status"] == "Fail"


def _does_nothing(world: Installed, right: Right) -> None:
    """What cannot be recorded is not done."""
    failing = {pod["metadata"]["uid"] for pod in world.pods("kiro")}
    world.wait_check("pods-ready", "Fail")
    refused = world.wait_condition("RemediationAllowed", "False", reason="Forbidden")
    assert f"resources ['{right.resource}']" in refused["message"]
    assert {pod["metadata"]["uid"] for pod in world.pods("kiro")} == failing


def _does_nothing_blindly(world: Installed, right: Right) -> None:
    """Without the record of what was done, nobody knows what may be done."""
    refused = world.wait_condition("RemediationAllowed", "False", reason="Forbidden")
    assert _names_the_rule(refused["message"], right)
    assert world.check("pods-ready")["status"] == "Fail"
    assert not world.remediations()


def _stays_silent(world: Installed, right: Right) -> None:
    _wait(world, "the log to say so", lambda: f"{right.resource}\\" in _log(world))
    assert world.get("kirohealthchecks", "kiro")["status"]["observedGeneration"] == -1


def _acts(world: Installed, _: Right) -> None:
    assert world.wait_remediation("Succeeded", timeout=SECONDS)[0]["spec"]["method"] == "Evict"
    world.wait_check("pods-ready", "Pass")


def _names_the_rule(message: str, right: Right) -> bool:
    words = (f"apiGroups ['{right.group}']", f"'{right.resource}'", *(f"'{verb}'" for verb in right.verbs))
    return "add to the operator's" in message and all(word in message for word in words)


def _with_reason(world: Installed, reason: str) -> list[str]:
    checks = world.get("kirohealthchecks", "kiro")["status"].get("checks", [])
    return [item["id"] for item in checks if item["reason"] == reason]


def _log(world: Installed) -> str:
    """What the operator logged about the namespace."""
    lines = (world.folder / "operator.log").read_text().splitlines()
    return "\n".join(line for line in lines if f"{world.namespace}" in line)


def _wait(world: Installed, what: str, condition: Callable[[], bool]) -> None:
    try:
        until(condition, what, SECONDS)
    except WaitTimeout as error:
        raise AssertionError(f"{error}\nstatus: {world.describe()}\nlog: {_log(world)[-2000:]}") from error
