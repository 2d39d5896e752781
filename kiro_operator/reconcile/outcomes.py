"""What came of an action, and the words in which its record says so."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec

from kiro_operator import ports
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.api.v1alpha1.types import format_duration
from kiro_operator.core.patches import is_strategic
from kiro_operator.core.permissions import Rule
from kiro_operator.core.policy.approvals import change
from kiro_operator.core.policy.types import Intent
from kiro_operator.core.remedies import permissions


class Outcome(msgspec.Struct, frozen=True):
    """What came of sending an action."""

    state: RemediationState
    reason: str
    message: str


BEGUN = Outcome(RemediationState.ACTING, "Sending", "the change is being sent")


def done(method: Method, timeout: timedelta) -> Outcome:
    """The action is confirmed; whether it helps is to be seen."""
    what = {
        Method.EVICT: "the pod was evicted",
        Method.ROLLOUT_RESTART: "the rollout restart was accepted",
        Method.SCALE_UP: "the workload was scaled up",
        Method.SCALE_BACK: "the workload was scaled back",
        Method.CREATE: "the object was made",
        Method.PATCH: "the object was changed",
        Method.GIVE_BACK: "what was set for a while was given back",
        Method.ADVISE: "a person changes the object",
    }[method]
    return Outcome(
        RemediationState.VERIFYING,
        "Acted",
        f"{what}; watching for up to {format_duration(timeout)} whether it helps",
    )


def proposal(intent: Intent, namespace: str) -> Outcome:
    """What a person is told of a proposal."""
    if intent.method is Method.ADVISE:
        # How to take a rollout back, its check says.
        command = "" if intent.action is ActionName.ROLLBACK else f"; {how(intent, namespace)}"
        return Outcome(RemediationState.PROPOSED, "AppliedByPerson", f"{intent.message}{command}")
    message = f"{change(intent)} waits for a KiroApproval of plan {intent.digest}"
    return Outcome(RemediationState.PROPOSED, "ApprovalRequired", message)


def how(intent: Intent, namespace: str) -> str:
    """The command by which a person makes the change of a proposal."""
    kind = "strategic" if is_strategic(intent.target.kind) else "merge"
    patch = f"$(kubectl get krem/{intent.name} -n {namespace} -o jsonpath='{{.spec.change.patch}}')"
    aim = f"{intent.target.kind.lower()}/{intent.target.name}"
    return f'kubectl patch {aim} -n {namespace} --type {kind} -p "{patch}"'


def advice(
    action: ActionName, method: Method, namespace: str, forbidden: ports.Forbidden, *, name: str
) -> str:
    """Which rule is missing, in words that fit a condition; of admission policies, what they say."""
    if "ValidatingAdmissionPolicy" in forbidden.message:
        return forbidden.message
    asked: Mapping[Method, Callable[[Rule], bool]] = {
        Method.EVICT: lambda rule: "pods/eviction" in rule.resources,
        Method.ROLLOUT_RESTART: lambda rule: "deployments" in rule.resources,
        Method.CREATE: lambda rule: "create" in rule.verbs,
        Method.PATCH: lambda rule: "patch" in rule.verbs,
        Method.GIVE_BACK: lambda rule: "patch" in rule.verbs,
    }
    needs = asked.get(method)
    rules = [rule for rule in permissions()[action] if needs is None or needs(rule)]
    # What is granted by name is granted for the usual one; here it has to be that of the target.
    mine = (msgspec.structs.replace(rule, names=(name,)) if rule.names else rule for rule in rules)
    missing = "; ".join(rule.advice(namespace) for rule in mine)
    # Of a ClusterRole the API server lists each rule that it would not let be granted.
    refusal = forbidden.message.partition("\n")[0].rstrip(":")
    return f"{refusal}; {missing}"
