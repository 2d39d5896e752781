"""Samples of a round are judged together."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from kiro_operator.adapters.clock import SystemClock
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.reconcile import intake
from kiro_operator.reconcile.intake import HEALTH_CHECK, Intake
from kiro_operator.reconcile.target import Target


def intake_alone() -> Intake:
    nothing = cast("Any", None)  # no object comes in
    return Intake(
        watches=nothing,
        policies=nothing,
        records=nothing,
        metrics=Metrics(),
        clock=SystemClock(),
        on_removed=lambda _: None,
    )


async def test_what_is_sampled_together_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "TOGETHER", 0.05)
    made = intake_alone()
    one, other = Target(("kiro-system", "one")), Target(("kiro-system", "other"))
    for target in (one, one, other, one):
        made.sampled(target, more=True)
    assert len(made.queue) == 0
    async with asyncio.timeout(5):
        worked = [await made.queue.get(), await made.queue.get()]
    assert worked == [(HEALTH_CHECK, one.key), (HEALTH_CHECK, other.key)]
    assert len(made.queue) == 0
    made.sampled(one, more=True)
    made.queue.done(worked[0])
    async with asyncio.timeout(5):
        assert await made.queue.get() == worked[0], "the next round has its turn"


async def test_the_last_of_a_round_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "TOGETHER", 3600.0)
    made, one = intake_alone(), Target(("kiro-system", "one"))
    made.sampled(one, more=True)
    made.sampled(one, more=False)
    async with asyncio.timeout(5):
        assert await made.queue.get() == (HEALTH_CHECK, one.key)
    assert len(made.queue) == 0
