"""Truth tables of the gates that look at what was done, and at how the namespace fares."""

from datetime import timedelta
from typing import Any

import pytest

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import Storm
from kiro_operator.core.objects import RollingUpdate, TemplateAnnotations
from kiro_operator.core.policy.types import Entry
from tests.core.policy.asking import BACK, EVICT, OPEN, ROLL, UP, ask, person, told, until, waits
from tests.core.policy.make import (
    NOW,
    ago,
    entry,
    intent,
    platform,
    pod,
    ref,
    situation,
    snapshot,
)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((), OPEN),
        *(((entry(7, state),), waits("InProgress")) for state in ("Reserved", "Acting", "Verifying")),
        *(((entry(7, state),), OPEN) for state in ("Succeeded", "Failed", "Denied", "Expired")),
        ((entry(7, "Acting", target=ref("web")),), OPEN),
        ((entry(1, "Denied"),), waits("Duplicate")),
    ],
)
def test_in_progress(entries: tuple[Entry, ...], expected: Any) -> None:
    assert told(ask("in-progress", entries=entries)) == expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((), OPEN),
        ((entry(at=ago(minutes=5)),), OPEN),
        ((entry(at=ago(minutes=4)),), until("Cooldown", NOW + timedelta(minutes=1))),
        ((entry(state="Succeeded", at=ago(minutes=4)),), until("Cooldown", NOW + timedelta(minutes=1))),
        (
            (entry(method=BACK, replicas=(5, 4), at=ago(minutes=4)),),
            until("Cooldown", NOW + timedelta(minutes=1)),
        ),
        ((entry(state="Denied", at=ago(minutes=1)),), OPEN),
        ((entry(state="Expired", at=ago(minutes=1)),), OPEN),
        ((entry(target=ref("web"), at=ago(minutes=1)),), OPEN),
        ((entry(at=ago(minutes=-30)),), until("Cooldown", NOW + timedelta(minutes=5))),
        (
            (entry(1, at=ago(minutes=1)), entry(2, at=ago(minutes=50))),
            until("Cooldown", NOW + timedelta(minutes=4)),
        ),
    ],
)
def test_cooldown(entries: tuple[Entry, ...], expected: Any) -> None:
    assert told(ask("cooldown", entries=entries)) == expected


def tried(*minutes_ago: float, state: str = "Failed") -> tuple[Entry, ...]:
    return tuple(
        entry(step, state, at=ago(minutes=minutes + 5), ended=ago(minutes=minutes))
        for step, minutes in enumerate(minutes_ago, 1)
    )


def refused(seconds_ago: float, step: int = 1, state: str = "Denied") -> Entry:
    return entry(step, state, at=ago(minutes=9), ended=ago(seconds=seconds_ago))


@pytest.mark.parametrize(
    ("entries", "method", "expected"),
    [
        ((), EVICT, OPEN),
        (tried(4), EVICT, until("Backoff", NOW + timedelta(minutes=1))),
        (tried(5), EVICT, OPEN),
        (tried(60, 9), EVICT, until("Backoff", NOW + timedelta(minutes=1))),
        (tried(60, 10), EVICT, OPEN),
        (tried(60, 50, 19), EVICT, until("Backoff", NOW + timedelta(minutes=1))),
        (tried(90, 80, 70, 60, 50, 29), EVICT, until("Backoff", NOW + timedelta(minutes=1))),
        (tried(4, state="Succeeded"), EVICT, until("Backoff", NOW + timedelta(minutes=1))),
        (tried(4), BACK, OPEN),
        (tried(-60), EVICT, until("Backoff", NOW + timedelta(minutes=5))),
        ((refused(20),), EVICT, until("RetryLater", NOW + timedelta(seconds=10))),
        ((refused(30),), EVICT, OPEN),
        (
            (refused(50, 1, "Expired"), refused(50, 2, "Expired")),
            BACK,
            until("RetryLater", NOW + timedelta(seconds=10)),
        ),
        (
            tuple(refused(300, step) for step in range(1, 30)),
            EVICT,
            until("RetryLater", NOW + timedelta(minutes=10)),
        ),
        ((entry(1, "Denied", ended=NOW), entry(2, "Failed", ended=ago(minutes=9))), EVICT, OPEN),
    ],
)
def test_backoff(entries: tuple[Entry, ...], method: Method, expected: Any) -> None:
    wanted = intent(method, step=99)
    assert (
        told(ask("backoff", wanted, entries=entries, backoff={"initial": "5m", "maximum": "30m"})) == expected
    )


