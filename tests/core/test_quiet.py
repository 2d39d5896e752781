"""Words stay while figures move within what nobody need be told of, and go with everything else."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields, replace

from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckStatus
from kiro_operator.core.conditions import Judged, Outcome, Permission, summarize
from kiro_operator.core.evidence.aws import DayCost
from kiro_operator.core.evidence.nodes import NamespaceUsage, Node
from kiro_operator.core.evidence.series import Series
from kiro_operator.core.evidence.usage import Usage
from kiro_operator.core.flap import FlapRule, Track, seeded, settle
from kiro_operator.core.quiet import figure, kept, tally
from kiro_operator.core.snapshot import Ref
from kiro_operator.core.verdict import Finding, Status, Verdict
from tests.checks.fixtures import Fixture, all_fixtures

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
JITTER = 0.02
RULE = FlapRule(failure_threshold=1, success_threshold=1)


def fail(*words: str, observed: str | None = None, threshold: str | None = None, **more: Any) -> Verdict:
    found = tuple(
        Finding(Ref("Pod", f"kiro-{number}"), "High", text, NOW, **more) for number, text in enumerate(words)
    )
    return Verdict(Status.FAIL, "High", words[0], found, observed, threshold)


def told(*raw: Verdict) -> list[str]:
    """The messages that come of a course of verdicts, each once."""
    track: Track | None = None
    messages: list[str] = []
    for number, verdict in enumerate(raw, 1):
        track, settled = settle(track, verdict, RULE, NOW, number)
        shown = f"{settled.verdict.message} | {settled.verdict.observed} | {settled.verdict.threshold}"
        if not messages or messages[-1] != shown:
            messages.append(shown)
    return messages


class TestFigures:
    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (0.0, "about 0.0%"),
            (0.04, "about 0.0%"),
            (0.3, "about 0.3%"),
            (4.96, "about 5.0%"),
            (9.94, "about 9.9%"),
            (89.9, "about 90%"),
            (123.0, "about 120%"),
            (98765.0, "about 99000%"),
            (1e15, "about 1.0e+15%"),
            (-3.21, "about -3.2%"),
        ],
    )
    def test_have_two_digits(self, value: float, shown: str) -> None:
        assert figure(value, "%") == shown

    @given(st.floats(-1e300, 1e300))
    def test_are_short_and_near_what_was_measured(self, value: float) -> None:
        shown = figure(value)
        assert len(shown) < 24
        assert float(shown.removeprefix("about ")) == pytest.approx(value, rel=0.051, abs=0.05)

    @given(st.floats(0.001, 1e9), st.lists(st.floats(1 - JITTER, 1 + JITTER), min_size=2, max_size=30))
    def test_a_reading_that_jitters_is_told_once(self, value: float, factors: list[float]) -> None:
        course = [fail(f"it is {figure(value * factor, ' ms')} now") for factor in factors]
        assert len(told(*course)) == 1

    @given(st.floats(1, 1e9), st.floats(1.4, 100))
    def test_a_large_move_is_told(self, value: float, factor: float) -> None:
        course = [fail(f"it is {figure(value * by, ' ms')} now") for by in (1, factor)]
        assert told(*course)[-1].startswith(f"it is {figure(value * factor, ' ms')} now")

    def test_a_slow_drift_is_told_in_steps(self) -> None:
        course = [fail(f"it is {figure(value, '%')}") for value in range(40, 91)]
        assert [text.split(" |")[0] for text in told(*course)] == [
            "it is about 40%", "it is about 51%", "it is about 64%", "it is about 81%",
        ]  # fmt: skip

    def test_a_count_moves_by_more_than_chance(self) -> None:
        course = [fail(f"shows it {tally(count)}") for count in (9, 10, 5, 14, 3, 20)]
        assert len(told(*course)) == 1
        assert len(told(*course, fail(f"shows it {tally(40)}"))) == 2

    def test_each_figure_counts(self) -> None:
        course = [fail(f"{figure(50)} of {figure(size)}") for size in (100, 150)]
        assert len(told(*course)) == 2

    def test_those_of_observed_and_threshold_count_as_well(self) -> None:
        first = fail("it is high", observed=figure(50, "%"), threshold=f"above the usual {figure(30, '%')}")
        near = replace(first, observed=figure(51, "%"), threshold=f"above the usual {figure(31, '%')}")
        assert told(first, near) == told(first)
        assert len(told(first, replace(first, observed=figure(70, "%")))) == 2
        assert len(told(first, replace(first, threshold=f"above the usual {figure(60, '%')}"))) == 2


class TestEverythingElse:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("product.md, line 10, column 4", "product.md, line 11, column 4"),
            ("since 2026-03-02T12:00:00Z", "since 2026-03-02T12:00:01Z"),
            ("runs version 1.20.1", "runs version 1.20.2"),
            ("about 1.20.1 of the API", "about 1.20.2 of the API"),
            ("its use is above 85%", "its use is above 86%"),
            ("Pod kiro-1 is high", "Pod kiro-2 is high"),
            ("about 10.0.0.1", "about 10.0.0.2"),
            ("it is about 10 ms", "it is about 10 s"),
        ],
    )
    def test_is_told_as_it_is(self, one: str, other: str) -> None:
        assert len(told(fail(one), fail(other))) == 2

    def test_so_are_other_objects_and_reasons(self) -> None:
        one = fail("it is about 10 ms")
        assert kept(one, fail("it is about 11 ms")) == one
        other = replace(fail("it is about 11 ms"), reason="Higher")
        assert kept(one, other) == other
        moved = fail("it is about 11 ms")
        elsewhere = replace(moved, findings=(replace(moved.findings[0], object=Ref("Pod", "web")),))
        assert kept(one, elsewhere) == elsewhere
        assert kept(one, fail("it is about 11 ms", "so is another")).message == "it is about 11 ms"

    def test_what_is_kept_is_words_alone(self) -> None:
        """When a fault was last seen, and what would carry the load, is what the new reading says."""
        later = NOW + timedelta(minutes=1)
        new = fail("it is about 11 ms")
        new = replace(new, findings=(replace(new.findings[0], since=later),), next_check=later)
        result = kept(fail("it is about 10 ms"), new)
        assert (result.message, result.findings[0].message) == ("it is about 10 ms",) * 2
        assert (result.findings[0].since, result.next_check) == (later, later)

    def test_a_reading_that_passed_meanwhile_is_told_anew(self) -> None:
        well = Verdict(Status.PASS, "AsExpected", "all is well")
        assert len(told(fail("it is about 10 ms"), well, fail("it is about 11 ms"))) == 3

    def test_other_words_that_hold_as_well_keep_what_was_told(self) -> None:
        one, other = "most is that of web, about 51%", "no one has most of it"
        course = [fail(one, equally=(other,)), fail(other, equally=(one,)), fail(one, equally=(other,))]
        assert len(told(*course)) == 1
        assert len(told(course[0], fail(other))) == 2

    def test_a_restart_goes_on_with_the_words_of_the_status(self) -> None:
        track = seeded(
            Status.FAIL, "High", NOW, "it is about 10 ms", observed="about 90%", threshold="85%", polled=True
        )
        _, settled = settle(
            track, fail("it is about 11 ms", observed="about 91%", threshold="85%"), RULE, NOW, 1
        )
        assert (settled.verdict.message, settled.verdict.observed) == ("it is about 10 ms", "about 90%")


def readings(value: Any, by: Any) -> Any:
    """The same evidence with each measurement of it multiplied by what ``by`` gives."""
    match value:
        case Series(labels=labels) if labels.get("stat") == "points":
            return value
        case Series(labels=labels, points=points):
            # What several queries tell of one thing comes of the same measurement.
            one = by(frozenset(pair for pair in labels.items() if pair[0] not in {"__name__", "stat"}))
            return replace(value, points=tuple((time, number * one) for time, number in points))
        case Node(name=name, used_cpu=float(cpu), used_memory=float(memory)):
            return replace(value, used_cpu=cpu * by((name, "cpu")), used_memory=memory * by(name))
        case Usage():
            return replace(value, cpu=value.cpu * by((value, "cpu")), memory=int(value.memory * by(value)))
        case DayCost():
            return replace(value, amount=value.amount * by(value.day))
        case NamespaceUsage():
            return replace(value, memory=value.memory * by(value.namespace))
        case Struct():
            return replace(value, **{f.name: readings(getattr(value, f.name), by) for f in fields(value)})
        case tuple():
            return tuple(readings(item, by) for item in value)
        case dict():
            return {key: readings(item, by) for key, item in value.items()}
        case _:
            return value


def judged(fixture: Fixture, by: Any) -> Verdict:
    """The verdict on a fixture's facts, with its measurements multiplied by what ``by`` gives."""
    facts = fixture.snapshot()
    samples = {
        name: replace(sample, value=readings(sample.value, by)) for name, sample in facts.samples.items()
    }
    check = fixture.check.check
    parameters = check.parameters.model_validate(fixture.body.get("parameters", {}))
    return check.judge(replace(facts, samples=samples), parameters, fixture.now)


