"""The operator's mutations, as the proxy sees them: what a fault is aimed at.

A mutation is told by what it writes and how often that was written before, not by its place among all:
writes of different kinds do not wait for each other, and change places from run to run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from devcluster.proxy_faults import Request

PATH = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/[^/]+/(?:namespaces/[^/]+/)?"
    r"(?P<plural>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?$"
)
"""Of a request about objects: their group, plural, name and subresource."""
ASKED = frozenset({"subjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"})
"""Questions that are put by a POST: nothing is kept of them."""
# The Lease is renewed by the clock, and Events are told when there is time for it.
_UNCOUNTED = frozenset({"leases", "events"}) | ASKED
_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


EXEC = "EXEC pods"
"""Kind of a command that is run in a pod: a GET, by its method."""


def commanded(query: str) -> list[str]:
    """The command that a request for exec has run."""
    return parse_qs(query).get("command", [])


def looks(command: Sequence[str]) -> bool:
    """Whether a command looks, and changes nothing."""
    return "test-connection" in command or command[:1] == ["tail"]


@dataclass(frozen=True)
class Mutation:
    """The n-th write of a kind in a run.

    Attributes:
        kind: Method, plural and subresource.
        number: Counted from 1.
    """

    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.kind} #{self.number}"

    def matcher(self) -> Callable[[Request], bool]:
        """A predicate for one fault of the proxy: it counts the requests that it is asked about."""
        seen = 0

        def fits(request: Request) -> bool:
            nonlocal seen
            if kind_of(request) != self.kind:
                return False
            seen += 1
            return seen == self.number

        return fits


def kind_of(request: Request) -> str:
    """Of a mutation; empty for a request that is none."""
    found = PATH.match(request.path)
    if found and found["sub"] == "exec" and not looks(commanded(request.query)):
        return EXEC
    if "dryRun" in request.query:
        return ""
    if request.method not in _METHODS or found is None or found["plural"] in _UNCOUNTED:
        return ""
    return f"{request.method} " + "/".join(filter(None, (found["plural"], found["sub"])))


def recorded(requests: Iterable[Request]) -> list[Mutation]:
    """The mutations of a run, in order."""
    count: Counter[str] = Counter()
    found = []
    for kind in filter(None, map(kind_of, requests)):
        count[kind] += 1
        found.append(Mutation(kind, count[kind]))
    return found
