"""Whether approvals are protected, as the real API server tells it."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from devcluster import ControlPlane
from devcluster.rest import Rest
from kiro_operator.adapters.kubernetes import admission, credentials
from kiro_operator.adapters.kubernetes.admission import STALE, TAKES_HOLD, ApprovalGuard
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.credentials import Credentials
from kiro_operator.core.admission import BINDING, POLICY
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.settings import parse
from tests.adapters_kubernetes.conftest import FakeClock

Object = dict[str, Any]
API = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{API}/validatingadmissionpolicies", f"{API}/validatingadmissionpolicybindings"


class Installed:
    """The two objects under a name of the test's own; the binding binds what all tests have anyway."""

    def __init__(self, rest: Rest, name: str) -> None:
        self.rest = rest
        self.name = name

    def make(self, wanted: Object) -> Object:
        body = copy.deepcopy(wanted) | {"metadata": {"name": self.name}}
        return self.rest.post(POLICIES if wanted is POLICY else BINDINGS, body)

    def change(self, plural: str, body: Any) -> None:
        self.rest.patch(f"{plural}/{self.name}", body)

    def close(self) -> None:
        for plural in (POLICIES, BINDINGS):
            found = [item["metadata"]["name"] for item in self.rest.get(plural)["items"]]
            if self.name in found:
                self.rest.delete(f"{plural}/{self.name}")


@pytest.fixture
def installed(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    made = Installed(control_plane.rest, f"approvals-{uuid.uuid4().hex[:8]}")
    monkeypatch.setattr(admission, "NAME", made.name)
    yield made
    made.close()


@pytest.fixture
def guard(client: Client, clock: FakeClock) -> ApprovalGuard:
    return ApprovalGuard(client, clock)


def why(guard: ApprovalGuard) -> str:
    assert isinstance(guard.since, Unobserved)
    assert guard.since.reason == "ApprovalUnprotected"
    return guard.since.message


async def test_what_is_installed_protects_from_then_on(installed: Installed, guard: ApprovalGuard) -> None:
    assert "not been looked at" in why(guard)
    assert await guard.look()
    assert "ValidatingAdmissionPolicy kiro-operator-approvals is not installed" in why(guard)
    installed.make(POLICY)
    assert await guard.look()
    assert "ValidatingAdmissionPolicyBinding kiro-operator-approvals is not installed" in why(guard)
    made = installed.make(BINDING)

    assert await guard.look()

    assert guard.since == datetime.fromisoformat(made["metadata"]["creationTimestamp"]) + TAKES_HOLD
    assert not await guard.look()


@pytest.mark.parametrize(
    ("plural", "spec"),
    [
        (POLICIES, {"failurePolicy": "Ignore"}),
        (POLICIES, {"matchConditions": [{"name": "never", "expression": "false"}]}),
        (POLICIES, {"matchConstraints": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}),
        (POLICIES, {"validations": POLICY["spec"]["validations"][1:]}),
        (BINDINGS, {"validationActions": ["Audit"]}),
        (BINDINGS, {"matchResources": {"objectSelector": {"matchLabels": {"a": "b"}}}}),
    ],
)
async def test_whoever_softens_it_ends_its_protection(
    installed: Installed, guard: ApprovalGuard, plural: str, spec: Object
) -> None:
    installed.make(POLICY)
    installed.make(BINDING)
    await guard.look()
    assert not isinstance(guard.since, Unobserved)

    installed.change(plural, {"spec": spec})

    assert await guard.look()
    assert "is not what this operator knows" in why(guard)


async def test_a_label_of_its_own_is_no_harm(installed: Installed, guard: ApprovalGuard) -> None:
    installed.make(POLICY)
    installed.make(BINDING)
    installed.change(POLICIES, {"metadata": {"labels": {"app.kubernetes.io/version": "0.2.0"}}})
    await guard.look()
    assert not isinstance(guard.since, Unobserved)


async def test_no_answer_leaves_it_as_it_was_for_a_while(
    installed: Installed, client: Client, clock: FakeClock, control_plane: ControlPlane
) -> None:
    installed.make(POLICY)
    installed.make(BINDING)
    guard = ApprovalGuard(client, clock)
    await guard.look()
    before = guard.since
    nowhere = Credentials("https://127.0.0.1:1", str(control_plane.ca), lambda: "")
    guard._client = Client(nowhere)

    try:
        assert not await guard.look()
    finally:
        await guard._client.close()
    assert guard.since == before
    clock.pass_by(STALE + 1)

    assert "has not told for long" in why(guard)


async def test_a_missing_permission_is_told(
    control_plane: ControlPlane, namespace: str, clock: FakeClock
) -> None:
    control_plane.kubectl("create", "serviceaccount", "blind", "-n", namespace)
    folder = control_plane.service_account_dir(namespace, "blind")
    host, port = control_plane.server.removeprefix("https://").split(":")
    environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    settings = parse(["--service-account-dir", str(folder)], environment)
    client = Client(credentials.load(settings, environment))
    guard = ApprovalGuard(client, clock)
    try:
        await guard.look()
    finally:
        await client.close()
    assert "resourceNames ['kiro-operator-approvals'], verbs ['get']" in why(guard)
