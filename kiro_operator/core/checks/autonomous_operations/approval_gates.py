"""Whether every action with risk waits at a gate, and whether somebody may open each gate."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.autonomy import ApprovalGate
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.access import approvals, grantors, rule_for, self_approval, user
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.access import ACCESS, Access, Question
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData
from kiro_operator.core.findings import clip, found
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, skipped, unknown

_SHOWN = 6
_ORDER = ("ApprovesItself", "GateBypassed", "GateMissing", "NobodyMayApprove")


class ApprovalGatesParameters(Parameters):
    """Where actions with risk are listed."""

    config_key: Annotated[str, Field(max_length=253)] = Field(
        default="require-approval",
        description="Key of the safety configuration that lists actions with risk, by commas or lines.",
    )


Judged = tuple[Ref, str, str] | Unobserved | None
"""Of a gate: the object, the reason and the words; why it is not known; or that all is well."""


def judge(snapshot: Snapshot, parameters: ApprovalGatesParameters, now: datetime) -> Verdict:
    """Judge each policy's gates: what can be told from the policy alone counts whatever else is unknown."""
    configs = snapshot.value(SAFETY_CONFIG)
    findings: list[Finding] = []
    declared, missing = False, list[Unobserved]()
    for name, spec in sorted(snapshot.policies.items()):
        risky = _risky(spec, {} if isinstance(configs, Unobserved) else configs, parameters.config_key)
        declared = declared or bool(risky or spec.approval_gates or spec.boundaries)
        findings += _from_policy(name, spec, risky, now)
        missing += _unread(spec, configs)
        for judged in _gates(name, spec, snapshot):
            if isinstance(judged, Unobserved):
                missing.append(judged)
            elif judged is not None:
                ref, reason, text = judged
                findings.append(Finding(ref, reason, text, snapshot.sampled_at(ACCESS, now)))
    if findings:
        return found(_merged(findings))
    if missing:
        return unknown(missing[0])
    if not declared:
        return skipped(
            "NotDeclared",
            "No KiroSafetyPolicy says which actions have a risk: write spec.boundaries and "
            "spec.approvalGates.",
        )
    return passed("Every action with risk waits at a gate that somebody else may open.")


def _unread(
    spec: KiroSafetyPolicySpec, configs: Mapping[str, ConfigData | None] | Unobserved
) -> Iterator[Unobserved]:
    """Why a policy's safety configuration is not known, where it names one."""
    if spec.safety_config is not None:
        if isinstance(configs, Unobserved):
            yield configs
        elif spec.safety_config.name not in configs:
            yield _NOT_SAMPLED


def _gates(name: str, spec: KiroSafetyPolicySpec, snapshot: Snapshot) -> Iterator[Judged]:
    access = snapshot.value(ACCESS)
    for gate in spec.approval_gates:
        if isinstance(access, Unobserved):
            yield access
        elif "reviews" in access.missing:
            yield access.missing["reviews"]
        else:
            yield _gate(name, spec, gate, access, snapshot.namespace)


def _risky(spec: KiroSafetyPolicySpec, configs: Mapping[str, ConfigData | None], key: str) -> dict[str, str]:
    """The actions with risk, in lower case, and as they are written."""
    names = list(spec.boundaries.risky) if spec.boundaries is not None else []
    config = configs.get(spec.safety_config.name) if spec.safety_config is not None else None
    if config is not None:
        names += config.data.get(key, "").replace(",", "\n").split("\n")
    return {name.strip(" -\t").lower(): name.strip(" -\t") for name in names if name.strip(" -\t")}


def _from_policy(
    name: str, spec: KiroSafetyPolicySpec, risky: Mapping[str, str], now: datetime
) -> Iterator[Finding]:
    ref = Ref("KiroSafetyPolicy", name)
    gated = {action.lower() for gate in spec.approval_gates for action in gate.actions}
    if lacking := sorted(risky[action] for action in risky if action not in gated):
        text = (
            f"KiroSafetyPolicy {name} has no approval gate for what has a risk: {_listed(lacking)}; "
            "add them to the actions of a gate in spec.approvalGates"
        )
        yield Finding(ref, "GateMissing", text, now, at_once=True)
    automatic = sorted(
        item.name.value
        for item in spec.actions
        if item.approval == "Automatic" and item.name.lower() in {*risky, *gated}
    )
    if automatic:
        text = (
            f"KiroSafetyPolicy {name} approves automatically what has a risk: {_listed(automatic)}; "
            "write approval: Manual for it"
        )
        yield Finding(ref, "GateBypassed", text, now, at_once=True)


def _gate(
    name: str, spec: KiroSafetyPolicySpec, gate: ApprovalGate, access: Access, namespace: str
) -> Judged:
    """What is wrong with one gate, by the API server's own answers."""
    ref = Ref("KiroSafetyPolicy", name)
    itself = self_approval(gate, spec, namespace)
    asked = (itself, *approvals(gate, namespace))
    answers = {review.question: review.allowed for review in access.reviews if not review.error}
    if answers.get(itself):
        by = "; ".join(_by(access, itself)) or "by no role that is known"
        text = (
            f"KiroSafetyPolicy {name}: ServiceAccount {itself.subject.name}, which acts by itself, may "
            f"approve its own actions at the gate {gate.name} ({by}): take that away from it"
        )
        return ref, "ApprovesItself", clip(text, 960)
    if any(answers.get(question) for question in asked[1:]):
        return None if itself in answers else _UNANSWERED
    if any(question not in answers for question in asked):
        return _UNANSWERED
    who = _listed([f"{item.subject.kind} {user(item.subject) or item.subject.name}" for item in asked[1:]])
    text = (
        f"KiroSafetyPolicy {name}: nobody may approve at the gate {gate.name}: grant {who} in namespace "
        f"{namespace}: {rule_for(asked[1])}"
    )
    return ref, "NobodyMayApprove", clip(text, 960)


_NOT_SAMPLED = Unobserved(
    "NotSampled", "A KiroSafetyPolicy names a ConfigMap that has not been looked at yet."
)
_UNANSWERED = Unobserved("Unanswered", "The API server has not answered yet who may approve, or cannot.")


def _by(access: Access, asked: Question) -> list[str]:
    return sorted({f"by {item.binding.kind} {item.binding.name}" for item in grantors(access, asked)})


def _merged(findings: list[Finding]) -> list[Finding]:
    """One finding a policy and reason, in the order of their weight."""
    groups: dict[tuple[Ref, str], list[Finding]] = {}
    for item in findings:
        groups.setdefault((item.object, item.reason), []).append(item)
    return [
        Finding(
            ref,
            reason,
            clip("; ".join(item.message for item in group), 960),
            min(item.since for item in group),
            at_once=all(item.at_once for item in group),
        )
        for (ref, reason), group in sorted(
            groups.items(), key=lambda item: (_ORDER.index(item[0][1]), item[0][0])
        )
    ]


def _listed(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


CHECK = Check(
    title="What has a risk waits for somebody who may approve it",
    section="autonomous-operations-safety",
    command="kubectl get kirosafetypolicies -n {namespace} -o jsonpath='{{.items[*].spec.approvalGates}}'; "
    "kubectl get rolebindings -n {namespace} -o wide",
    sources=(ACCESS, SAFETY_CONFIG, Source.POLICIES),
    judge=judge,
    parameters=ApprovalGatesParameters,
    failure_threshold=1,
    success_threshold=1,
)
