"""Whatever a text holds, no parser raises, all end soon, and all places lie within the text."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.adapters.steering import files, lint
from kiro_operator.core.evidence.steering import Document
from kiro_operator.core.steering import (
    conflicts,
    directives,
    environment,
    front_matter,
    globs,
    history,
    hooks,
    json_text,
    keys,
    references,
    syntax,
    yaml_text,
)
from kiro_operator.core.steering.problems import Problem

SOON = 3.0
"""Seconds that even the worst text may take on a busy machine."""
PIECES = st.sampled_from(
    [
        *(
            "---\n",
            "inclusion: ",
            "always",
            "fileMatch",
            "fileMatchPattern: ",
            '"**/*.ts"',
            "\n",
            "\r\n",
            "# T\n",
        ),
        *(
            "#[[file:",
            "#[[folder:a",
            "a.md",
            "]]",
            "```",
            "~~~\n",
            "- ",
            "Always use ",
            "never use ",
            "tabs",
            ": ",
        ),
        *("[", "]", "{", "}", ",", '"', "&a ", "*a", "!!x ", "\t", "\ufeff", "\0", "é", "\U0001f600", "\x85"),
        *(
            "kubectl -n ",
            "a.kiro-system.svc",
            "us-east-1",
            "Environment: staging",
            '"version"',
            '"v1"',
            '"hooks"',
        ),
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join))
JSON = st.recursive(
    st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=10,
)


def holds(text: str, problems: list[Problem]) -> None:
    lines = text.removeprefix("\ufeff").split("\n")
    for problem in problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.reason.isalnum()
        assert 0 < len(problem.message) < 700


@given(TEXTS)
def test_a_document(text: str) -> None:
    holds(text, syntax.problems(text))
    holds(text, syntax.problems(text, frozenset({"a.md"})))
    front = front_matter.read(text)
    assert front.inclusion in front_matter.INCLUSIONS
    assert syntax.passes(text) in {True, False}


@given(TEXTS)
def test_a_hook(text: str) -> None:
    for path in ("a.json", "a.kiro.hook", "a.yaml", "a.txt"):
        holds(text, hooks.read(path, text))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=8))
def test_a_hook_of_any_value(value: Any) -> None:
    for body in (
        value,
        {"version": "v1", "hooks": value},
        {"version": "v1", "hooks": [{"name": value, "trigger": value, "action": value, "matcher": value}]},
        {"version": "v1", "hooks": [{"confirm": value, "timeout": value, "action": {"type": value}}]},
        {"when": value, "then": {"type": value}},
        {"when": {"type": "fileEdited", "patterns": value}, "then": value},
    ):
        text = json.dumps(body)
        for path in ("a.json", "a.kiro.hook"):
            holds(text, hooks.read(path, text))


@given(JSON)
def test_places_in_json(value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    read = json_text.read(text)
    assert read.problem is None
    assert read.value == value

    def look(part: Any, path: json_text.Path) -> None:
        begin = json.dumps(part, ensure_ascii=False)[:1]
        assert text[read.offsets[path]] == begin
        if isinstance(part, dict):
            for key, inner in part.items():
                look(inner, (*path, key))
        elif isinstance(part, list):
            for number, inner in enumerate(part):
                look(inner, (*path, number))

    look(value, ())


@given(TEXTS)
def test_yaml(text: str) -> None:
    loaded = yaml_text.load(text)
    assert (loaded.problem is None) or loaded.value is None
    for where in loaded.keys.values():
        holds(text, [Problem(*where, "Key", "key")])


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_pattern(pattern: str, path: str) -> None:
    assert globs.matches(pattern, path) in {True, False}
    assert isinstance(globs.fault(pattern), str)


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join))
def test_a_path_matches_itself_and_everything(path: str) -> None:
    assert globs.matches(path, path)
    assert globs.matches("**/*", path)
    assert globs.matches("**", path)
    assert not globs.matches(f"{path}?", path)


@given(TEXTS, TEXTS, st.none() | st.lists(st.sampled_from(["a.md", "src/a.ts", "docs/b", "\0"])))
def test_documents_together(one: str, other: str, workspace: list[str] | None) -> None:
    documents = {".kiro/steering/a.md": one, ".kiro/steering/b.md": other}
    found = conflicts.conflicts(documents, workspace)
    assert found == conflicts.conflicts(dict(reversed(documents.items())), workspace)
    assert all(len(conflict.message) < 900 for conflict in found)
    for text in (one, other):
        count = text.count("\n") + 1
        assert all(1 <= item.line <= count for item in directives.directives(directives.statements(text)))
        for statement in [*environment.namespaces(text), *environment.regions(text)]:
            holds(text, [Problem(statement.line, statement.column, "Said", "said")])
        stated = environment.stated("a.md", text)
        assert stated is None or 1 <= stated.line <= count
        assert all(reference.line <= count for reference in references.references(text))


@given(st.text(max_size=40))
def test_a_key(key: str) -> None:
    path = keys.path_of(key)
    assert path is None or path.startswith(".kiro/")


@given(st.binary(max_size=300), st.binary(max_size=80))
def test_what_a_pod_prints(output: bytes, errors: bytes) -> None:
    content = output.replace(b"x", b"w 644 1 1 1 ./.kiro/hooks/")
    output = b"w 644 0 0 3 ./.kiro/steering/a.md\nabc" + content + b"w read\n"
    found = files.parse(output, errors, root=".", word="w", origin="Pod a", limit=64)
    assert all(document.path.startswith(".kiro/") for document in found.documents)
    assert files.paths(output, ".", 1000) is not None


PRINTED = st.dictionaries(
    st.sampled_from(
        [".kiro/steering/a.md", ".kiro/steering/b.md", ".kiro/hooks/c.json", ".kiro/settings/mcp.json"]
    ),
    st.tuples(
        st.lists(
            st.sampled_from(
                [b" 644 0 0 3 ./.kiro/steering/x.md\n", b"text", b"\n", b"\xff", b" read\n", b"\0"]
            ),
            max_size=5,
        ).map(b"".join),
        st.booleans(),
        st.integers(0, 0o7777),
        st.integers(0, 70_000),
    ),
)


@given(PRINTED, st.sampled_from([".", "/", "/workspace"]))
def test_what_a_pod_holds_is_what_is_read(held: dict[str, tuple[bytes, bool, int, int]], root: str) -> None:
    """Whatever stands in a file, nothing of it is taken for another file."""
    output = b""
    for path, (content, readable, mode, uid) in held.items():
        file = f"{'' if root == '/' else root}/{path}"
        output += f"word {mode:o} {uid} 7 {len(content)} {file}\n".encode()
        output += content + b"word read\n" if readable else b""
    found = files.parse(output, b"", root=root, word="word", origin="Pod a", limit=64)
    assert found.failure == ""
    assert {one.path for one in found.documents} == set(held)
    for one in found.documents:
        content, readable, mode, uid = held[one.path]
        assert (one.readable, one.mode, one.uid, one.gid) == (readable, mode, uid, 7)
        if readable:
            assert one.digest == sha256(content).hexdigest()
            assert (one.size, one.cut) == (len(content), len(content) > 64)


@given(st.text(max_size=200))
def test_what_yamllint_prints(output: str) -> None:
    assert all(1 <= len(item.message) <= 200 or not item.message for item in lint.parse("a.yaml", output))


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.text(max_size=12)), max_size=20))
def test_a_history_survives_its_config_map(steps: list[tuple[str, str]]) -> None:
    book = history.Book()
    now = datetime(2026, 3, 2, tzinfo=UTC)
    for name, text in steps:
        now += timedelta(minutes=1)
        document = Document(f".kiro/steering/{name}.md", text, digest=f"{hash(text):x}")
        book = history.advance(book, [document], now, complete=False)
        assert not history.changed(book, [document], complete=False)
    again = history.load(history.dump(book))
    assert again.revisions() == book.revisions()
    assert dict(again.texts) == dict(book.texts)


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=40)))
def test_a_history_that_is_none(data: dict[str, str]) -> None:
    assert history.load({"history.json": "{", **data}).revisions() == ()


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
)
WORST = {
    "bomb": f"---\n{BOMB}---\n# T\n",
    "nested-yaml": "---\n" + "[" * 20_000 + "\n---\n# T\n",
    "nested-map": "---\n" + "".join(f"{' ' * n}a:\n" for n in range(400)) + "---\n",
    "long-yaml": "---\n" + "a: b\n" * 100_000 + "---\n",
    "nested-json": "[" * 100_000,
    "nested-objects": '{"a":' * 50_000,
    "long-number": '{"version": ' + "9" * 100_000 + "}",
    "one-line": "# " * 500_000,
    "references": "#[[file:a]]" * 50_000,
    "references-in-lines": "#[[file:a]]\n" * 80_000,
    "open-references-in-lines": "#[[file:a\n" * 100_000,
    "long-front-matter": "---\n" + "".join(f"k{n}: 1\n" for n in range(2000)) + "---\n",
    "hooks": '{"version":"v1","hooks":[' + ",".join(["{}"] * 80_000) + "]}",
    "open-references": "#[[file:" * 100_000,
    "fences": "```\n" * 100_000,
    "braces": '---\ninclusion: fileMatch\nfileMatchPattern: "' + "{a,b}" * 40 + '"\n---\n',
    "stars": '---\ninclusion: fileMatch\nfileMatchPattern: "' + "**/*a" * 40 + '"\n---\n',
    "directives": "- Always use tabs for indentation\n" * 10_000,
    "kubectl": "kubectl " * 100_000,
    "hosts": "a.b.svc " * 50_000,
    "dashes": "a-" * 300_000 + ".svc",
    "stated": "this document applies " * 40_000,
    "spaces": " " * 1_000_000,
    "marks": "*" * 500_000,
    "comments": "<!--" * 100_000,
    "links": "[a](" * 100_000,
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_texts_end_soon(name: str) -> None:
    text = WORST[name]
    begin = time.process_time()
    holds(text, syntax.problems(text, frozenset({"a/b/c.md", "d.md"})))
    for ending in ("json", "kiro.hook", "yaml"):
        holds(text, hooks.read(f"a.{ending}", text))
    conflicts.conflicts({"a.md": text, "b.md": f"{text}x"})
    list(environment.hosts(text))
    list(environment.namespaces(text))
    list(environment.regions(text))
    environment.stated("a.md", text)
    history.difference(text, f"x{text}y")
    assert time.process_time() - begin < SOON


def test_a_bomb_is_never_built() -> None:
    loaded = yaml_text.load(BOMB)
    assert loaded.problem is not None
    assert (loaded.problem.reason, loaded.problem.line) == ("YamlAlias", 2)


@pytest.mark.parametrize(("count", "length"), [(64, 20_000), (64, 50), (1, 1_000_000), (3, 300_000)])
def test_a_config_map_stays_small(count: int, length: int) -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    book = history.Book()
    for turn in range(4):
        text = "word " * (length // 5)
        documents = [
            Document(f".kiro/steering/{n}.md", f"# {turn} {n}\n{text}", digest=f"{turn:02}{n:062}")
            for n in range(count)
        ]
        book = history.advance(book, documents, now + timedelta(minutes=turn), complete=True)
    assert sum(len(key) + len(text.encode()) for key, text in history.dump(book).items()) < 900 * 1024
