"""Hooks: the v1 JSON that Kiro runs, and the forms that it no longer loads.

One malformed hook drops its whole file; an unknown trigger drops only that hook.
"""

import re
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from kiro_operator.core.steering import json_text, yaml_text
from kiro_operator.core.steering.json_text import Path, Read
from kiro_operator.core.steering.problems import Problem, place, quoted

TRIGGERS = frozenset(
    {
        *("SessionStart", "SessionEnd", "Stop", "UserPromptSubmit", "PreToolUse", "PostToolUse"),
        *("PreTaskExec", "PostTaskExec", "PostFileCreate", "PostFileSave", "PostFileDelete", "Manual"),
    }
)
EVENTS = frozenset(
    {
        *("fileEdited", "fileCreated", "fileDeleted", "promptSubmit", "agentStop", "preToolUse", "stop"),
        *("postToolUse", "userTriggered", "preTaskExecution", "postTaskExecution", "agentSpawn"),
        *("userPromptSubmit", "sessionStart"),
    }
)
"""What hooks of the former form react to; v1 takes these names for its triggers as well."""
_FILES = frozenset({"fileEdited", "fileCreated", "fileDeleted"})
_ACTIONS = {"command": "command", "agent": "prompt"}
_LEGACY_ACTIONS = {"runCommand": "command", "askAgent": "prompt"}
_TYPES: tuple[tuple[str, type], ...] = (("description", str), ("enabled", bool))
TOTAL = 393_216
"""Characters of all files that are judged together: small values make a small text slow to read."""
MOST = 32
"""Problems of one file that are told."""

Where = Callable[[Path], tuple[int, int]]


def read(path: str, text: str) -> list[Problem]:
    """What is wrong with a file in the folder of hooks, by its name's ending."""
    if path.endswith(".kiro.hook"):
        return _legacy(text)
    if path.endswith((".yaml", ".yml")):
        return _yaml(text)
    if path.endswith(".json"):
        return _v1(text)
    words = "Kiro loads only files that end in .json from this folder"
    return [Problem(1, 1, "NeverLoaded", words, warning=True)]


def _where(text: str, read: Read) -> Where:
    def at(path: Path) -> tuple[int, int]:
        while path and path not in read.offsets:
            path = path[:-1]
        return place(text, read.offsets.get(path, 0))

    return at


def _v1(text: str) -> list[Problem]:
    read = json_text.read(text)
    if read.problem is not None:
        return [read.problem]
    at, body = _where(text, read), read.value
    if not isinstance(body, dict):
        return [Problem(*at(()), "InvalidHook", 'no object with "version" and "hooks": Kiro skips the file')]
    if "when" in body and "then" in body and "hooks" not in body:
        words = "a hook of the former form (when, then) in a .json file: Kiro skips it, write it as v1"
        return [Problem(*at(("when",)), "InvalidHook", words)]
    if body.get("version") != "v1":
        words = f'version is {quoted(body.get("version"))}, not "v1": Kiro skips the file'
        return [Problem(*at(("version",)), "InvalidHook", words)]
    hooks = body.get("hooks")
    if not isinstance(hooks, list) or not hooks:
        words = '"hooks" is no list with at least one hook: Kiro skips the file'
        return [Problem(*at(("hooks",)), "InvalidHook", words)]
    found = (problem for number, hook in enumerate(hooks) for problem in _hook(hook, number, at))
    return list(islice(found, MOST))


def _hook(hook: Any, number: int, at: Where) -> list[Problem]:
    here: Path = ("hooks", number)
    if not isinstance(hook, dict):
        return [Problem(*at(here), "InvalidHook", f"hook {number + 1}: no object: Kiro skips the whole file")]
    return [
        Problem(*at((*here, key)), reason, f"hook {number + 1}: {words}")
        for key, reason, words in (*_needed(hook), *_optional(hook))
        if words
    ]


