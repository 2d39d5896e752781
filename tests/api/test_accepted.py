"""What the API server accepts: defaults, status, immutability, and that the operator can read it all."""

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from kiro_operator.api.v1alpha1 import KINDS
from kiro_operator.api.v1alpha1.evidence.optimization import OptimizationEvidence
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.remediation import RemediationState
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec, Mode
from tests.api.documents import BARE, DOCUMENTS, changed, loaded
from tests.api.server import Server, decoded
from tests.api.test_dropped import Path, paths

UNTOUCHED = {
    kind.KIND: kind.model_fields["status"].default for kind in KINDS if "status" in kind.model_fields
}
"""What a status reads as before the operator has looked."""


@pytest.fixture
def remediation(server: Server) -> Iterator[str]:
    """The name of a KiroRemediation."""
    answer = server.post("KiroRemediation", DOCUMENTS["KiroRemediation"])
    answer.raise_for_status()
    name = answer.json()["metadata"]["name"]
    yield name
    server.delete("KiroRemediation", name)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_the_valid_document_is_accepted_by_strict_kubectl(server: Server, kind: str) -> None:
    done = server.strict(DOCUMENTS[kind])
    assert done.returncode == 0, done.stderr
    assert server.kubectl("delete", "-f", "-", text=DOCUMENTS[kind]).returncode == 0


@pytest.mark.parametrize("spec", ["", "spec: {}", "spec:"], ids=["missing", "empty", "null"])
def test_an_empty_policy_is_a_dry_run_that_allows_nothing(server: Server, spec: str) -> None:
    stored = server.stored("KiroSafetyPolicy", BARE.format(kind="KiroSafetyPolicy", spec=spec))
    assert stored is not None
    assert stored["spec"] == {"mode": "DryRun", "actions": [], "consent": [], "approvalGates": []}
    assert decoded(stored).spec == KiroSafetyPolicySpec()
    assert decoded(stored).spec.mode is Mode.DRY_RUN


@pytest.mark.parametrize("spec", ["", "spec: {}", "spec:"], ids=["missing", "empty", "null"])
def test_an_empty_health_check_observes_only(server: Server, spec: str) -> None:
    stored = server.stored("KiroHealthCheck", BARE.format(kind="KiroHealthCheck", spec=spec))
    assert stored is not None
    assert stored["spec"]["interval"] == "1m"
    assert "safetyPolicyRef" not in stored["spec"]
    assert stored["spec"]["remediation"]["ladder"] == [
        {"action": "ReconnectMCP", "timeout": "5m"},
        {"action": "ResyncMCP", "timeout": "5m"},
        {"action": "Restart", "timeout": "5m"},
        {"action": "Scale", "timeout": "5m"},
    ]
    assert decoded(stored).spec == KiroHealthCheckSpec(
        remediation=KiroHealthCheckSpec().remediation, interval=timedelta(minutes=1)
    )


@pytest.mark.parametrize(
    ("low", "high", "step", "valid"),
    [
        ("1", "50", "49", True),
        ("1", "50", "49.000001", False),
        # No binary fraction holds any of these.
        ("0.1", "0.3", "0.2", True),
        ("0.1", "0.3", "0.200001", False),
        ("-5", "-1.5", "3.5", True),
        ("0.000001", "0.000002", "0.000001", True),
        ("0.000002", "0.000002", "0.000001", False),
        ("-999999999.999999", "999999999.999999", "1999999999.999998", False),  # ten digits
        ("-999999999.999999", "0", "999999999.999999", True),
        ("1", "2", "0.0000001", False),
        ("9", "10", "1", True),
    ],
)
def test_the_server_and_the_models_agree_on_bounds(
    server: Server,
    low: str,
    high: str,
    step: str,
    valid: bool,  # noqa: FBT001
) -> None:
    one = {"key": "a", "bolder": "Lower", "min": low, "max": high, "step": step}
    section = {"configMap": "kiro-optimization", "parameters": [one]}
    spec = f"spec: {json.dumps({'optimization': section})}"
    stored = server.stored("KiroHealthCheck", BARE.format(kind="KiroHealthCheck", spec=spec))
    assert (stored is not None) == valid
    if valid:
        assert decoded(stored or {}).spec.optimization == OptimizationEvidence.model_validate(section)
    else:
        with pytest.raises(ValidationError):
            OptimizationEvidence.model_validate(section)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: agent-latency", "id: no-such-check"),
        ("      minReady: 2", "      minReadyy: {of: [1, x]}"),
        ("name: cautious", "name: no-such-policy"),
    ],
)
def test_what_a_schema_cannot_see_is_left_to_the_operator(server: Server, old: str, new: str) -> None:
    stored = server.stored("KiroHealthCheck", changed("KiroHealthCheck", old, new))
    assert stored is not None
    assert new.split(":", maxsplit=1)[1].strip().split("{", maxsplit=1)[0] in json.dumps(stored)


