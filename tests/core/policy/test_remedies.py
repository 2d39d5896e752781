"""Which action a remedy proposes, on what, and under which fence."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS, ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import ScaleLimits
from kiro_operator.core.objects import Annotations, DaemonSet, Deployment, StatefulSet, Workload
from kiro_operator.core.permissions import Grant
from kiro_operator.core.policy.types import Entry, Fence, Intent, Ledger
from kiro_operator.core.remedies import permissions, proposers, remedies, restart, scale
from kiro_operator.core.remedies.scale import Borrowed, borrowed, give_back
from kiro_operator.core.remedies.types import Refusal, Request, Wanted
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding
from tests.core.policy.make import (
    BLIND,
    NOW,
    RESTART,
    SCALE,
    ago,
    entry,
    finding,
    platform,
    pod,
    ref,
    snapshot,
    workload,
)

EVICT, ROLL, UP, BACK = Method.EVICT, Method.ROLLOUT_RESTART, Method.SCALE_UP, Method.SCALE_BACK


def request(
    facts: Snapshot, made: Workload, *findings: Finding, limits: ScaleLimits | None = None
) -> Request:
    return Request(
        target=ref(kind=made.kind),
        workload=made,
        wanted=tuple(Wanted("pods-ready", each) for each in findings),
        snapshot=facts,
        episode=2,
        step=3,
        timeout=timedelta(minutes=5),
        stabilization=timedelta(seconds=30),
        limits=limits,
    )


def proposed(replicas: int, failing: int, kind: type[Workload] = Deployment, **changes: Any) -> Intent:
    """What restart proposes when so many pods of a workload are found failing."""
    wide = changes.pop("wide", False)
    made, pods = platform(replicas, failing, kind=kind, **changes)
    found = [finding(f"api-{number}", ref(kind=made.kind), wide=wide) for number in range(failing)]
    answer = restart.propose(request(snapshot([made], pods), made, *found))
    assert isinstance(answer, Intent)
    return answer


@pytest.mark.parametrize(
    ("replicas", "failing", "changes", "method"),
    [
        (4, 1, {}, EVICT),
        (4, 2, {}, EVICT),
        (4, 3, {}, ROLL),
        (3, 2, {}, ROLL),
        (1, 1, {}, ROLL),
        (4, 1, {"wide": True}, ROLL),
        (4, 1, {"kind": DaemonSet}, EVICT),
        (4, 3, {"kind": DaemonSet}, ROLL),
        (4, 3, {"kind": DaemonSet, "strategy": "OnDelete"}, EVICT),
        (4, 1, {"kind": StatefulSet}, EVICT),
        (4, 3, {"kind": StatefulSet}, EVICT),
        (4, 3, {"kind": StatefulSet, "wide": True}, EVICT),
        (4, 3, {"kind": StatefulSet, "strategy": "OnDelete"}, EVICT),
    ],
)
def test_as_little_is_restarted_as_helps(replicas: int, failing: int, changes: Any, method: Method) -> None:
    answer = proposed(replicas, failing, **changes)
    assert answer.method is method
    assert answer.action is RESTART
    assert (answer.pod is not None) == (method is EVICT)
    assert (answer.episode, answer.step, answer.api_version) == (2, 3, "apps/v1")


def test_a_stateful_set_whose_pods_are_ready_rolls() -> None:
    made = workload(kind=StatefulSet)
    pods = [pod(f"api-{number}", kind="StatefulSet") for number in range(4)]
    found = [finding(f"api-{number}", ref(kind="StatefulSet"), reason="MemoryHigh") for number in range(3)]
    answer = restart.propose(request(snapshot([made], pods), made, *found))
    assert isinstance(answer, Intent)
    assert answer.method is ROLL


def test_the_pod_is_the_one_that_fails_longest_then_by_name() -> None:
    made, pods = platform(8, 4)
    facts = snapshot([made], pods)
    found = [
        finding("api-2", since=ago(minutes=9)),
        finding("api-1", since=ago(minutes=9)),
        finding("api-0", since=ago(minutes=5)),
    ]
    for ordered in (found, found[::-1]):
        by_age = sorted(ordered, key=lambda each: each.since)
        answer = restart.propose(request(facts, made, *by_age))
        assert isinstance(answer, Intent)
        assert answer.pod == Ref("Pod", "api-1", "uid-api-1")
        assert answer.fence == Fence("uid-api-1", "7")
        assert answer.message == "Pod api-1: CrashLoopBackOff"


def test_several_findings_on_one_pod_are_one_failing_pod() -> None:
    made, pods = platform(4, 1)
    found = [finding(reason=reason) for reason in ("NotReady", "CrashLoopBackOff", "OOMKilled")]
    answer = restart.propose(request(snapshot([made], pods), made, *found))
    assert isinstance(answer, Intent)
    assert answer.method is EVICT


def test_a_finding_on_the_workload_itself_rolls_it() -> None:
    made, pods = platform(4, 1, template=Annotations(restarted_by="deployment-api-e1s1"))
    answer = restart.propose(request(snapshot([made], pods), made, finding(None)))
    assert isinstance(answer, Intent)
    assert answer.method is ROLL
    assert answer.fence == Fence("uid-api", "100", 3, "deployment-api-e1s1")


@pytest.mark.parametrize(
    "there",
    [
        [],
        [pod("api-0", ready=False, deleted=NOW)],
        [Unobserved("x", "y")],
    ],
)
def test_pods_that_went_away_are_not_evicted(there: list[Any]) -> None:
    made = workload()
    pods = BLIND if there and isinstance(there[0], Unobserved) else there
    answer = restart.propose(request(snapshot([made], pods), made, finding()))
    assert isinstance(answer, Refusal)
    assert not answer.lasting


def test_a_pod_of_the_same_name_is_another_pod() -> None:
    made, pods = platform(4, 1)
    stranger = Finding(Ref("Pod", "api-0", "old"), "NotReady", "m", NOW, ref(), (RESTART,))
    assert isinstance(restart.propose(request(snapshot([made], pods), made, stranger)), Refusal)


@pytest.mark.parametrize(
    ("replicas", "limits", "expected"),
    [
        (4, None, (4, 5)),
        (4, (1, 6, 1), (4, 5)),
        (4, (1, 6, 3), (4, 6)),
        (6, (1, 6, 3), (6, 6)),
        (9, (1, 6, 3), (9, 9)),
    ],
)
def test_scaling_up(replicas: int, limits: Any, expected: tuple[int, int]) -> None:
    made, pods = platform(replicas, 1)
    bounds = limits and ScaleLimits(floor=limits[0], ceiling=limits[1], step=limits[2])
    answer = scale.propose(request(snapshot([made], pods), made, finding(), limits=bounds))
    assert isinstance(answer, Intent)
    assert (answer.action, answer.method, answer.replicas) == (SCALE, UP, expected)
    assert answer.fence == Fence("uid-api", "100", 3)


def test_a_daemon_set_has_no_replicas() -> None:
    made, pods = platform(4, 1, kind=DaemonSet)
    answer = scale.propose(request(snapshot([made], pods), made, finding(target=ref(kind="DaemonSet"))))
    assert isinstance(answer, Refusal)
    assert answer.lasting


def scaled(step: int, before: int, after: int, state: str = "Succeeded", reason: str = "") -> Entry:
    method = UP if after > before else BACK
    return entry(
        step, state, method, at=ago(hours=2), ended=ago(hours=1), replicas=(before, after), reason=reason
    )


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((), None),
        ((entry(1, "Succeeded"),), None),
        ((scaled(1, 3, 4),), (3, 4)),
        ((scaled(1, 3, 4, "Failed"),), (3, 4)),
        ((scaled(1, 3, 4, "Denied"),), None),
        ((scaled(1, 3, 4, "Verifying"),), None),
        ((scaled(1, 3, 4, "Failed", "Reverted"),), None),
        ((scaled(1, 3, 4), scaled(2, 4, 5)), (3, 5)),
        ((scaled(1, 3, 4), scaled(2, 6, 7)), (6, 7)),
        ((scaled(1, 3, 5), scaled(2, 5, 4)), (3, 4)),
        ((scaled(1, 3, 4), scaled(2, 4, 3)), None),
        ((scaled(1, 3, 4), scaled(2, 4, 3, "Failed")), None),
        ((scaled(1, 3, 5), scaled(2, 5, 4), scaled(3, 4, 3)), None),
        ((scaled(1, 5, 4),), None),
    ],
)
def test_borrowed(entries: tuple[Entry, ...], expected: tuple[int, int] | None) -> None:
    owed = borrowed(Ledger(entries).of(ref()))
    assert (owed and (owed.base, owed.level)) == expected


@pytest.mark.parametrize(
    ("replicas", "owed", "needed", "limits", "expected"),
    [
        (5, (3, 5), 0, (1, 9, 1), (5, 4)),
        (5, (3, 5), 0, (1, 9, 3), (5, 3)),
        (5, (3, 5), 0, None, (5, 4)),
        (5, (3, 5), 4, (1, 9, 3), (5, 4)),
        (5, (3, 5), 5, (1, 9, 3), None),
        (5, (3, 5), 0, (4, 9, 3), (5, 4)),
        (5, (3, 5), 0, (5, 9, 3), None),
        (6, (3, 5), 0, (1, 9, 1), None),
        (4, (3, 5), 0, (1, 9, 1), None),
    ],
)
def test_giving_back(
    replicas: int, owed: tuple[int, int], needed: int, limits: Any, expected: tuple[int, int] | None
) -> None:
    answer = give_back(
        ref(),
        workload(replicas=replicas),
        Borrowed(*owed, NOW, "pods-ready"),
        needed=needed,
        limits=limits and ScaleLimits(floor=limits[0], ceiling=limits[1], step=limits[2]),
        episode=1,
        step=9,
        timeout=timedelta(minutes=5),
        stabilization=timedelta(0),
    )
    assert (answer and answer.replicas) == expected
    assert answer is None or (answer.method, answer.action, answer.step) == (BACK, SCALE, 9)


def test_each_remedy_declares_what_it_needs() -> None:
    assert set(permissions()) == {*remedies(), *proposers()} == set(ActionName)
    assert set(proposers()) == PROPOSALS
    grants = {
        RESTART: Grant.RESTART,
        SCALE: Grant.SCALE,
        ActionName.RESTORE_SAFETY_CONFIG: Grant.RESTORE,
        ActionName.RESTORE_RBAC: Grant.CLUSTER_RESTORE,
        ActionName.RIGHT_SIZE: Grant.RIGHT_SIZE,
        ActionName.CHANGE_AUTOSCALING: Grant.CHANGE_AUTOSCALING,
        ActionName.EDIT_STEERING: Grant.EDIT_STEERING,
        ActionName.CHANGE_OPTIMIZATION: Grant.CHANGE_OPTIMIZATION,
        ActionName.REMOVE_UNUSED: Grant.REMOVE_UNUSED,
        ActionName.CHANGE_BOUNDARY: Grant.CHANGE_BOUNDARY,
        ActionName.CHANGE_THRESHOLD: Grant.CHANGE_THRESHOLD,
        ActionName.ROLLBACK: Grant.ROLLBACK,
        ActionName.RECONNECT_MCP: Grant.EXEC,
        ActionName.RESYNC_MCP: Grant.EXEC,
        ActionName.RESTORE_STEERING: Grant.RESTORE,
        ActionName.CONTAIN: Grant.RESTORE,
        ActionName.DETAILED_LOGGING: Grant.RESTORE,
    }
    for action, rules in permissions().items():
        assert rules
        for rule in rules:
            assert rule.grant is grants[action]
            assert rule.why
            assert "*" not in (*rule.verbs, *rule.resources, rule.group)


@pytest.mark.parametrize(
    ("evicted", "failed", "method"),
    [
        (0, False, Method.EVICT),
        (1, False, Method.EVICT),
        (2, False, Method.ROLLOUT_RESTART),  # with those, most of the four have failed
        (1, True, Method.ROLLOUT_RESTART),  # a fresh pod did not help: it is the workload
    ],
)
def test_evictions_that_were_not_enough_lead_to_a_rollout(evicted: int, failed: bool, method: Method) -> None:  # noqa: FBT001 - a row of the table
    made, pods = platform(4, 1)
    asked = replace(request(snapshot([made], pods), made, finding()), evicted=evicted, eviction_failed=failed)
    answer = restart.propose(asked)
    assert isinstance(answer, Intent)
    assert answer.method is method


@pytest.mark.parametrize(("sick", "method"), [(1, Method.EVICT), (3, Method.ROLLOUT_RESTART)])
def test_while_a_rollout_is_under_way_the_failing_pod_is_evicted_again(sick: int, method: Method) -> None:
    made, pods = platform(4, sick)
    made = replace(made, status=replace(made.status, updated_replicas=1))
    asked = request(snapshot([made], pods), made, *(finding(f"api-{number}") for number in range(sick)))
    answer = restart.propose(replace(asked, evicted=2, eviction_failed=True))
    assert isinstance(answer, Intent)
    assert answer.method is method
