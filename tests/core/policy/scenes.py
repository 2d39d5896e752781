"""Moments at which an action is called for, and what the operator does then under given policies.

A scene has one target, so that what one action leaves of a budget to another is no matter of it.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.adapters.kubernetes.safety_config import kept
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.checks import registry
from kiro_operator.core.decide import Inputs, Plan, decide
from kiro_operator.core.decide import Policy as InForce
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData
from kiro_operator.core.objects import (
    Approval,
    ApprovalSpec,
    Metadata,
    PlanReference,
    PlanTarget,
    Pod,
    TemplateAnnotations,
    Workload,
)
from kiro_operator.core.policy.situation import Census
from kiro_operator.core.policy.storms import observe
from kiro_operator.core.policy.types import Entry
from kiro_operator.core.snapshot import Sample, Snapshot
from kiro_operator.core.verdict import Verdict
from kiro_operator.reconcile.policies import Policy
from tests.core.policy.make import (
    RESTART,
    SCALE,
    entry,
    failing,
    finding,
    inputs,
    platform,
    pod,
    ref,
    snapshot,
    spec,
    well,
)

Object = dict[str, Any]


class Scene(Struct, frozen=True, kw_only=True):
    """A moment at which one action is called for."""

    name: str
    wants: Method
    at: datetime
    past: tuple[Entry, ...] = ()
    replicas: int = 4
    failing: int = 1
    made: Object = {}
    """Further properties of the workload."""
    neighbours: int = 0
    """Healthy pods of another workload."""
    casualties: int = 0
    """How many of the pods failed five minutes ago."""
    approved: str = ""
    """The gate at which a person has approved the plan."""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = utc("2026-06-10T12:00")
EVICT, ROLL, UP, BACK = Method.EVICT, Method.ROLLOUT_RESTART, Method.SCALE_UP, Method.SCALE_BACK
PATCH, CREATE = Method.PATCH, Method.CREATE
LEAD = "technical-lead"
TIMES = {
    "noon": NOON,
    "at night": utc("2026-06-10T00:45"),
    "late": utc("2026-06-10T22:00"),
    "as a window opens": utc("2026-06-10T04:00"),
    "just before": utc("2026-06-10T03:59"),
    "on a Saturday": utc("2026-06-13T12:00"),
    "on a Sunday": utc("2026-06-14T12:00"),
    "in the hour that is skipped": utc("2026-03-29T01:10"),
    "after it": utc("2026-03-29T01:45"),
    "in the hour that comes twice": utc("2026-10-25T00:40"),
    "and once more": utc("2026-10-25T01:40"),
    "between the two": utc("2026-10-25T01:10"),
    "on a leap day": utc("2028-02-29T12:00"),
}


def before(step: int, state: str, method: Method, minutes: float, target: str = "api", **more: Any) -> Entry:
    """An action that ended so many minutes before noon, and took one."""
    end = NOON - timedelta(minutes=minutes)
    return entry(step, state, method, target=ref(target), at=end - timedelta(minutes=1), ended=end, **more)


def _at_other_times() -> Iterator[Scene]:
    for name, at in TIMES.items():
        yield Scene(name=f"eviction {name}", wants=EVICT, at=at)
    for name in ("noon", "at night", "late", "on a Saturday"):
        for method in (ROLL, PATCH, CREATE):
            yield Scene(name=f"{method} {name}", wants=method, at=TIMES[name])
        for method in (UP, BACK):
            for gate in ("", LEAD):
                yield Scene(name=f"{method} {name}, {gate}", wants=method, at=TIMES[name], approved=gate)


def _after_other_actions() -> Iterator[Scene]:
    others = tuple(before(1, "Succeeded", ROLL, 7 * n, f"other-{n}") for n in range(1, 9))
    for many in (1, 2, 3, 8):
        yield Scene(name=f"after {many} others", wants=EVICT, at=NOON, past=others[:many])
    scaled = tuple(before(1, "Succeeded", UP, 7 * n, f"other-{n}", replicas=(3, 4)) for n in (1, 2))
    yield Scene(name="after others were scaled", wants=UP, at=NOON, past=scaled, approved=LEAD)
    yield Scene(name="a restart after those", wants=EVICT, at=NOON, past=scaled)
    old = tuple(before(1, "Succeeded", ROLL, 70 + n, f"old-{n}") for n in range(3))
    yield Scene(name="after an hour", wants=EVICT, at=NOON, past=old)
    for minutes in (1, 4, 6):
        scaled = (before(1, "Succeeded", UP, minutes, replicas=(3, 4)),)
        yield Scene(name=f"{minutes} minutes after it was scaled", wants=EVICT, at=NOON, past=scaled)
    for failures in (1, 2, 3):
        for minutes in (7, 45, 400):
            past = tuple(
                before(n, "Failed", EVICT, minutes + (failures - n) * 60) for n in range(1, failures + 1)
            )
            yield Scene(name=f"{minutes} minutes after {failures} failures", wants=ROLL, at=NOON, past=past)


def _of_other_workloads() -> Iterator[Scene]:
    for gate in ("operator-approver", "executive"):
        yield Scene(name=f"scaling approved at {gate}", wants=UP, at=NOON, approved=gate)
    for replicas in (5, 6):
        yield Scene(name=f"of {replicas} replicas", wants=UP, at=NOON, replicas=replicas, approved=LEAD)
    yield Scene(name="at the floor", wants=BACK, at=NOON, replicas=2, neighbours=2, approved=LEAD)
    for ill in (2, 3, 4):
        yield Scene(name=f"{ill} of 4 failing", wants=EVICT, at=NOON, failing=ill)
    for casualties in (2, 4):
        yield Scene(name=f"{casualties} have just failed", wants=EVICT, at=NOON, casualties=casualties)
    yield Scene(name="a single replica", wants=EVICT, at=NOON, replicas=1, neighbours=3)
    recreated = {"strategy": "Recreate"}
    yield Scene(name="Recreate", wants=ROLL, at=NOON, replicas=2, neighbours=8, made=recreated)
    for labels in ({"app": "ledger"}, {"app": "ledger", "tier": "db"}):
        yield Scene(name=f"protected {len(labels)}", wants=EVICT, at=NOON, made={"labels": labels})
    restarted = TemplateAnnotations(restarted_at="2026-06-10T11:58:00Z")
    yield Scene(name="just restarted by somebody", wants=EVICT, at=NOON, made={"template": restarted})


SCENES = (*_at_other_times(), *_after_other_actions(), *_of_other_workloads())


def taken(document: Any, name: str) -> InForce:
    """A policy as the operator takes it in, with the mass failures that the scenes may add."""
    policy = Policy(("kiro", name))
    metadata = {"uid": f"uid-{name}", "generation": 1, "resourceVersion": "1"}
    policy.take({"metadata": metadata, "spec": document}, NOON)
    return InForce(name, policy.spec, policy.problem)


def allowed(scene: Scene, policies: Iterable[InForce]) -> set[tuple[Any, ...]]:
    """What would be done: one element for each thing done, so that less is a subset of more."""
    in_force = tuple(_weathered(policy, scene) for policy in policies)
    situated = _inputs(scene, in_force)
    plan = decide(situated)
    if scene.approved:
        plan = decide(replace(situated, approvals=_approvals(plan, scene)))
    done: set[tuple[Any, ...]] = set()
    for decision in plan.decisions:
        intent = decision.intent
        if decision.decision != "Allowed":
            continue
        what = (intent.method, intent.target, intent.pod, intent.change and intent.change.patch)
        if intent.replicas is None:
            done.add(what)
        else:
            old, new = intent.replicas
            done |= {(*what, number) for number in range(min(old, new), max(old, new) + 1) if number != old}
    return done


def _weathered(policy: InForce, scene: Scene) -> InForce:
    if policy.spec is None or not scene.casualties:
        return policy
    earlier = observe(None, policy.spec, Census(4, scene.casualties), scene.at - timedelta(minutes=5))
    return replace(policy, storm=observe(earlier, policy.spec, Census(4, 1), scene.at - timedelta(minutes=4)))


def _approvals(plan: Plan, scene: Scene) -> tuple[Approval, ...]:
    """Each plan, approved at the scene's gate."""
    return tuple(
        Approval(
            metadata=Metadata(name=f"yes-{n}", namespace="kiro", uid=f"y-{n}", creation_timestamp=scene.at),
            spec=ApprovalSpec(
                gate=scene.approved,
                decision="Approve",
                decided_by="dana",
                reason="it is safe",
                plan=PlanReference(
                    decision.intent.digest, PlanTarget("Deployment", "api", decision.intent.target.uid)
                ),
                expires_at=(scene.at + timedelta(hours=1)).isoformat(),
            ),
        )
        for n, decision in enumerate(plan.decisions)
    )


