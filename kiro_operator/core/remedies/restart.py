"""Restart: evict the pod that fails, or roll the workload when most of it does."""

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.objects import Pod, StatefulSet
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.rollouts import is_on_delete, update_pending
from kiro_operator.core.policy.situation import is_ready
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import Fence, Intent
from kiro_operator.core.remedies.types import API_VERSION, Refusal, Remedy, Request, Wanted, fence_of
from kiro_operator.core.snapshot import Ref, Unobserved
from kiro_operator.core.writes import Must, Operation, Write, cel, changes

RULES: tuple[Rule, ...] = (
    Rule(
        "",
        ("pods/eviction",),
        ("create",),
        "evict a failing pod, within the PodDisruptionBudgets",
        grant=Grant.RESTART,
    ),
    Rule(
        "apps",
        ("deployments", "statefulsets", "daemonsets"),
        ("patch",),
        "restart a workload by an annotation of its pod template",
        grant=Grant.RESTART,
    ),
)
RESTARTED_BY = "kiro.dev/restarted-by"
_INTENT = f"object.spec.template.?metadata.?annotations[?{cel(RESTARTED_BY)}].orValue('')"
ADMITTED = (
    Write(
        by="Restart",
        api_version="v1",
        resources=("pods/eviction",),
        operations=(Operation.CREATE,),
        musts=(
            Must(
                "object.?deleteOptions.?preconditions.?uid.orValue('') != ''\n"
                "&& object.?deleteOptions.?preconditions.?resourceVersion.orValue('') != ''",
                "it evicts a pod only as it was when that was decided, by uid and resourceVersion",
            ),
            Must(
                "dyn(object.?deleteOptions.orValue({})).all(k,\n"
                "k in ['apiVersion', 'kind', 'preconditions', 'dryRun'])",
                "it leaves a pod the time to end that it asks for",
            ),
        ),
    ),
    Write(
        by="Restart",
        api_version="apps/v1",
        resources=("deployments", "statefulsets", "daemonsets"),
        operations=(Operation.UPDATE,),
        musts=(
            *changes(
                ("spec", "template", "metadata", "annotations", RESTARTED_BY),
                # The API server counts here, at every change of the template of a DaemonSet.
                ("metadata", "annotations", "deprecated.daemonset.template.generation"),
            ),
            Must(
                f"{_INTENT} == ''\n|| {_INTENT}.matches('^[a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?$')",
                f"{RESTARTED_BY} is the name of a KiroRemediation",
            ),
        ),
    ),
)


def propose(request: Request) -> Intent | Refusal:
    """Restart as little as helps.

    At most half of the pods fail, with those evicted before: the one that fails longest is evicted.
    More, or the fault is in the workload, of which an eviction that did not help is a sign: a rollout.
    A StatefulSet rolls no further than its first pod that is not ready,
    and with OnDelete nothing rolls at all: there a failing pod is evicted however many there are.
    """
    if isinstance(request.snapshot.pods, Unobserved):
        return Refusal("EvidenceMissing", f"pods: {request.snapshot.pods.message}", lasting=False)
    failing = _failing(request)
    wide = [want for want in request.wanted if want.finding.workload_wide]
    if failing and _evict(request, [pod for pod, _ in failing], wide=bool(wide)):
        pod, want = failing[0]
        return _intent(
            request,
            want,
            Method.EVICT,
            Fence(pod.metadata.uid, pod.metadata.resource_version, pod.metadata.generation),
            Ref("Pod", pod.metadata.name, pod.metadata.uid),
        )
    if not failing and not wide:
        return Refusal(
            "PodsReplaced",
            f"the failing pods of {named(request.target)} are being replaced already",
            lasting=False,
        )
    want = wide[0] if wide else failing[0][1]
    return _intent(request, want, Method.ROLLOUT_RESTART, fence_of(request.running), None)


def _failing(request: Request) -> list[tuple[Pod, Wanted]]:
    """Pods found failing that are there and not on their way out, the longest failing first."""
    found: dict[str, tuple[Pod, Wanted]] = {}
    for want in request.wanted:
        ref = want.finding.object
        if ref.kind != "Pod" or ref.name in found or isinstance(request.snapshot.pods, Unobserved):
            continue
        pod = request.snapshot.pods.get(ref.name)
        if pod is None or pod.metadata.uid != ref.uid or pod.metadata.deletion_timestamp is not None:
            continue
        found[ref.name] = pod, want
    return sorted(found.values(), key=lambda pair: (pair[1].finding.since, pair[0].metadata.name))


def _evict(request: Request, failing: list[Pod], *, wide: bool) -> bool:
    workload = request.running
    if is_on_delete(workload):
        return True
    if isinstance(workload, StatefulSet) and not all(is_ready(pod) for pod in failing):
        return True
    if wide:
        return False
    if update_pending(workload):
        # A rollout on top of a rollout would be refused, and wait for ever where that one is stuck.
        return 2 * len(failing) <= workload.desired
    return not request.eviction_failed and 2 * (len(failing) + request.evicted) <= workload.desired


def _intent(request: Request, want: Wanted, method: Method, fence: Fence, pod: Ref | None) -> Intent:
    return Intent(
        action=ActionName.RESTART,
        method=method,
        target=request.target,
        api_version=API_VERSION,
        fence=fence,
        check=want.check,
        reason=want.finding.reason,
        message=want.message,
        episode=request.episode,
        step=request.step,
        timeout=request.timeout,
        stabilization=request.stabilization,
        pod=pod,
    )


REMEDY = Remedy(
    action=ActionName.RESTART, title="Replace failing pods, or roll the workload out anew", propose=propose
)
