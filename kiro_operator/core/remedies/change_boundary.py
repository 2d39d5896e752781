"""ChangeBoundary: the boundaries that would have held what autonomous operations did, for a person to decide.

The operator never writes them: it acts under that very policy, and whoever could change its limits has none.
"""

import json

from kiro_operator.api.v1alpha1.autonomy import LARGEST_CHANGE, Boundaries
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.types import API_VERSION
from kiro_operator.core.permissions import Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.remedies.types import Draft, Proposer, Refusal
from kiro_operator.core.snapshot import Snapshot
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import Write

RULES: tuple[Rule, ...] = ()
ADMITTED: tuple[Write, ...] = ()
MOST = 32
"""Entries that a list of the boundaries may have."""
_LONGEST = 63


def draft(amendment: Amendment, snapshot: Snapshot) -> Draft | Refusal:
    """The fields that are too narrow, with what crossed them; nothing else is widened."""
    spec = snapshot.policies.get(amendment.target.name)
    if spec is None or spec.boundaries is None:
        message = f"{named(amendment.target)} declares no boundaries any more"
        return Refusal("NotDeclared", message, lasting=True)
    wider: dict[str, list[str] | int] = {}
    for field in sorted({name for name, _ in amendment.values}):
        values = [value for name, value in amendment.values if name == field]
        made = _wider(spec.boundaries, field, values)
        if made is None:
            message = f"what crossed {field} of {named(amendment.target)} is more than it can list"
            return Refusal("TooMany", message, lasting=True)
        wider[field] = made
    patch = {"spec": {"boundaries": wider}}
    advice = "No operator widens its own limits: see first what let it through, and whether it was right"
    return Draft(API_VERSION, json.dumps(patch, sort_keys=True), json.dumps(wider, sort_keys=True), advice)


def _wider(bounds: Boundaries, field: str, values: list[str]) -> list[str] | int | None:
    if field == "maximumChange":
        largest = max(map(float, values))
        return max(bounds.maximum_change, int(largest)) if largest <= LARGEST_CHANGE else None
    lists = {"actions": bounds.actions, "kinds": bounds.kinds, "namespaces": bounds.namespaces}
    known = lists[field]
    made = [*known, *(value for value in values if value not in known)]
    return made if len(made) <= MOST and max(map(len, made)) <= _LONGEST else None


REMEDY = Proposer(
    action=ActionName.CHANGE_BOUNDARY,
    title="Boundaries that hold what autonomous operations did",
    draft=draft,
)
