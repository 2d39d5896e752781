"""Asking one gate, and what it told."""

from datetime import datetime
from typing import Any

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.policy.gates import GATES
from kiro_operator.core.policy.types import Allow, Answer, Entry, Intent, Ledger, Situation
from tests.core.policy.make import (
    NOW,
    intent,
    policy,
    situation,
)

EVICT, ROLL, UP, BACK = Method.EVICT, Method.ROLLOUT_RESTART, Method.SCALE_UP, Method.SCALE_BACK
BY_NAME = dict(GATES)


def ask(
    gate: str,
    wanted: Intent | None = None,
    facts: Situation | None = None,
    entries: tuple[Entry, ...] = (),
    now: datetime = NOW,
    **changes: Any,
) -> Answer:
    wanted = wanted or intent()
    return BY_NAME[gate](wanted, policy(**changes), facts or situation(wanted), Ledger(entries), now)


def told(answer: Answer) -> tuple[str, datetime | None, bool]:
    """Reason, until and whether a person is needed; empty for Allow."""
    if isinstance(answer, Allow):
        assert answer.message
        return "", None, False
    assert answer.message
    return answer.reason, answer.until, answer.needs_person


OPEN = ("", None, False)


def person(reason: str) -> tuple[str, None, bool]:
    return reason, None, True


def until(reason: str, when: datetime) -> tuple[str, datetime, bool]:
    return reason, when, False


def waits(reason: str) -> tuple[str, None, bool]:
    return reason, None, False