def jitter(scale: float, chance: random.Random) -> Callable[[Any], float]:
    """Factors of one reading: its own for each thing that is measured."""

    @cache
    def factor(_what: Any) -> float:
        return scale * chance.uniform(1 - JITTER, 1 + JITTER)

    return factor


def figures(verdict: Verdict) -> list[str]:
    texts = [verdict.message, verdict.observed or "", *(item.message for item in verdict.findings)]
    return [text for text in texts if re.search(r"\b(about|roughly) [0-9]", text)]


def telling() -> list[Any]:
    """Fixtures whose verdict tells a figure that comes of a reading."""
    return [
        pytest.param(fixture, id=f"{fixture.check.id}/{fixture.name}")
        for fixture in all_fixtures()
        if (told_ := figures(fixture.judge())) and figures(judged(fixture, lambda _key: 1.07)) != told_
    ]


def alike(one: Verdict, other: Verdict) -> bool:
    """Whether two readings differ in figures alone, or in words of which each holds for both."""
    if (one.status, one.reason, len(one.findings)) != (other.status, other.reason, len(other.findings)):
        return False
    if wordless(one.threshold or "") != wordless(other.threshold or ""):
        return False
    pairs = list(zip(one.findings, other.findings, strict=True))
    return all((mine.object, mine.reason) == (its.object, its.reason) for mine, its in pairs) and (
        any(mine.equally for mine, _ in pairs) or wordless(one.message) == wordless(other.message)
    )


