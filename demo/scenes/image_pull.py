"""An image that cannot be pulled: a restart cannot help, so a person is told."""

from __future__ import annotations

from demo.cluster import NAMESPACE, state
from demo.stage import Scene, Stage

WATCHED_SECONDS = 5.0


def play(stage: Stage) -> None:
    """Break a pod beyond what a restart can help, see it escalated, and mend it."""
    stage.with_operator()
    stage.well()
    since, known = stage.cluster.now(), stage.remediation_names()
    name = stage.break_pods("kiro", "image-pull")[0]
    stage.say(f"{name}: its image cannot be pulled.")
    stage.expect(
        "ImagePullBackOff", lambda: state(stage.cluster.pod(name) or {"metadata": {}}) == "ImagePullBackOff"
    )
    escalated = stage.expect_condition("Escalated", "True", "NoRemedy")
    stage.say(f"Escalated: {escalated['message']}")
    stage.never("an eviction or a restart", lambda: _acted(stage, since, known), WATCHED_SECONDS)
    stage.say("It is not restarted: that could not help.")
    stage.show("get", "khc", "-n", NAMESPACE)
    stage.mend_pods([name])
    stage.say("Somebody pushes the image.")
    stage.well()
    stage.hold(not _acted(stage, since, known), "nothing was restarted")
    stage.say("Healthy again, and nothing waits for a person any more.")


def _acted(stage: Stage, since: int, known: set[str]) -> list[str]:
    return [*stage.cluster.evicted(since), *(stage.remediation_names() - known)]


SCENE = Scene(
    "image-pull",
    "An image cannot be pulled",
    "No restart, which could not help: Escalated=True says what to do, until it is mended.",
    play,
)
