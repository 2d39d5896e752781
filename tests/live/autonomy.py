"""What the live tests of autonomous operations share: one check, sampled and judged as the engine does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.checks import registry
from kiro_operator.core.flap import FlapRule, Settled, Track, settle
from kiro_operator.core.objects import Pod
from kiro_operator.core.snapshot import Sample
from kiro_operator.core.verdict import Verdict
from kiro_operator.ports import Observer, PollRequest
from tests.adapters.helpers import facts, poll


class Watcher:
    """Samples and judges one check, as the engine does."""

    settled: Settled
    """What flap control makes of the last verdict."""

    def __init__(
        self, check_id: str, namespace: str, observers: Iterable[Observer], **policies: dict[str, Any]
    ) -> None:
        self.item = registry()[check_id]
        self.namespace = namespace
        self.observers = tuple(observers)
        self.policies = policies
        self.request: dict[str, Any] = {}
        self.pods: Callable[[], list[Pod]] = list
        self.parameters: dict[str, Any] = {}
        self.at: datetime | None = None
        self.patience = 0.0
        """Seconds after which a change must be seen: RBAC is judged from a cache of the API server."""
        self.samples: dict[str, Sample[Any]] = {}
        self._track: Track | None = None

    def poll(self) -> PollRequest:
        specs = {
            name.replace("_", "-"): KiroSafetyPolicySpec.model_validate(spec)
            for name, spec in self.policies.items()
        }
        parameters = self.item.check.parameters.model_validate(self.parameters)
        last = max((sample.time for sample in self.samples.values()), default=None)
        snapshot = facts(self.namespace, self.pods(), policies=specs)
        return poll(snapshot, parameters, now=self.at, since=last, **self.request)

    async def verdict(self) -> Verdict:
        request = self.poll()
        for observer in self.observers:
            before = self.samples.get(observer.source.name)
            value = await observer.observe(request)
            number = before.number + 1 if before else 1
            self.samples[observer.source.name] = Sample(number, self.at or datetime.now(UTC), value)
        snapshot = facts(
            self.namespace, self.pods(), policies=request.snapshot.policies, samples=self.samples
        )
        parameters = self.item.check.parameters.model_validate(self.parameters)
        now, check = self.at or datetime.now(UTC), self.item.check
        verdict = check.judge(snapshot, parameters, now)
        rule = FlapRule(
            fail_after=check.fail_after,
            recover_after=check.recover_after,
            failure_threshold=check.failure_threshold,
            success_threshold=check.success_threshold,
        )
        newest = min((sample.number for sample in self.samples.values()), default=None)
        self._track, self.settled = settle(self._track, verdict, rule, now, newest)
        return verdict

    async def expect(self, status: str, reason: str, *fragments: str) -> Verdict:
        """The verdict, which has to be this one; looks again for as long as patience lasts."""
        end = asyncio.get_running_loop().time() + self.patience
        while True:
            verdict = await self.verdict()
            told = (verdict.status.value, verdict.reason)
            if told == (status, reason) and all(fragment in verdict.message for fragment in fragments):
                return verdict
            if asyncio.get_running_loop().time() >= end:
                raise AssertionError(f"{told} is not {status}, {reason} with {fragments}: {verdict.message}")
            await asyncio.sleep(0.05)


def gates(**more: Any) -> dict[str, Any]:
    boundaries = {
        "actions": ["restart", "drain-node"],
        "risky": ["drain-node"],
        "kinds": ["Deployment"],
        "namespaces": ["shop"],
        "maximumChange": 50,
    }
    gate = {
        "name": "drains",
        "actions": ["drain-node"],
        "approvers": [{"kind": "Group", "name": "leads"}, {"kind": "ServiceAccount", "name": "bot"}],
    }
    return {"boundaries": boundaries, "approvalGates": [gate], **more}
