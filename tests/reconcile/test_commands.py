"""A command has no fence: whether it may be run is asked when all waiting is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from kiro_operator.adapters.kubernetes.elector import NotLeading
from kiro_operator.adapters.kubernetes.exec import Executed
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import RemediationState
from kiro_operator.core.objects.meta import RecordMetadata
from kiro_operator.reconcile.commands import Commands
from kiro_operator.reconcile.outcomes import Outcome
from kiro_operator.reconcile.records import Remediation
from tests.core.policy.make import pod
from tests.reconcile.make import remediation

ARGV = ("mcp", "reconnect")
REFUSED = Outcome(RemediationState.DENIED, "ApprovalDenied", "denied for good")


class Queue:
    """Stands where pods are read and commands run: something may happen while one waits for its turn."""

    remaining = 10.0

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.meanwhile = meanwhile
        self.leading = True
        self.ran = 0

    def check(self) -> None:
        if not self.leading:
            raise NotLeading("the lease ran out")

    async def chosen(self, _namespace: str, _pod: str) -> Any:
        return pod("api-1")

    async def run(self, *_: object, opening: float, on_turn: Callable[[], None]) -> Executed:
        assert opening == self.remaining
        self.meanwhile()
        on_turn()
        self.ran += 1
        return Executed(0, b"", b"")


def record() -> Remediation:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    return remediation(
        RecordMetadata(name="e1s1", uid="r", creation_timestamp=now),
        {},
        action="ReconnectMCP",
        method="Exec",
        target={"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "uid-api"},
        pod={"apiVersion": "v1", "kind": "Pod", "name": "api-1", "uid": "uid-api-1"},
        fence={"uid": "uid-api-1", "resourceVersion": "7"},
        command={"argv": list(ARGV), "container": "main"},
    )


def commands(queue: Queue) -> Commands:
    return Commands(cast("Any", queue), cast("Any", queue), {ActionName.RECONNECT_MCP: ARGV})


@pytest.mark.parametrize("denied", [False, True])
async def test_what_is_denied_while_it_waits_is_not_run(denied: bool) -> None:  # noqa: FBT001
    heard: list[Outcome] = []
    queue = Queue(lambda: heard.extend([REFUSED] * denied))
    outcome = await commands(queue).run("kiro", record(), lambda: next(iter(heard), None))
    assert queue.ran == (not denied)
    assert outcome.state is (RemediationState.DENIED if denied else RemediationState.VERIFYING)


async def test_whose_lease_runs_out_while_it_waits_is_not_run() -> None:
    queue = Queue(lambda: setattr(queue, "leading", False))
    with pytest.raises(NotLeading):
        await commands(queue).run("kiro", record(), lambda: None)
    assert not queue.ran