def test_an_initial_wait_beyond_the_longest_is_the_longest() -> None:
    answer = ask("backoff", intent(step=9), entries=tried(4), backoff={"initial": "2h", "maximum": "10m"})
    assert told(answer) == until("Backoff", NOW + timedelta(minutes=6))


@pytest.mark.parametrize(
    ("entries", "method", "expected"),
    [
        (tried(60, 50), EVICT, OPEN),
        (tried(60, 50, 40), EVICT, person("ConsecutiveFailures")),
        (tried(60, 50, 40), UP, person("ConsecutiveFailures")),
        (tried(60, 50, 40), BACK, OPEN),
        ((*tried(60, 50), entry(3, "Denied")), EVICT, OPEN),
        ((*tried(60, 50), entry(3, "Succeeded")), EVICT, person("ConsecutiveFailures")),
        (tuple(entry(step, "Failed", episode=2) for step in (1, 2, 3)), EVICT, OPEN),
    ],
)
def test_consecutive_failures(entries: tuple[Entry, ...], method: Method, expected: Any) -> None:
    assert told(ask("consecutive-failures", intent(method, step=9), entries=entries)) == expected


@pytest.mark.parametrize(
    ("bounds", "pods", "unhealthy", "expected"),
    [
        ({"maxUnhealthy": 2}, 10, 2, ""),
        ({"maxUnhealthy": 2}, 10, 3, "TooManyUnhealthy"),
        ({"maxUnhealthy": 0}, 10, 1, "TooManyUnhealthy"),
        ({"maxUnhealthy": "40%"}, 4, 1, ""),  # 1.6 is 1
        ({"maxUnhealthy": "40%"}, 4, 2, "TooManyUnhealthy"),
        ({"maxUnhealthy": "100%"}, 4, 4, ""),
        ({"maxUnhealthy": "0%"}, 4, 1, "TooManyUnhealthy"),
        ({"minHealthy": 8}, 10, 2, ""),
        ({"minHealthy": 8}, 10, 3, "TooManyUnhealthy"),
        ({"minHealthy": "60%"}, 4, 1, ""),  # 2.4 is 3
        ({"minHealthy": "60%"}, 4, 2, "TooManyUnhealthy"),
        ({"minHealthy": "100%"}, 4, 1, "TooManyUnhealthy"),
        ({"minHealthy": 0}, 4, 4, ""),
        ({"maxUnhealthy": "40"}, 4, 0, "PolicyInvalid"),
        ({"maxUnhealthy": "140%"}, 4, 0, "PolicyInvalid"),
        ({"minHealthy": -1}, 4, 0, "PolicyInvalid"),
        ({"unhealthyRange": "[0-2]"}, 10, 2, ""),
        ({"unhealthyRange": "[0-2]"}, 10, 3, "TooManyUnhealthy"),
        ({"unhealthyRange": "[2-3]"}, 10, 1, "TooFewUnhealthy"),
        ({"unhealthyRange": "[2-3]"}, 10, 2, ""),
        ({"unhealthyRange": "[2-3]"}, 10, 3, ""),
        ({"unhealthyRange": "[0-0]"}, 10, 0, ""),
        ({"unhealthyRange": "[3-2]"}, 10, 2, "PolicyInvalid"),
        ({"unhealthyRange": "1-3"}, 10, 2, "PolicyInvalid"),
        ({"unhealthyRange": "[1-3]x"}, 10, 2, "PolicyInvalid"),
        ({"unhealthyRange": "[1-3]", "maxUnhealthy": 1}, 4, 0, "PolicyIncomplete"),
        ({"unhealthyRange": "[1-3]", "minHealthy": 1}, 4, 0, "PolicyIncomplete"),
        ({"minHealthy": 1, "maxUnhealthy": 1}, 4, 0, "PolicyIncomplete"),
        ({}, 4, 0, "PolicyIncomplete"),
        ({"maxUnhealthy": 2}, None, None, "EvidenceMissing"),
        ({"maxUnhealthy": 2}, 4, None, "EvidenceMissing"),
        ({"maxUnhealthy": 2}, None, 1, "EvidenceMissing"),
    ],
)
def test_blast_radius(bounds: Any, pods: int | None, unhealthy: int | None, expected: str) -> None:
    facts = situation(pods=pods, unhealthy_pods=unhealthy)
    answer = ask("blast-radius", facts=facts, **({"maxUnhealthy": None} | bounds))
    assert told(answer)[0] == expected


