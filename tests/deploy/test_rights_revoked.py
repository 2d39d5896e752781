"""Take away one right after the other: what needs it says so, with the rule to add, and all else goes on.

One operator looks after a namespace for each right. Beside the two kinds that it must list in the
whole cluster, it holds its rights in each namespace by itself: all but the one that is missing there.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane, faults
from devcluster.errors import WaitTimeout
from devcluster.operator import OperatorProcess
from devcluster.rest import on_each
from devcluster.wait import until
from kiro_operator.core.checks import registry
from kiro_operator.core.evidence.access import ACCESS
from kiro_operator.core.evidence.logs import POD_LOGS
from kiro_operator.core.evidence.nodes import NODES
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG
from kiro_operator.core.evidence.steering import STEERING
from kiro_operator.core.evidence.usage import POD_METRICS
from kiro_operator.core.permissions import Scope
from kiro_operator.core.snapshot import Polled
from tests.deploy.rights import ACCOUNT, Installed, Right, allow, granted, own
from tests.harness.world import enforce
from tools.rbac import declared

Object = dict[str, Any]
SECONDS = 30.0
INTERVAL = "10s"
LISTED_EVERYWHERE = ("kirohealthchecks", "kirosafetypolicies")


def readers(*sources: Polled[Any]) -> frozenset[str]:
    """The checks that cannot do without one of these: what is only borrowed may be missing."""
    return frozenset(
        id_
        for id_, item in registry().items()
        if not {*sources}.isdisjoint({*item.check.sources} - {*item.check.borrows})
    )


RECENT, UNUSED, LIMITS = "recent-configuration-changes", "unused-resources", "limits-and-quotas"
PATTERNS = "utilization-patterns"
PERMISSIONS = readers(ACCESS)
CHECKS: Mapping[str, frozenset[str]] = {
    # Metrics, logs and decisions are those of pods.
    "list pods": readers(POD_METRICS, POD_LOGS, OPTIMIZATIONS) | {"pods-ready", "over-provisioned", UNUSED},
    "list deployments": frozenset(
        {"workloads-available", "autoscaling-configuration", RECENT, UNUSED, LIMITS}
    ),
    "list statefulsets": frozenset({"workloads-available", "autoscaling-configuration", RECENT, UNUSED}),
    "list daemonsets": frozenset({"workloads-available", RECENT, UNUSED}),
    "list replicasets": frozenset({RECENT, UNUSED}),
    "list services": frozenset({"network-connectivity", UNUSED}),
    "list endpointslices": frozenset({"network-connectivity", UNUSED}),
    "list pods.metrics.k8s.io": frozenset({"resource-utilization"}),
    "get pods": frozenset({"steering-permissions"}),
    "get pods/log": readers(POD_LOGS),
    "list configmaps": frozenset({RECENT, UNUSED}),
    "get configmaps": readers(STEERING, SAFETY_CONFIG),
    "list persistentvolumeclaims": frozenset({UNUSED}),
    "list cronjobs": frozenset({UNUSED}),
    "list jobs": frozenset({UNUSED}),
    "list limitranges": frozenset({LIMITS}),
    "list resourcequotas": frozenset({LIMITS}),
    "get serviceaccounts": frozenset({"service-account-permissions"}),
    "list roles": PERMISSIONS,
    "list rolebindings": PERMISSIONS,
    "list nodes": readers(NODES),
    "list nodes.metrics.k8s.io": readers(NODES),
    "list clusterroles": PERMISSIONS,
    "list clusterrolebindings": PERMISSIONS,
    "create subjectaccessreviews": frozenset({"service-account-permissions", "approval-gates"}),
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
BOTH_CREATE = {"kiro-operator-history", "kiro-operator-restore"}
"""Roles that share the right to make ConfigMaps: one of them alone still allows it."""
STEERING_DOCUMENTS = "kiro-steering"
"""The ConfigMap that the operator may put the last good version back in."""
POLICY: Object = {
    "mode": "Observe",
    "boundaries": {
        "actions": ["drain"],
        "risky": ["drain"],
        "kinds": ["Deployment"],
        "namespaces": ["kiro"],
        "maximumChange": 50,
    },
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


@dataclass
class Blind:
    """Rights in the whole cluster that an operator of its own lacks: one on nodes, one on permissions."""

    missing: tuple[Right, ...]
    world: Installed


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

    def less(right: Right) -> Right:
        same = (right.group, right.resource) == (missing.group, missing.resource)
        shared = (
            right.role == missing.role or missing.role in READING or {right.role, missing.role} == BOTH_CREATE
        )
        if same and shared:
            return replace(right, verbs=tuple(verb for verb in right.verbs if verb not in missing.verbs))
        return right

    return [right for right in map(less, held) if right.verbs]


@dataclass
class Scene:
    """The operator's own namespace, one for each right, and operators that see less of the cluster."""

    home: Installed
    every: list[Case]
    blind: list[Blind]


