"""RestoreRBAC: bring the ClusterRole of autonomous operations and its binding back.

What the KiroSafetyPolicies of a namespace desire is written only where it lies within the KiroSafetyBaseline,
which the cluster's admin alone may edit: who may write a policy must not come to rights by the operator's.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kiro_operator.api.v1alpha1.autonomy import DesiredClusterRole, OnDrift, RoleRule
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.access import RBAC, subject, subjects_told
from kiro_operator.core.evidence.access import ACCESS, Access, Subject
from kiro_operator.core.evidence.restorable import (
    RESTORABLE,
    Bounds,
    Found,
    FoundBinding,
    FoundRole,
    Restorable,
)
from kiro_operator.core.grants import beyond, declared, grants, listed, within
from kiro_operator.core.permissions import Grant, Rule, Scope
from kiro_operator.core.policy.text import clip, named
from kiro_operator.core.policy.types import Change, Fence, Intent
from kiro_operator.core.remedies.types import Refusal, Remedy, Request
from kiro_operator.core.snapshot import ABSENT, Unobserved
from kiro_operator.core.told import words
from kiro_operator.core.writes import Chosen, Must, Operation, Write, changes

NAME = "kiro-autonomous-operations"
"""The ClusterRole and ClusterRoleBinding that the overlay of this remedy covers, and no other."""
API_VERSION = f"{RBAC}/v1"
RULES: tuple[Rule, ...] = (
    # An object that is applied by its name is made by that name, so that even create is limited to it.
    Rule(
        RBAC,
        ("clusterroles",),
        ("patch", "create", "escalate", "bind"),
        "bring the ClusterRole and its binding back, which takes escalate and bind even to narrow them; "
        "ValidatingAdmissionPolicies hold it within the KiroSafetyBaseline",
        Scope.CLUSTER,
        Grant.CLUSTER_RESTORE,
        (NAME,),
    ),
    Rule(
        RBAC,
        ("clusterrolebindings",),
        ("patch", "create"),
        "bring the binding of that ClusterRole back, within the KiroSafetyBaseline",
        Scope.CLUSTER,
        Grant.CLUSTER_RESTORE,
        (NAME,),
    ),
)
_RESTORED = Chosen("restoredRoles", "[]")
"""The base names none: deploy/cluster-restore does, and brings the policies that ask the baseline."""
_NAMED = Must(
    "object.metadata.name in variables.restoredRoles", "it is not among restoredRoles of this policy"
)
ADMITTED = (
    Write(
        by="RestoreRBAC",
        api_version=API_VERSION,
        resources=("clusterroles",),
        operations=(Operation.CREATE, Operation.UPDATE),
        chosen=(_RESTORED,),
        musts=(
            _NAMED,
            Must("!has(object.aggregationRule)", "it gathers no rules from other ClusterRoles"),
            # A label would have its rules gathered into ClusterRoles that others are bound to.
            *changes(("rules",), ("aggregationRule",)),
        ),
    ),
    Write(
        by="RestoreRBAC",
        api_version=API_VERSION,
        resources=("clusterrolebindings",),
        operations=(Operation.CREATE, Operation.UPDATE),
        chosen=(_RESTORED,),
        musts=(
            _NAMED,
            Must(
                "object.roleRef.kind == 'ClusterRole' && object.roleRef.name == object.metadata.name",
                "it binds no other role than the one of its own name",
            ),
            *changes(("subjects",), ("roleRef",)),
        ),
    ),
)


def propose(request: Request) -> Intent | Refusal:
    """The one change after which nothing differs, if it lies within the baseline."""
    seen = request.snapshot.value(RESTORABLE)
    if isinstance(seen, Unobserved):
        # A right that is missing is missing until somebody grants it.
        message = f"{named(request.target)}: {seen.message}"
        return Refusal("EvidenceMissing", message, lasting=seen.reason == "Forbidden")
    wanted = _wanted(request)
    if isinstance(wanted, Refusal):
        return wanted
    found = seen.get(wanted.name)
    if found is None:
        return _unseen(f"{named(request.target)} has not been looked at yet")
    if found.bounds is None:
        message = (
            f"{named(request.target)} is not restored without a KiroSafetyBaseline {wanted.name}, in which a "
            "cluster administrator says how wide it may be"
        )
        return Refusal("NoBaseline", message, lasting=True)
    if request.target.kind == "ClusterRole":
        return _role(wanted, found, found.bounds, request)
    return _binding(wanted, found, found.bounds, request)


def _wanted(request: Request) -> DesiredClusterRole | Refusal:
    """What is desired, where each policy that has a say asks to restore the same.

    A say has each that names this ClusterRole, and each that allows the action: otherwise a second policy
    could have granted what the first one does not ask for.
    """
    what, name, namespace = named(request.target), request.target.name, request.snapshot.namespace
    desired = [
        spec.cluster_role
        for spec in request.snapshot.policies.values()
        if (spec.cluster_role is not None and spec.cluster_role.name == name)
        or any(listed.name is ActionName.RESTORE_RBAC for listed in spec.actions)
    ]
    asked = [
        item for item in desired
        if item is not None and item.name == name and item.on_drift is OnDrift.RESTORE
    ]  # fmt: skip
    if not asked:
        message = f"no KiroSafetyPolicy asks any more to restore {what}"
        return Refusal("NotDesired", message, lasting=False)
    if len(asked) < len(desired) or len({_content(item, namespace) for item in asked}) > 1:
        message = f"the KiroSafetyPolicies do not all ask to restore {what}, and to the same content"
        return Refusal("PoliciesDisagree", message, lasting=True)
    return asked[0]


def _content(wanted: DesiredClusterRole, namespace: str) -> tuple[frozenset[Any], frozenset[Subject]]:
    return frozenset(grants(declared(wanted.rules))), frozenset(_desired(wanted, namespace))


def _role(
    wanted: DesiredClusterRole, found: Restorable, bounds: Bounds, request: Request
) -> Intent | Refusal:
    rules = declared(wanted.rules)
    if wider := [rule for rule in rules if not within(rule, bounds.rules)]:
        over = beyond(wider, bounds.rules)
        what = listed(over) if over else f"{listed(sorted(grants(wider)))}, which no single rule of it holds"
        return _too_much(request, f"lets be restored: {what}")
    written = [_rule(rule) for rule in wanted.rules]
    if found.role is None:
        granted = listed(sorted(grants(rules))) or "it grants nothing"
        return _made(request, {"rules": written} if written else {}, f"absent, made anew: {granted}")
    extra, missing = beyond(found.role.rules, rules), beyond(rules, found.role.rules)
    told = [f"taken out: {listed(extra)}"] if extra else []
    told += [f"added: {listed(missing)}"] if missing else []
    # What a controller gathers into it by labels would come back.
    return _changed(request, found.role, {"rules": written or None, "aggregationRule": None}, told)


def _binding(
    wanted: DesiredClusterRole, found: Restorable, bounds: Bounds, request: Request
) -> Intent | Refusal:
    access = request.snapshot.value(ACCESS)
    if isinstance(access, Unobserved):
        return _unseen(f"{named(request.target)}: {access.message}")
    binding = found.binding
    if binding is not None and (binding.role_kind, binding.role_name) != ("ClusterRole", wanted.name):
        message = (
            f"{named(request.target)} grants {binding.role_kind} {binding.role_name}, which cannot be "
            "changed: delete it by hand"
        )
        return Refusal("OtherRole", message, lasting=True)
    bound = binding.subjects if binding else ()
    # Whoever is bound in a namespace is not bound in the whole cluster on that account.
    elsewhere = _bound_elsewhere(access, wanted.name)
    desired = _desired(wanted, request.snapshot.namespace)
    kept = [item for item in desired if item in bound or item not in elsewhere]
    if others := sorted(set(kept) - set(bounds.subjects)):
        return _too_much(request, f"lets be bound in the whole cluster: {subjects_told(others)}")
    subjects = [_subject(item) for item in kept]
    if binding is None:
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": wanted.name}
        content = {"roleRef": role} | ({"subjects": subjects} if subjects else {})
        return _made(request, content, f"absent, made anew for {subjects_told(kept)}")
    extra, missing = sorted(set(bound) - set(kept)), sorted(set(kept) - set(bound))
    told = [f"taken out: {subjects_told(extra)}"] if extra else []
    told += [f"added: {subjects_told(missing)}"] if missing else []
    return _changed(request, binding, {"subjects": subjects or None}, told)


def _bound_elsewhere(access: Access, name: str) -> set[Subject]:
    return {
        item
        for binding in access.bindings
        if (binding.role_kind, binding.role_name) == ("ClusterRole", name)
        and (binding.kind, binding.name) != ("ClusterRoleBinding", name)
        for item in binding.subjects
    }


def _desired(wanted: DesiredClusterRole, namespace: str) -> list[Subject]:
    return list(dict.fromkeys(subject(item, namespace) for item in wanted.subjects))


def _made(request: Request, content: Mapping[str, Any], diff: str) -> Intent | Refusal:
    if not request.target.uid.startswith(ABSENT):
        return _unseen(f"{named(request.target)} is gone by now")
    manifest = {
        "apiVersion": API_VERSION,
        "kind": request.target.kind,
        "metadata": {"name": request.target.name},
        **content,
    }
    return _intent(request, Method.CREATE, Fence("", ""), manifest, diff)


def _changed(
    request: Request, found: FoundRole | FoundBinding, patch: Mapping[str, Any], told: Iterable[str]
) -> Intent | Refusal:
    if found.uid != request.target.uid:
        return _unseen(f"{named(request.target)} is another object by now")
    diff = "; ".join(told)
    if not diff:
        return Refusal("Healed", f"{named(request.target)} is as it should be", lasting=False)
    return _intent(request, Method.PATCH, _fence(found), patch, diff)


def _fence(found: Found) -> Fence:
    return Fence(found.uid, found.resource_version)


def _rule(rule: RoleRule) -> dict[str, list[str]]:
    """A rule as the API server keeps it: without what is empty."""
    whole: dict[str, list[str]] = rule.model_dump(mode="json", by_alias=True)
    return {name: value for name, value in whole.items() if value}


def _subject(item: Subject) -> dict[str, str]:
    if item.kind == "ServiceAccount":
        return {"kind": item.kind, "name": item.name, "namespace": item.namespace}
    return {"apiGroup": RBAC, "kind": item.kind, "name": item.name}


def _too_much(request: Request, what: str) -> Refusal:
    target = request.target
    more = f"the KiroSafetyPolicy desires more than KiroSafetyBaseline {target.name} {what}"
    return Refusal("BeyondBaseline", f"{named(target)}: {more}", lasting=True)


def _unseen(message: str) -> Refusal:
    return Refusal("EvidenceMissing", message, lasting=False)


def _intent(request: Request, method: Method, fence: Fence, content: Mapping[str, Any], diff: str) -> Intent:
    want = request.wanted[0]
    return Intent(
        action=ActionName.RESTORE_RBAC,
        method=method,
        target=request.target,
        api_version=API_VERSION,
        fence=fence,
        check=want.check,
        reason=want.finding.reason,
        message=want.message,
        episode=request.episode,
        step=request.step,
        timeout=request.timeout,
        stabilization=request.stabilization,
        change=Change(
            json.dumps(content, sort_keys=True), clip(words(f"{named(request.target)}: {diff}", people=True))
        ),
    )


REMEDY = Remedy(
    action=ActionName.RESTORE_RBAC,
    title="Bring the ClusterRole of autonomous operations and its binding back, within the baseline",
    propose=propose,
)
