"""Whatever Prometheus says, a performance check gives a verdict that fits a status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiro_operator.core.checks import Registered, registry
from kiro_operator.core.evidence.inventory import INVENTORY, Inventory
from kiro_operator.core.evidence.series import SERIES, Answer, Series, answer
from kiro_operator.core.findings import MESSAGE_LIMIT
from kiro_operator.core.snapshot import Collection, Sample, Unobserved
from kiro_operator.core.verdict import Status
from tests.adapters.helpers import facts

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PERFORMANCE = [item for item in registry().values() if item.symptom == "performance"]
TIMES = st.integers(-9, 1).map(lambda days: NOW.timestamp() + 86_400 * days)
POINTS = st.lists(st.tuples(TIMES, st.floats()), max_size=9).map(lambda found: tuple(sorted(found)))
NAMES = st.sampled_from(
    ["instance", "pod", "container", "service", "namespace", "mountpoint", "persistentvolumeclaim"]
)
LABELS = st.dictionaries(NAMES, st.text(max_size=400), max_size=4)
SERIES_OF = st.lists(st.builds(Series, LABELS, POINTS), max_size=6).map(tuple)
WORDS = st.lists(st.text(max_size=500), max_size=3).map(tuple)


@pytest.mark.parametrize("item", PERFORMANCE, ids=lambda item: item.id)
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_nothing_breaks_a_check(item: Registered, data: Any) -> None:
    check, parameters = item.check, item.check.parameters()
    assert check.queries is not None
    answers = tuple(
        Answer(query, data.draw(SERIES_OF), data.draw(WORDS))
        for query in check.queries(parameters, "kiro-system")
    )
    samples: dict[str, Sample[Any]] = {
        SERIES.name: Sample(1, NOW, answers),
        INVENTORY.name: Sample(1, NOW, Inventory()),
    }
    none: Collection[Any] = Collection.of([])
    facts_ = facts("kiro-system", samples=samples)
    facts_ = type(facts_)(
        **{
            name: getattr(facts_, name)
            for name in facts_.__struct_fields__
            if name not in {"deployments", "autoscalers"}
        },
        deployments=none,
        autoscalers=none,
    )
    verdict = check.judge(facts_, parameters, NOW)
    assert 0 < len(verdict.message) <= MESSAGE_LIMIT
    for finding in verdict.findings:
        assert finding.object.name in finding.message
        assert 0 < len(finding.object.name) <= 253
        assert finding.object.name.isprintable()
        assert finding.since <= NOW
    for text in (verdict.observed, verdict.threshold):
        assert text is None or len(text) <= 128
    # What has no number in it never passes, save where it is not all that there is.
    seen = [answer(facts_, item.query) for item in answers]
    if item.id != "autoscaling-behavior" and any(isinstance(told, Unobserved) for told in seen):
        assert verdict.status is Status.UNKNOWN
