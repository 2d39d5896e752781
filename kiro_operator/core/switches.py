"""Keys of ConfigMaps that policies let an action set, and the findings that ask for it."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import json
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.autonomy import Switch
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData, digest
from kiro_operator.core.objects.records import is_later
from kiro_operator.core.snapshot import AWAITING, Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding

SWITCHES = frozenset({ActionName.CONTAIN, ActionName.DETAILED_LOGGING})
"""Actions that set a key of a ConfigMap which a policy names."""
NOT_WATCHED = "NotWatched"
"""Reason for what is known of a ConfigMap that no policy names any more."""


def switches(spec: KiroSafetyPolicySpec) -> Mapping[ActionName, Switch]:
    """What a policy lets each such action set; an action that it does not list has nothing."""
    listed = {action.name for action in spec.actions}
    given: Mapping[ActionName, Switch | None] = {
        ActionName.CONTAIN: spec.containment,
        ActionName.DETAILED_LOGGING: spec.detailed_logging,
    }
    return {action: switch for action, switch in given.items() if switch is not None and action in listed}


def wanted(action: ActionName, policies: Iterable[KiroSafetyPolicySpec]) -> Switch | str:
    """The one switch that an action sets, or why there is none."""
    found = [switch for spec in policies if (switch := switches(spec).get(action)) is not None]
    if not found:
        return f"no KiroSafetyPolicy lists {action} with what it sets"
    if any(switch != found[0] for switch in found):
        return f"the KiroSafetyPolicies name different settings for {action}"
    return found[0]


def is_set(switch: Switch, actual: ConfigData) -> bool:
    """Whether the ConfigMap holds the value already."""
    return actual.digests.get(switch.key) == digest(switch.value)


def contained(name: str, actual: ConfigData, policies: Iterable[KiroSafetyPolicySpec]) -> frozenset[str]:
    """The keys of a ConfigMap that a containment holds now, whoever has set them."""
    found = (switches(spec).get(ActionName.CONTAIN) for spec in policies)
    return frozenset(
        switch.key
        for switch in found
        if switch is not None and switch.config_map == name and is_set(switch, actual)
    )


def held(ref: Ref, patch: str, before: str, snapshot: Snapshot) -> bool | Unobserved:
    """Whether a ConfigMap has the keys that a merge patch set, as it set them.

    ``before`` is the resource version that the patch was made for: what is no later knows nothing of it, and
    must not be taken for somebody who has changed it back.
    """
    seen = snapshot.value(SAFETY_CONFIG)
    if isinstance(seen, Unobserved):
        return seen
    if ref.name not in seen:
        # Not looked at is not gone: that would be taken for somebody else's change.
        return Unobserved(NOT_WATCHED, f"no KiroSafetyPolicy names ConfigMap {ref.name} any more")
    actual = seen.get(ref.name)
    if actual is None or actual.uid != ref.uid:
        return False
    if not is_later(actual.resource_version, before):
        return Unobserved("Stale", f"what was read of ConfigMap {ref.name} is from before the change")
    data: Mapping[str, str | None] = json.decode(patch)["data"]
    return all(
        actual.digests.get(key) == (None if value is None else digest(value)) for key, value in data.items()
    )


def asking(findings: Sequence[Finding], action: ActionName, snapshot: Snapshot) -> list[Finding]:
    """The findings as they ask for an action that policies have chosen, unless it is done already.

    Before the first look at the ConfigMap they ask for it without a target: that passes.
    """
    switch = wanted(action, snapshot.policies.values())
    seen = snapshot.value(SAFETY_CONFIG)
    if isinstance(switch, str):
        return list(findings)
    if isinstance(seen, Unobserved):
        later = (action,) if seen.reason == AWAITING.reason else ()
        return [replace(finding, remedies=later) for finding in findings]
    actual = seen.get(switch.config_map)
    if actual is None or is_set(switch, actual):
        return list(findings)
    target = Ref("ConfigMap", switch.config_map, actual.uid)
    return [replace(finding, target=target, remedies=(action,)) for finding in findings]
