"""Patterns for paths, as ``fileMatchPattern`` takes them: ``*``, ``**``, ``?``, ``[a-z]`` and ``{a,b}``.

Matched without backtracking over paths: the time is bounded by the lengths of pattern and path.
"""

import re
from collections.abc import Iterable
from itertools import islice

from kiro_operator.core.steering.problems import quoted

LONGEST = 256
"""Characters of a pattern."""
ALTERNATIVES = 64
"""Patterns that braces may stand for."""
PATTERNS = 64
"""Patterns of one document that are held against files."""
STEPS = 600_000
"""Steps that this may take, for all documents together."""
_BRACES = re.compile(r"\{[^{}]*\}")
_SPECIAL = re.compile(r"[*?\[\]/]")

Token = tuple[str, str]
"""``("*", "")``, ``("**", "")``, ``("?", "")``, a set, or a literal character."""


def fault(pattern: str) -> str:
    """Why a pattern matches nothing that its author meant; empty when nothing is wrong."""
    if len(pattern) > LONGEST:
        return f"is longer than {LONGEST} characters"
    depth = 0
    for character in pattern:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return f"{quoted(pattern)} closes a brace that is not open"
        if character == "," and not depth:
            return f"{quoted(pattern)} has a comma outside of braces, which is part of a name: write a list"
    if depth:
        return f"{quoted(pattern)} leaves a brace open"
    if pattern.count("[") > pattern.count("]"):
        return f"{quoted(pattern)} leaves a [ open"
    if expand(pattern) is None:
        return f"{quoted(pattern)} stands for more than {ALTERNATIVES} patterns"
    return ""


def dead(patterns: Iterable[str], workspace: Iterable[str], steps: int = STEPS) -> list[str]:
    """The patterns that match none of the files; what is beyond ``PATTERNS`` and the steps is not judged."""
    paths = list(workspace)
    left = steps
    found: list[str] = []
    for pattern in islice(patterns, PATTERNS):
        for one in expand(pattern) or ():
            anywhere = _anywhere(one)
            tokens, end = _tokens(anywhere), _SPECIAL.split(anywhere)[-1]
            left -= len(paths)
            if left < 0:
                return found
            # What ends otherwise needs no closer look.
            for path in (path for path in paths if path.endswith(end)):
                left -= len(path) * len(tokens)
                if left < 0:
                    return found
                if fits(tokens, path):
                    break
            else:
                continue
            break
        else:
            found.append(pattern)
    return found


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern matches a path, relative to the workspace.

    A pattern without a slash is for names in any folder.
    """
    return any(fits(tokens, path) for tokens in alternatives(pattern))


def alternatives(pattern: str) -> list[list[Token]]:
    """The tokens of each pattern that the braces stand for; none when they are too many."""
    return [_tokens(_anywhere(one)) for one in expand(pattern) or ()]


def expand(pattern: str) -> list[str] | None:
    """The patterns that the braces stand for; None when they are too many."""
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        if len(done) + len(waiting) > ALTERNATIVES:
            return None
        one = waiting.pop()
        inner = _innermost(one)
        if inner is None:
            done.append(one)
            continue
        begin, end = inner
        waiting += [one[:begin] + part + one[end + 1 :] for part in one[begin + 1 : end].split(",")]
    return done


def _innermost(pattern: str) -> tuple[int, int] | None:
    match = _BRACES.search(pattern)
    return None if match is None else (match.start(), match.end() - 1)


def _anywhere(pattern: str) -> str:
    pattern = pattern.removeprefix("./").removeprefix("/")
    return pattern if "/" in pattern else f"**/{pattern}"


def _tokens(pattern: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            tokens.append(("**/", ""))
            at += 3
        elif pattern.startswith("**", at):
            tokens.append(("**", ""))
            at += 2
        elif pattern[at] in "*?":
            tokens.append((pattern[at], ""))
            at += 1
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            tokens.append(("[", pattern[at + 1 : end]))
            at = end + 1
        else:
            tokens.append(("=", pattern[at]))
            at += 1
    return tokens


def fits(tokens: list[Token], path: str) -> bool:
    """Whether a path is matched.

    All places in the tokens that can be reached are followed at once, a character at a time.
    """
    reached = _skipping(tokens, {0})
    for character in path:
        following = {
            after for at in reached if at < len(tokens) for after in _after(tokens[at], at, character)
        }
        reached = _skipping(tokens, following, inside=character != "/")
        if not reached:
            return False
    return len(tokens) in reached


def covers(wide: list[Token], narrow: list[Token]) -> bool:
    """Whether all that the narrow pattern matches is surely matched by the wide one as well.

    The wide one reads the tokens of the narrow one as it would read characters, and only where that is
    right whatever they stand for. So it may miss that one covers the other, and never errs otherwise.
    """
    inside = False
    reached = _skipping(wide, {0})
    for token in narrow:
        following = {after for at in reached if at < len(wide) for after in _behind(wide[at], at, token)}
        # **/ may stand for nothing, and then nothing has changed.
        inside = inside if token[0] == "**/" else token != ("=", "/")
        reached = _skipping(wide, following, inside=inside)
    return len(wide) in reached


def _behind(token: Token, at: int, read: Token) -> tuple[int, ...]:
    """The places in the tokens behind all that one token of another pattern may stand for."""
    kind = token[0]
    if read[0] == "=":
        return _after(token, at, read[1])
    if kind in {"**", "**/"}:
        return (at,)
    if kind == "*":
        return (at,) if read[0] in {"*", "?", "["} else ()
    single = read[0] in {"?", "["}
    return (at + 1,) if single and (kind == "?" or token == read) else ()


def _after(token: Token, at: int, character: str) -> tuple[int, ...]:
    """The places in the tokens behind one character."""
    kind, argument = token
    if kind == "**":
        return (at,)
    if kind == "**/":
        return (at, at + 1) if character == "/" else (at,)
    if kind == "*":
        return (at,) if character != "/" else ()
    return (at + 1,) if _one(kind, argument, character) else ()


def _skipping(tokens: list[Token], reached: set[int], *, inside: bool = False) -> set[int]:
    """With the places behind what may match nothing."""
    found = set(reached)
    waiting = list(reached)
    while waiting:
        at = waiting.pop()
        if at == len(tokens) or at + 1 in found:
            continue
        kind = tokens[at][0]
        # Within a name, **/ goes on only after the next slash.
        if kind in {"*", "**"} or (kind == "**/" and not inside):
            found.add(at + 1)
            waiting.append(at + 1)
    return found


def _one(kind: str, argument: str, character: str) -> bool:
    if kind == "?":
        return character != "/"
    if kind == "[":
        negated = argument[:1] in {"!", "^"}
        return character != "/" and _in_set(argument[1:] if negated else argument, character) != negated
    return argument == character


def _in_set(members: str, character: str) -> bool:
    at = 0
    while at < len(members):
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            if members[at] <= character <= members[at + 2]:
                return True
            at += 3
        else:
            if members[at] == character:
                return True
            at += 1
    return False
