"""Rights of the operator that are taken away while it runs, one after the other, and given back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from devcluster.proxy_faults import Request
from devcluster.wait import until
from tests.deploy.rights import ACCOUNT, RBAC, Right
from tests.faults.matrix.mutations import PATH
from tests.harness.world import World

Object = dict[str, Any]
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def named(right: Right) -> str:
    """What it allows, for people."""
    return f"{'/'.join(right.verbs)} {right.resource}" + (f".{right.group}" if right.group else "")


def used(right: Right, requests: Iterable[Request]) -> bool:
    """Whether one of the requests needs it."""
    return any(
        _needs(request) == (right.group, right.resource, verb) for request in requests for verb in right.verbs
    )


def _needs(request: Request) -> tuple[str, str, str]:
    found = PATH.match(request.path)
    if found is None:
        return ("", "", "")
    reading = "get" if found["name"] else "watch" if request.watch else "list"
    resource = "/".join(filter(None, (found["plural"], found["sub"])))
    return found["group"] or "", resource, _VERBS.get(request.method, reading)


def take(world: World, right: Right) -> Callable[[], None]:
    """Take it out of every role of the operator, and wait until that holds; returns what undoes it."""
    rest = world.plane.rest
    roles = f"{RBAC}/namespaces/{world.namespace}/roles"
    before = {f"{roles}/{item['metadata']['name']}": item["rules"] for item in rest.get(roles)["items"]}
    before |= {
        f"{RBAC}/clusterroles/{item['metadata']['name']}": item["rules"]
        for item in rest.get(f"{RBAC}/clusterroles")["items"]
        if world.namespace in item["metadata"]["name"]
    }
    changed = {path: rules for path, rules in before.items() if _without(rules, right) != rules}
    # What deploy/ names may have a name of its own here.
    granting = [rule for rules in changed.values() for rule in rules if _grants(rule, right)]
    name = next((name for rule in granting for name in rule.get("resourceNames", ())), "")
    for path, rules in changed.items():
        rest.patch(path, {"rules": _without(rules, right)})
    until(lambda: not _allowed(world, right, name), f"{named(right)} to be refused", 10)

    def give_back() -> None:
        for path, rules in changed.items():
            rest.patch(path, {"rules": rules})

    return give_back


def _grants(rule: Object, right: Right) -> bool:
    """Whether a rule is about its resource, and has one of its verbs."""
    same = (rule["apiGroups"], rule["resources"]) == ([right.group], [right.resource])
    return same and not set(right.verbs).isdisjoint(rule["verbs"])


def _without(rules: Iterable[Object], right: Right) -> list[Object]:
    left = []
    for rule in rules:
        verbs = [verb for verb in rule["verbs"] if not (_grants(rule, right) and verb in right.verbs)]
        if verbs:
            left.append(rule | {"verbs": verbs})
    return left


def _allowed(world: World, right: Right, name: str) -> bool:
    resource, _, subresource = right.resource.partition("/")
    asked = {
        "group": right.group, "resource": resource, "subresource": subresource, "verb": right.verbs[0],
        "namespace": world.namespace, "name": name,
    }  # fmt: skip
    user = f"system:serviceaccount:{world.namespace}:{ACCOUNT}"
    review = {"spec": {"user": user, "resourceAttributes": asked}}
    return bool(world.plane.rest.post(REVIEWS, review)["status"]["allowed"])