@pytest.mark.parametrize(
    ("missing", "unavailable", "elsewhere", "limit", "expected"),
    [
        (1, 1, 0, 1, ""),
        (2, 1, 0, 1, "TooManyUnhealthy"),
        (2, 1, 0, 2, ""),
        (2, 1, 1, 2, "TooManyUnhealthy"),
        (2, 1, 1, 3, ""),
        (3, 3, 0, 3, ""),
    ],
)
def test_a_rollout_counts_what_it_may_take_down(
    missing: int, unavailable: int, elsewhere: int, limit: int, expected: str
) -> None:
    made, pods = platform(4, unavailable, bounds=RollingUpdate(missing))
    facts = situation(intent(ROLL), snapshot([made], pods), unhealthy_expected=elsewhere)
    assert told(ask("blast-radius", intent(ROLL), facts, maxUnhealthy=limit))[0] == expected


@pytest.mark.parametrize(
    ("ready", "limit", "expected"), [(True, 1, "TooManyUnhealthy"), (True, 2, ""), (False, 1, "")]
)
def test_a_pod_that_serves_is_missed_when_it_is_evicted(ready: bool, limit: int, expected: str) -> None:  # noqa: FBT001
    """As one that is up again between two crashes. One that is not ready is counted already."""
    made, pods = platform(4, 0)
    pods[0], pods[1] = pod("api-0", ready=ready), pod("api-1", ready=not ready)
    facts = situation(intent(EVICT), snapshot([made], pods))
    assert told(ask("blast-radius", intent(EVICT), facts, maxUnhealthy=limit))[0] == expected


def test_no_namespace_is_too_healthy_for_scaling_back() -> None:
    for method, expected in ((BACK, ""), (UP, "TooFewUnhealthy")):
        facts = situation(intent(method), pods=4, unhealthy_pods=0)
        answer = ask("blast-radius", intent(method), facts, maxUnhealthy=None, unhealthyRange="[1-2]")
        assert told(answer)[0] == expected


def test_blast_radius_of_what_is_not_seen() -> None:
    facts = situation(facts=snapshot([], [pod("api-0", ready=False)]))
    assert told(ask("blast-radius", facts=facts)) == waits("EvidenceMissing")


def at(
    minutes: float, step: int = 1, state: str = "Failed", method: Method = EVICT, name: str = "web"
) -> Entry:
    return entry(step, state, method, target=ref(name), at=ago(minutes=minutes), replicas=(1, 2))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((), OPEN),
        ((at(10), at(20)), until("BudgetExhausted", NOW + timedelta(minutes=40))),
        ((at(10), at(20), at(30)), until("BudgetExhausted", NOW + timedelta(minutes=40))),
        ((at(10), at(60)), OPEN),
        ((at(10), at(59)), until("BudgetExhausted", NOW + timedelta(minutes=1))),
        ((at(10), at(20, state="Denied")), OPEN),
        ((at(10), at(20, state="Expired")), OPEN),
        ((at(10), at(20, method=UP)), OPEN),
        (
            (at(10, method=UP), at(20, method=UP), at(30)),
            until("BudgetExhausted", NOW + timedelta(minutes=30)),
        ),
        (
            (at(300, state="Reserved"), at(300, state="Acting")),
            until("BudgetExhausted", NOW + timedelta(hours=1)),
        ),
        ((at(-300), at(-20)), until("BudgetExhausted", NOW + timedelta(hours=1))),
    ],
)
def test_budget(entries: tuple[Entry, ...], expected: Any) -> None:
    actions = [{"name": "Restart", "approval": "Automatic", "budget": {"limit": 2, "window": "1h"}}]
    answer = ask("budget", entries=entries, actions=actions, budget={"limit": 3, "window": "1h"})
    assert told(answer) == expected


@pytest.mark.parametrize(
    ("own", "whole", "expected"),
    [
        ((2, "1h"), (2, "2h"), until("BudgetExhausted", NOW + timedelta(minutes=100))),
        ((2, "2h"), (2, "1h"), until("BudgetExhausted", NOW + timedelta(minutes=100))),
        ((2, "1h"), (2, "1h"), until("BudgetExhausted", NOW + timedelta(minutes=40))),
        ((2, "1h"), (0, "1h"), person("BudgetZero")),
        ((0, "1h"), (2, "2h"), person("BudgetZero")),
        ((2, "1h"), (3, "2h"), until("BudgetExhausted", NOW + timedelta(minutes=40))),
        ((3, "1h"), (2, "2h"), until("BudgetExhausted", NOW + timedelta(minutes=100))),
    ],
)
def test_of_two_budgets_the_one_that_holds_longest_is_told(own: Any, whole: Any, expected: Any) -> None:
    (limit, window), (most, span) = own, whole
    actions = [
        {"name": "Restart", "approval": "Automatic", "budget": {"limit": limit, "window": window}},
        {"name": "Scale", "approval": "Automatic", "budget": {"limit": 0, "window": "1h"}},
    ]
    answer = ask("budget", entries=(at(10), at(20)), actions=actions, budget={"limit": most, "window": span})
    assert told(answer) == expected


