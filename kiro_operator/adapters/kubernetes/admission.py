"""Whether the API server vouches for who made a KiroApproval: the admission policy, as it is installed."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.core.admission import ADMISSION, BINDING, NAME, POLICY, in_force_since, problem
from kiro_operator.core.permissions import Rule, Scope
from kiro_operator.core.policy.approvals import UNPROTECTED
from kiro_operator.core.snapshot import Unobserved

RULES = (
    Rule(
        ADMISSION,
        ("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
        ("get",),
        "an approval counts only while the policy that vouches for its author is in force",
        Scope.CLUSTER,
        names=(NAME,),
    ),
)
STALE = 300.0
"""Seconds for which an answer is good: after that nobody knows any more."""
TAKES_HOLD = timedelta(seconds=10)
"""By when each replica of the API server has heard of a change; what was made before may be unchecked."""

logger = logging.getLogger(__name__)


class ApprovalGuard:
    """Looks at the policy and its binding, and remembers what it saw."""

    def __init__(self, client: Client, clock: ports.Clock) -> None:
        self._client = client
        self._clock = clock
        self._seen: datetime | Unobserved = Unobserved(UNPROTECTED, "it has not been looked at yet")
        self._told: datetime | Unobserved = self._seen
        """What the last look said: whoever confirms in between tells nobody."""
        self._at = 0.0

    @property
    def since(self) -> datetime | Unobserved:
        """From when on whoever made a KiroApproval is vouched for, or why nobody is."""
        if not isinstance(self._seen, Unobserved) and self._clock.monotonic() - self._at > STALE:
            return Unobserved(UNPROTECTED, "the API server has not told for long whether it checks them")
        return self._seen

    async def look(self) -> bool:
        """Look once more; returns whether anything changed since the last look. No answer changes nothing."""
        try:
            await self.confirm()
        except (ports.ApiError, ports.Unreachable, KeyError, ValueError, *MALFORMED) as error:
            logger.warning("cannot tell whether approvals are protected: %s", error)
        before, self._told = self._told, self.since
        return before != self._told

    async def confirm(self) -> None:
        """Look once more, for whoever rests on it that nobody could forge what was made until now.

        Raises:
            ports.ApiError, ports.Unreachable, KeyError, ValueError, msgspec.DecodeError: there is no answer
                that makes sense; what was seen before stays.
        """
        try:
            policy, binding = await asyncio.gather(
                self._get("validatingadmissionpolicies"), self._get("validatingadmissionpolicybindings")
            )
            self._seen = _judged(policy, binding)
        except ports.Forbidden as error:
            logger.warning("cannot tell whether approvals are protected: %s", error)
            self._seen = Unobserved(UNPROTECTED, RULES[0].advice(""))
        self._at = self._clock.monotonic()

    async def _get(self, plural: str) -> Mapping[str, Any] | None:
        try:
            answer = await self._client.get(f"/apis/{ADMISSION}/v1/{plural}/{NAME}")
        except ports.NotFound:
            return None
        found: Mapping[str, Any] = msgspec.json.decode(answer, type=dict[str, Any])
        return found


def _judged(policy: Mapping[str, Any] | None, binding: Mapping[str, Any] | None) -> datetime | Unobserved:
    wrong = problem(policy, POLICY) or problem(binding, BINDING)
    if wrong or policy is None or binding is None:
        return Unobserved(UNPROTECTED, wrong)
    return in_force_since(policy, binding) + TAKES_HOLD
