"""What an AWS account costs, by the day: ``aws ce get-cost-and-usage``.

A request costs one cent and the figures move about three times a day, so an answer is kept for hours and
shared by all KiroHealthChecks that ask as the same identity for the same costs.
"""

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kiro_operator import ports
from kiro_operator.adapters.aws.account import Account, Accounts, Who
from kiro_operator.adapters.aws.identity import identity
from kiro_operator.adapters.aws.remembered import Remembered
from kiro_operator.api.v1alpha1.evidence.aws import AwsCosts
from kiro_operator.core.evidence.aws import AWS_COST, Costs, DayCost
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Unobserved

if TYPE_CHECKING:
    from types_boto3_ce.type_defs import ExpressionTypeDef

KEEP = 7.5 * 3600
"""Seconds an answer holds: a little less than the interval at which the check asks."""
DAYS = 62
PAGES = 3
"""Pages of one answer at most; each costs as much as the first."""


class AwsCostsOf:
    """Samples Cost Explorer."""

    source = AWS_COST
    rules: tuple[Rule, ...] = ()

    def __init__(
        self, accounts: Accounts, *, keep: float = KEEP, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._accounts = accounts
        self._answers: Remembered[Costs] = Remembered(keep, clock)

    async def observe(self, request: ports.PollRequest) -> Costs | Unobserved:
        """Daily costs of the last two months."""
        spec = self._accounts.spec(request.namespace, request.spec.aws)
        if isinstance(spec, Unobserved):
            return spec
        who, which, now = Who.of(spec), spec.costs, request.now
        return await self._answers.get(
            (who, which.model_dump_json()),
            lambda: self._accounts.ask(who, lambda account: costs(account, which, now)),
        )


def costs(account: Account, which: AwsCosts, now: datetime) -> Costs:
    """Ask Cost Explorer; blocks.

    Raises:
        KeyError, ValueError: the answer is not what its API promises.
    """
    # First, because it is free: credentials that are not valid cost nothing.
    who = identity(account)
    today = now.astimezone(UTC).date()
    period = {"Start": (today - timedelta(days=DAYS)).isoformat(), "End": today.isoformat()}
    days: dict[date, DayCost] = {}
    units: set[str] = set()
    limits: dict[str, Any] = {"Filter": _filter(which)} if which.tag else {}
    for _ in range(PAGES):
        answer = account.costs().get_cost_and_usage(
            TimePeriod={"Start": period["Start"], "End": period["End"]},
            Granularity="DAILY",
            Metrics=[which.metric],
            **limits,
        )
        for result in answer.get("ResultsByTime", ())[: 2 * DAYS]:
            if (read := day_cost(result, which.metric)) is not None:
                days[read[0].day] = read[0]
                units.add(read[1])
        if not answer.get("NextPageToken"):
            break
        limits["NextPageToken"] = answer["NextPageToken"]
    if len(units) > 1:
        raise ValueError(f"the costs are in several units: {sorted(units)}")
    return Costs(who.account, next(iter(units), ""), tuple(days[day] for day in sorted(days)), now)


def _filter(which: AwsCosts) -> "ExpressionTypeDef":
    if which.tag is None:
        return {}
    return {"Tags": {"Key": which.tag.key, "Values": [which.tag.value], "MatchOptions": ["EQUALS"]}}


def day_cost(result: Mapping[str, Any], metric: str) -> tuple[DayCost, str] | None:
    """A day's cost and its unit; None where the answer has no number for it.

    Raises:
        KeyError, ValueError: it is no day.
    """
    day = date.fromisoformat(result["TimePeriod"]["Start"][:10])
    total = result.get("Total", {}).get(metric)
    if not total:
        return None
    amount = float(total["Amount"])
    if not math.isfinite(amount):
        return None
    return DayCost(day, amount, bool(result.get("Estimated"))), str(total.get("Unit", ""))[:16]
