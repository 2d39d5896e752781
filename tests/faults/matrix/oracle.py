"""The oracle: what must hold whatever was broken, by the audit log and the records that are left.

It knows an action by a `Remedy`, which a scenario brings along. A new kind of action needs a Remedy and a
scenario, and nothing here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Any

from kiro_operator.adapters.steering.remembered import SUFFIX
from kiro_operator.api.v1alpha1.remediation import FINAL_STATES
from tests.faults.matrix.audit import Write

Object = dict[str, Any]
RECORDS = "kiroremediations"
BOOKKEEPING = frozenset(
    {
        RECORDS,
        f"{RECORDS}/status",
        "kirohealthchecks/status",
        "kirosafetypolicies/status",
        "events",
        "leases",
    }
)
"""What the operator may write in the namespace beside its actions, and the history of steering documents."""


class Rule(StrEnum):
    """What must hold."""

    DOUBLE = "double action"
    BUDGET = "over budget"
    LOST = "lost intent"
    UNRECORDED = "action without a record"
    UNDONE = "told as done, not done"
    UNFENCED = "action without a fence"
    UNAPPROVED = "action without an approval of its own"
    LATE = "effect after the Lease"
    FOREIGN = "foreign object"
    CRASH = "crash"


@dataclass(frozen=True)
class Remedy:
    """How one kind of action shows in the audit log.

    Attributes:
        name: What it is called.
        is_one: Whether a write is such an action.
        is_of: Whether it may be the action that a KiroRemediation records.
        is_fenced: Whether it says in which state the object has to be.
        namespaced: Whether what it changes lies in the namespace, and not in the cluster.
    """

    name: str
    is_one: Callable[[Write], bool]
    is_of: Callable[[Write, Object], bool]
    is_fenced: Callable[[Write], bool]
    namespaced: bool = True


@dataclass(frozen=True)
class Budget:
    """How many actions may be done within a window."""

    limit: int
    window: timedelta


@dataclass(frozen=True)
class Evidence:
    """What is left of a run.

    Attributes:
        namespace: The only one in which anything may be written.
        writes: What the operator wrote, oldest first.
        intents: The KiroRemediations at the end.
        remedies: The actions that there may be.
        usual: Actions by remedy of a run without a fault: there must not be more.
        manual: Whether a person has to approve each action.
        approvals: The KiroApprovals that were given.
        late: What an operator did whose Lease had run out.
        crashes: How often an operator has ended by itself, and not because it had lost its Lease.
    """

    namespace: str
    writes: Sequence[Write]
    intents: Sequence[Object]
    budget: Budget
    remedies: Sequence[Remedy]
    usual: Mapping[str, int]
    manual: bool = False
    approvals: Sequence[Object] = ()
    late: Sequence[str] = ()
    crashes: int = 0


@dataclass(frozen=True)
class Violation:
    """What did not hold, and how it shows."""

    rule: Rule
    text: str


def judge(evidence: Evidence) -> list[Violation]:
    """Everything that did not hold; empty for a good run."""
    actions = _actions(evidence)
    return [
        *_foreign(evidence),
        *_done_twice(evidence, actions),
        *_over_budget(evidence.budget, [write.at for _, write, _ in actions]),
        *_lost(evidence),
        *_undone(evidence, actions),
        *(
            Violation(Rule.UNFENCED, str(write))
            for remedy, write, _ in actions
            if not remedy.is_fenced(write)
        ),
        *(_unapproved(actions, evidence.approvals) if evidence.manual else ()),
        *(Violation(Rule.LATE, text) for text in evidence.late),
        *([Violation(Rule.CRASH, f"{evidence.crashes} times")] if evidence.crashes else ()),
    ]


def done(evidence: Evidence) -> dict[str, int]:
    """How many actions were done, by remedy."""
    return dict(Counter(remedy.name for remedy, _, _ in _actions(evidence)))


_Action = tuple[Remedy, Write, Object | None]
"""What was done, and the KiroRemediation it was done for."""


def _actions(evidence: Evidence) -> list[_Action]:
    found: list[_Action] = []
    for write in evidence.writes:
        for remedy in evidence.remedies:
            if remedy.is_one(write):
                fitting = [
                    intent
                    for intent in evidence.intents
                    # Creation times are whole seconds, rounded down.
                    if remedy.is_of(write, intent) and _created(intent) <= write.at
                ]
                found.append((remedy, write, max(fitting, key=_likeliest, default=None)))
                break
    return found


def _likeliest(intent: Object) -> tuple[bool, bool, datetime]:
    """One that tells of it, else one that was on its way, else the last.

    What is proposed next may be the same. Where two writes are for one record, one of them is too many.
    """
    status = intent.get("status", {})
    return "actedAt" in status, "actingAt" in status, _created(intent)


def _created(intent: Object) -> datetime:
    return datetime.fromisoformat(intent["metadata"]["creationTimestamp"])


def _foreign(evidence: Evidence) -> list[Violation]:
    return [
        Violation(Rule.FOREIGN, str(write))
        for write in evidence.writes
        if not (_keeps_books(write) and write.namespace == evidence.namespace)
        and not any(
            remedy.is_one(write) and write.namespace == (evidence.namespace if remedy.namespaced else "")
            for remedy in evidence.remedies
        )
    ]


def _keeps_books(write: Write) -> bool:
    if write.resource == "configmaps":
        return write.verb in {"create", "update"} and write.name.endswith(SUFFIX)
    return write.resource in BOOKKEEPING


def _done_twice(evidence: Evidence, actions: Sequence[_Action]) -> list[Violation]:
    found = [
        Violation(Rule.UNRECORDED, f"{write}: no KiroRemediation tells of it")
        for _, write, intent in actions
        if intent is None
    ]
    by_intent = Counter(intent["metadata"]["name"] for _, _, intent in actions if intent is not None)
    found += [
        Violation(Rule.DOUBLE, f"{number} actions for {name}")
        for name, number in by_intent.items()
        if number > 1
    ]
    # What was done and is not told to have been done gives its budget back.
    found += [
        Violation(Rule.UNRECORDED, f"{write}: {intent['metadata']['name']} does not tell that it was done")
        for _, write, intent in actions
        if intent is not None and "actedAt" not in intent.get("status", {})
    ]
    found += [
        Violation(Rule.DOUBLE, f"{number} times {name}, and {evidence.usual.get(name, 0)} without a fault")
        for name, number in done(evidence).items()
        if number > evidence.usual.get(name, 0)
    ]
    return found


def _over_budget(budget: Budget, times: Sequence[datetime]) -> list[Violation]:
    for last in times:
        within = sum(last - budget.window < at <= last for at in times)
        if within > budget.limit:
            text = f"{within} actions within {budget.window}, and {budget.limit} are allowed"
            return [Violation(Rule.BUDGET, text)]
    return []


def _lost(evidence: Evidence) -> list[Violation]:
    there = {intent["metadata"]["name"]: intent for intent in evidence.intents}
    begun = [write.name for write in evidence.writes if (write.verb, write.resource) == ("create", RECORDS)]
    found = [Violation(Rule.LOST, f"{name} is gone") for name in begun if name not in there]
    found += [
        Violation(Rule.LOST, f"{name} ends as {intent.get('status', {}).get('state')}")
        for name, intent in there.items()
        if intent.get("status", {}).get("state") not in FINAL_STATES
    ]
    return found


def _undone(evidence: Evidence, actions: Sequence[_Action]) -> list[Violation]:
    """Each record that tells of an action has its write in the audit log, but for a command in doubt."""
    written = {intent["metadata"]["name"] for _, _, intent in actions if intent is not None}
    return [
        Violation(Rule.UNDONE, f"{intent['metadata']['name']} tells that it was done")
        for intent in evidence.intents
        if "actedAt" in intent.get("status", {}) and intent["metadata"]["name"] not in written
        if not _was_in_doubt(evidence, intent)
    ]


def _was_in_doubt(evidence: Evidence, intent: Object) -> bool:
    """Whether it was about to be sent, and what was told first then was that it may have been."""
    path = ("patch", f"{RECORDS}/status", intent["metadata"]["name"])
    told = [
        write.body.get("status", {})
        for write in evidence.writes
        if (write.verb, write.resource, write.name) == path
    ]
    before = list(takewhile(lambda status: not status.get("actedAt"), told))
    sending = any(status.get("state") == "Acting" for status in before)
    return sending and any(is_in_doubt(intent["spec"], status) for status in told[len(before) :][:1])


DOUBTS = ("the command may have been run", "may go on in the pod")


def is_in_doubt(spec: Object, status: Object) -> bool:
    """Whether a record tells that its command may have been run, and not that it was.

    By design: a command leaves nothing to look at, and no fence refuses a second one. So one that was about
    to be sent when the process died, or that had no answer, counts as run. Of every other action the live
    object tells, and its record has to be right.
    """
    return spec.get("method") == "Exec" and any(doubt in status.get("message", "") for doubt in DOUBTS)


def _unapproved(actions: Sequence[_Action], given: Sequence[Object]) -> list[Violation]:
    """Each action has an approval of its very plan, and each approval, and each plan, has one action.

    What the record says of it is not enough: an operator that takes one approval for another says so as well.
    """
    found: list[Violation] = []
    used: Counter[str] = Counter()
    for _, write, intent in actions:
        digest = _inner(intent, "spec", "digest")
        names = {
            item["metadata"]["name"]
            for item in given
            if (item["spec"]["decision"], item["spec"]["plan"]["digest"]) == ("Approve", digest)
            if _created(item) <= write.at
        }
        # Of a proposal they are told in the status: its record is older than they are.
        told = _inner(intent, "spec", "approvals") or _inner(intent, "status", "approvals") or []
        claimed = {item["name"] for item in told}
        if not names:
            found.append(Violation(Rule.UNAPPROVED, f"{write}: nobody has approved plan {digest}"))
        if not claimed or claimed - names:
            text = f"{write}: its record names {sorted(claimed)}, and {sorted(names)} are of its plan"
            found.append(Violation(Rule.UNAPPROVED, text))
        used.update({f"approval {name}" for name in claimed} | {f"plan {digest}"})
    return found + [
        Violation(Rule.UNAPPROVED, f"{number} actions for {what}")
        for what, number in used.items()
        if number > 1
    ]


def _inner(content: Any, *keys: str) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


MARK = "kiro.dev/restarted-by"
WORKLOADS = frozenset({"deployments", "statefulsets", "daemonsets"})
_TEMPLATE = ("spec", "template", "metadata", "annotations", MARK)
_PRECONDITIONS = ("deleteOptions", "preconditions")


def _of_this_version(write: Write) -> bool:
    return all(_inner(write.body, "metadata", key) for key in ("uid", "resourceVersion"))


EVICT = Remedy(
    "Evict",
    lambda write: (write.verb, write.resource) == ("create", "pods/eviction"),
    lambda write, intent: (
        _inner(write.body, *_PRECONDITIONS, "uid") is not None
        and _inner(write.body, *_PRECONDITIONS, "uid") == _inner(intent, "spec", "pod", "uid")
    ),
    lambda write: all(_inner(write.body, *_PRECONDITIONS, key) for key in ("uid", "resourceVersion")),
)
RESTART = Remedy(
    "RolloutRestart",
    lambda write: write.verb == "patch" and write.resource in WORKLOADS,
    lambda write, intent: _inner(write.body, *_TEMPLATE) == intent["metadata"]["name"],
    _of_this_version,
)
SCALE = Remedy(
    "Scale",
    lambda write: write.verb == "patch" and write.resource in {f"{plural}/scale" for plural in WORKLOADS},
    lambda write, intent: (
        write.name == _inner(intent, "spec", "target", "name")
        and _inner(write.body, "spec", "replicas") is not None
        and _inner(write.body, "spec", "replicas") == _inner(intent, "spec", "replicas", "after")
    ),
    _of_this_version,
)
RESTORE = Remedy(
    "RestoreSafetyConfig",
    lambda write: write.resource == "configmaps" and write.verb in {"create", "patch"},
    lambda write, intent: (
        write.name == _inner(intent, "spec", "target", "name")
        and write.body.get("data")
        == json.loads(_inner(intent, "spec", "change", "patch") or "{}").get("data")
    ),
    # What is made anew has no version; its name is its fence.
    lambda write: write.verb == "create" or _of_this_version(write),
)


def _written(write: Write, *keys: str) -> Object:
    """What a write is about."""
    return {key: write.body[key] for key in keys if key in write.body}


def _recorded(intent: Object, *keys: str) -> Object:
    """What its record says that it writes."""
    patch = json.loads(_inner(intent, "spec", "change", "patch") or "{}")
    return {key: patch[key] for key in keys if key in patch}


def _patching(name: str, resource: str, *keys: str) -> Remedy:
    """It merges what its record says below these keys."""
    return Remedy(
        name,
        lambda write: (write.verb, write.resource) == ("patch", resource),
        lambda write, intent: (
            write.name == _inner(intent, "spec", "target", "name")
            and _written(write, *keys) == _recorded(intent, *keys) != {}
        ),
        _of_this_version,
    )


CONTAIN = replace(RESTORE, name="Contain")
AUTOSCALING = _patching("ChangeAutoscaling", "horizontalpodautoscalers", "spec")
RIGHT_SIZE = _patching("RightSize", "deployments", "spec")
REMOVE_UNUSED = _patching("RemoveUnused", "deployments", "spec")
ROLLBACK = _patching("Rollback", "deployments", "spec")
CHANGE_BOUNDARY = _patching("ChangeBoundary", "kirosafetypolicies", "spec")
CHANGE_THRESHOLD = _patching("ChangeThreshold", "kirohealthchecks", "spec")
RESTORE_STEERING = _patching("RestoreSteering", "configmaps", "data", "binaryData")
EDIT_STEERING = _patching("EditSteering", "configmaps", "data", "binaryData")
CHANGE_OPTIMIZATION = _patching("ChangeOptimization", "configmaps", "data", "binaryData")
RBAC = Remedy(
    "RestoreRBAC",
    lambda write: write.verb == "patch" and write.resource in {"clusterroles", "clusterrolebindings"},
    lambda write, intent: (
        write.resource == f"{_inner(intent, 'spec', 'target', 'kind').lower()}s"
        and write.name == _inner(intent, "spec", "target", "name")
        and _written(write, "rules", "subjects") == _recorded(intent, "rules", "subjects") != {}
    ),
    _of_this_version,
    namespaced=False,
)
RECONNECT = Remedy(
    "ReconnectMCP",
    lambda write: write.verb == "exec",
    lambda write, intent: (
        write.name == _inner(intent, "spec", "pod", "name")
        and write.body["command"] == _inner(intent, "spec", "command", "argv")
    ),
    # A command cannot say so: that it is sent once rests on its record alone, which is counted.
    lambda _: True,
)
