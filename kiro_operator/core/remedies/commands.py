"""What the remedies have in common that run a command of the admin's in a pod of the MCP client."""

import re
from collections.abc import Iterable
from functools import partial

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.mcp_client import choose
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import NOT_FOUND, Command, Entry, Fence, Intent
from kiro_operator.core.redact import redact
from kiro_operator.core.remedies.types import API_VERSION, Refusal, Remedy, Request
from kiro_operator.core.snapshot import Ref, Unobserved, controller_of
from kiro_operator.core.writes import SILENT, Chosen, Must, Operation, Write

RULES: tuple[Rule, ...] = (
    Rule(
        "",
        ("pods/exec",),
        ("create", "get"),
        "run the one command that the admin has configured for the remedy",
        grant=Grant.EXEC,
    ),
)
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""Sequences of a terminal: before a word they would hide it from redaction."""
SHOWN = 300
"""Characters of a command's output that are told: its end, where errors stand."""


def admitted(action: ActionName, chosen: Chosen) -> tuple[Write, ...]:
    """The commands that admission lets a remedy run: the admin who sets its flag puts its command there."""
    listed = Must(
        f"variables.words in variables.{chosen.name}",
        f"the command is not among {chosen.name} of this policy",
    )
    return (
        Write(
            by=action,
            api_version="v1",
            resources=("pods/exec",),
            operations=(Operation.CONNECT,),
            chosen=(chosen,),
            musts=(listed, *SILENT),
        ),
    )


def remedy(action: ActionName, flag: str, title: str) -> Remedy:
    """The remedy that runs the command of a flag."""
    return Remedy(action=action, title=title, propose=partial(_propose, action, flag))


def _propose(action: ActionName, flag: str, request: Request) -> Intent | Refusal:
    """The command, in the first ready pod of the client by name."""
    if not request.command:
        message = f"the operator has no command for {action}: the admin sets its flag {flag}"
        return Refusal("CommandNotConfigured", message, lasting=True)
    snapshot, target = request.snapshot, request.target
    client = snapshot.own.mcp.client if snapshot.own.mcp else None
    if client is None:
        return Refusal("ClientNotConfigured", "spec.mcp.client is not set any more", lasting=True)
    if isinstance(snapshot.pods, Unobserved):
        return Refusal("EvidenceMissing", f"pods: {snapshot.pods.message}", lasting=False)
    mine = [pod for pod in snapshot.pods if controller_of(pod, snapshot) == target]
    chosen = choose(mine, client)
    if chosen is None:
        where = f" with container {client.container}" if client.container else ""
        return Refusal("NoReadyPod", f"no pod{where} of {named(target)} is ready", lasting=False)
    pod, container = chosen
    want = request.wanted[0]
    return Intent(
        action=action,
        method=Method.EXEC,
        target=target,
        api_version=API_VERSION,
        fence=Fence(pod.metadata.uid, pod.metadata.resource_version),
        check=want.check,
        reason=want.finding.reason,
        message=want.message,
        episode=request.episode,
        step=request.step,
        timeout=request.timeout,
        stabilization=request.stabilization,
        pod=Ref("Pod", pod.metadata.name, pod.metadata.uid),
        command=Command(request.command, container),
    )


def not_found(tried: Iterable[Entry]) -> Refusal | None:
    """Why no graver step follows what was tried: a command of it does not exist, so that nothing was run."""
    missing = [entry for entry in tried if entry.reason == NOT_FOUND]
    if not missing:
        return None
    message = (
        f"{missing[-1].action} ran nothing, for the container has no such program: correct the operator's "
        "flag or spec.mcp.client.container, and run the command by hand; nothing graver is done instead"
    )
    return Refusal(NOT_FOUND, message, lasting=True)


def told(status: int, output: bytes, *, whole: bool) -> str:
    """What came of a command, as it may go on record; of output that was cut off nothing is shown.

    All of it is redacted before it is cut, and after what is not printed has gone: half a credential
    would not be known for one.
    """
    if not whole:
        return "the command was run, and writes more than is read of it"
    ended = f"the command ended with exit status {status}"
    if not status:
        return ended
    text = _COLOURS.sub("", output.decode(errors="replace"))
    words = " ".join(redact("".join(filter(_is_told, text))).split())
    return f"{ended}: {words[-SHOWN:]}" if words else ended


def _is_told(letter: str) -> bool:
    return letter.isprintable() or letter in "\n\t"
