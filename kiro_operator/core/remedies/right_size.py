"""RightSize: have containers request what they use, when a person approves it."""

import json
from collections.abc import Mapping
from typing import Any

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import WORKLOADS
from kiro_operator.core.quantity import parse_quantity
from kiro_operator.core.remedies.types import API_VERSION, Draft, Proposer, Refusal, unscaled
from kiro_operator.core.snapshot import Snapshot, workload
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import Must, Operation, Write, changes

RULES: tuple[Rule, ...] = (
    Rule(
        "apps",
        ("deployments", "statefulsets", "daemonsets"),
        ("patch",),
        "set what containers request, when a person has approved it",
        grant=Grant.RIGHT_SIZE,
    ),
)
_CONTAINERS = "?spec.?template.?spec.?containers.orValue([])"
ADMITTED = (
    Write(
        by="RightSize",
        api_version=API_VERSION,
        resources=("deployments", "statefulsets", "daemonsets"),
        operations=(Operation.UPDATE,),
        musts=(
            *changes(
                ("spec", "template", "spec", "containers"),
                # The API server counts here, at every change of the template of a DaemonSet.
                ("metadata", "annotations", "deprecated.daemonset.template.generation"),
            ),
            Must(
                # By position, for their order counts: they are started in it.
                f"variables.after.{_CONTAINERS}.map(c, c.name)\n"
                f"== variables.before.{_CONTAINERS}.map(c, c.name)\n"
                f"&& variables.after.{_CONTAINERS}.all(c, variables.before.{_CONTAINERS}.exists(o,\n"
                "o.name == c.name\n"
                "&& c.all(k, k == 'resources'\n|| (k in o && c[k] == o[k]))\n"
                "&& o.all(k, k in c)\n"
                "&& c.?resources.orValue({}).all(k, k == 'requests'\n"
                "|| (k in o.?resources.orValue({}) && c.resources[k] == o.resources[k]))\n"
                "&& o.?resources.orValue({}).all(k, k in c.?resources.orValue({}))))",
                "it changes the requests of containers alone",
            ),
            Must(
                f"variables.after.{_CONTAINERS}.all(c, variables.before.{_CONTAINERS}.exists(o,\n"
                "o.name == c.name\n"
                "&& c.?resources.?requests.orValue({}).all(k, k in o.?resources.?requests.orValue({})\n"
                "&& quantity(string(c.resources.requests[k]))\n"
                ".compareTo(quantity(string(o.resources.requests[k]))) <= 0)\n"
                "&& o.?resources.?requests.orValue({}).all(k, k in c.?resources.?requests.orValue({}))))",
                "it lowers requests, and neither raises nor removes one",
            ),
        ),
    ),
)


def draft(amendment: Amendment, snapshot: Snapshot) -> Draft | Refusal:
    """The requests of each container named, as ``container/resource``, that stand in the pod template.

    The check measures pods, to which webhooks add containers and a LimitRange adds requests. Limits stay as
    they are.
    """
    target = amendment.target
    found = workload(target, snapshot)
    if target.kind not in WORKLOADS or found is None:
        return Refusal("NotSupported", f"{named(target)} has no pod template to change", lasting=True)
    if refusal := unscaled(
        target, snapshot, f"may scale {named(target)} by the share of its requests in use"
    ):
        return refusal
    there = {item.name: item.resources.requests for item in found.spec.template.spec.containers}
    requests: dict[str, dict[str, str]] = {}
    for place, amount in amendment.values:
        container, _, resource = place.partition("/")
        if _is_less(amount, there.get(container, {}).get(resource)):
            requests.setdefault(container, {})[resource] = amount
    if not requests:
        return _needless(amendment, there)
    containers = [
        {"name": name, "resources": {"requests": wanted}} for name, wanted in sorted(requests.items())
    ]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    diff = "; ".join(
        f"container {name}: request {_told(wanted)}" for name, wanted in sorted(requests.items())
    )
    return Draft(API_VERSION, json.dumps(patch, sort_keys=True), diff)


def lowers(patch: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether a draft lowers each request that it sets, in the workload as it was read.

    What it was drafted from may be behind that by a moment.
    """
    there, wanted = (
        {
            item["name"]: item.get("resources", {}).get("requests", {})
            for item in each["spec"]["template"]["spec"]["containers"]
        }
        for each in (found, patch)
    )
    return all(
        _is_less(amount, there.get(name, {}).get(resource))
        for name, requests in wanted.items()
        for resource, amount in requests.items()
    )


def _is_less(amount: str, than: str | None) -> bool:
    return than is not None and parse_quantity(amount) < parse_quantity(than)


def _needless(amendment: Amendment, there: Mapping[str, Mapping[str, str]]) -> Refusal:
    """Why none of it is proposed."""
    what = f"the pod template of {named(amendment.target)}"
    for place, _ in amendment.values:
        container, _, resource = place.partition("/")
        if resource in there.get(container, {}):
            return Refusal("Healed", f"{what} asks for no more by now", lasting=True)
    message = f"{what} does not ask for it: lower it where it is added to the pods"
    return Refusal("NotInTemplate", message, lasting=True)


def _told(wanted: Mapping[str, str]) -> str:
    return " and ".join(f"{amount} {resource}" for resource, amount in sorted(wanted.items()))


REMEDY = Proposer(action=ActionName.RIGHT_SIZE, title="Have containers request what they use", draft=draft)
