"""``kubectl get configmap kiro-safety-config``, held against what the KiroSafetyPolicy desires."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.autonomy import DesiredConfig, OnDrift
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData, differences
from kiro_operator.core.findings import clip, found
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved, absent
from kiro_operator.core.switches import contained
from kiro_operator.core.verdict import Finding, Verdict, passed, skipped, unknown


class SafetyConfigParameters(Parameters):
    """Bounds of safety-config."""

    differences: Annotated[int, Field(ge=1, le=32)] = Field(
        default=8, description="Keys that the message shows with what was expected and what was found."
    )


def judge(snapshot: Snapshot, parameters: SafetyConfigParameters, now: datetime) -> Verdict:
    """Hold each desired configuration against the ConfigMap of its name."""
    desired = {
        name: spec.safety_config
        for name, spec in sorted(snapshot.policies.items())
        if spec.safety_config is not None
    }
    if not desired:
        return skipped(
            "NotDeclared",
            "No KiroSafetyPolicy says what the safety configuration is to hold: write spec.safetyConfig.",
        )
    sample = snapshot.value(SAFETY_CONFIG)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    since = snapshot.sampled_at(SAFETY_CONFIG, now)
    specs = snapshot.policies.values()
    findings: list[Finding] = []
    for policy, wanted in desired.items():
        if wanted.name not in sample:
            return unknown(Unobserved("NotSampled", f"ConfigMap {wanted.name} has not been looked at yet."))
        actual = sample[wanted.name]
        findings += (
            [_absent(policy, wanted, snapshot.namespace, since)]
            if actual is None
            else _findings(
                policy,
                wanted,
                actual,
                contained(wanted.name, actual, specs),
                most=parameters.differences,
                since=since,
            )
        )
    if findings:
        return found(sorted(findings, key=lambda item: (item.reason, item.object, item.message)))
    names = ", ".join(sorted({wanted.name for wanted in desired.values()}))
    return passed(f"ConfigMap {names} holds what the KiroSafetyPolicies desire.")


def _absent(policy: str, wanted: DesiredConfig, namespace: str, since: datetime) -> Finding:
    text = (
        f"ConfigMap {wanted.name} is absent from namespace {namespace}, and KiroSafetyPolicy {policy} says "
        "what it is to hold: restore it from there"
    )
    return _finding(absent("ConfigMap", wanted.name), "ConfigAbsent", text, wanted, since)


def _findings(
    policy: str,
    wanted: DesiredConfig,
    actual: ConfigData,
    held: Collection[str],
    *,
    most: int,
    since: datetime,
) -> list[Finding]:
    told = list(differences(wanted, actual, held))
    if not told:
        return []
    rest = len(told) - most
    text = (
        f"ConfigMap {wanted.name} differs from KiroSafetyPolicy {policy} (expected → found): "
        f"{'; '.join(told[:most])}{f'; and {rest} more' if rest > 0 else ''}"
    )
    ref = Ref("ConfigMap", wanted.name, actual.uid)
    return [_finding(ref, "ConfigDiffers", clip(text, 960), wanted, since)]


def _finding(ref: Ref, reason: str, text: str, wanted: DesiredConfig, since: datetime) -> Finding:
    restore = wanted.on_drift is OnDrift.RESTORE
    return Finding(
        Ref(ref.kind, ref.name),
        reason,
        text,
        since,
        target=ref if restore else None,
        remedies=(ActionName.RESTORE_SAFETY_CONFIG,) if restore else (),
    )


CHECK = Check(
    title="The safety configuration is as it was decided",
    section="autonomous-operations-safety",
    command="kubectl get configmap -n {namespace} kiro-safety-config -o yaml",
    sources=(SAFETY_CONFIG, Source.POLICIES),
    judge=judge,
    parameters=SafetyConfigParameters,
    failure_threshold=1,
    success_threshold=1,
)
