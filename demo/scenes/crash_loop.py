"""A pod crashes again and again: first nobody looks after it, then the operator does."""

from __future__ import annotations

from demo.cluster import NAMESPACE, restarts, state
from demo.stage import Scene, SceneFailed, Stage

RISES = 2


def play(stage: Stage) -> None:
    """Break a pod with the operator away, see the fault persist, and let the operator come."""
    stage.without_operator()
    since, known = stage.cluster.now(), stage.remediation_names()
    name = stage.break_pods("kiro", "crash-loop", every="3s")[0]
    stage.say(f"{name} crashes; no operator is running.")
    _persists(stage, name)
    stage.hold(not stage.cluster.evicted(since), "without the operator nothing is evicted")
    stage.show("get", "pods", "-n", NAMESPACE)

    stage.with_operator()
    done = stage.expect_remediation(known)
    stage.hold(done["spec"]["method"] == "Evict", "the pod was evicted, not the workload rolled out")
    stage.hold(done["spec"]["pod"]["name"] == name, f"what was evicted is {name}")
    stage.well()
    stage.hold(stage.cluster.evicted(since) == [name], "exactly one pod was evicted")
    stage.hold(stage.cluster.pod(name) is None, f"{name} is gone")
    stage.say(f"{name} was evicted once; its successor is ready and stayed so.")
    stage.show("wait", "khc/kiro", "-n", NAMESPACE, "--for=condition=Healthy", "--timeout=60s")
    stage.show("get", "khc,krem", "-n", NAMESPACE)


def _persists(stage: Stage, name: str) -> None:
    """See the restarts rise while the pod stays failed."""
    before = 0
    for _ in range(RISES + 1):

        def risen(above: int = before) -> int | None:
            pod = stage.cluster.pod(name)
            if pod is None:
                raise SceneFailed(f"{name} went away though no operator ran")
            return restarts(pod) if restarts(pod) > above and state(pod) == "CrashLoopBackOff" else None

        before = stage.expect(f"restart {before + 1} of {name}", risen)
        stage.say(f"{name}: CrashLoopBackOff, {before} restarts.")


SCENE = Scene(
    "crash-loop",
    "A pod crashes: first without the operator, then with it",
    "Alone it stays failed; the operator evicts that pod once, and Kiro is Healthy.",
    play,
)
