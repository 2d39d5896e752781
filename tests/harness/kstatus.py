"""An oracle for kstatus: how GitOps tools read an object of a kind that they do not know.

The generic rules of sigs.k8s.io/cli-utils, package kstatus: an object that is being deleted is Terminating;
one whose latest generation was not observed is InProgress; then the first condition that is True of
Reconciling (InProgress) and Stalled (Failed) decides; everything else is Current.
"""

from __future__ import annotations

from typing import Any


def kstatus(obj: dict[str, Any]) -> str:
    """Terminating, InProgress, Failed or Current."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    observed = status.get("observedGeneration")
    if observed is not None and observed != metadata["generation"]:
        return "InProgress"
    verdicts = {"Reconciling": "InProgress", "Stalled": "Failed"}
    for condition in status.get("conditions", []):
        if condition["type"] in verdicts and condition["status"] == "True":
            return verdicts[condition["type"]]
    return "Current"


def contradictions(obj: dict[str, Any]) -> list[str]:
    """What in a status would mislead one tool or the other; empty for a status that is sound."""
    found: list[str] = []
    generation, status = obj["metadata"]["generation"], obj.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    ready = conditions.get("Ready", {}).get("status")
    if status.get("observedGeneration", 0) > generation:
        found.append("observedGeneration is ahead of the generation")
    for kind in ("Reconciling", "Stalled"):
        if kind in conditions and conditions[kind]["status"] != "True":
            found.append(f"{kind} is there and not True: abnormal conditions are absent when all is well")
        if kind in conditions and ready == "True":
            found.append(f"Ready is True beside {kind}")
    if kstatus(obj) == "Current" and ready != "True":
        found.append(f"Current, and Ready is {ready}")
    found.extend(
        f"{kind} has no observedGeneration, reason or lastTransitionTime"
        for kind, condition in conditions.items()
        if not (
            condition.get("observedGeneration") and condition["reason"] and condition["lastTransitionTime"]
        )
    )
    return found
