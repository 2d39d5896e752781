"""Whether anything may be done at all, in the words that a condition shows."""

from typing import Any

import pytest

from kiro_operator.core.conditions import Permission
from kiro_operator.core.policy.permission import paused, permission
from kiro_operator.core.policy.plan import Policy
from tests.core.policy.make import ago, policy
from tests.core.policy.test_storms import BEGUN, CALM

FREE = Policy("a", policy())


@pytest.mark.parametrize(
    ("policies", "suspended", "expected"),
    [
        ((FREE,), True, ("Suspended", "spec.suspend is true")),
        (None, True, ("Suspended", "spec.suspend is true")),
        (None, False, ("NoPolicy", "no KiroSafetyPolicy is named: observation only")),
        ((), False, ("NoPolicy", "no KiroSafetyPolicy is named: observation only")),
        (
            (FREE, Policy("b", None, "spec.mode: odd")),
            False,
            ("PolicyUnusable", "KiroSafetyPolicy b cannot be used: spec.mode: odd"),
        ),
        (
            (Policy("", None, "KiroRemediation x cannot be read", "RecordsUnreadable"), FREE),
            False,
            ("RecordsUnreadable", "KiroRemediation x cannot be read"),
        ),
        (
            (FREE, Policy("b", policy(mode="DryRun"))),
            False,
            ("ModeDryRun", "KiroSafetyPolicy b is in mode DryRun: nothing is done"),
        ),
        (
            (Policy("b", policy(mode="Observe", pauseRequests=["x"])),),
            False,
            ("ModeObserve", "KiroSafetyPolicy b is in mode Observe: nothing is done"),
        ),
        (
            (FREE, Policy("b", policy(pauseRequests=["audit", "INC-7"], actions=[]))),
            False,
            ("Paused", "KiroSafetyPolicy b is paused: audit; INC-7"),
        ),
        (
            (FREE, Policy("b", policy(actions=[]))),
            False,
            ("NothingAllowed", "KiroSafetyPolicy b lists no action"),
        ),
    ],
)
def test_nothing_may_be_done(policies: Any, suspended: bool, expected: tuple[str, str]) -> None:  # noqa: FBT001
    assert permission(policies, suspended=suspended) == Permission(False, *expected)  # noqa: FBT003


def test_something_may_be_done() -> None:
    found = permission((FREE, Policy("b", policy())))
    assert found == Permission(True, "PolicyAllows", "within the limits of a, b")  # noqa: FBT003
    assert permission((FREE,)).message == "within the limits of a"


def test_paused_by_a_storm() -> None:
    calm = Policy("b", policy(), storm=CALM)
    assert paused((FREE,)) is None
    assert paused((FREE, calm, Policy("c", policy(), storm=BEGUN))) == Permission(
        False,  # noqa: FBT003
        "StormCooldown",
        "KiroSafetyPolicy b: the mass failure of 2026-06-10T11:30:00Z is over since 2026-06-10T11:56:00Z: "
        "nothing is done before 2026-06-10T12:06:00Z (10m of spec.stormCooldown)",
    )
    # Such a policy allows nothing anyway.
    assert paused((Policy("c", None, "odd", storm=BEGUN),)) is None
    assert paused((Policy("c", policy(stormCooldown=None), storm=BEGUN),)) is None
    assert CALM.subsided == ago(minutes=4)
