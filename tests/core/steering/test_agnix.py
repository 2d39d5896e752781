"""agnix as the oracle: it and the operator say the same of each document, or a reason stands below.

Compared is whether a document fails: an error of agnix, or a problem here that is no warning.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kiro_operator.core.evidence.steering import Document
from kiro_operator.core.steering import hooks, syntax
from kiro_operator.core.steering.problems import Problem
from tests.checks.fixtures import all_fixtures

AGNIX = shutil.which("agnix", path=str(Path(sys.executable).parent))
pytestmark = pytest.mark.skipif(AGNIX is None, reason="agnix has no wheel for this platform")

STRICTER = {
    "DeadPattern": "agnix does not look for the files, and warns of a pattern that cannot match; here both "
    "fail, because the document is never included",
    "BrokenReference": "agnix warns; here a document that leads Kiro to nothing fails",
    "InvalidYaml": "agnix does not read YAML hooks, as Kiro does not; here their syntax counts all the same",
}
"""Problems that fail here and not there, and why."""
LOOSER: dict[str, str] = {}
"""Rules of agnix that are errors there and no failure here, and why."""

STEERING = {
    "plain": "# Title\n\nUse Go.\n",
    "always": "---\ninclusion: always\n---\n# Title\n",
    "unterminated": "---\ninclusion: always\n# Title\ntext\n",
    "blank-first": "\n---\ninclusion: manual\n---\n# Title\n",
    "text-first": "# T\n\n---\ninclusion: manual\n---\nbody\n",
    "bom": "\ufeff---\ninclusion: manual\n---\n# Title\n",
    "invalid-yaml": "---\ninclusion: [a\n---\n# Title\n",
    "tab": "---\n\tinclusion: manual\n---\n# Title\n",
    "capitals": "---\ninclusion: Always\n---\n# Title\n",
    "no-pattern": "---\ninclusion: fileMatch\n---\n# Title\n",
    "empty-pattern": "---\ninclusion: fileMatch\nfileMatchPattern: []\n---\n# Title\n",
    "comma": '---\ninclusion: fileMatch\nfileMatchPattern: "*.ts,*.tsx"\n---\n# Title\n',
    "braces": '---\ninclusion: fileMatch\nfileMatchPattern: "*.{md,txt}"\n---\n# Title\n',
    "open-bracket": '---\ninclusion: fileMatch\nfileMatchPattern: "[a*.ts"\n---\n# Title\n',
    "number-as-pattern": "---\ninclusion: fileMatch\nfileMatchPattern: 12\n---\n# Title\n",
    "dead": '---\ninclusion: fileMatch\nfileMatchPattern: "nothing/**/*.zz"\n---\n# Title\n',
    "auto": "---\ninclusion: auto\ndescription: Interfaces. Use for endpoints.\n---\n# Title\n",
    "auto-without-description": "---\ninclusion: auto\nname: x\n---\n# Title\n",
    "auto-empty-description": '---\ninclusion: auto\ndescription: ""\n---\n# Title\n',
    "list": "---\n- a\n---\n# Title\n",
    "scalar": "---\nhello\n---\n# Title\n",
    "empty-front-matter": "---\n---\n# Title\n",
    "key-twice": "---\ninclusion: manual\ninclusion: always\n---\n# Title\n",
    "alias": "---\ninclusion: &a manual\nname: *a\n---\n# Title\n",
    "number": "---\ninclusion: 3\n---\n# Title\n",
    "null": "---\ninclusion:\n---\n# Title\n",
    "other-tool": '---\ninclusion: fileMatch\nglobs: "*.ts"\n---\n# Title\n',
    "unknown-key": "---\nfoo: bar\n---\n# Title\n",
    "references": "# T\n\n#[[file:nope.md]] #[[folder:nodir]] #[[file:.kiro/steering/references.md:1-3]]\n",
    "reference-in-code": "# T\n\n`#[[file:nope.md]]`\n\n```\n#[[file:nope.md]]\n```\n",
    "fence": "# T\n\n```\nabc\n",
    "spaces-after": "---  \ninclusion: manual\n---\n# Title\n",
    "four-dashes": "----\ninclusion: manual\n----\n# Title\n",
    "dots": "---\ninclusion: manual\n...\n# Title\n",
    "crlf": "---\r\ninclusion: manual\r\n---\r\n# Title\r\n",
    "rules": "# T\n\n---\n\ntext\n\n---\n",
}
HOOK: dict[str, Any] = {"name": "x", "trigger": "Stop", "action": {"type": "command", "command": "make"}}
CHANGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "unknown-trigger": {"trigger": "Nope"},
    "alias-of-a-trigger": {"trigger": "agentSpawn"},
    "star": {"trigger": "PreToolUse", "matcher": "*"},
    "unbalanced": {"trigger": "PreToolUse", "matcher": "(a"},
    "timeout-0": {"timeout": 0},
    "timeout-negative": {"timeout": -1},
    "timeout-text": {"timeout": "12"},
    "timeout-half": {"timeout": 1.5},
    "enabled-text": {"enabled": "yes"},
    "unknown-key": {"foo": 1},
    "empty-name": {"name": ""},
    "agent": {"action": {"type": "agent", "prompt": "x"}},
    "agent-without-prompt": {"action": {"type": "agent"}},
    "description-number": {"description": 3},
    "confirm-true": {"confirm": True},
}
LEGACY: dict[str, Any] = {
    "enabled": True,
    "name": "x",
    "description": "d",
    "version": "1",
    "when": {"type": "fileEdited", "patterns": ["**/*.ts"]},
    "then": {"type": "askAgent", "prompt": "go"},
}


def corpus() -> Iterator[tuple[str, list[Document], tuple[str, ...]]]:
    """Documents that are looked at together, and the files of their workspace."""
    steering = [Document(f".kiro/steering/{name}.md", text) for name, text in STEERING.items()]
    yield "steering", steering, ("notes.md",)
    v1 = {name: json.dumps({"version": "v1", "hooks": [HOOK | more]}) for name, more in CHANGES.items()}
    v1 |= {
        "version-2": json.dumps({"version": "v2", "hooks": [HOOK]}),
        "no-version": json.dumps({"hooks": [HOOK]}),
        "no-hook": json.dumps({"version": "v1", "hooks": []}),
        "object": json.dumps({"version": "v1", "hooks": {"a": HOOK}}),
        "list": "[]",
        "nothing": "",
        "comment": '// hi\n{"version":"v1","hooks":[]}',
        "trailing-comma": '{"version":"v1",\n "hooks":[],}',
        "legacy": json.dumps(LEGACY),
    }
    former = {
        "plain": LEGACY,
        "no-patterns": LEGACY | {"when": {"type": "fileEdited"}},
        "no-event": LEGACY | {"when": {"type": "zzz"}},
        "no-action": LEGACY | {"then": {"type": "askAgent"}},
        "v1": {"version": "v1", "hooks": [HOOK]},
    }
    files = [Document(f".kiro/hooks/{name}.json", text) for name, text in v1.items()]
    files += [Document(f".kiro/hooks/{name}.kiro.hook", json.dumps(body)) for name, body in former.items()]
    files.append(Document(".kiro/hooks/lint.yaml", "hooks:\n  - name: [\n"))
    yield "hooks", files, ()
    for fixture in all_fixtures():
        value = fixture.body.get("samples", {}).get("steering", {}).get("value", {})
        documents = [
            Document(one["path"], one["text"])
            for one in value.get("documents", [])
            if one.get("text") and one["path"].startswith((".kiro/steering/", ".kiro/hooks/"))
        ]
        if documents:
            yield f"{fixture.check.id}-{fixture.name}", documents, tuple(value.get("workspace") or ())


def errors_of(folder: Path) -> dict[str, set[str]]:
    """The rules that agnix says are broken, by file."""
    assert AGNIX is not None
    done = subprocess.run([AGNIX, "--format", "json", "."], cwd=folder, capture_output=True, check=False)
    found: dict[str, set[str]] = {}
    for one in json.loads(done.stdout)["diagnostics"]:
        if one["level"] == "error":
            found.setdefault(one["file"], set()).add(one["rule"])
    return found


def ours(document: Document, workspace: frozenset[str] | None) -> list[Problem]:
    if document.is_hook:
        return hooks.read(document.path, document.text)
    return syntax.problems(document.text, workspace)


def test_the_same_verdict(tmp_path: Path) -> None:
    sets = list(corpus())
    for name, documents, workspace in sets:
        for path, text in [*((path, "") for path in workspace), *((one.path, one.text) for one in documents)]:
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
    unexplained: list[str] = []
    judged = 0
    for name, documents, workspace in sets:
        theirs = errors_of(tmp_path / name)
        seen = frozenset(workspace) | {one.path for one in documents}
        by_path = {one.path: one for one in documents}
        for path, document in by_path.items():
            judged += 1
            reasons = {one.reason for one in ours(document, seen if workspace else None) if not one.warning}
            rules = theirs.get(path, set())
            if reasons and not rules and not reasons <= set(STRICTER):
                unexplained.append(f"{name} {path}: fails here only: {sorted(reasons)}")
            if rules and not reasons and not rules <= set(LOOSER):
                unexplained.append(f"{name} {path}: fails there only: {sorted(rules)}")
    assert unexplained == []
    assert judged > 100
