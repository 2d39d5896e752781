"""Which changes were followed by worse ratings."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.records import Feedback, QueryRecord
from kiro_operator.core.steering.ratings import Rated, Rise, Span, rises

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LEAST = 20


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def span(minutes: float, within: float = 0.0) -> Span:
    return Span(at(minutes), at(minutes - within))


def answers(begin: float, bad: int, of: int, apart: float = 0.1) -> list[QueryRecord]:
    """So many rated answers from a minute on, the bad ones spread among the others."""
    return [
        QueryRecord(
            f"q-{begin}-{number}",
            at(begin + apart * number),
            feedback=Feedback.BAD if (number * bad) // of < ((number + 1) * bad) // of else Feedback.GOOD,
        )
        for number in range(of)
    ]


def found(
    spans: list[Span], *records: list[QueryRecord], now: float = 600, points: float = 0.1
) -> dict[Span, Rise]:
    rated = Rated.of([record for part in records for record in part], at(now))
    return rises(spans, rated, least=LEAST, points=points)


def test_a_rise_after_a_change() -> None:
    assert found([span(0)], answers(-10, 1, 30), answers(1, 12, 30)) == {span(0): Rise((1, 30), (12, 30))}
    assert found([span(0)], answers(-10, 12, 30), answers(1, 1, 30)) == {}
    assert found([span(0)], answers(-10, 2, 30), answers(1, 2, 30)) == {}


def test_too_few_ratings_count_for_nothing() -> None:
    assert found([span(0)], answers(-10, 0, LEAST - 1), answers(1, 30, 30)) == {}
    assert found([span(0)], answers(-10, 0, 30), answers(1, LEAST - 1, LEAST - 1)) == {}
    assert found([span(0)], answers(1, 30, 30)) == {}


def test_a_rise_that_may_be_chance_is_none() -> None:
    assert found([span(0)], answers(-10, 2, 20), answers(1, 5, 20)) == {}
    assert found([span(0)], answers(-50, 20, 200), answers(1, 50, 200)) != {}


def test_nor_is_one_that_is_sure_and_small() -> None:
    sides = answers(-300, 10, 1000), answers(1, 50, 1000)
    assert found([span(0)], *sides) == {}
    assert found([span(0)], *sides, points=0.03) != {}


def test_only_what_is_rated_and_has_a_time_that_has_come_counts() -> None:
    untimed = [QueryRecord(f"u{n}", None, feedback=Feedback.BAD) for n in range(50)]
    unrated = [QueryRecord(f"r{n}", at(5)) for n in range(50)]
    future = answers(700, 50, 50)
    assert found([span(0)], answers(-10, 0, 30), untimed, unrated, future) == {}


def test_feedback_completes_the_query_that_it_is_about() -> None:
    asked = [QueryRecord(f"q{n}", at(-5 if n < 30 else 5)) for n in range(60)]
    said = [QueryRecord(f"q{n}", feedback=Feedback.GOOD if n < 30 else Feedback.BAD) for n in range(60)]
    assert found([span(0)], asked, said) == {span(0): Rise((0, 30), (30, 30))}


def test_what_came_while_the_change_may_have_is_on_neither_side() -> None:
    between = answers(-4, 0, 30)
    assert found([span(0, within=5)], between, answers(1, 30, 30)) == {}
    assert found([span(0)], between, answers(1, 30, 30)) != {}


def test_each_change_is_judged_by_what_lies_between_it_and_its_neighbours() -> None:
    good, still, bad = answers(-20, 1, 40), answers(-9, 1, 40), answers(1, 30, 40)
    assert list(found([span(-10), span(0)], good, still, bad)) == [span(0)]
    soon = answers(-9, 30, 40)
    assert list(found([span(-10), span(0)], good, soon, bad)) == [span(-10)]


def test_changes_that_cannot_be_told_apart_are_judged_as_one() -> None:
    spans = [span(0), span(0.2), span(3)]
    assert list(found(spans, answers(-20, 1, 40), answers(1, 5, 10), answers(4, 30, 40))) == spans


def test_it_is_over_once_the_latest_ratings_are_good_again() -> None:
    sides = answers(-20, 1, 40), answers(1, 30, 40)
    mended = [span(0), span(10)]
    assert list(found(mended, *sides, answers(11, 0, 3))) == [span(0)]
    assert found(mended, *sides, answers(11, 0, LEAST)) == {}
    assert found([span(0)], *sides, answers(11, 0, LEAST)) == {}, "whatever mended it"


def test_better_and_still_not_good_is_not_over() -> None:
    sides = answers(-20, 1, 40), answers(1, 38, 40)
    assert found([span(0)], *sides, answers(11, 9, LEAST)) != {}


def test_of_a_small_rise_it_takes_more_good_ratings_to_see_the_end() -> None:
    sides = answers(-50, 20, 200), answers(1, 50, 200)
    assert list(found([span(0)], *sides)) == [span(0)]
    mended = [span(0), span(30)]
    assert list(found(mended, *sides, answers(31, 2, LEAST))) == [span(0)]
    assert found(mended, *sides, answers(31, 16, 160)) == {}


@given(
    st.lists(st.tuples(st.integers(-60, 60), st.integers(0, 9)), max_size=6),
    st.lists(st.tuples(st.integers(-60, 60), st.booleans()), max_size=200),
    st.randoms(use_true_random=False),
)
def test_the_order_of_what_is_told_decides_nothing(
    changes: list[tuple[int, int]], ratings: list[tuple[int, bool]], chance: random.Random
) -> None:
    spans = [span(end, within) for end, within in changes]
    records = [
        QueryRecord(str(number), at(minute), feedback=Feedback.BAD if bad else Feedback.GOOD)
        for number, (minute, bad) in enumerate(ratings)
    ]
    once = found(spans, records)
    for rise in once.values():
        (bad, of), (former, before) = rise.after, rise.before
        assert min(of, before) >= LEAST
        assert bad / of > former / before
    chance.shuffle(records)
    chance.shuffle(spans)
    assert found(spans, records) == once
