"""Kiro's own list of MCP servers held against those that a KiroHealthCheck lists.

Whom the operator connects to is for the KiroHealthCheck and the admin to say, never for a document: what
is in the file and not in the spec is told, with what to write (docs/adr/0012-mcp-settings.md).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from kiro_operator.core import mcp
from kiro_operator.core.evidence.mcp import MCP_SESSIONS, McpSession
from kiro_operator.core.evidence.steering import MCP_SETTINGS, STEERING, Document
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.steering import mcp_settings
from kiro_operator.core.steering.judging import of_problems, since
from kiro_operator.core.steering.mcp_settings import Server, Settings, Url
from kiro_operator.core.steering.problems import Problem
from kiro_operator.core.verdict import Finding

TOTAL = 65_536
"""Characters of all such files that are judged together."""

_REFUSED = "which current Kiro refuses: use https"
_LAST = ("ServerNotListed", "PlainHttp")
"""Reasons that come after what is wrong with the file itself, in this order."""
_TOO_MUCH = Problem(
    1,
    1,
    "TooLargeJson",
    f"not read: it and those before it have more than {TOTAL} characters",
    warning=True,
)
_NO_LABEL = re.compile(r"[^a-z0-9.-]+")
_CLUSTER = ".cluster.local"


class Listing(Struct, frozen=True):
    """What the file tells."""

    findings: tuple[Finding, ...] = ()
    """Worth a warning, none of them a fault of a server that is asked."""
    read: bool = False
    """Whether there was a file to read."""


def held_against(sessions: Sequence[McpSession], snapshot: Snapshot, now: datetime) -> Listing:
    """Hold the servers of the file against those that were asked."""
    findings: list[Finding] = []
    decided: set[str] = set()
    documents = _documents(snapshot)
    room = TOTAL
    for document in documents:
        began = since(document, snapshot, now)
        room -= len(document.text)
        settings = _read(document) if room >= 0 else Settings(problems=(_TOO_MUCH,))
        if settings.problems:
            findings.append(of_problems(document, settings.problems, began))
        for server in settings.servers:
            session = _asked(server, sessions, snapshot.namespace)
            if session and (server.url or server.local or server.disabled):
                decided.add(session.server)  # how Kiro itself reaches it is known
            if server.local or server.disabled or (server.url and server.url.local):
                continue  # mcp-connection tells of those, in the pod
            place = f"{MCP_SETTINGS} ({document.origin}), line {server.line}, column {server.column}"
            if session is None:
                words = f"{place}: {_to_list(server, snapshot.namespace)}"
                findings.append(mcp.finding(label(server.name), "ServerNotListed", words, began))
            if server.url and server.url.scheme == "http":
                name = session.server if session else label(server.name)
                words = f"{place}: its url is plain http to another host, {_REFUSED}"
                findings.append(mcp.finding(name, "PlainHttp", words, began))
    at = snapshot.sampled_at(MCP_SESSIONS, now)
    for session in sessions:
        if session.plain and session.server not in decided:
            words = f"{session.url} is plain http to another host, {_REFUSED}"
            findings.append(mcp.finding(session.server, "PlainHttp", words, at))
    return Listing(tuple(_once(findings)), bool(documents))


def label(name: str) -> str:
    """The name of a server as a KiroHealthCheck can have it."""
    return _NO_LABEL.sub("-", name.lower())[:63].strip("-.") or "server"


def _documents(snapshot: Snapshot) -> list[Document]:
    """The files that were read, each content once."""
    steering = snapshot.value(STEERING)
    if isinstance(steering, Unobserved):
        return []
    found: dict[str, Document] = {}
    for one in sorted(steering.documents, key=lambda one: one.origin):
        if one.path == MCP_SETTINGS and one.readable:
            found.setdefault(one.digest, one)
    return list(found.values())


def _read(document: Document) -> Settings:
    if document.invalid_at is not None:
        words = f"byte {document.invalid_at + 1} is no UTF-8"
        return Settings(problems=(Problem(1, 1, "InvalidJson", words, warning=True),))
    return mcp_settings.read(document.text)


def _asked(server: Server, sessions: Iterable[McpSession], namespace: str) -> McpSession | None:
    """The session with a server, known by its name or by where it is."""
    names = {server.name, label(server.name)}
    wanted = _where(server.url, namespace)
    for session in sessions:
        if session.server in names:
            return session
        if wanted and _where(mcp_settings.url_of(session.url), namespace) == wanted:
            return session
    return None


def _where(url: Url | None, namespace: str) -> tuple[str, int, str] | None:
    return None if url is None else (_host(url.host, namespace), url.port, url.path)


def _host(host: str, namespace: str) -> str:
    """A host under the one name that it is compared by: of a Service its name, namespace and svc."""
    host = host.removesuffix(_CLUSTER)
    if "." not in host and ":" not in host:
        return f"{host}.{namespace}.svc"
    return f"{host}.svc" if host.count(".") == 1 and host.endswith(f".{namespace}") else host


def _to_list(server: Server, namespace: str) -> str:
    """What to add to the spec, so that the server is asked as well."""
    name = f"name: {label(server.name)}"
    if server.url is None:
        return (
            "Kiro uses it and spec.mcp.servers does not list it; its url holds what only Kiro can fill in: "
            f"add it there with {name} and the service, or host and port, that this stands for"
        )
    url = server.url
    host = _host(url.host, namespace)
    scheme = ", scheme: https" if url.scheme == "https" else ""
    # The path may hold a secret, as that of a webhook does.
    path = "" if url.path == "/mcp" else ", with the path of its url as mcpPath"
    own = host.removesuffix(f".{namespace}.svc")
    if own != host and "." not in own:
        entry = f"{{{name}, service: {{name: {own}, port: {url.port}}}{scheme}}}"
        return f"Kiro uses it and spec.mcp.servers does not list it: add {entry} there{path}"
    entry = f"{{{name}, host: {host}:{url.port}{scheme}}}"
    return (
        f"Kiro uses it and spec.mcp.servers does not list it: add {entry} there{path}, and have the admin "
        f"start the operator with --allow-host {host}:{url.port}"
    )


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """One finding for each object and reason, the gravest reason first."""
    kept: dict[tuple[int, str, str], Finding] = {}
    for finding in findings:
        rank = _LAST.index(finding.reason) if finding.reason in _LAST else -1
        kept.setdefault((rank, finding.object.name, finding.reason), finding)
    return (kept[key] for key in sorted(kept))
