"""What people do in a scenario."""

from __future__ import annotations

from typing import Any

from kiro_operator.api.v1alpha1.types import API_VERSION
from tests.faults.matrix.scenario import HOUR
from tests.harness.approvers import now
from tests.harness.world import World

Object = dict[str, Any]


def approve_in_turn(world: World) -> None:
    """Approve one plan that waits, as the admin of the cluster, once what was approved before is done.

    So there is an approval that was used, and a plan that nobody has approved, at the same time.
    """
    plans = (item["spec"]["plan"] for item in world.items("kiroapprovals"))
    given = {plan["digest"]: plan["target"] for plan in plans}
    records = {item["spec"]["digest"]: item["status"] for item in world.remediations()}
    # What was approved and never done may have been planned anew since, and be done.
    done = [target for digest, target in given.items() if "actedAt" in records.get(digest, {})]
    waits = [target for target in given.values() if target not in done]
    for decision in world.get("kirohealthchecks", "kiro").get("status", {}).get("decisions", []):
        asked = decision.get("approval")
        if decision["reason"] != "ApprovalRequired" or not asked or asked["digest"] in given:
            continue
        # What was approved and never done is planned anew, under another digest, for the same target.
        if any(target != asked["target"] for target in waits):
            continue
        _approve(world, asked)
        return


def _approve(world: World, asked: Object) -> None:
    me = world.plane.rest.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    spec = {
        "gate": asked["gates"][0]["gate"],
        "decision": "Approve",
        "decidedBy": me["status"]["userInfo"]["username"],
        "reason": "for this run",
        "plan": {"digest": asked["digest"], "target": asked["target"]},
        "expiresAt": (now() + HOUR).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    metadata = {"generateName": "decided-"}
    body = {"apiVersion": API_VERSION, "kind": "KiroApproval", "metadata": metadata, "spec": spec}
    world.plane.rest.post(world.path("kiroapprovals"), body)
