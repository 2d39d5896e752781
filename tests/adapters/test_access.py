"""Permissions as the API server tells them, as RBAC means them, and as they should never come."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from devcluster import ControlPlane
from devcluster.listen import Answer, Request, Server
from kiro_operator.adapters.kubernetes import access
from kiro_operator.adapters.kubernetes.access import RULES, ClusterAccess, body, relevant
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.access import account, grantors, matches
from kiro_operator.core.evidence.access import Access, Binding, Question, RbacRule, Role, Subject
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Unobserved

from .helpers import eventually, facts, poll, service_account

RBAC = "/apis/rbac.authorization.k8s.io"
Make = Callable[[Iterable[Rule]], Client]


@pytest_asyncio.fixture
async def with_cluster_rules(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Make]:
    """Makes clients that hold rules in the whole cluster."""
    clients: list[Client] = []
    made: list[str] = []

    def make(rules: Iterable[Rule]) -> Client:
        credentials = service_account(control_plane, namespace)
        name = f"access-{uuid.uuid4().hex[:8]}"
        listed = [
            {"apiGroups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs)}
            for rule in rules
        ]
        group = {
            "kind": "Group",
            "name": f"system:serviceaccounts:{namespace}",
            "apiGroup": "rbac.authorization.k8s.io",
        }
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        for kind, content in (
            ("clusterroles", {"rules": listed}),
            ("clusterrolebindings", {"roleRef": reference, "subjects": [group]}),
        ):
            control_plane.rest.post(f"{RBAC}/v1/{kind}", {"metadata": {"name": name}, **content})
            made.append(f"{RBAC}/v1/{kind}/{name}")
        clients.append(Client(credentials))
        return clients[-1]

    yield make
    for path in made:
        control_plane.rest.delete(path)
    for client in clients:
        await client.close()


def source(client: Client, namespace: str, **more: Any) -> ClusterAccess:
    return ClusterAccess(client, frozenset({namespace}), **more)


@pytest.mark.parametrize("missing", RULES, ids=lambda rule: rule.resources[0])
async def test_without_one_of_the_permissions(
    namespace: str, with_cluster_rules: Make, missing: Rule
) -> None:
    observer = source(with_cluster_rules([rule for rule in RULES if rule != missing]), namespace)

    async def told() -> Access | Unobserved | None:
        sample = await observer.observe(poll(facts(namespace)))
        # Until the binding is seen everywhere, nothing at all is allowed.
        return sample if sample != Unobserved("Forbidden", RULES[0].advice(namespace)) else None

    if missing == RULES[0]:
        sample = await observer.observe(poll(facts(namespace)))
    else:
        sample = await eventually(told, "the permissions")
    why = Unobserved("Forbidden", missing.advice(namespace))
    part = {RULES[1]: "reviews", RULES[2]: "accounts"}.get(missing)
    if part is None:
        assert sample == why
    else:
        assert isinstance(sample, Access)
        assert sample.missing == {part: why}


# --- RBAC's semantics, held against the real authorizer ---

VERBS, GROUPS = ("get", "create", "*"), ("", "apps", "*")
RESOURCES = ("pods", "pods/exec", "*/exec", "deployments", "deployments/scale", "*", "*/scale")
NAMES: tuple[tuple[str, ...], ...] = ((), (), ("web",), ("web", "db"))


def questions(who: Subject, namespace: str) -> Iterator[Question]:
    for verb in VERBS:
        for group, resource, subresource in (
            ("", "pods", ""),
            ("", "pods", "exec"),
            ("apps", "deployments", ""),
            ("apps", "deployments", "scale"),
            ("*", "*", ""),
        ):
            for name in ("", "web"):
                yield Question(who, verb, group, resource, subresource, name, namespace)


async def test_rules_mean_what_the_authorizer_says(
    control_plane: ControlPlane, namespace: str, with_cluster_rules: Make
) -> None:
    rest, chance = control_plane.rest, random.Random(20260302)  # noqa: S311 - a table, not a secret
    cases: list[tuple[Subject, RbacRule]] = []
    place = f"{RBAC}/v1/namespaces/{namespace}"
    for number in range(24):
        rule = RbacRule(
            verbs=(chance.choice(VERBS),),
            api_groups=(chance.choice(GROUPS),),
            resources=tuple(chance.sample(RESOURCES, 2)),
            resource_names=chance.choice(NAMES),
        )
        who, name = account(f"someone-{number}", namespace), f"someone-{number}"
        rest.post(f"{place}/roles", {"metadata": {"name": name}, "rules": [msgspec.to_builtins(rule)]})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        rest.post(
            f"{place}/rolebindings",
            {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]},
        )
        cases.append((who, rule))

    asked = [question for who, _ in cases for question in questions(who, namespace)]
    expected = [matches(question, rule) for who, rule in cases for question in questions(who, namespace)]
    client = with_cluster_rules(RULES)

    async def told() -> list[bool] | None:
        observer = source(client, namespace)
        answers = [review.allowed for review in await observer._ask(asked)]
        return answers if answers == expected else None

    assert any(expected)
    assert not all(expected)
    await eventually(told, "the same answers as the authorizer's", 30.0)


async def test_only_what_concerns_the_policies_is_kept(namespace: str, with_cluster_rules: Make) -> None:
    client = with_cluster_rules(RULES)
    policy = KiroSafetyPolicySpec.model_validate({"clusterRole": {"name": "view", "rules": []}})
    observer = source(client, namespace)

    async def told() -> Access | None:
        sample = await observer.observe(poll(facts(namespace, policies={"strict": policy})))
        return None if isinstance(sample, Unobserved) else sample

    sample = await eventually(told, "the permissions")
    assert sample.role("ClusterRole", "view") is not None
    assert sample.role("ClusterRole", "cluster-admin") is None
    assert sample.accounts == {"kiro": False}
    assert all(
        binding.role_name == "view" or any(subject.kind == "Group" for subject in binding.subjects)
        for binding in sample.bindings
    )


# --- What should never come ---


def page(items: list[Any], go_on: str = "") -> bytes:
    return json.dumps({"metadata": {"continue": go_on}, "items": items}).encode()


REVIEW = json.dumps({"status": {"allowed": False}}).encode()


def server(handler: Callable[[Request], Answer] | None = None) -> Server:
    def plain(request: Request) -> Answer:
        if "subjectaccessreviews" in request.path:
            return Answer(201, REVIEW)
        return Answer(200, page([]))

    return Server(handler or plain)


async def test_many_health_checks_share_the_clusters_lists(client_of: Callable[[str], Client]) -> None:
    with server() as api:
        observer = source(client_of(api.url), "kiro")
        for _ in range(3):
            assert isinstance(await observer.observe(poll(facts("kiro"))), Access)
        paths = [request.path.partition("?")[0] for request in api.requests]
        assert paths.count(f"{RBAC}/v1/clusterroles") == 1
        assert paths.count(f"{RBAC}/v1/clusterrolebindings") == 1
        assert paths.count(f"{RBAC}/v1/namespaces/kiro/rolebindings") == 3
        eager = source(client_of(api.url), "kiro", keep=timedelta(seconds=-1))
        for _ in range(2):
            await eager.observe(poll(facts("kiro")))
        assert [request.path.partition("?")[0] for request in api.requests].count(
            f"{RBAC}/v1/clusterroles"
        ) == 3


async def test_pages_and_questions_are_bounded(
    client_of: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "PAGES", 3)
    endless = server(lambda _: Answer(200, page([], "more")))
    with endless as api:
        sample = await source(client_of(api.url), "kiro").observe(poll(facts("kiro")))
        assert isinstance(sample, Unobserved)
        assert sample.reason == "TooManyBindings"
        assert len(api.requests) == 3
    permissions = [{"verb": "get", "resource": "pods", "name": f"p-{number}"} for number in range(10)]
    policies = {
        f"p{number}": KiroSafetyPolicySpec.model_validate(
            {
                "permissions": {
                    "serviceAccount": f"a{number}",
                    "mustAllow": permissions,
                    "mustDeny": permissions,
                }
            }
        )
        for number in range(20)
    }
    with server() as api:
        request = poll(facts("kiro", policies=policies))
        sample = await source(client_of(api.url), "kiro").observe(request)
        assert isinstance(sample, Access)
        assert len(sample.reviews) == access.QUESTIONS
        assert sum("subjectaccessreviews" in item.path for item in api.requests) == access.QUESTIONS


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (200, b"<html>", "MalformedAnswer"),
        (200, b'{"items":[{"metadata":{"name":7}}]}', "MalformedAnswer"),
        (200, b'{"items":[{"metadata":{"name":"\xff"}}]}', "MalformedAnswer"),
        (200, b'{"items":[{"metadata":{"name":"x"},"rules":[{"verbs":"all"}]}]}', "MalformedAnswer"),
        (500, b"boom", "Unreachable"),
        (429, b"", "Throttled"),
        (403, b"", "Forbidden"),
    ],
)
async def test_other_answers(
    client_of: Callable[[str], Client], status: int, content: bytes, reason: str
) -> None:
    with server(lambda _: Answer(status, content)) as api:
        sample = await source(client_of(api.url), "kiro").observe(poll(facts("kiro")))
        assert isinstance(sample, Unobserved)
        assert sample.reason == reason
        assert str(api.port) not in sample.message


async def test_one_review_that_fails_says_why(client_of: Callable[[str], Client]) -> None:
    def handler(request: Request) -> Answer:
        return Answer(403, b"{}") if "subjectaccessreviews" in request.path else Answer(200, page([]))

    with server(handler) as api:
        sample = await source(client_of(api.url), "kiro").observe(poll(facts("kiro")))
    assert isinstance(sample, Access)
    assert sample.missing == {"reviews": Unobserved("Forbidden", RULES[1].advice("kiro"))}


def test_who_is_asked_about() -> None:
    bot = Question(account("bot", "ops"), "get", "", "pods", "", "", "shop")
    spec = body(bot)["spec"]
    assert spec["user"] == "system:serviceaccount:ops:bot"
    assert spec["groups"] == ["system:serviceaccounts", "system:serviceaccounts:ops", "system:authenticated"]
    group = Question(Subject("Group", "leads"), "approve", "kiro.dev", "kiroapprovals", "drains", "", "shop")
    assert "user" not in body(group)["spec"]
    assert body(group)["spec"]["groups"] == ["leads", "system:authenticated"]


def test_a_role_binding_grants_nothing_in_other_namespaces() -> None:
    who = account("bot", "ops")
    binding = Binding("RoleBinding", "bot", "ClusterRole", "admin", (who,))
    role = Role("ClusterRole", "admin", (RbacRule(("*",), ("*",), ("*",)),))
    everything = relevant(Access({}, frozenset(), (role,), (binding,)), [who])
    here = Question(who, "get", "", "pods", "", "", "shop")
    assert [item.binding.name for item in grantors(everything, here)] == ["bot"]
    assert not list(grantors(everything, Question(who, "get", "", "pods")))
