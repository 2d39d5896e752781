"""The safety configuration is tampered with: brought back to what the policy desires."""

from __future__ import annotations

import json

from demo.cluster import NAMESPACE
from demo.stage import Scene, Stage

CONFIG = "kiro-safety-config"
LOOSE = {"approvalRequired": "false", "maxActionsPerHour": None, "backdoor": "on"}


def play(stage: Stage) -> None:
    """Loosen the safety configuration, and see it restored by one change that leaves nothing behind."""
    stage.with_operator()
    stage.expect_check("safety-config", "Pass")
    before, known = stage.cluster.config_map(CONFIG)["data"], stage.remediation_names()
    patch = json.dumps({"data": LOOSE}, separators=(",", ":"))
    stage.kubectl("patch", f"configmap/{CONFIG}", "-n", NAMESPACE, "--type=merge", f"--patch={patch}")
    stage.say(f"ConfigMap {CONFIG}: somebody turns approvals off, drops a limit and adds a key.")
    done = stage.expect_remediation(known)
    stage.say(f"{done['metadata']['name']}: {done['spec']['change']['diff']}")
    stage.hold(stage.cluster.config_map(CONFIG)["data"] == before, "it holds what it held, and nothing else")
    stage.expect_check("safety-config", "Pass")
    stage.show("get", "krem", "-n", NAMESPACE)
    stage.well()


SCENE = Scene(
    "tampered",
    "The safety configuration is tampered with",
    "RestoreSafetyConfig brings it back, once, and the record shows the difference.",
    play,
)
