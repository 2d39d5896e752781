"""RestoreSafetyConfig: bring the safety configuration back to what the KiroSafetyPolicies desire.

One merge patch under the object's version: a server-side apply would leave the keys that somebody
else added, and those are drift as well.
"""

from collections.abc import Collection
from typing import Any

from kiro_operator.api.v1alpha1.autonomy import DesiredConfig, OnDrift
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.evidence.safety_config import (
    BINARY,
    SAFETY_CONFIG,
    ConfigData,
    differences,
    differing,
    digest,
)
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import Fence, Intent
from kiro_operator.core.remedies.types import Refusal, Remedy, Request, writing
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.core.switches import contained
from kiro_operator.core.writes import Chosen, Must, Operation, Write, changes

ACTION = ActionName.RESTORE_SAFETY_CONFIG
NAME = "kiro-safety-config"
"""The ConfigMap that the overlay of this remedy covers; for one of another name the admin adds a rule."""
RULES: tuple[Rule, ...] = (
    Rule(
        "",
        ("configmaps",),
        ("patch",),
        "bring the safety configuration back to what a KiroSafetyPolicy desires",
        grant=Grant.RESTORE,
        names=(NAME,),
    ),
    Rule(
        "",
        ("configmaps",),
        ("create",),
        "make the safety configuration anew where it was deleted",
        grant=Grant.RESTORE,
    ),
)
ADMITTED = (
    Write(
        by="RestoreSafetyConfig",
        api_version="v1",
        resources=("configmaps",),
        operations=(Operation.CREATE, Operation.UPDATE),
        chosen=(Chosen("safetyConfigs", f"['{NAME}']"),),
        musts=(
            Must(
                "object.metadata.name in variables.safetyConfigs",
                "the ConfigMap is not among safetyConfigs of this policy",
            ),
            *changes(("data",), ("binaryData",)),
            Must(
                "object.?binaryData.orValue({}).all(k,\n"
                "k in variables.before.?binaryData.orValue({})\n"
                "&& object.binaryData[k] == variables.before.binaryData[k])",
                "what is binary is taken out at most",
            ),
        ),
    ),
)


def propose(request: Request) -> Intent | Refusal:
    """The one change after which nothing differs, from a fresh sample."""
    seen = request.snapshot.value(SAFETY_CONFIG)
    if isinstance(seen, Unobserved):
        return Refusal("EvidenceMissing", f"{named(request.target)}: {seen.message}", lasting=False)
    wanted = _wanted(request)
    if isinstance(wanted, Refusal):
        return wanted
    actual = seen.get(wanted.name)
    if actual is None:
        diff = f"{named(request.target)}: absent, made anew with {len(wanted.data)} keys"
        return writing(request, ACTION, Method.CREATE, Fence("", ""), content=_manifest(wanted), diff=diff)
    if actual.uid != request.target.uid:
        message = f"{named(request.target)} is another object by now"
        return Refusal("EvidenceMissing", message, lasting=False)
    if actual.truncated:
        message = f"{named(request.target)} holds more keys than are looked at: mend it by hand"
        return Refusal("TooManyKeys", message, lasting=True)
    kept = {key for key, value in request.contained.items() if actual.digests.get(key) == digest(value)}
    held = contained(wanted.name, actual, request.snapshot.policies.values()) | kept
    if not differing(wanted, actual, held):
        if kept:
            message = f"{named(request.target)} is contained, which only a person lifts"
            return Refusal("Contained", message, lasting=True)
        return Refusal("Healed", f"{named(request.target)} is as it should be", lasting=False)
    fence = Fence(actual.uid, actual.resource_version)
    diff = "; ".join(differences(wanted, actual, held))
    return writing(request, ACTION, Method.PATCH, fence, content=_patch(wanted, actual, held), diff=diff)


def _wanted(request: Request) -> DesiredConfig | Refusal:
    """What is desired, where each policy that has a say asks to restore the same.

    A say has each that names this ConfigMap, and each that allows the action: otherwise a second policy
    could have written what the first one does not ask for.
    """
    what, name = named(request.target), request.target.name
    desired = [
        spec.safety_config
        for spec in request.snapshot.policies.values()
        if (spec.safety_config is not None and spec.safety_config.name == name)
        or any(listed.name is ActionName.RESTORE_SAFETY_CONFIG for listed in spec.actions)
    ]
    for config in desired:
        if config is None or config.name != name or config.on_drift is not OnDrift.RESTORE:
            continue
        if any(other != config for other in desired):
            message = f"the KiroSafetyPolicies do not all ask to restore {what}, and to the same content"
            return Refusal("PoliciesDisagree", message, lasting=True)
        return config
    message = f"no KiroSafetyPolicy asks any more to restore {what}"
    return Refusal("NotDesired", message, lasting=False)


def _manifest(wanted: DesiredConfig) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": wanted.name},
        "data": dict(wanted.data),
    }


def _patch(wanted: DesiredConfig, actual: ConfigData, held: Collection[str]) -> dict[str, Any]:
    patch: dict[str, Any] = {"data": {}}
    for key in differing(wanted, actual, held):
        # A key stands in one of the two maps only: where text replaces what is binary, that has to go.
        if actual.digests.get(key) == BINARY:
            patch.setdefault("binaryData", {})[key] = None
        if key in wanted.data or actual.digests.get(key) != BINARY:
            patch["data"][key] = wanted.data.get(key)
    return patch


REMEDY = Remedy(
    action=ACTION,
    title="Bring the safety configuration back to what is desired",
    propose=propose,
)
