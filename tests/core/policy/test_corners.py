"""Corners of what gates and ladders are told, one line each."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName, LadderStep
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import Window
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData
from kiro_operator.core.objects import RollingUpdate, StatefulSet, WorkloadStatus
from kiro_operator.core.policy.gates import run_gates
from kiro_operator.core.policy.gates.protected import gate as protected
from kiro_operator.core.policy.ladder import Turn, turn
from kiro_operator.core.policy.rollouts import rolls, taken, unavailable, update_pending
from kiro_operator.core.policy.shares import at_least
from kiro_operator.core.policy.situation import Census, census, situate
from kiro_operator.core.policy.storms import casualties
from kiro_operator.core.policy.subjects import Subject, subject
from kiro_operator.core.policy.text import LONGEST, clip
from kiro_operator.core.policy.types import Deny, Entry, Ledger, remediation_name
from kiro_operator.core.policy.wellness import Need, Wellness, remember, still_needed
from kiro_operator.core.policy.windows import open_until
from kiro_operator.core.snapshot import ABSENT, Ref, Sample, Snapshot, Unobserved
from tests.core.policy.asking import EVICT, OPEN, ROLL, UP, ask, told, waits
from tests.core.policy.make import (
    BLIND,
    NOW,
    RESTART,
    SCALE,
    ago,
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

NIGHT = {"name": "w", "schedule": "0 22 * * 5", "duration": "1h", "timeZone": "UTC"}
CONFIG = ConfigData(uid="u", resource_version="7", labels={"app": "safe"}, protected="yes")


@pytest.mark.parametrize(
    ("target", "seen", "expected"),
    [
        (Ref("ConfigMap", "safe", "u"), {"safe": CONFIG}, Subject("7", {"app": "safe"}, protected=True)),
        (Ref("ConfigMap", "safe", "old"), {"safe": CONFIG}, None),
        (Ref("ConfigMap", "other", "u"), {"safe": CONFIG}, None),
        (Ref("ConfigMap", "safe", f"{ABSENT}safe"), {"safe": None}, Subject()),
        (Ref("ConfigMap", "safe", "u"), {"safe": None}, None),
        (Ref("ConfigMap", "safe", "u"), Unobserved("Timeout", "no answer"), None),
        (Ref("Secret", "safe", "u"), {"safe": CONFIG}, None),
    ],
)
def test_a_subject_is_the_very_object(target: Ref, seen: Any, expected: Subject | None) -> None:
    facts = replace(snapshot(), samples={SAFETY_CONFIG.name: Sample(1, NOW, seen)})
    assert subject(target, facts) == expected


def facts_of(*others: Any) -> Snapshot:
    made, pods = platform()
    return snapshot([made, workload("web")], [*pods, *others])


def test_a_situation_is_that_of_the_very_pod_and_namespace() -> None:
    facts = replace(facts_of(), namespace="elsewhere")
    found = situate(intent(), facts, Ledger(), census(facts))
    assert (found.namespace, found.pod_observed, found.autoscalers_observed) == ("elsewhere", True, True)
    renamed = replace(intent(), pod=Ref("Pod", "api-0", "of-its-predecessor"))
    assert not situate(renamed, facts, Ledger(), census(facts)).pod_observed
    unseen = snapshot([], [], BLIND)
    assert not situate(intent(), unseen, Ledger(), census(unseen)).autoscalers_observed


@pytest.mark.parametrize(("owner", "expected"), [("api", True), ("web", False)])
def test_a_rollout_is_held_back_by_protected_pods_of_its_own(owner: str, expected: object) -> None:
    facts = facts_of(pod("other-0", owner, ready=False, protected="true"))
    assert situate(intent(ROLL), facts, Ledger(), census(facts)).protected is expected


def test_pods_in_a_final_phase_are_no_casualties() -> None:
    ended = pod("api-9", ready=False, phase="Failed")
    made, pods = platform(4, 0)
    assert casualties(snapshot([made], [*pods, ended]), NOW) == Census(4, 0)


def test_pods_that_a_rollout_takes() -> None:
    assert unavailable(workload(replicas=4, available=4)) == 0
    assert taken(workload(replicas=4, available=4, bounds=RollingUpdate(1))) == 1
    assert taken(workload(replicas=4, available=3, bounds=RollingUpdate(1))) == 0


@pytest.mark.parametrize(
    ("action", "method", "expected"),
    [
        (ActionName.RESTART, Method.ROLLOUT_RESTART, True),
        (ActionName.RESTART, Method.EVICT, False),
        (ActionName.SCALE, Method.SCALE_UP, False),
        (ActionName.RIGHT_SIZE, Method.PATCH, True),
        (ActionName.ROLLBACK, Method.PATCH, True),
        (ActionName.REMOVE_UNUSED, Method.PATCH, False),
    ],
)
def test_what_replaces_pods(action: ActionName, method: Method, expected: bool) -> None:  # noqa: FBT001 - a row of the table
    assert rolls(action, method) is expected


@pytest.mark.parametrize(
    ("replicas", "updated", "expected"), [(4, 4, False), (5, 4, True), (3, 3, True), (4, 3, True)]
)
def test_an_update_is_pending_until_all_are_new_and_the_old_are_gone(
    replicas: int, updated: int, expected: object
) -> None:
    status = WorkloadStatus(observed_generation=3, replicas=replicas, updated_replicas=updated)
    assert update_pending(workload(status=status)) is expected


@pytest.mark.parametrize(
    ("strategy", "current", "updated", "expected"),
    [
        ("RollingUpdate", "b", 4, False),
        ("RollingUpdate", "a", 3, True),
        # The last of them is not Ready yet.
        ("RollingUpdate", "a", 4, True),
        ("OnDelete", "b", 4, False),
        ("OnDelete", "a", 3, True),
        # Kubernetes never says that an update by hand is over.
        ("OnDelete", "a", 4, False),
    ],
)
def test_an_update_of_a_stateful_set_is_pending(
    strategy: str, current: str, updated: int, expected: object
) -> None:
    status = WorkloadStatus(
        observed_generation=3,
        replicas=4,
        updated_replicas=updated,
        current_revision=current,
        update_revision="b",
    )
    assert update_pending(workload(kind=StatefulSet, strategy=strategy, status=status)) is expected


def test_shares_are_of_a_hundred() -> None:
    assert at_least("100%", 1000) == 1000


def test_what_just_fits_is_not_cut() -> None:
    assert clip("x" * LONGEST) == "x" * LONGEST
    assert clip("x" * (LONGEST + 1)) == "x" * (LONGEST - 1) + "…"


def test_names_of_records_keep_within_bounds() -> None:
    target = Ref("Deployment", "n" * 200, "0123456789abcdef")
    assert remediation_name(target, 2, 3) == f"deployment-{'n' * 180}-0123456789abc-e2s3"


def climbed(*done: Entry, ladder: tuple[Any, ...], recovered: Any = None) -> Turn:
    steps = [LadderStep(action=action) for action in ladder]
    return turn(done, steps, since=ago(minutes=1), recovered_at=recovered, quiet=timedelta(minutes=10))


def test_a_recovery_comes_after_the_last_action() -> None:
    failed = entry(1, "Failed", ended=ago(hours=1))
    assert climbed(failed, ladder=(RESTART, SCALE), recovered=ago(hours=1)).episode == 1
    assert climbed(failed, ladder=(RESTART, SCALE), recovered=ago(minutes=59)).episode == 2


def test_an_eviction_takes_the_rung_that_restarts() -> None:
    evicted = entry(1, "Failed", EVICT)
    assert climbed(evicted, ladder=(SCALE, RESTART)) == Turn(1, 2, 1, 1, eviction_failed=True)
    # Beyond the ladder's end, as after an edit, it is one rung more.
    assert climbed(entry(1, "Failed", ROLL), entry(2, "Failed", EVICT), ladder=(RESTART,)) == Turn(1, 3, 2)


def test_what_is_needed_is_kept_with_what_is_seen() -> None:
    need = Need(ago(hours=1), "pods-ready")
    for seen in (True, False):
        known = remember(Wellness(need=need), well=seen, quiet=timedelta(minutes=10), now=NOW)
        assert known.need == need
    odd = NOW.replace(microsecond=7)
    assert still_needed(None, "a", seen=True, quiet=timedelta(minutes=10), now=odd) == Need(NOW, "a")


def test_consent_is_asked_for_the_last_replica_and_for_all_at_once() -> None:
    for replicas, bounds, consent, expected in (
        (2, RollingUpdate(1), [], OPEN),
        (1, RollingUpdate(1), ["SingleReplica"], OPEN),
        (2, RollingUpdate("100%"), ["SingleReplica"], ("TakesAllDown", None, True)),
    ):
        made = workload(replicas=replicas, bounds=bounds)
        facts = situation(intent(ROLL), snapshot([made], []))
        assert told(ask("disruption", intent(ROLL), facts, consent=consent)) == expected


def test_a_workload_that_is_made_is_not_known_to_be_harmless() -> None:
    answer = ask("disruption", intent(Method.CREATE))
    assert told(answer) == waits("EvidenceMissing")
    assert answer.message == (
        "what a change of Deployment api takes down cannot be observed, so Deployment api is left alone"
    )


def test_the_blast_radius_of_what_takes_no_pods() -> None:
    write = intent(Method.PATCH)
    facts = situation(write, workload=None, observed=True)
    assert told(ask("blast-radius", write, facts)) == OPEN
    nobody = situation(pods=0, unhealthy_pods=0, unhealthy_expected=1)
    assert told(ask("blast-radius", facts=nobody, maxUnhealthy="100%")) == waits("TooManyUnhealthy")
    fine = situation(unhealthy_pods=0)
    assert told(ask("blast-radius", facts=fine, maxUnhealthy=None, minHealthy="50%")) == OPEN


def test_a_ruling_without_a_denial_names_no_gate() -> None:
    ruling = run_gates(intent(), policy(), situation(), Ledger(), NOW)
    assert (ruling.gate, ruling.denial) == ("", None)


def test_an_action_that_runs_counts_from_when_it_was_done() -> None:
    budget = {"limit": 1, "window": "1h"}
    running = (entry(1, "Verifying", EVICT, target=ref("web"), at=ago(hours=2)),)
    assert told(ask("budget", entries=running, budget=budget)) == OPEN
    ended = (entry(1, "Denied", EVICT, target=ref("web"), at=ago(hours=2)),)
    assert told(ask("budget", entries=ended, budget=budget)) == OPEN


def test_a_selector_that_cannot_be_read_is_told() -> None:
    selectors = {"selectors": [{"matchExpressions": [{"key": "app", "operator": "Exists"}]}]}
    odd = policy(protected=selectors)
    assert odd.protected is not None
    object.__setattr__(odd.protected.selectors[0].match_expressions[0], "operator", "Near")
    answer = protected(intent(), odd, situation(), Ledger(), NOW)
    assert answer == Deny(
        "PolicyInvalid",
        "spec.protected.selectors[0] of the policy: "
        "label selector operator 'Near': write In, NotIn, Exists or DoesNotExist",
        needs_person=True,
    )


def test_a_schedule_that_cannot_be_read_is_told() -> None:
    advice = "write five cron fields, minute hour day month weekday, such as 0 22 * * 5"
    for schedule, expected in (
        ("0 0 22 * * 5", f"schedule '0 0 22 * * 5' has not five fields: {advice}"),
        ("61 * * * *", f"schedule '61 * * * *' cannot be read (Bad minute): {advice}"),
    ):
        window = Window.model_validate(NIGHT | {"schedule": schedule})
        with pytest.raises(ValueError, match=r"schedule") as caught:
            open_until(window, NOW)
        assert str(caught.value) == expected


def test_scaling_looks_for_autoscalers() -> None:
    unseen = snapshot([workload()], [], BLIND)
    assert not situate(intent(UP), unseen, Ledger(), census(unseen)).autoscalers_observed
