"""Who may decide, on what, and how: as the API server answers the users themselves."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.wait import until
from kiro_operator.api.v1alpha1 import KiroApproval
from tests.api.server import Server

ROOT = Path(__file__).parents[2]
ROLES = ("technical-lead", "engineering-manager", "executive", "operator-approver")
DIGEST = "6f1c0c4f8ba0ab2b0e6a3a2f9d5f5f0f8f6c1f3f0c8a1d4e2b7c9a0d3e5f7a91"
TARGET = {"kind": "Deployment", "name": "orchestrator", "uid": "u"}
Object = dict[str, Any]


def group_of(role: str) -> str:
    return f"{role}s"


def time(**span: float) -> str:
    return (datetime.now(UTC) + timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def document(user: str, gate: str = "technical-lead", **changes: Any) -> Object:
    """A valid KiroApproval; None drops a field."""
    spec = {
        "gate": gate,
        "decision": "Approve",
        "decidedBy": user,
        "reason": "The leak is known.",
        "plan": {"digest": DIGEST, "target": TARGET},
        "expiresAt": time(hours=1),
    } | changes
    return {
        "apiVersion": "kiro.dev/v1alpha1",
        "kind": "KiroApproval",
        "metadata": {"name": f"a-{uuid.uuid4().hex[:8]}"},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


@pytest.fixture(scope="module")
def approvers(server: Server) -> Iterator[Server]:
    """A namespace with the sample Roles, and one for who may create, yet approve nowhere."""
    text = (ROOT / "deploy/samples/approvers.yaml").read_text()
    objects = [*yaml.safe_load_all(text), *_clerk()]
    for item in objects:
        item["metadata"]["namespace"] = server.namespace
    done = server.kubectl("apply", "--validate=strict", "-f", "-", text=yaml.safe_dump_all(objects))
    assert done.returncode == 0, done.stderr
    until(
        lambda: create(server, "dana", "technical-leads", document("dana")).returncode == 0, "the Roles", 20
    )
    yield server
    server.kubectl("delete", "kappr,role,rolebinding", "--all")


def _clerk() -> list[Object]:
    rule = {"apiGroups": ["kiro.dev"], "resources": ["kiroapprovals"], "verbs": ["create", "patch", "get"]}
    role: Object = {"metadata": {"name": "clerk"}, "rules": [rule], "kind": "Role"}
    binding: Object = {
        "metadata": {"name": "clerk"},
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "clerk"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "clerks"}],
    }
    return [{"apiVersion": "rbac.authorization.k8s.io/v1"} | item for item in (role, binding)]


def create(server: Server, user: str, group: str, body: Object | str) -> Any:
    """What kubectl tells a user who creates it."""
    text = body if isinstance(body, str) else json.dumps(body)
    who = ("--as", user, "--as-group", group)
    return server.kubectl(*who, "create", "--validate=strict", "-f", "-", text=text)


@pytest.mark.parametrize("decision", ["Approve", "Deny"])
@pytest.mark.parametrize("role", ROLES)
def test_each_role_decides_at_its_own_gate(approvers: Server, role: str, decision: str) -> None:
    done = create(approvers, "dana", group_of(role), document("dana", role, decision=decision))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("decision", ["Approve", "Deny"])
def test_nobody_decides_at_another_gate(approvers: Server, role: str, decision: str) -> None:
    for gate in [*(other for other in ROLES if other != role), "no-such-gate"]:
        done = create(approvers, "dana", group_of(role), document("dana", gate, decision=decision))
        assert done.returncode != 0, gate
        assert (
            f"spec.gate: dana may not approve at the gate {gate} in namespace {approvers.namespace}: "
            f"that takes the verb approve on kiroapprovals/{gate} in kiro.dev" in done.stderr
        )


def test_nobody_decides_in_the_name_of_another(approvers: Server) -> None:
    for forged in ("erin", "dana ", "Dana", "system:admin", "system:serviceaccount:x:y"):
        done = create(approvers, "dana", "technical-leads", document(forged))
        assert done.returncode != 0, forged
        assert "spec.decidedBy: write dana, who you are: nobody decides for another" in done.stderr


def test_to_create_is_not_enough(approvers: Server) -> None:
    done = create(approvers, "carl", "clerks", document("carl"))
    assert done.returncode != 0
    assert "carl may not approve at the gate technical-lead" in done.stderr


def test_to_approve_is_not_enough_elsewhere(approvers: Server) -> None:
    body = document("dana") | {"metadata": {"name": "a", "namespace": "default"}}
    who = ("--as", "dana", "--as-group", "technical-leads")
    done = approvers.control_plane.kubectl(
        *who, "create", "-n", "default", "-f", "-", input=json.dumps(body), check=False
    )
    assert done.returncode != 0
    assert "cannot create resource" in done.stderr


def test_a_user_without_rights_is_nobody(approvers: Server) -> None:
    done = create(approvers, "eve", "visitors", document("eve"))
    assert done.returncode != 0
    assert 'User "eve" cannot create resource "kiroapprovals"' in done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "Approve"},
        {"gate": "executive"},
        {"decidedBy": "kubernetes-admin"},
        {"expiresAt": "2036-01-01T00:00:00Z"},
        {"reason": "now it is"},
        {"plan": {"digest": "0" * 64}},
        {"plan": {"target": {"uid": "another"}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_not_even_an_administrator_edits_one(approvers: Server, change: Object) -> None:
    body = document("dana", decision="Deny")
    assert create(approvers, "dana", "technical-leads", body).returncode == 0
    answer = approvers.patch("KiroApproval", body["metadata"]["name"], json.dumps({"spec": change}))
    assert answer.status_code == 422
    assert "spec is immutable: it records what was decided; create another" in answer.json()["message"]
    again = approvers.kubectl(
        "replace", "-f", "-", text=json.dumps(document("dana") | {"metadata": body["metadata"]})
    )
    assert again.returncode != 0


def test_what_is_beside_the_decision_may_be_changed(approvers: Server) -> None:
    """Whoever collects garbage has to take finalizers off, in whoever's name it was made."""
    body = document("dana")
    create(approvers, "dana", "technical-leads", body)
    for finalizers in (["x.example.com/y"], []):
        change = {"metadata": {"finalizers": finalizers, "labels": {"ticket": "7"}}}
        answer = approvers.patch("KiroApproval", body["metadata"]["name"], json.dumps(change))
        answer.raise_for_status()


