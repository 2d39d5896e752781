"""Permissions, declared beside the code that needs them; the Roles in deploy/ are made from these."""

import re
from enum import StrEnum

from msgspec import Struct


class Scope(StrEnum):
    """Where a rule is granted."""

    CLUSTER = "cluster"
    """By a ClusterRoleBinding: reads workloads and writes the operator's own status and Events, no more."""
    NAMESPACE = "namespace"
    """By a Role in each namespace that is onboarded."""
    OWN = "own"
    """By a Role in the operator's own namespace."""


class Grant(StrEnum):
    """Which part of the installation holds a rule: the base, or an overlay that the admin opts into."""

    BASE = "base"
    RESTART = "restart"
    SCALE = "scale"
    RESTORE = "restore"
    """Bringing back what is declared, on objects of fixed names."""
    CLUSTER_RESTORE = "cluster-restore"
    """Bringing back a ClusterRole and its binding, of one fixed name, within a KiroSafetyBaseline."""
    RIGHT_SIZE = "right-size"
    """Changing what containers request, each time a person approves it."""
    CHANGE_AUTOSCALING = "change-autoscaling"
    """Changing the bounds of HorizontalPodAutoscalers, each time a person approves it."""
    EDIT_STEERING = "edit-steering"
    """Mending a steering document, each time a person approves it."""
    CHANGE_OPTIMIZATION = "change-optimization"
    """Moving what Kiro optimizes by, each time a person approves it."""
    REMOVE_UNUSED = "remove-unused"
    """Scaling to zero what does nothing, each time a person approves it."""
    CHANGE_BOUNDARY = "change-boundary"
    """Widening the boundaries of autonomous operations, each time a person approves it."""
    CHANGE_THRESHOLD = "change-threshold"
    """Moving a threshold of a check, each time a person approves it."""
    ROLLBACK = "rollback"
    """Going back to an earlier release, each time a person approves it."""
    EXEC = "exec"
    """Running fixed commands in pods: for the evidence that exists nowhere else, and as remedies."""
    HISTORY = "history"
    """Remembering, in a ConfigMap, how steering documents changed."""
    CLUSTER_FACTS = "cluster-facts"
    """Reading what belongs to no namespace: nodes, ClusterRoles, permissions."""


class Rule(Struct, frozen=True, order=True):
    """One rule of RBAC and why it is needed. Wildcards have no place here."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    scope: Scope = Scope.NAMESPACE
    grant: Grant = Grant.BASE
    names: tuple[str, ...] = ()
    """Objects that it is limited to; empty: all. RBAC cannot limit list, watch and create so."""

    def advice(self, namespace: str) -> str:
        """What an admin is to add, in words that fit a condition."""
        place = {
            Scope.CLUSTER: "the operator's ClusterRole",
            Scope.NAMESPACE: f"the operator's Role in namespace {namespace}",
            Scope.OWN: "the operator's Role in its own namespace",
        }[self.scope]
        names = f", resourceNames {list(self.names)}" if self.names else ""
        return (
            f"add to {place}: apiGroups [{self.group!r}], resources {list(self.resources)}{names}, "
            f"verbs {list(self.verbs)}"
        )


_REFUSAL = re.compile(
    r'cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)


def advice_from(refusal: str) -> str:
    """The rule that would have let a refused request through, from the API server's own words."""
    match = _REFUSAL.search(refusal)
    if match is None:
        return refusal
    namespace = match["namespace"]
    place = f"the operator's Role in namespace {namespace}" if namespace else "the operator's ClusterRole"
    return (
        f"the operator may not {match['verb']} {match['resource']}: add to {place}: "
        f"apiGroups [{match['group']!r}], resources [{match['resource']!r}], verbs [{match['verb']!r}]"
    )
