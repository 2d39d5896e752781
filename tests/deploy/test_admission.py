"""The second wall: what the operator's ServiceAccount may write even where RBAC lets it do everything.

All requests are sent with the account's own token, bound to cluster-admin.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import yaml

from devcluster import ControlPlane
from devcluster.errors import ApiError
from devcluster.rest import APPLY, MERGE, Rest
from devcluster.wait import until
from kiro_operator.adapters.kubernetes.decision_log import FILE, LIMIT
from kiro_operator.adapters.steering import files
from kiro_operator.core.permissions import Rule
from kiro_operator.core.remedies import restore_rbac
from kiro_operator.core.remedies.restart import RESTARTED_BY
from kiro_operator.settings import parse
from tests.apiserver import test_restore_rbac
from tests.core.policy.test_rollback import BY_OPERATOR, BY_PERSON, SAME
from tests.deploy.others import OTHERS, send
from tests.deploy.rendered import DEPLOY, OVERLAYS, ROOT, kustomized, of_kind
from tests.deploy.rights import RBAC, Installed
from tests.harness.admission import (
    API,
    BINDING,
    PLURALS,
    POLICY,
    as_account,
    confined,
    confining,
)
from tests.harness.approvers import Approver
from tests.harness.world import enforce
from tools.admission import USER, UndescribedWriteError, admitted, confinement
from tools.rbac import declared

ACCOUNT = "operator"
CORE, APPS = "/api/v1", "/apis/apps/v1"
LEASES, EVENTS = "/apis/coordination.k8s.io/v1", "/apis/events.k8s.io/v1"
KIRO = "/apis/kiro.dev/v1alpha1"
KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
FORBIDDEN, CONFLICT = 403, 409
ASKED = {
    "gates": [{"gate": "operator-approver"}],
    "digest": "0" * 64,
    "target": {"kind": "Deployment", "name": "deployment", "uid": "u"},
}
"""A plan of nobody's."""
JSON_PATCH = "application/json-patch+json"
OPTIMIZING = {"saving": "15", "changes": "4", "mode": "careful", "limit": "9"}
LISTED = ["saving", "changes", "mode", "unknown"]
"""Keys that an admin lets be moved; under one of them stands no number."""
RELEASED = {
    "metadata": {
        "labels": SAME["metadata"]["labels"] | {"tier": "back"},
        "annotations": {"team": "platform"},
    },
    "spec": SAME["spec"]
    | {
        "containers": [
            SAME["spec"]["containers"][0] | {"securityContext": {"runAsNonRoot": True}},
            {"name": "side", "image": "side:1"},
        ]
    },
}
"""A release, with what nobody takes away from it."""
IN_LISTED = (
    "removeUnusedNamespaces",
    "rollbackNamespaces",
    "changeBoundaryNamespaces",
    "changeThresholdNamespaces",
)
"""What an admin lists namespaces for."""
Object = dict[str, Any]


@dataclass
class Confined:
    """A namespace with something of everything, and the operator's account in it."""

    world: Installed
    rest: Rest
    tag: str
    pod: str
    denial: str
    """A KiroApproval."""
    listed: Installed
    """Another namespace, which the admin has listed for what is allowed in listed ones alone."""

    def path(self, plural: str, name: str = "", api: str = APPS) -> str:
        return self.world.path(plural, name, api=api)

    def patch(self, path: str, body: Any, content_type: str = MERGE) -> None:
        self.rest.patch(f"{path}?dryRun=All", body, content_type)

    def post(self, path: str, body: Object) -> None:
        self.rest.post(f"{path}?dryRun=All", body)


@pytest.fixture(scope="module")
def at(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Confined]:
    name = f"confined-{uuid.uuid4().hex[:8]}"
    rest = control_plane.rest
    rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    world = Installed(control_plane, name, tmp_path_factory.mktemp("confined"))
    control_plane.kubectl("create", "serviceaccount", ACCOUNT, "-n", name)
    control_plane.kubectl(
        "create",
        "clusterrolebinding",
        name,
        "--clusterrole=cluster-admin",
        f"--serviceaccount={name}:{ACCOUNT}",
    )
    for kind in KINDS:
        world.workload(kind, kind.lower())
    world.workload("Deployment", "off", 0)
    world.workload("Deployment", "calm")
    pods = world.settled("Deployment", "calm")
    world.policy(**enforce())
    asker = world.health_check("kiro", checks=[])
    target = world.get("deployments", "deployment", api=APPS) | {"kind": "Deployment"}
    for state in ("Acting", "Succeeded"):
        world.record(state.lower(), state, target, asker)
    world.steering()
    for name_, owner in (("kiro-steering-history", "kiro-operator"), ("old-steering-history", "somebody")):
        labels = {"app.kubernetes.io/managed-by": owner}
        rest.post(world.path("configmaps", api="/api/v1"), {"metadata": {"name": name_, "labels": labels}})
    binary = {"binaryData": {"old": "AAAA"}, "data": {"mode": "free"}}
    rest.post(world.path("configmaps", api=CORE), _config(labels={"a": "b"}) | binary)
    steering = {
        "data": {"product.md": "---\n", "other.md": "# Other", "mcp.json": "{}"},
        "binaryData": {"tech.md": "AAAA", "logo": "AAAA"},
    }
    rest.post(world.path("configmaps", api=CORE), {"metadata": {"name": "kiro-steering"}} | steering)
    logging = {"metadata": {"name": "kiro-logging"}, "data": {"level": "info", "format": "json"}}
    rest.post(world.path("configmaps", api=CORE), logging)
    for name_ in ("kiro-optimization", "other-numbers"):
        rest.post(world.path("configmaps", api=CORE), {"metadata": {"name": name_}, "data": OPTIMIZING})
    rest.post(world.path("leases", api=LEASES), _lease("kiro-operator"))
    rest.post(world.path("events", api=EVENTS), _event(name) | {"metadata": {"name": "there"}})
    rest.post(world.path("roles", api=RBAC), {"metadata": {"name": "own"}, "rules": []})
    denial = Approver(control_plane, name).decide(ASKED, "Deny")
    listed = _listed(control_plane, name, tmp_path_factory.mktemp("listed"))
    chosen = {"optimizationKeys": str(LISTED)} | dict.fromkeys(IN_LISTED, str([listed.namespace]))
    token = as_account(control_plane, name, ACCOUNT)
    try:
        with confined(control_plane, name, ACCOUNT, chosen) as tag:
            yield Confined(world, token, tag, pods[0]["metadata"]["name"], denial["metadata"]["name"], listed)
    finally:
        token.close()
        rest.delete(f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}")
        rest.delete(f"/api/v1/namespaces/{name}")
        rest.delete(f"/api/v1/namespaces/{listed.namespace}")


