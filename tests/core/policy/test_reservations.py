"""The budget as it is reserved in a policy's status."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import RESERVATIONS, KiroSafetyPolicySpec, Reservation
from kiro_operator.core.policy.reservations import exceeds, kept, next_release, used, widest_window
from tests.core.policy.asking import EVICT, UP
from tests.core.policy.make import NOW, RESTART, SCALE, ago, entry, policy


def reserved(name: str, minutes: float, action: ActionName = RESTART) -> Reservation:
    return Reservation(remediation=name, action=action, time=ago(minutes=minutes))


def limited(total: int = 9, restart: int = 9, scale: int = 9, window: str = "1h") -> KiroSafetyPolicySpec:
    actions = [
        {"name": "Restart", "budget": {"limit": restart, "window": "30m"}},
        {"name": "Scale", "budget": {"limit": scale, "window": "10m"}},
    ]
    return policy(actions=actions, budget={"limit": total, "window": window})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (limited(window="1h"), timedelta(hours=1)),
        (limited(window="5m"), timedelta(minutes=30)),
        (policy(actions=[], budget=None), timedelta(0)),
        (policy(actions=[]), timedelta(hours=1)),
        (policy(budget=None), timedelta(hours=1)),
    ],
)
def test_widest_window(spec: KiroSafetyPolicySpec, expected: timedelta) -> None:
    assert widest_window(spec) == expected


@pytest.mark.parametrize(
    ("reservations", "entries", "expected"),
    [
        ([], (), []),
        ([reserved("a", 59)], (), ["a"]),
        ([reserved("a", 60)], (), []),  # it has left the window
        ([reserved("a", -5)], (), ["a"]),  # a clock that was set back gives nothing away
        ([reserved("b", 5), reserved("a", 9), reserved("0", 5)], (), ["a", "0", "b"]),
        # The ledger knows better: what came to nothing is given back, what is missing is put back.
        ([reserved("deployment-api-uid-api-e1s1", 5)], (entry(1, "Denied"),), []),
        (
            [reserved("deployment-api-uid-api-e1s1", 5)],
            (entry(1, "Failed", at=ago(minutes=5)),),
            ["deployment-api-uid-api-e1s1"],
        ),
        ([], (entry(1, "Failed", EVICT, at=ago(minutes=59)),), ["deployment-api-uid-api-e1s1"]),
        ([], (entry(1, "Failed", EVICT, at=ago(minutes=60)),), []),
        ([], (entry(1, "Denied", EVICT, at=ago(minutes=5)),), []),
        ([reserved("x", 5)], (entry(1, "Denied"),), ["x"]),
    ],
)
def test_kept(reservations: list[Reservation], entries: Any, expected: list[str]) -> None:
    assert [item.remediation for item in kept(reservations, limited(), entries, NOW)] == expected


def test_what_is_put_back_is_what_was_done() -> None:
    when = ago(minutes=5) + timedelta(microseconds=7)
    (found,) = kept([], limited(), (entry(1, "Failed", UP, at=when),), NOW)
    assert found == Reservation(remediation="deployment-api-uid-api-e1s1", action=SCALE, time=ago(minutes=5))
    (held,) = kept([reserved(found.remediation, 9)], limited(), (entry(1, "Failed", UP, at=when),), NOW)
    assert held.time == ago(minutes=9)


ALL = "the budget of {} actions is used up"


@pytest.mark.parametrize(
    ("reservations", "spec", "expected"),
    [
        ([], limited(), ""),
        ([], policy(budget=None), "the policy gives no budget"),
        ([reserved("a", 1), reserved("b", 1)], limited(total=2), ""),
        ([reserved("a", 1), reserved("b", 1)], limited(total=1), ALL.format(1)),
        ([reserved("a", 1), reserved("b", 60)], limited(total=1), ""),
        ([reserved("a", 1), reserved("b", -9)], limited(total=1), ALL.format(1)),
        ([reserved("a", 1), reserved("b", 1)], limited(restart=2), ""),
        ([reserved("a", 1), reserved("b", 1)], limited(restart=1), ALL.format("1 Restart")),
        ([reserved("a", 1), reserved("b", 30)], limited(restart=1), ""),
        ([reserved("a", 1), reserved("b", 1, SCALE)], limited(restart=1, scale=1), ""),
        ([reserved("a", 1, SCALE), reserved("b", 1, SCALE)], limited(scale=1), ALL.format("1 Scale")),
    ],
)
def test_exceeds(reservations: list[Reservation], spec: KiroSafetyPolicySpec, expected: str) -> None:
    assert exceeds(reservations, spec, NOW) == expected


def test_used() -> None:
    some = [reserved("a", 1), reserved("b", 60), reserved("c", 59)]
    assert used(some, limited(total=5), NOW) == "2/5"
    assert used(some, policy(budget=None), NOW) == "-"


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ((), None),
        ((10, 20), NOW + timedelta(minutes=40)),
        ((60, 20), NOW + timedelta(minutes=40)),  # the first leaves this moment
        ((90,), None),
    ],
)
def test_next_release(minutes: tuple[float, ...], expected: datetime | None) -> None:
    some = [reserved(str(number), each) for number, each in enumerate(minutes)]
    assert next_release(some, limited(), NOW) == expected


def test_of_more_than_a_status_can_hold_the_newest_are_kept() -> None:
    spec = policy(budget={"limit": 100, "window": "168h"})
    many = [reserved(f"r{minutes:03}", minutes) for minutes in range(RESERVATIONS + 50)]
    left = kept(many, spec, (), NOW)
    newest = [f"r{minutes:03}" for minutes in range(RESERVATIONS)]
    assert [item.remediation for item in left] == newest[::-1]
    # That many are beyond the largest budget all the same.
    assert exceeds(left, spec, NOW)