def wordless(text: str) -> str:
    return re.sub(r"[0-9.]+", "#", text)


TELLING = telling()


def test_what_tells_figures_is_tried() -> None:
    """A check that begins to tell one without a fixture here is noticed."""
    assert len({param.values[0].check.id for param in TELLING}) >= 15


@pytest.mark.parametrize("fixture", TELLING)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(scale=st.floats(0.85, 1.02), seed=st.integers(0, 2**32))
def test_readings_that_jitter_have_one_status_written(fixture: Fixture, scale: float, seed: int) -> None:
    """Each of its measurements jitters by itself, at whatever edge the scale puts it."""
    chance = random.Random(seed)  # noqa: S311 - readings, not secrets
    course = [judged(fixture, jitter(scale, chance)) for _ in range(12)]
    assume(figures(course[0]) and all(alike(course[0], other) for other in course))
    track: Track | None = None
    status, written, messages = KiroHealthCheckStatus(), 0, set()
    for number, raw in enumerate(course, 1):
        track, settled = settle(track, raw, RULE, NOW, number)
        outcome = Outcome(
            generation=1,
            namespace="kiro-system",
            now=NOW + timedelta(minutes=number),
            judged=[Judged(fixture.check, settled.verdict, settled.since)],
            permission=Permission(allowed=True, reason="PolicyAllows", message="within its limits"),
        )
        before, status = status, summarize(outcome, status)
        written += status != before
        messages.add(tuple(finding.message for finding in settled.verdict.findings))
    assert (written, len(messages)) == (1, 1)
