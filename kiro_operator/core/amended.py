"""Proposals held against the live object: what exactly is written, whether it may be, and whether it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import KiroRemediationSpec, Method
from kiro_operator.core.gitops import keeper
from kiro_operator.core.objects import Workload
from kiro_operator.core.objects.meta import PROTECTED
from kiro_operator.core.patches import in_order, is_keyed, is_strategic, merged, stands, told, undoing
from kiro_operator.core.policy.approvals import sealed
from kiro_operator.core.policy.subjects import is_protected
from kiro_operator.core.policy.text import clip, named
from kiro_operator.core.policy.types import WORKLOADS, Change, Fence, Intent
from kiro_operator.core.redact import holds_credentials
from kiro_operator.core.remedies.right_size import lowers


def exact(
    intent: Intent, found: Mapping[str, Any] | None, workload: Workload | None, now: datetime
) -> Intent | None:
    """The proposal as it goes on record, for the object as it was read; None where there is nothing to do.

    Nor is there where something else stands by now than what it was drafted from, or a request would not be
    lowered, or where its controller has not looked at it yet, or where what is written as a whole, lists and
    documents, holds what looks like a credential. What a GitOps tool keeps is for its repository: then a
    person makes the change.
    """
    if found is None or intent.change is None:
        return None
    uid = str(found["metadata"]["uid"])
    if intent.target.uid not in {"", uid} or not is_looked_at(found, intent.target.kind):
        return None
    patch = msgspec.json.decode(intent.change.patch)
    keyed = is_keyed(intent.target.kind)
    if keyed:
        patch = in_order(patch, found)
    after = merged(found, patch, strategic=keyed)
    if after == found or (intent.action is ActionName.RIGHT_SIZE and not lowers(patch, found)):
        return None
    rests_on = msgspec.json.decode(intent.change.undo or "{}")
    if merged(found, rests_on, strategic=keyed) != found:
        return None
    metadata = found["metadata"]
    undo = undoing(found, patch, strategic=keyed)
    fence = Fence(
        metadata["uid"],
        metadata["resourceVersion"],
        int(metadata.get("generation", 0)),
        revision=revision_of(found, intent.target.kind),
    )
    diff = clip("; ".join(told(undo, patch)))
    listed = keyed and not is_strategic(intent.target.kind)
    if listed:
        # A merge patch of such a kind replaces its lists: they are written out.
        patch = {"spec": {key: after["spec"][key] for key in patch["spec"]}}
        undo = undoing(found, patch)
    if (listed or intent.target.kind == "ConfigMap") and holds_credentials([patch, undo]):
        return None
    texts = (msgspec.json.encode(each, order="sorted").decode() for each in (patch, undo))
    written, back = texts
    change = Change(written, diff, back, intent.change.revision)
    made = replace(intent, target=replace(intent.target, uid=uid), change=change, fence=fence)
    if owner := gitops_owner(found):
        text = (
            f"{owner} keeps {named(intent.target)}, and would take a change back: {_in_repository(change)}. "
            f"{intent.message}"
        )
        made = replace(made, method=Method.ADVISE, message=clip(text))
    return sealed(made, workload, now.replace(microsecond=0))


def _in_repository(change: Change) -> str:
    if change.revision:
        return "revert it in its repository, as spec.change of the KiroRemediation has it"
    return "put spec.change.patch of the KiroRemediation into its repository"


def gitops_owner(found: Mapping[str, Any]) -> str:
    """The GitOps tool that keeps an object, and would take a change back; empty for none."""
    metadata = found["metadata"]
    marks = [*(metadata.get("labels") or ()), *(metadata.get("annotations") or ())]
    fields = metadata.get("managedFields") or ()
    return keeper(marks, ((item.get("manager", ""), item.get("subresource", "")) for item in fields))


def revision_of(found: Mapping[str, Any], kind: str) -> str:
    """Which pod template is in force, of a whole object; empty for what has none."""
    match kind:
        case "Deployment":
            annotations = found["metadata"].get("annotations") or {}
            return str(annotations.get("deployment.kubernetes.io/revision", ""))
        case "StatefulSet":
            return str((found.get("status") or {}).get("updateRevision", ""))
        case "DaemonSet":
            return str(found["metadata"].get("generation", 0))
        case _:
            return ""


def is_looked_at(found: Mapping[str, Any], kind: str) -> bool:
    """Whether what a workload says of its revision is about the template that it has."""
    observed = (found.get("status") or {}).get("observedGeneration")
    return kind not in WORKLOADS or observed == found["metadata"].get("generation")


def objection(found: Mapping[str, Any] | None, spec: KiroRemediationSpec) -> str:
    """Why an object is not what was decided on any more; empty while it is.

    The version alone does not tell: that of a workload, or of an autoscaler, moves with its status. What
    counts is the pod template, and what stands at each place that the patch touches.
    """
    what = f"{spec.target.kind} {spec.target.name}"
    if found is None or found["metadata"]["uid"] != spec.fence.uid:
        return f"{what} is gone"
    if spec.change is None or not spec.change.undo:
        return f"what stood in {what} is not on record"
    if not is_looked_at(found, spec.target.kind):
        return f"{what} was changed just now, and its controller has not looked at it yet"
    if revision_of(found, spec.target.kind) != spec.fence.revision:
        return f"{what} has another pod template by now"
    if gitops_owner(found):
        return f"a GitOps tool keeps {what} by now"
    if is_protected((found["metadata"].get("annotations") or {}).get(PROTECTED, "")):
        return f"{what} is protected by now"
    undo = msgspec.json.decode(spec.change.undo)
    if not stands(found, undo, strategic=is_strategic(spec.target.kind)):
        return f"what {what} says there was changed since"
    return ""


def holds(found: Mapping[str, Any], spec: KiroRemediationSpec) -> bool:
    """Whether an object is as it would be after the change of an action."""
    if spec.change is None:
        return False
    patch = msgspec.json.decode(spec.change.patch)
    # Into an item that is new the API server writes what it stands for by default.
    return stands(found, patch, strategic=is_keyed(spec.target.kind))
