"""Permissions: RBAC objects, and SubjectAccessReviews for what the policies of a namespace ask about.

The lists that belong to the whole cluster are kept for a moment, for all KiroHealthChecks. What a sample
holds is only what concerns the subjects and the ClusterRoles that its namespace's policies name.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client, Lane
from kiro_operator.adapters.kubernetes.unobserved import malformed, unobserved
from kiro_operator.core.access import RBAC, account, binds, groups, user, wanted
from kiro_operator.core.evidence.access import (
    ACCESS,
    Access,
    Binding,
    Question,
    RbacRule,
    Review,
    Role,
    Subject,
)
from kiro_operator.core.permissions import Grant, Rule, Scope
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

_GUILTY = "safety-cluster-role and service-account-permissions name the binding and rule that grant too much"
RULES = (
    Rule(
        RBAC,
        ("clusterrolebindings", "clusterroles"),
        ("list",),
        _GUILTY,
        Scope.CLUSTER,
        Grant.CLUSTER_FACTS,
    ),
    Rule(
        "authorization.k8s.io",
        ("subjectaccessreviews",),
        ("create",),
        "service-account-permissions and approval-gates ask what others may do; nothing is stored",
        Scope.CLUSTER,
        Grant.CLUSTER_FACTS,
    ),
    Rule(
        "",
        ("serviceaccounts",),
        ("get",),
        "service-account-permissions tells a ServiceAccount without rights from one that is not there",
        grant=Grant.CLUSTER_FACTS,
    ),
    # Of other namespaces it is nobody's business who may do what there.
    Rule(RBAC, ("rolebindings", "roles"), ("list",), _GUILTY, grant=Grant.CLUSTER_FACTS),
)
QUESTIONS = 64
"""Asked in one sample; what policies ask beyond that is left unanswered."""
CONCURRENT = 4
PAGE = 500
PAGES = 10
KEEP = timedelta(seconds=30)
"""How long the lists of the whole cluster are good for."""

_API = f"/apis/{RBAC}/v1"
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_WHAT = "roles and bindings"
_TOO_MANY = Unobserved(
    "TooManyBindings", f"there are more than {PAGE * PAGES} roles or bindings, too many to look through"
)

T = TypeVar("T")


class _Metadata(Struct, frozen=True):
    name: str
    uid: str = ""


class _RoleRef(Struct, frozen=True):
    kind: str
    name: str


class _Role(Struct, frozen=True):
    metadata: _Metadata
    rules: tuple[RbacRule, ...] | None = None


class _Binding(Struct, frozen=True, rename="camel"):
    metadata: _Metadata
    role_ref: _RoleRef
    subjects: tuple[Subject, ...] | None = None


class _Page(Struct, frozen=True, rename={"go_on": "continue"}):
    go_on: str = ""


class _List(Struct, frozen=True):
    metadata: _Page = _Page()
    items: tuple[msgspec.Raw, ...] | None = None


class _Status(Struct, frozen=True, rename="camel"):
    allowed: bool
    evaluation_error: str = ""


class _Review(Struct, frozen=True):
    status: _Status


class _TooMany(Exception):
    """A list is longer than what is looked through."""


class ClusterAccess:
    """Samples who may do what."""

    source = ACCESS
    rules = RULES

    def __init__(
        self, client: Client, namespaces: frozenset[str], *, keep: timedelta = KEEP, api: str = _API
    ) -> None:
        self._client = client
        self._namespaces = namespaces
        self._keep = keep.total_seconds()
        self._api = api
        self._lock = asyncio.Lock()
        self._kept: tuple[float, list[Role], list[Binding]] | None = None

    async def observe(self, request: ports.PollRequest) -> Access | Unobserved:
        """What concerns the policies of the namespace."""
        namespace = request.namespace
        if namespace not in self._namespaces:
            return Unobserved(
                NOT_CONFIGURED,
                f"namespace {namespace} is not shown who may do what: start the operator with "
                f"--cluster-facts-namespace {namespace}",
            )
        questions, accounts, names = wanted(request.snapshot.policies, namespace)
        cluster = await self._part(self._cluster(), RULES[0], namespace)
        if isinstance(cluster, Unobserved):
            return cluster
        local = await self._part(self._local(namespace), RULES[3], namespace)
        if isinstance(local, Unobserved):
            return local
        there = await self._part(self._accounts(namespace, accounts), RULES[2], namespace)
        reviews = await self._part(self._ask(questions[:QUESTIONS]), RULES[1], namespace)
        subjects = {question.subject for question in questions}
        subjects |= {account(name, namespace) for name in accounts}
        parts = {"accounts": there, "reviews": reviews}
        return relevant(
            Access(
                {} if isinstance(there, Unobserved) else there,
                names,
                (*cluster[0], *local[0]),
                (*cluster[1], *local[1]),
                () if isinstance(reviews, Unobserved) else reviews,
                {name: part for name, part in parts.items() if isinstance(part, Unobserved)},
            ),
            subjects,
        )

    async def _part(self, part: Awaitable[T], rule: Rule, namespace: str) -> T | Unobserved:
        """One part of what is known, or why it is not."""
        try:
            return await part
        except _TooMany:
            return _TOO_MANY
        except MALFORMED as error:
            return malformed(error, namespace, _WHAT)
        except (ports.ApiError, ports.Unreachable) as error:
            return unobserved(error, rule, namespace, _WHAT)

    async def _cluster(self) -> tuple[list[Role], list[Binding]]:
        """The ClusterRoles and their bindings; whoever comes while they are read waits for the answer."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._kept is None or now - self._kept[0] > self._keep:
                roles = await self._roles("ClusterRole", f"{self._api}/clusterroles")
                bindings = await self._bindings("ClusterRoleBinding", f"{self._api}/clusterrolebindings")
                self._kept = (now, roles, bindings)
            return self._kept[1], self._kept[2]

    async def _local(self, namespace: str) -> tuple[list[Role], list[Binding]]:
        place = f"{self._api}/namespaces/{namespace}"
        return (
            await self._roles("Role", f"{place}/roles"),
            await self._bindings("RoleBinding", f"{place}/rolebindings"),
        )

    async def _roles(self, kind: str, path: str) -> list[Role]:
        return [role(kind, item) for item in await self._list(path, _Role)]

    async def _bindings(self, kind: str, path: str) -> list[Binding]:
        return [binding(kind, item) for item in await self._list(path, _Binding)]

    async def _list(self, path: str, type_: type[T]) -> list[T]:
        query = {"limit": str(PAGE)}
        found: list[T] = []
        for _ in range(PAGES):
            items, go_on = listed(await self._client.get(path, **query), type_)
            found += items
            if not go_on:
                return found
            query["continue"] = go_on
        raise _TooMany

    async def _accounts(self, namespace: str, names: Iterable[str]) -> dict[str, bool]:
        return {name: await self._account(namespace, name) for name in sorted(names)}

    async def _account(self, namespace: str, name: str) -> bool:
        try:
            await self._client.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")
        except ports.NotFound:
            return False
        return True

    async def _ask(self, questions: Iterable[Question]) -> tuple[Review, ...]:
        free = asyncio.Semaphore(CONCURRENT)

        async def one(question: Question) -> Review:
            async with free:
                answer = await self._client.create(_REVIEWS, body(question), Lane.RECORD)
                status = msgspec.json.decode(answer, type=_Review).status
                return Review(question, status.allowed, status.evaluation_error[:200])

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(question)) for question in questions]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return tuple(task.result() for task in tasks)


