"""Parsers of what the cluster and AWS answer: whatever comes, they answer or say that it is malformed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.adapters.aws import permissions
from kiro_operator.adapters.kubernetes import access, config_changes
from kiro_operator.adapters.kubernetes.client import MALFORMED
from kiro_operator.core.access import account, binds, grantors, matches, rule_told, told
from kiro_operator.core.checks.autonomous_operations import node_capacity
from kiro_operator.core.checks.performance import limits_and_quotas
from kiro_operator.core.evidence.access import Access, Question, RbacRule, Subject
from kiro_operator.core.evidence.aws import Simulated

LONG_AGO, FAR_AHEAD = datetime(2000, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - as Hypothesis wants them
words = st.text(max_size=12)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def some(draw: st.DrawFn, /, **fields: st.SearchStrategy[Any]) -> dict[str, Any]:
    """An object as it should be, or with one field that is something else or not there."""
    made: dict[str, Any] = {name: draw(value) for name, value in fields.items()}
    broken = draw(st.none() | st.none() | st.none() | st.sampled_from(sorted(fields)))
    if broken is not None:
        made.pop(broken)
        if draw(st.booleans()):
            made[broken] = draw(json_values)
    return made


def read(body: bytes, type_: Any) -> Any | None:
    """What is decoded; None where it is malformed, which is the only other answer."""
    try:
        return msgspec.json.decode(body, type=type_)
    except MALFORMED:
        return None


# --- config_changes -------------------------------------------------------------------------------

times = st.sampled_from(
    [
        "2026-03-02T11:59:00Z",
        "2026-03-02T11:59:00",
        "2026-03-02T11:59:00+14:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ]
) | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
managed = some(manager=words, operation=words, time=times, subresource=words)
written = some(
    name=words,
    creationTimestamp=times,
    managedFields=st.lists(managed, max_size=3),
    annotations=st.dictionaries(words, words, max_size=2),
)
pages = some(metadata=some(**{"continue": words}), items=st.lists(some(metadata=written), max_size=3))


@given(pages, st.datetimes(timezones=st.just(UTC)))
def test_config_changes(page: Mapping[str, Any], first: datetime) -> None:
    found = read(json.dumps(page).encode(), config_changes._List)
    if found is None:
        return
    listed = [change for item in found.items or () for change in config_changes.changes(item.metadata, first)]
    for change in config_changes._latest(listed):
        assert change.time >= first.replace(microsecond=0)
        assert change.time.tzinfo is UTC
        assert change.kind == "ConfigMap"


def test_a_time_of_the_api_server_without_a_zone_is_none() -> None:
    metadata = {"name": "a", "creationTimestamp": "2026-03-02T11:59:00Z"}
    assert read(json.dumps({"items": [{"metadata": metadata}]}).encode(), config_changes._List)
    metadata["creationTimestamp"] = "2026-03-02T11:59:00"
    assert read(json.dumps({"items": [{"metadata": metadata}]}).encode(), config_changes._List) is None


@pytest.mark.parametrize(
    "time", ["2026-03-02T11:59:00", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "soon", ""]
)
def test_a_time_that_anybody_may_write_is_one_or_left_out(time: str) -> None:
    entries = [{"manager": "x", "time": time}, {"manager": "helm", "time": "2026-03-02T11:59:00Z"}]
    page = {"items": [{"metadata": {"name": "a", "managedFields": entries}}]}
    found = read(json.dumps(page).encode(), config_changes._List)
    assert found is not None
    [change] = config_changes.changes(found.items[0].metadata, datetime(2026, 3, 2, 11, tzinfo=UTC))
    assert (change.manager, change.time) == ("helm", datetime(2026, 3, 2, 11, 59, tzinfo=UTC))


@given(st.binary(max_size=200))
def test_bytes_are_no_config_changes(body: bytes) -> None:
    found = read(body, config_changes._List)
    assert found is None or not found.items


@given(st.datetimes(LONG_AGO, FAR_AHEAD), st.integers(-3600, 3600))
def test_a_write_counts_from_the_bound_on(at: datetime, seconds: int) -> None:
    """To the second, which is as exact as managers' times are."""
    at = at.replace(microsecond=0, tzinfo=UTC)
    entry = {"manager": "helm", "time": at.isoformat().replace("+00:00", "Z")}
    page = {"items": [{"metadata": {"name": "a", "managedFields": [entry]}}]}
    found = read(json.dumps(page).encode(), config_changes._List)
    assert found is not None
    listed = list(config_changes.changes(found.items[0].metadata, at + timedelta(seconds=seconds)))
    assert [change.time for change in listed] == ([at] if seconds <= 0 else [])


