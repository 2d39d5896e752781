"""The kinds of pod faults: what each means, what to do about it, and whether a restart can help.

Reasons that Kubernetes alternates between (ErrImagePull and ImagePullBackOff, a crash and its
back-off) are one reason here: otherwise a status would be rewritten with every turn of the loop.
"""

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import ActionName

RESTART = (ActionName.RESTART,)
RESTART_SCALE = (ActionName.RESTART, ActionName.SCALE)
NOTHING: tuple[ActionName, ...] = ()


class Kind(Struct, frozen=True):
    """A kind of fault."""

    reason: str
    rank: int
    """The lower, the more it tells: where a pod has several faults, the lowest is named."""
    remedies: tuple[ActionName, ...]
    text: str
    """Meaning and advice; ``{pod}`` and ``{container}`` are filled in."""
    warns: bool = False
    """Worth a warning only."""


def _kinds(*kinds: Kind) -> dict[str, Kind]:
    return {kind.reason: kind for kind in kinds}


KINDS = _kinds(
    Kind(
        "Unschedulable",
        0,
        NOTHING,
        "Pod {pod} fits on no node: free or add capacity, or correct its node selector, affinity, "
        "tolerations or volumes; kubectl describe pod {pod} says which",
    ),
    Kind(
        "SchedulingGated",
        1,
        NOTHING,
        "Pod {pod} is held back by a scheduling gate: whoever set spec.schedulingGates has to lift it",
    ),
    Kind(
        "NodeLost",
        2,
        NOTHING,
        "Pod {pod} is not Ready though its containers were: its node does not report; bring the node back "
        "or remove it (kubectl get pod {pod} -o wide names it)",
    ),
    Kind(
        "InvalidImageName",
        3,
        NOTHING,
        "Pod {pod}: the image name of container {container} is not valid: correct it in the workload",
    ),
    Kind(
        "ImagePullBackOff",
        4,
        NOTHING,
        "Pod {pod}: the image of container {container} cannot be pulled: check its name and tag, the "
        "registry, and the imagePullSecrets; a restart cannot help",
    ),
    Kind(
        "CreateContainerConfigError",
        5,
        NOTHING,
        "Pod {pod}: container {container} refers to a ConfigMap, Secret or key that is missing or "
        "malformed: create it; kubectl describe pod {pod} names it",
    ),
    Kind(
        "CreateContainerError",
        6,
        NOTHING,
        "Pod {pod}: container {container} cannot be created: correct its command, mounts or security "
        "context; kubectl describe pod {pod} says why",
    ),
    Kind(
        "StartError",
        7,
        NOTHING,
        "Pod {pod}: the command of container {container} cannot be run: correct the command or the image",
    ),
    Kind(
        "InitCrashLoopBackOff",
        8,
        NOTHING,
        "Pod {pod}: init container {container} fails again and again: fix what it waits for or does; "
        "kubectl logs {pod} -c {container} --previous says why",
    ),
    Kind(
        "ContainerCreating",
        9,
        NOTHING,
        "Pod {pod} does not get past ContainerCreating: a volume cannot be mounted or the network cannot "
        "be set up; kubectl describe pod {pod} says which",
    ),
    Kind(
        "Initializing",
        10,
        NOTHING,
        "Pod {pod}: init container {container} has not finished within the grace: see "
        "kubectl logs {pod} -c {container}",
    ),
    Kind(
        "PodFailed",
        11,
        NOTHING,
        "Pod {pod} has failed and nothing replaces it: delete it, and create it anew if it is needed",
    ),
    Kind(
        "ReadinessGatesNotReady",
        12,
        NOTHING,
        "Pod {pod}: its containers are ready, but a readiness gate is not met: look at the controller that "
        "sets the gate; kubectl describe pod {pod} names it",
    ),
    Kind(
        "OOMKilled",
        13,
        RESTART_SCALE,
        "Pod {pod}: container {container} was killed for want of memory: raise its memory limit, spread the "
        "load over more replicas, or look for a leak",
    ),
    Kind(
        "CrashLoopBackOff",
        14,
        RESTART,
        "Pod {pod}: container {container} crashes again and again: "
        "kubectl logs {pod} -c {container} --previous says why",
    ),
    Kind(
        "RestartingOften",
        15,
        RESTART,
        "Pod {pod}: container {container} restarts too often: "
        "kubectl logs {pod} -c {container} --previous says why",
    ),
    Kind(
        "NotReady",
        16,
        RESTART_SCALE,
        "Pod {pod} is not Ready: container {container} runs but its readiness probe does not succeed; see "
        "kubectl describe pod {pod}",
    ),
    Kind(
        "TerminatingTooLong",
        17,
        NOTHING,
        "Pod {pod} is past its deadline and still terminating: its node does not report, or a finalizer "
        "holds it; kubectl get pod {pod} -o yaml shows both",
        warns=True,
    ),
    Kind(
        "LeftBehind",
        18,
        NOTHING,
        "Pod {pod} has failed, was evicted or was refused by its node, and its controller has replaced it: "
        "delete it once you know why",
        warns=True,
    ),
    Kind(
        "Draining",
        19,
        NOTHING,
        "Pod {pod} is being moved: its node is cordoned or drained, which is no failure; it is left to it",
        warns=True,
    ),
    Kind(
        "RolloutInProgress",
        20,
        NOTHING,
        "Pod {pod} is new and not Ready yet, and its rollout is in progress, within its deadline; it is left "
        "to it",
        warns=True,
    ),
)
