"""The KiroHealthChecks that the project hands out are ones that the operator takes, to the last parameter."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kiro_operator.reconcile.target import Target

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = [
    *sorted((ROOT / "deploy" / "samples").glob("healthcheck*.yaml")),
    ROOT / "demo/manifests/kirohealthcheck.yaml",
]
STORED = {"uid": "u", "resourceVersion": "1", "generation": 1, "creationTimestamp": "2026-03-01T12:00:00Z"}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_sample_is_taken(path: Path) -> None:
    body = yaml.safe_load(path.read_text())
    body["metadata"] |= STORED
    target = Target((body["metadata"]["namespace"], body["metadata"]["name"]))
    target.take(body)
    assert target.problem is None
    assert target.checks
