"""The ClusterRole of autonomous operations and whom it is bound to, as the KiroSafetyPolicy desires it."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from kiro_operator.api.v1alpha1.autonomy import DesiredClusterRole
from kiro_operator.core.access import subject, user
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.access import ACCESS, Access, RbacRule, Subject
from kiro_operator.core.findings import clip, found
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, skipped, unknown

_SHOWN = 6
_VERBS = frozenset({"*", "escalate", "bind", "impersonate"})
_RESOURCES = frozenset({"*", "secrets", "pods/exec", "pods/attach", "serviceaccounts/token"})


class Grant(Struct, frozen=True, order=True):
    """The smallest piece of a rule: one verb on one resource, or on one path."""

    verb: str
    group: str
    resource: str
    name: str = ""
    """Empty: any object."""

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {kind}{f'/{self.name}' if self.name else ''}"


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
    findings = [
        finding
        for policy, wanted in desired.items()
        for finding in _findings(policy, wanted, access, snapshot.namespace, since)
    ]
    if findings:
        return found(sorted(findings, key=_weight))
    names = ", ".join(sorted({wanted.name for wanted in desired.values()}))
    return passed(f"ClusterRole {names} holds, and is bound, as the KiroSafetyPolicies desire.")


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
        yield Finding(ref, "RoleAbsent", text, since)
        return
    expected, actual = set(_desired(wanted)), set(_grants(role.rules))
    extra = sorted(item for item in actual if not _covered(item, expected))
    missing = sorted(item for item in expected if not _covered(item, actual))
    if extra:
        dangerous = [item for item in extra if item.verb in _VERBS or item.resource in _RESOURCES]
        first = f"grants {_listed(dangerous)}, which lets it do far more; " if dangerous else ""
        text = f"ClusterRole {role.name} grants more than KiroSafetyPolicy {policy} declares: {first}"
        text += f"take out: {_listed(extra)}"
        if missing:
            text += f"; and add: {_listed(missing)}"
        yield Finding(ref, "RoleGrantsTooMuch", clip(text, 960), since)
    elif missing:
        text = (
            f"ClusterRole {role.name} lacks what KiroSafetyPolicy {policy} declares: add: {_listed(missing)}"
        )
        yield Finding(ref, "RoleDiffers", clip(text, 960), since)
    yield from _bound(policy, wanted, access, namespace, since)


def _bound(
    policy: str, wanted: DesiredClusterRole, access: Access, namespace: str, since: datetime
) -> Iterator[Finding]:
    expected = {subject(item, namespace) for item in wanted.subjects}
    held: set[Subject] = set()
    for binding in sorted(access.bindings, key=lambda item: (item.kind, item.name)):
        if (binding.role_kind, binding.role_name) != ("ClusterRole", wanted.name):
            continue
        held.update(binding.subjects)
        if others := sorted(set(binding.subjects) - expected):
            text = (
                f"{binding.kind} {binding.name} binds ClusterRole {wanted.name} to {_who(others)}, which "
                f"KiroSafetyPolicy {policy} does not name: take it out of the binding"
            )
            yield Finding(Ref(binding.kind, binding.name), "BoundToOthers", clip(text, 960), since)
    if lacking := sorted(expected - held):
        text = (
            f"ClusterRole {wanted.name} is not bound to {_who(lacking)}, as KiroSafetyPolicy {policy} wants: "
            f"bind it with a RoleBinding in namespace {namespace}"
        )
        yield Finding(Ref("ClusterRole", wanted.name), "NotBound", clip(text, 960), since)


def _desired(wanted: DesiredClusterRole) -> Iterator[Grant]:
    return _grants(
        RbacRule(
            tuple(rule.verbs),
            tuple(rule.api_groups),
            tuple(rule.resources),
            tuple(rule.resource_names),
            tuple(rule.non_resource_urls),
        )
        for rule in wanted.rules
    )


def _grants(rules: Iterable[RbacRule]) -> Iterator[Grant]:
    for rule in rules:
        for verb in rule.verbs:
            yield from (Grant(verb, "", path) for path in rule.non_resource_urls)
            for group in rule.api_groups:
                for resource in rule.resources:
                    # A rule may be limited to the empty name, which is not the same as to none.
                    names = [name or "''" for name in rule.resource_names] or [""]
                    yield from (Grant(verb, group, resource, name) for name in names)


def _covered(item: Grant, held: set[Grant]) -> bool:
    """Whether something as wide is among the others; a role may say the same in other rules."""
    return item in held or Grant(item.verb, item.group, item.resource) in held


def _listed(items: list[Grant]) -> str:
    shown = ", ".join(str(item) for item in items[:_SHOWN])
    return f"{shown} and {len(items) - _SHOWN} more" if len(items) > _SHOWN else shown


def _who(subjects: list[Subject]) -> str:
    named = [f"{item.kind} {user(item) or item.name}" for item in subjects[:_SHOWN]]
    rest = len(subjects) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")


CHECK = Check(
    title="The ClusterRole of autonomous operations grants what was decided",
    section="autonomous-operations-safety",
    command="kubectl describe clusterrole kiro-autonomous-operations",
    sources=(ACCESS, Source.POLICIES),
    judge=judge,
    failure_threshold=1,
    success_threshold=1,
)
