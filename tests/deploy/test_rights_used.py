"""A recorded run: what the operator asks of the API server is what it was granted, no more and no less."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from devcluster.errors import ApiError, WaitTimeout
from devcluster.wait import until
from tests.deploy.rights import ACCOUNT, Installed, granted
from tests.harness.admission import confined
from tests.harness.world import enforce

NOT_EXERCISED = {
    (
        "cluster",
        "events.k8s.io",
        "events",
        "patch",
    ): "only an event that repeats over a minute is written as a series",
    (
        "namespace",
        "kiro.dev",
        "kiroremediations",
        "delete",
    ): "records are kept for a week, by the API server's clock",
}
"""Granted and needed, but by nothing that a short run can bring about; each with the reason."""
SPARE = ("spare-1", "spare-2", "spare-3")
DESIRED = {"mode": "supervised"}
UNHURRIED = ("--lease-duration", "15", "--lease-renew-deadline", "10", "--lease-retry-period", "2")
KINDS = ("Deployment", "StatefulSet", "DaemonSet")
METHODS = {
    ("Deployment", "evicted"): "Evict",
    ("Deployment", "rolled"): "RolloutRestart",
    ("StatefulSet", "rolled-set"): "RolloutRestart",
    ("DaemonSet", "rolled-agent"): "RolloutRestart",
    ("Deployment", "scaled"): "ScaleUp",
    ("StatefulSet", "scaled-set"): "ScaleUp",
}
SETTLED = {"Verifying", "Succeeded", "Failed"}
Object = dict[str, Any]
SAMPLED = (
    "resource-utilization",
    "service-logs",
    "recent-configuration-changes",
    "unused-resources",
    "limits-and-quotas",
    "node-capacity",
    "utilization-patterns",
    "service-account-permissions",
    "steering-permissions",
    "steering-changes",
)
"""The checks that between them read all that is polled."""
Used = tuple[str, str, str]
"""Group, resource with its subresource, and verb."""
Place = tuple[str, str, str, str]
"""The same, with whether it is granted in the whole cluster or in a namespace."""


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Installed]:
    made = Installed(control_plane, namespace, tmp_path)
    yield made
    made.close()


def test_what_is_used_is_what_is_granted(world: Installed) -> None:
    _break_things(world)
    world.steering()
    restarts, _ = (_watch(world, name) for name in ("restarts", "scales"))
    _leave_records(world, restarts)
    world.policy(**_restoring())

    operator = world.operator(*UNHURRIED, "--cluster-facts-namespace", world.namespace, start=False)
    # What admission lets through is tried at the same time: a refusal is a 403 as well.
    with confined(world.plane, world.namespace, ACCOUNT):
        operator.start()
        _wait_for_actions(world)
        _wait_for_samples(world)
        _wait_for_a_change_to_be_remembered(world)
        _tamper(world)
        _lose_a_compare_and_swap(world)
        assert operator.stop() == 0
    events = list(_requests(world))
    refused = [(_used(event), event["requestURI"]) for event in events if _code(event) in {401, 403}]
    assert not refused
    assert not any(event["objectRef"]["resource"] == "secrets" for event in events)
    allowed = {
        ("cluster" if right.cluster else "namespace", right.group, right.resource, verb)
        for right in granted()
        for verb in right.verbs
    }
    used = {_place(event, allowed) for event in events}
    assert used <= allowed
    assert sorted(allowed - used) == sorted(NOT_EXERCISED)


def _break_things(world: Installed) -> None:
    """One workload for each way to act on each kind, and some that are well."""
    made = [(*target, "scales" if method == "ScaleUp" else "restarts") for target, method in METHODS.items()]
    made += [("Deployment", name, "restarts") for name in SPARE]
    made += [
        (kind, f"calm-{kind.lower()}", "restarts") for kind in ("Deployment", "StatefulSet", "DaemonSet")
    ]
    for kind, name, group in made:
        world.workload(kind, name, 2 if name.startswith(("rolled", "scaled")) else 4, {"for": group})
    for kind, name, _ in made:
        world.settled(kind, name)
    world.afflict("evicted", "crash-loop", 1)
    world.afflict("rolled", "crash-loop")
    world.afflict("rolled-agent", "crash-loop")
    # Up again after crashing: its pods are ready and failing, which is when a StatefulSet is rolled.
    world.afflict("rolled-set", "crash-loop", restarts=4)
    world.relieve("rolled-set")
    world.afflict("scaled", "oom")
    world.afflict("scaled-set", "oom")


def _watch(world: Installed, name: str) -> Object:
    action = name.removesuffix("s").capitalize()
    return world.health_check(
        name,
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        selector={"matchLabels": {"for": name}},
        steering={"configMaps": ["steering"]},
        # The names of Services mean nothing outside of the cluster.
        checks=[
            {"id": "network-connectivity", "enabled": False},
            {"id": "steering-changes", "interval": "5s"},
            {"id": "utilization-patterns", "interval": "5s", "failureThreshold": 1},
        ],
        remediation={"ladder": [{"action": action, "timeout": "10s"}], "stabilization": "1s"},
    )


def _leave_records(world: Installed, asker: Object) -> None:
    """What another process left half done, and what somebody asked for who is gone."""
    for kind in KINDS:
        name = f"calm-{kind.lower()}"
        target = world.get(f"{kind.lower()}s", name, api="/apis/apps/v1") | {"kind": kind}
        world.record(f"half-done-{kind.lower()}", "Acting", target, asker)
        if kind == "Deployment":
            pod = world.pods(name)[0]["metadata"]
            evicted = {"apiVersion": "v1", "kind": "Pod", "name": pod["name"], "uid": pod["uid"]}
            world.record("half-evicted", "Acting", target, asker, method="Evict", pod=evicted)
            gone = {"metadata": {"name": "gone", "uid": "gone"}}
            world.record("nobodys", "Acting", target, gone)


def _wait_for_actions(world: Installed) -> None:
    def acted() -> bool:
        done = {
            (item["spec"]["target"]["kind"], item["spec"]["target"]["name"]): item["spec"]["method"]
            for item in world.remediations()
            if item["status"]["state"] in SETTLED
        }
        return METHODS.items() <= done.items()

    try:
        until(acted, "every kind of action", 60)
    except Exception as error:
        seen = [(item["metadata"]["name"], item["status"]) for item in world.remediations()]
        raise AssertionError(f"{error}\n{seen}\n{world.describe('restarts')}\n{world.log_tail()}") from error


def _wait_for_samples(world: Installed) -> None:
    for check_id in SAMPLED:

        def sampled(check_id: str = check_id) -> bool:
            return world.check(check_id, "restarts").get("reason") not in {None, "AwaitingSamples"}

        until(sampled, f"a sample of {check_id}", 30)


def _wait_for_a_change_to_be_remembered(world: Installed) -> None:
    """The first version makes the history's ConfigMap, the second one changes it."""
    kept = world.path("configmaps", "restarts-steering-history", api="/api/v1")
    first = world.plane.rest.get(kept)["metadata"]["resourceVersion"]
    world.steering("# Product\nPrefer smaller steps.\n")
    until(
        lambda: world.plane.rest.get(kept)["metadata"]["resourceVersion"] != first,
        "the change of a steering document to be remembered",
        30,
    )


