"""Too much fails at once: one after the other would be restarted, so nothing is."""

from __future__ import annotations

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
    stage.never(
        "an action in a storm",
        lambda: [*stage.cluster.evicted(since), *(stage.remediation_names() - known)],
        WATCHED_SECONDS,
    )
    stage.mend_pods(names)
    stage.say("The common cause is found and mended.")
    stage.well()
    stage.expect_condition("RemediationAllowed", "True")


SCENE = Scene(
    "storm",
    "Most of Kiro fails at once",
    "Beyond maxUnhealthy nothing is restarted: RemediationAllowed=False, TooManyUnhealthy.",
    play,
)
