"""What Kiro's ServiceAccount may do and must not: ``kubectl auth can-i --as``, as a matrix."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from kiro_operator.api.v1alpha1.autonomy import Permissions
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.access import (
    Cell,
    account,
    cells,
    grantors,
    matrices,
    rule_for,
    rule_told,
    told,
    user,
)
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.access import ACCESS, Access
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG
from kiro_operator.core.findings import clip, found
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved
from kiro_operator.core.switches import asking
from kiro_operator.core.verdict import Finding, Verdict, passed, skipped, unknown

_SHOWN = 4
_ORDER = ("PermissionExcessive", "PermissionMissing", "ServiceAccountMissing", "Contradictory")
_UNANSWERED = Unobserved(
    "Unanswered",
    "The API server has not answered yet for all permissions, or cannot: ask for fewer of them in "
    "spec.permissions of the KiroSafetyPolicies, and see the API server's authorizers.",
)


class Fault(Struct, frozen=True):
    """One cell that differs, and what is to blame."""

    object: Ref
    reason: str
    intro: str
    """What is wrong with the object; equal for all its faults of the reason."""
    detail: str
    advice: str
    policy: str


def judge(snapshot: Snapshot, _parameters: Parameters, now: datetime) -> Verdict:
    """Hold the API server's answers against what each policy wants."""
    access = snapshot.value(ACCESS)
    if isinstance(access, Unobserved):
        return unknown(access)
    for part in ("reviews", "accounts"):
        if part in access.missing:
            return unknown(access.missing[part])
    wanted = matrices(snapshot.policies)
    if "" in wanted and not access.accounts.get(wanted[""].service_account, True):
        return skipped(
            "NoServiceAccount",
            f"There is no ServiceAccount {wanted[''].service_account} in namespace {snapshot.namespace}, "
            "and no KiroSafetyPolicy says what another is to be allowed.",
        )
    groups: dict[tuple[Ref, str], list[Fault]] = {}
    for policy, permissions in wanted.items():
        for fault in _faults(policy, permissions, access, snapshot.namespace):
            groups.setdefault((fault.object, fault.reason), []).append(fault)
    if groups:
        since = snapshot.sampled_at(ACCESS, now)
        ordered = sorted(groups.items(), key=lambda item: (_ORDER.index(item[0][1]), item[0][0]))
        findings = [Finding(ref, reason, _told(group), since) for (ref, reason), group in ordered]
        # Only what it may beyond its bounds can do harm; what it lacks makes it fail.
        harmful = [finding for finding in findings if finding.reason == "PermissionExcessive"]
        others = [finding for finding in findings if finding.reason != "PermissionExcessive"]
        return found([*asking(harmful, ActionName.CONTAIN, snapshot), *others])
    asked = {cell.question for item in wanted.values() for cell in cells(item, snapshot.namespace)}
    if not asked <= {review.question for review in access.reviews if not review.error}:
        return unknown(_UNANSWERED)
    return passed("The ServiceAccount may do what it needs and nothing that it must not.")


def _faults(policy: str, permissions: Permissions, access: Access, namespace: str) -> Iterator[Fault]:
    who = permissions.service_account
    ref = Ref("ServiceAccount", who)
    if not access.accounts.get(who, True):
        create = f"kubectl create serviceaccount {who} -n {namespace}"
        yield Fault(ref, "ServiceAccountMissing", f"ServiceAccount {who} does not exist", create, "", policy)
        return
    matrix = cells(permissions, namespace)
    needed = {cell.question for cell in matrix if cell.allow}
    for cell in matrix:
        review = access.review(cell.question)
        if review is None or review.error:
            continue
        if not cell.allow and cell.question in needed:
            intro = f"ServiceAccount {who} is to be allowed and denied the same"
            advice = "take it out of mustAllow or of mustDeny"
            yield Fault(ref, "Contradictory", intro, told(cell.question), advice, policy)
        elif cell.allow and not review.allowed:
            yield _missing(ref, cell, policy)
        elif review.allowed and not cell.allow:
            yield from _excessive(ref, cell, access, policy)


def _missing(ref: Ref, cell: Cell, policy: str) -> Fault:
    asked = cell.question
    place = f"a Role in namespace {asked.namespace}" if asked.namespace else "a ClusterRole"
    intro = f"ServiceAccount {ref.name} is denied what it must be allowed; add to a role that is bound to it"
    return Fault(ref, "PermissionMissing", intro, f"{rule_for(asked)} ({place})", "", policy)


def _excessive(ref: Ref, cell: Cell, access: Access, policy: str) -> Iterator[Fault]:
    asked = cell.question
    named = False
    for grantor in grantors(access, asked):
        named = True
        binding, role = grantor.binding, grantor.role
        intro = (
            f"{binding.kind} {binding.name} grants {role.kind} {role.name} to ServiceAccount {ref.name}, "
            "which allows what must be denied"
        )
        detail = f"{told(asked)} by the rule ({rule_told(grantor.rule)})"
        advice = "narrow the rule or delete the binding"
        yield Fault(Ref(binding.kind, binding.name), "PermissionExcessive", intro, detail, advice, policy)
    if not named:
        intro = f"ServiceAccount {ref.name} is allowed what must be denied, by no role that is known"
        advice = "see the API server's other authorizers"
        yield Fault(ref, "PermissionExcessive", intro, told(asked), advice, policy)


def _told(group: list[Fault]) -> str:
    details = _unique(fault.detail for fault in group)
    advice = group[0].advice
    policies = _unique(fault.policy for fault in group if fault.policy)
    text = f"{group[0].intro}: {'; '.join(details[:_SHOWN])}"
    if len(details) > _SHOWN:
        text += f" and {len(details) - _SHOWN} more"
    text = clip(text, 800)
    if advice:
        text += f"; {advice}"
    return clip(f"{text} (KiroSafetyPolicy {', '.join(policies)})" if policies else text, 960)


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


CHECK = Check(
    title="Kiro's ServiceAccount may do what it needs and no more",
    section="autonomous-operations-resources",
    command=f"kubectl auth can-i --list -n {{namespace}} --as={user(account('kiro', '{namespace}'))}",
    sources=(ACCESS, SAFETY_CONFIG, Source.POLICIES),
    borrows=(SAFETY_CONFIG,),
    judge=judge,
    failure_threshold=1,
    success_threshold=1,
)
