"""What a plan is, as a person decides on it, and what KiroApprovals say of it.

A KiroApproval is bound to the plan's digest, and everything that a person would want to know is in the
digest. The episode and the step are, so that each action is decided on by itself; and the time since when
the target has been in need, so that a decision on one illness says nothing about the next. Versions are
not, nor anything else that changes while the plan stays what it is.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.approval import LONGEST
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.objects import Approval, DaemonSet, StatefulSet, Workload
from kiro_operator.core.policy.text import named, stamp
from kiro_operator.core.policy.types import Intent, Ledger
from kiro_operator.core.snapshot import Ref, Unobserved
from kiro_operator.core.told import line, words

DEFAULT_GATE = "operator-approver"
"""Where a Manual action waits that no gate of the policy lists."""

_SHOWN = 240
"""Characters of a difference or a command in what is told of a plan; the digest is over all of it."""
_SIGN = re.compile(r"^[+-](?=[0-9])", re.MULTILINE)
"""What a line of a difference begins with; right before digits it would make another number of them."""

UNPROTECTED = "ApprovalUnprotected"
"""Reason of approvals that anybody could have forged."""


class OnlyDenials(Unobserved, frozen=True):
    """Why no approval counts, where denials are known all the same: those count whoever made them."""

    denials: tuple[Approval, ...] = ()


def _known(approvals: Sequence[Approval] | Unobserved) -> Sequence[Approval]:
    """Those that count."""
    if isinstance(approvals, OnlyDenials):
        return approvals.denials
    return () if isinstance(approvals, Unobserved) else approvals


def sealed(intent: Intent, workload: Workload | None, since: datetime) -> Intent:
    """The intent with the digest that a person decides on, and the time since when it is called for."""
    facts = {
        "action": intent.action,
        "method": intent.method,
        "target": _identity(intent.target),
        "revision": revision(workload) if workload else "",
        "pod": _identity(intent.pod) if intent.pod else None,
        "replicas": intent.replicas,
        "change": intent.change.patch if intent.change else None,
        "command": [intent.command.container, *intent.command.argv] if intent.command else None,
        "check": intent.check,
        "reason": intent.reason,
        "episode": intent.episode,
        "step": intent.step,
        "since": stamp(since),
    }
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return replace(intent, digest=hashlib.sha256(text.encode()).hexdigest(), since=since)


def _identity(ref: Ref) -> list[str]:
    return [ref.kind, ref.name, ref.uid]


def revision(workload: Workload) -> str:
    """Which pod template is in force. A generation would do, but autoscalers raise it all the time."""
    if isinstance(workload, DaemonSet):
        return str(workload.metadata.generation)
    if isinstance(workload, StatefulSet):
        return workload.status.update_revision
    return workload.metadata.annotations.revision


def change(intent: Intent) -> str:
    """What exactly would be done, for a person: on one line, whatever others wrote of it."""
    what = f"{intent.method} of {named(intent.target)}"
    if intent.pod is not None:
        what += f": {named(intent.pod)}"
    if intent.command is not None:
        what += f", container {intent.command.container}: {_cut(shlex.join(intent.command.argv))}"
    if intent.replicas is not None:
        what += f": from {intent.replicas[0]} to {intent.replicas[1]} replicas"
    if intent.change is not None:
        what += f": {difference(intent.action, intent.change.diff)}"
    if intent.proposed and intent.digest:
        what += f" (patch and undo: KiroRemediation {intent.name})"
    return line(words(what, people=True))


def difference(action: ActionName, diff: str) -> str:
    """What is changed, as it may be told: the record has it as it is.

    Who is to be bound to a role has to be seen by whoever approves it; all else may be anybody's words.
    """
    apart = _SIGN.sub(r"\g<0> ", diff)
    # Before it is cut: half of an address is known for none.
    return _cut(line(words(apart, people=action is ActionName.RESTORE_RBAC)))


def _cut(text: str) -> str:
    return text[:_SHOWN] + "…" if len(text) > _SHOWN else text


def gates_of(intent: Intent, policy: KiroSafetyPolicySpec) -> tuple[str, ...]:
    """The gates at which an action waits: none when it is Automatic, else each that lists it."""
    listed = [item.approval for item in policy.actions if item.name is intent.action]
    # The API refuses Automatic for a proposal; one that is stored all the same means nothing.
    if listed and not intent.proposed and all(approval == "Automatic" for approval in listed):
        return ()
    named_here = (
        item.name
        for item in policy.approval_gates
        if intent.action.lower() in {action.lower() for action in item.actions}
    )
    return tuple(sorted(named_here)) or (DEFAULT_GATE,)


def denial(digest: str, approvals: Sequence[Approval] | Unobserved) -> Approval | None:
    """The denial of a plan, at whichever gate: a policy that asks elsewhere, or nobody, takes none back."""
    if not digest:
        return None
    found = (item for item in _known(approvals) if item.spec.plan.digest == digest and not item.approves)
    return min(found, key=lambda item: item.metadata.name, default=None)


def by(approval: Approval) -> str:
    """Who decided at which gate, and why, as it may be told."""
    spec = approval.spec
    who, why = line(words(spec.decided_by, people=True)), line(words(spec.reason))
    return f"at gate {spec.gate} by {who} (KiroApproval {approval.metadata.name}): {why}"


class Standing(Struct, frozen=True):
    """What has been decided on a plan at one gate."""

    gate: str
    state: Literal["Waiting", "Approved", "Denied"]
    approval: Approval | None = None
    """The KiroApproval that says so."""
    note: str = ""
    """Why what is there does not count, while it waits."""


def standing(
    gate: str,
    intent: Intent,
    approvals: Sequence[Approval] | Unobserved,
    ledger: Ledger,
    now: datetime,
) -> Standing:
    """What counts at a gate: a denial for good, an approval once and until it expires."""
    if not intent.digest:
        return Standing(gate, "Waiting")
    known = _known(approvals)
    mine = [item for item in known if item.spec.gate == gate and item.spec.plan.digest == intent.digest]
    mine.sort(key=lambda item: item.metadata.name)
    for item in mine:
        if not item.approves:
            return Standing(gate, "Denied", item)
    moment = _latest(mine, ledger, now)
    used = {uid: entry.name for entry in ledger.entries for uid in entry.approvals}
    note = ""
    for item in mine:
        note = _flaw(item, intent, used.get(item.metadata.uid, ""), moment)
        if not note:
            return Standing(gate, "Approved", item)
    return Standing(gate, "Waiting", note=note)


def _flaw(approval: Approval, intent: Intent, used: str, moment: datetime) -> str:
    """Why an approval of this very plan does not count; empty when it does."""
    name, expires = f"KiroApproval {approval.metadata.name}", approval.expiry(LONGEST)
    if approval.spec.plan.target.uid != intent.target.uid:
        return f"{name} names another target"
    if approval.metadata.deletion_timestamp is not None:
        return f"{name} is being deleted"
    if used:
        return f"{name} was used by {used}"
    if expires is None:
        return f"{name} does not say when it expires, within 24 hours of its creation"
    if expires <= moment:
        return f"{name} expired at {stamp(expires)}"
    return ""


def _latest(approvals: Iterable[Approval], ledger: Ledger, now: datetime) -> datetime:
    """The time it is at least: a clock that was set back brings no expired approval to life."""
    times = [item.metadata.creation_timestamp or now for item in approvals]
    return max([now, *times, *(entry.ended_at for entry in ledger.entries)])


def command(gate: str, intent: Intent, namespace: str) -> str:
    """The command by which whoever may do so approves a plan for an hour."""
    target = intent.target
    who = "$(kubectl auth whoami -o jsonpath={.status.userInfo.username})"
    return (
        'echo "{apiVersion: kiro.dev/v1alpha1, kind: KiroApproval, metadata: {generateName: approve-, '
        f"namespace: {namespace}}}, spec: {{gate: {gate}, decision: Approve, decidedBy: '{who}', "
        f"reason: 'WHY', expiresAt: '$(date -u -d 1hour +%FT%TZ)', plan: {{digest: '{intent.digest}', "
        f"target: {{kind: {target.kind}, name: '{target.name}', uid: '{target.uid}'}}}}}}}}\" "
        "| kubectl create -f -"
    )
