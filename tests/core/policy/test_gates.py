"""Truth tables: what each gate answers, for which reason and until when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import Protected
from kiro_operator.api.v1alpha1.types import LabelSelector, LabelSelectorRequirement
from kiro_operator.core.objects import (
    Annotations,
    ConditionKind,
    DaemonSet,
    Deployment,
    ObjectCondition,
    RollingUpdate,
    StatefulSet,
    TemplateAnnotations,
    Truth,
    Workload,
    WorkloadStatus,
)
from kiro_operator.core.policy.gates import GATES, maintenance_windows, run_gates
from kiro_operator.core.policy.situation import census, situate
from kiro_operator.core.policy.types import Deny, Entry, Ledger
from kiro_operator.core.snapshot import Snapshot, Unobserved
from tests.core.policy.asking import BACK, BY_NAME, EVICT, OPEN, ROLL, UP, ask, person, told, until, waits
from tests.core.policy.make import (
    BLIND,
    NOW,
    SPEC,
    ago,
    autoscaler,
    entry,
    intent,
    platform,
    pod,
    policy,
    ref,
    situation,
    snapshot,
    workload,
)


def test_the_order_is_the_documented_one() -> None:
    assert [name for name, _ in GATES] == [
        "mode",
        "allowed-actions",
        "approval",
        "pause-requests",
        "protected",
        "forbidden-windows",
        "maintenance-windows",
        "disruption",
        "autoscaler",
        "gitops",
        "scale-limits",
        "in-progress",
        "cooldown",
        "recently-remediated",
        "backoff",
        "consecutive-failures",
        "blast-radius",
        "storm",
        "budget",
    ]


@pytest.mark.parametrize("name", [name for name, _ in GATES])
@pytest.mark.parametrize("method", [EVICT, ROLL, UP])
def test_each_gate_is_open_where_nothing_is_wrong(name: str, method: Method) -> None:
    assert told(ask(name, intent(method))) == OPEN


@pytest.mark.parametrize(
    ("gate", "field"),
    [
        ("pause-requests", "pauseRequests"),
        ("protected", "protected"),
        ("forbidden-windows", "forbiddenWindows"),
        ("maintenance-windows", "maintenanceWindows"),
        ("cooldown", "cooldown"),
        ("backoff", "backoff"),
        ("consecutive-failures", "maxConsecutiveFailures"),
        ("blast-radius", "maxUnhealthy"),
        ("budget", "budget"),
        ("scale-limits", "scale"),
        ("storm", "stormCooldown"),
    ],
)
def test_a_missing_field_denies(gate: str, field: str) -> None:
    missing: dict[str, Any] = {field: None}
    answer = ask(gate, intent(UP), **missing)
    assert told(answer) == person("PolicyIncomplete")
    assert field in answer.message
    whole = run_gates(intent(UP), policy(**missing), situation(intent(UP)), Ledger(), NOW)
    assert whole.gate == gate


@pytest.mark.parametrize(
    ("mode", "expected"), [("Observe", waits("ModeObserve")), ("DryRun", OPEN), ("Enforce", OPEN)]
)
def test_mode(mode: str, expected: Any) -> None:
    assert told(ask("mode", mode=mode)) == expected


@pytest.mark.parametrize(
    ("actions", "method", "expected"),
    [
        ([], EVICT, person("ActionNotAllowed")),
        (SPEC["actions"][:1], EVICT, OPEN),
        (SPEC["actions"][:1], UP, person("ActionNotAllowed")),
        (SPEC["actions"][1:], ROLL, person("ActionNotAllowed")),
    ],
)
def test_allowed_actions(actions: Any, method: Method, expected: Any) -> None:
    assert told(ask("allowed-actions", intent(method), actions=actions)) == expected


def restart(approval: str | None) -> list[dict[str, Any]]:
    """The actions of a policy that lists Restart with that approval; without one the default holds."""
    budget = {"limit": 1, "window": "1h"}
    return [{"name": "Restart", "budget": budget} | ({"approval": approval} if approval else {})]


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (restart("Automatic"), OPEN),
        (restart("Manual"), person("ApprovalRequired")),
        (restart(None), person("ApprovalRequired")),
        ([], person("ApprovalRequired")),
    ],
)
def test_approval(actions: Any, expected: Any) -> None:
    assert told(ask("approval", actions=actions)) == expected


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([], OPEN),
        (["migration"], waits("Paused")),
        (["migration", "audit"], waits("Paused")),
        (None, person("PolicyIncomplete")),
    ],
)
def test_pause_requests(requests: Any, expected: Any) -> None:
    answer = ask("pause-requests", pauseRequests=requests)
    assert told(answer) == expected
    assert "; ".join(requests or []) in answer.message


def selecting(**fields: Any) -> dict[str, Any]:
    return {"selectors": [fields]}


@pytest.mark.parametrize(
    ("protected", "expected"),
    [
        ({"selectors": []}, OPEN),
        ({"selectors": [{}]}, person("Protected")),
        (selecting(matchLabels={"tier": "gold"}), person("Protected")),
        (selecting(matchLabels={"app": "api"}), person("Protected")),
        (selecting(matchLabels={"pod": "yes"}), person("Protected")),
        (selecting(matchLabels={"tier": "tin"}), OPEN),
        (selecting(matchExpressions=[{"key": "x", "operator": "DoesNotExist"}]), person("Protected")),
        (
            selecting(matchExpressions=[{"key": "tier", "operator": "In", "values": ["gold"]}]),
            person("Protected"),
        ),
    ],
)
def test_protected_by_selector(protected: Any, expected: Any) -> None:
    made = workload(labels={"tier": "gold"}, template_labels={"app": "api"})
    facts = snapshot([made], [pod("api-0", ready=False, labels={"pod": "yes"})])
    assert told(ask("protected", facts=situation(facts=facts), protected=protected)) == expected


@pytest.mark.parametrize(
    ("carries", "selectors", "expected"),
    [
        ("", {"selectors": []}, OPEN),
        ("false", {"selectors": []}, OPEN),
        ("true", {"selectors": []}, person("Protected")),
        ("", {"selectors": [{}]}, person("Protected")),
        ("", None, person("PolicyIncomplete")),
    ],
)
def test_protected(carries: str, selectors: Any, expected: Any) -> None:
    made, pods = platform(protected=carries)
    assert (
        told(ask("protected", facts=situation(facts=snapshot([made], pods)), protected=selectors)) == expected
    )


def test_a_selector_that_is_not_understood_may_select_anything() -> None:
    odd = LabelSelector.model_construct(
        match_labels={},
        match_expressions=[LabelSelectorRequirement.model_construct(key="a", operator="Like", values=[])],  # type: ignore[arg-type]
    )
    known = policy().model_copy(update={"protected": Protected.model_construct(selectors=[odd])})
    assert told(BY_NAME["protected"](intent(), known, situation(), Ledger(), NOW)) == person("PolicyInvalid")


def test_a_selector_on_absence_needs_an_object_to_hold_against() -> None:
    without_pod = selecting(matchExpressions=[{"key": "app", "operator": "DoesNotExist"}])
    made, pods = platform(labels={"app": "api"})
    facts = situation(intent(ROLL), snapshot([made], pods))
    assert told(ask("protected", intent(ROLL), facts, protected=without_pod)) == OPEN


@pytest.mark.parametrize("value", ["true", "True", "yes", "1"])
@pytest.mark.parametrize("carrier", ["workload", "template", "pod"])
def test_protected_by_annotation(carrier: str, value: str) -> None:
    made = workload(
        protected=value if carrier == "workload" else "",
        template=TemplateAnnotations(protected=value if carrier == "template" else ""),
    )
    bad = pod("api-0", ready=False, protected=value if carrier == "pod" else "false")
    for method in (EVICT, ROLL):
        facts = situation(intent(method), snapshot([made], [bad, pod("api-1")]))
        assert told(ask("protected", intent(method), facts)) == person("Protected")


def test_what_cannot_be_seen_may_be_protected() -> None:
    gone = situation(facts=snapshot([], []))
    assert told(ask("protected", facts=gone)) == waits("EvidenceMissing")
    no_pod = situation(facts=snapshot([workload()], []))
    assert told(ask("protected", facts=no_pod)) == waits("EvidenceMissing")


@pytest.mark.parametrize(
    ("kind", "method", "expected"),
    [
        (Deployment, ROLL, waits("EvidenceMissing")),
        (Deployment, Method.PATCH, waits("EvidenceMissing")),
        # The pod is named; and what scales takes none.
        (Deployment, EVICT, OPEN),
        (Deployment, UP, OPEN),
        # Its pods are its own, and no ReplicaSet stands in between.
        (StatefulSet, ROLL, OPEN),
    ],
)
def test_whose_pods_cannot_be_told_apart_may_have_a_protected_one(
    kind: type[Workload], method: Method, expected: Any
) -> None:
    """And one that is being drained, and healthy ones that are missed."""
    made = workload(kind=kind)
    pods = [pod(f"api-{number}", kind=made.kind, ready=number > 0) for number in range(4)]
    blind = replace(snapshot([made], pods), replica_sets=Unobserved("StaleWatch", "late"))
    wanted = intent(method, target=ref(kind=made.kind))
    assert told(ask("protected", wanted, situation(wanted, blind))) == expected


WEEKEND = {"name": "noon", "schedule": "0 11 * * *", "duration": "2h", "timeZone": "UTC"}


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([], OPEN),
        ([WEEKEND], until("ForbiddenWindow", NOW + timedelta(hours=1))),
        ([WEEKEND | {"timeZone": "Asia/Tokyo"}], OPEN),
        (
            [WEEKEND, WEEKEND | {"name": "long", "duration": "5h"}],
            until("ForbiddenWindow", NOW + timedelta(hours=4)),
        ),
        # One opens before the other closes: until there is none.
        (
            [WEEKEND, WEEKEND | {"name": "next", "schedule": "30 12 * * *"}],
            until("ForbiddenWindow", NOW + timedelta(hours=2, minutes=30)),
        ),
        (
            [WEEKEND, WEEKEND | {"name": "next", "schedule": "0 13 * * *"}],
            until("ForbiddenWindow", NOW + timedelta(hours=3)),
        ),
        (
            [WEEKEND, WEEKEND | {"name": "later", "schedule": "1 13 * * *"}],
            until("ForbiddenWindow", NOW + timedelta(hours=1)),
        ),
        (
            [WEEKEND | {"schedule": "*/10 11-12 * * *", "duration": "15m"}],
            until("ForbiddenWindow", NOW + timedelta(minutes=65)),
        ),
        (None, person("PolicyIncomplete")),
        ([WEEKEND | {"schedule": "0 99 * * *"}], person("InvalidWindow")),
        ([WEEKEND | {"timeZone": "Moon/Base"}], person("InvalidWindow")),
    ],
)
def test_forbidden_windows(windows: Any, expected: Any) -> None:
    assert told(ask("forbidden-windows", forbiddenWindows=windows)) == expected


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([], OPEN),
        ([WEEKEND], OPEN),
        ([WEEKEND | {"schedule": "0 12 * * *"}], OPEN),
        ([WEEKEND | {"schedule": "0 10 * * *"}], until("OutsideMaintenance", NOW + timedelta(hours=22))),
        ([WEEKEND | {"schedule": "1 12 * * *"}], until("OutsideMaintenance", NOW + timedelta(minutes=1))),
        ([WEEKEND | {"timeZone": "Asia/Tokyo"}], until("OutsideMaintenance", NOW + timedelta(hours=14))),
        # One that is open is enough; of those that are not, the first to open counts.
        ([WEEKEND | {"schedule": "0 20 * * *"}, WEEKEND | {"name": "now"}], OPEN),
        (
            [WEEKEND | {"schedule": "0 20 * * *"}, WEEKEND | {"name": "soon", "schedule": "0 13 * * 3"}],
            until("OutsideMaintenance", NOW + timedelta(hours=1)),
        ),
        ([WEEKEND | {"schedule": "0 99 * * *"}], person("InvalidWindow")),
        ([WEEKEND, WEEKEND | {"timeZone": "Moon/Base"}], person("InvalidWindow")),
        (None, person("PolicyIncomplete")),
    ],
)
def test_maintenance_windows(windows: Any, expected: Any) -> None:
    assert told(ask("maintenance-windows", maintenanceWindows=windows)) == expected


def test_maintenance_windows_that_never_open_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance_windows, "opens_at", lambda _window, _now: None)
    answer = ask("maintenance-windows", maintenanceWindows=[WEEKEND | {"schedule": "0 10 * * *"}])
    assert told(answer) == person("OutsideMaintenance")
    assert answer.message == "no maintenance window opens any more"


def rolling(missing: int | str | None, surge: int | str | None = None) -> RollingUpdate:
    return RollingUpdate(missing, surge)


def parted(partition: int) -> RollingUpdate:
    return RollingUpdate(partition=partition)


STUCK = WorkloadStatus(
    observed_generation=3,
    replicas=5,
    updated_replicas=1,
    available_replicas=3,
    conditions=(ObjectCondition(ConditionKind.PROGRESSING, Truth.FALSE, "ProgressDeadlineExceeded"),),
)
MID_ROLLOUT = WorkloadStatus(observed_generation=3, replicas=5, updated_replicas=1, available_replicas=4)
MOVING = WorkloadStatus(
    observed_generation=3,
    replicas=5,
    updated_replicas=1,
    available_replicas=4,
    conditions=(ObjectCondition(ConditionKind.PROGRESSING, Truth.TRUE, "ReplicaSetUpdated"),),
)
ARRIVED = WorkloadStatus(
    observed_generation=3,
    replicas=4,
    updated_replicas=3,
    available_replicas=3,
    conditions=(ObjectCondition(ConditionKind.PROGRESSING, Truth.TRUE, "NewReplicaSetAvailable"),),
)
UNSEEN = WorkloadStatus(observed_generation=2, replicas=4, updated_replicas=4, available_replicas=4)
PENDING = WorkloadStatus(
    observed_generation=3, replicas=4, available_replicas=4, current_revision="a", update_revision="b"
)
BY_HAND = replace(PENDING, updated_replicas=4)
"""With OnDelete, once somebody has deleted each pod: Kubernetes leaves the current revision as it was."""
NODES = WorkloadStatus(
    observed_generation=3, desired_number_scheduled=4, number_available=4, updated_number_scheduled=3
)
STALLS = until("RolloutInProgress", NOW + timedelta(minutes=9))
"""Its status was written a minute ago, and nothing bounds its rollout but the deadline of the operator."""
LATE = ago(minutes=10)


@pytest.mark.parametrize(
    ("method", "made", "consent", "expected"),
    [
        (ROLL, workload(), [], OPEN),
        (ROLL, workload(paused=True), ["SingleReplica", "Recreate"], person("WorkloadPaused")),
        (EVICT, workload(paused=True), [], OPEN),
        (ROLL, workload(status=MID_ROLLOUT), [], STALLS),
        (
            ROLL,
            workload(status=MID_ROLLOUT, written=LATE + timedelta(seconds=1)),
            [],
            until("RolloutInProgress", NOW + timedelta(seconds=1)),
        ),
        (ROLL, workload(status=MID_ROLLOUT, written=LATE), [], person("RolloutStuck")),
        # A time that is still to come is no reason to wait for it.
        (
            ROLL,
            workload(status=MID_ROLLOUT, written=datetime.max.replace(tzinfo=UTC)),
            [],
            until("RolloutInProgress", NOW + timedelta(minutes=10)),
        ),
        # Its own deadline counts, however long that is.
        (ROLL, workload(status=MOVING, written=ago(hours=9)), [], waits("RolloutInProgress")),
        # What its status says is of before the change that its controller has not seen.
        (ROLL, workload(status=UNSEEN, written=ago(hours=9)), [], waits("RolloutInProgress")),
        (ROLL, workload(status=UNSEEN), [], waits("RolloutInProgress")),
        (ROLL, workload(status=MOVING), [], waits("RolloutInProgress")),
        (EVICT, workload(status=MOVING), [], waits("RolloutInProgress")),
        (EVICT, workload(status=MOVING, paused=True), [], OPEN),
        (EVICT, workload(status=ARRIVED), [], OPEN),
        (EVICT, workload(status=STUCK), [], OPEN),
        (EVICT, workload(kind=StatefulSet, status=PENDING), [], OPEN),
        (UP, workload(status=MOVING), [], OPEN),
        (ROLL, workload(status=STUCK), [], person("RolloutStuck")),
        (ROLL, workload(replicas=1), [], person("SingleReplica")),
        (ROLL, workload(replicas=1), ["SingleReplica"], OPEN),
        (EVICT, workload(replicas=1), [], person("SingleReplica")),
        (EVICT, workload(replicas=1), ["SingleReplica"], OPEN),
        (ROLL, workload(strategy="Recreate"), [], person("TakesAllDown")),
        (ROLL, workload(strategy="Recreate"), ["SingleReplica"], person("TakesAllDown")),
        (ROLL, workload(strategy="Recreate"), ["Recreate"], OPEN),
        (ROLL, workload(strategy="Recreate", replicas=1), ["SingleReplica"], person("TakesAllDown")),
        (EVICT, workload(strategy="Recreate"), [], OPEN),
        (ROLL, workload(bounds=rolling("100%")), [], person("TakesAllDown")),
        (ROLL, workload(bounds=rolling(4)), [], person("TakesAllDown")),
        (ROLL, workload(bounds=rolling(3)), [], OPEN),
        (ROLL, workload(bounds=rolling("odd")), [], person("TakesAllDown")),
        (ROLL, workload(kind=StatefulSet, strategy="OnDelete"), [], person("UpdatesOnDelete")),
        (ROLL, workload(kind=DaemonSet, strategy="OnDelete"), [], person("UpdatesOnDelete")),
        (EVICT, workload(kind=StatefulSet, strategy="OnDelete"), [], OPEN),
        (EVICT, workload(kind=StatefulSet, strategy="OnDelete", status=PENDING), [], person("UpdatePending")),
        (EVICT, workload(kind=StatefulSet, strategy="OnDelete", status=BY_HAND), [], OPEN),
        (
            EVICT,
            workload(kind=StatefulSet, strategy="OnDelete", status=replace(BY_HAND, updated_replicas=3)),
            [],
            person("UpdatePending"),
        ),
        (EVICT, workload(kind=DaemonSet, strategy="OnDelete", status=NODES), [], person("UpdatePending")),
        # Some pods stay as they are, whether an update is under way, a canary stands, or nothing is pending.
        (ROLL, workload(kind=StatefulSet, bounds=parted(1)), [], person("UpdatesByPartition")),
        (ROLL, workload(kind=StatefulSet, bounds=parted(9)), [], person("UpdatesByPartition")),
        (
            ROLL,
            workload(kind=StatefulSet, bounds=parted(3), status=PENDING),
            [],
            person("UpdatesByPartition"),
        ),
        (ROLL, workload(kind=StatefulSet, bounds=parted(0)), [], OPEN),
        (EVICT, workload(kind=StatefulSet, bounds=parted(3), status=PENDING), [], OPEN),
        (UP, workload(kind=StatefulSet, bounds=parted(3), status=PENDING), [], OPEN),
        (ROLL, workload(kind=StatefulSet, status=PENDING), [], STALLS),
        (ROLL, workload(kind=StatefulSet, status=PENDING, written=LATE), [], person("RolloutStuck")),
        (EVICT, workload(kind=StatefulSet, status=PENDING, written=LATE), [], OPEN),
        (ROLL, workload(kind=DaemonSet, status=NODES), [], STALLS),
        (ROLL, workload(kind=DaemonSet, status=NODES, written=LATE), [], person("RolloutStuck")),
        (EVICT, workload(kind=DaemonSet, status=NODES, written=LATE), [], OPEN),
        (ROLL, workload(kind=DaemonSet), [], OPEN),
        (UP, workload(replicas=1, paused=True), [], OPEN),
        (BACK, workload(strategy="Recreate"), [], OPEN),
    ],
)
def test_disruption(method: Method, made: Workload, consent: list[str], expected: Any) -> None:
    wanted = intent(method, target=ref(kind=made.kind))
    facts = situation(wanted, snapshot([made], [pod("api-0", ready=False)]))
    assert told(ask("disruption", wanted, facts, consent=consent)) == expected


@pytest.mark.parametrize(
    ("action", "made", "consent", "expected"),
    [
        # A way back is for what is stuck, and takes down what any rollout does.
        (ActionName.ROLLBACK, workload(status=STUCK), [], OPEN),
        (ActionName.ROLLBACK, workload(status=MOVING), [], waits("RolloutInProgress")),
        (ActionName.ROLLBACK, workload(status=STUCK, paused=True), [], person("WorkloadPaused")),
        (ActionName.ROLLBACK, workload(status=STUCK, replicas=1), [], person("SingleReplica")),
        (ActionName.ROLLBACK, workload(status=STUCK, strategy="Recreate"), [], person("TakesAllDown")),
        (ActionName.ROLLBACK, workload(status=MID_ROLLOUT, written=LATE), [], OPEN),
        (ActionName.RIGHT_SIZE, workload(status=STUCK), [], person("RolloutStuck")),
        (
            ActionName.RIGHT_SIZE,
            workload(kind=StatefulSet, bounds=parted(4)),
            [],
            person("UpdatesByPartition"),
        ),
        (
            ActionName.RIGHT_SIZE,
            workload(kind=DaemonSet, status=NODES, written=LATE),
            [],
            person("RolloutStuck"),
        ),
        # That all its pods go is what removes it.
        (ActionName.REMOVE_UNUSED, workload(), [], OPEN),
        (ActionName.REMOVE_UNUSED, workload(replicas=1), [], OPEN),
        (ActionName.REMOVE_UNUSED, workload(strategy="Recreate", paused=True), [], OPEN),
        (ActionName.REMOVE_UNUSED, workload(status=MOVING), [], waits("RolloutInProgress")),
        (ActionName.REMOVE_UNUSED, workload(status=MID_ROLLOUT), [], STALLS),
        (ActionName.REMOVE_UNUSED, workload(status=MID_ROLLOUT, written=LATE), [], OPEN),
        (ActionName.REMOVE_UNUSED, workload(kind=StatefulSet, status=PENDING), [], STALLS),
        (ActionName.REMOVE_UNUSED, workload(kind=StatefulSet, status=PENDING, written=LATE), [], OPEN),
        (ActionName.REMOVE_UNUSED, workload(status=UNSEEN), [], waits("RolloutInProgress")),
        (ActionName.REMOVE_UNUSED, workload(status=STUCK), [], OPEN),
    ],
)
def test_disruption_by_what_was_approved(
    action: ActionName, made: Workload, consent: list[str], expected: Any
) -> None:
    wanted = replace(intent(Method.PATCH, target=ref(kind=made.kind)), action=action)
    facts = situation(wanted, snapshot([made], [pod("api-0", ready=False)]))
    assert told(ask("disruption", wanted, facts, consent=consent)) == expected


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({"maxUnhealthy": 0}, OPEN),  # those that go are not missed, well or not
        ({"maxUnhealthy": None, "minHealthy": 8}, OPEN),
        ({"maxUnhealthy": None, "minHealthy": 9}, waits("TooManyUnhealthy")),  # eight would be left
    ],
)
def test_the_blast_radius_of_removing_what_is_unused(bound: dict[str, Any], expected: Any) -> None:
    seen = three_of_four(ready=False)
    wanted = replace(intent(Method.PATCH), action=ActionName.REMOVE_UNUSED)
    assert told(ask("blast-radius", wanted, situation(wanted, seen), **bound)) == expected


@pytest.mark.parametrize(
    ("state", "fewest", "expected"),
    [
        ("Verifying", 8, OPEN),
        ("Verifying", 9, waits("TooManyUnhealthy")),
        ("Reserved", 9, waits("TooManyUnhealthy")),
        ("Succeeded", 9, OPEN),  # it is over: what is left of it is counted
    ],
)
@pytest.mark.parametrize("action", [ActionName.REMOVE_UNUSED, ActionName.RIGHT_SIZE])
def test_what_is_being_turned_off_is_missed_by_whatever_else_is_done(
    action: ActionName, state: str, fewest: int, expected: Any
) -> None:
    leaving = replace(entry(state=state, method=Method.PATCH), action=ActionName.REMOVE_UNUSED)
    leaving = replace(leaving, target=ref("web"))
    wanted = replace(intent(Method.PATCH), action=action)
    if action is ActionName.REMOVE_UNUSED:
        fewest -= 4
    facts = situate(wanted, three_of_four(), Ledger((leaving,)), census(three_of_four()))
    bound: dict[str, Any] = {"maxUnhealthy": None, "minHealthy": fewest - (action is ActionName.RIGHT_SIZE)}
    assert told(ask("blast-radius", wanted, facts, **bound)) == expected


@pytest.mark.parametrize("state", ["Verifying", "Succeeded"])
@pytest.mark.parametrize(("fewest", "expected"), [(8, OPEN), (9, waits("TooManyUnhealthy"))])
def test_a_pod_that_was_turned_off_is_missed_while_it_ends(state: str, fewest: int, expected: Any) -> None:
    """It is Ready for as long as that takes, and the number of its Deployment is 0 from the beginning."""
    leaving = replace(entry(state=state, method=Method.PATCH), action=ActionName.REMOVE_UNUSED)
    leaving = replace(leaving, target=ref("web"))
    ending = [pod(f"web-{number}", "web", deleted=NOW + timedelta(seconds=30)) for number in range(4)]
    others = [pod(f"{name}-{number}", name) for name in ("api", "db") for number in range(4)]
    made = [workload("api"), workload("db"), workload("web", replicas=0, available=0)]
    seen = snapshot(made, [*ending, *others])
    wanted = replace(intent(Method.PATCH), action=ActionName.RIGHT_SIZE)
    facts = situate(wanted, seen, Ledger((leaving,)), census(seen))
    bound: dict[str, Any] = {"maxUnhealthy": None, "minHealthy": fewest - 1}
    assert told(ask("blast-radius", wanted, facts, **bound)) == expected


def three_of_four(*, ready: bool = True) -> Snapshot:
    """Three Deployments of four pods each; those of the first are ready, or not."""
    names = ("api", "web", "db")
    pods = [
        pod(f"{name}-{number}", name, ready=ready or name != "api") for name in names for number in range(4)
    ]
    return snapshot([workload(name, replicas=4) for name in names], pods)


@pytest.mark.parametrize("action", [ActionName.REMOVE_UNUSED, ActionName.RIGHT_SIZE])
def test_a_pod_that_is_well_is_protected_from_going_for_good(action: ActionName) -> None:
    made, pods = platform(failing=0)
    marked = replace(pods[0], metadata=replace(pods[0].metadata, annotations=Annotations(protected="true")))
    seen = snapshot([made], [marked, *pods[1:]])
    wanted = replace(intent(Method.PATCH), action=action)
    assert situation(wanted, seen).protected is (action is ActionName.REMOVE_UNUSED)


def test_what_is_drained_is_not_turned_off_meanwhile() -> None:
    leaving = pod("api-9", ready=False, deleted=NOW)
    disrupted = ObjectCondition(ConditionKind.DISRUPTION_TARGET, Truth.TRUE, "EvictionByEvictionAPI")
    drained = replace(
        leaving, status=replace(leaving.status, conditions=(*leaving.status.conditions, disrupted))
    )
    wanted = replace(intent(Method.PATCH), action=ActionName.REMOVE_UNUSED)
    made, pods = platform()
    answer = ask("disruption", wanted, situation(wanted, snapshot([made], [*pods, drained])))
    assert told(answer) == until("Draining", NOW + timedelta(minutes=5))


@pytest.mark.parametrize(
    ("method", "deadline", "expected"),
    [
        (EVICT, NOW, until("Draining", NOW + timedelta(minutes=5))),
        (ROLL, ago(minutes=4), until("Draining", NOW + timedelta(minutes=1))),
        (EVICT, ago(minutes=5), OPEN),  # it is held, or its node is lost: that is no drain any more
        (UP, NOW, OPEN),
        (BACK, NOW, OPEN),
    ],
)
def test_a_drain_is_left_to_itself(method: Method, deadline: datetime, expected: Any) -> None:
    made, pods = platform()
    leaving = pod("api-9", ready=False, deleted=deadline)
    disrupted = ObjectCondition(ConditionKind.DISRUPTION_TARGET, Truth.TRUE, "EvictionByEvictionAPI")
    drained = replace(
        leaving, status=replace(leaving.status, conditions=(*leaving.status.conditions, disrupted))
    )
    facts = situation(intent(method), snapshot([made], [*pods, drained]))
    assert told(ask("disruption", intent(method), facts)) == expected
    merely_deleted = situation(intent(method), snapshot([made], [*pods, leaving]))
    assert told(ask("disruption", intent(method), merely_deleted)) == OPEN
    other = intent(method, target=ref("web"))
    elsewhere = situation(other, snapshot([made, workload("web")], [*pods, drained]))
    assert told(ask("disruption", other, elsewhere)) == OPEN


def test_disruption_of_what_is_not_seen() -> None:
    facts = situation(facts=snapshot([], []))
    assert told(ask("disruption", facts=facts)) == waits("EvidenceMissing")


@pytest.mark.parametrize(
    ("scalers", "method", "expected"),
    [
        ([autoscaler("api")], UP, person("ScaledByAutoscaler")),
        ([autoscaler("api")], BACK, person("ScaledByAutoscaler")),
        ([autoscaler("api")], ROLL, OPEN),
        ([autoscaler("web"), autoscaler("api", "StatefulSet")], UP, OPEN),
        (BLIND, UP, waits("EvidenceMissing")),
        (BLIND, EVICT, OPEN),
    ],
)
def test_autoscaler(scalers: Any, method: Method, expected: Any) -> None:
    made, pods = platform()
    facts = situation(intent(method), snapshot([made], pods, scalers))
    answer = ask("autoscaler", intent(method), facts)
    assert told(answer) == expected
    if expected == person("ScaledByAutoscaler"):
        assert "minReplicas" in answer.message
        assert "hpa" in answer.message


@pytest.mark.parametrize(
    ("action", "scalers", "expected"),
    [
        (ActionName.REMOVE_UNUSED, [autoscaler("api")], person("ScaledByAutoscaler")),
        (ActionName.REMOVE_UNUSED, [autoscaler("web"), autoscaler("api", "StatefulSet")], OPEN),
        (ActionName.REMOVE_UNUSED, [], OPEN),
        (ActionName.REMOVE_UNUSED, BLIND, waits("EvidenceMissing")),
        # What sets no replicas is no matter of it.
        (ActionName.RIGHT_SIZE, [autoscaler("api")], OPEN),
        (ActionName.ROLLBACK, BLIND, OPEN),
    ],
)
def test_the_autoscaler_of_what_is_to_be_turned_off(action: ActionName, scalers: Any, expected: Any) -> None:
    made, pods = platform()
    wanted = replace(intent(Method.PATCH), action=action)
    answer = ask("autoscaler", wanted, situation(wanted, snapshot([made], pods, scalers)))
    assert told(answer) == expected
    if expected == person("ScaledByAutoscaler"):
        assert "HorizontalPodAutoscaler hpa owns the replicas of Deployment api" in answer.message
        assert "take it away first" in answer.message


def reverted(step: int, **changes: Any) -> Entry:
    return entry(step, "Failed", UP, replicas=(4, 5), reason="Reverted", **changes)


@pytest.mark.parametrize(
    ("entries", "method", "expected"),
    [
        ((reverted(1),), UP, OPEN),
        ((reverted(1), reverted(2)), UP, person("RevertedByOther")),
        ((reverted(1), reverted(1, episode=2)), UP, person("RevertedByOther")),
        ((reverted(1), reverted(2)), EVICT, OPEN),
        ((reverted(1), reverted(2, target=ref("web"))), UP, OPEN),
        ((entry(1, "Failed", UP), entry(2, "Failed", UP)), UP, OPEN),
    ],
)
def test_gitops(entries: tuple[Entry, ...], method: Method, expected: Any) -> None:
    assert told(ask("gitops", intent(method), entries=entries)) == expected


@pytest.mark.parametrize(
    ("action", "method", "expected"),
    [
        ("RestoreSafetyConfig", "Patch", person("OwnedByGitOps")),
        ("RestoreSteering", "Patch", person("OwnedByGitOps")),
        ("RestoreRBAC", "Create", person("OwnedByGitOps")),
        # One key, which is not to be in Git: waiting for a person would have operations go on that do harm.
        ("Contain", "Patch", OPEN),
        ("DetailedLogging", "Patch", OPEN),
        ("DetailedLogging", "GiveBack", OPEN),
    ],
)
def test_what_is_kept_in_git(action: str, method: str, expected: Any) -> None:
    made = replace(intent(Method(method)), action=ActionName(action))
    assert told(ask("gitops", made, situation(gitops="Flux"))) == expected


@pytest.mark.parametrize(
    ("method", "replicas", "expected"),
    [
        (UP, (4, 5), OPEN),
        (UP, (4, 6), OPEN),
        (UP, (4, 7), person("CeilingReached")),
        (UP, (3, 6), waits("StepTooLarge")),
        (UP, (5, 5), waits("StepTooLarge")),
        (UP, (6, 6), person("CeilingReached")),
        (UP, (9, 9), person("CeilingReached")),
        (UP, (9, 6), person("CeilingReached")),
        (UP, (0, 1), person("ScaledToZero")),
        (UP, (1, 2), OPEN),
        (BACK, (5, 4), OPEN),
        (BACK, (4, 2), OPEN),
        (BACK, (3, 1), person("FloorReached")),
        (BACK, (5, 2), waits("StepTooLarge")),
        (BACK, (4, 4), waits("StepTooLarge")),
    ],
)
def test_scale_limits(method: Method, replicas: tuple[int, int], expected: Any) -> None:
    limits = {"floor": 2, "ceiling": 6, "step": 2}
    assert told(ask("scale-limits", intent(method, replicas=replicas), scale=limits)) == expected


def test_scale_limits_without_replicas() -> None:
    blind = replace(intent(UP), replicas=None)
    assert told(ask("scale-limits", blind)) == waits("EvidenceMissing")


def test_the_chain_keeps_what_passed_and_stops_at_the_first_denial() -> None:
    paused = policy(pauseRequests=["audit"], budget={"limit": 0, "window": "1h"})
    ruling = run_gates(intent(), paused, situation(), Ledger(), NOW)
    assert [item.gate for item in ruling.passed] == ["mode", "allowed-actions", "approval"]
    assert ruling.gate == "pause-requests"
    assert isinstance(ruling.denial, Deny)
    through = run_gates(intent(), policy(), situation(), Ledger(), NOW)
    assert [item.gate for item in through.passed] == [name for name, _ in GATES]
    assert all(item.message for item in through.passed)
    assert through.denial is None


def test_messages_fit_the_api() -> None:
    paused = policy(pauseRequests=[f"{number:03}" + "x" * 250 for number in range(16)])
    denial = run_gates(intent(), paused, situation(), Ledger(), NOW).denial
    assert denial is not None
    assert len(denial.message) == 1024
