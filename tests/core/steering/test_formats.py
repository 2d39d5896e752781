"""Patterns and histories by example."""

from __future__ import annotations

import json
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
    assert book.texts == {"0": "# A\n", "2": ""}, "and the one that stands there now"
    assert book.paths[".kiro/steering/a.md"].good == "0"
    assert [one.digest for one in book.revisions()] == ["0", "1", "2"]


def changes(*texts: str | Document | None, path: str = ".kiro/steering/a.md") -> list[tuple[str, str]]:
    """The diff, or why there is none, of each version after the first; None stands for its removal."""
    book = history.Book()
    for turn, text in enumerate(texts):
        document = text if isinstance(text, Document) else Document(path, text or "", digest=str(turn))
        others = [Document(".kiro/steering/other.md", "# Other\n", digest="o")]
        documents = others if text is None else [document, *others]
        book = history.load(history.dump(book))
        book = history.advance(book, documents, NOW + timedelta(minutes=turn), complete=True)
    return [(one.diff, one.unshown) for one in book.revisions() if one.path == path and not one.first]


def test_a_change_is_told_against_what_stood_there_before() -> None:
    broken = "---\ninclusion: Never\n---\n# A\n"
    assert changes("# A\n", broken, broken + "More.\n", "# A\n") == [
        ("+--- | +inclusion: Never | +---", ""),
        ("+More.", ""),
        ("---- | -inclusion: Never | ---- | -More.", ""),
    ]


def test_hooks_and_mcp_settings_are_told_likewise() -> None:
    for path in (".kiro/hooks/a.json", ".kiro/settings/mcp.json"):
        assert changes('{"a": 1}', '{"a": 2}', path=path) == [('-{"a": 1} | +{"a": 2}', "")]


def test_what_is_added_and_removed_is_told() -> None:
    assert changes("# A\n", None, "# B\n") == [("-# A", ""), ("+# B", "")]
    book = history.Book()
    for turn, names in enumerate(["a", "ab", "b", "ab"]):
        documents = [Document(f".kiro/steering/{name}.md", "# T\n", digest="t") for name in names]
        book = history.advance(book, documents, NOW + timedelta(minutes=turn), complete=True)
    assert [(one.path[-4], one.first, one.added, bool(one.digest)) for one in book.revisions()] == [
        ("a", True, False, True),
        ("a", False, False, False),
        ("a", False, True, True),
        ("b", False, True, True),
    ]


def test_why_a_change_cannot_be_shown() -> None:
    private = "# A\n\npassword: hunter2hunter2\n"
    assert changes(private, "# A\n") == [("", "Secret")]
    assert changes("# A\n", private) == [("+ | +password: [redacted]", "")]
    cut = Document(".kiro/steering/a.md", "# A", digest="cut", cut=True)
    assert changes("# A\n", cut, "# B\n") == [("", "NotWhole"), ("", "NotWhole")]
    assert changes("# A\n", "# A") == [("", "NothingVisible")]
    gone = history.advance(kept(private), [], NOW + timedelta(hours=1), complete=True)
    assert gone.paths[".kiro/steering/a.md"].unkept == "", "nothing stands there that could be kept"
    large = "word " * 160_000
    assert changes(f"# A\n{large}", "# A\n") == [("", "TooLarge")]


def test_a_history_of_before_knows_no_text_to_hold_a_change_against() -> None:
    path = ".kiro/steering/a.md"
    revision = {"path": path, "digest": "0", "time": "2026-03-01T00:00:00Z", "manager": "", "diff": ""}
    known = {"version": 1, "paths": {path: {"revisions": [revision | {"first": True}]}}}
    former = history.load({"history.json": json.dumps(known)})
    book = history.advance(former, [Document(path, "# A\n", digest="1")], NOW, complete=True)
    assert [one.unshown for one in book.revisions()] == ["", "NotKept"]


def test_what_passed_has_the_room_before_what_merely_stands_there() -> None:
    text = "word " * 100_000
    book = history.Book()
    for turn, start in enumerate(["# A\n", "---\n[\n---\n"]):
        document = Document(".kiro/steering/a.md", start + text, digest=str(turn))
        book = history.advance(book, [document], NOW + timedelta(minutes=turn), complete=True)
    past = book.paths[".kiro/steering/a.md"]
    assert (list(book.texts), past.good, past.refused, past.unkept) == (["0"], "0", "", "TooLarge")


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
