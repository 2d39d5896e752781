"""Patterns against patterns and files: what is proven is right, and hostile ones end soon."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.steering import globs, scopes
from kiro_operator.core.steering.scopes import Meeting, Scopes

SOON = 3.0
"""Seconds that even the worst patterns may take on a busy machine."""
PATTERNS = st.lists(
    st.sampled_from(["a", "b", "/", "*", "**", "**/", "?", "[ab]", "[!a]", ".ts", "{a,b/*}"]),
    min_size=1,
    max_size=6,
).map("".join)
PATHS = st.text("ab/.ts", min_size=1, max_size=8)


def covers(wide: str, narrow: str) -> bool:
    return all(
        any(globs.covers(one, other) for one in globs.alternatives(wide))
        for other in globs.alternatives(narrow)
    )


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("**/*.ts", "src/**/*.ts"),
        ("**/*.ts", "src/[ab]?/*.ts"),
        ("src/**", "src/old/*.{ts,tsx}"),
        ("**", "**/*"),
        ("*.ts", "**/x*.ts"),
        ("src/**/*.ts", "src/a.ts"),
        ("**/b/**", "**/a/b/c*"),
    ],
)
def test_one_covers_the_other(wide: str, narrow: str) -> None:
    assert covers(wide, narrow)
    assert not covers(narrow, wide)


@pytest.mark.parametrize(
    ("one", "other"),
    [("src/**", "**/*.ts"), ("src/*.ts", "src/**"), ("**/b", "a**/b"), ("a?", "a*"), ("[ab]", "[ba]")],
)
def test_what_is_not_proven_does_not_cover(one: str, other: str) -> None:
    assert not covers(one, other)


@given(PATTERNS, PATTERNS, PATHS)
def test_what_covers_matches_as_well(wide: str, narrow: str, path: str) -> None:
    if covers(wide, narrow) and globs.matches(narrow, path):
        assert globs.matches(wide, path)


@given(PATTERNS, st.lists(PATHS, max_size=6))
def test_files_are_matched_as_they_are_one_by_one(pattern: str, paths: list[str]) -> None:
    """Two documents, of which one is for all: they meet where there is a file that the pattern matches."""
    met = Scopes(paths).meet((pattern,), ("{**,x}",))
    matched = sorted(path for path in paths if globs.matches(pattern, path))
    if globs.expand(pattern) is not None and paths:
        assert met.path == (matched[0] if matched else "")


@given(st.lists(PATTERNS, max_size=3).map(tuple), st.lists(PATTERNS, max_size=3).map(tuple), st.lists(PATHS))
def test_both_see_the_same(one: tuple[str, ...], other: tuple[str, ...], paths: list[str]) -> None:
    assert Scopes(paths).meet(one, other) == Scopes(paths).meet(other, one)
    assert Scopes(None).meet(one, other) == Scopes(None).meet(other, one)


WORST = {
    "braces": tuple("{a,b}" * 6 + str(number) for number in range(64)),
    "stars": tuple("**/*a" * 50 + str(number) for number in range(64)),
    "many": tuple(f"{number}/*b*" for number in range(4000)),
    "long": ("?" * 100_000,),
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_patterns_end_soon(name: str) -> None:
    files = [f"{'a/' * 60}{number}" for number in range(20_000)]
    begin = time.process_time()
    for workspace in (files, None):
        held = Scopes(workspace)
        for number in range(300):
            held.meet(WORST[name], (f"x{number}*/**/*y",))
    assert time.process_time() - begin < SOON


def test_what_cannot_be_told_in_time_counts_as_never(monkeypatch: pytest.MonkeyPatch) -> None:
    files = ["src/a.ts", "src/b.py", "lib/c.ts"]
    assert Scopes(files).meet(("src/**",), ("**/*.ts",)).meeting is Meeting.CROSSING
    assert Scopes(files).meet(("src/**",), ("src/a*",)).meeting is Meeting.NARROWER
    monkeypatch.setattr(scopes, "STEPS", 0)
    assert Scopes(files).meet(("src/**",), ("**/*.ts",)).meeting is Meeting.NONE
    assert Scopes(None).meet(("src/**",), ("src/a*",)).meeting is Meeting.NONE
