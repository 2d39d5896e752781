"""KiroSafetyPolicies as the engine holds them: what they allow, and what is reserved of their budgets."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from pydantic import ValidationError

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client, version_of
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.api.v1alpha1.conditions import ConditionType
from kiro_operator.api.v1alpha1.safetypolicy import (
    KiroSafetyPolicySpec,
    KiroSafetyPolicyStatus,
    Mode,
    Reservation,
    Storm,
)
from kiro_operator.api.v1alpha1.types import API_VERSION, GROUP
from kiro_operator.core.conditions import Said, dated, shorten
from kiro_operator.core.objects import is_later
from kiro_operator.core.permissions import Rule, Scope
from kiro_operator.core.policy.permission import paused, permission
from kiro_operator.core.policy.plan import Policy as InForce
from kiro_operator.core.policy.reservations import exceeds, kept, used
from kiro_operator.core.policy.situation import Census
from kiro_operator.core.policy.storms import observe, told
from kiro_operator.core.policy.text import stamp
from kiro_operator.core.policy.types import Entry
from kiro_operator.core.policy.windows import open_until
from kiro_operator.core.report import EventReason, Occurrence
from kiro_operator.core.snapshot import Marks, Ref
from kiro_operator.reconcile.target import Key, marks_of

RULES = (
    Rule(
        GROUP,
        ("kirosafetypolicies/status",),
        ("patch",),
        "budgets are reserved in the policy's status by compare-and-swap",
        Scope.CLUSTER,
    ),
    Rule(
        GROUP,
        ("kirosafetypolicies",),
        ("get",),
        "after a lost compare-and-swap it is read again",
        Scope.CLUSTER,
    ),
)
ATTEMPTS = 5

logger = logging.getLogger(__name__)


class _Request:
    """Reservations that somebody waits for, all or none."""

    def __init__(self, wanted: list[Reservation], generation: int) -> None:
        self.wanted = wanted
        self.generation = generation
        """Of the policy when the actions were decided."""
        self.problem = ""
        self.error: Exception | None = None
        self.settled = False


Versions = tuple[tuple[str, str, int], ...]
"""Name, UID and generation of each policy of a namespace, by name."""


class Policy:
    """A KiroSafetyPolicy."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.uid = ""
        self.generation = 0
        self.resource_version = ""
        self.marks = Marks()
        self.spec: KiroSafetyPolicySpec | None = None
        """None when it cannot be read: then it allows nothing."""
        self.problem = ""
        self.news = False
        """Whether its spec changed and those who rest on it have not been woken for that."""
        self.status = KiroSafetyPolicyStatus()
        self.storm: Storm | None = None
        """The mass failure to remember; the status follows."""
        self.waiting: list[_Request] = []
        """Reservations that the next write of its status takes along."""
        self.lock = asyncio.Lock()
        """Held while its status is written, so that this process never races against itself."""

    @property
    def path(self) -> str:
        """Its path at the API server."""
        return f"/apis/{API_VERSION}/namespaces/{self.key[0]}/kirosafetypolicies/{self.key[1]}"

    def take(self, body: Mapping[str, Any], now: datetime) -> None:
        """Take in a version of the object, if it is later than the one that is known."""
        metadata = body["metadata"]
        version = str(metadata["resourceVersion"])
        if metadata["uid"] == self.uid and not is_later(version, self.resource_version):
            return
        changed = metadata["uid"] != self.uid or int(metadata["generation"]) != self.generation
        # What has been seen and not been written yet is no less true for it.
        unsaved = metadata["uid"] == self.uid and self.storm != self.status.storm
        self.uid, self.generation = metadata["uid"], int(metadata["generation"])
        self.resource_version, self.marks = version, marks_of(metadata)
        try:
            self.status = KiroSafetyPolicyStatus.model_validate(body.get("status") or {})
        except ValidationError:
            self.status = KiroSafetyPolicyStatus()
        if not unsaved:
            self.storm = self.status.storm
        if metadata.get("deletionTimestamp"):
            # A finalizer may keep it: whoever has deleted it has withdrawn what it allows. What it forbids,
            # it forbids until it is gone.
            self.spec, self.problem = None, "it is being deleted"
        elif changed:
            self.spec, self.problem = _read(body.get("spec") or {}, now)
        self.news = self.news or changed


