"""Parameters that contradict each other are refused, in words that name both; defaults never do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from kiro_operator.core.checks import Registered, registry
from kiro_operator.core.checks.signal_quality._settings import contradictions, without_effect
from kiro_operator.reconcile.target import Target

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [
    ROOT / "demo" / "manifests" / "kirohealthcheck.yaml",
    *(ROOT / "deploy" / "samples").glob("health*.yaml"),
]


@pytest.mark.parametrize(
    ("check_id", "given", "near"),
    [
        *(
            (item.id, {"minBaselineDays": 8}, {"minBaselineDays": 7})
            for item in registry().values()
            if "min_baseline_days" in item.check.parameters.model_fields
        ),
        (
            "utilization-patterns",
            {"lowPercent": 60, "highPercent": 60},
            {"lowPercent": 59, "highPercent": 60},
        ),
        ("cost-benefit", {"minPercent": 100, "maxPercent": 100}, {"minPercent": 99, "maxPercent": 100}),
        (
            "autoscaling-configuration",
            {"window": "24h", "minPoints": 145},
            {"window": "24h", "minPoints": 144},
        ),
        ("over-provisioned", {"window": "24h", "minPoints": 145}, {"window": "24h", "minPoints": 144}),
        ("network-connectivity", {"slowAfter": "4s"}, {"slowAfter": "3s"}),
        ("mcp-server-health", {"slowAfter": "6s"}, {"slowAfter": "5s"}),
        ("metric-completeness", {"window": "1h", "maxGap": "1h"}, {"window": "1h", "maxGap": "59m"}),
        ("alert-grouping", {"window": "6h", "minEpisodes": 37}, {"window": "6h", "minEpisodes": 36}),
    ],
)
def test_refused(check_id: str, given: dict[str, Any], near: dict[str, Any]) -> None:
    kind = registry()[check_id].check.parameters
    kind.model_validate(near)
    with pytest.raises(ValidationError) as refusal:
        kind.model_validate(given)
    [error] = refusal.value.errors()
    named = {field.alias for field in kind.model_fields.values() if str(field.alias) in error["msg"]}
    assert len(named) >= 2, error["msg"]


@pytest.mark.parametrize("item", registry().values(), ids=registry())
def test_no_default_is_shadowed(item: Registered) -> None:
    assert not item.check.parameters().shadowed()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_settings_that_are_shipped_make_sense(path: Path) -> None:
    for body in yaml.safe_load_all(path.read_text()):
        if body["kind"] != "KiroHealthCheck":
            continue
        target = Target(("kiro-system", "platform"))
        version = {
            "uid": "u",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": "2026-03-02T12:00:00Z",
        }
        target.take(body | {"metadata": version})
        assert target.problem is None
        assert [*contradictions(target.own.settings), *without_effect(target.own.settings)] == []