# --- access ---------------------------------------------------------------------------------------

names = (
    st.sampled_from(["get", "pods", "pods/exec", "*", "*/exec", "apps", "kiro", "a:b", "", "x\u0000"]) | words
)
few = st.lists(names, max_size=3)
rules = some(verbs=few, apiGroups=few, resources=few, resourceNames=few, nonResourceURLs=few)
subjects = some(kind=st.sampled_from(["User", "Group", "ServiceAccount"]), name=names, namespace=names)
roles = some(metadata=some(name=names), rules=st.none() | st.lists(rules, max_size=2))
bindings = some(
    metadata=some(name=names),
    roleRef=some(kind=st.sampled_from(["Role", "ClusterRole"]), name=names),
    subjects=st.none() | st.lists(subjects, max_size=2),
)
whos = st.builds(Subject, st.just("User"), names, names) | names.map(lambda name: account(name, "kiro"))
questions = st.builds(Question, whos, *[names] * 6)


@given(some(metadata=some(**{"continue": words}), items=st.lists(roles | bindings, max_size=3)), questions)
def test_access(page: Mapping[str, Any], asked: Question) -> None:
    body = json.dumps(page).encode()
    for type_ in (access._Role, access._Binding):
        try:
            found, go_on = access.listed(body, type_)
        except MALFORMED:
            continue
        assert isinstance(go_on, str)
        known = Access(
            looked_for=frozenset({"kiro"}),
            roles=tuple(access.role("Role", item) for item in found if isinstance(item, access._Role)),
            bindings=tuple(
                access.binding("RoleBinding", item) for item in found if isinstance(item, access._Binding)
            ),
        )
        assert all(isinstance(item.rules, tuple) for item in known.roles)
        assert all(isinstance(item.subjects, tuple) for item in known.bindings)
        kept = access.relevant(known, {asked.subject})
        assert set(kept.roles) <= set(known.roles)
        assert set(kept.bindings) <= set(known.bindings)
        assert all(binds(item, asked.subject) or item.role_name == "kiro" for item in kept.bindings)
        assert {grant.binding for grant in grantors(kept, asked)} == {
            grant.binding for grant in grantors(known, asked)
        }


@given(st.binary(max_size=200))
def test_bytes_are_no_roles(body: bytes) -> None:
    try:
        found, _ = access.listed(body, access._Role)
    except MALFORMED:
        return
    assert found == []


@given(questions, st.lists(st.builds(RbacRule, *[st.lists(names, max_size=3).map(tuple)] * 5), max_size=2))
def test_a_rule_with_fewer_words_allows_no_more(asked: Question, given_: list[RbacRule]) -> None:
    for rule in given_:
        assert isinstance(told(asked), str)
        assert isinstance(rule_told(rule), str)
        narrower = msgspec.structs.replace(rule, verbs=rule.verbs[1:], resources=rule.resources[1:])
        assert matches(asked, rule) or not matches(asked, narrower)


@given(some(status=some(allowed=st.booleans(), evaluationError=st.text(max_size=400))))
def test_reviews(answer: Mapping[str, Any]) -> None:
    found = read(json.dumps(answer).encode(), access._Review)
    assert found is None or found.status.allowed in {True, False}


# --- aws ------------------------------------------------------------------------------------------


class Iam:
    """IAM's answers, page by page."""

    def __init__(self, pages_: list[dict[str, Any]]) -> None:
        self.pages = iter(pages_)
        self.asked = 0

    def iam(self) -> Any:
        return self

    def simulate_principal_policy(self, **_: Any) -> dict[str, Any]:
        self.asked += 1
        return next(self.pages, {"IsTruncated": True, "Marker": "more"})


ACTIONS = {"s3:GetObject": {True}, "iam:CreateUser": {True, False}}
decisions = st.sampled_from(["allowed", "explicitDeny", "implicitDeny", "other"])
results = st.fixed_dictionaries(
    {
        "EvalActionName": st.sampled_from(["s3:GetObject", "S3:getobject", "iam:CreateUser", "ec2:x"]),
        "EvalDecision": decisions,
    },
    optional={
        "OrganizationsDecisionDetail": json_values | some(AllowedByOrganizations=st.booleans()),
        "PermissionsBoundaryDecisionDetail": json_values | some(AllowedByPermissionsBoundary=st.booleans()),
        "MissingContextValues": json_values | st.lists(st.text(max_size=300), max_size=40),
    },
)
iam_pages = st.lists(
    st.fixed_dictionaries(
        {"EvaluationResults": st.lists(results, max_size=4)},
        optional={"IsTruncated": st.booleans(), "Marker": words},
    ),
    max_size=3,
)


