"""Whether anything may be done at all, before any one action is looked at."""

from collections.abc import Iterable, Sequence

from kiro_operator.api.v1alpha1.safetypolicy import Mode
from kiro_operator.core.conditions import Permission
from kiro_operator.core.policy.plan import Policy
from kiro_operator.core.policy.storms import told


def permission(policies: Sequence[Policy] | None, *, suspended: bool = False) -> Permission:
    """Whether anything may be done at all."""
    if suspended:
        return Permission(allowed=False, reason="Suspended", message="spec.suspend is true")
    if not policies:
        return Permission(
            allowed=False, reason="NoPolicy", message="no KiroSafetyPolicy is named: observation only"
        )
    for policy in policies:
        spec = policy.spec
        if spec is None:
            return Permission(allowed=False, reason=policy.reason, message=policy.refusal)
        if spec.mode is not Mode.ENFORCE:
            message = f"KiroSafetyPolicy {policy.name} is in mode {spec.mode.value}: nothing is done"
            return Permission(allowed=False, reason=f"Mode{spec.mode.value}", message=message)
        if spec.pause_requests:
            message = f"KiroSafetyPolicy {policy.name} is paused: {'; '.join(spec.pause_requests)}"
            return Permission(allowed=False, reason="Paused", message=message)
        if not spec.actions:
            message = f"KiroSafetyPolicy {policy.name} lists no action"
            return Permission(allowed=False, reason="NothingAllowed", message=message)
    names = ", ".join(policy.name for policy in policies)
    return Permission(allowed=True, reason="PolicyAllows", message=f"within the limits of {names}")


def paused(policies: Iterable[Policy]) -> Permission | None:
    """What a mass failure holds up; None where there is none."""
    for policy in policies:
        if policy.storm is not None and policy.spec is not None and policy.spec.storm_cooldown is not None:
            reason, message = told(policy.storm, policy.spec.storm_cooldown)
            return Permission(
                allowed=False, reason=reason, message=f"KiroSafetyPolicy {policy.name}: {message}"
            )
    return None
