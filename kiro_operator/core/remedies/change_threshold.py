"""ChangeThreshold: a threshold of a check that fits what is measured, when a person approves it.

Thresholds decide what the operator calls a failure, and with that what it may do. So it writes none but of
the checks whose metric it has seen, and admission keeps it from anything else in a KiroHealthCheck.
"""

import json

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.types import API_VERSION, GROUP
from kiro_operator.core.checks.signal_quality.threshold_fit import OURS
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.redact import holds_credentials
from kiro_operator.core.remedies.types import Draft, Proposer, Refusal
from kiro_operator.core.snapshot import Snapshot
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import UNPROTECTED, Must, Operation, Write, cel, changes, listed

RULES: tuple[Rule, ...] = (
    Rule(
        GROUP,
        ("kirohealthchecks",),
        ("patch",),
        "move a threshold of a check, when a person has approved it",
        grant=Grant.CHANGE_THRESHOLD,
    ),
)
_CHOSEN, _LISTED = listed("changeThresholdNamespaces")
_AFTER = "variables.after.?spec.?checks.orValue([])"
_BEFORE = "variables.before.?spec.?checks.orValue([])"
ADMITTED = (
    Write(
        by="ChangeThreshold",
        api_version=API_VERSION,
        resources=("kirohealthchecks",),
        operations=(Operation.UPDATE,),
        chosen=(_CHOSEN,),
        musts=(
            _LISTED,
            UNPROTECTED,
            *changes(("spec", "checks")),
            Must(
                f"{_BEFORE}.all(o, {_AFTER}.exists(c, c.id == o.id\n"
                "&& c.all(k, k == 'parameters' || (k in o && c[k] == o[k]))\n"
                "&& o.all(k, k in c)))",
                "it changes parameters of checks, and takes no check out",
            ),
            Must(
                f"{_BEFORE}.all(o, {_AFTER}.exists(c, c.id == o.id\n"
                "&& o.?parameters.orValue({}).all(k, k in c.?parameters.orValue({}))))",
                "it takes no parameter out",
            ),
            Must(
                f"{_AFTER}.all(c, {_BEFORE}.exists(o, o.id == c.id)\n"
                # The API server fills in that a new entry is enabled.
                "|| (c.all(k, k in ['id', 'parameters', 'enabled']) && c.?enabled.orValue(true)\n"
                "&& 'threshold' in c.?parameters.orValue({})))",
                "of a check that was not listed it writes the threshold alone",
            ),
            Must(
                f"{_AFTER}.all(c, c.?parameters.orValue({{}}).all(k, {_BEFORE}.exists(o, o.id == c.id\n"
                "&& k in o.?parameters.orValue({}) && o.parameters[k] == c.parameters[k])\n"
                f"|| (k == 'threshold' && c.id in [{', '.join(map(cel, sorted(OURS)))}]\n"
                "&& type(c.parameters[k]) == int && c.parameters[k] >= 1 && c.parameters[k] < 100)))",
                f"it moves the threshold of {' or '.join(sorted(OURS))} alone, to a whole percentage",
            ),
        ),
    ),
)


def draft(amendment: Amendment, snapshot: Snapshot) -> Draft | Refusal:
    """Parameters of checks, as ``check/parameter``, with their values as JSON."""
    for name, setting in sorted(snapshot.own.settings.items()):
        # A merge patch writes the whole list of checks, and the record holds it.
        if setting.chosen is not None and holds_credentials(setting.chosen.parameters):
            message = f"parameters of {name} hold what looks like a credential: change the threshold by hand"
            return Refusal("HoldsCredentials", message, lasting=True)
    settings: dict[str, dict[str, object]] = {}
    for place, value in amendment.values:
        check, _, parameter = place.partition("/")
        settings.setdefault(check, {})[parameter] = json.loads(value)
    checks = [{"id": check, "parameters": wanted} for check, wanted in sorted(settings.items())]
    diff = "; ".join(f"{place}: {value}" for place, value in amendment.values)
    return Draft(API_VERSION, json.dumps({"spec": {"checks": checks}}, sort_keys=True), diff)


REMEDY = Proposer(
    action=ActionName.CHANGE_THRESHOLD, title="A threshold that fits what is measured", draft=draft
)