def test_a_misspelt_parameter_is_kept_so_that_the_operator_can_name_it(server: Server) -> None:
    text = changed("KiroHealthCheck", "minReady: 2", "minReadyy: {of: [1, x]}")
    stored = server.stored("KiroHealthCheck", text)
    assert stored is not None
    assert decoded(stored).spec.checks[0].parameters == {"minReadyy": {"of": [1, "x"]}}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("KiroHealthCheck", {"failing": "none", "conditions": "all well"}),
        ("KiroHealthCheck", "Healthy"),
        ("KiroSafetyPolicy", {"used": "0 of 100", "reservations": []}),
        ("KiroRemediation", {"state": "Succeeded", "message": "trust me"}),
        ("KiroRemediation", {"state": "Done"}),
    ],
)
def test_a_status_smuggled_in_on_create_is_dropped(server: Server, kind: str, status: Any) -> None:
    stored = server.stored(kind, json.dumps({**loaded(DOCUMENTS[kind]), "status": status}))
    assert stored is not None
    assert decoded(stored).status == UNTOUCHED[kind]


def test_a_new_remediation_reads_as_reserved(server: Server, remediation: str) -> None:
    stored = server.get("KiroRemediation", remediation)
    assert stored["status"]["state"] == "Reserved"
    assert decoded(stored).status.state is RemediationState.RESERVED


def test_the_spec_of_a_remediation_is_immutable(server: Server, remediation: str) -> None:
    changes: tuple[dict[str, Any], ...] = ({"step": 2}, {"gates": []}, {"fence": {"intent": None}})
    for change in changes:
        answer = server.patch("KiroRemediation", remediation, json.dumps({"spec": change}))
        assert "spec is immutable: it records what was decided" in answer.json()["message"]


def test_a_status_sent_with_the_spec_is_dropped(server: Server, remediation: str) -> None:
    server.patch("KiroRemediation", remediation, '{"status": {"state": "Acting"}}').raise_for_status()
    assert server.get("KiroRemediation", remediation)["status"]["state"] == "Reserved"


def test_a_message_may_have_as_many_characters_as_bytes_are_said(server: Server, remediation: str) -> None:
    body = json.dumps({"status": {"message": "…" * 1024}})
    server.patch("KiroRemediation", remediation, body, "/status").raise_for_status()
    longer = server.patch("KiroRemediation", remediation, body.replace('"}}', 'x"}}'), "/status")
    assert "may not be more than 1024" in longer.json()["message"]


def test_a_final_state_stays(server: Server, remediation: str) -> None:
    for state in ("Acting", "Verifying", "Failed"):
        body = json.dumps({"status": {"state": state}})
        server.patch("KiroRemediation", remediation, body, "/status").raise_for_status()
    again = server.patch("KiroRemediation", remediation, '{"status": {"state": "Acting"}}', "/status")
    assert "status.state is final" in again.json()["message"]
    note = server.patch("KiroRemediation", remediation, '{"status": {"message": "seen"}}', "/status")
    note.raise_for_status()


def test_a_policy_without_its_gates_cannot_be_switched_to_enforce(server: Server) -> None:
    server.post("KiroSafetyPolicy", BARE.format(kind="KiroSafetyPolicy", spec="")).raise_for_status()
    answer = server.patch("KiroSafetyPolicy", "bare", '{"spec": {"mode": "Enforce"}}')
    server.delete("KiroSafetyPolicy", "bare")
    missing = (
        "budget",
        "cooldown",
        "backoff",
        "maxConsecutiveFailures",
        "forbiddenWindows",
        "pauseRequests",
        "maintenanceWindows",
        "stormCooldown",
    )
    assert all(f"spec.{field} is required" in answer.json()["message"] for field in (*missing, "protected"))


ODD: tuple[Any, ...] = (
    *(None, True, "", [], {}, [None], {"x": 1}, [{}], [""]),
    *(0, -1, 1, 4.0, 1e2, 0.5, 2**31, 2**63 - 1, 2**63, 1e30),
    *("5m", "0s", "5m\n", "168h", "100%", "7", "*", "0 0 31 2 *", "Europe/Berlin", "é" * 300, "x" * 70),
)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_all_that_the_server_accepts_can_be_read(server: Server, kind: str) -> None:
    document = loaded(DOCUMENTS[kind])
    accepted = 0
    for path in paths({"spec": document["spec"]}):
        for value in ODD:
            stored = server.stored(kind, json.dumps(_replaced(document, path, value)))
            if stored is not None:
                accepted += 1
                decoded(stored)
    assert accepted > 40


def _replaced(document: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    result = copy.deepcopy(document)
    parent: Any = result
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return result