def _inputs(scene: Scene, policies: tuple[InForce, ...]) -> Inputs:
    if scene.wants in {PATCH, CREATE}:
        return _drift(scene, policies)
    facts, past = _platform(scene), scene.past
    if scene.wants is BACK:
        grown = (scene.replicas - 1, scene.replicas)
        began = scene.at - timedelta(hours=3)
        past = (*past, entry(9, "Succeeded", UP, at=began, ended=began, replicas=grown))
        return inputs(well(), facts, past, policies=policies, now=scene.at)
    since = scene.at - timedelta(minutes=3)
    remedy = SCALE if scene.wants is UP else RESTART
    found = [
        finding(f"api-{n}", since=since, remedies=(remedy,), wide=scene.wants is ROLL)
        for n in range(max(1, scene.failing))
    ]
    checked = spec((remedy, "5m"), (remedy, "5m"), (remedy, "5m"), (remedy, "5m"))
    return inputs(failing(*found), facts, past, policies=policies, health_check=checked, now=scene.at)


def _platform(scene: Scene) -> Snapshot:
    made, pods = platform(scene.replicas, 0 if scene.wants is BACK else scene.failing, **scene.made)
    others: list[Workload] = [platform(name=name)[0] for name in {each.target.name for each in scene.past}]
    well_elsewhere: list[Pod] = [pod(f"web-{n}", "web") for n in range(scene.neighbours)]
    more = [*others, platform(name="web", failing=0)[0]]
    return snapshot([made, *(each for each in more if each.metadata.name != "api")], [*pods, *well_elsewhere])


def _drift(scene: Scene, policies: tuple[InForce, ...]) -> Inputs:
    """A safety configuration that was tampered with, or deleted, as the check finds it."""
    specs = {policy.name: policy.spec for policy in policies if policy.spec is not None}
    config: ConfigData | None = None
    if scene.wants is PATCH:
        stored = {
            "kind": "ConfigMap",
            "metadata": {"name": "kiro-safety-config", "uid": "u", "resourceVersion": "7"},
        }
        config = kept(json.dumps(stored | {"data": {"mode": "odd"}}).encode())
    named = [each.safety_config.name for each in specs.values() if each.safety_config is not None]
    sample = Sample(1, scene.at, dict.fromkeys(named) | {"kiro-safety-config": config})
    facts = replace(_platform(scene), policies=specs, samples={SAFETY_CONFIG.name: sample})
    check = registry()["safety-config"].check
    verdict: Verdict = check.judge(facts, check.parameters(), scene.at)
    return inputs({"safety-config": (verdict, True)}, facts, policies=policies, now=scene.at)
