"""The ClusterRoles that KiroSafetyPolicies ask to restore, read by name, with bindings and baselines."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.adapters.kubernetes.unobserved import malformed, unobserved
from kiro_operator.api.v1alpha1.autonomy import OnDrift
from kiro_operator.api.v1alpha1.safetybaseline import KiroSafetyBaselineSpec
from kiro_operator.api.v1alpha1.types import API_VERSION, GROUP
from kiro_operator.core.access import RBAC, subject
from kiro_operator.core.evidence.access import RbacRule, Subject
from kiro_operator.core.evidence.restorable import RESTORABLE, Bounds, FoundBinding, FoundRole, Restorable
from kiro_operator.core.grants import declared
from kiro_operator.core.objects.meta import MarkedMetadata
from kiro_operator.core.permissions import Grant, Rule, Scope
from kiro_operator.core.remedies.restore_rbac import NAME
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

RULES = (
    Rule(
        RBAC,
        ("clusterroles", "clusterrolebindings"),
        ("get",),
        "RestoreRBAC changes them as they are just then, and reads them again to know whether it was done",
        Scope.CLUSTER,
        Grant.CLUSTER_RESTORE,
        (NAME,),
    ),
    Rule(
        GROUP,
        ("kirosafetybaselines",),
        ("get",),
        "RestoreRBAC writes nothing beyond what the cluster's admin allows there",
        Scope.CLUSTER,
        Grant.CLUSTER_RESTORE,
        (NAME,),
    ),
)

_API = f"/apis/{RBAC}/v1"
_WHAT = "the ClusterRole to restore"

T = TypeVar("T")


class _RoleRef(Struct, frozen=True):
    kind: str
    name: str


class _Role(Struct, frozen=True):
    metadata: MarkedMetadata
    rules: tuple[RbacRule, ...] | None = None


class _Binding(Struct, frozen=True, rename="camel"):
    metadata: MarkedMetadata
    role_ref: _RoleRef
    subjects: tuple[Subject, ...] | None = None


class _Baseline(Struct, frozen=True):
    spec: dict[str, object]


class Restorables:
    """Samples what a policy of the namespace asks to restore; nothing is asked where none does."""

    source = RESTORABLE
    rules = RULES

    def __init__(self, client: Client, namespaces: frozenset[str]) -> None:
        self._client = client
        self._namespaces = namespaces

    async def observe(self, request: ports.PollRequest) -> Mapping[str, Restorable] | Unobserved:
        """What there is of each name."""
        namespace = request.namespace
        if namespace not in self._namespaces:
            return Unobserved(
                NOT_CONFIGURED,
                f"nothing of the whole cluster is restored for namespace {namespace}: start the operator "
                f"with --cluster-facts-namespace {namespace}",
            )
        desired = (spec.cluster_role for spec in request.snapshot.policies.values())
        names = {item.name for item in desired if item is not None and item.on_drift is OnDrift.RESTORE}
        rule = RULES[0]
        try:
            found: dict[str, Restorable] = {}
            for name in sorted(names):
                rule = replace(RULES[0], names=(name,))
                role = await self._read(f"{_API}/clusterroles/{name}", _Role)
                binding = await self._read(f"{_API}/clusterrolebindings/{name}", _Binding)
                rule = replace(RULES[1], names=(name,))
                baseline = await self._read(f"/apis/{API_VERSION}/kirosafetybaselines/{name}", _Baseline)
                found[name] = Restorable(_role(role), _binding(binding), _bounds(baseline))
        except (*MALFORMED, ValidationError) as error:
            return malformed(error, namespace, _WHAT)
        except (ports.ApiError, ports.Unreachable) as error:
            return unobserved(error, rule, namespace, _WHAT)
        return found

    async def _read(self, path: str, type_: type[T]) -> T | None:
        try:
            return msgspec.json.decode(await self._client.get(path), type=type_)
        except ports.NotFound:
            return None


def _role(found: _Role | None) -> FoundRole | None:
    if found is None:
        return None
    metadata = found.metadata
    return FoundRole(
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        labels=metadata.labels,
        protected=metadata.protected,
        gitops=metadata.gitops,
        rules=found.rules or (),
    )


def _binding(found: _Binding | None) -> FoundBinding | None:
    if found is None:
        return None
    metadata = found.metadata
    return FoundBinding(
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        labels=metadata.labels,
        protected=metadata.protected,
        gitops=metadata.gitops,
        role_kind=found.role_ref.kind,
        role_name=found.role_ref.name,
        subjects=found.subjects or (),
    )


def _bounds(found: _Baseline | None) -> Bounds | None:
    """What a baseline allows.

    Raises:
        ValidationError: it cannot be understood, and so allows nothing.
    """
    if found is None:
        return None
    role = KiroSafetyBaselineSpec.model_validate(found.spec).cluster_role
    return Bounds(declared(role.rules), tuple(subject(item, "") for item in role.subjects))
