"""Daily costs, as far as they can be relied on."""

from collections.abc import Mapping
from datetime import date, timedelta

from kiro_operator.core.evidence.aws import Costs

_MOST = 0.8
"""Share of a span's days that have to be known: what is missing is neither free nor average."""


def settled(costs: Costs, settling_days: int) -> dict[date, float]:
    """The amounts by day, less the youngest days, whose costs still come in, and estimates of nothing."""
    end = costs.asked.date() - timedelta(days=settling_days)
    return {
        item.day: item.amount for item in costs.days if item.day < end and (item.amount or not item.estimated)
    }


def span(amounts: Mapping[date, float], end: date, days: int) -> list[float]:
    """The amounts of the days before ``end``, when nearly all of them are known; else nothing."""
    asked = (end - timedelta(days=number + 1) for number in range(days))
    known = [amounts[day] for day in asked if day in amounts]
    return known if len(known) >= _MOST * days else []
