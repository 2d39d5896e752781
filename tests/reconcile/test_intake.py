"""What is being deleted asks for nothing and allows nothing, also where a finalizer keeps it for long."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from kiro_operator.adapters.clock import SystemClock
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.reconcile.intake import Intake
from kiro_operator.reconcile.policies import Policies, Policy
from kiro_operator.reconcile.target import Key
from tests.harness.world import enforce
from tests.reconcile.test_own import body

NOW = datetime(2026, 11, 27, tzinfo=UTC)
NOTHING = cast("Any", None)


class Followed:
    """Stands where namespaces are watched."""

    def follow(self, _namespaces: frozenset[str]) -> None:
        pass


def leaving(content: dict[str, Any], version: str) -> dict[str, Any]:
    """The same object, deleted; the API server counts that as a change of what is asked for."""
    metadata = content["metadata"]
    gone = {
        "deletionTimestamp": "2026-11-27T00:00:00Z",
        "generation": metadata["generation"] + 1,
        "resourceVersion": version,
    }
    return content | {"metadata": metadata | gone}


def intake(policies: Policies, removed: list[Key]) -> Intake:
    return Intake(
        watches=cast("Any", Followed()),
        policies=policies,
        records=NOTHING,
        metrics=Metrics(),
        clock=SystemClock(),
        on_removed=lambda target: removed.append(target.key),
    )


def no_policies() -> Policies:
    return Policies(NOTHING, SystemClock(), Metrics(), lambda _: None)


async def test_a_health_check_that_is_being_deleted_is_gone() -> None:
    removed: list[Key] = []
    made = intake(no_policies(), removed)
    first = body(1, {})
    made.health_check(first, deleted=False)
    assert made.get(("kiro-system", "platform"))

    made.health_check(leaving(first, "2"), deleted=False)
    made.health_check(leaving(first, "3"), deleted=False)

    assert removed == [("kiro-system", "platform")]
    assert made.targets() == []
    assert len(made.queue) == 0


def test_a_policy_that_is_being_deleted_allows_nothing() -> None:
    policy = Policy(("kiro-system", "platform"))
    first = {"metadata": body(1, {})["metadata"], "spec": enforce()}
    policy.take(first, NOW)
    assert policy.problem == ""

    policy.take(leaving(first, "2"), NOW)

    assert policy.problem == "it is being deleted"
    policy.take(leaving(first, "3"), NOW)
    assert policy.problem == "it is being deleted"
    assert policy.spec is None


async def test_a_policy_whose_change_a_lost_swap_has_heard_of_first_still_wakes() -> None:
    policies = no_policies()
    made = intake(policies, [])
    made.health_check(body(1, {}), deleted=False)
    first = {"metadata": body(1, {})["metadata"] | {"name": "limits"}, "spec": enforce()}
    made.policy(first, deleted=False)
    while len(made.queue):
        made.queue.done(await made.queue.get())

    second = first | {"metadata": first["metadata"] | {"generation": 2, "resourceVersion": "2"}}
    policies.of("kiro-system")[0].take(second, NOW)
    assert len(made.queue) == 0
    made.policy(second, deleted=False)
    assert len(made.queue) == 2

    while len(made.queue):
        made.queue.done(await made.queue.get())
    made.policy(second, deleted=False)
    assert len(made.queue) == 0
