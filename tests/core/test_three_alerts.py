"""Three alerts, or ratings, prove nothing: in no constellation, and however a check is set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import msgspec
import pytest

from kiro_operator.api.v1alpha1.types import Between, parse_duration
from kiro_operator.core.checks import Parameters, registry
from kiro_operator.core.evidence.alerts import ALERTS, Alert, AlertGroup, Alerts
from kiro_operator.core.evidence.series import SERIES, Answer, Series
from kiro_operator.core.feedback import notes
from kiro_operator.core.objects import Record
from kiro_operator.core.promql import PART
from kiro_operator.core.snapshot import Own, Sample, Snapshot
from kiro_operator.core.verdict import Status
from tests.adapters.helpers import facts

NAMESPACE = "kiro-system"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=10)
RANGES = 200
"""Settings of one check that are tried at most; more would not end."""


def settings(kind: type[Parameters]) -> Iterator[Parameters]:
    """All combinations of the ends of what may be set."""
    ends: dict[str, tuple[Any, ...]] = {}
    for name, field in kind.model_fields.items():
        bounds = next((item for item in field.metadata if isinstance(item, Between)), None)
        if bounds is not None:
            ends[name] = parse_duration(bounds.minimum), parse_duration(bounds.maximum)
        elif field.annotation is int:
            ends[name] = tuple(
                next(getattr(item, key) for item in field.metadata if hasattr(item, key))
                for key in ("ge", "le")
            )
    combinations = list(product(*ends.values()))
    assert 1 < len(combinations) <= RANGES
    for values in combinations:
        try:
            yield kind(**dict(zip(ends, values, strict=True)))
        except ValueError:
            continue  # what contradicts itself cannot be set


def alert(number: int, name: str, since: datetime) -> Alert:
    return Alert(str(number), {"alertname": name, "node": "node-1", "namespace": NAMESPACE}, since)


def held(*names: str, since: datetime) -> Alerts:
    """Alerts of Alertmanager, each in a group of its own."""
    alerts = tuple(alert(number, name, since) for number, name in enumerate(names))
    groups = tuple(AlertGroup("team", {"alertname": item.name}, (item.fingerprint,)) for item in alerts)
    return Alerts(alerts, groups)


ALERTS_HELD = {
    "at once": held("One", "Two", "Three", since=NOW - timedelta(minutes=1)),
    "left alone": held("One", "One", "One", since=LONG_AGO),
    "a cause and two that follow": held("NodeDown", "One", "Two", since=LONG_AGO),
    "none": Alerts(),
}
TWICE_THREE = "two together, thrice"
FIRED: Mapping[str, Mapping[str, int]] = {
    "one thrice": {"One": 3},
    TWICE_THREE: {"One": 3, "Two": 3},
    "three at once": {"One": 1, "Two": 1, "Three": 1},
    "none": {},
}


@pytest.mark.parametrize("present", ALERTS_HELD)
@pytest.mark.parametrize(
    ("check_id", "past"),
    # Of two that fire thrice there are six; that these belong together is still seen three times only.
    [*product(["alert-frequency"], sorted(set(FIRED) - {TWICE_THREE})), *product(["alert-grouping"], FIRED)],
)
def test_three_alerts(check_id: str, past: str, present: str) -> None:
    check = registry()[check_id].check
    assert check.queries is not None
    for parameters in settings(check.parameters):
        [query] = check.queries(parameters, NAMESPACE)
        step, end = query.step.total_seconds(), NOW.timestamp()
        series = [Series({PART: "rules"}, ((end, 1.0),))]
        for name, times in FIRED[past].items():
            points = tuple((end - 3 * step * back, 1.0) for back in reversed(range(times)))
            series.append(Series({PART: "history", "alertname": name}, points))
        samples: dict[str, Sample[Any]] = {
            SERIES.name: Sample(1, NOW, (Answer(query, tuple(series)),)),
            ALERTS.name: Sample(1, NOW, ALERTS_HELD[present]),
        }
        own = Own(failed={"pods-ready": [NOW - timedelta(minutes=back) for back in (3, 2, 1)]})
        verdict = check.judge(facts(NAMESPACE, samples=samples, own=own), parameters, NOW)
        assert verdict.status is not Status.FAIL, (parameters, verdict.message)


def record(number: int, state: str, **noted: str) -> Record:
    body = {
        "metadata": {
            "name": f"r{number}",
            "creationTimestamp": (NOW - timedelta(hours=12 - number)).isoformat(),
            "annotations": {f"kiro.dev/{key}": text for key, text in noted.items()},
        },
        "spec": {"check": "pods-ready", "policy": {"name": "cautious"}},
        "status": {"state": state},
    }
    return msgspec.json.decode(msgspec.json.encode(body), type=Record)


def rated(prefix: str, word: str) -> Snapshot:
    """What somebody noted on the KiroHealthCheck, three times."""
    told = {f"{prefix}.20260302T{hour:02}0000Z": word for hour in (9, 10, 11)}
    return facts(NAMESPACE, own=Own("platform", notes=notes(told, registry())))


def acted(*states: tuple[str, dict[str, str]]) -> Snapshot:
    return facts(
        NAMESPACE, remediations=[record(number, state, **said) for number, (state, said) in enumerate(states)]
    )


@pytest.mark.parametrize(
    ("check_id", "snapshot"),
    [
        ("escalation-thresholds", acted(*3 * [("Succeeded", {"outcome": "unnecessary"})])),
        ("escalation-thresholds", rated("outcome.kiro.dev/Escalated", "unnecessary")),
        ("decision-accuracy", acted(*3 * [("Succeeded", {"feedback": "wrong"})])),
        ("decision-accuracy", acted(*3 * [("Denied", {"feedback": "wrong"})])),
        ("decision-accuracy", rated("feedback.kiro.dev/pods-ready", "false-positive")),
        ("decision-accuracy", rated("feedback.kiro.dev/pods-ready", "false-negative")),
        (
            "learning-effectiveness",
            acted(*3 * [("Succeeded", {})], *3 * [("Failed", {"proposal": "longer-grace"})]),
        ),
    ],
)
def test_three_ratings(check_id: str, snapshot: Snapshot) -> None:
    check = registry()[check_id].check
    for parameters in settings(check.parameters):
        verdict = check.judge(snapshot, parameters, NOW)
        assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "TooFewSamples"), parameters
