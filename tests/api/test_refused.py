"""What is mistaken or hostile is refused, or at least widens nothing."""

import pytest

from tests.api import cases_others, cases_policy
from tests.api.cases import Case
from tests.api.documents import BARE, DOCUMENTS, changed, loaded
from tests.api.narrower import narrower_or_equal
from tests.api.server import Server, decoded

CASES = cases_policy.CASES + cases_others.CASES


def _id(case: Case) -> str:
    return f"{case.kind}: {case.name}"


def test_no_two_cases_share_a_name() -> None:
    assert len({_id(case) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_strict_kubectl_refuses_and_says_what_to_write(server: Server, case: Case) -> None:
    text = changed(case.kind, case.old, case.new)
    done = server.strict(text)
    if done.returncode == 0:
        server.kubectl("delete", "-f", "-", text=text)
    assert done.returncode != 0, done.stdout
    assert case.says in done.stderr


@pytest.mark.parametrize("case", cases_policy.CASES, ids=_id)
def test_a_lenient_client_cannot_widen_a_policy_by_a_slip(server: Server, case: Case) -> None:
    stored = server.stored(case.kind, changed(case.kind, case.old, case.new))
    if stored is not None:
        intended = decoded(loaded(DOCUMENTS[case.kind]))
        assert narrower_or_equal(decoded(stored).spec, intended.spec)


@pytest.mark.parametrize("case", cases_others.HEALTH_CHECK, ids=_id)
def test_a_lenient_client_cannot_name_another_policy_by_a_slip(server: Server, case: Case) -> None:
    stored = server.stored(case.kind, changed(case.kind, case.old, case.new))
    if stored is not None:
        assert stored["spec"].get("safetyPolicyRef", {"name": "cautious"}) == {"name": "cautious"}


@pytest.mark.parametrize("case", cases_others.REMEDIATION, ids=_id)
def test_a_lenient_client_creates_no_mistaken_remediation(server: Server, case: Case) -> None:
    stored = server.stored(case.kind, changed(case.kind, case.old, case.new))
    assert stored is None or stored["status"]["state"] == "Reserved"


def test_a_key_written_twice_is_only_seen_by_the_server(server: Server) -> None:
    """Kubectl itself keeps the last of the two and says nothing, so a linter has to."""
    text = changed("KiroSafetyPolicy", "  cooldown: 5m", "  cooldown: 5m\n  cooldown: 10m")
    refused = server.post("KiroSafetyPolicy", text, validation="Strict")
    assert 'key "cooldown" already set in map' in refused.json()["message"]
    stored = server.stored("KiroSafetyPolicy", text)
    assert stored is not None
    assert stored["spec"]["cooldown"] == "10m"


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("KiroRemediation", "", "spec: Required value"),
        ("KiroRemediation", "spec: {}", "spec.fence: Required value"),
        ("KiroSafetyPolicy", "spec: []", "spec in body must be of type object"),
        ("KiroSafetyPolicy", "spec: Enforce", "spec in body must be of type object"),
        ("KiroSafetyPolicy", "spec: {mode: Enforce}", "spec.budget is required in mode Enforce"),
        ("KiroHealthCheck", "spec: 1", "spec in body must be of type object"),
        ("KiroHealthCheck", "spec: {suspend: 0}", "spec.suspend in body must be of type boolean"),
        ("KiroHealthCheck", "spec: {selector: [app]}", "spec.selector in body must be of type object"),
    ],
)
def test_a_spec_of_another_shape_is_refused(server: Server, kind: str, spec: str, says: str) -> None:
    text = BARE.format(kind=kind, spec=spec)
    done = server.strict(text)
    assert done.returncode != 0, done.stdout
    assert says in done.stderr
    assert server.stored(kind, text) is None


def test_a_patch_with_a_misspelt_field_warns_and_changes_nothing(server: Server) -> None:
    server.post("KiroSafetyPolicy", DOCUMENTS["KiroSafetyPolicy"]).raise_for_status()
    slip = '{"spec": {"pauseRequest": ["audit"]}}'
    done = server.kubectl("patch", "ksp", "cautious", "--type=merge", "-p", slip)
    stored = server.get("KiroSafetyPolicy", "cautious")
    server.delete("KiroSafetyPolicy", "cautious")
    assert 'Warning: unknown field "spec.pauseRequest"' in done.stderr
    assert stored["spec"]["pauseRequests"] == []
