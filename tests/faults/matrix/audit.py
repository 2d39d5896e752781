"""What an account wrote, or had run, from the API server's audit log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from tests.faults.matrix.mutations import ASKED, commanded, looks

Object = dict[str, Any]
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
FIRST_REFUSAL = 300


@dataclass(frozen=True)
class Write:
    """One request that changed something: the API server accepted it."""

    verb: str
    resource: str
    """Plural, and subresource after a slash."""
    namespace: str
    """Empty for what has none."""
    name: str
    at: datetime
    body: Object = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.namespace}/{self.name}"


def accepted(events: Iterable[Object], account: str) -> list[Write]:
    """The writes of an account (`system:serviceaccount:…`) that were accepted, oldest first.

    A command that was run in a pod is one as well, with the verb exec, whatever its method was.
    """
    found: dict[str, Write] = {}
    for event in events:
        url = urlsplit(event.get("requestURI", ""))
        command = commanded(url.query) if url.path.endswith("/exec") else []
        if event["user"]["username"] != account or "dryRun" in url.query or looks(command):
            continue
        if event["verb"] not in WRITES and not command:
            continue
        if int(event.get("responseStatus", {}).get("code", 0)) >= FIRST_REFUSAL:
            continue
        reference, body = event.get("objectRef", {}), event.get("requestObject") or {}
        if reference.get("resource") in ASKED:
            continue
        resource = "/".join(filter(None, (reference.get("resource", ""), reference.get("subresource", ""))))
        # What lasts is told of when it begins and when it ends.
        found[event.get("auditID", str(len(found)))] = Write(
            "exec" if command else event["verb"],
            resource,
            reference.get("namespace", ""),
            reference.get("name") or body.get("metadata", {}).get("name", ""),
            datetime.fromisoformat(event["requestReceivedTimestamp"]),
            {"command": command} if command else body,
        )
    return sorted(found.values(), key=lambda write: write.at)