def _read(spec: Mapping[str, Any], now: datetime) -> tuple[KiroSafetyPolicySpec | None, str]:
    try:
        read = KiroSafetyPolicySpec.model_validate(spec)
    except ValidationError as error:
        first = error.errors()[0]
        return None, shorten(f"spec.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}", 500)
    for field, windows in (
        ("forbiddenWindows", read.forbidden_windows),
        ("maintenanceWindows", read.maintenance_windows),
    ):
        for window in windows or ():
            try:
                open_until(window, now)
            except ValueError as error:
                return None, f"spec.{field}[{window.name}]: {error}"
    return read, ""


def status_of(policy: Policy, reservations: list[Reservation], now: datetime) -> KiroSafetyPolicyStatus:
    """The status to show; what has not changed keeps its times."""
    spec = policy.spec
    says = [
        Said(ConditionType.READY, "False", "InvalidSpec", policy.problem),
        Said(ConditionType.STALLED, "True", "InvalidSpec", policy.problem),
    ]
    if spec is not None:
        says = [Said(ConditionType.READY, "True", "Reconciled", "the policy is in force")]
    in_force = InForce(policy.key[1], spec, policy.problem, storm=policy.storm)
    allowed = permission((in_force,))
    if allowed.allowed:
        allowed = paused((in_force,)) or allowed
    says.append(
        Said(
            ConditionType.REMEDIATION_ALLOWED,
            "True" if allowed.allowed else "False",
            allowed.reason,
            shorten(allowed.message, 1024),
        )
    )
    before = policy.status.conditions
    return KiroSafetyPolicyStatus(
        observed_generation=policy.generation,
        conditions=[dated(said, before, policy.generation, now) for said in says],
        reservations=reservations if spec else policy.status.reservations,
        storm=policy.storm,
        used=used(reservations, spec, now) if spec else "-",
        message=_summary(spec),
    )


def _summary(spec: KiroSafetyPolicySpec | None) -> str:
    if spec is None:
        return "nothing is allowed: the policy cannot be read"
    names = ", ".join(action.name for action in spec.actions) or "no action"
    match spec.mode:
        case Mode.OBSERVE:
            return "observation only"
        case Mode.DRY_RUN:
            return f"dry run of {names}: nothing is done"
        case Mode.ENFORCE:
            return f"{names} allowed within its limits"


