"""An action that waits for a person: one who may not approve it is refused, one who may has it done once."""

from __future__ import annotations

import json
from typing import Any

from demo.cluster import NAMESPACE, POLICY
from demo.stage import Scene, Stage

WATCHED_SECONDS = 5.0
ROLES = "deploy/samples/approvers.yaml"
LEAD = ("lee@example.com", "technical-leads")
"""May create KiroApprovals, and approve at another gate only."""
APPROVER = ("dana@example.com", "operator-approvers")


def play(stage: Stage) -> None:
    """Ask before a restart, see it wait, refuse it to one and do it for the other."""
    stage.with_operator()
    stage.well()
    actions = stage.cluster.policy()["spec"]["actions"]
    stage.kubectl("apply", "-f", ROLES)
    _approve(
        stage, [each | {"approval": "Manual"} if each["name"] == "Restart" else each for each in actions]
    )
    since, known = stage.cluster.now(), stage.remediation_names()
    broken = stage.break_pods("mcp-server", "crash-loop")[0]
    stage.say(f"{broken} crashes, and the policy asks for a person before a restart.")
    stage.expect_condition("Escalated", "True", "ApprovalRequired")
    stage.never("an action that nobody approved", lambda: stage.cluster.evicted(since), WATCHED_SECONDS)
    [decision] = stage.cluster.health_check()["status"]["decisions"]
    what, _, command = decision["message"].partition("; to approve: ")
    stage.say(f"It waits: {what}")
    stage.hold(command, "status.decisions says how to approve it")

    refused = stage.run_as(*LEAD, command)
    stage.hold(refused.returncode != 0 and "may not approve at the gate" in refused.stderr, "it is refused")
    stage.say(f"{LEAD[0]} may not: {refused.stderr.strip()}")
    stage.hold(not stage.cluster.evicted(since), "still nothing is done")
    allowed = stage.run_as(*APPROVER, command)
    stage.hold(allowed.returncode == 0, f"{APPROVER[0]} may approve it: {allowed.stderr}")
    stage.say(f"{APPROVER[0]} may: {allowed.stdout.strip()}")

    done = stage.expect_remediation(known)
    stage.hold(stage.cluster.evicted(since) == [broken], f"{broken} was evicted, once")
    stage.hold(len(done["spec"]["approvals"]) == 1, "the record names the approval")
    stage.show("get", "kappr,krem", "-n", NAMESPACE)
    stage.picture()
    _approve(stage, actions)
    stage.well()


def _approve(stage: Stage, actions: list[dict[str, Any]]) -> None:
    patch = json.dumps({"spec": {"actions": actions}}, separators=(",", ":"))
    stage.kubectl("patch", f"ksp/{POLICY}", "-n", NAMESPACE, "--type=merge", f"--patch={patch}")


SCENE = Scene(
    "approval",
    "A restart needs a person's approval",
    "It waits; refused to one who may not approve, done once for one who may.",
    play,
)