def test_an_action_on_what_went_away_afterwards_was_an_action() -> None:
    gone = entry(state="Expired", target=ref("web"), at=ago(minutes=1))
    acted = [Entry(**({f: getattr(gone, f) for f in gone.__struct_fields__} | {"acted_at": ago(minutes=1)}))]
    answer = ask("budget", entries=tuple(acted), budget={"limit": 1, "window": "1h"})
    assert told(answer)[0] == "BudgetExhausted"


@pytest.mark.parametrize(("method", "reason"), [(Method.GIVE_BACK, ""), (Method.PATCH, "BudgetExhausted")])
def test_what_is_given_back_was_paid_for(method: Method, reason: str) -> None:
    past = (entry(method=method, target=ref("web"), at=ago(minutes=1)),)
    assert told(ask("budget", entries=past, budget={"limit": 1, "window": "1h"}))[0] == reason


def test_a_budget_of_zero_needs_a_person() -> None:
    assert told(ask("budget", budget={"limit": 0, "window": "1h"})) == person("BudgetZero")


@pytest.mark.parametrize(
    ("storm", "cooldown", "expected"),
    [
        (None, "10m", OPEN),
        (Storm(since=ago(hours=1)), "10m", waits("TooManyUnhealthy")),
        (Storm(since=ago(hours=1)), "0s", waits("TooManyUnhealthy")),
        (
            Storm(since=ago(hours=1), subsided=ago(minutes=9)),
            "10m",
            until("StormCooldown", NOW + timedelta(minutes=1)),
        ),
        (Storm(since=ago(hours=1), subsided=ago(minutes=10)), "10m", OPEN),
        (
            Storm(since=ago(hours=1), subsided=ago(minutes=10)),
            "1h",
            until("StormCooldown", NOW + timedelta(minutes=50)),
        ),
        (Storm(since=ago(hours=1), subsided=NOW), "0s", OPEN),
    ],
)
@pytest.mark.parametrize("method", list(Method))
def test_storm(storm: Storm | None, cooldown: str, method: Method, expected: Any) -> None:
    facts = situation(intent(method), storm=storm)
    answer = told(ask("storm", intent(method), facts, stormCooldown=cooldown))
    # What was set for a while takes no pods down when it is given back.
    assert answer == (OPEN if method is Method.GIVE_BACK else expected)


@pytest.mark.parametrize(
    ("restarted", "expected"),
    [
        ("", OPEN),
        ("2026-06-10T11:58:00Z", until("RecentlyRestarted", NOW + timedelta(minutes=3))),
        ("2026-06-10T13:58:00+02:00", until("RecentlyRestarted", NOW + timedelta(minutes=3))),
        ("2026-06-10T11:58:00", until("RecentlyRestarted", NOW + timedelta(minutes=3))),
        ("2026-06-10T11:55:00Z", OPEN),
        ("2026-06-10T11:55:01Z", until("RecentlyRestarted", NOW + timedelta(seconds=1))),
        ("2027-01-01T00:00:00Z", until("RecentlyRestarted", NOW + timedelta(minutes=5))),
        ("yesterday", person("EvidenceMissing")),
        # Whoever may write the workload may write this: nothing there is to break the plan of all others.
        ("0001-01-01T00:00:00Z", OPEN),
        ("0001-01-01T00:00:00+23:59", person("EvidenceMissing")),
        ("9999-12-31T23:59:59-23:59", person("EvidenceMissing")),
    ],
)
@pytest.mark.parametrize("method", list(Method))
def test_recently_remediated(restarted: str, method: Method, expected: Any) -> None:
    made, pods = platform(template=TemplateAnnotations(restarted_at=restarted))
    facts = situation(intent(method), snapshot([made], pods))
    assert told(ask("recently-remediated", intent(method), facts)) == expected


def test_recently_remediated_without_evidence() -> None:
    facts = situation(facts=snapshot([], []))
    assert told(ask("recently-remediated", facts=facts)) == waits("EvidenceMissing")
    assert told(ask("recently-remediated", cooldown=None)) == person("PolicyIncomplete")


@pytest.mark.parametrize(("observed", "expected"), [(True, OPEN), (False, waits("EvidenceMissing"))])
def test_what_runs_no_pods_is_not_restarted_by_anybody(observed: Any, expected: Any) -> None:
    wanted = intent(Method.PATCH)
    facts = situation(wanted, snapshot([], []), observed=observed)
    assert told(ask("recently-remediated", wanted, facts)) == expected
    assert told(ask("recently-remediated", facts=facts)) == waits("EvidenceMissing")
