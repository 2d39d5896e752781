"""Episodes, steps and rungs; and what is remembered of a target's health."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from kiro_operator.api.v1alpha1.healthcheck import LadderStep, Remediation
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.policy.ladder import Turn, quiet_period, turn
from kiro_operator.core.policy.types import Entry, Ledger
from kiro_operator.core.policy.wellness import Wellness, remember
from tests.core.policy.make import NOW, RESTART, SCALE, ago, entry, ref

QUIET = timedelta(minutes=10)
LADDER = [LadderStep(action=RESTART), LadderStep(action=SCALE), LadderStep(action=RESTART)]
UP, BACK = Method.SCALE_UP, Method.SCALE_BACK


def restarted(step: int, state: str, ended: datetime | None = None, episode: int = 1) -> Entry:
    return entry(step, state, episode=episode, at=ago(hours=1), ended=ended)


def evicted(step: int, state: str) -> Entry:
    return entry(step, state, Method.EVICT, at=ago(hours=1))


@pytest.mark.parametrize(
    ("entries", "since", "recovered", "expected"),
    [
        ((), ago(minutes=1), None, Turn(1, 1, 0)),
        ((restarted(1, "Failed"),), ago(hours=2), None, Turn(1, 2, 1)),
        # What crashes in turns dates its fault anew: that is no recovery.
        ((restarted(1, "Failed"),), ago(minutes=1), None, Turn(1, 2, 1)),
        ((restarted(1, "Failed"),), ago(minutes=1), ago(minutes=30), Turn(2, 1, 0)),
        ((restarted(1, "Failed", ago(minutes=20)),), ago(minutes=1), ago(minutes=30), Turn(1, 2, 1)),
        # A relapse counts against the same episode; a fault long after a success does not.
        ((restarted(1, "Succeeded", ago(minutes=15)),), ago(minutes=6), None, Turn(1, 2, 1)),
        ((restarted(1, "Succeeded", ago(minutes=15)),), ago(minutes=5), None, Turn(2, 1, 0)),
        # What came to nothing uses up its name and climbs no rung.
        ((restarted(1, "Denied"),), ago(minutes=1), None, Turn(1, 2, 0)),
        ((restarted(1, "Denied"), restarted(2, "Expired")), ago(minutes=1), ago(minutes=1), Turn(1, 3, 0)),
        ((restarted(1, "Failed"), restarted(2, "Denied")), ago(minutes=1), None, Turn(1, 3, 1)),
        # What runs is not tried yet.
        ((restarted(1, "Verifying"),), ago(minutes=1), None, Turn(1, 2, 0)),
        ((restarted(1, "Failed"), restarted(2, "Acting")), ago(minutes=1), None, Turn(1, 3, 1)),
        # Only the last episode matters.
        (
            (restarted(1, "Failed"), restarted(2, "Failed"), restarted(1, "Failed", episode=2)),
            ago(minutes=1),
            None,
            Turn(2, 2, 1),
        ),
        # Rungs are climbed along what was tried; one that is on the ladder no more takes a rung too.
        ((entry(1, "Failed", UP),), ago(minutes=1), None, Turn(1, 2, 2)),
        ((restarted(1, "Failed"), entry(2, "Failed", UP)), ago(minutes=1), None, Turn(1, 3, 2)),
        ((restarted(1, "Failed"), restarted(2, "Failed")), ago(minutes=1), None, Turn(1, 3, 3)),
        (
            (entry(1, "Failed", UP), entry(2, "Failed", UP), restarted(3, "Failed")),
            ago(minutes=1),
            None,
            Turn(1, 4, 4),
        ),
        # An eviction that helped leaves the rung; one that did not leaves it once; two take it.
        ((evicted(1, "Succeeded"),), ago(hours=1), None, Turn(1, 2, 0, 1)),
        ((evicted(1, "Failed"),), ago(minutes=1), None, Turn(1, 2, 0, 1, eviction_failed=True)),
        ((evicted(1, "Failed"), evicted(2, "Succeeded")), ago(hours=1), None, Turn(1, 3, 0, 2)),
        ((evicted(1, "Failed"), evicted(2, "Failed")), ago(minutes=1), None, Turn(1, 3, 1)),
        ((evicted(1, "Failed"), restarted(2, "Failed")), ago(minutes=1), None, Turn(1, 3, 1)),
        # Scaling back is no remedy.
        ((restarted(1, "Failed"), entry(2, "Failed", BACK)), ago(minutes=1), None, Turn(1, 3, 1)),
    ],
)
def test_turn(
    entries: tuple[Entry, ...], since: datetime, recovered: datetime | None, expected: Turn
) -> None:
    of_target = Ledger(tuple(reversed(entries))).of(ref())
    assert turn(of_target, LADDER, since=since, recovered_at=recovered, quiet=QUIET) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, timedelta(minutes=10)),
        ({"ladder": []}, timedelta(minutes=10)),
        ({"stabilization": "1h"}, timedelta(hours=1)),
        ({"ladder": [{"action": "Restart", "timeout": "30m"}]}, timedelta(minutes=30)),
    ],
)
def test_the_quiet_period_comes_from_the_health_check(fields: Any, expected: timedelta) -> None:
    assert quiet_period(Remediation.model_validate(fields)) == expected


def look(before: Wellness, *, well: bool, now: datetime = NOW) -> Wellness:
    return remember(before, well=well, quiet=QUIET, now=now)


def test_a_process_that_has_just_started_has_seen_nobody_recover() -> None:
    assert look(Wellness(), well=False) == Wellness(None, None, NOW)
    assert look(Wellness(), well=True) == Wellness(NOW, None, None)


def test_recovery_is_a_quiet_period_on_end() -> None:
    almost = Wellness(ago(minutes=9), None, ago(minutes=9))
    assert look(almost, well=False).recovered_at is None
    long = Wellness(ago(minutes=10), None, ago(minutes=10))
    assert look(long, well=True) == Wellness(ago(minutes=10), NOW, ago(minutes=10))
    assert look(long, well=False) == Wellness(None, NOW, NOW)
    assert look(Wellness(None, ago(hours=1)), well=True) == Wellness(NOW, ago(hours=1), None)


def test_a_clock_set_back_makes_nobody_well() -> None:
    ahead = ago(minutes=-30)
    assert look(Wellness(ahead, ahead, ahead), well=True) == Wellness(NOW, NOW, NOW)
