"""Objects for the tests, each well unless told otherwise."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckSpec, LadderStep, Remediation
from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.decide import Inputs, Policy
from kiro_operator.core.objects import (
    Annotations,
    AutoscalerSpec,
    ConditionKind,
    Container,
    Containers,
    DaemonSet,
    Deployment,
    HorizontalPodAutoscaler,
    ManagedField,
    ManagedMetadata,
    Metadata,
    ObjectCondition,
    OwnerReference,
    Phase,
    Pod,
    PodSpec,
    PodStatus,
    ReplicaSet,
    RequestingSpec,
    RequestingTemplate,
    Resources,
    RollingUpdate,
    ScaleTargetRef,
    StatefulSet,
    Strategy,
    TemplateAnnotations,
    TemplateMetadata,
    Truth,
    Workload,
    WorkloadStatus,
)
from kiro_operator.core.policy.situation import Census, census, situate
from kiro_operator.core.policy.types import Entry, Fence, Intent, Ledger, Situation, remediation_name
from kiro_operator.core.policy.wellness import Memory, Wellness
from kiro_operator.core.snapshot import Collection, Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict

NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
BLIND = Unobserved("StaleWatch", "the watch is stale")
LARGE = {"cpu": "2", "memory": "2Gi"}
"""What containers request, and never use."""
RESTART, SCALE = ActionName.RESTART, ActionName.SCALE
SPEC: dict[str, Any] = {
    "mode": "Enforce",
    "actions": [
        {"name": "Restart", "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}},
        {"name": "Scale", "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}},
    ],
    "budget": {"limit": 8, "window": "1h"},
    "cooldown": "5m",
    "backoff": {"initial": "5m", "maximum": "1h"},
    "maxConsecutiveFailures": 3,
    "maxUnhealthy": "50%",
    "stormCooldown": "10m",
    "scale": {"floor": 1, "ceiling": 6, "step": 1},
    "forbiddenWindows": [],
    "maintenanceWindows": [],
    "pauseRequests": [],
    "protected": {"selectors": []},
}


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def policy(**changes: Any) -> KiroSafetyPolicySpec:
    """A policy that allows much; None drops a field."""
    spec = {key: value for key, value in (SPEC | changes).items() if value is not None}
    return KiroSafetyPolicySpec.model_validate(spec)


def ref(name: str = "api", kind: str = "Deployment") -> Ref:
    return Ref(kind, name, f"uid-{name}")


def workload(
    name: str = "api",
    kind: type[Workload] = Deployment,
    *,
    replicas: int = 4,
    available: int | None = None,
    strategy: str = "",
    bounds: RollingUpdate | None = None,
    labels: dict[str, str] | None = None,
    protected: str = "",
    template_labels: dict[str, str] | None = None,
    template: TemplateAnnotations | None = None,
    containers: dict[str, dict[str, str]] | None = None,
    paused: bool = False,
    status: WorkloadStatus | None = None,
    generation: int = 3,
    written: datetime | None = None,
) -> Workload:
    """A workload whose status was written a minute ago."""
    controller = ManagedField(
        "kube-controller-manager", "Update", (written or ago(minutes=1)).isoformat(), "status"
    )
    there = replicas if available is None else available
    named = ({name: LARGE} if containers is None else containers).items()
    return kind(
        metadata=ManagedMetadata(
            name=name,
            namespace="kiro",
            uid=f"uid-{name}",
            resource_version="100",
            generation=generation,
            labels=labels or {},
            annotations=Annotations(protected=protected),
            managed_fields=(controller,),
        ),
        spec=RequestingSpec(
            replicas=replicas,
            paused=paused,
            strategy=Strategy(strategy, bounds) if kind is Deployment else Strategy(),
            update_strategy=Strategy() if kind is Deployment else Strategy(strategy, bounds),
            template=RequestingTemplate(
                TemplateMetadata(template_labels or {"app": name}, template or TemplateAnnotations()),
                Containers(tuple(Container(each, Resources(requests)) for each, requests in named)),
            ),
        ),
        status=status
        or WorkloadStatus(
            observed_generation=generation,
            replicas=replicas,
            ready_replicas=there,
            available_replicas=there,
            updated_replicas=replicas,
            desired_number_scheduled=replicas,
            number_available=there,
            updated_number_scheduled=replicas,
        ),
    )


def pod(
    name: str = "api-1",
    owner: str = "api",
    kind: str = "Deployment",
    *,
    ready: bool = True,
    phase: str = "Running",
    labels: dict[str, str] | None = None,
    protected: str = "",
    deleted: datetime | None = None,
) -> Pod:
    owners: tuple[OwnerReference, ...] = ()
    if owner:
        by = ("ReplicaSet", f"{owner}-rs") if kind == "Deployment" else (kind, owner)
        owners = (OwnerReference(by[0], by[1], f"uid-{by[1]}", controller=True),)
    return Pod(
        metadata=Metadata(
            name=name,
            namespace="kiro",
            uid=f"uid-{name}",
            resource_version="7",
            labels=labels or {"app": owner},
            annotations=Annotations(protected=protected),
            owner_references=owners,
            deletion_timestamp=deleted,
        ),
        spec=PodSpec(),
        status=PodStatus(
            phase=Phase(phase),
            conditions=(ObjectCondition(ConditionKind.READY, Truth.TRUE if ready else Truth.FALSE),),
        ),
    )


def autoscaler(target: str, kind: str = "Deployment", name: str = "hpa") -> HorizontalPodAutoscaler:
    return HorizontalPodAutoscaler(
        metadata=Metadata(name=name), spec=AutoscalerSpec(ScaleTargetRef(kind, target))
    )


def snapshot(
    workloads: Iterable[Workload] = (),
    pods: Iterable[Pod] | Unobserved = (),
    autoscalers: Iterable[HorizontalPodAutoscaler] | Unobserved = (),
) -> Snapshot:
    """A namespace; each Deployment has its ReplicaSet."""
    all_of = list(workloads)
    deployments = [item for item in all_of if isinstance(item, Deployment)]
    return Snapshot(
        namespace="kiro",
        pods=pods if isinstance(pods, Unobserved) else Collection.of(pods),
        deployments=Collection.of(deployments),
        stateful_sets=Collection.of([item for item in all_of if isinstance(item, StatefulSet)]),
        daemon_sets=Collection.of([item for item in all_of if isinstance(item, DaemonSet)]),
        replica_sets=Collection.of(
            [
                ReplicaSet(
                    metadata=Metadata(
                        name=f"{item.metadata.name}-rs",
                        uid=f"uid-{item.metadata.name}-rs",
                        owner_references=(
                            OwnerReference(
                                "Deployment", item.metadata.name, item.metadata.uid, controller=True
                            ),
                        ),
                    )
                )
                for item in deployments
            ]
        ),
        services=BLIND,
        endpoint_slices=BLIND,
        autoscalers=autoscalers if isinstance(autoscalers, Unobserved) else Collection.of(autoscalers),
    )


def platform(
    replicas: int = 4, failing: int = 1, name: str = "api", **changes: Any
) -> tuple[Workload, list[Pod]]:
    """A Deployment with its pods, the first of which are not ready."""
    made = workload(name, replicas=replicas, available=replicas - failing, **changes)
    kind = made.kind
    return made, [pod(f"{name}-{number}", name, kind, ready=number >= failing) for number in range(replicas)]


def finding(
    pod_name: str | None = "api-0",
    target: Ref | None = None,
    *,
    reason: str = "CrashLoopBackOff",
    since: datetime | None = None,
    remedies: tuple[ActionName, ...] = (RESTART, SCALE),
    wide: bool = False,
) -> Finding:
    aim = target if target is not None else ref()
    about = Ref("Pod", pod_name, f"uid-{pod_name}") if pod_name else aim
    return Finding(
        about,
        reason,
        f"{about.kind} {about.name}: {reason}",
        since or ago(minutes=3),
        aim,
        remedies,
        wide or not pod_name,
    )


def failing(*findings: Finding, check: str = "pods-ready") -> dict[str, tuple[Verdict, bool]]:
    return {check: (Verdict(Status.FAIL, findings[0].reason, "failing", findings), True)}


def well(check: str = "pods-ready") -> dict[str, tuple[Verdict, bool]]:
    return {check: (Verdict(Status.PASS, "AsExpected", "well"), False)}


def intent(
    method: Method = Method.EVICT,
    *,
    target: Ref | None = None,
    episode: int = 1,
    step: int = 1,
    replicas: tuple[int, int] | None = None,
) -> Intent:
    scaling = method in {Method.SCALE_UP, Method.SCALE_BACK}
    return Intent(
        action=SCALE if scaling else RESTART,
        method=method,
        target=target or ref(),
        api_version="apps/v1",
        fence=Fence("uid-api", "100", 3),
        check="pods-ready",
        reason="CrashLoopBackOff",
        message="Pod api-0 crashes",
        episode=episode,
        step=step,
        timeout=timedelta(minutes=5),
        stabilization=timedelta(seconds=30),
        pod=Ref("Pod", "api-0", "uid-api-0") if method is Method.EVICT else None,
        replicas=replicas or ((4, 5) if scaling else None),
    )


def entry(
    step: int = 1,
    state: str = "Failed",
    method: Method = Method.ROLLOUT_RESTART,
    *,
    episode: int = 1,
    target: Ref | None = None,
    at: datetime | None = None,
    ended: datetime | None = None,
    replicas: tuple[int, int] | None = None,
    reason: str = "",
) -> Entry:
    """An action reserved and done at ``at``, ended at ``ended``."""
    where = target or ref()
    final = state in {"Succeeded", "Failed", "Denied", "Expired"}
    done = state in {"Succeeded", "Failed", "Verifying"}
    when = at or ago(hours=2)
    scaling = method in {Method.SCALE_UP, Method.SCALE_BACK}
    return Entry(
        name=remediation_name(where, episode, step),
        action=SCALE if scaling else RESTART,
        method=method,
        target=where,
        episode=episode,
        step=step,
        state=RemediationState(state),
        reserved_at=when,
        reason=reason,
        acted_at=when if done else None,
        completed_at=(ended or when + timedelta(minutes=5)) if final else None,
        replicas=replicas,
        check="pods-ready",
    )


def situation(
    wanted: Intent | None = None, facts: Snapshot | None = None, ledger: Ledger | None = None, **changes: Any
) -> Situation:
    """The situation of an intent in a namespace of four pods, of which one fails."""
    if facts is None:
        made, pods = platform()
        facts = snapshot([made], pods)
    counted: Census = census(facts)
    found = situate(wanted or intent(), facts, ledger or Ledger(), counted)
    fields = {name: getattr(found, name) for name in found.__struct_fields__}
    return Situation(**(fields | changes))


def spec(*ladder: tuple[ActionName, str], **remediation: Any) -> KiroHealthCheckSpec:
    steps = [LadderStep.model_validate({"action": action, "timeout": timeout}) for action, timeout in ladder]
    fields: dict[str, Any] = {"ladder": steps} if ladder else {}
    return KiroHealthCheckSpec(remediation=Remediation.model_validate(fields | remediation))


def inputs(
    verdicts: dict[str, tuple[Verdict, bool]],
    facts: Snapshot,
    entries: Iterable[Entry] = (),
    *,
    policies: tuple[Policy, ...] | None = None,
    health_check: KiroHealthCheckSpec | None = None,
    now: datetime = NOW,
    memory: Memory | None = None,
) -> Inputs:
    """Of a process that has watched the targets of ``entries`` for a day, or has the ``memory`` given."""
    entries = tuple(entries)
    if memory is None:
        memory = {each.target.uid: Wellness(unwell_at=ago(hours=24)) for each in entries}
    return Inputs(
        verdicts=verdicts,
        spec=health_check or KiroHealthCheckSpec(),
        policies=(Policy("safe", policy()),) if policies is None else policies,
        ledger=Ledger(entries),
        snapshot=facts,
        now=now,
        memory=memory,
    )
