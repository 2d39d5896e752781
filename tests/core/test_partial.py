"""What is missing from an answer takes certainty away, and no more than that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.checks import registry
from kiro_operator.core.evidence.series import CUT, PARTIAL, SERIES, Answer, Query, Series, partial
from kiro_operator.core.evidence.triggers import TRIGGER_METRICS
from kiro_operator.core.partial import incomplete, lacking, proven, weighed
from kiro_operator.core.snapshot import Ref, Unobserved
from kiro_operator.core.verdict import Finding, Status
from tests.checks.fixtures import Fixture, all_fixtures

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
STORE = "a store did not answer"
HINT = "PromQL info: metric might not be a counter"
READ = {SERIES.name, TRIGGER_METRICS.name}
OTHERS = {"alert-frequency", "alert-grouping"}
"""They read the past of alerts, of which Alertmanager tells the present."""


def finding(name: str) -> Finding:
    return Finding(Ref("Service", name), "Bad", f"Service {name}: bad", NOW)


def test_a_hint_is_not_missing() -> None:
    told = Answer(Query("up"), (Series({}, ((1.0, 1.0),)),), (HINT, STORE))
    assert partial(told) == (STORE,)


def test_what_is_missing_from_several_answers() -> None:
    part, whole = Answer(Query("up"), warnings=(STORE, HINT)), Answer(Query("up"), warnings=(HINT,))
    assert lacking(part, whole, part) == (STORE,)
    assert lacking(whole, Unobserved("NoData", "nothing")) == ()
    assert lacking(whole, Unobserved(PARTIAL, "nothing, for now")) == ("nothing, for now",)


@pytest.mark.parametrize(
    ("missing", "status"),
    [((), Status.FAIL), ((CUT,), Status.FAIL), ((STORE,), Status.WARN), ((CUT, STORE), Status.WARN)],
)
def test_what_a_fault_is_worth(missing: tuple[str, ...], status: Status) -> None:
    assert proven(missing) is status
    assert weighed([], [finding("seen")], missing) == ([finding("seen")], status)
    certain, seen = finding("certain"), finding("seen")
    told = [certain, seen] if status is Status.FAIL else [certain]
    assert weighed([certain], [seen], missing) == (told, Status.FAIL)


@given(st.lists(st.text(max_size=900), min_size=1, max_size=8))
def test_words_are_bounded(missing: list[str]) -> None:
    assert incomplete(missing).status is Status.WARN
    assert len(incomplete(missing).message) <= 1000


def readers() -> list[Fixture]:
    """Fixtures in which Prometheus has answered something."""
    return [
        fixture
        for fixture in all_fixtures()
        if fixture.check.id not in OTHERS and any(_answers(fixture, name) for name in READ)
    ]


def _answers(fixture: Fixture, source: str) -> list[dict[str, Any]]:
    sample = fixture.body.get("samples", {}).get(source) or {}
    return sample.get("value") or []


def with_words(fixture: Fixture, *words: str) -> Fixture:
    """The same with these words of Prometheus in all that it answered."""
    samples = dict(fixture.body["samples"])
    for name in READ & set(samples):
        answers = [item | {"warnings": list(words)} for item in _answers(fixture, name)]
        samples[name] = samples[name] | ({"value": answers} if answers else {})
    return changed(fixture, samples)


def changed(fixture: Fixture, samples: dict[str, Any]) -> Fixture:
    return Fixture(fixture.check, fixture.name, {**fixture.body, "samples": samples})


each = pytest.mark.parametrize("fixture", readers(), ids=lambda item: f"{item.check.id}/{item.name}")


@each
def test_a_hint_changes_no_verdict(fixture: Fixture) -> None:
    quiet = with_words(fixture)
    assert with_words(quiet, HINT).judge() == quiet.judge()


@each
def test_a_partial_answer_is_never_better_and_fails_only_for_what_is_certain(fixture: Fixture) -> None:
    whole, part = with_words(fixture).judge(), with_words(fixture, STORE).judge()
    if whole.status is Status.PASS:
        # Where it is only asked whether a metric is there, what is there will do.
        assert part.status in {Status.WARN, Status.UNKNOWN} or fixture.check.id == "escalation-triggers"
    if part.status is Status.FAIL:
        found = {item.object for item in part.findings if not certain(item)}
        samples = {name: item for name, item in fixture.body["samples"].items() if name not in READ}
        assert found <= {item.object for item in changed(fixture, samples).judge().findings}


def certain(finding: Finding) -> bool:
    """What no series could change."""
    return finding.reason == "ThresholdUnreachable" or "no valid PromQL" in finding.message


def test_all_checks_that_read_prometheus_are_among_them() -> None:
    asking = {item.id for item in registry().values() if READ & item.check.reads} - OTHERS
    assert {fixture.check.id for fixture in readers()} == asking
