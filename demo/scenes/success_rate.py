"""Autonomous operations begin to fail: seen in Prometheus."""

from __future__ import annotations

from demo.stage import Scene, Stage

METRIC, LOW = "kiro_autonomous_success_rate", 0.55


def play(stage: Stage) -> None:
    """Let the success rate fall, see it found, and let it rise again."""
    stage.with_operator()
    stage.expect_check("autonomous-success-rate", "Pass")
    stage.world.backends.show(METRIC, LOW)
    stage.say(f"{METRIC} falls to {LOW}.")
    verdict = stage.expect_check("autonomous-success-rate", "Fail", "SuccessRateLow")
    stage.say(f"autonomous-success-rate: {verdict['message']}")
    stage.hold(verdict.get("observed") and verdict.get("threshold"), "it says observed and threshold")
    stage.expect_condition("AutonomyEffective", "False", "ChecksFailing")
    stage.world.backends.show(METRIC)
    stage.expect_check("autonomous-success-rate", "Pass")
    stage.say("It has risen again.")
    stage.well()


SCENE = Scene(
    "success-rate",
    "Autonomous operations begin to fail",
    "autonomous-success-rate fails by what Prometheus says, and AutonomyEffective is False.",
    play,
)
