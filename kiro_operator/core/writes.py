"""What the operator's writes may hold, declared beside the code that writes.

``make rbac`` makes admission policies of these: the API server refuses the operator's ServiceAccount whatever
none of them describes, however wide a Role somebody has bound to it. Conditions are written in CEL, over
``object``, ``oldObject`` and ``request`` as Kubernetes documents them, and over ``SHARED``.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct


class Operation(StrEnum):
    """What admission calls a write. It cannot tell a patch from an update."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    """A command in a pod."""


class Must(Struct, frozen=True):
    """A condition."""

    holds: str
    """A CEL expression that has to be true."""
    otherwise: str
    """What is wrong where it is not, for whoever reads the refusal."""


class Chosen(Struct, frozen=True):
    """What an admin may widen, by a patch of the installed policy: a list, there as ``variables.<name>``."""

    name: str
    default: str
    """A CEL expression."""


class Write(Struct, frozen=True, kw_only=True):
    """One kind of write. A request passes that meets all conditions of at least one of them."""

    by: str
    """The remedy, check or part that writes so, as a refusal calls it."""
    api_version: str
    """Such as ``v1`` or ``apps/v1``."""
    resources: tuple[str, ...]
    """With the subresource, such as ``deployments/scale``."""
    operations: tuple[Operation, ...]
    musts: tuple[Must, ...]
    chosen: tuple[Chosen, ...] = ()

    @property
    def group(self) -> str:
        """The API group; empty for core."""
        return self.api_version.rpartition("/")[0]


SHARED: Mapping[str, str] = {
    "before": "request.operation == 'CREATE' ? dyn({}) : dyn(oldObject)",
    "after": "dyn(object)",
    "words": "has(object.command) && object.command != null ? object.command : []",
    # One word a line.
    "command": "variables.words.join('\\n')",
}
"""Variables of the policies, by name: the object as it was and as it would be, and a command in a pod."""
_SERVER_WRITES = {
    (): ("apiVersion", "kind", "metadata", "status"),
    ("metadata",): (
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
    ),
}
"""What the API server itself writes on the way, or lets nobody change. ``status`` is written elsewhere."""
_NAME = re.compile(r"[a-zA-Z]\w*")


def changes(*paths: tuple[str, ...]) -> tuple[Must, ...]:
    """Nothing differs from what was there but these fields; a new object has nothing else."""
    return tuple(_changes(node, paths) for node in _nodes(paths))


def consists_of(*paths: tuple[str, ...]) -> tuple[Must, ...]:
    """Nothing is in the object but these fields, whatever was there: for what is replaced as a whole."""
    return tuple(_consists_of(node, paths) for node in _nodes(paths))


def _nodes(paths: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The objects on the way to the fields, and those that the API server writes into."""
    return sorted({path[:depth] for path in paths for depth in range(len(path))} | set(_SERVER_WRITES))


def _changes(node: tuple[str, ...], paths: Iterable[tuple[str, ...]]) -> Must:
    free, told = _free(node, paths)
    after, before = _at("after", node), _at("before", node)
    return Must(
        f"{after}.all(k, {free}\n|| (k in {before}\n&& {after}[k] == {before}[k]))\n"
        f"&& {before}.all(k, {free}\n|| k in {after})",
        f"it changes {told}",
    )


def _consists_of(node: tuple[str, ...], paths: Iterable[tuple[str, ...]]) -> Must:
    free, told = _free(node, paths)
    return Must(f"{_at('after', node)}.all(k, {free})", f"it writes {told}")


def _free(node: tuple[str, ...], paths: Iterable[tuple[str, ...]]) -> tuple[str, str]:
    """Whether ``k`` is one of the fields, or on the way to one; and the same in words."""
    depth, servers = len(node), _SERVER_WRITES.get(node, ())
    mine = sorted({path[depth] for path in paths if len(path) > depth and path[:depth] == node})
    words = " and ".join(mine) if mine else "nothing"
    return (
        f"k in [{', '.join(map(cel, (*mine, *servers)))}]",
        f"{words} of {'.'.join(node) or 'the object'} alone",
    )


def _at(root: str, node: tuple[str, ...]) -> str:
    steps = "".join(f".?{key}" if _NAME.fullmatch(key) else f"[?{cel(key)}]" for key in node)
    return f"variables.{root}{steps}.orValue({{}})" if node else f"variables.{root}"


def runs(command: Sequence[str], free: Mapping[str, str] | None = None) -> tuple[Must, ...]:
    """This command and no other, word by word, and nothing is said to it.

    ``free`` says which marks in its words stand for what: a regular expression each, without line breaks.
    """
    marks = free or {}
    split = re.compile("|".join(map(re.escape, marks)) or r"(?!)")
    lines = []
    for word in command:
        plain = [re.escape(part) for part in split.split(word)]
        found = [marks[mark] for mark in split.findall(word)]
        lines.append("".join(part for pair in zip(plain, [*found, ""], strict=True) for part in pair))
    pattern = "^" + r"\n".join(lines) + "$"
    return (Must(f"variables.command.matches({cel(pattern)})", "it is another command"), *SILENT)


SILENT = (
    Must("!object.?stdin.orValue(false) && !object.?tty.orValue(false)", "nothing is said to a command"),
)
"""No input and no terminal."""


def _unprotected(place: str, told: str) -> Must:
    mark = f"variables.before{place}.?metadata.?annotations[?'kiro.dev/protected']"
    return Must(
        f"{mark}.orValue('').trim().lowerAscii()\nin ['', 'false']",
        f"{told} carries the annotation kiro.dev/protected",
    )


UNPROTECTED = _unprotected("", "it")
"""What an owner has marked is left alone, whatever the operator believes."""
UNPROTECTED_WORKLOAD = (UNPROTECTED, _unprotected(".?spec.?template", "its pod template"))
"""The same of a workload, whose owner may have marked its pods."""
ONE_KEY = Must(
    "object.?data.orValue({}).filter(k, !(k in variables.before.?data.orValue({}))\n"
    "|| object.data[k] != variables.before.data[k]).size()\n"
    "+ variables.before.?data.orValue({}).filter(k, !(k in object.?data.orValue({}))).size() <= 1",
    "it changes one key at most",
)
"""Of a ConfigMap's data."""


def listed(name: str) -> tuple[Chosen, Must]:
    """A list of namespaces, empty until the admin writes into it, and that the request is in one of them.

    For what RBAC cannot narrow: whoever may patch a workload for one remedy may do so for any other.
    """
    held = f"request.namespace in variables.{name}"
    return Chosen(name, "[]"), Must(held, f"the namespace is not among {name} of this policy")


def cel(text: str) -> str:
    """A string of CEL."""
    if "'" in text or "\n" in text:
        return json.dumps(text)
    return f"r'{text}'" if "\\" in text else f"'{text}'"