@given(iam_pages)
def test_simulations(given_: list[dict[str, Any]]) -> None:
    """Each declared action has its answer, and none that IAM did not give is made up."""
    iam: Any = Iam(given_)
    found = list(permissions._resource(iam, "arn", "*", ACTIONS, {"aws:RequestedRegion": "x"}))
    assert iam.asked <= permissions.PAGES
    assert sorted((one.action, one.wanted) for one in found) == sorted(
        (action, wanted) for action, each in ACTIONS.items() for wanted in each
    )
    given_decisions = {
        (result["EvalActionName"].lower(), result["EvalDecision"])
        for page in given_
        for result in page["EvaluationResults"]
    }
    for one in found:
        assert one.decision == "" or (one.action.lower(), one.decision) in given_decisions
        assert one.denied_by in {"", "organization", "boundary"}
        assert len(one.missing_context) <= permissions.MISSING
        assert all(len(key) <= 128 for key in one.missing_context)


@given(results, st.booleans())
def test_one_simulation(result: dict[str, Any], wanted: bool) -> None:  # noqa: FBT001 - drawn
    one = permissions._simulated("s3:GetObject", "*", wanted, result)
    assert isinstance(one, Simulated)
    assert one.missing_context == tuple(sorted(one.missing_context))
    organization = result.get("OrganizationsDecisionDetail")
    refused = isinstance(organization, dict) and organization.get("AllowedByOrganizations") is False
    assert (one.denied_by == "organization") is refused


# --- what controllers say, by patterns ------------------------------------------------------------

kube_names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
resources = st.sampled_from(["cpu", "memory", "nvidia.com/gpu", "ephemeral-storage", "hugepages-2Mi"])


@given(kube_names, kube_names, words)
def test_a_quota_is_named(pod: str, quota: str, rest: str) -> None:
    """As kube-controller-manager says it of a ReplicaSet, whatever comes after."""
    message = f'pods "{pod}" is forbidden: exceeded quota: {quota}, requested: cpu=1, used: cpu=2{rest}'
    found = limits_and_quotas._QUOTA.search(message)
    assert found is not None
    assert found[1] == quota
    assert limits_and_quotas._RANGE.search(message.removesuffix(rest)) is None


@given(
    st.sampled_from(["maximum", "minimum"]),
    st.sampled_from(["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu", "hugepages-2Mi"]),
    st.sampled_from(["Pod", "Container", "PersistentVolumeClaim"]),
    kube_names,
)
def test_a_limit_range_is_seen(bound: str, resource: str, kind: str, pod: str) -> None:
    """As LimitRanger says it."""
    for message in (
        f'pods "{pod}" is forbidden: {bound} {resource} usage per {kind} is 1, but request is 2',
        f'pods "{pod}" is forbidden: {resource} max limit to request ratio per {kind} is 2, but it is 3',
    ):
        assert limits_and_quotas._RANGE.search(message)
        assert limits_and_quotas._QUOTA.search(message) is None


@given(st.sets(resources, min_size=1, max_size=4), st.integers(1, 9999))
def test_what_nodes_lack(lacked: set[str], nodes: int) -> None:
    """As kube-scheduler says it, whose counts change with every try."""
    parts = [f"{nodes + at} Insufficient {resource}" for at, resource in enumerate(sorted(lacked))]
    message = f"0/{nodes} nodes are available: {', '.join(parts)}. preemption: 0/{nodes} nodes are available."
    assert node_capacity._lacking(message) == f", which lack {' and '.join(sorted(lacked))}"


@given(st.text("Insufficient abcz09./- ", max_size=200) | st.text(max_size=200))
def test_any_message_is_read(message: str) -> None:
    lacking = node_capacity._lacking(message)
    assert lacking == "" or lacking.startswith(", which lack ")
    assert node_capacity._lacking(message) == lacking
    found = limits_and_quotas._QUOTA.search(message)
    assert found is None or len(found[1]) <= 253


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "Insufficient a",
        "Insufficient ",
        "Insufficient a.",
        "./-",
        "exceeded quota: ",
        "exceeded quota: a-",
        "maximum ",
        "maximum a",
        "maximum a usage per ",
        "minimum cpu usage per a ",
        "limit to request ratio per",
    ],
)
def test_no_message_makes_it_slow(unit: str) -> None:
    message = unit * (1_000_000 // len(unit))
    began = time.process_time()
    node_capacity._lacking(message)
    limits_and_quotas._QUOTA.search(message)
    limits_and_quotas._RANGE.search(message)
    assert time.process_time() - began < 2
