"""What a KiroHealthCheck keeps of what was told, and when it is told anew."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kiro_operator.core.flap import FlapRule, settle
from kiro_operator.core.snapshot import Ref
from kiro_operator.core.verdict import Finding, Status, Verdict
from kiro_operator.reconcile.target import Target

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
RULE = FlapRule(failure_threshold=1, success_threshold=1)
CHECK = "cpu-usage"


def body(version: int, generation: int = 1, **more: Any) -> dict[str, Any]:
    metadata = {
        "uid": "u",
        "resourceVersion": str(version),
        "generation": generation,
        "creationTimestamp": "2026-03-01T00:00:00Z",
        "annotations": more.pop("annotations", {}),
    }
    return {"metadata": metadata, "spec": {"prometheus": {"host": "metrics.example:9090"}}, **more}


def told(target: Target, use: int, sample: int) -> str | None:
    finding = Finding(Ref("Node", "node-a"), "CpuHigh", "Node node-a: its CPU use is above 85%", NOW)
    raw = Verdict(Status.FAIL, "CpuHigh", finding.message, (finding,), f"about {use}%", "85%")
    target.tracks[CHECK], settled = settle(target.tracks.get(CHECK), raw, RULE, NOW, sample)
    return settled.verdict.observed


def test_another_spec_is_told_in_new_words_and_nothing_else_is() -> None:
    target = Target(("kiro-system", "kiro"))
    target.take(body(1))
    assert told(target, 90, 1) == "about 90%"
    target.take(body(2, annotations={"kiro.dev/requestedAt": "now"}))
    assert told(target, 91, 2) == "about 90%"
    target.take(body(3, generation=2))
    assert told(target, 91, 3) == "about 91%"
    assert told(target, 90, 4) == "about 91%"


def test_a_new_process_goes_on_with_the_words_of_the_status() -> None:
    check = {
        "id": CHECK,
        "status": "Fail",
        "reason": "CpuHigh",
        "message": "Node node-a: its CPU use is above 85%",
        "since": "2026-03-02T11:00:00Z",
        "observed": "about 90%",
        "threshold": "85%",
    }
    target = Target(("kiro-system", "kiro"))
    target.take(body(1, status={"observedGeneration": 1, "checks": [check]}))
    assert told(target, 91, 1) == "about 90%"


def test_a_check_that_waits_says_for_what() -> None:
    target = Target(("kiro-system", "kiro"))
    target.take(body(1))
    assert target.checks[CHECK].rule.evidence == "prometheus (http://metrics.example:9090)"
    watched = "pods, replicasets, deployments, statefulsets, daemonsets"
    assert target.checks["pods-ready"].rule.evidence == watched
