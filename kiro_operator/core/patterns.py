"""Patterns that users write: compiled only when no input can make them slow.

Python's matcher backtracks, so a pattern such as ``(a+)+b`` takes time without end on the wrong
line. A pattern is accepted only if the turns it may take from one starting point are few; what is
refused has a bounded way to be written, and the error says so.
"""

import re
import warnings
from functools import lru_cache

PATTERN_LIMIT = 256
"""Characters of a pattern."""
LINE_LIMIT = 512
"""Characters of a line that a user's pattern is held against."""
TURNS = 1024
"""The most turns from one starting point: the product of all repetitions."""

_TOKEN = re.compile(
    r"(?P<literal>\\[^0-9]|\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<open>\((?:\?:|\?P<\w+>)?(?!\?))"
    r"|(?P<close>\))"
    r"|(?P<choice>\|)"
    r"|(?P<repeat>[*+?]|\{(?P<low>[0-9]{0,4})(?P<comma>,?)(?P<high>[0-9]{0,4})\})[?+]?"
    r"|(?P<other>[^\\(])",
    re.DOTALL,
)


class _Group:
    """What has been read of one pair of brackets, or of the whole pattern."""

    def __init__(self) -> None:
        self.choices = 1
        self.varied = False
        """It holds a choice or a repetition."""


@lru_cache(maxsize=512)
def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile a user's pattern; upper and lower case are the same.

    Raises:
        ValueError: it is not a pattern, or could be slow.
    """
    if not text or len(text) > PATTERN_LIMIT:
        raise ValueError(f"pattern: write 1 to {PATTERN_LIMIT} characters")
    _refuse_slow(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what a later Python would read otherwise is refused as well
            return re.compile(text, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"pattern {text!r} cannot be read: {error}") from None


def _refuse_slow(text: str) -> None:
    turns, at = 1, 0
    groups = [_Group()]
    before = False
    """Whether what stands before is a group that holds a choice or a repetition."""
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"pattern {text!r}: look-around, flags and references are not supported")
        at = token.end()
        varied, before = before, False
        match token.lastgroup:
            case "open":
                groups.append(_Group())
            case "close" if len(groups) > 1:
                closed = groups.pop()
                turns *= closed.choices
                before = closed.varied
                groups[-1].varied |= closed.varied
            case "choice":
                groups[-1].choices += 1
                groups[-1].varied = True
            case "repeat":
                most, ways = _repetition(token)
                if varied and most > 1:
                    raise ValueError(
                        f"pattern {text!r}: a group that repeats must not hold a choice or another repetition"
                    )
                turns *= ways
                groups[-1].varied |= ways > 1
            case _:
                pass
    if turns * groups[0].choices > TURNS:
        raise ValueError(
            f"pattern {text!r} could be slow: use at most one * or +, and bounds such as .{{0,20}} elsewhere"
        )


def _repetition(token: re.Match[str]) -> tuple[int, int]:
    """How often what stands before may repeat, and in how many ways."""
    if token["repeat"][0] in "*+":
        return LINE_LIMIT, LINE_LIMIT
    if token["repeat"][0] == "?":
        return 1, 2
    low = int(token["low"] or 0)
    if not token["comma"]:
        return low, 1
    high = int(token["high"]) if token["high"] else LINE_LIMIT
    return high, max(1, high - low + 1)
