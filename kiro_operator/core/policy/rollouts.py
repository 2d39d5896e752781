"""What a rollout does to a workload's pods.

A rollout does not go through the eviction API, so no PodDisruptionBudget holds it back: what it
takes down is bounded by the workload's own strategy, and that bound is what gates look at.
"""

from datetime import datetime, timedelta

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.objects import DaemonSet, Deployment, RollingUpdate, StatefulSet, Workload
from kiro_operator.core.policy.shares import at_least, at_most

REACHES_ALL = frozenset({Method.ROLLOUT_RESTART, Method.PATCH})
"""Methods that reach all pods of a workload."""
ROLLOUT_DEADLINE = timedelta(minutes=10)
"""How long a rollout may take over a step where the workload knows no progress deadline itself."""
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def rolls(action: ActionName, method: Method) -> bool:
    """Whether a workload's pods are replaced: what patches it is taken to touch its pod template."""
    return method in REACHES_ALL and action is not ActionName.REMOVE_UNUSED


def is_recreate(workload: Workload) -> bool:
    """All pods go before the first new one comes."""
    return workload.spec.strategy.type == "Recreate"


def is_on_delete(workload: Workload) -> bool:
    """A new template takes effect only on pods that somebody deletes."""
    return workload.spec.update_strategy.type == "OnDelete"


def unavailable(workload: Workload) -> int:
    """Pods that are wanted and not available now."""
    return max(0, workload.desired - workload.available)


def max_unavailable(workload: Workload) -> int:
    """Pods that may be missing at a time during a rollout; all, where the strategy is not understood."""
    desired = workload.desired
    if is_recreate(workload):
        return desired
    try:
        if isinstance(workload, Deployment):
            bounds = workload.spec.strategy.rolling_update or RollingUpdate()
            missing = at_most(_or(bounds.max_unavailable, "25%"), desired)
            surplus = at_least(_or(bounds.max_surge, "25%"), desired)
            # Kubernetes itself reads "none missing and none more" as one missing.
            return max(missing, 0 if surplus else 1)
        bounds = workload.spec.update_strategy.rolling_update or RollingUpdate()
        return max(1, at_least(_or(bounds.max_unavailable, 1), desired))
    except ValueError:
        return desired


def _or(value: int | str | None, default: int | str) -> int | str:
    return default if value is None else value


def taken(workload: Workload) -> int:
    """Pods, available now, that a rollout may take down: it keeps to its bound counting what is missing."""
    return min(workload.available, max(0, max_unavailable(workload) - unavailable(workload)))


def update_pending(workload: Workload) -> bool:
    """Pods of an older template are still there, or the controller has not seen the newest one.

    Kubernetes moves the current revision of a StatefulSet on at the end of a rolling update, which with a
    partition is when somebody takes that away. With OnDelete it never does, and only the pods tell.
    """
    status = workload.status
    if status.observed_generation < workload.metadata.generation:
        return True
    if isinstance(workload, DaemonSet):
        return status.updated_number_scheduled < workload.desired
    if isinstance(workload, StatefulSet):
        if status.update_revision == status.current_revision:
            return False
        return not is_on_delete(workload) or status.updated_replicas < status.replicas
    return status.updated_replicas < workload.desired or status.replicas > status.updated_replicas


def in_progress(workload: Workload) -> bool:
    """A Deployment's rollout makes progress: its controller bounds that by spec.progressDeadlineSeconds.

    The condition goes on saying NewReplicaSetAvailable once the rollout is complete, whatever becomes
    of the pods later; replicas that are merely missing are no rollout.
    """
    progressing = workload.condition("Progressing")
    return (
        isinstance(workload, Deployment)
        and not workload.spec.paused
        and progressing is not None
        and progressing.status == "True"
        and not is_rolled_out(workload)
    )


def is_rolled_out(workload: Workload) -> bool:
    """The last rollout of a Deployment is complete; that does not change with what becomes of its pods."""
    progressing = workload.condition("Progressing")
    return progressing is not None and progressing.reason == "NewReplicaSetAvailable"


def is_stuck(workload: Workload) -> bool:
    """The rollout ran past its progress deadline."""
    progressing = workload.condition("Progressing")
    return progressing is not None and progressing.reason == "ProgressDeadlineExceeded"


def stalls_at(workload: Workload, now: datetime) -> datetime | None:
    """When an update that is pending counts as stalled, unless the status is written again before.

    None where none is pending, where the workload has a progress deadline of its own, and where its
    controller has not seen the newest change: the status is of before. A time in the future counts as now.
    """
    bounded = isinstance(workload, Deployment) and workload.condition("Progressing") is not None
    seen = workload.status.observed_generation >= workload.metadata.generation
    if bounded or not seen or not update_pending(workload):
        return None
    return min(written(workload, status=True), now) + ROLLOUT_DEADLINE


def is_stalled(workload: Workload, now: datetime) -> bool:
    """The rollout of what knows no progress deadline has made no progress for ROLLOUT_DEADLINE.

    Of a Deployment the condition Progressing goes with spec.progressDeadlineSeconds: 2147483647 means none.
    """
    due = stalls_at(workload, now)
    return due is not None and now >= due


def written(workload: Workload, *, status: bool) -> datetime:
    """When the status, or the spec, was last written: what it says has been so since then at least."""
    times = [
        entry.time
        for entry in workload.metadata.managed_fields
        if entry.time is not None
        and (entry.subresource == "status") is status
        and entry.subresource != "scale"
    ]
    return max(times, default=workload.metadata.creation_timestamp or EPOCH)
