"""What gates are told of the surroundings, and at what cost."""

from collections.abc import Iterable

import pytest

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.objects import DaemonSet, Deployment, Pod, RollingUpdate, StatefulSet, Workload
from kiro_operator.core.policy import rollouts
from kiro_operator.core.policy.shares import at_least, at_most
from kiro_operator.core.policy.situation import Census, autoscaler_of, census, situate
from kiro_operator.core.policy.types import Ledger
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
