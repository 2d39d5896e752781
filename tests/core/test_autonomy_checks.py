"""The checks on autonomous operations on whatever policies, roles, logs and answers there may be."""

from __future__ import annotations

import string
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.checks import registry
from kiro_operator.core.checks.autonomous_operations.autonomous_success_rate import halves, queries
from kiro_operator.core.evidence.access import ACCESS, Access, Binding, RbacRule, Role, Subject
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.evidence.series import SERIES, Answer, Series
from kiro_operator.core.evidence.triggers import TRIGGER_METRICS, trigger_queries
from kiro_operator.core.findings import MESSAGE_LIMIT
from kiro_operator.core.flap import FlapRule, Track, settle
from kiro_operator.core.objects import Metadata, Pod
from kiro_operator.core.records import OperationRecord, RecordObject
from kiro_operator.core.records.types import Outcome
from kiro_operator.core.snapshot import Collection, Marks, Ref, Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Status, Verdict, passed
from tests.checks.fixtures import all_fixtures

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NONE = Unobserved("NotSynced", "not part of this test")
CHECKS = registry()  # loaded before any example is timed
WORD = st.text(string.ascii_letters + string.digits + "-*/. ", max_size=12)


def judge(
    check_id: str, samples: dict[str, Any], *, pods: Sequence[Pod] = (), **policies: dict[str, Any]
) -> Verdict:
    check = CHECKS[check_id].check
    snapshot = Snapshot(
        namespace="kiro",
        pods=Collection.of(pods),
        deployments=NONE,
        stateful_sets=NONE,
        daemon_sets=NONE,
        replica_sets=NONE,
        services=NONE,
        endpoint_slices=NONE,
        autoscalers=NONE,
        policies={name: KiroSafetyPolicySpec.model_validate(spec) for name, spec in policies.items()},
        marks={name: Marks(uid=f"uid-{name}") for name in policies},
        samples={name: Sample(1, NOW, value) for name, value in samples.items()},
    )
    verdict = check.judge(snapshot, check.parameters(), NOW)
    assert 0 < len(verdict.message) <= MESSAGE_LIMIT
    assert all(finding.object.name in finding.message for finding in verdict.findings)
    keys = [(finding.object, finding.reason) for finding in verdict.findings]
    assert len(set(keys)) == len(keys)
    return verdict


RULES = st.lists(
    st.builds(
        RbacRule,
        verbs=st.lists(st.sampled_from(["get", "list", "*", "escalate"]), min_size=1, max_size=3).map(tuple),
        api_groups=st.lists(st.sampled_from(["", "apps", "*"]), min_size=1, max_size=2).map(tuple),
        resources=st.lists(st.sampled_from(["pods", "pods/exec", "secrets", "*"]), max_size=3).map(tuple),
        resource_names=st.lists(WORD, max_size=2).map(tuple),
    ),
    max_size=6,
)
WANTED = {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]}
KIRO = Subject("ServiceAccount", "kiro", "kiro")


def role_verdict(rules: Sequence[RbacRule]) -> Verdict:
    role = Role("ClusterRole", "kiro-autonomous-operations", tuple(rules))
    binding = Binding("RoleBinding", "kiro", role.kind, role.name, (KIRO,))
    sample = {ACCESS.name: Access({}, frozenset({role.name}), (role,), (binding,))}
    return judge("safety-cluster-role", sample, strict={"clusterRole": WANTED})


@given(RULES, st.randoms(use_true_random=False))
def test_a_role_is_what_it_grants(rules: list[RbacRule], chance: Any) -> None:
    verdict = role_verdict(rules)
    shuffled = [
        RbacRule((verb,), (group,), (resource,), rule.resource_names)
        for rule in rules
        for verb in rule.verbs
        for group in rule.api_groups
        for resource in rule.resources
    ]
    chance.shuffle(shuffled)
    assert role_verdict(shuffled) == verdict
    granted = {
        (rule.verbs[0], rule.api_groups[0], rule.resources[0]) for rule in shuffled if not rule.resource_names
    }
    needed = {("get", "", "pods"), ("list", "", "pods")}
    extra = {(rule.verbs[0], rule.api_groups[0], rule.resources[0]) for rule in shuffled} - needed
    assert (verdict.status is Status.PASS) == (needed <= granted and not extra)
    assert (verdict.reason == "RoleGrantsTooMuch") == bool(extra)


TRIGGER = st.fixed_dictionaries(
    {
        "after": st.sampled_from(["0s", "30m", "2h", "4h"]),
        "tier": st.sampled_from(["Tier2", "Tier3", "Management"]),
    }
).flatmap(
    lambda body: st.one_of(
        st.sampled_from(["Healthy", "Responsive", "CostEfficient"]).map(
            lambda condition: {**body, "condition": condition}
        ),
        st.tuples(st.sampled_from(["above", "below"]), st.sampled_from([0.1, 0.5, 0.9])).map(
            lambda limit: {**body, "metric": "kiro_error_rate", limit[0]: limit[1]}
        ),
    )
)


