"""What may be done in an AWS account: IAM's own simulation of the declared actions.

One request a distinct resource. A simulation knows policies, boundaries and organizations, but not the
policies of resources, and of conditions only the keys that it is given.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from kiro_operator import ports
from kiro_operator.adapters.aws.account import Account, Accounts, Who
from kiro_operator.adapters.aws.identity import identity
from kiro_operator.adapters.aws.remembered import Remembered
from kiro_operator.api.v1alpha1.evidence.aws import AwsEvidence
from kiro_operator.core.evidence.aws import AWS_PERMISSIONS, AwsPermissions, Simulated
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

KEEP = 60.0
"""Seconds an answer holds."""
PAGES = 8
"""Pages of one answer at most."""
MISSING = 16
"""Condition keys that are kept of one answer."""

NOTHING_DECLARED = Unobserved(
    NOT_CONFIGURED, "spec.aws declares no action: write mustAllow, mustDeny or both"
)


class AwsPermissionsOf:
    """Samples IAM's simulation."""

    source = AWS_PERMISSIONS
    rules: tuple[Rule, ...] = ()

    def __init__(
        self, accounts: Accounts, *, keep: float = KEEP, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._accounts = accounts
        self._answers: Remembered[AwsPermissions] = Remembered(keep, clock)

    async def observe(self, request: ports.PollRequest) -> AwsPermissions | Unobserved:
        """IAM's answer for each declared action."""
        spec = self._accounts.spec(request.namespace, request.spec.aws)
        if isinstance(spec, Unobserved):
            return spec
        if not spec.must_allow and not spec.must_deny:
            return NOTHING_DECLARED
        return await self._answers.get(
            spec.model_dump_json(),
            lambda: self._accounts.ask(Who.of(spec), lambda account: simulate(account, spec)),
        )


def simulate(account: Account, spec: AwsEvidence) -> AwsPermissions:
    """Ask IAM; blocks."""
    principal = spec.principal or identity(account).arn
    wanted: dict[str, dict[str, set[bool]]] = {}
    for declared, allowed in ((spec.must_allow, True), (spec.must_deny, False)):
        for one in declared:
            wanted.setdefault(one.resource, {}).setdefault(one.action, set()).add(allowed)
    simulated: list[Simulated] = []
    for resource, actions in sorted(wanted.items()):
        simulated += _resource(account, principal, resource, actions, spec.context)
    return AwsPermissions(
        principal, tuple(sorted(simulated, key=lambda one: (one.action, one.resource, one.wanted)))
    )


def _resource(
    account: Account,
    principal: str,
    resource: str,
    actions: Mapping[str, set[bool]],
    context: Mapping[str, str],
) -> Iterable[Simulated]:
    by_name = {action.lower(): action for action in actions}
    marker = ""
    for _ in range(PAGES):
        answer = account.iam().simulate_principal_policy(
            PolicySourceArn=principal,
            ActionNames=sorted(actions),
            ResourceArns=[resource],
            ContextEntries=[
                {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
                for key, value in sorted(context.items())
            ],
            **({"Marker": marker} if marker else {}),  # type: ignore[arg-type] # the key is a literal
        )
        for result in answer.get("EvaluationResults", ()):
            action = by_name.pop(result["EvalActionName"].lower(), None)
            if action is not None:
                yield from (_simulated(action, resource, wanted, result) for wanted in actions[action])
        marker = answer.get("Marker", "")
        if not answer.get("IsTruncated") or not marker:
            break
    for action in by_name.values():  # what IAM did not answer
        yield from (Simulated(action, resource, wanted, "") for wanted in actions[action])


def _simulated(action: str, resource: str, wanted: bool, result: Mapping[str, object]) -> Simulated:  # noqa: FBT001
    denied_by = ""
    organization, boundary = (
        result.get("OrganizationsDecisionDetail"),
        result.get("PermissionsBoundaryDecisionDetail"),
    )
    if isinstance(organization, dict) and organization.get("AllowedByOrganizations") is False:
        denied_by = "organization"
    elif isinstance(boundary, dict) and boundary.get("AllowedByPermissionsBoundary") is False:
        denied_by = "boundary"
    missing = result.get("MissingContextValues")
    keys = sorted({str(key)[:128] for key in missing})[:MISSING] if isinstance(missing, list) else []
    return Simulated(action, resource, wanted, str(result["EvalDecision"]), denied_by, tuple(keys))
