from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from kiro_operator.core.checks import registry
from kiro_operator.core.checks.signal_quality import metric_completeness
from kiro_operator.core.promql import PART
from tests.deploy.rendered import DEPLOY
from tests.deploy.test_alerts import promtool

RULES = DEPLOY / "monitoring" / "recording-rules.yaml"
CASES = Path(__file__).parent / "recording.yaml"


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_the_rules_are_sound() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(RULES))


def test_each_rule_records_what_it_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


def test_each_rule_is_tested() -> None:
    text = yaml.safe_load(CASES.read_text())["tests"]
    asked = " ".join(case["expr"] for test in text for case in test["promql_expr_test"])
    assert [rule["record"] for rule in rules() if rule["record"] not in asked] == []


def asked(symptom: str = "") -> set[str]:
    """Names of metrics in the queries that checks ask by default."""
    found: set[str] = set()
    for item in registry().values():
        if item.check.queries is not None and symptom in {"", item.symptom}:
            for query in item.check.queries(item.check.parameters(), "kiro-system"):
                found |= set(re.findall(r"\b(?:kiro|node)_[a-z_]+", query.expr))
    return found - {PART}


def test_what_the_performance_checks_ask_by_default_is_recorded() -> None:
    assert asked("performance")
    assert asked("performance") - {rule["record"] for rule in rules()} == set()


def test_every_documented_name_is_there() -> None:
    """Each is recorded, or an exporter writes it itself."""
    documented = {re.split(r"\W", selector)[0] for selector in metric_completeness.DOCUMENTED}
    assert documented == {
        "kiro_autonomous_success_rate",
        "node_cpu_utilization",
        "container_memory_usage_bytes",
    }
    recorded = {rule["record"] for rule in rules()}
    assert documented - recorded == {"container_memory_usage_bytes"}
    assert 'container_memory_usage_bytes{namespace="kiro-system", pod="kiro-1"' in CASES.read_text()


def test_what_nobody_asks_for_is_not_recorded() -> None:
    assert {rule["record"] for rule in rules()} - asked() == set()


def test_the_prometheus_operator_gets_the_same_rules() -> None:
    file = DEPLOY / "monitoring" / "prometheus-operator" / "recording-rule.yaml"
    assert yaml.safe_load(file.read_text())["spec"] == yaml.safe_load(RULES.read_text())
