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


def fails(check: str, minutes: float = 0.0, status: Status = Status.FAIL) -> Suspect:
    return Suspect(check, Verdict(status, "High", f"Node a: {check} is bad"), T + timedelta(minutes=minutes))


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
    st.lists(st.tuples(st.sampled_from(PERFORMANCE), st.integers(-500, 500)), unique_by=lambda p: p[0]),
    st.randoms(),
)
def test_it_is_never_later_than_what_it_explains(pairs: list[tuple[str, int]], random: object) -> None:
    suspects = [fails(check, minutes) for check, minutes in pairs]
    found = bottleneck(suspects)
    assert bottleneck(sorted(suspects, key=lambda _: random.random())) == found  # type: ignore[attr-defined]
    if found is None:
        return
    since = {item.check: item.since for item in suspects}
    assert found.check not in {*found.explains, *found.unexplained}
    assert {found.check, *found.explains, *found.unexplained} == set(since)
    assert all(since[check] >= found.since - TOGETHER for check in found.explains)
    assert len(found.message) <= MESSAGE
