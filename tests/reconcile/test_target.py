"""A KiroHealthCheck as the engine reads it."""

from __future__ import annotations

from typing import Any

from kiro_operator.core.checks.signal_quality.threshold_fit import ThresholdFitParameters
from kiro_operator.reconcile.target import Target


def read(*checks: dict[str, Any]) -> Target:
    """A KiroHealthCheck with these settings of checks."""
    target = Target(("kiro-system", "kiro"))
    metadata = {
        "name": "kiro",
        "namespace": "kiro-system",
        "uid": "a",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-03-02T12:00:00Z",
    }
    target.take({"metadata": metadata, "spec": {"checks": list(checks)}})
    assert target.problem is None
    return target


def judged(*checks: dict[str, Any]) -> list[tuple[str, str, float]]:
    """The thresholds that threshold-fit judges: whose, of what, and how high."""
    parameters = read(*checks).checks["threshold-fit"].parameters
    assert isinstance(parameters, ThresholdFitParameters)
    return [(item.name, item.query, item.threshold) for item in parameters.thresholds]


MEMORY = (
    "memory-usage",
    'max by (container) (kiro_container_memory_utilization{namespace="$namespace"})',
    0.9,
)


def test_threshold_fit_judges_thresholds_as_they_are_set() -> None:
    assert judged() == [("cpu-usage", "node_cpu_utilization", 0.85), MEMORY]
    long = f'node_cpu_utilization{{nodename=~"{"|".join(["node"] * 160)}"}}'
    own = {"id": "cpu-usage", "parameters": {"threshold": 60, "query": long}}
    assert judged(own) == [("cpu-usage", long, 0.6), MEMORY]


def test_threshold_fit_leaves_out_what_is_switched_off() -> None:
    assert judged({"id": "cpu-usage", "enabled": False}) == [MEMORY]


def test_threshold_fit_judges_what_is_listed_and_nothing_else() -> None:
    listed = {"name": "latency", "query": "latency_seconds", "threshold": 2}
    own = {"id": "threshold-fit", "parameters": {"thresholds": [listed]}}
    assert judged(own) == [("latency", "latency_seconds", 2)]


def test_other_checks_keep_what_was_set_for_them() -> None:
    target = read({"id": "cpu-usage", "parameters": {"threshold": 60}})
    assert getattr(target.checks["cpu-usage"].parameters, "threshold", None) == 60
