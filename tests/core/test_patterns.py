"""Users' patterns: what could be slow is refused."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.patterns import LINE_LIMIT, compile_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "error.*timeout",
        r"\bOOM\b",
        "foo|bar|baz",
        r"worker [0-9]{1,4} stalled",
        r"\[error\] .{0,40}db",
        "(quota|limit) reached",
        r"[\]a]+b",
        "(?P<what>disk) full",
        "(?:ab){3}",
    ],
)
def test_accepted(pattern: str) -> None:
    assert compile_pattern(pattern).flags & re.IGNORECASE


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|a)*b",
        "((ab)+c)+",
        "(a?){40}a{40}",
        "a?" * 30,
        "(a|a)" * 30,
        "a*a*b",
        "(?=a)b",
        "(?<!a)b",
        r"(a)\1",
        "(?P<x>a)(?P=x)",
        "(?i)a",
        "[a",
        "(",
        ")",
        "",
        "a" * 257,
    ],
)
def test_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        compile_pattern(pattern)


@given(st.text(r"ab|()[]{}?*+.,:0123\dsw^$", max_size=24))
def test_what_is_accepted_is_fast(pattern: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except ValueError:
        return
    for line in ("a" * LINE_LIMIT, "ab" * (LINE_LIMIT // 2), "0" * LINE_LIMIT):
        began = time.process_time()
        compiled.search(line)
        assert time.process_time() - began < 0.5