def _listed(plane: ControlPlane, name: str, folder: Path) -> Installed:
    """A namespace with what is changed in listed ones, each once more as its owner has protected it."""
    world = Installed(plane, f"{name}-listed", folder)
    plane.rest.post("/api/v1/namespaces", {"metadata": {"name": world.namespace}})
    bounds = {"actions": ["scale"], "risky": [], "kinds": [], "namespaces": [], "maximumChange": 20}
    for owned in ("mine", "kept", "marked"):
        world.workload("Deployment", owned)
        spec = {"replicas": 0, "selector": {"matchLabels": SAME["metadata"]["labels"]}, "template": RELEASED}
        release = {"metadata": {"name": f"{owned}-release"}, "spec": spec}
        plane.rest.post(world.path("deployments", api=APPS), release)
        world.policy(owned, **enforce(boundaries=bounds))
        world.health_check(owned, checks=_checks()["spec"]["checks"])
    world.policy("bare", **enforce())
    for name_ in ("marked", "marked-release"):
        template = {"metadata": {"annotations": {"kiro.dev/protected": "true"}}}
        plane.rest.patch(world.path("deployments", name_, api=APPS), {"spec": {"template": template}})
    mark = {"metadata": {"annotations": {"kiro.dev/protected": " Yes"}}}
    for plural, name_, api in (
        ("deployments", "kept", APPS),
        ("deployments", "kept-release", APPS),
        ("kirosafetypolicies", "kept", KIRO),
        ("kirohealthchecks", "kept", KIRO),
    ):
        plane.rest.patch(world.path(plural, name_, api=api), mark)
    return world


def _lease(name: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}}