class Policies:
    """All KiroSafetyPolicies, and the writer of their status."""

    def __init__(
        self, client: Client, clock: ports.Clock, metrics: Metrics, tell: Callable[[Occurrence], None]
    ) -> None:
        self._client = client
        self._tell = tell
        self._clock = clock
        self._metrics = metrics
        self._policies: dict[str, dict[str, Policy]] = {}
        """By namespace and name."""

    def get(self, namespace: str, name: str) -> Policy | None:
        """The policy of that name."""
        return self._policies.get(namespace, {}).get(name)

    def readable(self, namespace: str) -> dict[str, KiroSafetyPolicySpec]:
        """What the policies of a namespace say, by name; those that cannot be read are left out."""
        return {policy.key[1]: policy.spec for policy in self.of(namespace) if policy.spec is not None}

    def marks(self, namespace: str) -> dict[str, Marks]:
        """What the policies of a namespace are marked by, by name."""
        return {name: policy.marks for name, policy in self._policies.get(namespace, {}).items()}

    def of(self, namespace: str) -> list[Policy]:
        """All policies of a namespace, by name."""
        found = self._policies.get(namespace, {})
        return [found[name] for name in sorted(found)]

    def versions(self, namespace: str) -> Versions:
        """Which policies there are, and what each says: while this stays, what they allowed is allowed."""
        return tuple((policy.key[1], policy.uid, policy.generation) for policy in self.of(namespace))

    def __iter__(self) -> Iterator[Policy]:
        return (policy for found in self._policies.values() for policy in found.values())

    def take(self, body: Mapping[str, Any]) -> Policy:
        """Take in a policy as a watch tells of it; returns it."""
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        policy = self._policies.setdefault(key[0], {}).setdefault(key[1], Policy(key))
        policy.take(body, self._clock.now())
        return policy

    def remove(self, key: Key) -> None:
        """Forget a policy that is gone."""
        found = self._policies.get(key[0], {})
        found.pop(key[1], None)
        if not found:
            self._policies.pop(key[0], None)

    def weather(self, namespace: str, counted: Census) -> list[Key]:
        """Hold the namespace's pods against each policy; returns those whose status has to follow."""
        now = self._clock.now()
        changed: list[Key] = []
        for policy in self.of(namespace):
            if policy.spec is None or policy.spec.mode is Mode.OBSERVE:
                continue
            storm = observe(policy.storm, policy.spec, counted, now)
            if storm != policy.storm:
                policy.storm = storm
                changed.append(policy.key)
        return changed

    async def refresh(self, policy: Policy, ledger: Iterable[Entry]) -> None:
        """Write what has changed of a policy's status, if anything has."""
        async with policy.lock:
            now = self._clock.now()
            reservations = kept(policy.status.reservations, policy.spec, ledger, now) if policy.spec else []
            status = status_of(policy, reservations, now)
            if status != policy.status:
                await self._write(policy, status)

    async def reserve(self, policy: Policy, wanted: list[Reservation], ledger: Sequence[Entry]) -> str:
        """Reserve budget for actions, all or none; returns why not, or nothing when it is done.

        Whoever comes while a write is under way is taken along by the next one: sixty actions of one
        moment cost two or three writes.

        Raises:
            ports.ApiError, ports.Unreachable: it is not known to be done, so it counts as not done.
        """
        request = _Request(wanted, policy.generation)
        policy.waiting.append(request)
        async with policy.lock:
            if not request.settled:
                if request not in policy.waiting:
                    policy.waiting.append(request)  # whoever took it along was cut short
                together, policy.waiting = policy.waiting, []
                try:
                    await self._reserve_all(policy, together, ledger)
                except (ports.ApiError, ports.Unreachable) as error:
                    for item in together:
                        item.error = error
                for item in together:
                    item.settled = True
        if request.error is not None:
            raise request.error
        return request.problem

    async def _reserve_all(self, policy: Policy, requests: "list[_Request]", ledger: Sequence[Entry]) -> None:
        """One write for all requests that fit; the others learn what stands in their way."""
        for _ in range(ATTEMPTS):
            now = self._clock.now()
            names = {item.remediation for request in requests for item in request.wanted}
            granted: list[Reservation] = []
            if policy.spec is not None:
                reserved = kept(policy.status.reservations, policy.spec, ledger, now)
                granted = [item for item in reserved if item.remediation not in names]
            for request in requests:
                if policy.spec is None or policy.generation != request.generation:
                    request.problem = "the policy changed meanwhile"
                    continue
                # What takes nothing, as giving back does, is held up by no budget that was lowered.
                over = exceeds([*granted, *request.wanted], policy.spec, now)
                request.problem = over if request.wanted else ""
                if not request.problem:
                    granted += request.wanted
            if policy.spec is None or all(request.problem for request in requests):
                return
            try:
                await self._write(policy, status_of(policy, granted, now))
            except ports.Conflict:
                policy.take(msgspec.json.decode(await self._client.get(policy.path)), now)
                continue
            return
        for request in requests:
            request.problem = request.problem or "the policy's status is contended; trying again later"

    async def _write(self, policy: Policy, status: KiroSafetyPolicyStatus) -> None:
        content = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        # In a merge patch what is left out stays as it was: that a storm is over has to be written out.
        content["storm"] = status.storm and status.storm.model_dump(mode="json", by_alias=True)
        before = policy.status.storm
        body = {"metadata": {"resourceVersion": policy.resource_version}, "status": content}
        answer = await self._client.merge_patch(f"{policy.path}/status", body)
        policy.resource_version = version_of(answer)
        policy.status = status
        self._metrics.status_writes.labels("KiroSafetyPolicy").inc()
        if (before is None) != (status.storm is None):
            self._tell(_news(policy, before, status.storm))


def _news(policy: Policy, before: Storm | None, after: Storm | None) -> Occurrence:
    """One word when a storm begins, and one when it is over: not one for each action held back."""
    if after is not None:
        reason, note = EventReason.REMEDIATION_PAUSED, f"a mass failure began at {stamp(after.since)}"
        if policy.spec is not None and policy.spec.storm_cooldown is not None:
            _, note = told(after, policy.spec.storm_cooldown)
    else:
        reason, note = EventReason.REMEDIATION_RESUMED, "the mass failure is over"
        if before is not None:
            note = f"the mass failure of {stamp(before.since)} is over: each target is judged as it is now"
    return Occurrence(
        namespace=policy.key[0],
        regarding=Ref("KiroSafetyPolicy", policy.key[1], policy.uid),
        api_version=API_VERSION,
        reason=reason,
        action="Judge",
        note=note,
        warning=after is not None,
    )
