"""What the AWS account costs against budget, savings target and its own past: Cost Explorer."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import fmean, median
from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.costs import settled, span
from kiro_operator.core.evidence.aws import AWS_COST, Costs
from kiro_operator.core.findings import found
from kiro_operator.core.quiet import figure
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, unknown

_MONTH = 30


class CostSavingsParameters(Parameters):
    """Thresholds of cost-savings."""

    monthly_budget: Annotated[float, Field(ge=0, le=1e12)] = Field(
        default=0.0,
        description="Spend in 30 days that is too much, in the account's currency; 0 for no budget.",
    )
    monthly_baseline: Annotated[float, Field(ge=0, le=1e12)] = Field(
        default=0.0, description="Spend in 30 days that savings are held against; 0 for no savings target."
    )
    savings_percent: Annotated[int, Field(ge=1, le=99)] = Field(
        default=10, description="Share of the baseline that is to be saved."
    )
    rise_percent: Annotated[int, Field(ge=5, le=10000)] = Field(
        default=30, description="Rise of a usual day's spend over the former four weeks that is too much."
    )
    recent_days: Annotated[int, Field(ge=3, le=14)] = Field(
        default=7, description="Days that count as recent for the rise."
    )
    settling_days: Annotated[int, Field(ge=1, le=7)] = Field(
        default=2, description="Youngest days that are left out, because their costs still come in."
    )

    def shadowed(self) -> str:
        """A budget above what the savings target leaves is never reached first."""
        target = self.monthly_baseline * (1 - self.savings_percent / 100)
        if not self.monthly_budget or not self.monthly_baseline or self.monthly_budget < target:
            return ""
        return "monthlyBudget never decides: savingsPercent of monthlyBaseline leaves less to spend"


def judge(snapshot: Snapshot, parameters: CostSavingsParameters, now: datetime) -> Verdict:
    """Judge the settled days, against each measure that there is."""
    costs = snapshot.value(AWS_COST)
    if isinstance(costs, Unobserved):
        return unknown(costs)
    since = snapshot.sampled_at(AWS_COST, now)
    today = costs.asked.date()
    end = today - timedelta(days=parameters.settling_days)
    amounts = settled(costs, parameters.settling_days)
    account = Ref("AwsAccount", costs.account)
    month = span(amounts, end, _MONTH)
    findings: list[Finding] = []
    gaps: list[str] = []
    if parameters.monthly_budget:
        findings += _over_budget(costs, month, parameters, account, since)
    if parameters.monthly_baseline and month:
        findings += _under_target(_MONTH * fmean(month), parameters, account, since)
    if not month and (parameters.monthly_budget or parameters.monthly_baseline):
        gaps.append("the last 30 days")
    recent = span(amounts, end, parameters.recent_days)
    former = span(amounts, end - timedelta(days=parameters.recent_days), 28)
    if recent and former:
        findings += _risen(median(recent), median(former), parameters, account, since)
    else:
        gaps.append(f"the last {parameters.recent_days + 28} days")
    if findings:
        return found(findings)
    if gaps:
        return unknown(
            Unobserved(
                "TooFewDays",
                f"Cost Explorer has settled costs for too few of {gaps[0]} of account {costs.account}; "
                "days without a figure are not taken for free",
            )
        )
    return passed(f"The spend of account {costs.account} is within what is set for it.")


def _over_budget(
    costs: Costs, month: list[float], parameters: CostSavingsParameters, account: Ref, since: datetime
) -> Iterable[Finding]:
    # What was spent is spent, also on days that are not settled: those can only grow.
    today = costs.asked.date()
    first = today - timedelta(days=_MONTH)
    spent = sum(item.amount for item in costs.days if first <= item.day < today)
    share = max(spent, _MONTH * fmean(month) if month else 0.0) / parameters.monthly_budget
    if share > 1:
        message = (
            f"AWS account {account.name} spends more in 30 days than its budget: "
            f"{figure(100 * share, ' %')} of it; aws ce get-cost-and-usage "
            "--group-by Type=DIMENSION,Key=SERVICE says on what"
        )
        yield Finding(account, "OverBudget", message, since)


def _under_target(
    spend: float, parameters: CostSavingsParameters, account: Ref, since: datetime
) -> Iterable[Finding]:
    saved = 100 * (1 - spend / parameters.monthly_baseline)
    if saved < parameters.savings_percent:
        message = (
            f"AWS account {account.name} spends {figure(100 - saved, ' %')} of its baseline, "
            f"and {parameters.savings_percent} % are to be saved: see which optimization decisions had an "
            "effect, or apply more of them"
        )
        yield Finding(account, "SavingsUnderTarget", message, since)


def _risen(
    recent: float, former: float, parameters: CostSavingsParameters, account: Ref, since: datetime
) -> Iterable[Finding]:
    if former <= 0 or recent <= former * (1 + parameters.rise_percent / 100):
        return
    message = (
        f"AWS account {account.name} spends {figure(100 * recent / former, ' %')} of what a usual day cost "
        "in the four weeks before: aws ce get-cost-and-usage --group-by Type=DIMENSION,Key=SERVICE says "
        "on what"
    )
    yield Finding(account, "SpendRising", message, since)


CHECK = Check(
    title="Spend is within budget, target and its own past",
    section="cost-efficiency-metrics",
    command="aws ce get-cost-and-usage --granularity DAILY --metrics {metric} "
    "--time-period Start=$(date -d -30days +%F),End=$(date +%F)",
    sources=(AWS_COST,),
    judge=judge,
    parameters=CostSavingsParameters,
    interval=timedelta(hours=8),
    failure_threshold=1,
    success_threshold=1,
)
