"""What each gate is asked for test_words: one question for each thing that it can say."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import Storm
from kiro_operator.core.objects import (
    ConditionKind,
    ObjectCondition,
    RollingUpdate,
    StatefulSet,
    TemplateAnnotations,
    Truth,
    Workload,
    WorkloadStatus,
)
from kiro_operator.core.policy.types import Answer
from tests.core.policy.asking import BACK, EVICT, ROLL, UP, ask
from tests.core.policy.make import (
    BLIND,
    SPEC,
    ago,
    autoscaler,
    entry,
    intent,
    platform,
    pod,
    ref,
    situation,
    snapshot,
    workload,
)

NOON = {"name": "noon", "schedule": "0 11 * * *", "duration": "2h", "timeZone": "UTC"}
ODD = NOON | {"timeZone": "Moon/Base"}
SHORT = {"limit": 2, "window": "1h"}
STUCK = ObjectCondition(ConditionKind.PROGRESSING, Truth.FALSE, "ProgressDeadlineExceeded")
ROLLS = ObjectCondition(ConditionKind.PROGRESSING, Truth.TRUE, "ReplicaSetUpdated")
GONE = situation(facts=snapshot([], []))


def halfway(*conditions: ObjectCondition) -> WorkloadStatus:
    return WorkloadStatus(
        observed_generation=3, replicas=5, updated_replicas=1, available_replicas=4, conditions=conditions
    )


def of(made: Workload, method: Any = ROLL, **changes: Any) -> Answer:
    wanted = intent(method, target=ref(kind=made.kind))
    facts = situation(wanted, snapshot([made], [pod("api-0", ready=False)]))
    return ask("disruption", wanted, facts, **changes)


def restarted(when: str) -> Answer:
    made, pods = platform(template=TemplateAnnotations(restarted_at=when))
    return ask("recently-remediated", facts=situation(facts=snapshot([made], pods)))


def drained() -> Answer:
    made, pods = platform()
    gone = pod("api-9", ready=False, deleted=ago(minutes=1))
    target = ObjectCondition(ConditionKind.DISRUPTION_TARGET, Truth.TRUE)
    gone = replace(gone, status=replace(gone.status, conditions=(*gone.status.conditions, target)))
    return ask("disruption", facts=situation(facts=snapshot([made], [*pods, gone])))


def chosen(selector: dict[str, Any], **changes: Any) -> Answer:
    made = workload(labels={"tier": "gold"}, template_labels={"app": "api"})
    bad = pod("api-0", ready=False, labels={"pod": "yes"}, **changes)
    protected = {"selectors": [{"matchLabels": {"no": "one"}}, selector]}
    return ask("protected", facts=situation(facts=snapshot([made], [bad])), protected=protected)


def scaled(method: Any, before: int, after: int) -> Answer:
    limits = {"floor": 2, "ceiling": 6, "step": 2}
    return ask("scale-limits", intent(method, replicas=(before, after)), scale=limits)


def counted(bound: dict[str, Any], method: Any = EVICT, **facts: Any) -> Answer:
    situated = situation(intent(method), **facts)
    return ask("blast-radius", intent(method), situated, **({"maxUnhealthy": None} | bound))


def rolled() -> Answer:
    made, pods = platform(bounds=RollingUpdate(2))
    facts = situation(intent(ROLL), snapshot([made], pods), unhealthy_expected=1)
    return ask("blast-radius", intent(ROLL), facts, maxUnhealthy=4)


def done(*entries: Any, gate: str, method: Any = EVICT, **changes: Any) -> Answer:
    return ask(gate, intent(method, step=9), entries=entries, **changes)


def reverted(step: int) -> Any:
    return entry(step, "Failed", UP, replicas=(4, 5), reason="Reverted")


def failed(step: int, minutes: float) -> Any:
    return entry(step, "Failed", EVICT, at=ago(minutes=minutes + 5), ended=ago(minutes=minutes))


def stormy(storm: Storm | None, cooldown: str = "10m") -> Answer:
    return ask("storm", facts=situation(storm=storm), stormCooldown=cooldown)


CASES: dict[str, Callable[[], Answer]] = {
    "mode, enforced": lambda: ask("mode"),
    "mode, observing": lambda: ask("mode", mode="Observe"),
    "allowed actions, listed": lambda: ask("allowed-actions"),
    "allowed actions, others listed": lambda: ask("allowed-actions", actions=SPEC["actions"][1:]),
    "allowed actions, two others": lambda: ask("allowed-actions", replace(intent(), action="Other")),
    "allowed actions, none": lambda: ask("allowed-actions", actions=[]),
    "pause, none": lambda: ask("pause-requests"),
    "pause, two": lambda: ask("pause-requests", pauseRequests=["audit", "INC-7"]),
    "pause, not said": lambda: ask("pause-requests", pauseRequests=None),
    "protected, not": lambda: ask("protected"),
    "protected, by annotation": lambda: ask("protected", facts=situation(protected=True)),
    "protected, the workload": lambda: chosen({"matchLabels": {"tier": "gold"}}),
    "protected, its template": lambda: chosen({"matchLabels": {"app": "api"}}),
    "protected, its pod": lambda: chosen({"matchLabels": {"pod": "yes"}}),
    "protected, by nothing": lambda: chosen({"matchExpressions": [{"key": "app", "operator": "In"}]}),
    "protected, not said": lambda: ask("protected", protected=None),
    "protected, workload unseen": lambda: ask("protected", facts=GONE),
    "protected, pod unseen": lambda: ask("protected", facts=situation(pod_observed=False)),
    "forbidden, not": lambda: ask("forbidden-windows"),
    "forbidden": lambda: ask("forbidden-windows", forbiddenWindows=[NOON]),
    "forbidden, odd": lambda: ask("forbidden-windows", forbiddenWindows=[ODD]),
    "forbidden, not said": lambda: ask("forbidden-windows", forbiddenWindows=None),
    "maintenance, any time": lambda: ask("maintenance-windows"),
    "maintenance, open": lambda: ask(
        "maintenance-windows",
        maintenanceWindows=[NOON, NOON | {"name": "long", "duration": "9h"}, NOON | {"name": "b"}],
    ),
    "maintenance, closed": lambda: ask(
        "maintenance-windows", maintenanceWindows=[NOON | {"schedule": "0 14 * * *"}]
    ),
    "maintenance, odd": lambda: ask("maintenance-windows", maintenanceWindows=[ODD]),
    "maintenance, not said": lambda: ask("maintenance-windows", maintenanceWindows=None),
    "disruption, scaling": lambda: of(workload(), UP),
    "disruption, unseen": lambda: ask("disruption", facts=GONE),
    "disruption, eviction": lambda: of(workload(), EVICT),
    "disruption, rollout": lambda: of(workload()),
    "disruption, all at once, agreed": lambda: of(workload(strategy="Recreate"), consent=["Recreate"]),
    "disruption, all at once": lambda: of(workload(strategy="Recreate")),
    "disruption, single": lambda: of(workload(replicas=1)),
    "disruption, drained": drained,
    "disruption, evicted in a rollout": lambda: of(workload(status=halfway(ROLLS)), EVICT),
    "disruption, rollout in a rollout": lambda: of(workload(status=halfway())),
    "disruption, stuck": lambda: of(workload(status=halfway(STUCK))),
    "disruption, stalled": lambda: of(workload(status=halfway(), written=ago(hours=1))),
    "disruption, paused": lambda: of(workload(paused=True)),
    "disruption, on delete": lambda: of(workload(kind=StatefulSet, strategy="OnDelete")),
    "disruption, by a partition": lambda: of(workload(kind=StatefulSet, bounds=RollingUpdate(partition=3))),
    "disruption, update held back": lambda: of(
        workload(
            kind=StatefulSet,
            strategy="OnDelete",
            status=WorkloadStatus(
                observed_generation=3, replicas=4, current_revision="a", update_revision="b"
            ),
        ),
        EVICT,
    ),
    "autoscaler, not scaled": lambda: ask("autoscaler"),
    "autoscaler, none": lambda: ask("autoscaler", intent(UP)),
    "autoscaler, one": lambda: ask(
        "autoscaler", intent(UP), situation(intent(UP), snapshot([workload()], [], [autoscaler("api")]))
    ),
    "autoscaler, replicas unknown": lambda: ask(
        "autoscaler", replace(intent(UP), replicas=None), situation(autoscaler="hpa")
    ),
    "autoscaler, unseen": lambda: ask(
        "autoscaler", intent(UP), situation(intent(UP), snapshot([workload()], [], BLIND))
    ),
    "gitops, not scaled": lambda: ask("gitops"),
    "gitops, in Git": lambda: ask("gitops", facts=situation(gitops="Flux")),
    "gitops, a switch in Git": lambda: ask(
        "gitops", replace(intent(EVICT), action=ActionName.CONTAIN), situation(gitops="Flux")
    ),
    "gitops, once": lambda: done(reverted(1), gate="gitops", method=UP),
    "gitops, twice": lambda: done(reverted(1), reverted(2), gate="gitops", method=UP),
    "gitops, thrice": lambda: done(reverted(1), reverted(2), reverted(3), gate="gitops", method=UP),
    "scale, not": lambda: ask("scale-limits"),
    "scale, up": lambda: scaled(UP, 4, 5),
    "scale, ceiling": lambda: scaled(UP, 6, 7),
    "scale, step up": lambda: scaled(UP, 2, 5),
    "scale, from zero": lambda: scaled(UP, 0, 1),
    "scale, back": lambda: scaled(BACK, 5, 4),
    "scale, floor": lambda: scaled(BACK, 3, 1),
    "scale, step back": lambda: scaled(BACK, 6, 2),
    "scale, not said": lambda: ask("scale-limits", intent(UP), scale=None),
    "scale, unseen": lambda: ask("scale-limits", replace(intent(UP), replicas=None)),
    "in progress, none": lambda: ask("in-progress"),
    "in progress, one": lambda: done(entry(2, "Verifying", EVICT), gate="in-progress"),
    "in progress, same name": lambda: done(entry(9, "Denied"), gate="in-progress"),
    "cooldown, none": lambda: ask("cooldown"),
    "cooldown": lambda: done(entry(2, at=ago(minutes=4)), gate="cooldown"),
    "cooldown, over": lambda: done(entry(2, at=ago(minutes=9)), gate="cooldown"),
    "cooldown, not said": lambda: ask("cooldown", cooldown=None),
    "restarted, never": lambda: ask("recently-remediated"),
    "restarted, just": lambda: restarted("2026-06-10T11:58:00Z"),
    "restarted, long ago": lambda: restarted("2026-06-10T10:58:00Z"),
    "restarted, odd": lambda: restarted("yesterday"),
    "restarted, unseen": lambda: ask("recently-remediated", facts=GONE),
    "restarted, not said": lambda: ask("recently-remediated", cooldown=None),
    "backoff, none": lambda: ask("backoff"),
    "backoff": lambda: done(failed(1, 60), failed(2, 4), gate="backoff"),
    "backoff, over": lambda: done(failed(1, 60), gate="backoff"),
    "backoff, back": lambda: done(failed(1, 4), gate="backoff", method=BACK),
    "backoff, nothing done": lambda: done(entry(1, "Expired", ended=ago(seconds=9)), gate="backoff"),
    "backoff, refused": lambda: done(
        entry(1, "Denied", ended=ago(seconds=9), reason="DisruptionBudget"), gate="backoff"
    ),
    "backoff, not said": lambda: ask("backoff", backoff=None),
    "failures, none": lambda: ask("consecutive-failures"),
    "failures, many": lambda: done(*(failed(step, 60) for step in (1, 2, 3)), gate="consecutive-failures"),
    "failures, back": lambda: ask("consecutive-failures", intent(BACK)),
    "failures, not said": lambda: ask("consecutive-failures", maxConsecutiveFailures=None),
    "blast radius, within": lambda: counted({"maxUnhealthy": "40%"}),
    "blast radius, beyond": lambda: counted({"maxUnhealthy": 1}, unhealthy_pods=2),
    "blast radius, too few healthy": lambda: counted({"minHealthy": "80%"}),
    "blast radius, too few ill": lambda: counted({"unhealthyRange": "[2-3]"}),
    "blast radius, with more to come": rolled,
    "blast radius, odd share": lambda: counted({"maxUnhealthy": "40"}),
    "blast radius, odd least": lambda: counted({"minHealthy": "odd"}),
    "blast radius, odd range": lambda: counted({"unhealthyRange": "1-3"}),
    "blast radius, below zero": lambda: counted({"maxUnhealthy": -1}),
    "blast radius, not said": lambda: counted({}),
    "blast radius, pods unseen": lambda: counted({"maxUnhealthy": 1}, pods=None),
    "blast radius, workload unseen": lambda: ask("blast-radius", facts=GONE),
    "storm, none": lambda: stormy(None),
    "storm": lambda: stormy(Storm(since=ago(minutes=9))),
    "storm, subsided": lambda: stormy(Storm(since=ago(minutes=9), subsided=ago(minutes=4))),
    "storm, over": lambda: stormy(Storm(since=ago(minutes=9), subsided=ago(minutes=4)), "1m"),
    "storm, not said": lambda: ask("storm", stormCooldown=None),
    "budget, room": lambda: done(entry(1, at=ago(minutes=9)), gate="budget"),
    "budget, spent": lambda: done(
        entry(1, at=ago(minutes=9)), entry(2, at=ago(minutes=8)), gate="budget", budget=SHORT
    ),
    "budget, of the action": lambda: done(
        entry(1, at=ago(minutes=9)),
        entry(2, at=ago(minutes=8)),
        gate="budget",
        actions=[{"name": "Restart", "approval": "Automatic", "budget": SHORT}],
    ),
    "budget, zero": lambda: ask("budget", budget={"limit": 0, "window": "1h"}),
    "budget, not said": lambda: ask("budget", budget=None),
}


def said(case: str) -> str:
    """What the gate says."""
    return CASES[case]().message
