"""A ClusterRole is widened: no policy gets it beyond the baseline, and by hand it is narrowed again."""

from __future__ import annotations

import json
from typing import Any

from demo.cluster import NAMESPACE, POLICY
from demo.stage import Scene, Stage

ROLE = "kiro-autonomous-operations"
CHECK = "safety-cluster-role"
EXEC = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}
ALL: dict[str, list[str]] = {"resourceNames": []}


def play(stage: Stage) -> None:
    """Ask for more in the policy of the namespace, which is refused; then widen by hand, which is undone."""
    stage.with_operator()
    stage.expect_check(CHECK, "Pass")
    before, since = stage.cluster.cluster_role(ROLE)["rules"], stage.cluster.now()
    _add(stage, f"ksp/{POLICY}", "/spec/clusterRole/rules/-", EXEC | ALL, "-n", NAMESPACE)
    stage.say(
        "The policy of the namespace asks for more. The KiroSafetyBaseline of the cluster does not have it."
    )
    escalated = stage.expect_condition("Escalated", "True", "BeyondBaseline")
    stage.say(f"Escalated: {escalated['message']}")
    stage.hold(stage.cluster.cluster_role(ROLE)["rules"] == before, "nothing is granted beyond the baseline")
    rules = [rule | ALL for rule in before]
    wanted = json.dumps({"spec": {"clusterRole": {"rules": rules}}}, separators=(",", ":"))
    stage.kubectl("patch", f"ksp/{POLICY}", "-n", NAMESPACE, "--type=merge", f"--patch={wanted}")
    stage.well()

    known = stage.remediation_names()
    _add(stage, f"clusterrole/{ROLE}", "/rules/-", EXEC)
    stage.say(f"ClusterRole {ROLE}: somebody lets Kiro run commands in every pod of kiro-system.")
    done = stage.expect_remediation(known)
    stage.say(f"{done['metadata']['name']}: {done['spec']['change']['diff']}")
    stage.hold(stage.cluster.cluster_role(ROLE)["rules"] == before, "it holds what it held, and no more")
    stage.expect_check(CHECK, "Pass")
    writes = [each for each in stage.cluster.written_by_operator(since) if _of(each) == ROLE]
    stage.hold(len(writes) == 1, f"the ClusterRole is written once: {writes}")
    stage.show("get", "krem", "-n", NAMESPACE)
    stage.well()


def _of(event: dict[str, Any]) -> str:
    return str(event.get("objectRef", {}).get("name"))


def _add(stage: Stage, what: str, where: str, rule: dict[str, list[str]], *flags: str) -> None:
    patch = json.dumps([{"op": "add", "path": where, "value": rule}], separators=(",", ":"))
    stage.kubectl("patch", what, *flags, "--type=json", f"--patch={patch}")


SCENE = Scene(
    "widened",
    "A ClusterRole is widened",
    "RestoreRBAC narrows it, once, and grants no policy more than the KiroSafetyBaseline has.",
    play,
)