def _needed(hook: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Key, reason and words of what is wrong with the parts that each hook has."""
    name = hook.get("name")
    if not isinstance(name, str) or not name.strip():
        yield "name", "InvalidHook", "no name: Kiro skips the whole file"
    yield ("trigger", *_trigger(hook.get("trigger")))
    if words := _action(hook.get("action"), _ACTIONS):
        yield "action", "InvalidHook", f"{words}: Kiro skips the whole file"


def _optional(hook: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The same of the parts that a hook may have."""
    for key, kind in _TYPES:
        if key in hook and not isinstance(hook[key], kind):
            yield key, "InvalidHook", f"{key} is no {kind.__name__}: Kiro skips the whole file"
    if not _whole(hook.get("timeout", 0)):
        yield "timeout", "InvalidHook", "timeout is no whole number of seconds: Kiro skips the whole file"
    if "confirm" in hook and (words := _confirm(hook["confirm"])):
        yield "confirm", "InvalidHook", f"{words}: Kiro skips the whole file"
    if "matcher" in hook:
        yield "matcher", "InvalidMatcher", _matcher(hook["matcher"])


def _whole(timeout: Any) -> bool:
    return isinstance(timeout, int) and not isinstance(timeout, bool) and timeout >= 0


def _trigger(trigger: Any) -> tuple[str, str]:
    """Reason and words for what is wrong with a trigger; empty for nothing."""
    if not isinstance(trigger, str):
        return "InvalidHook", "no trigger: Kiro skips the whole file"
    if trigger not in TRIGGERS | EVENTS:
        return "UnknownTrigger", f"the trigger {quoted(trigger)} does not exist: Kiro skips this hook"
    return "", ""


def _action(action: Any, kinds: dict[str, str]) -> str:
    if not isinstance(action, dict):
        return "no action"
    kind = action.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        return f"the action's type is {quoted(kind)}: write one of {', '.join(kinds)}"
    text = action.get(kinds[kind])
    return "" if isinstance(text, str) and text.strip() else f"a {kind} action has no {kinds[kind]}"


def _confirm(confirm: Any) -> str:
    if not isinstance(confirm, dict):
        return "confirm is no object"
    options = confirm.get("options")
    if not isinstance(options, list) or not options:
        return "confirm has no options"
    return ""


def _matcher(matcher: Any) -> str:
    """A matcher is only compiled, never run: it may be of the kind that takes time without end."""
    if not isinstance(matcher, str):
        return "matcher is no text: Kiro skips the whole file"
    if matcher == "*" or len(matcher) > 1024:
        return ""  # everything; or too long to be judged here
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a later Python may read otherwise does not matter here
            re.compile(re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", matcher))
    except (re.error, OverflowError, RecursionError) as error:
        if not re.search(r"\\[pPkzR]|\[:|\[\[|&&|\(\?[imsxU<P|>]|[+*?}]\+", matcher):
            words = quoted(getattr(error, "msg", "it cannot be read"))
            return f"matcher {quoted(matcher)} is no regular expression ({words}): Kiro never runs it"
    return ""


def _legacy(text: str) -> list[Problem]:
    read = json_text.read(text)
    if read.problem is not None:
        return [read.problem]
    at, body = _where(text, read), read.value
    if not isinstance(body, dict):
        return [Problem(*at(()), "InvalidHook", "no object with when and then")]
    if "hooks" in body and "when" not in body:
        words = "hooks of the form v1 in a .kiro.hook file: Kiro loads them only from .json"
        return [Problem(*at(("hooks",)), "InvalidHook", words)]
    problems: list[Problem] = []
    when, then = body.get("when"), body.get("then")
    kind = when.get("type") if isinstance(when, dict) else None
    if not isinstance(kind, str) or kind not in EVENTS:
        words = f"when.type is {quoted(kind)}, which is no event"
        problems.append(Problem(*at(("when", "type")), "InvalidHook", words))
    elif kind in _FILES and not (isinstance(when, dict) and when.get("patterns")):
        words = f"when.patterns is missing, without which {kind} never happens"
        problems.append(Problem(*at(("when",)), "InvalidHook", words))
    if words := _action(then, _LEGACY_ACTIONS):
        problems.append(Problem(*at(("then",)), "InvalidHook", words))
    words = "current Kiro no longer runs .kiro.hook files: write the hook as v1 JSON"
    return [*problems, Problem(1, 1, "NeverLoaded", words, warning=True)]


def _yaml(text: str) -> list[Problem]:
    problem = yaml_text.syntax(text)
    words = "current Kiro does not load YAML from this folder: write the hooks as v1 JSON"
    return [*([problem] if problem else []), Problem(1, 1, "NeverLoaded", words, warning=True)]
