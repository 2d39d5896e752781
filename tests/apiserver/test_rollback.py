"""Rollback: the way back from a rollout that is stuck is on record, is right, and is gone when approved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane, faults
from devcluster.wait import until
from kiro_operator.core.checks import registry
from kiro_operator.core.templates import HASH
from tests.apiserver.test_approvals import look_again
from tests.apiserver.test_proposals import BUDGET, RESTART, path, waiting
from tests.deploy.rights import Installed
from tests.harness.approvers import Approver, wait_for_vouching
from tests.harness.world import World, enforce

Object = dict[str, Any]
APPS = "/apis/apps/v1"
CHECK = "workloads-available"
ROLLBACK = {"name": "Rollback", "approval": "Manual", "budget": BUDGET}
PLANTED = "hunter2-is-no-word"


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Installed]:
    """An operator with the rights of an installation and no others."""
    made = Installed(control_plane, namespace, tmp_path)
    yield made
    made.close()


def begin(world: World) -> None:
    """A Deployment whose first revision runs, and whose second can never."""
    container = {
        "name": "kiro",
        "image": "kiro:1",
        "args": ["serve", "--level=info"],
        "env": [{"name": "DB_PASSWORD", "value": PLANTED}],
        "resources": {"requests": {"cpu": "100m"}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": 80}},
    }
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "config", "configMap": {"name": "one"}}]
    spec = {
        "containers": [container],
        "initContainers": [{"name": "init", "image": "init:1"}],
        "volumes": volumes,
        "nodeSelector": {"kubernetes.io/os": "linux"},
    }
    template = {"metadata": {"labels": {"app": "kiro"}, "annotations": {"config": "one"}}, "spec": spec}
    world.deployment(replicas=3, progressDeadlineSeconds=5, template=template)
    world.policy(**enforce(actions=[ROLLBACK, RESTART]))
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        checks=[{"id": name, "enabled": False} for name in registry() if name != CHECK],
    )
    faults.inject_template(world.plane, world.namespace, "deployment/kiro", "image-pull")
    until(lambda: set(revisions(world)) == {"1", "2"}, "the second revision", 30)


def roll_out(world: World, patch: Object) -> None:
    """Set something of the pod template, as kubectl does."""
    text = json.dumps({"spec": {"template": patch}})
    world.plane.kubectl("patch", "deployment/kiro", "-n", world.namespace, "--type", "strategic", "-p", text)


def revisions(world: World) -> dict[str, Object]:
    """The ReplicaSets of the Deployment, by revision."""
    return {
        item["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: item
        for item in world.items("replicasets", api=APPS)
    }


def template(found: Object) -> Object:
    """A pod template without what its ReplicaSet adds."""
    labels = {
        key: value for key, value in found["spec"]["template"]["metadata"]["labels"].items() if key != HASH
    }
    metadata = {
        key: value for key, value in found["spec"]["template"]["metadata"].items() if value is not None
    }
    return {"metadata": metadata | {"labels": labels}, "spec": found["spec"]["template"]["spec"]}


def would_be(world: World, patch: str) -> Object:
    """The pod template as the API server would make it of a patch."""
    where = ("patch", "deployment/kiro", "-n", world.namespace, "--type", "strategic")
    return template(
        json.loads(world.plane.kubectl(*where, "--dry-run=server", "-o", "json", "-p", patch).stdout)
    )


def test_the_command_on_record_heals_it_and_ends_the_record(world: Installed) -> None:
    begin(world)
    # A third one is to mend the second, and fails as well: the one before the newest is not the way back.
    container = {
        "name": "kiro",
        "image": "kiro:3",
        "args": ["serve", "--level=debug"],
        "resources": {"requests": {"cpu": "50m"}, "limits": {"cpu": "1"}},
        "readinessProbe": {"httpGet": None, "exec": {"command": ["true"]}},
        "imagePullPolicy": "Always",
    }
    spec = {
        "containers": [container],
        "initContainers": [{"name": "init", "image": "init:3"}],
        "volumes": [{"name": "config", "configMap": None, "emptyDir": {}}],
        "nodeSelector": {"kubernetes.io/os": None},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    }
    roll_out(world, {"metadata": {"annotations": {"config": None, "note": "third"}}, "spec": spec})
    world.operator()

    [record] = world.wait_remediation("Proposed", timeout=60)

    assert (record["spec"]["action"], record["spec"]["method"]) == ("Rollback", "Advise")
    assert (record["spec"]["change"]["revision"], record["spec"]["fence"]["revision"]) == ("1", "3")
    assert PLANTED not in json.dumps(record)
    good, bad = template(revisions(world)["1"]), template(world.plane.rest.get(path(world)))
    assert would_be(world, record["spec"]["change"]["patch"]) == good
    # It stays as it is, changes nothing, and leaves the restart to its gates.
    look_again(world)
    [waiting] = world.remediations()
    assert (waiting["metadata"]["uid"], waiting["status"]) == (record["metadata"]["uid"], record["status"])
    assert template(world.plane.rest.get(path(world))) == bad
    world.wait_condition("Escalated", "True")

    [command] = re.findall(r"kubectl (rollout undo [^;]+)", record["status"]["message"])
    world.plane.kubectl(*command.split())

    world.all_ready("kiro", 3)
    world.wait_check(CHECK, "Pass")
    [ended] = world.wait_remediation("Expired")
    assert (ended["metadata"]["uid"], ended["status"]["reason"]) == (record["metadata"]["uid"], "Changed")
    assert set(revisions(world)) == {"2", "3", "4"}
    assert template(revisions(world)["4"]) == good
    assert would_be(world, record["spec"]["change"]["undo"]) == bad
    assert len(world.remediations()) == 1
    written = {event["objectRef"]["resource"] for event in world.written()}
    assert not written & {"deployments", "replicasets", "pods"}


def released(world: World) -> None:
    """A Deployment of which the first release runs, and a KiroHealthCheck that looks at it."""
    container = {"name": "kiro", "image": "kiro:1", "env": [{"name": "DB_PASSWORD", "value": PLANTED}]}
    spec = {"containers": [container], "initContainers": [{"name": "init", "image": "init:1"}]}
    template = {"metadata": {"labels": {"app": "kiro"}}, "spec": spec}
    world.deployment(replicas=3, progressDeadlineSeconds=5, template=template)
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        checks=[{"id": name, "enabled": False} for name in registry() if name != CHECK],
        remediation={"stabilization": "1s"},
    )


def release(world: World) -> None:
    """Roll the second one out."""
    images = {
        "containers": [{"name": "kiro", "image": "kiro:2"}],
        "initContainers": [{"name": "init", "image": "init:2"}],
    }
    roll_out(world, {"metadata": {"annotations": {"checksum/config": "2"}}, "spec": images})


def test_a_release_that_does_not_get_going_is_taken_back_when_approved(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    world = Installed(control_plane, namespace, tmp_path)
    world.parts = (*world.parts, "namespace/rollback")
    wait_for_vouching(control_plane)
    with closing(world), faults.broken_image(control_plane, namespace, "kiro:2", "image-pull"):
        released(world)
        world.policy(**enforce(actions=[ROLLBACK, RESTART]))
        release(world)
        world.operator()
        request = waiting(world)
        [record] = world.remediations()
        assert (record["spec"]["action"], record["spec"]["method"]) == ("Rollback", "Patch")
        assert "spec.template.spec.containers[kiro].image: kiro:2 → kiro:1" in request["change"]
        assert PLANTED not in json.dumps(record)
        look_again(world)
        good, bad = template(revisions(world)["1"]), template(world.plane.rest.get(path(world)))
        assert bad["spec"]["containers"][0]["image"] == "kiro:2"

        Approver(control_plane, namespace).decide(request)

        world.wait_remediation("Succeeded", timeout=60)
        assert template(world.plane.rest.get(path(world))) == good
        assert set(revisions(world)) == {"2", "3"}
        assert template(revisions(world)["3"]) == good
        world.all_ready("kiro", 3)
        world.wait_check(CHECK, "Pass")
        written = [event for event in world.written() if event["objectRef"]["resource"] == "deployments"]
        assert len(written) == 1


def test_where_a_value_of_the_environment_differs_only_words_tell(world: Installed) -> None:
    begin(world)
    roll_out(
        world, {"spec": {"containers": [{"name": "kiro", "env": [{"name": "DB_PASSWORD", "value": "new"}]}]}}
    )
    world.operator()
    verdict = world.wait_check(CHECK, "Fail", timeout=60)
    undo = f"kubectl rollout undo deployment/kiro -n {world.namespace} --to-revision=1"
    until(lambda: undo in world.check(CHECK)["message"], f"the command in {verdict['message']}", 60)
    until(lambda: read(world) == 1, "both templates to be read", 30)
    look_again(world)
    look_again(world)
    assert not world.remediations()
    assert read(world) == 1, "once is enough to see that it may not be kept"

    # Of another revision it may be.
    roll_out(
        world,
        {
            "spec": {
                "containers": [
                    {"name": "kiro", "env": [{"name": "DB_PASSWORD", "value": PLANTED}], "image": "kiro:4"}
                ]
            }
        },
    )
    [record] = world.wait_remediation("Proposed", timeout=60)
    assert PLANTED not in json.dumps(record)
    # Without the earlier revision there is nothing to go back to.
    gone = revisions(world)["1"]["metadata"]["name"]
    world.plane.kubectl("delete", "replicaset", gone, "-n", world.namespace)
    [ended] = world.wait_remediation("Expired", timeout=60)
    assert ended["status"]["reason"] == "RevisionGone"


def read(world: World) -> int:
    """How often the operator has read a ReplicaSet by its name."""
    return sum(
        event["objectRef"].get("resource") == "replicasets" and "metadata.name%3D" in event["requestURI"]
        for event in world.plane.audit_events(world.offset, naming=world.namespace)
        if event["user"]["username"].startswith(f"system:serviceaccount:{world.namespace}:")
        and "objectRef" in event
    )
