"""Load rises: one more replica, and back once all has been well for scaleBackAfter."""

from __future__ import annotations

from demo.cluster import NAMESPACE, POLICY
from demo.stage import Scene, Stage

# Over three pods with a limit of 500m each that is 97%; over four 73%.
HIGH_LOAD = 1450


def play(stage: Stage) -> None:
    """Raise the load until it shows, see one step up verified, and one step back."""
    stage.with_operator()
    stage.well()
    stage.world.plane.wait_for_metrics()
    known = stage.remediation_names()
    before = int(stage.cluster.deployment("kiro")["spec"]["replicas"])
    scale = stage.cluster.policy()["spec"]["scale"]
    stage.world.simulation.load(HIGH_LOAD)
    stage.say(f"Load rises to {HIGH_LOAD}m over {before} pods of 500m each; metrics-server looks every 15 s.")
    stage.expect("CpuHigh", lambda: _high(stage))
    stage.say("resource-utilization fails: most pods of kiro use nearly all the CPU they may.")
    up = stage.expect_remediation(known)
    replicas = int(stage.cluster.deployment("kiro")["spec"]["replicas"])
    stage.hold(up["spec"]["method"] == "ScaleUp", "kiro was scaled up")
    stage.hold(replicas == before + scale["step"], f"one step up from {before}: {replicas}")
    stage.hold(replicas <= scale["ceiling"], f"within the ceiling of {scale['ceiling']} in policy {POLICY}")
    stage.say(f"Scaled from {before} to {replicas}, and the use of CPU is below its threshold again.")
    stage.show("top", "pods", "-n", NAMESPACE, "-l", "app=kiro")
    stage.world.simulation.load(None)
    stage.say("The load falls again.")
    back = stage.expect_remediation(known | {up["metadata"]["name"]})
    stage.hold(back["spec"]["method"] == "ScaleBack", "kiro was scaled back")
    stage.hold(stage.cluster.deployment("kiro")["spec"]["replicas"] == before, f"{before} replicas again")
    stage.well()
    stage.say(f"Scaled back to {before}.")


def _high(stage: Stage) -> bool:
    checks = stage.cluster.health_check().get("status", {}).get("checks", [])
    return any(check["id"] == "resource-utilization" and check["status"] == "Fail" for check in checks)


SCENE = Scene(
    "load",
    "Load rises and falls",
    "One replica more, within the ceiling and verified; taken back after scaleBackAfter.",
    play,
)
