"""Between the plan and the API: what is in force, and how decisions and past actions are shown."""

from collections.abc import Iterable, Sequence

from kiro_operator.api.v1alpha1.healthcheck import (
    ApprovalRequest,
    Asked,
    Decision,
    GateState,
    ObjectIdentity,
    ObjectName,
    RemediationSummary,
)
from kiro_operator.core import decide, told
from kiro_operator.core.conditions import NAME, REMEDIATIONS, WORD, Escalation, Permission, shorten
from kiro_operator.core.policy.approvals import change
from kiro_operator.core.policy.types import Ledger
from kiro_operator.core.snapshot import AWAITING, Unobserved
from kiro_operator.reconcile.policies import Policies
from kiro_operator.reconcile.records import Remediation
from kiro_operator.reconcile.target import Target

ASKED = 100
"""Needs that a status may tell of."""


def in_force(
    target: Target, policies: Policies, unreadable: Sequence[str] = (), unseen: Unobserved | None = None
) -> tuple[decide.Policy, ...]:
    """The policies that have to allow what this KiroHealthCheck wants.

    The one that it names, and every other of the namespace: of each gate the narrowest answer
    counts, so that a second policy can never widen what a first one allows. None when it names
    none, or one that is not there.
    """
    reference = target.spec.safety_policy_ref
    if target.problem or reference is None or policies.get(target.namespace, reference.name) is None:
        return ()
    found = [
        decide.Policy(policy.key[1], policy.spec, policy.problem, storm=policy.storm)
        for policy in policies.of(target.namespace)
    ]
    if unreadable:
        problem = f"KiroRemediation {unreadable[0]} cannot be read, so what was done is not known"
        found.append(decide.Policy("", None, problem, "RecordsUnreadable"))
    if unseen is not None:
        problem = f"KiroRemediations cannot be seen, so what was done is not known: {unseen.message}"
        found.append(decide.Policy("", None, problem, unseen.reason))
    if target.refused:
        found.append(decide.Policy("", None, target.refused, "Forbidden"))
    return tuple(found)


def policy_problem(target: Target, policies: Policies) -> Permission | None:
    """Why the KiroHealthCheck is stalled over its policy; None when it is not."""
    reference = target.spec.safety_policy_ref
    if reference is None or policies.get(target.namespace, reference.name) is not None:
        return None
    there = ", ".join(policy.key[1] for policy in policies.of(target.namespace)) or "none"
    return Permission(
        allowed=False,
        reason="PolicyNotFound",
        message=(
            f"spec.safetyPolicyRef: there is no KiroSafetyPolicy {reference.name} in namespace "
            f"{target.namespace} (there: {there}); until there is, nothing is done"
        ),
    )


_PASSING = frozenset({AWAITING.reason, "AlreadySet", "Healed", "NotDesired"})
"""Reasons that are gone with the next look: nothing has been sampled yet, or nothing is left to be wanted."""


def decisions(plan: decide.Plan, ledger: Ledger) -> list[Decision]:
    """The plan's decisions as a status shows them, and behind them what cannot even be put to the gates.

    What waits for the action that runs on its target is left out: that one is told already.
    """
    held = [
        _held(item)
        for item in dict.fromkeys(plan.held)
        if item.reason not in _PASSING and not any(entry.running for entry in ledger.of(item.target))
    ]
    return [
        Decision(
            action=item.intent.action,
            target=ObjectName(kind=item.intent.target.kind, name=item.intent.target.name),
            check=item.intent.check,
            decision=item.decision,
            gate=item.gate,
            reason=item.reason,
            message=shorten(item.message, 1024),
            until=item.until.replace(microsecond=0) if item.until else None,
            approval=_request(item),
        )
        for item in plan.decisions
    ] + held


def _held(item: decide.Held) -> Decision:
    return Decision(
        action=item.action,
        # It may be what a check has found, by a name that others chose.
        target=ObjectName(kind=item.target.kind[:WORD], name=told.name(item.target)[:NAME]),
        check=item.check,
        decision="Denied",
        gate="target",
        reason=item.reason,
        message=shorten(item.message, 1024),
    )


def _request(item: decide.Decision) -> ApprovalRequest | None:
    """What a person has to decide on, or may have by now; None where nobody was asked.

    What was denied is shown also when the policy asks nobody any more.
    """
    target, since = item.intent.target, item.intent.since
    if since is None or not (item.asks or item.intent.asked):
        return None
    return ApprovalRequest(
        digest=item.intent.digest,
        change=shorten(change(item.intent), 1024),
        target=ObjectIdentity(kind=target.kind, name=target.name, uid=target.uid),
        since=since.replace(microsecond=0),
        gates=[
            GateState(
                gate=each.gate,
                state=each.state,
                approval=each.approval.metadata.name if each.approval else "",
            )
            for each in item.standings[:16]
        ],
    )


def asked(plan: decide.Plan) -> list[Asked]:
    """What a person was asked about, for the next process: to it the plan has to be the same one."""
    known = [
        Asked(uid=uid, since=need.since, check=need.check, back=back)
        for uid, each in sorted(plan.memory.items())
        for need, back in ((each.need, False), (each.back, True))
        if need is not None and need.asked
    ]
    return known[:ASKED]


def escalations(plan: decide.Plan) -> list[Escalation]:
    """What waits for a person, as a status shows it."""
    return [Escalation(item.reason, item.message) for item in plan.escalations]


def summaries(target: Target, remediations: Iterable[Remediation]) -> list[RemediationSummary]:
    """The last actions that this KiroHealthCheck asked for, newest first."""
    mine = [item for item in remediations if item.spec.health_check.uid == target.uid]
    mine.sort(key=lambda item: (item.entry.reserved_at, item.name), reverse=True)
    return [item.summary() for item in mine[:REMEDIATIONS]]