def test_nobody_has_one_collected_as_garbage(approvers: Server) -> None:
    """The cluster deletes what belongs to an object that is not there; a right to patch is none to delete."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": str(uuid.uuid4())}
    body = document("dana", decision="Deny")
    owned = body | {"metadata": body["metadata"] | {"ownerReferences": [owner]}}
    done = create(approvers, "dana", "technical-leads", owned)
    assert done.returncode != 0
    assert "metadata.ownerReferences: a KiroApproval has no owner" in done.stderr
    assert create(approvers, "dana", "technical-leads", body).returncode == 0

    change = {"metadata": {"ownerReferences": [owner]}}
    answer = approvers.patch("KiroApproval", body["metadata"]["name"], json.dumps(change))

    assert answer.status_code == 403
    assert "a KiroApproval has no owner" in answer.json()["message"]
    assert approvers.get("KiroApproval", body["metadata"]["name"])["spec"]["decision"] == "Deny"


@pytest.mark.parametrize("role", ROLES)
def test_who_decides_takes_nothing_back(approvers: Server, role: str) -> None:
    who = ("--as", "dana", "--as-group", group_of(role))
    for verb in ("update", "patch", "delete", "deletecollection"):
        told = approvers.kubectl(*who, "auth", "can-i", verb, "kiroapprovals.kiro.dev")
        assert told.stdout.strip() == "no", verb


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_the_roles_of_kubernetes_approve_nothing(approvers: Server, role: str) -> None:
    rules = approvers.kubectl("get", "clusterrole", role, "-o", "json").stdout
    for rule in json.loads(rules)["rules"]:
        if {"kiro.dev", "*"} & set(rule.get("apiGroups", ())):
            assert not {"approve", "*"} & set(rule["verbs"])
            assert not ("kiroapprovals" in rule["resources"] and {"create", "delete"} & set(rule["verbs"]))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expiresAt": None}, "spec.expiresAt: Required value"),
        ({"expiresAt": "tomorrow"}, "spec.expiresAt"),
        ({"expiresAt": time(hours=-1)}, "spec.expiresAt: write a time within the next 24h"),
        ({"expiresAt": time(hours=25)}, "spec.expiresAt: write a time within the next 24h"),
        ({"expiresAt": "9999-12-31T23:59:59Z"}, "spec.expiresAt: write a time within the next 24h"),
        ({"decision": "approve"}, 'supported values: "Approve", "Deny"'),
        ({"decision": None}, "spec.decision: Required value"),
        ({"gate": "Technical Lead"}, "write a name of lower-case letters, digits and '-'"),
        ({"gate": "*"}, "write a name of lower-case letters, digits and '-'"),
        ({"gate": ""}, "at least 1 chars long"),
        ({"decidedBy": ""}, "at least 1 chars long"),
        ({"decidedBy": None}, "spec.decidedBy: Required value"),
        ({"reason": None}, "spec.reason: Required value"),
        ({"reason": ""}, "at least 1 chars long"),
        ({"reason": "x" * 513}, "may not be more than 512"),
        ({"plan": None}, "spec.plan: Required value"),
        ({"plan": {"digest": DIGEST}}, "spec.plan.target: Required value"),
        ({"plan": {"digest": DIGEST[:7], "target": TARGET}}, "write the 64 digits"),
        ({"plan": {"digest": DIGEST.upper(), "target": TARGET}}, "write the 64 digits"),
        ({"plan": {"digest": DIGEST + "0", "target": TARGET}}, "may not be more than 64"),
        ({"plan": {"digest": DIGEST, "target": {"kind": "A", "name": "a"}}}, "uid: Required value"),
        ({"plan": {"digest": DIGEST, "target": TARGET | {"uid": ""}}}, "at least 1 chars long"),
        ({"decided": "x"}, 'unknown field "spec.decided"'),
    ],
)  # fmt: skip
def test_each_slip_is_refused_and_told(approvers: Server, changes: Object, says: str) -> None:
    done = create(approvers, "dana", "technical-leads", document("dana", **changes))
    assert done.returncode != 0, done.stdout
    assert says in done.stderr


def test_a_day_is_the_longest(approvers: Server) -> None:
    longest = document("dana", expiresAt=time(hours=24, seconds=-2))
    assert create(approvers, "dana", "technical-leads", longest).returncode == 0


def test_a_creation_time_of_ones_own_is_not_taken(approvers: Server) -> None:
    """The day is counted from what the server says."""
    body = document("dana", expiresAt=time(hours=48))
    body["metadata"]["creationTimestamp"] = time(hours=47)
    done = create(approvers, "dana", "technical-leads", body)
    assert "spec.expiresAt: write a time within the next 24h" in done.stderr


def test_the_list_fits_the_screen_and_can_be_narrowed(approvers: Server) -> None:
    approvers.kubectl("delete", "kappr", "--all")
    for user, decision in (("dana", "Approve"), ("erin", "Deny")):
        body = document(user, decision=decision)
        assert create(approvers, user, "technical-leads", body).returncode == 0
    lines = approvers.kubectl("get", "kappr").stdout.splitlines()
    assert lines[0].split() == ["NAME", "GATE", "DECISION", "BY", "TARGET", "EXPIRES", "AGE"]
    assert max(len(line.rstrip()) for line in lines) <= 100
    wide = approvers.kubectl("get", "kappr", "-o", "wide").stdout
    assert DIGEST in wide
    assert "The leak is known." in wide
    for selector, found in (("spec.decision=Deny", "erin"), ("spec.decision=Approve", "dana")):
        one = approvers.kubectl("get", "kappr", "--field-selector", selector, "--no-headers").stdout
        assert [line.split()[3] for line in one.splitlines()] == [found]


def test_the_page_shows_what_the_operator_reads() -> None:
    page = (ROOT / "docs/api/kiroapproval.md").read_text()
    shown = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    KiroApproval.model_validate({"spec": shown["spec"]})
    assert "date -u -d" in page or "date -u -v" in page