def listed(body: bytes, type_: type[T]) -> tuple[list[T], str]:
    """The items of a page, and the mark of the next; empty on the last.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is no such list.
    """
    page = msgspec.json.decode(body, type=_List)
    return [msgspec.json.decode(item, type=type_) for item in page.items or ()], page.metadata.go_on


def role(kind: str, item: _Role) -> Role:
    """A Role or ClusterRole of a list."""
    return Role(kind, item.metadata.name, item.rules or (), item.metadata.uid)


def binding(kind: str, item: _Binding) -> Binding:
    """A RoleBinding or ClusterRoleBinding of a list."""
    reference, metadata = item.role_ref, item.metadata
    return Binding(kind, metadata.name, reference.kind, reference.name, item.subjects or (), metadata.uid)


def body(question: Question) -> dict[str, Any]:
    """A question as a SubjectAccessReview; a ServiceAccount is asked about with all its groups."""
    attributes = {
        "verb": question.verb,
        "group": question.group,
        "resource": question.resource,
        "subresource": question.subresource,
        "name": question.name,
        "namespace": question.namespace,
    }
    spec: dict[str, Any] = {"resourceAttributes": attributes, "groups": list(groups(question.subject))}
    if name := user(question.subject):
        spec["user"] = name
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def relevant(access: Access, subjects: Iterable[Subject]) -> Access:
    """What concerns some subjects and the ClusterRoles looked for; the rest is nobody's business."""
    who, names = tuple(subjects), access.looked_for
    bindings = tuple(
        binding
        for binding in access.bindings
        if (binding.role_kind == "ClusterRole" and binding.role_name in names)
        or any(binds(binding, subject) for subject in who)
    )
    held = {(binding.role_kind, binding.role_name) for binding in bindings}
    held |= {("ClusterRole", name) for name in names}
    roles = tuple(role for role in access.roles if (role.kind, role.name) in held)
    return msgspec.structs.replace(access, roles=roles, bindings=bindings)
