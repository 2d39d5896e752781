"""EditSteering: mend how a steering document is written, when a person approves it.

Only what needs no guess: no word of the guidance is changed. The whole document stands in the record, and so
one that holds what looks like a credential is left to its author.
"""

import json

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import LONGEST_CHANGE
from kiro_operator.core.evidence.steering import STEERING
from kiro_operator.core.patches import told
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import clip, named
from kiro_operator.core.redact import holds_credentials
from kiro_operator.core.remedies.types import Draft, Proposer, Refusal
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import Chosen, Must, Operation, Write, changes

NAME = "kiro-steering"
"""The ConfigMap that the overlay of this remedy covers; for one of another name the admin adds a rule."""
RULES: tuple[Rule, ...] = (
    Rule(
        "",
        ("configmaps",),
        ("patch",),
        "mend how a steering document is written, when a person has approved it",
        grant=Grant.EDIT_STEERING,
        names=(NAME,),
    ),
)
ADMITTED = (
    Write(
        by="EditSteering",
        api_version="v1",
        resources=("configmaps",),
        operations=(Operation.UPDATE,),
        chosen=(Chosen("steeringConfigMaps", f"['{NAME}']"),),
        musts=(
            Must(
                "object.metadata.name in variables.steeringConfigMaps",
                "the ConfigMap is not among steeringConfigMaps of this policy",
            ),
            *changes(("data",)),
            Must(
                "object.?data.orValue({}).all(k, k in oldObject.?data.orValue({})\n"
                "&& (k.endsWith('.md')\n|| object.data[k] == oldObject.data[k]))\n"
                "&& oldObject.?data.orValue({}).all(k, k in object.?data.orValue({}))",
                "it mends documents that are there, and adds and removes none",
            ),
        ),
    ),
)


def draft(amendment: Amendment, snapshot: Snapshot) -> Draft | Refusal:
    """The documents, by their keys in the ConfigMap, as they would be."""
    target = amendment.target
    seen = snapshot.value(STEERING)
    if isinstance(seen, Unobserved):
        return Refusal("EvidenceMissing", seen.message, lasting=False)
    holds = any((one.name, one.uid) == (target.name, target.uid) for one in seen.holders)
    origin = f"ConfigMap {target.name}"
    known = {one.key: one.text for one in seen.documents if holds and one.origin == origin}
    wanted = dict(amendment.values)
    if not wanted.keys() <= known.keys():
        return Refusal("TargetGone", f"{named(target)} is another object, or lacks a document", lasting=True)
    if any(holds_credentials(text) for key in wanted for text in (wanted[key], known[key])):
        message = f"a document of {named(target)} holds what looks like a credential: mend it by hand"
        return Refusal("HoldsCredentials", message, lasting=True)
    before, after = {"data": {key: known[key] for key in wanted}}, {"data": wanted}
    patch, undo = (json.dumps(each, sort_keys=True) for each in (after, before))
    if max(len(patch), len(undo)) > LONGEST_CHANGE:
        message = f"what is to be mended in {named(target)} is too large for a record: mend it by hand"
        return Refusal("TooLarge", message, lasting=True)
    return Draft("v1", patch, clip("\n".join(told(before, after))), undo=undo)


REMEDY = Proposer(
    action=ActionName.EDIT_STEERING, title="Mend how a steering document is written", draft=draft
)
