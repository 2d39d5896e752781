"""Whether two documents that Kiro includes for some files only are ever included together.

What decides is the list of the workspace's files. Without it only what the patterns themselves prove
counts: that all that one matches is matched by the other as well.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from functools import cached_property
from itertools import islice, product, takewhile

from msgspec import Struct

from kiro_operator.core.steering.globs import PATTERNS, Token, alternatives, covers, fits

STEPS = 200_000
"""Steps that holding patterns against files may take for all documents together, and against each other."""
ALTERNATIVES = 64
"""Patterns of one document that are looked at, braces written out."""


class Meeting(StrEnum):
    """How the files of two documents lie to each other."""

    NONE = "none"
    """No file is known for which both are included."""
    NARROWER = "narrower"
    """One is for some of the other's files only, and may well be an exception to it."""
    CROSSING = "crossing"
    """They have files in common, and neither is an exception to the other."""


class Met(Struct, frozen=True):
    """How two documents meet, and a file for which they do."""

    meeting: Meeting
    path: str = ""
    """Empty: it is the patterns that tell."""


class _OutOfStepsError(Exception):
    """What is left cannot be told in time."""


class _Glob(Struct, frozen=True):
    """One pattern, and what a path has to begin and end with."""

    tokens: list[Token]
    begin: str
    end: str
    plain: bool
    """What begins and ends so is matched."""


class Scopes:
    """Holds the patterns of documents against each other, within bounds for all of them together."""

    def __init__(self, workspace: Collection[str] | None) -> None:
        """``workspace`` are the files there are; None: nobody knows them."""
        self._workspace = workspace
        self._known: dict[tuple[str, ...], list[_Glob]] = {}
        self._for_files, self._for_patterns = _Steps(STEPS), _Steps(STEPS)

    def meet(self, one: tuple[str, ...], other: tuple[str, ...]) -> Met:
        """How the documents with these patterns meet; what takes too long to tell counts as never."""
        if not set(one).isdisjoint(other):
            return Met(Meeting.CROSSING)
        mine, its = self._globs(one), self._globs(other)
        with suppress(_OutOfStepsError):
            if self._paths:
                return self._by_files(mine, its)
        with suppress(_OutOfStepsError):
            if self._by_patterns(mine, its):
                return Met(Meeting.NARROWER)
        return Met(Meeting.NONE)

    def _globs(self, patterns: tuple[str, ...]) -> list[_Glob]:
        if patterns not in self._known:
            written = (tokens for one in patterns[:PATTERNS] for tokens in alternatives(one))
            self._known[patterns] = [_glob(tokens) for tokens in islice(written, ALTERNATIVES)]
        return self._known[patterns]

    @cached_property
    def _paths(self) -> list[str]:
        return sorted(self._workspace or ())

    def _by_files(self, mine: Sequence[_Glob], its: Sequence[_Glob]) -> Met:
        both, alone = "", set[str]()
        for path in self._paths:
            first, second = self._any(mine, path), self._any(its, path)
            if first and second:
                both = both or path
            elif first or second:
                alone.add("first" if first else "second")
            if both and len(alone) == 2:
                break
        if not both:
            return Met(Meeting.NONE)
        return Met(Meeting.NARROWER if len(alone) == 1 else Meeting.CROSSING, both)

    def _any(self, globs: Iterable[_Glob], path: str) -> bool:
        return any(self._fits(one, path) for one in globs)

    def _fits(self, glob: _Glob, path: str) -> bool:
        self._for_files.take(1)
        begin, end = glob.begin, glob.end
        if not (path.startswith(begin) and path.endswith(end) and len(path) >= len(begin) + len(end)):
            return False
        if glob.plain:
            return True
        self._for_files.take(len(path) * len(glob.tokens))
        return fits(glob.tokens, path)

    def _by_patterns(self, mine: Sequence[_Glob], its: Sequence[_Glob]) -> bool:
        """Whether a pattern of one covers a pattern of the other."""
        for one, other in product(mine, its):
            self._for_patterns.take(2 * len(one.tokens) * len(other.tokens))
            if covers(one.tokens, other.tokens) or covers(other.tokens, one.tokens):
                return True
        return False


class _Steps:
    """Steps that may still be taken."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise _OutOfStepsError


def _glob(tokens: list[Token]) -> _Glob:
    begin = _literal(tokens)
    rest = tokens[len(begin) :]
    end = _literal(rest[::-1])[::-1]
    middle = [kind for kind, _ in rest[: len(rest) - len(end)]]
    names = middle == ["**/", "*"] and "/" not in end and begin[-1:] in {"", "/"}
    return _Glob(tokens, begin, end, names or middle == ["**"])


def _literal(tokens: Sequence[Token]) -> str:
    """The characters before the first token that may stand for others."""
    return "".join(character for _, character in takewhile(lambda token: token[0] == "=", tokens))
