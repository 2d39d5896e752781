"""What the checks on signals compute with: times of firing, clusters, and what people wrote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.checks.signal_quality._alerts import episodes, most_within
from kiro_operator.core.checks.signal_quality.alert_grouping import _clusters
from kiro_operator.core.checks.signal_quality.decision_criteria import CHECK
from kiro_operator.core.feedback import Cell, ratings
from kiro_operator.core.objects import Record
from kiro_operator.core.promql import union
from tests.adapters.helpers import facts

ROOT = Path(__file__).resolve().parents[2]
STEP = timedelta(minutes=1)
LONG_AGO = datetime.fromtimestamp(0, UTC)

moments = st.lists(st.integers(0, 300), max_size=40, unique=True).map(
    lambda minutes: [60.0 * minute for minute in sorted(minutes)]
)


@given(moments)
def test_episodes_are_what_lies_between_gaps(times: list[float]) -> None:
    found = episodes(times, STEP)
    assert len(found) == bool(times) + sum(after - before > 90 for before, after in pairwise(times))
    assert all(begin <= end for begin, end in found)
    assert all(any(begin <= time <= end for begin, end in found) for time in times)


@given(st.lists(st.integers(0, 2000), max_size=40), st.integers(1, 500))
def test_the_most_within_a_span(times: list[int], seconds: int) -> None:
    by_hand = max((sum(time <= other <= time + seconds for other in times) for time in times), default=0)
    assert most_within(times, timedelta(seconds=seconds)) == by_hand


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.frozensets(st.integers(0, 9), min_size=1)),
    st.integers(50, 100),
)
def test_clusters_hold_what_overlaps(seen: dict[str, frozenset[int]], percent: int) -> None:
    def together(one: str, other: str) -> bool:
        return 100 * len(seen[one] & seen[other]) >= percent * len(seen[one] | seen[other])

    found = _clusters(sorted(seen), together)
    names = [name for cluster in found for name in cluster]
    assert len(names) == len(set(names))
    clusters = {name: cluster for cluster in found for name in cluster}
    for one in seen:
        for other in seen:
            if one != other and together(one, other):
                assert clusters[one] == clusters[other]
        if one in clusters:
            assert any(together(one, other) for other in clusters[one] if other != one)


def record(annotations: dict[str, Any], state: str = "Succeeded", **status: Any) -> Record:
    body = {
        "metadata": {"name": "r", "creationTimestamp": "2026-03-02T11:00:00Z", "annotations": annotations},
        "spec": {"check": "pods-ready", "policy": {"name": "cautious"}},
        "status": {"state": state, **status},
    }
    return msgspec.json.decode(msgspec.json.encode(body), type=Record)


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["Succeeded", "Denied", "Reserved", ""]))
def test_what_nobody_understands_counts_for_nothing(outcome: str, feedback: str, state: str) -> None:
    words = {"kiro.dev/outcome": f"?{outcome}", "kiro.dev/feedback": f"?{feedback}"}
    [rating] = ratings([record(words, state)], LONG_AGO)
    assert rating.worth is None
    assert rating.cell is None
    assert rating.helped is (True if state == "Succeeded" else None)


def test_feedback_is_held_against_what_was_decided() -> None:
    def cell(said: str, state: str, **status: Any) -> Cell | None:
        [rating] = ratings([record({"kiro.dev/feedback": said}, state, **status)], LONG_AGO)
        return rating.cell

    assert cell("correct", "Failed") is Cell.TRUE_POSITIVE
    assert cell(" Wrong ", "Succeeded") is Cell.FALSE_POSITIVE
    assert cell("correct", "Expired") is Cell.TRUE_NEGATIVE
    assert cell("wrong", "Denied") is Cell.FALSE_NEGATIVE
    # Its target went away afterwards: it acted all the same.
    assert cell("wrong", "Expired", actedAt="2026-03-02T11:00:01Z") is Cell.FALSE_POSITIVE
    assert cell("false-negative", "Succeeded") is Cell.FALSE_NEGATIVE


def test_a_record_without_a_spec_or_with_no_policy() -> None:
    bare = {"metadata": {"name": "r", "creationTimestamp": "2026-03-02T11:00:00Z"}, "spec": {"policy": None}}
    [rating] = ratings([msgspec.convert(bare, Record)], LONG_AGO)
    assert (rating.policy, rating.check, rating.helped) == ("", "", None)


def test_parts_of_a_query_stay_apart() -> None:
    assert union({"a": "up", "b": "max(x)"}) == (
        'label_replace(up, "kiro_part", "a", "", "") or label_replace(max(x), "kiro_part", "b", "", "")'
    )


@pytest.mark.parametrize(
    "path", sorted((ROOT / "deploy" / "samples").glob("policy-*.yaml")), ids=lambda p: p.stem
)
def test_the_policies_that_are_shipped_make_sense(path: Path) -> None:
    spec = KiroSafetyPolicySpec.model_validate(yaml.safe_load(path.read_text())["spec"])
    snapshot = facts("kiro-system", policies={path.stem: spec})
    verdict = CHECK.judge(snapshot, CHECK.parameters(), datetime(2026, 3, 2, tzinfo=UTC))
    assert verdict.status.value == "Pass", verdict.message
