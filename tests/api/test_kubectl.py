"""The custom resources as a person meets them in kubectl."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.documents import DOCUMENTS, loaded
from tests.api.server import MODELS, Server

WIDTH = 100
TIME = "2026-01-01T00:00:00Z"


def _condition(name: str, status: str) -> dict[str, Any]:
    return {
        "type": name,
        "status": status,
        "observedGeneration": 1,
        "lastTransitionTime": TIME,
        "reason": "ChecksFail",
        "message": "3 checks fail",
    }


CONDITIONS = [_condition("Ready", "True"), _condition("Healthy", "Unknown")]
STATUS = {
    "KiroHealthCheck": {
        "conditions": CONDITIONS,
        "failing": "workloads-available +1",
        "lastAction": "RolloutRestart orchestrator: Verifying",
    },
    "KiroSafetyPolicy": {"conditions": CONDITIONS, "used": "3 of 4 in 1h30m"},
    "KiroRemediation": {"state": "Verifying", "actingAt": TIME},
}


@pytest.fixture(scope="module")
def objects(server: Server) -> Iterator[Server]:
    """A server in which there is one object of each kind, with the status of a busy day."""
    uids: dict[str, str] = {}
    for kind, text in sorted(DOCUMENTS.items()):
        document = loaded(text)
        if kind == "KiroRemediation":
            # Operators of other tests sweep the whole cluster, and end what nobody alive asked for.
            document["spec"]["healthCheck"]["uid"] = uids["KiroHealthCheck"]
        answer = server.post(kind, json.dumps(document))
        answer.raise_for_status()
        uids[kind] = answer.json()["metadata"]["uid"]
        body = json.dumps({"status": STATUS[kind]})
        server.patch(kind, document["metadata"]["name"], body, "/status").raise_for_status()
    yield server
    for kind, text in DOCUMENTS.items():
        server.delete(kind, loaded(text)["metadata"]["name"])


@pytest.mark.parametrize(
    ("short", "headings"),
    [
        ("khc", ["NAME", "READY", "HEALTHY", "FAILING", "LAST", "ACTION", "AGE"]),
        ("ksp", ["NAME", "MODE", "READY", "USED", "AGE"]),
        ("krem", ["NAME", "ACTION", "STATE", "AGE"]),
    ],
)
def test_columns_fit_the_screen(objects: Server, short: str, headings: list[str]) -> None:
    lines = objects.kubectl("get", short).stdout.splitlines()
    assert lines[0].split() == headings
    assert len(lines) == 2
    assert max(len(line.rstrip()) for line in lines) <= WIDTH
    assert "<none>" not in lines[1]


def test_wide_tells_the_target(objects: Server) -> None:
    heading, line = objects.kubectl("get", "krem", "-o", "wide").stdout.splitlines()
    assert heading.split() == ["NAME", "ACTION", "KIND", "TARGET", "CHECK", "STATE", "REASON", "AGE"]
    assert line.split()[2:5] == ["Deployment", "orchestrator", "pods-ready"]


def test_one_category_shows_them_all(objects: Server) -> None:
    names = objects.kubectl("get", "kiro", "-o", "name").stdout.splitlines()
    # Those of the cluster are there for every namespace, also where another test has made one.
    mine = [name for name in names if not name.startswith("kirosafetybaseline.")]
    assert sorted(mine) == [
        "kirohealthcheck.kiro.dev/kiro",
        "kiroremediation.kiro.dev/deployment-orchestrator-2f9c54e6-6a4e-e1s1",
        "kirosafetypolicy.kiro.dev/cautious",
    ]


@pytest.mark.parametrize(
    ("resource", "selector", "found"),
    [
        ("ksp", "spec.mode=Enforce", 1),
        ("ksp", "spec.mode=DryRun", 0),
        ("krem", "spec.target.name=orchestrator", 1),
        ("krem", "spec.target.name=ledger", 0),
        ("krem", "status.state=Verifying", 1),
        ("krem", "status.state=Reserved", 0),
    ],
)
def test_field_selectors(objects: Server, resource: str, selector: str, found: int) -> None:
    done = objects.kubectl("get", resource, "-o", "name", "--field-selector", selector)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == found


def test_a_defaulted_state_can_be_selected(server: Server) -> None:
    document = loaded(DOCUMENTS["KiroRemediation"])
    document["metadata"]["name"] = "new"
    server.post("KiroRemediation", json.dumps(document)).raise_for_status()
    done = server.kubectl("get", "krem", "-o", "name", "--field-selector", "status.state=Reserved")
    server.delete("KiroRemediation", "new")
    assert done.stdout.splitlines() == ["kiroremediation.kiro.dev/new"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("khc.spec.checks.failAfter", "How long a watched fault must last before the check fails."),
        ("ksp.spec.mode", "Observe, DryRun or Enforce."),
        ("ksp.spec.maxUnhealthy", "that may be unhealthy for any action."),
        ("krem.spec.fence", "The object to be changed, as it was when this was decided."),
        ("krem.status.state", "Where it stands."),
    ],
)
def test_explain_knows_the_fields(server: Server, path: str, text: str) -> None:
    done = server.kubectl("explain", path)
    assert done.returncode == 0, done.stderr
    assert text in " ".join(done.stdout.split())


def test_wait_works_on_the_target_health(objects: Server) -> None:
    done = objects.kubectl("wait", "khc/kiro", "--for=condition=Ready", "--timeout=5s")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_crd_keeps_all_that_was_applied(server: Server, model: type[Any]) -> None:
    done = server.kubectl("get", "crd", f"{model.PLURAL}.kiro.dev", "-o", "json")
    conditions = {c["type"]: c["status"] for c in json.loads(done.stdout)["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"
