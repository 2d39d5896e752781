"""Too much fails at once: one after the other would be restarted, so nothing is."""

from __future__ import annotations

import json

from demo.cluster import NAMESPACE, POLICY
from demo.stage import Scene, Stage

WATCHED_SECONDS = 5.0
BROKEN = 3


def play(stage: Stage) -> None:
    """Break more than the policy agrees to see unhealthy."""
    stage.with_operator()
    stage.well()
    since, known = stage.cluster.now(), stage.remediation_names()
    names = stage.break_pods("kiro", "crash-loop", count=BROKEN)
    stage.say(
        f"{BROKEN} of {len(stage.cluster.pods())} pods crash at once; the policy says maxUnhealthy: 40%."
    )
    denied = stage.expect_condition("RemediationAllowed", "False", "TooManyUnhealthy")
    stage.say(f"Denied: {denied['message']}")
    stage.never("an action in a storm", lambda: _acted(stage, since, known), WATCHED_SECONDS)

    # As pods come back one by one, what is left of a storm is within maxUnhealthy again.
    _pause(stage, ["INC-7: database being restored"])
    stage.expect_condition("RemediationAllowed", "False", "Paused")
    stage.mend_pods(names)
    stage.say("The common cause is mended while the policy is paused.")
    stage.well()
    _pause(stage, [])
    stage.expect_condition("RemediationAllowed", "True")
    stage.hold(not _acted(stage, since, known), "nothing was restarted")


def _acted(stage: Stage, since: int, known: set[str]) -> list[str]:
    return [*stage.cluster.evicted(since), *(stage.remediation_names() - known)]


def _pause(stage: Stage, reasons: list[str]) -> None:
    patch = json.dumps({"spec": {"pauseRequests": reasons}})
    stage.kubectl("patch", f"ksp/{POLICY}", "-n", NAMESPACE, "--type=merge", f"--patch={patch}")


SCENE = Scene(
    "storm",
    "Most of Kiro fails at once",
    "Beyond maxUnhealthy nothing is restarted: RemediationAllowed=False, TooManyUnhealthy.",
    play,
)
