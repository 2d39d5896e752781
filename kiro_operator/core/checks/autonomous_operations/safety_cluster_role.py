"""The ClusterRole of autonomous operations and whom it is bound to, as the KiroSafetyPolicy desires it."""

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from kiro_operator.api.v1alpha1.autonomy import DesiredClusterRole, OnDrift
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.access import subject, subjects_told
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.access import ACCESS, Access, Binding, Role, Subject
from kiro_operator.core.evidence.restorable import RESTORABLE, Restorable
from kiro_operator.core.findings import clip, found
from kiro_operator.core.grants import beyond, declared, listed
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved, absent
from kiro_operator.core.verdict import Finding, Verdict, passed, skipped, unknown

_VERBS = frozenset({"*", "escalate", "bind", "impersonate"})
_RESOURCES = frozenset({"*", "secrets", "pods/exec", "pods/attach", "serviceaccounts/token"})


def judge(snapshot: Snapshot, _parameters: Parameters, now: datetime) -> Verdict:
    """Hold each desired ClusterRole against the one of its name."""
    desired = {
        name: spec.cluster_role
        for name, spec in sorted(snapshot.policies.items())
        if spec.cluster_role is not None
    }
    if not desired:
        return skipped(
            "NotDeclared",
            "No KiroSafetyPolicy says what the ClusterRole of autonomous operations is to hold: "
            "write spec.clusterRole.",
        )
    access = snapshot.value(ACCESS)
    if isinstance(access, Unobserved):
        return unknown(access)
    if not {wanted.name for wanted in desired.values()} <= access.looked_for:
        return unknown(
            Unobserved("NotSampled", "A KiroSafetyPolicy names a ClusterRole that was not looked for yet.")
        )
    since = snapshot.sampled_at(ACCESS, now)
    read = snapshot.value(RESTORABLE)
    findings = [
        finding
        for policy, wanted in desired.items()
        for finding in _findings(
            policy,
            wanted,
            access if isinstance(read, Unobserved) else _newer(access, wanted.name, read.get(wanted.name)),
            snapshot.namespace,
            since,
        )
    ]
    if findings:
        return found(sorted(findings, key=_weight))
    names = ", ".join(sorted({wanted.name for wanted in desired.values()}))
    return passed(f"ClusterRole {names} holds, and is bound, as the KiroSafetyPolicies desire.")


def _newer(access: Access, name: str, read: Restorable | None) -> Access:
    """What was read by name is newer than what the lists say, which are kept for a moment."""
    if read is None:
        return access
    roles = [item for item in access.roles if (item.kind, item.name) != ("ClusterRole", name)]
    bindings = [item for item in access.bindings if (item.kind, item.name) != ("ClusterRoleBinding", name)]
    if read.role is not None:
        roles.append(Role("ClusterRole", name, read.role.rules, read.role.uid))
    if read.binding is not None:
        there = read.binding
        bindings.append(
            Binding("ClusterRoleBinding", name, there.role_kind, there.role_name, there.subjects, there.uid)
        )
    return replace(access, roles=tuple(roles), bindings=tuple(bindings))


_ORDER = ("RoleGrantsTooMuch", "BoundToOthers", "RoleAbsent", "RoleDiffers", "NotBound")


def _weight(finding: Finding) -> tuple[int, Ref, str]:
    return _ORDER.index(finding.reason), finding.object, finding.message


def _findings(
    policy: str, wanted: DesiredClusterRole, access: Access, namespace: str, since: datetime
) -> Iterator[Finding]:
    ref = Ref("ClusterRole", wanted.name)
    role = access.role("ClusterRole", wanted.name)
    if role is None:
        text = (
            f"ClusterRole {wanted.name} is absent, and KiroSafetyPolicy {policy} says what it is to hold: "
            "an administrator restores it from there"
        )
        yield _asked(Finding(ref, "RoleAbsent", text, since), wanted, absent("ClusterRole", wanted.name))
        return
    target = Ref("ClusterRole", wanted.name, role.uid)
    expected = declared(wanted.rules)
    extra, missing = beyond(role.rules, expected), beyond(expected, role.rules)
    if extra:
        dangerous = [item for item in extra if item.verb in _VERBS or item.resource in _RESOURCES]
        first = f"grants {listed(dangerous)}, which lets it do far more; " if dangerous else ""
        text = f"ClusterRole {role.name} grants more than KiroSafetyPolicy {policy} declares: {first}"
        text += f"take out: {listed(extra)}"
        if missing:
            text += f"; and add: {listed(missing)}"
        yield _asked(Finding(ref, "RoleGrantsTooMuch", clip(text, 960), since), wanted, target)
    elif missing:
        text = (
            f"ClusterRole {role.name} lacks what KiroSafetyPolicy {policy} declares: add: {listed(missing)}"
        )
        yield _asked(Finding(ref, "RoleDiffers", clip(text, 960), since), wanted, target)
    yield from _bound(policy, wanted, access, namespace, since)


def _bound(
    policy: str, wanted: DesiredClusterRole, access: Access, namespace: str, since: datetime
) -> Iterator[Finding]:
    expected = {subject(item, namespace) for item in wanted.subjects}
    held: set[Subject] = set()
    own = _own_binding(wanted.name, access)
    for binding in sorted(access.bindings, key=lambda item: (item.kind, item.name)):
        if (binding.role_kind, binding.role_name) != ("ClusterRole", wanted.name):
            continue
        held.update(binding.subjects)
        if others := sorted(set(binding.subjects) - expected):
            text = (
                f"{binding.kind} {binding.name} binds ClusterRole {wanted.name} to {subjects_told(others)}, "
                f"which KiroSafetyPolicy {policy} does not name: take it out of the binding"
            )
            ref = Ref(binding.kind, binding.name)
            # Any other binding is somebody's own: it is told, and left to people.
            target = own if (ref.kind, ref.name) == (own.kind, own.name) else None
            yield _asked(Finding(ref, "BoundToOthers", clip(text, 960), since), wanted, target)
    if lacking := sorted(expected - held):
        text = (
            f"ClusterRole {wanted.name} is not bound to {subjects_told(lacking)}, as KiroSafetyPolicy "
            f"{policy} wants: bind it with a RoleBinding in namespace {namespace}"
        )
        ref = Ref("ClusterRole", wanted.name)
        yield _asked(Finding(ref, "NotBound", clip(text, 960), since), wanted, own)


def _own_binding(name: str, access: Access) -> Ref:
    """The ClusterRoleBinding of the ClusterRole's own name, there or not."""
    return next(
        (
            Ref(item.kind, item.name, item.uid)
            for item in access.bindings
            if (item.kind, item.name) == ("ClusterRoleBinding", name)
        ),
        absent("ClusterRoleBinding", name),
    )


def _asked(finding: Finding, wanted: DesiredClusterRole, target: Ref | None) -> Finding:
    """The finding, with what it asks for where the policy wants that."""
    if wanted.on_drift is not OnDrift.RESTORE or target is None:
        return finding
    return replace(finding, target=target, remedies=(ActionName.RESTORE_RBAC,))


CHECK = Check(
    title="The ClusterRole of autonomous operations grants what was decided",
    section="autonomous-operations-safety",
    command="kubectl describe clusterrole kiro-autonomous-operations",
    sources=(ACCESS, RESTORABLE, Source.POLICIES),
    judge=judge,
    failure_threshold=1,
    success_threshold=1,
)
