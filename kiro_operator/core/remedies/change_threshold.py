"""ChangeThreshold: a threshold of a check that fits what is measured, for a person to decide.

The operator never writes it: thresholds decide what it calls a failure, and with that what it may do.
"""

import json

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.types import API_VERSION
from kiro_operator.core.permissions import Rule
from kiro_operator.core.remedies.types import Draft, Proposer, Refusal
from kiro_operator.core.snapshot import Snapshot
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import Write

RULES: tuple[Rule, ...] = ()
ADMITTED: tuple[Write, ...] = ()


def draft(amendment: Amendment, _snapshot: Snapshot) -> Draft | Refusal:
    """Parameters of checks, as ``check/parameter``, with their values as JSON."""
    settings: dict[str, dict[str, object]] = {}
    for place, value in amendment.values:
        check, _, parameter = place.partition("/")
        settings.setdefault(check, {})[parameter] = json.loads(value)
    checks = [{"id": check, "parameters": wanted} for check, wanted in sorted(settings.items())]
    diff = "; ".join(f"{place}: {value}" for place, value in amendment.values)
    advice = "No operator moves what it is measured by: see first whether what is measured is as it should be"
    return Draft(API_VERSION, json.dumps({"spec": {"checks": checks}}, sort_keys=True), diff, advice)


REMEDY = Proposer(
    action=ActionName.CHANGE_THRESHOLD, title="A threshold that fits what is measured", draft=draft
)
