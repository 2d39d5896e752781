"""How grave it is what checks say, so that of several the worst is told first.

docs/checks/README.md has the order in words.
"""

from collections.abc import Sequence

from kiro_operator.core.verdict import Verdict

OUT_OF_SERVICE = frozenset(
    {
        "workloads-available",
        "pods-ready",
        "network-connectivity",
        "mcp-server-health",
        "mcp-connection",
        "mcp-authorization",
        "autonomous-network-access",
        "aws-identity",
        "error-rate",
        "storage-usage",
    }
)
"""Checks of which a Fail means that something does not answer, or works no more."""
UNSAFE = frozenset(
    {
        "safety-config",
        "safety-cluster-role",
        "service-account-permissions",
        "aws-permissions",
        "approval-gates",
        "autonomous-scope",
        "steering-permissions",
        "mcp-data-accuracy",
    }
)
"""Checks of which a Fail means that more is done, or may be done, than was decided, or that it is wrong."""
IMPROVABLE = frozenset(
    {
        "hooks-syntax",
        "escalation-triggers",
        "autoscaling-configuration",
        "over-provisioned",
        "unused-resources",
        "utilization-patterns",
        "missed-opportunities",
        "alert-grouping",
        "threshold-fit",
        "learning-effectiveness",
    }
)
"""Checks of which a Fail means that it works, and could be set up better."""

_DEGRADED = 2
_CLASSES: Sequence[tuple[int, frozenset[str]]] = ((0, OUT_OF_SERVICE), (1, UNSAFE), (3, IMPROVABLE))

Gravity = tuple[int, bool]


def gravity(check: str, verdict: Verdict) -> Gravity:
    """What sorts the worst first: the kind of fault, and whether it waits for a person."""
    kind = next((number for number, checks in _CLASSES if check in checks), _DEGRADED)
    # Without findings, as after a restart, nothing says that anybody but a person can help.
    return kind, bool(verdict.findings) and all(finding.remedies for finding in verdict.findings)
