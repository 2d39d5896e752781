"""What an action is allowed by, read anew just before it is done.

Watches may be behind: one that is half open says nothing for a minute and more. Whoever has paused a policy
is heard by the compare-and-swap that reserves its budget; a policy that is new, a KiroHealthCheck and a
KiroApproval have nothing to be swapped.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.store import Store
from kiro_operator.api.v1alpha1.remediation import RemediationState
from kiro_operator.api.v1alpha1.types import API_VERSION, GROUP
from kiro_operator.core.objects import Approval, Metadata, Record
from kiro_operator.core.permissions import Rule, Scope
from kiro_operator.core.policy.approvals import by, denial, standing
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.reconcile.approvals import Approvals
from kiro_operator.reconcile.outcomes import Outcome
from kiro_operator.reconcile.policies import Policies, Versions
from kiro_operator.reconcile.records import Remediation, intent_of, ledger_of
from kiro_operator.reconcile.target import Key, Target

RULES = (
    Rule(
        GROUP,
        ("kirohealthchecks", "kirosafetypolicies", "kiroapprovals"),
        ("list",),
        "an action is done by what allows it then, also where no watch has told of a change yet",
        Scope.CLUSTER,
    ),
)


class Under(Struct, frozen=True):
    """By what an action was allowed: it is done only while all of that is as it was."""

    asker: Versions
    """The KiroHealthCheck."""
    policies: Versions


class _Named(Struct):
    metadata: Metadata


class _List(Struct):
    items: list[_Named]


class Permits:
    """Whether what allowed an action still does, as the API server has it."""

    def __init__(
        self,
        client: Client,
        policies: Policies,
        approvals: Approvals,
        store: Store[Record],
        *,
        asker: Callable[[Key], Target | None],
        clock: ports.Clock,
    ) -> None:
        """``asker`` tells of the KiroHealthCheck of a key as it was last heard of; None: it is gone."""
        self._client = client
        self._policies = policies
        self._approvals = approvals
        self._store = store
        self._asker = asker
        self._clock = clock

    def under(self, target: Target) -> Under:
        """By what a plan for a target is allowed that is made now."""
        return Under((_version(target),), self._policies.versions(target.namespace))

    def heard(self, namespace: str, digest: str, under: Under) -> Outcome | None:
        """How an action ends that is not allowed any more by what has been heard until now; asks nobody."""
        if against := denial(digest, self._approvals.of(namespace)):
            return _denied(against)
        if self._policies.versions(namespace) != under.policies:
            return _withdrawn("the KiroSafetyPolicies")
        [known] = under.asker
        target = self._asker((namespace, known[0]))
        if target is None or _version(target) != known:
            return _withdrawn("the KiroHealthCheck")
        return None

    async def withdrawn(
        self, namespace: str, ready: Sequence[Remediation], under: Under
    ) -> dict[str, Outcome]:
        """How those actions end, by name, that are not allowed any more.

        Raises:
            ports.ApiError, ports.Unreachable: the API server does not tell, so that nothing may be done.
        """
        there, unapproved = await asyncio.gather(
            self._now(namespace, under), self._unapproved(namespace, ready)
        )
        if there == under:
            return unapproved
        return {item.name: _withdrawn("the KiroHealthCheck or the KiroSafetyPolicies") for item in ready}

    async def _now(self, namespace: str, under: Under) -> Under:
        [(asker, _, _)] = under.asker
        return Under(
            *await asyncio.gather(
                self._listed(namespace, "kirohealthchecks", fieldSelector=f"metadata.name={asker}"),
                self._listed(namespace, "kirosafetypolicies"),
            )
        )

    async def _listed(self, namespace: str, plural: str, **params: str) -> Versions:
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/{plural}"
        found = msgspec.json.decode(await self._client.get_metadata(path, **params), type=_List).items
        return tuple(sorted((it.metadata.name, it.metadata.uid, it.metadata.generation) for it in found))

    async def _unapproved(self, namespace: str, ready: Sequence[Remediation]) -> dict[str, Outcome]:
        """Those that a person had to approve and that are not approved: denied by now, expired, forged."""
        waited = [
            (item, used.gate) for item in ready for used in (*item.spec.approvals, *item.status.approvals)
        ]
        if not waited:
            return {}
        seen = await self._approvals.anew(namespace)
        ledger = ledger_of(Remediation(record) for record in self._store.all(namespace))
        found: dict[str, Outcome] = {}
        for item, gate in waited:
            if against := denial(item.spec.digest, seen):
                found[item.name] = _denied(against)
                continue
            if isinstance(seen, Unobserved):
                found[item.name] = Outcome(RemediationState.DENIED, seen.reason, seen.message)
                continue
            others = ledger.without(item.name)
            stands = standing(gate, intent_of(item), seen, others, self._clock.now())
            if stands.state != "Approved":
                message = f"it is not approved at gate {gate} any more{stands.note and f': {stands.note}'}"
                found[item.name] = Outcome(RemediationState.DENIED, "ApprovalRequired", message)
        return found


def _version(target: Target) -> tuple[str, str, int]:
    return target.name, target.uid, target.generation


def _withdrawn(what: str) -> Outcome:
    return Outcome(RemediationState.DENIED, "Withdrawn", f"{what} changed meanwhile")


def _denied(against: Approval) -> Outcome:
    return Outcome(RemediationState.DENIED, "ApprovalDenied", f"denied for good {by(against)}")
