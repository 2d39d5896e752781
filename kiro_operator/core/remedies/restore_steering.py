"""RestoreSteering: put the last version that passed back where a steering document is broken or gone.

One merge patch of the keys in question, under the version of the ConfigMap that was judged.
"""

import json
from typing import Any

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import LONGEST_CHANGE, Method
from kiro_operator.core.evidence.steering import STEERING, Holder, Steering
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import Fence, Intent
from kiro_operator.core.remedies.types import Refusal, Remedy, Request, writing
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.core.steering.history import difference
from kiro_operator.core.steering.restoring import Good, Place, last_good
from kiro_operator.core.writes import Chosen, Must, Operation, Write, changes

ACTION = ActionName.RESTORE_STEERING
NAME = "kiro-steering"
"""The ConfigMap that the overlay of this remedy covers; for one of another name the admin adds a rule."""
RULES: tuple[Rule, ...] = (
    Rule(
        "",
        ("configmaps",),
        ("patch",),
        "put the last version of a steering document that passed back",
        grant=Grant.RESTORE,
        names=(NAME,),
    ),
)
ADMITTED = (
    Write(
        by="RestoreSteering",
        api_version="v1",
        resources=("configmaps",),
        operations=(Operation.UPDATE,),
        chosen=(Chosen("steeringConfigMaps", f"['{NAME}']"),),
        musts=(
            Must(
                "object.metadata.name in variables.steeringConfigMaps",
                "the ConfigMap is not among steeringConfigMaps of this policy",
            ),
            *changes(("data",), ("binaryData",)),
            Must(
                "variables.before.?data.orValue({}).all(k, k in object.?data.orValue({}))",
                "no document is taken out",
            ),
            # Hooks and MCP settings may stand beside the documents: what Kiro runs is never written.
            Must(
                "object.?data.orValue({}).all(k, k.endsWith('.md')\n"
                "|| (k in variables.before.?data.orValue({})\n"
                "&& object.data[k] == variables.before.data[k]))",
                "it writes documents alone, whose keys end with .md",
            ),
            Must(
                "object.?binaryData.orValue({}).all(k,\n"
                "k in variables.before.?binaryData.orValue({})\n"
                "&& object.binaryData[k] == variables.before.binaryData[k])\n"
                "&& variables.before.?binaryData.orValue({}).all(k,\n"
                "k in object.?binaryData.orValue({}) || k in object.?data.orValue({}))",
                "what is binary gives way to a document at most",
            ),
        ),
    ),
)


def propose(request: Request) -> Intent | Refusal:
    """The documents that were found broken, as they were when they passed, from a fresh sample."""
    seen = request.snapshot.value(STEERING)
    if isinstance(seen, Unobserved):
        return Refusal("EvidenceMissing", f"{named(request.target)}: {seen.message}", lasting=False)
    if not seen.restore:
        message = f"spec.steering does not ask any more to restore {named(request.target)}"
        return Refusal("NotDesired", message, lasting=False)
    holder = next((one for one in seen.holders if one.uid == request.target.uid), None)
    if holder is None:
        message = f"{named(request.target)} is gone, or is another object by now"
        return Refusal("EvidenceMissing", message, lasting=False)
    restored: dict[str, tuple[str, str]] = {}
    for path in sorted({want.finding.object.name for want in request.wanted}):
        key = seen.kept[path].key if path in seen.kept else ""
        good = last_good(seen, path, Place(holder, key))
        if not isinstance(good, Good):
            return Refusal("NotRemembered", f"{path}: {good}", lasting=True)
        restored[key] = good.text, f"{path}: {_diff(seen, holder, key, good.text)}"
    content = _patch(holder, {key: text for key, (text, _) in restored.items()})
    if len(json.dumps(content, sort_keys=True)) > LONGEST_CHANGE:
        message = f"{named(request.target)}: what is to be put back is too large for a record: do it by hand"
        return Refusal("TooLarge", message, lasting=True)
    fence = Fence(holder.uid, holder.resource_version)
    diff = "; ".join(told for _, told in restored.values())
    return writing(request, ACTION, Method.PATCH, fence, content=content, diff=diff)


def _patch(holder: Holder, texts: dict[str, str]) -> dict[str, Any]:
    patch: dict[str, Any] = {"data": texts}
    # A key stands in one of the two maps only: where text replaces what is binary, that has to go.
    if binary := [key for key in texts if key in holder.binary]:
        patch["binaryData"] = dict.fromkeys(binary)
    return patch


def _diff(steering: Steering, holder: Holder, key: str, text: str) -> str:
    """What is changed, redacted: from what stands there to what is put back."""
    origin = f"ConfigMap {holder.name}"
    found = next((one for one in steering.documents if (one.origin, one.key) == (origin, key)), None)
    if found is None:
        return "absent → put back"
    if not found.whole:
        return "not to be read → put back"
    return difference(found.text, text)


REMEDY = Remedy(
    action=ACTION,
    title="Put the last version of a steering document that passed back",
    propose=propose,
)