def _restoring() -> Object:
    """A policy that lets everything through, and desires a safety configuration."""
    budget = {"limit": 20, "window": "1h"}
    actions = [
        {"name": name, "approval": "Automatic", "budget": budget}
        for name in ("Restart", "Scale", "RestoreSafetyConfig")
    ]
    wanted = {"name": "kiro-safety-config", "onDrift": "Restore", "data": DESIRED}
    return enforce(actions=actions, safetyConfig=wanted)


def _tamper(world: Installed) -> None:
    """The safety configuration, which was made because it was missing, is changed and brought back."""
    config = world.path("configmaps", "kiro-safety-config", api="/api/v1")

    def held() -> bool:
        try:
            return bool(world.plane.rest.get(config)["data"] == DESIRED)
        except ApiError:
            return False

    until(held, "the safety configuration to be made", 30)
    world.plane.rest.patch(config, {"data": {"mode": "free"}})
    until(held, "the safety configuration to be brought back", 60)


def _lose_a_compare_and_swap(world: Installed) -> None:
    """Keep changing the policy while its budget is reserved, so that it has to be read again."""
    policy = world.path("kirosafetypolicies", "policy")
    over = threading.Event()

    def keep_changing() -> None:
        for version in itertools.count():
            if over.is_set():
                return
            world.plane.rest.patch(policy, {"metadata": {"annotations": {"version": str(version)}}})

    def read_again() -> bool:
        return any(_used(event) == ("kiro.dev", "kirosafetypolicies", "get") for event in _requests(world))

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(keep_changing)
        try:
            for name in SPARE:
                world.afflict(name, "crash-loop", 1)
                with contextlib.suppress(WaitTimeout):
                    until(read_again, "the policy to be read again", 5)
                    break
            else:
                pytest.fail(f"the operator never lost a compare-and-swap: {world.log_tail()}")
        finally:
            over.set()
        changing.result()


def _requests(world: Installed) -> Iterator[Object]:
    """What the operator asked for in its namespace or cluster-wide; elsewhere are other tests' objects."""
    user = f"system:serviceaccount:{world.namespace}:operator"
    for event in world.plane.audit_events(world.offset, naming=user):
        if event["user"]["username"] != user or "objectRef" not in event:
            continue
        if event["objectRef"].get("namespace", world.namespace) == world.namespace:
            yield event


def _used(event: Object) -> Used:
    about = event["objectRef"]
    resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
    return about.get("apiGroup", ""), resource, event["verb"]


def _place(event: Object, allowed: set[Place]) -> Place:
    """The right that a request needs; in a namespace, that of the namespace where there is one."""
    within = ("namespace", *_used(event))
    return within if "namespace" in event["objectRef"] and within in allowed else ("cluster", *within[1:])


def _code(event: Object) -> int:
    return int(event.get("responseStatus", {}).get("code", 0))
