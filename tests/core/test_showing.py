"""The command is made of what was really asked, and holds nothing of others that a shell would run."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks import registry
from kiro_operator.core.showing import command, places
from kiro_operator.core.snapshot import Polled, Ref
from kiro_operator.core.verdict import Finding, Status, Verdict
from tests.checks.fixtures import Fixture, all_fixtures

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SPEC = KiroHealthCheckSpec.model_validate(
    {
        "selector": {
            "matchLabels": {"app": "kiro", "tier": "web"},
            "matchExpressions": [{"key": "canary", "operator": "DoesNotExist"}],
        },
        "prometheus": {"host": "Prometheus.monitoring.svc:9090", "scheme": "https", "path": "/prom"},
        "alertmanager": {"service": {"name": "alerts", "port": 9093}},
        "mcp": {
            "servers": [
                {"name": "docs", "service": {"name": "docs", "port": 80}, "mcpPath": "/api"},
                {
                    "name": "prices",
                    "host": "prices.example:8443",
                    "healthPath": "/live",
                    "goldenQueries": [
                        {"name": "gold", "tool": "get_price", "arguments": {"metal": "gold bar"}}
                    ],
                },
            ]
        },
        "steering": {"configMaps": ["kiro-steering", "team"]},
        "aws": {
            "principal": "arn:aws:iam::123456789012:role/kiro",
            "mustAllow": [{"action": "ec2:DescribeInstances"}],
            "costs": {"metric": "AmortizedCost"},
        },
        "autonomy": {
            "endpoints": [
                {"name": "api", "host": "api.example:443", "scheme": "https"},
                {"name": "db", "service": {"name": "db", "port": 8080}, "path": "/ping"},
            ]
        },
    }
)
BARE = KiroHealthCheckSpec()


def shown(check: str, *names: str, reason: str = "Broken", spec: Any = SPEC, **given: Any) -> str:
    item = registry()[check].check
    found = tuple(Finding(Ref("Pod", name), reason, name, NOW) for name in names)
    verdict = Verdict(Status.FAIL, reason, "it is broken", found)
    parameters = item.parameters.model_validate(given)
    return command(item, verdict, parameters, spec, "kiro-system", longest=256) or ""


@pytest.mark.parametrize(
    ("check", "names", "reason", "given", "expected"),
    [
        ("cpu-usage", (), "CpuHigh", {"query": "my_cpu{cluster='a b'}"}, "https://prometheus.monitoring.svc:9090/prom"),
        ("cpu-usage", (), "CpuHigh", {"query": 'my_cpu{cluster="a b"}'}, " 'my_cpu{cluster=\"a b\"}'"),
        ("storage-usage", (), "StorageHigh", {"query": 'x{n="$namespace"}'}, "'x{n=\"kiro-system\"}'"),
        ("query-context", (), "ContextMissing", {"query": "poor_ratio"}, "/prom poor_ratio; kubectl logs"),
        ("query-context", (), "ContextMissing", {}, "logs -n kiro-system -l 'app=kiro,tier=web,!canary' "),
        ("autonomous-logs", (), "Panic", {"label": "role=agent"}, "-l role=agent --tail"),
        ("autonomous-scope", (), "ActionOutside", {"label": "role=agent"}, "-l role=agent --since"),
        ("alert-frequency", (), "AlertStorm", {}, "--alertmanager.url=http://alerts.kiro-system.svc:9093"),
        ("autonomous-network-access", ("db",), "EndpointTimeout", {}, " http://db.kiro-system.svc:8080/ping"),
        ("autonomous-network-access", (), "Timeout", {}, " https://api.example:443/"),
        ("escalation-triggers", ("main",), "TriggerUnreachable", {}, "promtool query instant https://prom"),
        ("limits-and-quotas", ("kiro",), "CpuThrottled", {"throttlingQuery": "mine"}, "/prom mine"),
        ("limits-and-quotas", ("kiro",), "QuotaExceeded", {}, "--field-selector reason=FailedCreate"),
        ("unused-resources", ("kiro",), "IdleDeployment", {}, "container_cpu_usage_seconds_total"),
        ("autoscaling-configuration", ("kiro",), "NoAutoscaler", {}, "container_cpu_usage_seconds_total"),
        ("mcp-tools", ("prices",), "ToolMissing", {}, "--cli http://prices.example:8443/mcp "),
        ("mcp-server-health", ("prices",), "Timeout", {}, "curl -f http://prices.example:8443/live"),
        ("mcp-authorization", ("docs",), "Unauthorized", {}, "curl -i http://docs.kiro-system.svc:80/api"),
        ("mcp-data-accuracy", ("prices/gold",), "AnswerDiffers", {}, "get_price --tool-arg 'metal=gold bar'"),
        ("steering-syntax", ("a.md",), "InvalidYaml", {}, "-n kiro-system kiro-steering team -o yaml"),
        ("aws-permissions", (), "Throttled", {}, "ec2:DescribeInstances --resource-arns '*'"),
        ("cost-savings", (), "OverBudget", {}, "--metrics AmortizedCost"),
    ],
)  # fmt: skip
def test_it_is_what_was_really_asked(
    check: str, names: tuple[str, ...], reason: str, given: dict[str, Any], expected: str
) -> None:
    text = shown(check, *names, reason=reason, **given)
    assert expected in text
    assert "''" not in text


def test_what_is_not_known_is_left_out_and_not_filled_with_placeholders() -> None:
    assert shown("service-logs") == "kubectl get pods -n kiro-system -l 'app=kiro,tier=web,!canary'"
    assert shown("service-logs", "kiro-1").startswith("kubectl logs -n kiro-system pod/kiro-1 ")
    assert shown("cpu-usage", spec=BARE) == ""
    assert shown("pods-ready", spec=BARE) == "kubectl get pods -n kiro-system"


def test_what_has_no_room_is_left_out_whole() -> None:
    item = registry()["pods-ready"].check
    verdict = Verdict(Status.FAIL, "Broken", "x", (Finding(Ref("Pod", "kiro-1"), "Broken", "x", NOW),))
    whole = command(item, verdict, item.parameters(), BARE, "kiro-system", longest=256)
    assert whole == "kubectl get pods -n kiro-system; kubectl describe pod/kiro-1 -n kiro-system"
    assert (
        command(item, verdict, item.parameters(), BARE, "kiro-system", longest=60) == whole.partition(";")[0]
    )
    assert command(item, verdict, item.parameters(), BARE, "kiro-system", longest=9) is None


@given(st.text(min_size=1, max_size=60))
def test_nothing_that_others_name_is_run_by_a_shell(name: str) -> None:
    text = shown("service-logs", name, spec=BARE)
    if text.startswith("kubectl logs"):
        words = shlex.split(text.partition("; kubectl get pods")[0])
        assert words[4].split() == f"pod/{name}".split()
        assert words[5:] == ["--all-containers", "--tail=100"]


@pytest.mark.parametrize("check", registry())
def test_each_check_shows_something_whatever_it_finds(check: str) -> None:
    """Also where nothing was found, because nothing could be seen."""
    assert shown(check)
    assert all(shown(check, "kiro-1", reason=reason) for reason in registry()[check].check.commands)


fixtures = [item for item in all_fixtures() if item.expect["status"] in {"Fail", "Unknown"}]


@pytest.mark.parametrize("fixture", fixtures, ids=lambda item: f"{item.check.id}/{item.name}")
def test_every_fail_and_unknown_has_one(fixture: Fixture) -> None:
    check = fixture.check.check
    parameters = check.parameters.model_validate(fixture.body.get("parameters", {}))
    told = command(check, fixture.judge(), parameters, SPEC, "kiro-system", longest=256)
    assert told
    assert not {"NAME", "ROLE", "ACTION", "RESOURCE", "GATE", "WHO", "TOOL"} & set(told.split())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("prometheus", "prometheus (https://prometheus.monitoring.svc:9090/prom)"),
        ("trigger-metrics", "trigger-metrics (https://prometheus.monitoring.svc:9090/prom)"),
        ("alertmanager", "alertmanager (http://alerts.kiro-system.svc:9093)"),
        ("mcp-sessions", "mcp-sessions (http://docs.kiro-system.svc:80/api, http://prices.example:8443/mcp)"),
        ("mcp-health", "mcp-health (http://docs.kiro-system.svc:80/health, http://prices.example:8443/live)"),
        ("endpoints", "endpoints (https://api.example:443, http://db.kiro-system.svc:8080/ping)"),
        ("pod-logs", "pod-logs"),
    ],
)
def test_a_source_is_named_with_its_addresses(source: str, expected: str) -> None:
    polled: Polled[Any] = Polled(source, object)
    assert places(polled, SPEC, "kiro-system") == expected
    assert places(polled, BARE, "kiro-system") == source
