"""RightSize: have containers request what they use, when a person approves it."""

import json
from collections.abc import Mapping

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import WORKLOADS
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
    """The requests of each container named, as ``container/resource``; limits stay as they are."""
    target = amendment.target
    if target.kind not in WORKLOADS or workload(target, snapshot) is None:
        return Refusal("NotSupported", f"{named(target)} has no pod template to change", lasting=True)
    if refusal := unscaled(
        target, snapshot, f"may scale {named(target)} by the share of its requests in use"
    ):
        return refusal
    requests: dict[str, dict[str, str]] = {}
    for place, amount in amendment.values:
        container, _, resource = place.partition("/")
        requests.setdefault(container, {})[resource] = amount
    containers = [
        {"name": name, "resources": {"requests": wanted}} for name, wanted in sorted(requests.items())
    ]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    diff = "; ".join(
        f"container {name}: request {_told(wanted)}" for name, wanted in sorted(requests.items())
    )
    return Draft(API_VERSION, json.dumps(patch, sort_keys=True), diff)


def _told(wanted: Mapping[str, str]) -> str:
    return " and ".join(f"{amount} {resource}" for resource, amount in sorted(wanted.items()))


REMEDY = Proposer(action=ActionName.RIGHT_SIZE, title="Have containers request what they use", draft=draft)
