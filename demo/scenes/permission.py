"""A permission is revoked: found with the very rule that is missing."""

from __future__ import annotations

import json

from demo.cluster import NAMESPACE
from demo.stage import Scene, Stage

ROLE = "kiro"
WORDS = ("apiGroups ['']", "resources ['pods']", "verbs ['create']")


def play(stage: Stage) -> None:
    """Take a verb out of the Role of Kiro's ServiceAccount, see it found, and put it back."""
    stage.with_operator()
    stage.expect_check("service-account-permissions", "Pass")
    _verbs(stage, ["get", "list"])
    stage.say(f"Role {ROLE}: somebody takes away the right to create pods.")
    verdict = stage.expect_check("service-account-permissions", "Fail", "PermissionMissing")
    stage.say(f"service-account-permissions: {verdict['message']}")
    for words in WORDS:
        stage.hold(words in verdict["message"], f"the rule to add says {words}")
    _verbs(stage, ["create", "get", "list"])
    stage.expect_check("service-account-permissions", "Pass")
    stage.say("The rule is back.")
    stage.well()


def _verbs(stage: Stage, verbs: list[str]) -> None:
    patch = json.dumps([{"op": "replace", "path": "/rules/0/verbs", "value": verbs}], separators=(",", ":"))
    stage.kubectl("patch", f"role/{ROLE}", "-n", NAMESPACE, "--type=json", f"--patch={patch}")


SCENE = Scene(
    "permission",
    "A permission is revoked",
    "service-account-permissions fails and says the exact rule to add.",
    play,
)
