"""What all gates of all policies say of one intent."""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec, Mode, ScaleLimits
from kiro_operator.core.policy.approvals import change, gates_of, standing
from kiro_operator.core.policy.gates import GATES, Ruling, run_gates
from kiro_operator.core.policy.plan import Decision, Policy
from kiro_operator.core.policy.text import clip
from kiro_operator.core.policy.types import Intent, Ledger, Situation


def rule(
    intent: Intent, policies: Iterable[Policy], situation: Situation, ledger: Ledger, now: datetime
) -> Decision:
    """The decision on an intent: each gate has to be passed under each policy.

    To ask once more about an action that is in the ledger already, as before carrying it out,
    leave it out of the ledger: ``ledger.without(intent.name)``.
    """
    in_force = sorted(policies, key=lambda policy: policy.name)
    if not in_force:
        return Decision(
            intent, "Denied", "policy", "NoPolicy", "no KiroSafetyPolicy is named: observation only"
        )
    specs: list[tuple[KiroSafetyPolicySpec, Situation]] = []
    for policy in in_force:
        if policy.spec is None:
            return Decision(
                intent, "Denied", "policy", policy.reason, clip(policy.refusal), needs_person=True
            )
        specs.append((policy.spec, replace(situation, storm=policy.storm)))
    advice = intent.method is Method.ADVISE
    gates = sorted({gate for spec, _ in specs if not advice for gate in gates_of(intent, spec)})
    standings = tuple(standing(gate, intent, situation.approvals, ledger, now) for gate in gates)
    narrowest = max((run_gates(intent, spec, facts, ledger, now) for spec, facts in specs), key=_narrowness)
    passed = narrowest.passed
    if narrowest.denial is not None:
        reason, message, until, needs_person = (
            narrowest.denial.reason,
            narrowest.denial.message,
            narrowest.denial.until,
            narrowest.denial.needs_person,
        )
        return Decision(
            intent, "Denied", narrowest.gate, reason, message, until, needs_person, passed, standings
        )
    if any(spec.mode is not Mode.ENFORCE for spec, _ in specs):
        message = clip(f"the policy is in mode DryRun: this would be done now: {change(intent)}")
        return Decision(intent, "DryRun", "mode", "ModeDryRun", message, passed=passed, standings=standings)
    message = f"all {len(GATES)} gates let it through"
    return Decision(intent, "Allowed", "all", "Allowed", message, passed=passed, standings=standings)


def _narrowness(ruling: Ruling) -> tuple[object, ...]:
    """The ruling that denies first is told; of several at the same gate the one that holds longest."""
    return -len(ruling.passed), ruling.denial.holds if ruling.denial else ()


def narrowest_limits(policies: Iterable[Policy]) -> ScaleLimits | None:
    """The bounds of scaling that keep within those of each policy; None where there are none."""
    bounds = [policy.spec.scale for policy in policies if policy.spec is not None and policy.spec.scale]
    if not bounds:
        return None
    ceiling = min(each.ceiling for each in bounds)
    return ScaleLimits(
        floor=max(each.floor for each in bounds), ceiling=ceiling, step=min(each.step for each in bounds)
    )
