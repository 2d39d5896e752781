"""Documents from a pod's file system: one command, without a shell, and what it prints.

``find`` runs three programs on each file: ``stat`` for its mode, ``head`` for its content, and ``echo`` when
``head`` could read it. A word that nobody can guess stands before what ``stat`` and ``echo`` print, so
that no content can be taken for it. All are in busybox as well.
"""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from kiro_operator.adapters.steering.config_maps import document
from kiro_operator.core.evidence.steering import HOOKS_FOLDER, MCP_SETTINGS, STEERING_FOLDER, Document
from kiro_operator.core.writes import Operation, Write, runs

_HEADER = re.compile(rb" ([0-7]{1,5}) (\d{1,10}) (\d{1,10}) (\d{1,15}) ([^\n]{1,4096})\n")
_READ = b" read\n"
_CLOSED = re.compile(rb"(\.kiro/(?:steering|hooks|settings))/?\W{0,4}: Permission denied")
_PRUNED = (".git", "node_modules", ".venv", "__pycache__", "vendor")


class Found(Struct, frozen=True):
    """What one pod holds."""

    documents: tuple[Document, ...] = ()
    failure: str = ""
    """Why the output cannot be trusted to be all; in the words of the container."""


def command(root: str, word: str, limit: int | str) -> list[str]:
    """The command that prints the documents below a root, each up to so many bytes."""
    below = "" if root == "/" else root
    folders = [f"{below}/.kiro/{name}" for name in ("steering", "hooks", "settings")]
    wanted = [
        *("(", "(", "-path", "*/.kiro/steering/*", "-name", "*.md", ")"),
        *("-o", "-path", "*/.kiro/hooks/*", "-o", "-name", "mcp.json", ")"),
    ]
    return [
        *("find", "-L", *folders, "-maxdepth", "1", "-type", "f", *wanted),
        *("-exec", "stat", "-L", "-c", f"{word} %a %u %g %s %n", "{}", ";"),
        *("-exec", "head", "-c", str(limit), "{}", ";"),
        *("-exec", "echo", f"{word} read", ";"),
    ]


def listing(root: str) -> list[str]:
    """The command that lists the files of the workspace."""
    pruned = [part for name in _PRUNED for part in ("-o", "-name", name)][1:]
    return ["find", root, "-maxdepth", "16", "(", *pruned, ")", "-prune", "-o", "!", "-type", "d", "-print"]


_FREE = {"<root>": r"(\.|/[^\n]*)?", "<word>": "kiro-[0-9a-f]+", "<limit>": "[0-9]+"}
ADMITTED = tuple(
    Write(by=by, api_version="v1", resources=("pods/exec",), operations=(Operation.CONNECT,), musts=musts)
    for by, musts in (
        ("steering-documents", runs(command("<root>", "<word>", "<limit>"), _FREE)),
        ("steering-workspace", runs(listing("<root>"), {"<root>": r"(\.|/[^\n]*)"})),
    )
)


def parse(output: bytes, errors: bytes, *, root: str, word: str, origin: str, limit: int) -> Found:
    """The documents in what the command printed."""
    prefix = "/" if root == "/" else f"{root}/"
    parts = output.split(word.encode())
    documents: list[Document] = []
    for number, part in enumerate(parts):
        header = _HEADER.match(part)
        if header is None:
            continue
        mode, uid, gid, size = int(header[1], 8), int(header[2]), int(header[3]), int(header[4])
        path = header[5].decode("utf-8", "replace").removeprefix(prefix)
        if not _wanted(path):
            continue
        was_read = parts[number + 1 : number + 2] == [_READ]
        body = part[header.end() :]
        read = document(path, body, origin, limit=limit, size=max(size, len(body)) if was_read else len(body))
        documents.append(msgspec.structs.replace(read, readable=was_read, mode=mode, uid=uid, gid=gid))
    closed = [
        Document(f"{match[1].decode()}/", origin=origin, readable=False) for match in _CLOSED.finditer(errors)
    ]
    failure = "" if documents or closed else _failure(errors)
    return Found((*documents, *closed), failure)


def paths(output: bytes, root: str, most: int) -> tuple[str, ...] | None:
    """The files that the listing names, relative to the root; None when they are too many."""
    prefix = "/" if root == "/" else f"{root}/"
    lines = output.decode("utf-8", "replace").split("\n")
    if len(lines) > most:
        return None
    return tuple(sorted({line.removeprefix(prefix) for line in lines if line}))


def _wanted(path: str) -> bool:
    if len(path) > 200 or not path.isprintable() or path.count("/") != MCP_SETTINGS.count("/"):
        return False
    if path.startswith(STEERING_FOLDER):
        return path.endswith(".md")
    return path == MCP_SETTINGS or path.startswith(HOOKS_FOLDER)


def _failure(errors: bytes) -> str:
    """What the container said that is not about a folder that is not there."""
    lines: Sequence[str] = errors.decode("utf-8", "replace").splitlines()
    return next((line for line in lines if line.strip() and "/.kiro/" not in line), "")