@given(st.lists(TRIGGER, max_size=6))
def test_any_triggers_are_judged(bodies: list[dict[str, Any]]) -> None:
    triggers = [{**body, "name": f"t{number}"} for number, body in enumerate(bodies)]
    spec = {"escalation": {"triggers": triggers}}
    asked = trigger_queries({"p": KiroSafetyPolicySpec.model_validate(spec)})
    series = (Series({}, ((NOW.timestamp(), 0.3),)),)
    verdict = judge(
        "escalation-triggers", {TRIGGER_METRICS.name: tuple(Answer(query, series) for query in asked)}, p=spec
    )
    tiers = {body["tier"] for body in bodies}
    reasons = {finding.reason for finding in verdict.findings}
    assert ("TriggerUnset" in reasons) == (len(tiers) < 3)
    if len({str(body) for body in bodies}) < len(bodies):
        assert "TriggerUnreachable" in reasons  # of two that say the same one is too many


POD = Pod(Metadata("web", uid="u", labels={"component": "autonomous-operations"}))
OPERATION = st.builds(
    OperationRecord,
    id=WORD,
    action=st.text(max_size=200),
    outcome=st.sampled_from(list(Outcome)),
    target=st.builds(RecordObject, kind=WORD, namespace=WORD, name=st.text(max_size=300)),
    reason=st.text(max_size=300),
    change_size=st.none() | st.floats(),
)
BOUNDS = {"actions": ["restart"], "risky": [], "kinds": ["Pod"], "namespaces": ["kiro"], "maximumChange": 5}


@given(st.lists(OPERATION, max_size=8), st.lists(st.text(max_size=120), max_size=8))
def test_any_log_is_judged(records: list[OperationRecord], lines: list[str]) -> None:
    tails = (LogTail("web", "main", tuple(lines), 60.0, records=tuple(records), window=tuple(records)),)
    logs = judge("autonomous-logs", {POD_LOGS.name: tails}, pods=[POD])
    assert logs.status in {Status.PASS, Status.FAIL}
    scope = judge("autonomous-scope", {POD_LOGS.name: tails}, pods=[POD], p={"boundaries": BOUNDS})
    done = [item for item in records if item.outcome is not Outcome.REFUSED]
    if any(item.action.lower() != "restart" for item in done):
        assert scope.reason == "ActionOutside"
    # What would be widened is this very policy, and no other one of its name.
    aims = {finding.amendment.target for finding in scope.findings if finding.amendment}
    assert aims <= {Ref("KiroSafetyPolicy", "p", "uid-p")}
    if not records:
        assert scope.status is Status.SKIPPED


@given(st.lists(st.floats(0, 1), max_size=60))
def test_the_halves_of_a_course_turned_over_change_places(values: list[float]) -> None:
    if len(values) % 2 == 0 and (told := halves(values)):
        assert halves(values[::-1]) == pytest.approx(told[::-1])


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30))
def test_any_rate_is_judged(values: list[float]) -> None:
    check = CHECKS["autonomous-success-rate"].check
    (query,) = queries(check.parameters(), "kiro")  # type: ignore[arg-type]
    step = timedelta(minutes=30).total_seconds()
    points = tuple((NOW.timestamp() - step * (len(values) - n - 1), value) for n, value in enumerate(values))
    answer = Answer(query, (Series({}, points),))
    verdict = judge("autonomous-success-rate", {SERIES.name: (answer,)})
    last = values[-1] if values else float("nan")
    if 0.9 <= last <= 1:
        assert verdict.status is Status.PASS
    elif 0 <= last < 0.89:
        assert verdict.status is Status.FAIL
    elif not 0 <= last <= 1.1:
        assert verdict.status is Status.UNKNOWN


def test_one_burst_of_failures_is_a_fail_in_the_engine() -> None:
    """The lines of a burst are in one sample only: the next holds what was written after it."""
    check = registry()["autonomous-logs"].check
    rule = FlapRule(failure_threshold=check.failure_threshold, success_threshold=check.success_threshold)
    wanted = ("autonomous-logs", "fail.access-denied")
    failing = next(item for item in all_fixtures() if (item.check.id, item.name) == wanted)
    quiet = passed("nothing repeats")
    track: Track | None = None
    shown: list[str] = []
    for number, raw in enumerate([quiet, failing.judge(), *[quiet] * 5], start=1):
        now = failing.now + number * timedelta(minutes=1)
        track, settled = settle(track, raw, rule, now, number)
        shown.append(settled.verdict.status.value)
    assert shown == ["Pass", *["Fail"] * 5, "Pass"]