@pytest.fixture
def scene(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Scene]:
    tag = f"revoked-{uuid.uuid4().hex[:6]}"
    home = _namespace(control_plane, f"{tag}-home", tag, tmp_path)
    made = [
        Case(right, _namespace(control_plane, f"{tag}-{number}", tag, tmp_path), *_plan(right))
        for number, right in enumerate((None, *revoked()))
    ]
    facts = [right for right in granted() if right.role == "cluster-facts"]
    nodes = [right for right in facts if right.resource in {"nodes", "pods"}]
    others = [right for right in facts if right not in nodes]
    blind = []
    for number, missing in enumerate(zip(nodes, others, strict=True)):
        folder = tmp_path / f"blind-{number}"
        folder.mkdir()
        name = f"{tag}-blind-{number}"
        world = _namespace(control_plane, name, name, folder)
        world.pick = partial(_is_left, missing)
        blind.append(Blind(missing, world))
    worlds = [home, *(case.world for case in made), *(each.world for each in blind)]
    yield Scene(home, made, blind)
    on_each(lambda world: world.close(), worlds)
    for world in worlds:
        control_plane.rest.delete(f"/api/v1/namespaces/{world.namespace}")


def test_whoever_loses_a_right_says_which_and_the_rest_goes_on(
    scene: Scene, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    home, every = scene.home, scene.every
    _grant(home, every)
    # These first: metrics take half a minute to show what a pod uses.
    on_each(_look_from_afar, scene.blind)
    for each in scene.blind:
        # Not in a thread of those, with which it would end.
        each.world.operator("--cluster-facts-namespace", each.world.namespace)
    on_each(lambda case: case.prepare(case.world), every)
    operator = OperatorProcess(
        home.plane,
        namespace=home.namespace,
        service_account=ACCOUNT,
        log=tmp_path / "operator.log",
        flags=(
            *("--watch-label-selector", f"test={home.tag}", "--namespace-watches", "100"),
            *(word for name in _shown(every) for word in ("--cluster-facts-namespace", name)),
        ),
    ).start()
    try:
        for case in every:
            with subtests.test(missing=case.right):
                case.expect(case.world, case.right or granted()[0])
        for case in every:
            if case.expect in {_is_unknown, _remembers_for_itself}:
                with subtests.test(unaffected_by=case.right):
                    _is_unaffected(case, every[0])
        for each in scene.blind:
            with subtests.test(missing=each.missing):
                _cannot_see_the_cluster(each)
        assert operator.running
        assert operator.probe("/healthz") == (200, "ok\n")
    finally:
        status = operator.stop()
    assert status == 0


def _is_left(missing: tuple[Right, ...], right: Right) -> bool:
    return right not in missing


def _namespace(plane: ControlPlane, name: str, tag: str, folder: Path) -> Installed:
    plane.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    world = Installed(plane, name, folder)
    world.tag = tag
    return world


def _grant(home: Installed, every: list[Case]) -> None:
    home.plane.rest.post(home.path("serviceaccounts", api="/api/v1"), {"metadata": {"name": ACCOUNT}})
    account, plane = f"{home.namespace}:{ACCOUNT}", home.plane
    everywhere = [Right("cluster", "kiro.dev", kind, ("list", "watch")) for kind in LISTED_EVERYWHERE]
    # Whoever may list the metrics of all pods may list those of a namespace.
    everywhere += [right for right in granted() if right.role == "cluster-facts" and right.resource != "pods"]
    allow(plane, account, None, f"operator-{home.namespace}", everywhere)
    allow(plane, account, home.namespace, "own", filter(own, granted()))
    for case in every:
        allow(plane, account, case.world.namespace, "all-but-one", without(case.right))


def _shown(every: list[Case]) -> list[str]:
    """The namespaces where it matters that facts of the cluster are seen."""
    return [
        case.world.namespace
        for case in every
        if case.right is None or case.right.role == "kiro-operator-permissions"
    ]


def _plan(right: Right | None) -> tuple[Callable[[Installed], None], Callable[[Installed, Right], None]]:
    """How a right is shown to be missing."""
    if right is None:
        return _look, _sees_everything
    writes = {"create", "patch"} & set(right.verbs)
    if right.role in {"kiro-operator-restart", "kiro-operator-scale"} and writes:
        return lambda world: _break(world, *ACTIONS[right.resource]), partial(_is_denied, check="pods-ready")
    if right.role == "kiro-operator-restore":
        return _plan_of_restoring(right)
    if right.role in READING and not writes and key(right) in CHECKS:
        return _look, _is_unknown
    if right.role == "kiro-operator-history":
        return _look, _remembers_for_itself
    if right.resource == "horizontalpodautoscalers":
        return lambda world: _break(world, *ACTIONS["deployments/scale"]), _is_held
    if right == UNSEEN:
        return lambda world: _break(world, *ACTIONS["pods/eviction"]), _does_nothing_blindly
    if right.resource in RECORDS and writes:
        return lambda world: _break(world, *ACTIONS["pods/eviction"]), _does_nothing
    if right.resource == "kirohealthchecks/status":
        return _look, _stays_silent
    return lambda world: _break(world, *ACTIONS["pods/eviction"]), _acts


def _plan_of_restoring(
    right: Right,
) -> tuple[Callable[[Installed], None], Callable[[Installed, Right], None]]:
    """The same for what is written into ConfigMaps, which is granted by their names."""
    if right.names == (STEERING_DOCUMENTS,):
        return _document, _is_denied_once_broken
    found = None if right.verbs == ("create",) else {"mode": "free"}
    return lambda world: _tamper(world, found), partial(_is_denied, check="safety-config")


def _look(world: Installed) -> None:
    """Something of everything to look at, of which one thing fails that no action helps against."""
    world.workload("Deployment", "kiro", limits={"cpu": "200m", "memory": "128Mi"})
    world.settled("Deployment", "kiro")
    ports = {"selector": {"app": "kiro"}, "ports": [{"port": 80}]}
    world.plane.rest.post(
        world.path("services", api="/api/v1"), {"metadata": {"name": "kiro"}, "spec": ports}
    )
    world.afflict("kiro", "image-pull", 1)
    world.steering()
    world.policy(**POLICY)
    _observe_all(world)


def _look_from_afar(blind: Blind) -> None:
    """The same for an operator of its own, with a pod that uses more of a node than it should."""
    world = blind.world
    _look(world)
    if any(right.resource == "pods" for right in blind.missing):
        faults.usage(world.plane, world.namespace, "app=kiro", memory="40Gi")


def _observe_all(world: Installed) -> None:
    """Have every check judged by one sample; whoever made the workloads just now is no news."""
    parameters: Mapping[str, Object] = {
        RECENT: {"ignoredManagers": ["unknown"]},
        PATTERNS: {"lowPercent": 0, "highPercent": 10 if "blind" in world.namespace else 100},
    }
    settings = [
        {
            "id": id_,
            "interval": INTERVAL,
            "failureThreshold": 1,
            "successThreshold": 1,
            "parameters": parameters.get(id_, {}),
        }
        for id_, item in registry().items()
        if item.check.polled
    ]
    # How long it lasts is another matter.
    settings.append({"id": "workloads-available", "failAfter": "24h"})
    world.health_check(interval=INTERVAL, checks=settings, steering={"configMaps": ["steering"]})


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


def _tamper(world: Installed, found: Object | None) -> None:
    """A safety configuration that is missing, or another one than is desired."""
    if found is not None:
        made = {"metadata": {"name": "kiro-safety-config"}, "data": found}
        world.plane.rest.post(world.path("configmaps", api="/api/v1"), made)
    action = {"name": "RestoreSafetyConfig", "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}
    wanted = {"name": "kiro-safety-config", "data": {"mode": "kept"}, "onDrift": "Restore"}
    world.policy(**enforce(actions=[action], safetyConfig=wanted))
    others = [{"id": id_, "enabled": False} for id_ in registry() if id_ != "safety-config"]
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        checks=others,
        remediation={"stabilization": "1s"},
    )


def _document(world: Installed) -> None:
    """A steering document that passes, so that there is a version to go back to."""
    made = {"metadata": {"name": STEERING_DOCUMENTS}, "data": {"product.md": "# Product\nTea.\n"}}
    world.plane.rest.post(world.path("configmaps", api="/api/v1"), made)
    action = {"name": "RestoreSteering", "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}
    world.policy(**enforce(actions=[action]))
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        steering={"configMaps": [STEERING_DOCUMENTS], "onDrift": "Restore"},
        checks=[
            {"id": id_, "interval": "5s"} if id_ == "steering-integrity" else {"id": id_, "enabled": False}
            for id_ in registry()
        ],
        remediation={"stabilization": "1s"},
    )


def _sees_everything(world: Installed, _: Right) -> None:
    world.wait_check("pods-ready", "Fail")
    _wait(world, "a sample of every check", lambda: not _with_reason(world, "AwaitingSamples"))
    assert not _with_reason(world, "Forbidden")


def _is_unknown(world: Installed, right: Right) -> None:
    _cannot_judge(world, {key(right): right})
    observed = world.condition("Observed")
    assert observed["status"] == "False"
    assert observed["reason"] in {"Forbidden", "SeveralReasons"}
    assert any(check_id in observed["message"] for check_id in CHECKS[key(right)])
    assert world.condition("Ready")["status"] == "True"


def _cannot_judge(world: Installed, missing: Mapping[str, Right]) -> None:
    """Exactly the checks that need one of these are Unknown, and each says which rule to add."""
    expected = {
        check_id: {
            advice for name in missing if check_id in CHECKS[name] for advice in _advice(world, missing[name])
        }
        for name in missing
        for check_id in CHECKS[name]
    }

    def told() -> bool:
        found = world.get("kirohealthchecks", "kiro")["status"].get("checks", [])
        forbidden = {item["id"]: item for item in found if item["reason"] == "Forbidden"}
        return forbidden.keys() == expected.keys() and all(
            item["status"] == "Unknown" and item["message"] in expected[check_id]
            for check_id, item in forbidden.items()
        )

    try:
        _wait(world, f"{sorted(expected)} and no others to name the rule", told)
    except AssertionError as error:
        raise AssertionError(f"Forbidden are {_with_reason(world, 'Forbidden')}: {error}") from error


def _advice(world: Installed, right: Right) -> set[str]:
    """What the code that needs a right tells to add."""
    return {
        rule.advice(world.namespace)
        for rule in declared()
        if rule.group == right.group
        and right.resource in rule.resources
        and {*right.verbs} <= {*rule.verbs}
        and (rule.scope is Scope.CLUSTER) is right.cluster
    }


def _is_unaffected(case: Case, calm: Case) -> None:
    """All checks that do not need the right say what they say where nothing is missing."""
    apart = CHECKS.get(key(case.right), frozenset()) if case.right else frozenset()
    if case.world.namespace not in _shown([case]):
        apart |= readers(ACCESS, NODES)
    try:
        until(lambda: _others(case, apart) == _others(calm, apart), "the other verdicts", SECONDS)
    except WaitTimeout as error:
        here, there = _others(case, apart), _others(calm, apart)
        differing = {id_: (here[id_], there[id_]) for id_ in here if here[id_] != there[id_]}
        raise AssertionError(f"other than with all rights: {differing}") from error


def _others(case: Case, apart: frozenset[str]) -> Mapping[str, tuple[str, str]]:
    checks = case.world.get("kirohealthchecks", "kiro")["status"]["checks"]
    return {item["id"]: (item["status"], item["reason"]) for item in checks if item["id"] not in apart}


def _cannot_see_the_cluster(blind: Blind) -> None:
    world = blind.world
    _cannot_judge(world, {key(right): right for right in blind.missing if right.resource != "pods"})
    for right in blind.missing:
        if right.resource == "pods":
            # Who uses most is missed only where a node is too full.
            told = world.wait_check(PATTERNS, "Fail", timeout=120)
            [advice] = _advice(world, right)
            assert f"whose pods use most memory is not known ({advice})" in told["message"]


def _remembers_for_itself(world: Installed, _: Right) -> None:
    told = world.wait_check("steering-changes", "Pass")
    assert "kept in memory only: grant deploy/namespace/history" in told["message"]
    assert not _with_reason(world, "Forbidden")


def _is_denied(world: Installed, right: Right, *, check: str) -> None:
    def denied() -> list[Object]:
        return [item for item in world.remediations() if item["status"].get("reason") == "Forbidden"]

    found = until(denied, f"an action that needs {right.resource}", SECONDS)[0]
    assert found["status"]["state"] == "Denied"
    wanted = Right("", right.group, right.resource, tuple(verb for verb in right.verbs if verb != "get"))
    message = found["status"]["message"]
    assert _names_the_rule(message, wanted)
    assert message.count("add to the operator's") == 1, "it names more than the one rule that is missing"
    _wait(world, "verdicts in spite of it", lambda: world.check(check).get("status") == "Fail")
    assert not _with_reason(world, "Forbidden")


def _is_denied_once_broken(world: Installed, right: Right) -> None:
    world.wait_check("steering-integrity", "Pass")
    where = world.path("configmaps", STEERING_DOCUMENTS, api="/api/v1")
    world.plane.rest.patch(where, {"data": {"product.md": ""}})
    _is_denied(world, right, check="steering-integrity")


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
    """What the operators logged about the namespace."""
    lines = [line for file in world.folder.glob("operator*.log") for line in file.read_text().splitlines()]
    return "\n".join(line for line in lines if f"{world.namespace}" in line)


def _wait(world: Installed, what: str, condition: Callable[[], bool]) -> None:
    try:
        until(condition, what, SECONDS)
    except WaitTimeout as error:
        raise AssertionError(f"{error}\nstatus: {world.describe()}\nlog: {_log(world)[-2000:]}") from error
