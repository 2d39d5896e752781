from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import generate_latest

from devcluster import build
from kiro_operator.adapters.metrics import Metrics
from tests.deploy.rendered import DEPLOY

RULES = DEPLOY / "monitoring" / "rules.yaml"
CASES = Path(__file__).parent / "alerts.yaml"


def promtool(*arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        [str(build.program("promtool")), *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_the_rules_are_sound() -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", str(RULES))


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


def test_each_alert_is_tested_both_ways() -> None:
    fires: set[str] = set()
    quiet: set[str] = set()
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for expected in case["alert_rule_test"]:
            (fires if expected.get("exp_alerts") else quiet).add(expected["alertname"])
    names = {rule["alert"] for rule in alerts()}
    assert fires == names
    assert quiet == names


def test_alerts_read_metrics_that_exist() -> None:
    served = generate_latest(Metrics().registry).decode()
    known = set(re.findall(r"^# TYPE (\S+)", served, re.MULTILINE))
    for rule in alerts():
        for name in re.findall(r"kiro_\w+", rule["expr"]):
            assert name in known, f"{rule['alert']} reads {name}, which nothing writes"


def test_alerts_say_what_to_do() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_the_prometheus_operator_gets_the_same_rules() -> None:
    folder = DEPLOY / "monitoring" / "prometheus-operator"
    assert yaml.safe_load((folder / "prometheus-rule.yaml").read_text())["spec"] == yaml.safe_load(
        RULES.read_text()
    )


def test_the_operators_metrics_are_named_by_the_conventions() -> None:
    promtool("check", "metrics", stdin=generate_latest(Metrics().registry).decode())
