"""Contain: suspend Kiro's autonomous operations through the key and value that the policy names.

It does not mend what was found, and it is never lifted by the operator: that is for a person, by the
command in its record.
"""

import json
import shlex
from collections.abc import Iterable, Mapping

from kiro_operator.api.v1alpha1.autonomy import Switch
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.evidence.safety_config import BINARY, SAFETY_CONFIG, ConfigData, exact
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import REVERTED, Entry, Fence, Intent
from kiro_operator.core.remedies.types import Refusal, Remedy, Request, writing
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.core.switches import is_set, wanted
from kiro_operator.core.writes import ONE_KEY, Chosen, Must, Operation, Write, changes

ACTION = ActionName.CONTAIN
NAME = "kiro-safety-config"
"""The ConfigMap that the overlay of this remedy covers; for one of another name the admin adds a rule."""
RULES: tuple[Rule, ...] = (
    Rule(
        "",
        ("configmaps",),
        ("patch",),
        "suspend autonomous operations that do harm",
        grant=Grant.RESTORE,
        names=(NAME,),
    ),
)


def admitted(action: ActionName, chosen: Chosen) -> tuple[Write, ...]:
    """One key of a ConfigMap that is listed."""
    listed = Must(
        f"object.metadata.name in variables.{chosen.name}",
        f"the ConfigMap is not among {chosen.name} of this policy",
    )
    return (
        Write(
            by=action,
            api_version="v1",
            resources=("configmaps",),
            operations=(Operation.UPDATE,),
            chosen=(chosen,),
            musts=(listed, *changes(("data",)), ONE_KEY),
        ),
    )


ADMITTED = admitted(ACTION, Chosen("containments", f"['{NAME}']"))
_UNDO = 512
"""Bytes of an undo that is written out: its command has to fit a message."""


def propose(request: Request) -> Intent | Refusal:
    """Set the one key, from a fresh sample."""
    found = settable(request, ACTION)
    if isinstance(found, Refusal):
        return found
    switch, actual = found
    what, where = named(request.target), request.snapshot.namespace
    undo = undo_of(switch, actual)
    lift = (
        f"to lift it: {by_hand(switch.config_map, undo, where)}"
        if undo
        else f"to lift it give {switch.key} its value again, which cannot be told here"
    )
    return writing(
        request,
        ACTION,
        Method.PATCH,
        Fence(actual.uid, actual.resource_version),
        content={"data": {switch.key: switch.value}},
        diff=f"{what}: {switch.key} → {switch.value!r}; it stays so until a person lifts it; {lift}",
        undo=undo,
    )


def settable(request: Request, action: ActionName) -> tuple[Switch, ConfigData] | Refusal:
    """What is to be set, and the ConfigMap as it is; or why nothing is set."""
    what = named(request.target)
    switch = wanted(action, request.snapshot.policies.values())
    if isinstance(switch, str):
        return Refusal("NotDesired", switch, lasting=True)
    seen = request.snapshot.value(SAFETY_CONFIG)
    if isinstance(seen, Unobserved):
        return Refusal("EvidenceMissing", f"{what}: {seen.message}", lasting=False)
    actual = seen.get(switch.config_map)
    if actual is None or actual.uid != request.target.uid:
        return Refusal("EvidenceMissing", f"{what} is gone, or is another object by now", lasting=False)
    if is_set(switch, actual):
        return Refusal("AlreadySet", f"{what} has {switch.key} set already", lasting=False)
    if actual.truncated and switch.key not in actual.digests:
        return Refusal(
            "TooManyKeys", f"{what} holds more keys than are looked at: set it by hand", lasting=True
        )
    if actual.digests.get(switch.key) == BINARY:
        return Refusal("NotText", f"{what}: {switch.key} is no text: set it by hand", lasting=True)
    return switch, actual


def standing(entries: Iterable[Entry]) -> Mapping[str, str]:
    """What containments of a target have set, key by key, whatever policies say by now."""
    return {key: value for key, (value, _) in _standing(entries).items()}


def kept(entries: Iterable[Entry]) -> frozenset[str]:
    """Names of the records by which that is known."""
    return frozenset(name for _, name in _standing(entries).values())


def _standing(entries: Iterable[Entry]) -> dict[str, tuple[str, str]]:
    """What each key was last set to, and by which containment, by the entries in order.

    What somebody else has changed in time was lifted, and with it no other key.
    """
    found: dict[str, tuple[str, str]] = {}
    for entry in entries:
        if entry.action is not ACTION or not entry.counts or entry.change is None:
            continue
        data: Mapping[str, str] = json.loads(entry.change.patch)["data"]
        for key, value in data.items():
            found.pop(key, None)
            if entry.reason != REVERTED:
                found[key] = (value, entry.name)
    return found


def undo_of(switch: Switch, actual: ConfigData) -> str:
    """The merge patch that gives the key back what it has now; empty where that is no text to be told."""
    before = exact(actual, switch.key)
    if before is None and switch.key in actual.digests:
        return ""
    undo = json.dumps({"data": {switch.key: before}})
    return undo if len(undo) <= _UNDO else ""


def by_hand(name: str, patch: str, namespace: str) -> str:
    """The command by which a person makes such a change."""
    return f"kubectl patch configmap {name} -n {namespace} --type=merge -p {shlex.quote(patch)}"


REMEDY = Remedy(
    action=ACTION,
    title="Suspend autonomous operations until a person lifts it",
    propose=propose,
    holds=True,
)
