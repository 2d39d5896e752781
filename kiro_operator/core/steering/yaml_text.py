"""YAML that nobody vouches for: its size, depth and repetitions are bounded before anything is built.

An alias can make a small text a huge value, so none is followed.
"""

import re
from typing import Any

import yaml
from msgspec import Struct

from kiro_operator.core.steering.problems import Problem, place, within, within_lines

SIZE = 65_536
"""Characters of a text."""
DEPTH = 32
"""Collections within each other."""
NODES = 256
"""Scalars and collections."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What libyaml refuses anywhere in a text; told apart so that the place can be told.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Loaded(Struct, frozen=True):
    """A value, and where its first keys are."""

    value: Any = None
    keys: dict[str, tuple[int, int]] = {}
    """Line and column of each key of the outermost mapping."""
    values: dict[str, tuple[int, int]] = {}
    problem: Problem | None = None
    """Why there is no value."""


def load(text: str) -> Loaded:
    """Read one YAML document."""
    refused = _refusal(text)
    if refused is not None:
        return Loaded(problem=refused)
    try:
        node = yaml.compose(text, Loader=_LOADER)
        keys, values, repeated = _places(text, node)
        if repeated is not None:
            return Loaded(problem=repeated)
        return Loaded(yaml.load(text, Loader=_LOADER), keys, values)  # noqa: S506 - it is the safe loader
    except yaml.YAMLError as error:
        return Loaded(problem=_problem(text, error))
    except (ValueError, OverflowError, RecursionError, TypeError) as error:
        # A date such as 2026-99-99, or a key that is a list.
        return Loaded(problem=Problem(1, 1, "InvalidYaml", f"a value cannot be read: {type(error).__name__}"))


def syntax(text: str) -> Problem | None:
    """The first error of syntax in any number of YAML documents."""
    return _refusal(text)


def _refusal(text: str) -> Problem | None:
    if len(text) > SIZE:
        words = f"the YAML is longer than {SIZE} characters, and is not read"
        return Problem(1, 1, "TooLargeYaml", words, warning=True)
    if bad := _UNPRINTABLE.search(text):
        return Problem(*place(text, bad.start()), "InvalidYaml", "a character that YAML does not allow")
    depth = nodes = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.AliasEvent):
                where = _at(text, event.start_mark)
                return Problem(*where, "YamlAlias", "an alias is not followed: write it out", warning=True)
            nodes += isinstance(event, yaml.NodeEvent)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH or nodes > NODES:
                where = _at(text, event.start_mark)
                return Problem(*where, "TooLargeYaml", "too deep or too long to be read", warning=True)
    except yaml.YAMLError as error:
        return _problem(text, error)
    except (ValueError, OverflowError, RecursionError) as error:
        return Problem(1, 1, "InvalidYaml", f"the text cannot be read: {type(error).__name__}")
    return None


def _places(
    text: str, node: Any
) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]], Problem | None]:
    keys: dict[str, tuple[int, int]] = {}
    values: dict[str, tuple[int, int]] = {}
    if not isinstance(node, yaml.MappingNode):
        return keys, values, None
    lines = text.split("\n")
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        where = within_lines(lines, key.start_mark.line + 1, key.start_mark.column + 1)
        if key.value in keys:
            return keys, values, Problem(*where, "InvalidYaml", f"the key {key.value[:64]!r} is there twice")
        keys[key.value] = where
        values[key.value] = within_lines(lines, value.start_mark.line + 1, value.start_mark.column + 1)
    return keys, values, None


def _at(text: str, mark: Any) -> tuple[int, int]:
    return (1, 1) if mark is None else within(text, mark.line + 1, mark.column + 1)


def _problem(text: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    words = " ".join(str(getattr(error, "problem", None) or "it cannot be read").split())[:200]
    if mark is None:
        return Problem(1, 1, "InvalidYaml", words)
    return Problem(*within(text, mark.line + 1, mark.column + 1), "InvalidYaml", words)
