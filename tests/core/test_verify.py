"""Whether an action helped, and what becomes of one that a crash left half done."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import KiroRemediationSpec, KiroRemediationStatus, Method
from kiro_operator.core.objects import (
    Annotations,
    ContainerState,
    ContainerStatus,
    Pod,
    RollingUpdate,
    Running,
    StatefulSet,
    Terminated,
    Workload,
    WorkloadStatus,
)
from kiro_operator.core.snapshot import Ref, Unobserved
from kiro_operator.core.verdict import Finding
from kiro_operator.core.verify import (
    Act,
    AlreadyDone,
    Expire,
    Live,
    Wait,
    concerns,
    is_ill,
    is_well,
    refused,
    resume,
    verify,
)
from tests.core.policy.make import BLIND, NOW, ago, finding, intent, pod, snapshot, workload

EVICT, ROLL, UP, BACK = Method.EVICT, Method.ROLLOUT_RESTART, Method.SCALE_UP, Method.SCALE_BACK
PATCH, CREATE = Method.PATCH, Method.CREATE
OURS = Annotations(restarted_by="deployment-api-uid-api-e1s1")


def spec(method: Method = EVICT, **changes: Any) -> KiroRemediationSpec:
    scaling = {UP: {"before": 4, "after": 5}, BACK: {"before": 5, "after": 4}}.get(method)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "uid-api"}
    evicted = target | {"kind": "Pod", "name": "api-0", "uid": "uid-api-0"}
    fields: dict[str, Any] = {
        "action": "Scale" if scaling else "Restart",
        "method": method,
        "target": target,
        "pod": evicted if method is EVICT else None,
        "replicas": scaling,
        "fence": {
            "uid": "uid-api-0" if method is EVICT else "uid-api",
            "resourceVersion": "100",
            "generation": 3,
        },
        "healthCheck": {"name": "kiro", "uid": "u"},
        "policy": {"name": "safe", "uid": "u"},
        "check": "pods-ready",
        "reason": "CrashLoopBackOff",
        "message": "m",
        "episode": 1,
        "step": 1,
        "timeout": "5m",
        "stabilization": "30s",
    }
    return KiroRemediationSpec.model_validate(fields | changes)


def verifying(acted: datetime | None = None, healthy: datetime | None = None) -> KiroRemediationStatus:
    return KiroRemediationStatus.model_validate(
        {"state": "Verifying", "actedAt": acted or ago(minutes=1), "healthySince": healthy}
    )


def look(
    method: Method = EVICT,
    *,
    acted: datetime | None = None,
    healthy: datetime | None = None,
    findings: Any = (),
    made: Workload | Unobserved | None = BLIND,
    **changes: Any,
) -> tuple[str, str, datetime | None, datetime | None]:
    found = verify(spec(method, **changes), verifying(acted, healthy), findings, made, NOW)
    assert (found.next is None) == (found.state != "Verifying")
    assert found.message
    return found.state.value, found.reason, found.healthy_since, found.next


def at(replicas: int = 4, generation: int = 4, **changes: Any) -> Workload:
    return workload(replicas=replicas, generation=generation, **changes)


DEADLINE = NOW + timedelta(minutes=4)
SOON = NOW + timedelta(seconds=30)
ILL = (finding(),)


def test_well_at_first_look_starts_the_stabilization() -> None:
    assert look(made=at()) == ("Verifying", "Stabilizing", NOW, SOON)


@pytest.mark.parametrize("seconds", [30, 31, 300])
def test_it_succeeds_once_it_stayed_well(seconds: int) -> None:
    since = ago(seconds=seconds)
    assert look(healthy=since, made=at()) == ("Succeeded", "Recovered", since, None)
    almost = ago(seconds=29)
    assert look(healthy=almost, made=at()) == (
        "Verifying",
        "Stabilizing",
        almost,
        almost + timedelta(seconds=30),
    )


def test_without_stabilization_one_look_is_enough() -> None:
    assert look(made=at(), stabilization="0s")[0] == "Succeeded"


def test_a_relapse_starts_the_time_anew() -> None:
    assert look(healthy=ago(seconds=20), findings=ILL, made=at()) == (
        "Verifying",
        "NotYetWell",
        None,
        DEADLINE,
    )


@pytest.mark.parametrize(
    ("healthy", "findings", "made", "reason"),
    [
        (None, ILL, at(), "StillFailing"),
        (ago(seconds=5), ILL, at(), "Relapsed"),
        (None, (), at(available=3), "StillFailing"),
        (None, BLIND, at(), "NotObserved"),
        (ago(seconds=5), (), BLIND, "NotObserved"),
    ],
)
def test_it_fails_when_time_is_up(healthy: Any, findings: Any, made: Any, reason: str) -> None:
    acted = ago(minutes=5)
    assert look(acted=acted, healthy=healthy, findings=findings, made=made)[:2] == ("Failed", reason)
    earlier = look(acted=acted + timedelta(seconds=1), healthy=healthy, findings=findings, made=made)
    assert earlier[0] == "Verifying"
    assert earlier[3] == NOW + timedelta(seconds=1)


def test_who_became_well_in_time_may_stabilize_past_the_timeout() -> None:
    late = ago(minutes=5, seconds=10)
    assert look(acted=late, healthy=ago(seconds=20), made=at())[:2] == ("Verifying", "Stabilizing")
    assert look(acted=late, healthy=ago(seconds=30), made=at())[0] == "Succeeded"
    # Nobody looked for long, and it is well now: it gets its time as well.
    assert look(acted=ago(hours=3), made=at()) == ("Verifying", "Stabilizing", NOW, SOON)


@pytest.mark.parametrize(("findings", "made"), [(BLIND, at()), ((), BLIND), (BLIND, BLIND)])
def test_what_is_not_seen_is_neither_well_nor_failed(findings: Any, made: Any) -> None:
    assert look(healthy=ago(hours=1), findings=findings, made=made) == (
        "Verifying",
        "NotObserved",
        None,
        DEADLINE,
    )


@pytest.mark.parametrize("made", [None, at(name="other")])
def test_a_target_that_is_gone_ends_it(made: Any) -> None:
    for findings in ((), BLIND):
        assert look(made=made, findings=findings) == ("Expired", "TargetGone", None, None)


def test_after_an_eviction_the_number_of_pods_tells() -> None:
    pending = WorkloadStatus(observed_generation=4, replicas=4, available_replicas=4, updated_replicas=2)
    made = workload(kind=StatefulSet, strategy="OnDelete", generation=4, status=pending)
    assert look(made=made)[1] == "Stabilizing"
    assert look(ROLL, made=at(status=pending))[1] == "NotYetWell"
    assert look(made=at(available=3))[1] == "NotYetWell"


@pytest.mark.parametrize(
    ("strategy", "bounds", "updated", "available", "expected"),
    [
        ("RollingUpdate", RollingUpdate(partition=3), 2, 5, "Stabilizing"),
        ("RollingUpdate", RollingUpdate(partition=3), 1, 5, "NotYetWell"),
        ("RollingUpdate", RollingUpdate(partition=3), 2, 4, "NotYetWell"),
        ("RollingUpdate", RollingUpdate(partition=9), 0, 5, "Stabilizing"),
        ("RollingUpdate", RollingUpdate(), 4, 5, "NotYetWell"),
        ("RollingUpdate", None, 4, 5, "NotYetWell"),
        ("OnDelete", None, 0, 5, "Stabilizing"),
        ("OnDelete", None, 0, 4, "NotYetWell"),
    ],
)
def test_what_an_update_holds_back_on_purpose_is_no_part_of_scaling(
    strategy: str, bounds: RollingUpdate | None, updated: int, available: int, expected: str
) -> None:
    status = WorkloadStatus(
        observed_generation=4,
        replicas=5,
        available_replicas=available,
        updated_replicas=updated,
        current_revision="a",
        update_revision="b",
    )
    made = at(5, kind=StatefulSet, strategy=strategy, bounds=bounds, status=status)
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "api", "uid": "uid-api"}
    assert look(UP, made=made, target=target)[1] == expected


@pytest.mark.parametrize("method", [ROLL, UP, BACK])
def test_what_does_not_show_the_change_yet_tells_nothing(method: Method) -> None:
    made = at(5 if method is BACK else 4, generation=3)
    assert look(method, made=made, healthy=ago(hours=1))[:2] == ("Verifying", "NotObserved")


@pytest.mark.parametrize(
    ("method", "replicas", "expected"),
    [(UP, 5, "Verifying"), (UP, 4, "Failed"), (UP, 7, "Failed"), (BACK, 4, "Verifying"), (BACK, 5, "Failed")],
)
def test_replicas_that_somebody_else_set_are_a_reversal(method: Method, replicas: int, expected: str) -> None:
    for findings in ((), ILL, BLIND):
        state, reason, *_ = look(method, made=at(replicas), findings=findings)
        assert state == expected
        assert (reason == "Reverted") == (expected == "Failed")


def test_what_was_sampled_before_its_time_is_over_says_nothing_of_the_rest() -> None:
    since = ago(minutes=4)
    early = verify(spec(), verifying(ago(minutes=5), since), (), at(), NOW, seen_at=ago(minutes=4))
    # A time that has passed, and stays the same with each look: one sample from then on tells.
    assert (early.reason, early.next) == ("Stabilizing", since + timedelta(seconds=30))
    late = verify(spec(), verifying(ago(minutes=5), since), (), at(), NOW, seen_at=early.next)
    assert late.reason == "Recovered"


def test_a_clock_set_back_neither_helps_nor_ends_it() -> None:
    ahead = NOW + timedelta(hours=2)
    assert look(acted=ahead, findings=ILL, made=at())[3] == NOW + timedelta(minutes=5)
    assert look(acted=ahead, healthy=ahead, made=at()) == ("Verifying", "Stabilizing", NOW, SOON)


def again(
    method: Method,
    state: str,
    *,
    made: Workload | Unobserved | None = BLIND,
    there: Pod | Unobserved | None = BLIND,
    failing: bool | None = True,
    reserved: datetime | None = None,
) -> object:
    status = KiroRemediationStatus.model_validate({"state": state})
    live = Live(workload=made, pod=there, failing=failing)
    answer = resume(spec(method), status, live, reserved_at=reserved or ago(seconds=30), now=NOW)
    match answer:
        case Expire(reason, message):
            assert message
            return reason
        case AlreadyDone(message):
            assert message
            return AlreadyDone
        case Wait(until):
            assert until > NOW
            return Wait
    return Act


BAD, LEAVING, OTHER = pod("api-0", ready=False), pod("api-0", deleted=NOW), pod("api-0")
OTHER = Pod(metadata=type(BAD.metadata)(name="api-0", uid="other"), status=BAD.status)


@pytest.mark.parametrize(
    ("method", "state", "facts", "expected"),
    [
        # Nothing was done, and the reasons hold.
        (EVICT, "Reserved", {"there": BAD}, Act),
        (EVICT, "Acting", {"there": BAD}, Act),
        (ROLL, "Reserved", {"made": at(generation=3)}, Act),
        (ROLL, "Acting", {"made": at(generation=3)}, Act),
        (UP, "Acting", {"made": at(4, 3)}, Act),
        (BACK, "Acting", {"made": at(5, 3), "failing": False}, Act),
        # It was done, or may have been.
        (EVICT, "Acting", {"there": None}, AlreadyDone),
        (EVICT, "Acting", {"there": OTHER}, AlreadyDone),
        (EVICT, "Acting", {"there": LEAVING}, AlreadyDone),
        (ROLL, "Acting", {"made": at(template=OURS)}, AlreadyDone),
        (ROLL, "Reserved", {"made": at(template=OURS)}, AlreadyDone),
        (ROLL, "Acting", {"made": at(generation=5)}, AlreadyDone),
        (UP, "Acting", {"made": at(5)}, AlreadyDone),
        (UP, "Acting", {"made": at(4, 5)}, AlreadyDone),
        (BACK, "Acting", {"made": at(4)}, AlreadyDone),
        (EVICT, "Acting", {"there": None, "failing": False, "reserved": ago(hours=1)}, AlreadyDone),
        # It was not done, and is not to be.
        (EVICT, "Reserved", {"there": None}, "PodGone"),
        (EVICT, "Reserved", {"there": OTHER}, "PodGone"),
        (EVICT, "Reserved", {"there": LEAVING}, "PodGone"),
        (ROLL, "Acting", {"made": None}, "TargetGone"),
        (ROLL, "Acting", {"made": at(name="other", generation=3)}, "TargetGone"),
        (ROLL, "Acting", {"made": at()}, "Changed"),
        (ROLL, "Reserved", {"made": at(generation=9)}, "Changed"),
        (UP, "Reserved", {"made": at(5)}, "Changed"),
        (UP, "Acting", {"made": at(7)}, "Changed"),
        (EVICT, "Reserved", {"there": BAD, "failing": False}, "Healed"),
        (ROLL, "Acting", {"made": at(generation=3), "failing": False}, "Healed"),
        (BACK, "Acting", {"made": at(5, 3), "failing": True}, "Relapsed"),
        (EVICT, "Acting", {"there": BAD, "reserved": ago(minutes=2, seconds=1)}, "TooOld"),
        (EVICT, "Acting", {"there": BAD, "reserved": ago(minutes=2)}, Act),
        (EVICT, "Acting", {"there": BAD, "reserved": ago(minutes=-3)}, "TooOld"),
        # It cannot be told.
        (EVICT, "Reserved", {}, Wait),
        (EVICT, "Acting", {}, Wait),
        (UP, "Acting", {}, Wait),
        (EVICT, "Acting", {"there": BAD, "failing": None}, Wait),
        (EVICT, "Reserved", {"reserved": ago(minutes=3)}, "TooOld"),
        (EVICT, "Acting", {"there": BAD, "failing": None, "reserved": ago(minutes=3)}, "TooOld"),
        # What was sent may yet show, however long that takes.
        (EVICT, "Acting", {"reserved": ago(hours=3)}, Wait),
    ],
)
def test_resume(method: Method, state: str, facts: Any, expected: object) -> None:
    assert again(method, state, **facts) == expected


RUN: dict[str, Any] = {
    "action": "ReconnectMCP",
    "method": "Exec",
    "command": {"argv": ["mcp-client", "reconnect"], "container": "main"},
    "pod": {"apiVersion": "v1", "kind": "Pod", "name": "api-0", "uid": "uid-api-0"},
    "fence": {"uid": "uid-api-0", "resourceVersion": "100"},
}


@pytest.mark.parametrize("there", [pod("api-0"), None])
@pytest.mark.parametrize("failing", [True, False, None])
@pytest.mark.parametrize("seconds", [1, 3600])
def test_a_command_that_may_have_been_sent_is_never_run_again(
    there: Pod | None,
    failing: bool | None,  # noqa: FBT001 - a row of the table
    seconds: int,
) -> None:
    status = KiroRemediationStatus.model_validate({"state": "Acting"})
    live = Live(workload=None, pod=there, failing=failing)
    answer = resume(spec(**RUN), status, live, reserved_at=ago(seconds=seconds), now=NOW)
    assert isinstance(answer, AlreadyDone)


@pytest.mark.parametrize(
    ("there", "failing", "seconds", "expected"),
    [
        (pod("api-0"), True, 1, Act),
        (pod("api-0"), True, 3600, Expire),
        (pod("api-0"), False, 1, Expire),
        (pod("api-0"), None, 1, Wait),
        (pod("api-0", deleted=NOW), True, 1, Expire),
        (None, True, 1, Expire),
        (BLIND, True, 1, Wait),
    ],
)
def test_a_command_that_was_never_sent_is_run_while_its_reasons_hold(
    there: Any,
    failing: bool | None,  # noqa: FBT001 - a row of the table
    seconds: int,
    expected: type,
) -> None:
    status = KiroRemediationStatus.model_validate({"state": "Reserved"})
    live = Live(workload=None, pod=there, failing=failing)
    answer = resume(spec(**RUN), status, live, reserved_at=ago(seconds=seconds), now=NOW)
    assert isinstance(answer, expected)


def test_a_command_is_verified_by_what_is_found_whatever_generation_the_workload_has() -> None:
    assert look(made=at(generation=3), **RUN)[:2] == ("Verifying", "Stabilizing")
    assert look(made=at(generation=3), findings=ILL, acted=ago(minutes=6), **RUN)[:2] == (
        "Failed",
        "StillFailing",
    )
    assert look(made=None, **RUN)[:2] == ("Expired", "TargetGone")


CRASH = finding()
CUT_OFF = finding(None, remedies=(ActionName.RECONNECT_MCP, ActionName.RESTART))
BEHIND = finding(None, Ref("Deployment", "kiro", "uid-kiro"), remedies=CUT_OFF.remedies)
STALE = finding(None, remedies=(ActionName.RESYNC_MCP,))


@pytest.mark.parametrize(
    ("about", "check", "changes", "expected"),
    [
        (CRASH, "pods-ready", {}, True),
        (CRASH, "service-logs", {}, True),
        (CUT_OFF, "mcp-tools", {}, False),  # a server that is down is no reason for an eviction to fail
        (CUT_OFF, "mcp-tools", {"check": "mcp-tools"}, True),  # the restart after the command
        (CUT_OFF, "mcp-tools", RUN, True),
        (CUT_OFF, "mcp-server-health", RUN | {"check": "mcp-tools"}, True),
        (CRASH, "pods-ready", RUN, False),
        (STALE, "mcp-data-accuracy", RUN, False),
        (
            replace(BEHIND, fallback=Ref("Deployment", "api", "uid-api")),
            "mcp-tools",
            {"check": "mcp-tools"},
            True,
        ),
        (BEHIND, "mcp-tools", {"check": "mcp-tools"}, False),  # about another workload
    ],
)
def test_what_says_that_an_action_did_not_help(
    about: Finding,
    check: str,
    changes: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a row of the table
) -> None:
    assert concerns(about, check, spec(**changes)) is expected


CHANGE = {"patch": '{"data": {"mode": "safe"}}', "diff": "mode"}


def config(version: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"uid": "c", "resourceVersion": version}, "data": data}


@pytest.mark.parametrize(
    ("method", "facts", "expected"),
    [
        # It has changed, and nobody has acted: it may be sent again.
        (EVICT, {"pod": BAD}, Act),
        (ROLL, {"workload": at(generation=3)}, Act),
        (UP, {"workload": at(4, 3)}, Act),
        # What was sent twice, or came late, was done.
        (EVICT, {"pod": None}, AlreadyDone),
        (EVICT, {"pod": OTHER}, AlreadyDone),
        (EVICT, {"pod": LEAVING}, AlreadyDone),
        (ROLL, {"workload": at(template=OURS)}, AlreadyDone),
        (UP, {"workload": at(5)}, AlreadyDone),
        (BACK, {"workload": at(4)}, AlreadyDone),
        # Somebody else was first.
        (ROLL, {"workload": None}, Expire),
        (ROLL, {"workload": at()}, Expire),
        (UP, {"workload": at(7)}, Expire),
        # What was written is told by its content, and under another version by nothing else.
        (PATCH, {"written": config("50", mode="free")}, Act),
        (PATCH, {"written": config("51", mode="safe", other="kept")}, AlreadyDone),
        (PATCH, {"written": config("51", mode="free")}, Expire),
        (PATCH, {"written": None}, Expire),
        (CREATE, {"written": None}, Act),
        (CREATE, {"written": config("1", mode="safe")}, AlreadyDone),
        (CREATE, {"written": config("1", mode="free")}, Expire),
    ],
)
def test_a_refused_fence(method: Method, facts: Any, expected: type) -> None:
    live = Live(**({"workload": None, "pod": None} | facts), failing=None)
    writes = {"change": CHANGE, "fence": {"uid": "c", "resourceVersion": "50"}}
    asked = spec(method, **(writes if method in {PATCH, CREATE} else {}))
    assert isinstance(refused(asked, live), expected)


@pytest.mark.parametrize(
    ("patch", "left", "expected"),
    [
        # Keys that were taken out: an empty map goes from the object.
        ({"data": {"mode": "safe"}, "binaryData": {"mode": None}}, {"data": {"mode": "safe"}}, AlreadyDone),
        ({"data": {"level": None}}, {}, AlreadyDone),
        ({"data": {"level": None}}, {"data": None}, AlreadyDone),
        ({"data": {"level": None}}, {"data": {"other": "kept"}}, AlreadyDone),
        ({"data": {}}, {}, AlreadyDone),
        ({"rules": None}, {"rules": None}, AlreadyDone),
        # Somebody else was there.
        ({"data": {"mode": "safe"}, "binaryData": {"mode": None}}, {}, Expire),
        (
            {"data": {"mode": "safe"}, "binaryData": {"mode": None}},
            {"data": {"mode": "safe"}, "binaryData": {"mode": "aGk="}},
            Expire,
        ),
        ({"data": {"level": None}}, {"data": {"level": "debug"}}, Expire),
        ({"data": {"level": {"a": "b"}}}, {"data": {"level": "debug"}}, Expire),
        # What looks like an amount is text here.
        ({"data": {"limit": "1000m"}}, {"data": {"limit": "1"}}, Expire),
    ],
)
def test_what_was_written_is_known_however_the_api_server_has_it(
    patch: dict[str, Any], left: dict[str, Any], expected: type
) -> None:
    change = {"patch": json.dumps(patch), "diff": "mode"}
    asked = spec(PATCH, change=change, fence={"uid": "c", "resourceVersion": "50"})
    live = Live(workload=None, written={"metadata": config("51")["metadata"], **left}, failing=True)
    assert isinstance(refused(asked, live), expected)
    status = KiroRemediationStatus.model_validate({"state": "Acting", "actingAt": ago(seconds=5)})
    assert isinstance(resume(asked, status, live, reserved_at=ago(seconds=5), now=NOW), expected)


@pytest.mark.parametrize(
    ("method", "live", "expected"),
    [
        (EVICT, Live(workload=None, pod=pod("api-0"), failing=False), "Healed"),
        (ROLL, Live(workload=at(generation=3), failing=False), "Healed"),
        (UP, Live(workload=at(generation=3), failing=False), "Healed"),
        # Health is what taking back rests on, and what has been done is not undone by it.
        (BACK, Live(workload=at(5, 3), failing=False), ""),
        (UP, Live(workload=at(5), failing=False), ""),
        (EVICT, Live(workload=None, pod=None, failing=False), ""),
        (ROLL, Live(workload=at(), failing=False), "Changed"),
    ],
)
def test_what_has_healed_by_itself_is_not_sent_again(method: Method, live: Live, expected: str) -> None:
    answer = refused(spec(method), live)
    assert (answer.reason if isinstance(answer, Expire) else "") == expected


def ended(*, restarts: int, before: float) -> Pod:
    """A pod that is Ready, and so many seconds ago was not: its container had ended after a minute."""
    last = ContainerState(
        terminated=Terminated(1, "Error", "", ago(seconds=before + 60), ago(seconds=before))
    )
    running = ContainerState(running=Running(ago(seconds=before)))
    container = ContainerStatus("main", ready=True, restart_count=restarts, state=running, last_state=last)
    well = pod("api-0")
    return replace(well, status=replace(well.status, container_statuses=(container,)))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (pod("api-0"), True),
        (pod("api-0", ready=False), False),
        # It has restarted, as any pod may, and is Ready again.
        (ended(restarts=1, before=5), True),
        # It is Ready between two crashes: that is no health.
        (ended(restarts=2, before=5), False),
        (ended(restarts=2, before=600), True),
        (at(), True),
        (at(available=3), False),
        (BLIND, False),
        (None, False),
    ],
)
def test_what_is_well(found: Any, expected: bool) -> None:  # noqa: FBT001 - a row of the table
    assert is_well(found, NOW) is expected


@pytest.mark.parametrize(
    ("method", "made", "pods", "expected"),
    [
        (EVICT, at(available=3), [BAD], True),
        (ROLL, at(available=3), [BAD], True),
        (UP, at(available=3), [BAD], True),
        # A check may find more than readiness tells: that all is Ready is then nothing new.
        (EVICT, at(available=3), [pod("api-0"), pod("api-1", ready=False)], False),
        (ROLL, at(), [BAD], False),
        (UP, at(), [BAD], False),
        # What cannot be seen is not known to be ill.
        (EVICT, at(available=3), BLIND, False),
        (EVICT, at(available=3), [], False),
        (ROLL, at(name="other", available=3), [BAD], False),
    ],
)
def test_what_is_ill_when_an_action_is_decided(
    method: Method,
    made: Workload,
    pods: Any,
    expected: bool,  # noqa: FBT001 - a row of the table
) -> None:
    assert is_ill(intent(method), snapshot([made], pods), NOW) is expected


@pytest.mark.parametrize(("mark", "expected"), [("true", Expire), ("yes", Expire), ("false", Act)])
def test_what_somebody_protected_meanwhile_is_not_sent_again(mark: str, expected: type) -> None:
    """It is the same object in another version, so that nothing else stands in the way."""
    marked = replace(BAD, metadata=replace(BAD.metadata, annotations=Annotations(protected=mark)))
    assert isinstance(refused(spec(EVICT), Live(workload=None, pod=marked, failing=None)), expected)
    same = at(generation=3)
    same = replace(same, metadata=replace(same.metadata, annotations=Annotations(protected=mark)))
    assert isinstance(refused(spec(ROLL), Live(workload=same, failing=None)), expected)
