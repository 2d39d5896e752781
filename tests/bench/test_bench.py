"""The benchmarks' own parts at toy size: that they run. What they measure is never asserted."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from bench import audit, docs, figures, manifests, micro_worker, results, table
from bench.cases import CASES
from bench.pod_json import pod_json
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec, Mode
from kiro_operator.core import objects
from kiro_operator.core.checks import registry
from kiro_operator.core.faults.pods import fault_of


def test_percentiles_are_measured_values() -> None:
    told = figures.spread([float(value) for value in range(1, 101)])
    assert (told.p50, told.p90, told.p99, told.max, told.samples) == (50, 90, 99, 100, 100)


def test_a_figure_without_a_bound_is_neither_met_nor_missed() -> None:
    assert figures.Figure(group="x", name="x", unit="ms", value=1.0).met is None
    assert figures.Figure(group="x", name="x", unit="ms", value=1.0, bound=1.0).met is True
    assert figures.Figure(group="x", name="x", unit="ms", value=1.1, bound=1.0).met is False


def test_the_objects_are_valid() -> None:
    spec = manifests.health_check("web", app="web", policy="bench")["spec"]
    assert KiroHealthCheckSpec.model_validate(spec).safety_policy_ref is not None
    assert KiroSafetyPolicySpec.model_validate(manifests.policy("bench")["spec"]).mode is Mode.ENFORCE


@pytest.mark.parametrize("crashed", [False, True])
def test_a_crashed_pod_is_judged_as_one(crashed: bool) -> None:  # noqa: FBT001
    pod = msgspec.json.decode(pod_json(7, crashed=crashed), type=objects.Pod)
    limits = registry()["pods-ready"].check.parameters()
    fault, _ = fault_of(pod, limits, dt.datetime.now(dt.UTC))  # type: ignore[arg-type]
    assert pod.settled is not crashed
    assert (fault is not None) is crashed


def test_the_measurements_in_a_process_run() -> None:
    found = micro_worker.measure(200)
    assert found["pods"] == 200
    assert all(value >= 0 for value in found.values())


def test_requests_are_named_by_verb_and_resource() -> None:
    event = {"verb": "create", "objectRef": {"resource": "pods", "subresource": "eviction"}}
    assert audit.what(event) == "create pods/eviction"
    assert audit.what({"verb": "get", "requestURI": "/apis?timeout=32s"}) == "get /apis"


def test_every_benchmark_has_a_place_in_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert set(docs.MEANING) == set(CASES)
    page = tmp_path_factory.mktemp("docs") / "benchmarks.md"
    monkeypatch.setattr(docs, "FILE", page)
    shown = [figures.milliseconds("latency", "some latency", [0.001, 0.002], bound=1.0, note="a note")]
    run = results.Run("2026-01-01 00:00", 1.0, quick=False, load_before=0.5, load_after=0.6, figures=shown)
    docs.write(results.Results(2, 8.0, {"latency": run}))
    assert "| some latency | ≤ 1.00 ms | 1.00 ms | 1.00 | 2.00 | 2.00 | 2 | met |" in page.read_text()
    table.show(shown, "latency")
