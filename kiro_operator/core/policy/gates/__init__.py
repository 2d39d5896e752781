"""The gates between a wanted action and the cluster, one file each.

A gate answers one question from what it is given, and from nothing else. The order is that of
``GATES``: first what somebody decided, then what the object and its surroundings say, then what
the past says. The first that denies decides; all have to allow.
"""

from collections.abc import Callable
from datetime import datetime
from types import ModuleType

from msgspec import Struct

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.gates import (
    allowed_actions,
    approval,
    autoscaler,
    backoff,
    blast_radius,
    budget,
    consecutive_failures,
    cooldown,
    disruption,
    forbidden_windows,
    gitops,
    in_progress,
    maintenance_windows,
    mode,
    pause_requests,
    protected,
    recently_remediated,
    scale_limits,
    storm,
)
from kiro_operator.core.policy.text import clip
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation

Gate = Callable[[Intent, KiroSafetyPolicySpec, Situation, Ledger, datetime], Answer]

_ORDER: tuple[ModuleType, ...] = (
    mode,
    allowed_actions,
    approval,
    pause_requests,
    protected,
    forbidden_windows,
    maintenance_windows,
    disruption,
    autoscaler,
    gitops,
    scale_limits,
    in_progress,
    cooldown,
    recently_remediated,
    backoff,
    consecutive_failures,
    blast_radius,
    storm,
    budget,
)

GATES: tuple[tuple[str, Gate], ...] = tuple(
    (module.__name__.rpartition(".")[2].replace("_", "-"), module.gate) for module in _ORDER
)
"""All gates, by name, in the order in which they are asked."""


class Passed(Struct, frozen=True):
    """A gate that let the action through, and what it saw."""

    gate: str
    message: str


class Ruling(Struct, frozen=True):
    """What all gates together say of one intent."""

    passed: tuple[Passed, ...]
    gate: str
    """The gate that denied; empty when none did."""
    denial: Deny | None


def run_gates(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, ledger: Ledger, now: datetime
) -> Ruling:
    """Ask all gates in their order, up to the first that denies."""
    passed: list[Passed] = []
    for name, gate in GATES:
        match gate(intent, policy, situation, ledger, now):
            case Allow(message):
                passed.append(Passed(name, clip(message)))
            case Deny(reason, message, until, needs_person):
                return Ruling(tuple(passed), name, Deny(reason, clip(message), until, needs_person))
    return Ruling(tuple(passed), "", None)
