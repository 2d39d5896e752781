"""Which of several failing checks is the cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.bottleneck import EXPLAINS, MESSAGE, RESOURCES, TOGETHER, Suspect, bottleneck
from kiro_operator.core.checks import registry
from kiro_operator.core.verdict import Status, Verdict

T = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PERFORMANCE = sorted(item.id for item in registry().values() if item.symptom == "performance")


def fails(check: str, minutes: float = 0.0, status: Status = Status.FAIL, *, within: float = 0.0) -> Suspect:
    verdict = Verdict(status, "High", f"Node a: {check} is bad")
    return Suspect(check, verdict, T + timedelta(minutes=minutes), timedelta(minutes=within))


def test_what_began_first_and_explains_the_others() -> None:
    found = bottleneck(
        [
            fails("response-time", 9),
            fails("database-performance", 6),
            fails("storage-usage"),
            fails("error-rate", 20),
        ]
    )
    assert found is not None
    assert (found.resource, found.check, found.since) == ("storage", "storage-usage", T)
    assert found.explains == ("database-performance", "error-rate", "response-time")
    assert found.unexplained == ()
    assert found.message == (
        "bottleneck: storage, since 2026-03-02T12:00:00Z, which explains database-performance, error-rate, "
        "response-time: Node a: storage-usage is bad"
    )


def test_what_began_later_is_not_the_cause() -> None:
    found = bottleneck([fails("response-time", 5), fails("cpu-usage", 5), fails("memory-usage", 60)])
    assert found is not None
    assert found.check == "cpu-usage"
    assert found.unexplained == ("memory-usage",)
    assert "but not memory-usage" in found.message


def test_a_symptom_that_began_before_every_resource_has_no_cause_among_them() -> None:
    assert bottleneck([fails("response-time"), fails("cpu-usage", 60)]) is None


def test_what_is_sampled_seldom_may_have_begun_since_the_look_before() -> None:
    slow, quick = fails("limits-and-quotas", 5, within=5), fails("response-time", 1, within=1)
    found = bottleneck([slow, quick])
    assert found is not None
    assert (found.check, found.explains) == ("limits-and-quotas", ("response-time",))
    assert bottleneck([fails("limits-and-quotas", 5, within=1), quick]) is None
    # How seldom the other one is looked at makes it no later.
    assert bottleneck([fails("limits-and-quotas", 5), fails("response-time", 1, within=9)]) is None


def test_of_what_may_have_begun_first_the_one_that_explains_most() -> None:
    late = fails("limits-and-quotas", 6, within=5)
    found = bottleneck([fails("network-latency"), late, fails("cpu-usage", 6), fails("response-time", 9)])
    assert found is not None
    assert (found.check, found.explains) == (
        "limits-and-quotas",
        ("cpu-usage", "network-latency", "response-time"),
    )
    certain = fails("limits-and-quotas", 6, within=1)
    found = bottleneck([fails("network-latency"), certain, fails("cpu-usage", 6), fails("response-time", 9)])
    assert found is not None
    assert found.check == "network-latency"


def test_of_what_began_at_once_the_deepest_that_explains_most() -> None:
    at_once = [fails("network-latency"), fails("network-bandwidth", 1), fails("response-time", 1)]
    found = bottleneck(at_once)
    assert found is not None
    assert found.check == "network-bandwidth"
    assert found.explains == ("network-latency", "response-time")


def test_of_what_began_at_once_it_is_not_depth_but_how_much_is_explained() -> None:
    names = ["network-bandwidth", "network-latency", "limits-and-quotas", "cpu-usage", "memory-usage"]
    found = bottleneck([fails(name) for name in names])
    assert found is not None
    assert found.check == "limits-and-quotas"
    assert found.unexplained == ("network-bandwidth",)


def test_by_way_of_something_else() -> None:
    found = bottleneck([fails("capacity-forecast"), fails("storage-usage", 30), fails("response-time", 40)])
    assert found is not None
    assert found.explains == ("response-time", "storage-usage")


@pytest.mark.parametrize(
    "suspects",
    [
        [],
        [fails("cpu-usage")],
        [fails("response-time"), fails("error-rate")],
        [fails("cpu-usage"), fails("response-time", 0, Status.UNKNOWN)],
        [fails("cpu-usage", 0, Status.WARN), fails("response-time")],
        [fails("cpu-usage"), fails("pods-ready")],
    ],
)
def test_no_bottleneck(suspects: list[Suspect]) -> None:
    assert bottleneck(suspects) is None


def test_only_checks_that_there_are() -> None:
    named = set(EXPLAINS) | {check for explained in EXPLAINS.values() for check in explained}
    assert named == set(PERFORMANCE)
    assert set(RESOURCES) == set(EXPLAINS)


@given(
    st.lists(
        st.tuples(st.sampled_from(PERFORMANCE), st.integers(-500, 500), st.integers(0, 30)),
        unique_by=lambda p: p[0],
    ),
    st.randoms(),
)
def test_it_is_never_later_than_what_it_explains(pairs: list[tuple[str, int, int]], random: object) -> None:
    suspects = [fails(check, minutes, within=within) for check, minutes, within in pairs]
    found = bottleneck(suspects)
    assert bottleneck(sorted(suspects, key=lambda _: random.random())) == found  # type: ignore[attr-defined]
    if found is None:
        return
    since = {item.check: item.began for item in suspects}
    [cause] = [item for item in suspects if item.check == found.check]
    assert found.check not in {*found.explains, *found.unexplained}
    assert {found.check, *found.explains, *found.unexplained} == set(since)
    assert all(since[check] >= found.since - cause.within - TOGETHER for check in found.explains)
    assert len(found.message) <= MESSAGE
