"""Each Fail says what was found and what was expected, and each page has what a reader looks for."""

import re
from pathlib import Path

import pytest

from kiro_operator.core.checks import registry
from tests.checks.fixtures import Fixture, all_fixtures

DOCS = Path(__file__).resolve().parents[2] / "docs" / "checks"
HEADINGS = (
    "Meaning",
    "Evidence",
    "How it judges",
    "Flap control",
    "Parameters",
    "Tuning",
    "What to do, by reason",
    "Permission",
)
_STATE = "it finds a state by its name, which is the reason; expected is that there is none"
_TEXT = "it finds a place in a text; the message has the place and what is to stand there"
_DECLARED = "it finds what differs from what was declared; the message has the difference"
_MIXED = "most of its reasons are states; where there is a bound the message has it"
_BOUND = "the message has the bound, and says on which side of it each object is"
MEASURES_NOTHING = {
    "alert-frequency": _BOUND,
    "alert-grouping": _BOUND,
    "approval-gates": _DECLARED,
    "autonomous-network-access": _STATE,
    "autonomous-scope": _DECLARED,
    "autoscaling-behavior": _MIXED,
    "autoscaling-configuration": _MIXED,
    "aws-identity": _MIXED,
    "aws-permissions": _DECLARED,
    "cost-savings": "the message has the figure of each of three measures",
    "decision-criteria": _DECLARED,
    "escalation-triggers": _DECLARED,
    "hooks-syntax": _TEXT,
    "learning-effectiveness": _BOUND,
    "limits-and-quotas": _BOUND,
    "mcp-authorization": _STATE,
    "mcp-connection": _STATE,
    "mcp-data-accuracy": "the answer of a server may be anything; the message has the query and the rule",
    "mcp-data-freshness": _BOUND,
    "mcp-response-quality": _MIXED,
    "mcp-server-health": _MIXED,
    "mcp-tools": _STATE,
    "metric-accuracy": _BOUND,
    "metric-collection": _BOUND,
    "metric-completeness": _STATE,
    "network-connectivity": _MIXED,
    "node-capacity": "besides headroom it finds states of nodes and pods",
    "over-provisioned": "the message has what is asked for and what would do, by container",
    "pods-ready": _STATE,
    "safety-cluster-role": _DECLARED,
    "safety-config": _DECLARED,
    "service-account-permissions": _DECLARED,
    "service-logs": _MIXED,
    "steering-changes": _STATE,
    "steering-conflicts": _TEXT,
    "steering-environment": _TEXT,
    "steering-integrity": _STATE,
    "steering-permissions": _STATE,
    "steering-syntax": _TEXT,
    "threshold-fit": _BOUND,
    "unused-resources": _STATE,
    "utilization-patterns": _BOUND,
    "workloads-available": _STATE,
}
"""Checks of which a Fail need not have both figures, and why."""

failing = [fixture for fixture in all_fixtures() if fixture.expect["status"] == "Fail"]


@pytest.mark.parametrize("fixture", failing, ids=lambda item: f"{item.check.id}/{item.name}")
def test_a_fail_says_what_was_found_and_what_was_expected(fixture: Fixture) -> None:
    verdict = fixture.judge()
    if fixture.check.id not in MEASURES_NOTHING:
        assert verdict.observed
        assert verdict.threshold
    assert all(finding.object.name in finding.message for finding in verdict.findings)


def test_only_what_there_is_has_an_excuse() -> None:
    """A check that always has both figures needs none."""
    verdicts = [(fixture.check.id, fixture.judge()) for fixture in failing]
    without = {check for check, verdict in verdicts if not (verdict.observed and verdict.threshold)}
    assert set(MEASURES_NOTHING) - without == set()


@pytest.mark.parametrize("check", registry())
def test_a_page_has_its_headings_in_their_order(check: str) -> None:
    found = re.findall(r"(?m)^## (.+)$", (DOCS / f"{check}.md").read_text())
    assert [heading for heading in found if heading in HEADINGS] == list(HEADINGS)
