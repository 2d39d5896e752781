"""Patterns and histories by example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from kiro_operator.core.checks.responsiveness import hooks_syntax
from kiro_operator.core.evidence.steering import STEERING, Document, Steering
from kiro_operator.core.snapshot import Sample
from kiro_operator.core.steering import globs, history, hooks
from kiro_operator.core.verdict import Status
from tests.core.policy import make

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.ts", "a.ts", True),
        ("*.ts", "src/deep/a.ts", True),
        ("src/*.ts", "src/a.ts", True),
        ("src/*.ts", "src/deep/a.ts", False),
        ("src/**/*.ts", "src/a.ts", True),
        ("src/**/*.ts", "src/very/deep/a.ts", True),
        ("src/**/x.ts", "src/ax.ts", False),
        ("**/test/**", "a/test/b.py", True),
        ("src/**", "src/a/b", True),
        ("*.{ts,tsx}", "a.tsx", True),
        ("*.{ts,{js,mjs}}", "a.mjs", True),
        ("a?.ts", "ab.ts", True),
        ("a?.ts", "a/.ts", False),
        ("[a-c]x.ts", "bx.ts", True),
        ("[!a-c]x.ts", "bx.ts", False),
        ("[]x.ts", "[]x.ts", True),
        ("./src/a.ts", "src/a.ts", True),
        ("", "a", False),
    ],
)
def test_patterns(pattern: str, path: str, expected: object) -> None:
    assert globs.matches(pattern, path) is expected


def kept(*texts: str) -> history.Book:
    book = history.Book()
    for turn, text in enumerate(texts):
        document = Document(".kiro/steering/a.md", text, digest=str(turn))
        book = history.advance(book, [document], NOW + timedelta(minutes=turn), complete=True)
    return book


def test_a_secret_is_not_kept() -> None:
    book = kept("# A\n\npassword: hunter2hunter2\n")
    assert book.texts == {}
    assert book.paths[".kiro/steering/a.md"].refused == "Secret"


def test_the_last_version_that_passed_is_kept() -> None:
    book = kept("# A\n", "---\ninclusion: Never\n---\n# B\n", "")
    assert book.texts == {"0": "# A\n"}
    assert [one.digest for one in book.revisions()] == ["0", "1", "2"]


def test_only_the_last_versions_are_kept() -> None:
    book = kept(*(f"# {turn}\n" for turn in range(history.KEPT + 3)))
    assert [one.digest for one in book.revisions()] == [str(n) for n in range(3, history.KEPT + 3)]


def test_a_difference_is_short_and_without_secrets() -> None:
    told = history.difference("a\ntoken: abcdefgh12345678\n", "b\n" * 20)
    assert told.startswith("-a | -token: [redacted] | +b")
    assert told.endswith("and 16 more lines")
    assert history.difference("a\n" * 40_000, "b") == "40000 lines became 1"


def test_what_is_beyond_the_room_for_all_hooks_is_not_read_and_warns() -> None:
    hook = '{"version": "v1", "hooks": [{"name": 1}]}'
    room = hooks.TOTAL // 2 - len(hook)
    documents = [
        Document(f".kiro/hooks/{name}.json", hook + " " * room) for name in ("a", "b", "c")
    ]  # the third one has no room
    sample = Sample(1, NOW, Steering(tuple(documents)))
    facts = replace(make.snapshot(), samples={STEERING.name: sample})
    verdict = hooks_syntax.judge(facts, hooks_syntax.HooksSyntaxParameters(), NOW)
    assert verdict.status is Status.FAIL
    found = {finding.object.name.removeprefix(".kiro/hooks/"): finding.reason for finding in verdict.findings}
    assert found == {"a.json": "InvalidHook", "b.json": "InvalidHook", "c.json": "TooLargeJson"}
