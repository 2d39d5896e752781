"""Two Deployments cost more than they are worth: named, with the waste in cores, bytes and money."""

from __future__ import annotations

from demo.stage import Scene, Stage

MANIFEST = "demo/manifests/waste.yaml"


def play(stage: Stage) -> None:
    """Deploy one that nobody uses and one that asks for too much, see both named, and remove them."""
    stage.with_operator()
    stage.expect_check("over-provisioned", "Pass")
    stage.expect_check("unused-resources", "Pass")
    stage.say("reports has been idle for a week; dashboard asks for 2 CPUs and has never used one tenth.")
    stage.kubectl("apply", "-f", MANIFEST)
    sized = stage.expect_check("over-provisioned", "Fail", "OverProvisioned")
    stage.say(f"over-provisioned: {sized['message']}")
    stage.hold("dashboard" in sized["message"], "the message names dashboard")
    idle = stage.expect_check("unused-resources", "Fail", "IdleDeployment")
    stage.say(f"unused-resources: {idle['message']}")
    stage.hold("reports" in idle["message"], "the message names reports")
    stage.hold(all("EUR" in each["message"] for each in (sized, idle)), "the waste is told in money")
    stage.expect_condition("CostEfficient", "False", "ChecksFailing")
    stage.expect_condition("Escalated", "False")
    stage.say("It is advice: nobody is called for it, and nothing is removed.")
    stage.kubectl("delete", "-f", MANIFEST)
    stage.expect_check("over-provisioned", "Pass")
    stage.expect_check("unused-resources", "Pass")
    stage.well()


SCENE = Scene(
    "waste",
    "Two Deployments are wasteful",
    "An idle and an over-sized Deployment are named with their waste in cores, bytes and money.",
    play,
)
