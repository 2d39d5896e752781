"""What gates are told of the surroundings, and at what cost."""

from collections.abc import Iterable
from datetime import datetime

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.objects import DaemonSet, Deployment, Pod, RollingUpdate, StatefulSet, Workload
from kiro_operator.core.policy import rollouts
from kiro_operator.core.policy.shares import at_least, at_most
from kiro_operator.core.policy.situation import Census, autoscaler_of, census, situate
from kiro_operator.core.policy.types import Entry, Intent, Ledger
from kiro_operator.core.snapshot import Collection, Ref, Snapshot
from tests.core.policy.make import (
    BLIND,
    NOW,
    autoscaler,
    entry,
    intent,
    platform,
    pod,
    ref,
    snapshot,
    workload,
)


def test_census_counts_what_somebody_relies_on() -> None:
    pods = [
        pod("ok"),
        pod("bad", ready=False),
        pod("leaving", ready=False, deleted=NOW),
        pod("ready-but-leaving", deleted=NOW),
        pod("bare", owner="", ready=False),
        pod("evicted", ready=False, phase="Failed"),
        pod("ran-through", ready=False, phase="Succeeded"),
        pod("waiting", ready=False, phase="Pending"),
    ]
    assert census(snapshot([workload()], pods)) == Census(5, 3)
    assert census(snapshot([], BLIND)) == Census(None, None)
    assert census(snapshot([], [])) == Census(0, 0)


def test_healthy_pods_are_counted_and_never_looked_at() -> None:
    def forbidden() -> Iterable[Pod]:
        raise AssertionError("walked over all pods")

    made, (bad, *_) = platform()
    pods = Collection[Pod]((bad,), forbidden, lambda: 10_000, {bad.metadata.name: bad}.get)
    facts = snapshot([made], [])
    facts = Snapshot(**({f: getattr(facts, f) for f in facts.__struct_fields__} | {"pods": pods}))
    counted = census(facts)
    assert counted == Census(10_000, 1)
    for method in Method:
        assert situate(intent(method), facts, Ledger(), counted).pods == 10_000


def test_autoscaler_of() -> None:
    facts = snapshot([], [], [autoscaler("api", name="z"), autoscaler("api", name="a"), autoscaler("web")])
    assert autoscaler_of(ref(), facts) == ("a", True)
    assert autoscaler_of(ref("db"), facts) == (None, True)
    assert autoscaler_of(ref(), snapshot([], [], BLIND)) == (None, False)


def test_rollouts_under_way_elsewhere_are_expected_to_take_pods() -> None:
    made, pods = platform()
    web = workload("web", replicas=8, available=7, bounds=RollingUpdate(3))
    facts = snapshot([made, web], pods)
    rolling = entry(1, "Reserved", Method.ROLLOUT_RESTART, target=ref("web"))
    gone = entry(1, "Acting", Method.ROLLOUT_RESTART, target=Ref("Deployment", "old", "uid-old"))
    over = entry(1, "Succeeded", Method.ROLLOUT_RESTART, target=ref("web"))
    evicting = entry(2, "Acting", Method.EVICT, target=ref("web"))

    def expected(*entries: object, of: str = "api") -> int:
        ledger = Ledger(entries)  # type: ignore[arg-type]
        return situate(intent(target=ref(of)), facts, ledger, census(facts)).unhealthy_expected

    assert expected(rolling, gone, evicting) == 2
    assert expected(over) == 0
    assert expected(rolling, of="web") == 0


@pytest.mark.parametrize(
    ("ready", "deleted", "state", "of", "expected"),
    [
        (True, None, "Reserved", "api", 1),
        (True, None, "Acting", "api", 1),
        # On its way out, and serving still.
        (True, NOW, "Verifying", "api", 1),
        (True, None, "Succeeded", "api", 0),
        # Counted among those that are not ready.
        (False, None, "Acting", "api", 0),
        (True, None, "Acting", "web", 0),
    ],
)
def test_pods_that_serve_and_are_evicted_elsewhere_are_missed(
    ready: bool,  # noqa: FBT001
    deleted: datetime | None,
    state: str,
    of: str,
    expected: int,
) -> None:
    made, pods = platform()
    leaving = pod("web-0", "web", ready=ready, deleted=deleted)
    facts = snapshot([made, workload("web")], [*pods, leaving])
    evicted = replace(
        entry(1, state, Method.EVICT, target=ref("web")), pod=Ref("Pod", "web-0", leaving.metadata.uid)
    )
    run = replace(evicted, method=Method.EXEC, name="run")
    another = replace(evicted, pod=Ref("Pod", "web-0", "uid-of-another"), name="another")
    ledger = Ledger((evicted, run, another))
    found = situate(intent(target=ref(of)), facts, ledger, census(facts))
    assert found.unhealthy_expected == expected


def turning_off(name: str, state: str = "Verifying") -> Entry:
    """A RemoveUnused on record."""
    made = entry(1, state, Method.PATCH, target=ref(name))
    return replace(made, action=ActionName.REMOVE_UNUSED)


def patching(action: ActionName, name: str = "db") -> Intent:
    return replace(intent(Method.PATCH, target=ref(name)), action=action)


