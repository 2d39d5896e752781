"""Nothing is wrong, so nothing is written."""

from __future__ import annotations

import time

from demo.cluster import NAMESPACE
from demo.stage import Scene, Stage

SETTLING_SECONDS = 5.0
WATCHED_SECONDS = 10.0
ANSWERS = {"Pass", "Warn", "Skipped"}
ONLY_PEOPLE_BRING_MORE = {"NoFeedback", "NoProposals"}


def play(stage: Stage) -> None:
    """Wait until every check has its answer, then count what the operator writes."""
    stage.with_operator()
    stage.well()
    stage.expect("an answer of every check", lambda: _answered(stage))
    stage.expect_condition("Observed", "True")
    _settle(stage)
    stage.say(f"Every check has its answer. For {WATCHED_SECONDS:g} s the audit log is watched.")
    since = stage.cluster.now()
    stage.never("a write at rest", lambda: stage.cluster.written_by_operator(since), WATCHED_SECONDS)
    stage.hold(stage.cluster.condition("Healthy").get("status") == "True", "Healthy=True")
    stage.say("The operator wrote nothing.")
    stage.show("get", "khc", "-n", NAMESPACE)


def _answered(stage: Stage) -> bool:
    checks = stage.cluster.health_check().get("status", {}).get("checks", [])
    return bool(checks) and all(
        check["status"] in ANSWERS or check["reason"] in ONLY_PEOPLE_BRING_MORE for check in checks
    )


def _settle(stage: Stage) -> None:
    """Wait until the last transition is written."""
    quiet_since, offset = time.monotonic(), stage.cluster.now()

    def settled() -> bool:
        nonlocal quiet_since, offset
        if stage.cluster.written_by_operator(offset):
            quiet_since, offset = time.monotonic(), stage.cluster.now()
        return time.monotonic() - quiet_since >= SETTLING_SECONDS

    stage.expect("the last transition to be written", settled)


SCENE = Scene(
    "at-rest",
    "Nothing is wrong",
    "Healthy=True, and the operator does not write a single object while nothing changes.",
    play,
)
