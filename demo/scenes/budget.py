"""The budget is used up: what fails next is left to a person, with the reason."""

from __future__ import annotations

import json

from demo.cluster import NAMESPACE, POLICY
from demo.stage import Scene, Stage

WATCHED_SECONDS = 5.0
WIDE = 20
ACTIONS = ("Restart", "Scale", "RestoreSafetyConfig", "RestoreRBAC")


def play(stage: Stage) -> None:
    """Leave one action in the budget, use it, and see the next one refused until the budget grows."""
    stage.with_operator()
    stage.well()
    used = len(stage.cluster.policy().get("status", {}).get("reservations", []))
    _limit(stage, used + 1)
    stage.say(f"The budget is {used + 1} actions an hour, and {used} are used: one is left.")
    known = stage.remediation_names()
    first = stage.break_pods("mcp-server", "crash-loop")[0]
    stage.say(f"{first} crashes.")
    done = stage.expect_remediation(known)
    # Evicted, or rolled out anew where it failed in an earlier scene and this is its relapse.
    stage.hold(
        done["spec"]["target"]["name"] == "mcp-server", f"it was for {first}: {done['spec']['target']}"
    )
    stage.say("That was the last action of this hour.")
    stage.well()

    since, known = stage.cluster.now(), stage.remediation_names()
    second = stage.break_pods("autonomous-operations", "crash-loop")[0]
    stage.say(f"{second} crashes.")
    denied = stage.expect_condition("RemediationAllowed", "False", "BudgetExhausted")
    decision = stage.cluster.health_check()["status"]["decisions"][0]
    stage.hold(
        (decision["decision"], decision["gate"]) == ("Denied", "budget"), "status.decisions names the gate"
    )
    stage.say(f"Denied: {denied['message']}")
    stage.never(
        "an action beyond the budget",
        lambda: [*stage.cluster.evicted(since), *(stage.remediation_names() - known)],
        WATCHED_SECONDS,
    )
    stage.show("get", "khc,ksp,krem", "-n", NAMESPACE)
    stage.picture()

    _limit(stage, WIDE)
    stage.say("Somebody raises the budget.")
    done = stage.expect_remediation(known)
    stage.hold(stage.cluster.evicted(since) == [second], f"{second} was evicted")
    stage.well()


def _limit(stage: Stage, limit: int) -> None:
    budget = {"limit": limit, "window": "1h"}
    # That of each action as well: one that never binds is a fault that decision-criteria tells.
    actions = [{"name": name, "approval": "Automatic", "budget": budget} for name in ACTIONS]
    patch = json.dumps({"spec": {"budget": budget, "actions": actions}}, separators=(",", ":"))
    stage.kubectl("patch", f"ksp/{POLICY}", "-n", NAMESPACE, "--type=merge", f"--patch={patch}")


SCENE = Scene(
    "budget",
    "The budget is used up",
    "No further action: RemediationAllowed=False says BudgetExhausted, and until when.",
    play,
)