def three(*more: Pod) -> Snapshot:
    """Three Deployments of four pods, of which two, one and none are not ready; and further pods."""
    made = [platform(name=name, failing=failing) for name, failing in (("api", 2), ("web", 1), ("db", 0))]
    return snapshot([item for item, _ in made], [*(each for _, pods in made for each in pods), *more])


def left(facts: Snapshot, *entries: Entry, wanted: Intent | None = None) -> Census:
    """What an action is told of the namespace."""
    ledger, wanted = Ledger(entries), wanted or patching(ActionName.RIGHT_SIZE)
    found = situate(wanted, facts, ledger, census(facts))
    return Census(found.pods, found.unhealthy_pods)


@pytest.mark.parametrize(
    ("name", "state", "expected"),
    [
        *(("api", state, Census(8, 1)) for state in ("Reserved", "Acting", "Verifying")),
        ("web", "Verifying", Census(8, 2)),
        ("db", "Verifying", Census(8, 3)),
        # What ended is as it is seen to be, however it ended.
        *(("api", state, Census(12, 3)) for state in ("Succeeded", "Failed", "Denied", "Expired")),
        ("long-gone", "Verifying", Census(12, 3)),
    ],
)
def test_pods_of_what_is_being_turned_off_are_gone_and_no_others(
    name: str, state: str, expected: Census
) -> None:
    assert left(three(), turning_off(name, state)) == expected


def test_what_is_to_be_turned_off_goes_beside_what_is_being() -> None:
    going = patching(ActionName.REMOVE_UNUSED, "web")
    assert left(three(), wanted=going) == Census(8, 2)
    assert left(three(), turning_off("api"), wanted=going) == Census(4, 0)
    assert left(three(), turning_off("web"), wanted=going) == Census(8, 2)
    assert left(three(), turning_off("api"), turning_off("db")) == Census(4, 1)
    # Whatever else patches a workload leaves it there.
    sizing = replace(turning_off("api"), action=ActionName.RIGHT_SIZE)
    assert left(three(), sizing) == Census(12, 3)


def test_what_counts_for_nobody_is_not_missed_twice() -> None:
    """Pods that the census leaves out do not make others look well when their workload is turned off."""
    over = [pod(f"api-over-{number}", ready=False, phase="Failed") for number in (1, 2)]
    facts = three(*over, pod("bare", owner="", ready=False))
    assert census(facts) == Census(12, 3)
    assert left(facts, turning_off("api")) == Census(8, 1)
    assert left(facts, wanted=patching(ActionName.REMOVE_UNUSED, "api")) == Census(8, 1)


@pytest.mark.parametrize("told", [4, 0, 20])
def test_pods_that_leave_already_are_gone_too(told: int) -> None:
    """Whatever is said of their number: of those that end, its controller says nothing any more."""
    made, pods = platform(failing=2)
    going = replace(made, status=replace(made.status, replicas=told))
    ending = [replace(each, metadata=replace(each.metadata, deletion_timestamp=NOW)) for each in pods]
    web, others = platform(name="web")
    facts = snapshot([going, web], [*ending, *others])
    assert left(facts, turning_off("api")) == Census(4, 1)
    assert left(facts, wanted=patching(ActionName.REMOVE_UNUSED, "api")) == Census(4, 1)
    # Those of others that end are missed until they are replaced.
    assert left(facts, turning_off("web")) == Census(4, 2)


def test_what_is_not_seen_is_not_made_up_by_turning_something_off() -> None:
    blind = snapshot([workload()], BLIND)
    assert left(blind, turning_off("api")) == Census(None, None)


def test_a_target_of_another_uid_is_not_there() -> None:
    facts = snapshot([workload()], [pod("api-0")])
    other = situate(intent(target=Ref("Deployment", "api", "old")), facts, Ledger(), census(facts))
    assert other.workload is None


@pytest.mark.parametrize(
    ("kind", "replicas", "strategy", "bounds", "expected"),
    [
        (Deployment, 4, "", None, 1),
        (Deployment, 3, "", None, 0),
        (Deployment, 1, "", None, 0),
        (Deployment, 10, "", RollingUpdate("25%", 1), 2),
        (Deployment, 3, "", RollingUpdate("25%", 0), 1),
        (Deployment, 3, "", RollingUpdate(0, "0%"), 1),
        (Deployment, 4, "Recreate", None, 4),
        (Deployment, 4, "", RollingUpdate("lots"), 4),
        (StatefulSet, 4, "", None, 1),
        (StatefulSet, 4, "", RollingUpdate("30%"), 2),
        (DaemonSet, 10, "", RollingUpdate("15%"), 2),
        (DaemonSet, 10, "", RollingUpdate(0, 1), 1),
    ],
)
def test_max_unavailable(
    kind: type[Workload], replicas: int, strategy: str, bounds: RollingUpdate | None, expected: int
) -> None:
    made = workload(kind=kind, replicas=replicas, strategy=strategy, bounds=bounds)
    assert rollouts.max_unavailable(made) == expected


def test_shares_round_to_the_named_side() -> None:
    assert (at_most("33%", 10), at_least("33%", 10)) == (3, 4)
    assert (at_most("50%", 10), at_least("50%", 10)) == (5, 5)
    assert (at_most(3, 10), at_least(3, 10)) == (3, 3)
    for odd in ("33", "101%", "-1%", "", "%", -1):
        with pytest.raises(ValueError, match="write"):
            at_most(odd, 10)
