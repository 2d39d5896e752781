"""``kubectl get configmap kiro-safety-config``, held against what the KiroSafetyPolicy desires."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.autonomy import DesiredConfig
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData
from kiro_operator.core.findings import clip, found
from kiro_operator.core.redact import redact
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, skipped, unknown

_SHOWN = 60
"""Characters of a value in a difference."""


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
    findings: list[Finding] = []
    for policy, wanted in desired.items():
        if wanted.name not in sample:
            return unknown(Unobserved("NotSampled", f"ConfigMap {wanted.name} has not been looked at yet."))
        actual = sample[wanted.name]
        findings += (
            [_absent(policy, wanted.name, snapshot.namespace, since)]
            if actual is None
            else _findings(policy, wanted, actual, parameters.differences, since)
        )
    if findings:
        return found(sorted(findings, key=lambda item: (item.reason, item.object, item.message)))
    names = ", ".join(sorted({wanted.name for wanted in desired.values()}))
    return passed(f"ConfigMap {names} holds what the KiroSafetyPolicies desire.")


def _absent(policy: str, name: str, namespace: str, since: datetime) -> Finding:
    text = (
        f"ConfigMap {name} is absent from namespace {namespace}, and KiroSafetyPolicy {policy} says what it "
        "is to hold: restore it from there"
    )
    return Finding(Ref("ConfigMap", name), "ConfigAbsent", text, since)


def _findings(
    policy: str, wanted: DesiredConfig, actual: ConfigData, most: int, since: datetime
) -> list[Finding]:
    differences = list(_differences(wanted, actual))
    if not differences:
        return []
    rest = len(differences) - most
    text = (
        f"ConfigMap {wanted.name} differs from KiroSafetyPolicy {policy} (expected → found): "
        f"{'; '.join(differences[:most])}{f'; and {rest} more' if rest > 0 else ''}"
    )
    return [Finding(Ref("ConfigMap", wanted.name), "ConfigDiffers", clip(text, 960), since)]


def _differences(wanted: DesiredConfig, actual: ConfigData) -> Iterator[str]:
    """Each key that is not as it should be: expected → found."""
    for key in sorted({*wanted.data, *actual.digests}):
        if key not in actual.digests:
            yield f"{key}: {_shown(key, wanted.data[key])} → absent"
        elif key not in wanted.data:
            yield f"{key}: absent → {_quoted(actual.data.get(key, ''))}"
        elif actual.digests[key] != _digest(wanted.data[key]):
            yield f"{key}: {_shown(key, wanted.data[key])} → {_quoted(actual.data.get(key, ''))}"
    if actual.truncated:
        yield "more keys than are looked at"


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _shown(key: str, value: str) -> str:
    return _quoted(redact(f"{key}: {value}").removeprefix(f"{key}: "))


def _quoted(value: str) -> str:
    return f"'{clip(' '.join(value.split()), _SHOWN)}'"


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
