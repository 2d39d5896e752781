"""ChangeBoundary: boundaries that hold what autonomous operations did, when a person approves it.

They bind Kiro's operations and not the operator. Whatever else stands in a KiroSafetyPolicy does bind it, and
admission keeps it from writing any of that.
"""

import json
import re

from kiro_operator.api.v1alpha1.autonomy import ACTION_WORD, KIND_WORD, LARGEST_CHANGE, Boundaries
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.api.v1alpha1.types import API_VERSION, DNS_NAME, GROUP
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.remedies.types import Draft, Proposer, Refusal
from kiro_operator.core.snapshot import Snapshot
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import UNPROTECTED, Must, Operation, Write, changes, listed

RULES: tuple[Rule, ...] = (
    Rule(
        GROUP,
        ("kirosafetypolicies",),
        ("patch",),
        "widen the boundaries of autonomous operations, when a person has approved it",
        grant=Grant.CHANGE_BOUNDARY,
    ),
)
_CHOSEN, _LISTED = listed("changeBoundaryNamespaces")
_AFTER = "variables.after.?spec.?boundaries.orValue({})"
_BEFORE = "variables.before.?spec.?boundaries.orValue({})"
ADMITTED = (
    Write(
        by="ChangeBoundary",
        api_version=API_VERSION,
        resources=("kirosafetypolicies",),
        operations=(Operation.UPDATE,),
        chosen=(_CHOSEN,),
        musts=(
            _LISTED,
            UNPROTECTED,
            *changes(("spec", "boundaries")),
            Must(
                f"{_AFTER}.all(k, k in {_BEFORE})\n"
                f"&& {_BEFORE}.all(k, k in {_AFTER} && (k in ['actions', 'kinds', 'namespaces']\n"
                f"? {_BEFORE}[k].all(v, v in {_AFTER}[k])\n"
                f": k == 'maximumChange' ? {_BEFORE}[k] <= {_AFTER}[k] : {_BEFORE}[k] == {_AFTER}[k]))",
                "it widens boundaries that are there, and takes nothing out of them",
            ),
        ),
    ),
)
MOST = 32
"""Entries that a list of the boundaries may have."""
_LONGEST = 63
_WORDS = {"actions": ACTION_WORD, "kinds": KIND_WORD, "namespaces": DNS_NAME}
"""What the API server takes into each list. Logs hold anything, and anybody may have written it."""


def draft(amendment: Amendment, snapshot: Snapshot) -> Draft | Refusal:
    """The fields that are too narrow, with what crossed them; nothing else is widened."""
    spec = snapshot.policies.get(amendment.target.name)
    if spec is None or spec.boundaries is None:
        message = f"{named(amendment.target)} declares no boundaries any more"
        return Refusal("NotDeclared", message, lasting=True)
    wider: dict[str, list[str] | int] = {}
    for field in sorted({name for name, _ in amendment.values}):
        values = [value for name, value in amendment.values if name == field and _is_listable(name, value)]
        if not values:
            continue
        made = _wider(spec.boundaries, field, values)
        if made is None:
            message = f"what crossed {field} of {named(amendment.target)} is more than it can list"
            return Refusal("TooMany", message, lasting=True)
        wider[field] = made
    if not wider:
        message = (
            f"{named(amendment.target)} cannot list what crossed it: the API server refuses such words; "
            "see the records in the logs"
        )
        return Refusal("NotListable", message, lasting=True)
    patch = {"spec": {"boundaries": wider}}
    return Draft(API_VERSION, json.dumps(patch, sort_keys=True), json.dumps(wider, sort_keys=True))


def is_narrower(spec: KiroSafetyPolicySpec, patch: str) -> bool:
    """Whether the boundaries of a policy do not hold yet all that a patch on record would have them hold."""
    if spec.boundaries is None:
        return False
    there = spec.boundaries.model_dump(mode="json", by_alias=True)
    wanted = json.loads(patch)["spec"]["boundaries"]
    return any(
        set(value) - set(there[name]) if isinstance(value, list) else value > there[name]
        for name, value in wanted.items()
    )


def _is_listable(field: str, value: str) -> bool:
    pattern = _WORDS.get(field)
    return pattern is None or (len(value) <= _LONGEST and re.fullmatch(pattern, value) is not None)


def _wider(bounds: Boundaries, field: str, values: list[str]) -> list[str] | int | None:
    if field == "maximumChange":
        largest = max(map(float, values))
        return max(bounds.maximum_change, int(largest)) if largest <= LARGEST_CHANGE else None
    lists = {"actions": bounds.actions, "kinds": bounds.kinds, "namespaces": bounds.namespaces}
    known = lists[field]
    made = [*known, *(value for value in values if value not in known)]
    return made if len(made) <= MOST else None


REMEDY = Proposer(
    action=ActionName.CHANGE_BOUNDARY,
    title="Boundaries that hold what autonomous operations did",
    draft=draft,
)