def _event(namespace: str, **changes: Any) -> Object:
    return {
        "metadata": {"name": f"e-{uuid.uuid4().hex[:8]}"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "type": "Normal",
        "reason": "RemediationStarted",
        "action": "Restart",
        "note": "for a test",
        "regarding": {"kind": "KiroHealthCheck", "name": "kiro", "namespace": namespace},
        "reportingController": "kiro.dev/kiro-operator",
        "reportingInstance": "test",
    } | changes


def _history(**metadata: Any) -> Object:
    owner = {"apiVersion": "kiro.dev/v1alpha1", "kind": "KiroHealthCheck", "name": "new", "uid": "u"}
    return {
        "metadata": {
            "name": "new-steering-history",
            "labels": {"app.kubernetes.io/managed-by": "kiro-operator"},
            "ownerReferences": [owner],
        }
        | metadata,
        "data": {"history": "{}"},
    }


def _config(**metadata: Any) -> Object:
    """A safety configuration as RestoreSafetyConfig makes it anew."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kiro-safety-config"} | metadata,
        "data": {"mode": "supervised"},
    }


def _eviction(at: Confined, **options: Any) -> Object:
    pod = at.world.get("pods", at.pod, api=CORE)["metadata"]
    fence = {"uid": pod["uid"], "resourceVersion": pod["resourceVersion"]}
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": at.pod, "namespace": at.world.namespace},
        "deleteOptions": {"preconditions": fence, "dryRun": ["All"]} | options,
    }


def _annotated(value: str | None, key: str = RESTARTED_BY) -> Object:
    return {"spec": {"template": {"metadata": {"annotations": {key: value}}}}}


# --- what its remedies do passes ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_passes_and_so_does_the_next_one(at: Confined, kind: str) -> None:
    path = at.path(KINDS[kind], kind.lower())
    for intent in ("deployment-kiro-17f19938-759b-e1s1", "deployment-kiro-17f19938-759b-e1s2"):

        def restarted(intent: str = intent) -> Object | None:
            before = at.rest.get(path)["metadata"]
            fence = {"uid": before["uid"], "resourceVersion": before["resourceVersion"]}
            try:
                done = at.rest.patch(path, {"metadata": fence} | _annotated(intent))
            except ApiError as error:
                if error.status != CONFLICT:
                    raise
                return None
            assert done["metadata"]["generation"] > before["generation"]
            return done

        done = until(restarted, "a restart of what changes meanwhile", 30)
        assert done["spec"]["template"]["metadata"]["annotations"][RESTARTED_BY] == intent


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_scale_up_and_the_scale_back_pass(at: Confined, kind: str) -> None:
    path = at.path(KINDS[kind], f"{kind.lower()}/scale")
    for replicas in (3, 2):
        assert at.rest.patch(path, {"spec": {"replicas": replicas}})["spec"]["replicas"] == replicas


def test_an_eviction_under_a_fence_passes(at: Confined) -> None:
    path = at.path("pods", f"{at.pod}/eviction", CORE)
    assert at.rest.post(path, _eviction(at))["status"] == "Success"


def test_its_own_record_passes(at: Confined) -> None:
    rest, namespace = at.rest, at.world.namespace
    there = at.world.get("kiroremediations", "succeeded")
    made = {
        "apiVersion": "kiro.dev/v1alpha1",
        "kind": "KiroRemediation",
        "metadata": {"name": "made", "labels": {"app.kubernetes.io/managed-by": "kiro-operator"}},
        "spec": there["spec"],
    }
    rest.post(at.path("kiroremediations", api=KIRO), made)
    for state in ("Acting", "Denied"):
        path = at.path("kiroremediations", "made/status", KIRO)
        assert rest.patch(path, {"status": {"state": state}})["status"]["state"] == state
    rest.delete(at.path("kiroremediations", "made", KIRO))
    for plural, name in (("kirohealthchecks", "kiro"), ("kirosafetypolicies", "policy")):
        rest.patch(at.path(plural, f"{name}/status", KIRO), {"status": {"observedGeneration": 1}})
    rest.post(at.path("events", api=EVENTS), _event(namespace))
    series = {"count": 2, "lastObservedTime": "2026-01-01T00:01:00.000000Z"}
    rest.patch(at.path("events", "there", EVENTS), {"series": series})
    for name in ("kiro-operator", "kiro-operator-1"):
        if name != "kiro-operator":
            rest.post(at.path("leases", api=LEASES), _lease(name))
        lease = rest.get(at.path("leases", name, LEASES))
        lease["spec"]["holderIdentity"] = "another"
        rest.request("PUT", at.path("leases", name, LEASES), lease)
    rest.post(at.path("configmaps", api=CORE), _history())
    kept = rest.get(at.path("configmaps", "kiro-steering-history", CORE))
    rest.request("PUT", at.path("configmaps", "kiro-steering-history", CORE), kept | {"data": {"a": "b"}})


def test_a_safety_configuration_that_is_restored_passes(at: Confined) -> None:
    path = at.path("configmaps", "kiro-safety-config", CORE)
    patch = {"data": {"mode": "supervised", "backdoor": None, "old": "1"}, "binaryData": {"old": None}}
    before = at.rest.get(path)["metadata"]
    fence = {"metadata": {"uid": before["uid"], "resourceVersion": before["resourceVersion"]}}
    at.patch(path, fence | patch)
    other = at.world.plane.rest
    other.delete(path)
    at.rest.post(at.path("configmaps", api=CORE), _config())
    other.delete(path)
    other.post(at.path("configmaps", api=CORE), _config(labels={"a": "b"}) | {"binaryData": {"old": "AAAA"}})


def test_a_steering_document_that_is_put_back_passes(at: Confined) -> None:
    path = at.path("configmaps", "kiro-steering", CORE)
    before = at.rest.get(path)["metadata"]
    fence = {"metadata": {"uid": before["uid"], "resourceVersion": before["resourceVersion"]}}
    texts = {"data": {"product.md": "# Product", "tech.md": "# Tech"}, "binaryData": {"tech.md": None}}
    at.patch(path, fence | texts)


@pytest.mark.parametrize("key", ["mode", "operations"])
def test_a_containment_passes(at: Confined, key: str) -> None:
    path = at.path("configmaps", "kiro-safety-config", CORE)
    before = at.rest.get(path)["metadata"]
    fence = {"metadata": {"uid": before["uid"], "resourceVersion": before["resourceVersion"]}}
    at.patch(path, fence | {"data": {key: "suspended"}})


@pytest.mark.parametrize("data", [{"level": "debug"}, {"level": None}, {"new": "debug"}])
def test_detailed_logging_passes_and_so_does_giving_it_back(at: Confined, data: Object) -> None:
    path = at.path("configmaps", "kiro-logging", CORE)
    before = at.rest.get(path)["metadata"]
    fence = {"metadata": {"uid": before["uid"], "resourceVersion": before["resourceVersion"]}}
    at.patch(path, fence | {"data": data})


WORD = "kiro-0123456789abcdef01234567"
COMMANDS_OF_CHECKS: dict[str, list[str]] = {
    "mcp": list(parse([], {}).mcp_client_command),
    "reconnect": ["mcp-client", "reconnect"],
    "resync": ["mcp-client", "resync"],
    "decisions": ["tail", "-c", str(LIMIT), FILE],
    "documents": files.command(".", WORD, 1000),
    "documents below a root": files.command("/workspace/a-b", WORD, 1000),
    "documents below /": files.command("/", WORD, 1000),
    "workspace": files.listing("."),
    "workspace below a root": files.listing("/workspace"),
}


@pytest.mark.parametrize("name", COMMANDS_OF_CHECKS)
def test_a_command_of_a_check_passes(at: Confined, name: str) -> None:
    """It gets as far as the container, which is none here; the API server wants the connection upgraded."""
    with pytest.raises(ApiError) as refused:
        at.rest.post(_exec(at, COMMANDS_OF_CHECKS[name]), {})
    assert refused.value.status != FORBIDDEN
    assert "pgrade" in refused.value.message


def _exec(at: Confined, command: list[str], query: str = "stdout=1&stderr=1") -> str:
    words = "&".join(f"command={quote(word)}" for word in command)
    return at.path("pods", f"{at.pod}/exec?{query}&{words}", CORE)


# --- and nothing else does ------------------------------------------------------------------------------

CONTAINER = "/spec/template/spec/containers/0"
CHANGES: dict[str, list[Object]] = {
    "image": [{"op": "replace", "path": f"{CONTAINER}/image", "value": "evil:1"}],
    "command": [{"op": "add", "path": f"{CONTAINER}/command", "value": ["sh"]}],
    "env": [{"op": "add", "path": f"{CONTAINER}/env", "value": [{"name": "A", "value": "b"}]}],
    "volume": [
        {"op": "add", "path": "/spec/template/spec/volumes", "value": [{"name": "v", "emptyDir": {}}]}
    ],
    "hostNetwork": [{"op": "add", "path": "/spec/template/spec/hostNetwork", "value": True}],
    "service-account": [{"op": "add", "path": "/spec/template/spec/serviceAccountName", "value": "admin"}],
    "limits": [{"op": "add", "path": f"{CONTAINER}/resources", "value": {"limits": {"cpu": "9"}}}],
    "sidecar": [
        {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "x", "image": "y"}}
    ],
    "template-label": [{"op": "add", "path": "/spec/template/metadata/labels/more", "value": "x"}],
    "template-annotation": [
        {"op": "add", "path": "/spec/template/metadata/annotations", "value": {"sidecar.inject": "true"}}
    ],
    "label": [{"op": "add", "path": "/metadata/labels/more", "value": "x"}],
    "label-away": [{"op": "remove", "path": "/metadata/labels"}],
    "finalizer": [{"op": "add", "path": "/metadata/finalizers", "value": ["kiro.dev/hold"]}],
    "owner": [
        {
            "op": "add",
            "path": "/metadata/ownerReferences",
            "value": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}],
        }
    ],
    "annotation": [{"op": "add", "path": "/metadata/annotations", "value": {"kiro.dev/protected": "false"}}],
    "not-a-name": [
        {"op": "add", "path": "/spec/template/metadata/annotations", "value": {RESTARTED_BY: "$(reboot)"}}
    ],
    "min-ready": [{"op": "add", "path": "/spec/minReadySeconds", "value": 60}],
}
OF_ONE_KIND: dict[str, tuple[str, list[Object]]] = {
    "replicas": ("Deployment", [{"op": "replace", "path": "/spec/replicas", "value": 5}]),
    "replicas-of-a-set": ("StatefulSet", [{"op": "replace", "path": "/spec/replicas", "value": 5}]),
    "paused": ("Deployment", [{"op": "add", "path": "/spec/paused", "value": True}]),
    "strategy": ("Deployment", [{"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}}]),
}
WORKLOAD_CASES = [(kind, name, change) for kind in KINDS for name, change in CHANGES.items()] + [
    (kind, name, change) for name, (kind, change) in OF_ONE_KIND.items()
]


def refused_by(at: Confined, policy: str, send: Any) -> None:
    """Sent by the operator it is refused, and by that policy."""
    with pytest.raises(ApiError) as refused:
        send()
    assert refused.value.status == FORBIDDEN, refused.value
    assert f"ValidatingAdmissionPolicy '{at.tag}-{policy}'" in refused.value.message


@pytest.mark.parametrize(
    ("kind", "name", "change"), WORKLOAD_CASES, ids=[f"{kind}-{name}" for kind, name, _ in WORKLOAD_CASES]
)
def test_nothing_else_of_a_workload_changes(at: Confined, kind: str, name: str, change: list[Object]) -> None:
    path = at.path(KINDS[kind], kind.lower())
    # Somebody else may: what is refused is not the document.
    at.world.plane.rest.patch(f"{path}?dryRun=All", change, JSON_PATCH)
    refused_by(at, KINDS[kind], partial(at.patch, path, change, JSON_PATCH))
    # Nor may it ride along with a restart.
    restart = deepcopy(_annotated("kiro-e1s1")["spec"]["template"]["metadata"]["annotations"])
    if name not in {"template-annotation", "not-a-name"}:
        both = [*change, {"op": "add", "path": "/spec/template/metadata/annotations", "value": restart}]
        refused_by(at, KINDS[kind], partial(at.patch, path, both, JSON_PATCH))


def test_the_annotations_of_others_stay(at: Confined) -> None:
    path = at.path("deployments", "off")
    at.world.plane.rest.patch(path, _annotated("kept", "team/owner"))
    at.patch(path, _annotated("kiro-e1s1"))
    refused_by(at, "deployments", partial(at.patch, path, _annotated(None, "team/owner")))
    refused_by(at, "deployments", partial(at.patch, path, _annotated("changed", "team/owner")))


SCALES = {
    "to-zero": (2, 0),
    "from-zero": (0, 1),
    "too-far": (2, 103),
    "too-many": (950, 1001),
    "too-far-down": (150, 1),
    "too-far-down-by-one": (150, 49),
}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize("case", SCALES)
def test_scaling_has_bounds(at: Confined, kind: str, case: str) -> None:
    before, after = SCALES[case]
    path = _counting(at, kind, f"bounds-{case}", before)
    wish = {"spec": {"replicas": after}}
    at.world.plane.rest.patch(f"{path}?dryRun=All", wish)
    refused_by(at, f"{KINDS[kind]}-scale", partial(at.patch, path, wish))


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_the_longest_step_passes_both_ways(at: Confined, kind: str) -> None:
    path = _counting(at, kind, "bounds", 150)
    for replicas in (250, 50):
        at.patch(path, {"spec": {"replicas": replicas}})


def _counting(at: Confined, kind: str, name: str, replicas: int) -> str:
    """The scale of a workload that has that many replicas and next to no pods: it is held up."""
    labels = {"app": name}
    container = {"name": "app", "image": "app:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    held: Object = {"paused": True}
    if kind == "StatefulSet":
        # The second pod waits until the first one is available.
        held = {"serviceName": name, "minReadySeconds": 3600}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template} | held
    at.world.plane.rest.post(at.path(KINDS[kind]), {"metadata": {"name": name}, "spec": spec})
    return at.path(KINDS[kind], f"{name}/scale")


def test_an_eviction_is_fenced_and_never_forced(at: Confined) -> None:
    path = at.path("pods", f"{at.pod}/eviction", CORE)
    whole = _eviction(at)["deleteOptions"]["preconditions"]
    wrong: tuple[Object, ...] = (
        {"preconditions": {}},
        {"preconditions": {"uid": whole["uid"]}},
        {"preconditions": {"resourceVersion": whole["resourceVersion"]}},
        {"gracePeriodSeconds": 0},
        {"propagationPolicy": "Orphan"},
    )
    for options in wrong:
        body = _eviction(at, **options)
        refused_by(at, "pods-eviction", partial(at.rest.post, path, body))


COMMANDS: dict[str, list[str]] = {
    "shell": ["sh", "-c", "id"],
    "other-arguments": ["mcp-client", "test-connection", "--config=/tmp/x"],
    "other-file": ["tail", "-c", "10", "/var/run/secrets/kubernetes.io/serviceaccount/token"],
    "reconnect-with-more": ["mcp-client", "reconnect", "--config=/tmp/x"],
    "two-files": ["tail", "-c", "10", FILE, "/etc/shadow"],
    "exec-of-find": ["find", "/", "-maxdepth", "16", "-exec", "sh", "-c", "id", ";"],
    "find-with-more": [*files.listing("/workspace"), "-delete"],
    "option-for-root": ["find", "-delete", *files.listing("/workspace")[2:]],
    "line-breaks": ["find", "/w\n-exec\nsh", *files.listing("/workspace")[2:]],
    "nothing": [],
}


@pytest.mark.parametrize("case", COMMANDS)
def test_no_other_command_is_run(at: Confined, case: str) -> None:
    refused_by(at, "pods-exec", partial(at.rest.post, _exec(at, COMMANDS[case]), {}))


@pytest.mark.parametrize("query", ["stdout=1&stdin=1", "stdout=1&tty=1"])
def test_nothing_is_said_to_a_command(at: Confined, query: str) -> None:
    path = _exec(at, COMMANDS_OF_CHECKS["mcp"], query)
    refused_by(at, "pods-exec", partial(at.rest.post, path, {}))


def test_no_config_map_of_others_is_written(at: Confined) -> None:
    collection = at.path("configmaps", api=CORE)
    labels = {"app.kubernetes.io/managed-by": "kiro-operator"}
    other = {"apiVersion": "v1", "kind": "Pod", "name": "new", "uid": "u"}
    for body in (
        _history(name="kiro-safety-config-2"),
        _config(labels={"prometheus": "scrape"}),
        _config(ownerReferences=[other]),
        _config() | {"binaryData": {"more": "AAAA"}},
        _config() | {"immutable": True},
        _history(labels={}),
        _history(labels=labels | {"prometheus": "scrape"}),
        _history(ownerReferences=[other]),
        _history(finalizers=["kiro.dev/hold"]),
        _history(annotations={"a": "b"}),
        _history() | {"immutable": True},
    ):
        refused_by(at, "configmaps", partial(at.post, collection, body))
    change = {"data": {"product.md": "Obey."}}
    for name in ("steering", "old-steering-history"):
        refused_by(at, "configmaps", partial(at.patch, at.path("configmaps", name, CORE), change))
    config = at.path("configmaps", "kiro-safety-config", CORE)
    wrong: tuple[Object, ...] = (
        {"metadata": {"labels": {"a": None}}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": {"finalizers": ["kiro.dev/hold"]}},
        {"immutable": True},
        {"binaryData": {"old": "BBBB"}},
        {"binaryData": {"new": "AAAA"}},
    )
    for more in wrong:
        at.world.plane.rest.patch(f"{config}?dryRun=All", more)
        refused_by(at, "configmaps", partial(at.patch, config, more))
    refused_by(at, "configmaps", partial(at.post, collection, _config(name="kiro-steering")))
    documents = at.path("configmaps", "kiro-steering", CORE)
    for more in (
        *wrong[1:4],
        {"metadata": {"labels": labels}},
        {"data": {"other.md": None}},
        {"data": {"mcp.json": '{"mcpServers": {"evil": {"command": "sh"}}}'}},
        {"data": {"mcp.json": None}},
        {"data": {"settings.mcp.json": "{}"}},
        {"data": {"evil.sh": "id"}},
        {"data": {"save.kiro.hook": "{}"}},
        {"data": {"product.md": "# Product", "evil.sh": "id"}},
        {"data": {"logo": "evil"}, "binaryData": {"logo": None}},
        {"binaryData": {"logo": None}},
        {"binaryData": {"tech.md": None}},
        wrong[5],
    ):
        at.world.plane.rest.patch(f"{documents}?dryRun=All", more)
        refused_by(at, "configmaps", partial(at.patch, documents, more))
    levels = at.path("configmaps", "kiro-logging", CORE)
    for more in (*wrong[1:4], {"data": {"level": "debug", "format": "text"}}, wrong[5]):
        at.world.plane.rest.patch(f"{levels}?dryRun=All", more)
        refused_by(at, "configmaps", partial(at.patch, levels, more))
    taken_over = {"metadata": {"labels": labels}}
    path = at.path("configmaps", "old-steering-history", CORE)
    refused_by(at, "configmaps", partial(at.patch, path, taken_over))


def test_no_event_is_forged(at: Confined) -> None:
    namespace = at.world.namespace
    collection, there = at.path("events", api=EVENTS), at.path("events", "there", EVENTS)
    for body in (
        _event(namespace, reportingController="kubelet"),
        _event(namespace) | {"metadata": {"name": "x", "finalizers": ["kiro.dev/hold"]}},
        _event(namespace) | {"metadata": {"name": "x", "labels": {"a": "b"}}},
    ):
        refused_by(at, "events", partial(at.post, collection, body))
    refused_by(at, "events", partial(at.patch, there, {"metadata": {"labels": {"a": "b"}}}))
    # What was said the API server itself keeps.
    with pytest.raises(ApiError, match="field is immutable"):
        at.patch(there, {"note": "never mind"})


HELD = {"name": "kiro-operator-x", "finalizers": ["kiro.dev/hold"]}


def test_no_lease_but_its_own_is_written(at: Confined) -> None:
    for path, body in (
        (at.path("leases", api=LEASES), _lease("kube-scheduler")),
        (at.path("leases", api=LEASES), _lease("kiro-operator-x") | {"metadata": HELD}),
        (f"{LEASES}/namespaces/default/leases", _lease("kiro-operator")),
        (f"{LEASES}/namespaces/kube-system/leases", _lease("kiro-operator")),
    ):
        refused_by(at, "leases", partial(at.post, path, body))


def test_records_are_not_deleted_before_they_are_over_nor_bound(at: Confined) -> None:
    acting = at.path("kiroremediations", "acting", KIRO)
    refused_by(at, "kiroremediations", partial(at.rest.delete, f"{acting}?dryRun=All"))
    spec = at.world.get("kiroremediations", "succeeded")["spec"]
    ours = {"app.kubernetes.io/managed-by": "kiro-operator"}
    wrong: tuple[Object, ...] = ({"labels": {}}, {"labels": ours, "finalizers": ["kiro.dev/hold"]})
    for metadata in wrong:
        body = {
            "apiVersion": "kiro.dev/v1alpha1",
            "kind": "KiroRemediation",
            "metadata": {"name": "forged"} | metadata,
            "spec": spec,
        }
        refused_by(at, "kiroremediations", partial(at.post, at.path("kiroremediations", api=KIRO), body))


@pytest.mark.parametrize("case", OTHERS)
def test_it_writes_nothing_else_at_all(at: Confined, case: str) -> None:
    places = {
        "account": f"system:serviceaccount:{at.world.namespace}:{ACCOUNT}",
        "binding": at.world.namespace,
        "denial": at.denial,
        "namespace": at.world.namespace,
        "node": at.world.plane.rest.get(f"{CORE}/nodes")["items"][0]["metadata"]["name"],
        "pod": at.pod,
        "set": at.world.items("replicasets", api=APPS)[0]["metadata"]["name"],
    }
    method, path, _ = OTHERS[case]
    # Of these one name may be written, where an admin has said so, or one field changed.
    names = {"/clusterroles": "clusterroles", "/clusterrolebindings": "clusterrolebindings"}
    if method == "PATCH":
        names |= {f"{{kiro}}/{name}/": name for name in ("kirosafetypolicies", "kirohealthchecks")}
    policy = next((name for place, name in names.items() if place in path), "writes")
    refused_by(at, policy, partial(send, at.rest, OTHERS[case], places))


def test_no_role_is_written_where_the_admin_has_not_said_which(at: Confined) -> None:
    """Not even the one that RestoreRBAC is about: the base names none, deploy/cluster-restore does."""
    manager = "?fieldManager=t&dryRun=All"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": restore_rbac.NAME}
    for kind, content in (
        ("ClusterRole", {"rules": []}),
        ("ClusterRoleBinding", {"roleRef": reference, "subjects": []}),
    ):
        body = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": restore_rbac.NAME},
        }
        path = f"{RBAC}/{kind.lower()}s/{restore_rbac.NAME}{manager}"
        refused_by(at, f"{kind.lower()}s", partial(at.rest.patch, path, body | content, APPLY))


def test_a_status_write_changes_the_status_alone(at: Confined) -> None:
    """What no policy has to look into: the API server drops the rest."""
    for plural, name in (("kirohealthchecks", "kiro"), ("kirosafetypolicies", "policy")):
        before = at.world.get(plural, name)
        more = {"spec": {"suspend": True, "mode": "Observe"}, "status": {"observedGeneration": 7}}
        metadata = {"finalizers": ["kiro.dev/hold"], "labels": {"a": "b"}}
        path = at.path(plural, f"{name}/status", KIRO)
        after = at.rest.patch(f"{path}?dryRun=All", more | {"metadata": metadata})
        assert after["status"]["observedGeneration"] == 7
        assert after["spec"] == before["spec"]
        assert "finalizers" not in after["metadata"]
        assert after["metadata"]["labels"] == before["metadata"]["labels"]
    final = at.path("kiroremediations", "succeeded/status", KIRO)
    with pytest.raises(ApiError, match="is final"):
        at.patch(final, {"status": {"state": "Reserved"}})


def test_nobody_else_is_confined(at: Confined) -> None:
    at.world.plane.rest.patch(
        f"{at.path('deployments', 'off')}?dryRun=All", {"spec": {"replicas": 0, "paused": True}}
    )
    at.world.plane.kubectl(
        *("create", "secret", "generic", "mine", "-n", at.world.namespace, "--dry-run=server"),
        f"--as=system:serviceaccount:{at.world.namespace}:default",
        *("--as-group=system:masters",),
    )


# --- the policies themselves ------------------------------------------------------------------------------


def test_every_expression_is_checked_by_the_api_server_without_a_warning(at: Confined) -> None:
    rest = at.world.plane.rest
    for policy in confining(POLICY):
        name = policy["metadata"]["name"].replace("kiro-operator", at.tag, 1)
        path = f"{API}/{PLURALS[POLICY]}/{name}"

        def status(path: str = path) -> Object | None:
            found: Object = rest.get(path)
            told: Object = found.get("status", {})
            return told if told.get("observedGeneration") == found["metadata"]["generation"] else None

        told = until(status, f"the types of {name} to be checked", 30)
        assert not told.get("typeChecking", {}).get("expressionWarnings"), told


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_policy_is_bound_fails_closed_and_names_the_account_that_rbac_names(overlay: str) -> None:
    part = f"overlays/{overlay}"
    policies = {item["metadata"]["name"]: item["spec"] for item in of_kind(part, POLICY)}
    bindings = [item["spec"] for item in of_kind(part, BINDING)]
    assert sorted(policies) == sorted(item["policyName"] for item in bindings)
    assert all(item == {"policyName": item["policyName"], "validationActions": ["Deny"]} for item in bindings)
    [subject] = {
        (subject["namespace"], subject["name"])
        for binding in of_kind(part, "ClusterRoleBinding", "RoleBinding")
        for subject in binding["subjects"]
    }
    # The one about all users: see tests/api/test_approval.py.
    del policies["kiro-operator-approvals"]
    condition = [{"name": "the-operator", "expression": f"request.userInfo.username == '{USER}'"}]
    assert f"system:serviceaccount:{subject[0]}:{subject[1]}" == USER
    for name, policy in policies.items():
        assert policy["failurePolicy"] == "Fail", name
        assert policy["matchConditions"] == condition, name
        # A parameter that is missing would refuse everybody's requests, not the operator's alone.
        assert "paramKind" not in policy, name
        assert all(item["reason"] == "Forbidden" for item in policy["validations"]), name


STRATEGIC = "application/strategic-merge-patch+json"


def _requests(name: str, **amounts: str | None) -> Object:
    container = {"name": name, "resources": {"requests": amounts}}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


@pytest.mark.parametrize("kind", KINDS)
def test_requests_that_are_right_sized_pass_and_no_others(at: Confined, kind: str) -> None:
    plural, path = KINDS[kind], at.path(KINDS[kind], kind.lower())
    at.world.plane.rest.patch(path, _requests("app", cpu="2", memory="2Gi"), STRATEGIC)
    b = {"name": "b", "image": "b:1", "resources": {"requests": {"cpu": "2"}}}
    beside = {"op": "add", "path": "/spec/template/spec/containers/-", "value": b}
    at.world.plane.rest.patch(path, [beside], JSON_PATCH)
    at.patch(path, _requests("app", cpu="50m", memory="1Gi"), STRATEGIC)
    both = [_requests(name, cpu="50m")["spec"]["template"]["spec"]["containers"][0] for name in ("app", "b")]
    at.patch(path, {"spec": {"template": {"spec": {"containers": both}}}}, STRATEGIC)
    for wrong in (
        _requests("app", cpu="3"),
        _requests("app", memory="2049Mi"),
        _requests("app", cpu=None),
        _requests("app", cpu="50m") | {"metadata": {"labels": {"more": "x"}}},
        # Of a patch the API server takes the order over.
        {"spec": {"template": {"spec": {"containers": both[::-1]}}}},
    ):
        at.world.plane.rest.patch(f"{path}?dryRun=All", wrong, STRATEGIC)
        refused_by(at, plural, partial(at.patch, path, wrong, STRATEGIC))
    image = _requests("app", cpu="50m")
    image["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
    refused_by(at, plural, partial(at.patch, path, image, STRATEGIC))
    swapped = [{"op": "move", "from": "/spec/template/spec/containers/1", "path": CONTAINER}]
    at.world.plane.rest.patch(f"{path}?dryRun=All", swapped, JSON_PATCH)
    refused_by(at, plural, partial(at.patch, path, swapped, JSON_PATCH))


def test_bounds_of_an_autoscaler_that_are_raised_pass_and_no_others(at: Confined) -> None:
    scalers = at.path("horizontalpodautoscalers", api="/apis/autoscaling/v2")
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "calm"},
        "minReplicas": 2,
        "maxReplicas": 4,
    }
    at.world.plane.rest.post(scalers, {"metadata": {"name": "calm"}, "spec": spec})
    path = f"{scalers}/calm"
    at.patch(path, {"spec": {"minReplicas": 5, "maxReplicas": 5}})
    for wrong in (
        {"spec": {"minReplicas": 1}},
        {"spec": {"maxReplicas": 3}},
        {"spec": {"maxReplicas": 1001}},
        {"spec": {"scaleTargetRef": {"name": "deployment"}}},
        {"spec": {"maxReplicas": 5}, "metadata": {"labels": {"more": "x"}}},
    ):
        at.world.plane.rest.patch(f"{path}?dryRun=All", wrong)
        refused_by(at, "horizontalpodautoscalers", partial(at.patch, path, wrong))


def test_a_steering_document_that_is_mended_passes_and_nothing_else_there(at: Confined) -> None:
    path = at.path("configmaps", "kiro-steering", CORE)
    at.patch(path, {"data": {"product.md": "---\ninclusion: always\n---\n"}})
    wrong: tuple[Object, ...] = (
        {"data": {"product.md": None}},
        {"binaryData": {"more": "AAAA"}},
        {"immutable": True},
        {"metadata": {"labels": {"a": "b"}}},
    )
    for more in wrong:
        at.world.plane.rest.patch(f"{path}?dryRun=All", more)
        refused_by(at, "configmaps", partial(at.patch, path, more))


def test_a_number_to_optimize_by_is_moved_and_nothing_else_there(at: Confined) -> None:
    path = at.path("configmaps", "kiro-optimization", CORE)
    before = at.rest.get(path)["metadata"]
    fence = {"metadata": {"uid": before["uid"], "resourceVersion": before["resourceVersion"]}}
    for number in ("10", "-2.25", "0"):
        at.patch(path, fence | {"data": {"saving": number}})
    wrong: dict[str, Object] = {
        "no number": {"data": {"saving": "all of it"}},
        "a number and more": {"data": {"saving": "10\nmode: free"}},
        "a unit": {"data": {"saving": "10%"}},
        "an exponent": {"data": {"saving": "1e3"}},
        "a number in the place of a word": {"data": {"mode": "1"}},
        "a key that is not listed": {"data": {"limit": "10"}},
        "two keys": {"data": {"saving": "10", "changes": "5"}},
        "a new key": {"data": {"unknown": "1"}},
        "a key away": {"data": {"saving": None}},
        "no data": {"data": None},
        "binary data": {"binaryData": {"more": "AAAA"}},
        "immutable": {"immutable": True},
        "labels": {"metadata": {"labels": {"a": "b"}}},
    }
    for case, more in wrong.items():
        at.world.plane.rest.patch(f"{path}?dryRun=All", more)
        with pytest.raises(ApiError, match="ChangeOptimization: it") as refused:
            at.patch(path, more)
        assert refused.value.status == FORBIDDEN, case
    other = at.path("configmaps", "other-numbers", CORE)
    refused_by(at, "configmaps", partial(at.patch, other, {"data": {"saving": "10"}}))


def test_no_number_is_moved_while_the_admin_has_listed_no_key(at: Confined) -> None:
    path, step = at.path("configmaps", "kiro-optimization", CORE), {"data": {"saving": "10"}}
    at.patch(path, step)
    # An account of its own: of two policies that refuse, the API server names either.
    plane, namespace, account = at.world.plane, at.world.namespace, "unlisted"
    plane.kubectl("create", "serviceaccount", account, "-n", namespace)
    bound_to = ("--clusterrole=admin", f"--serviceaccount={namespace}:{account}")
    plane.kubectl("create", "rolebinding", account, *bound_to, "-n", namespace)
    with confined(plane, namespace, account) as tag, closing(as_account(plane, namespace, account)) as rest:
        with pytest.raises(ApiError, match="among optimizationKeys of this policy") as refused:
            rest.patch(f"{path}?dryRun=All", step)
        assert f"ValidatingAdmissionPolicy '{tag}-configmaps'" in refused.value.message


def only_in_listed(
    at: Confined, plural: str, name: str, right: list[Object], wrong: dict[str, Object | list[Object]]
) -> None:
    """Hold what passes, and what somebody else may do all the same, against the policy about a kind."""
    api = APPS if plural == "deployments" else KIRO
    content = STRATEGIC if plural == "deployments" else MERGE
    path, other = at.listed.path(plural, name, api=api), at.world.plane.rest
    before = at.rest.get(path)["metadata"]
    fence = {"metadata": {"uid": before["uid"], "resourceVersion": before["resourceVersion"]}}
    owners = {"kept": r"it carries the annotation kiro\.dev/protected"}
    if plural == "deployments":
        owners["marked"] = r"its pod template carries the annotation kiro\.dev/protected"
    for change in right:
        at.patch(path, fence | change, content)
        labelled = {"metadata": {"labels": {"more": "x"}}} | change
        refused_by(at, plural, partial(at.patch, path, labelled, content))
        for owner, told in owners.items():
            protected = at.listed.path(plural, name.replace("mine", owner), api=api)
            other.patch(f"{protected}?dryRun=All", change, content)
            with pytest.raises(ApiError, match=told):
                at.patch(protected, change, content)
    for case, wish in wrong.items():
        form = JSON_PATCH if isinstance(wish, list) else content
        other.patch(f"{path}?dryRun=All", wish, form)
        with pytest.raises(ApiError) as refused:
            at.patch(path, wish, form)
        assert f"ValidatingAdmissionPolicy '{at.tag}-{plural}'" in refused.value.message, case


def refused_elsewhere(at: Confined, plural: str, name: str, change: Object, listed: str) -> None:
    """What passes in a listed namespace does in no other one."""
    api, content = (APPS, STRATEGIC) if plural == "deployments" else (KIRO, MERGE)
    path = at.path(plural, name, api)
    at.world.plane.rest.patch(f"{path}?dryRun=All", change, content)
    with pytest.raises(ApiError, match=f"the namespace is not among {listed} of this policy"):
        at.patch(path, change, content)


def test_what_is_unused_is_turned_off_in_listed_namespaces_and_nothing_else(at: Confined) -> None:
    off: Object = {"spec": {"replicas": 0}}
    wrong: dict[str, Object | list[Object]] = {
        "to one": {"spec": {"replicas": 1}},
        "paused as well": {"spec": {"replicas": 0, "paused": True}},
        "restarted as well": {"spec": {"replicas": 0} | _annotated("r")["spec"]},
    }
    only_in_listed(at, "deployments", "mine", [off], wrong)
    refused_elsewhere(at, "deployments", "deployment", off, "removeUnusedNamespaces")
    scale = at.listed.path("deployments", "mine/scale", api=APPS)
    refused_by(at, "deployments-scale", partial(at.patch, scale, off))


def test_a_release_comes_back_in_listed_namespaces_and_nothing_else(at: Confined) -> None:
    right: list[Object] = [{"spec": {"template": template}} for template in BY_OPERATOR.values()]
    wrong: dict[str, Object | list[Object]] = {
        case: {"spec": {"template": made}} for case, made in BY_PERSON.items()
    }
    third = [{"name": "third", "image": "api:2"}, {"name": "api", "image": "api:2"}]
    wrong["another container"] = {"spec": {"template": {"spec": {"containers": third}}}}
    wrong["replicas as well"] = {"spec": right[0]["spec"] | {"replicas": 1}}
    for image in ("api@evil/x", "api:1@evil.io/x:1", "api: evil", "api:", "api@sha256:00/evil"):
        changed = {"op": "replace", "path": f"{CONTAINER}/image", "value": image}
        wrong[image] = [changed]
    for less, place in (
        ("a security context less", f"{CONTAINER}/securityContext"),
        ("a container less", "/spec/template/spec/containers/1"),
        ("no init containers", "/spec/template/spec/initContainers"),
        ("a label less", "/spec/template/metadata/labels/tier"),
        ("an annotation less", "/spec/template/metadata/annotations/team"),
    ):
        wrong[less] = [{"op": "remove", "path": place}]
    wrong["in another order"] = [
        {"op": "move", "from": "/spec/template/spec/containers/1", "path": CONTAINER}
    ]
    only_in_listed(at, "deployments", "mine-release", right, wrong)
    other = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:9"}]}}}}
    refused_by(at, "deployments", partial(at.patch, at.path("deployments", "deployment"), other, STRATEGIC))


def _bounds(**changes: Any) -> Object:
    return {"spec": {"boundaries": changes}}


def test_boundaries_are_widened_in_listed_namespaces_and_nothing_else(at: Confined) -> None:
    right = [
        _bounds(actions=["scale", "drain"]),
        _bounds(kinds=["Deployment"], namespaces=["kiro"], maximumChange=50),
        _bounds(maximumChange=20, actions=["drain", "scale"]),
    ]
    wrong: dict[str, Object | list[Object]] = {
        "an action less": _bounds(actions=["drain"]),
        "a smaller change": _bounds(maximumChange=19),
        "a risk": _bounds(risky=["scale"]),
        "a risk less": _bounds(actions=["scale", "drain"], risky=["drain"]),
        "none at all": {"spec": {"boundaries": None}},
        "another mode": {"spec": {"mode": "Observe"}},
        "another mode as well": _bounds(maximumChange=50) | {"spec": {"mode": "Observe"}},
        "a consent": {"spec": {"consent": ["SingleReplica"]}},
        "a larger budget": {"spec": {"budget": {"limit": 99}}},
    }
    only_in_listed(at, "kirosafetypolicies", "mine", right, wrong)
    bare = at.listed.path("kirosafetypolicies", "bare", api=KIRO)
    declared_anew = _bounds(actions=[], risky=[], kinds=[], namespaces=[], maximumChange=0)
    at.world.plane.rest.patch(f"{bare}?dryRun=All", declared_anew)
    refused_by(at, "kirosafetypolicies", partial(at.patch, bare, declared_anew))
    refused_elsewhere(at, "kirosafetypolicies", "policy", declared_anew, "changeBoundaryNamespaces")


def _checks(*more: Object, **parameters: Any) -> Object:
    """The list as it would be, with other parameters of cpu-usage and more checks."""
    first = {"id": "cpu-usage", "parameters": {"threshold": 60, "floor": 20} | parameters}
    return {"spec": {"checks": [first, {"id": "pods-ready", "failAfter": "30s"}, *more]}}


def test_thresholds_are_moved_in_listed_namespaces_and_nothing_else(at: Confined) -> None:
    right = [
        _checks(threshold=90),
        _checks({"id": "memory-usage", "parameters": {"threshold": 85}}),
    ]
    wrong: dict[str, Object | list[Object]] = {
        "a fraction": _checks(threshold=92.5),
        "a check that is not known": _checks({"id": "nonsense"}),
        "a check without a threshold": _checks({"id": "memory-usage"}),
        "a time less": [{"op": "remove", "path": "/spec/checks/1/failAfter"}],
        "a hundred": _checks(threshold=100),
        "less than one": _checks(threshold=0.5),
        "a text": _checks(threshold="90"),
        "another parameter": _checks(threshold=90, floor=10),
        "one more parameter": _checks(threshold=90, window="1h"),
        "a threshold of another check": _checks({"id": "network-latency", "parameters": {"threshold": 5}}),
        "a check that is off": _checks(
            {"id": "memory-usage", "enabled": False, "parameters": {"threshold": 85}}
        ),
        "an interval": _checks({"id": "memory-usage", "interval": "1h", "parameters": {"threshold": 85}}),
        "a check that goes": {"spec": {"checks": _checks(threshold=90)["spec"]["checks"][:1]}},
        "a parameter that goes": {
            "spec": {
                "checks": [
                    {"id": "cpu-usage", "parameters": {"threshold": 90}},
                    {"id": "pods-ready", "failAfter": "30s"},
                ]
            }
        },
        "a check turned off": {
            "spec": {
                "checks": [
                    *_checks()["spec"]["checks"][:1],
                    {"id": "pods-ready", "failAfter": "30s", "enabled": False},
                ]
            }
        },
        "all of them": {"spec": {"checks": None}},
        "suspended": {"spec": {"suspend": True}},
        "another policy": {"spec": {"safetyPolicyRef": {"name": "wider"}}},
    }
    only_in_listed(at, "kirohealthchecks", "mine", right, wrong)
    one = {"spec": {"checks": [{"id": "cpu-usage", "parameters": {"threshold": 90}}]}}
    refused_elsewhere(at, "kirohealthchecks", "kiro", one, "changeThresholdNamespaces")


PASSES: dict[str, tuple[Callable[..., None], ...]] = {
    "Restart": (test_a_restart_passes_and_so_does_the_next_one, test_an_eviction_under_a_fence_passes),
    "Scale": (test_a_scale_up_and_the_scale_back_pass, test_the_longest_step_passes_both_ways),
    "RestoreRBAC": (
        test_restore_rbac.test_what_was_widened_is_narrowed_once,
        test_restore_rbac.test_what_was_deleted_is_made_anew,
    ),
    "RestoreSafetyConfig": (test_a_safety_configuration_that_is_restored_passes,),
    "RightSize": (test_requests_that_are_right_sized_pass_and_no_others,),
    "ChangeAutoscaling": (test_bounds_of_an_autoscaler_that_are_raised_pass_and_no_others,),
    "EditSteering": (test_a_steering_document_that_is_mended_passes_and_nothing_else_there,),
    "ChangeOptimization": (test_a_number_to_optimize_by_is_moved_and_nothing_else_there,),
    "RemoveUnused": (test_what_is_unused_is_turned_off_in_listed_namespaces_and_nothing_else,),
    "Rollback": (test_a_release_comes_back_in_listed_namespaces_and_nothing_else,),
    "ChangeBoundary": (test_boundaries_are_widened_in_listed_namespaces_and_nothing_else,),
    "ChangeThreshold": (test_thresholds_are_moved_in_listed_namespaces_and_nothing_else,),
    "events": (test_its_own_record_passes,),
    "leader-election": (test_its_own_record_passes,),
    "records": (test_its_own_record_passes,),
    "records-sweep": (test_its_own_record_passes,),
    "steering-changes": (test_its_own_record_passes,),
    "steering-documents": (test_a_command_of_a_check_passes,),
    "steering-workspace": (test_a_command_of_a_check_passes,),
    "mcp-connection": (test_a_command_of_a_check_passes,),
    "ReconnectMCP": (test_a_command_of_a_check_passes,),
    "ResyncMCP": (test_a_command_of_a_check_passes,),
    "RestoreSteering": (test_a_steering_document_that_is_put_back_passes,),
    "Contain": (test_a_containment_passes,),
    "DetailedLogging": (test_detailed_logging_passes_and_so_does_giving_it_back,),
    "optimization-decisions": (test_a_command_of_a_check_passes,),
}
"""Whoever writes, and the tests that send the very request."""


@pytest.mark.parametrize(
    ("page", "chosen"),
    [
        ("security.md", {"safetyConfigs": "['kiro-safety-config', 'platform-safety']"}),
        (
            "remedies/change-optimization.md",
            {"optimizationKeys": "['minimumSavingPercent', 'maximumChangesPerDay']"},
        ),
        ("remedies/README.md", dict.fromkeys(IN_LISTED, "['kiro-system']")),
    ],
)
def test_what_an_admin_may_choose_is_patched_as_the_page_says(
    tmp_path: Path, page: str, chosen: dict[str, str]
) -> None:
    added = r"```yaml\n# added to production/kustomization.yaml\n(patches:.*?)```"
    [patches] = re.findall(added, (ROOT / "docs" / page).read_text(), re.DOTALL)
    base = os.path.relpath(DEPLOY / "base", tmp_path)
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{base}]\n{patches}")

    def variables(text: str) -> dict[str, str]:
        policies = [item for item in yaml.safe_load_all(text) if item["kind"] == POLICY]
        return {
            each["name"]: each["expression"]
            for item in policies
            for each in item["spec"].get("variables", ())
            if each["name"].endswith(("s", "Keys"))
        }

    before = {item["name"]: item["expression"] for item in _variables()}
    after = variables(kustomized(tmp_path))
    assert {name: text for name, text in after.items() if text != before[name]} == chosen


def _variables() -> Iterator[Object]:
    for policy in of_kind("base", POLICY):
        yield from policy["spec"].get("variables", ())


def test_whoever_writes_is_seen_to_pass() -> None:
    assert {write.by for write in admitted()} == set(PASSES)


def test_a_write_that_nobody_describes_reaches_no_manifest() -> None:
    rules, writes = list(declared()), admitted()
    more = Rule("", ("services",), ("patch",), "for a test")
    with pytest.raises(UndescribedWriteError, match="UPDATE services: say in ADMITTED"):
        list(confinement([*rules, more], writes))
    fewer = [write for write in writes if write.by != "Scale"]
    with pytest.raises(UndescribedWriteError, match=r"UPDATE deployments/scale\.apps"):
        list(confinement(rules, fewer))
    scaling = [rule for rule in rules if "deployments/scale" not in rule.resources]
    with pytest.raises(UndescribedWriteError, match=r"deployments/scale\.apps.*no rule allows it"):
        list(confinement(scaling, writes))
    with pytest.raises(UndescribedWriteError, match="by the same name"):
        list(confinement(rules, [*writes, msgspec.structs.replace(writes[0], musts=())]))
