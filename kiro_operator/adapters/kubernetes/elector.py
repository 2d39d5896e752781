"""Leader election by Lease: one process acts, the others stand by with warm caches.

A Lease does not fence. ``may_act`` therefore looks at a monotonic deadline, counted from before
the last renewal was sent, and each write that matters is a compare-and-swap besides.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from datetime import UTC

import msgspec
from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.core.permissions import Rule, Scope
from kiro_operator.core.writes import Must, Operation, Write

RULES = (
    Rule(
        "coordination.k8s.io",
        ("leases",),
        ("get", "update"),
        "the Lease says which replica acts",
        Scope.OWN,
        names=("kiro-operator",),
    ),
    Rule(
        "coordination.k8s.io",
        ("leases",),
        ("create",),
        "the first replica makes the Lease; a create cannot be limited to a name",
        Scope.OWN,
    ),
)
ADMITTED = (
    Write(
        by="leader-election",
        api_version="coordination.k8s.io/v1",
        resources=("leases",),
        operations=(Operation.CREATE, Operation.UPDATE),
        musts=(
            # Those of shards have their names after its own.
            Must(
                "request.userInfo.username.startsWith('system:serviceaccount:' + request.namespace + ':')\n"
                "&& (object.metadata.name == 'kiro-operator'\n"
                "|| object.metadata.name.startsWith('kiro-operator-'))",
                "it writes its own Lease, and those of its shards, in its own namespace",
            ),
            Must(
                "!has(object.metadata.finalizers) && !has(object.metadata.ownerReferences)",
                "a Lease has neither finalizers nor owners",
            ),
        ),
    ),
)

logger = logging.getLogger(__name__)


class _Metadata(Struct, rename="camel", omit_defaults=True):
    name: str
    namespace: str
    resource_version: str = ""


class _Spec(Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Lease(Struct, rename="camel"):
    metadata: _Metadata
    spec: _Spec
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"


class NotLeading(Exception):
    """The Lease is lost, or too short to finish in: nothing may be sent any more."""


class Elector:
    """Holds, or waits for, one Lease. Times are in seconds."""

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        duration: float,
        renew_deadline: float,
        retry_period: float,
        clock: ports.Clock,
    ) -> None:
        self._client = client
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._name = name
        self.identity = identity
        self._duration = duration
        self._renew_deadline = renew_deadline
        self._retry_period = retry_period
        self._clock = clock
        self._held: _Lease | None = None
        self._deadline = float("-inf")
        self._seen: tuple[_Spec | None, float] = (None, float("-inf"))

    @property
    def leading(self) -> bool:
        """Whether this process may act now."""
        return self._clock.monotonic() < self._deadline

    @property
    def remaining(self) -> float:
        """Seconds for which this process may still act without another renewal."""
        return max(0.0, self._deadline - self._clock.monotonic())

    def check(self) -> None:
        """Go on only while the Lease is held.

        Raises:
            NotLeading: it is not, and another process may be acting by now.
        """
        if not self.leading:
            raise NotLeading("the lease ran out")

    async def run(self, on_elected: Callable[[], None]) -> None:
        """Win the Lease, tell, and renew it; returns when it was lost."""
        while not await self._try():  # noqa: ASYNC110 - the Lease is elsewhere: only asking tells
            await asyncio.sleep(self._until_next_try())
        logger.info("leading", extra={"identity": self.identity, "lease": f"{self._namespace}/{self._name}"})
        on_elected()
        while self.leading:
            await asyncio.sleep(min(self._retry_period, self.remaining))
            try:
                async with asyncio.timeout(max(self.remaining, 0.01)):
                    await self._try()
            except TimeoutError:
                break
        logger.error("lost the lease", extra={"identity": self.identity})

    async def release(self) -> None:
        """Give the Lease back, so that a standby need not wait for it to run out."""
        held, self._held, self._deadline = self._held, None, float("-inf")
        if held is None:
            return
        held.spec.holder_identity, held.spec.lease_duration_seconds = "", 1
        held.spec.renew_time = _now(self._clock)
        try:
            await self._client.put_lease(f"{self._path}/{self._name}", held)
        except (ports.ApiError, ports.Unreachable) as error:
            logger.warning("could not release the lease, it runs out by itself: %s", error)

    async def _try(self) -> bool:
        """One attempt to take or renew. Errors are logged: the deadline decides, not one request."""
        asked_at = self._clock.monotonic()
        try:
            lease = self._held or await self._read()
            if lease is None:
                self._held = await self._write(None)
            elif self._mine(lease) or self._run_out(lease.spec):
                self._held = await self._write(lease)
            else:
                # Somebody may have deleted it, and another one made it, before the deadline.
                self._deadline = float("-inf")
                return False
        except (ports.Conflict, ports.AlreadyExists):
            self._held = None
            return False
        except (ports.ApiError, ports.Unreachable) as error:
            if isinstance(error, ports.NotFound):
                self._held = None
            logger.warning("lease %s/%s: %s", self._namespace, self._name, error)
            return False
        self._deadline = asked_at + self._renew_deadline
        return True

    def _until_next_try(self) -> float:
        """Seconds to wait: the retry period, or less where the Lease runs out before."""
        spec, since = self._seen
        if spec is None:
            return self._retry_period
        left = since + (spec.lease_duration_seconds or self._duration) - self._clock.monotonic()
        return max(0.05, min(self._retry_period, left))

    def _mine(self, lease: _Lease) -> bool:
        return lease.spec.holder_identity == self.identity

    def _run_out(self, spec: _Spec) -> bool:
        """Whether the holder has been silent for its own lease duration, by this process's clock."""
        if not spec.holder_identity:
            return True
        now = self._clock.monotonic()
        seen, since = self._seen
        if seen is None or (seen.holder_identity, seen.renew_time) != (spec.holder_identity, spec.renew_time):
            self._seen = (spec, now)
            return False
        return now >= since + (spec.lease_duration_seconds or self._duration)

    async def _read(self) -> _Lease | None:
        try:
            return msgspec.json.decode(await self._client.get(f"{self._path}/{self._name}"), type=_Lease)
        except ports.NotFound:
            return None

    async def _write(self, lease: _Lease | None) -> _Lease:
        now = _now(self._clock)
        before = lease.spec if lease else _Spec()
        taken_over = lease is not None and not self._mine(lease)
        spec = _Spec(
            holder_identity=self.identity,
            # Whole seconds, and never fewer than this process takes itself to lead.
            lease_duration_seconds=math.ceil(self._duration),
            acquire_time=before.acquire_time if lease and not taken_over else now,
            renew_time=now,
            lease_transitions=(before.lease_transitions or 0) + (1 if taken_over else 0),
        )
        wanted = _Lease(lease.metadata if lease else _Metadata(self._name, self._namespace), spec)
        if lease is None:
            answer = await self._client.create(self._path, wanted)
        else:
            answer = await self._client.put_lease(f"{self._path}/{self._name}", wanted)
        return msgspec.json.decode(answer, type=_Lease)


def _now(clock: ports.Clock) -> str:
    return clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
