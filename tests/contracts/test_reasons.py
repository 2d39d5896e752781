"""For every reason of an Unknown it is decided whether anything is out of sight."""

import ast
from pathlib import Path

from kiro_operator.core.verdict import INSUFFICIENT
from tests.checks.fixtures import all_fixtures

CORE = Path(__file__).resolve().parents[2] / "kiro_operator" / "core"
OUT_OF_SIGHT = frozenset(
    {
        "AwaitingSamples",
        "ContextMissing",
        "MalformedRecords",
        "NoAlertRules",
        "NoData",
        "NoDecision",
        "NoDecisions",
        "NoDocuments",
        "NoMetrics",
        "NoTargets",
        "NotANumber",
        "NotARate",
        "NotAShare",
        "NotAsked",
        "NotMounted",
        "NotSampled",
        "NothingToCompare",
        "Stale",
        "StaleWatch",
        "Unanswered",
        "Unauthorized",
        "UserUnknown",
    }
)
"""Reasons that the judgement itself gives for what somebody has to mend: they turn Observed False."""
MAKERS = {"Unobserved", "lacking"}


def given() -> set[str]:
    """The reasons that the core gives by name."""
    calls = (
        node
        for path in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS and node.args
    )
    first = (call.args[0] for call in calls)
    return {node.value for node in first if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_each_reason_of_the_core_is_one_or_the_other() -> None:
    assert not OUT_OF_SIGHT & INSUFFICIENT
    assert given() | {"TooFewSamples"} == OUT_OF_SIGHT | INSUFFICIENT


def test_what_says_that_there_is_too_little_is_no_blind_spot() -> None:
    told = {fixture.expect["reason"] for fixture in all_fixtures() if fixture.expect["status"] == "Unknown"}
    assert {reason for reason in told if reason.startswith("TooFew")} <= INSUFFICIENT
    # Every one of them has been seen in a verdict.
    assert told >= INSUFFICIENT
