"""Credentials and personal data taken out of text before anything of it is kept.

Too much rather than too little goes: what stands here is for finding faults, not for reading. Personal
data are e-mail addresses and the numbers of cards, accounts and telephones; IP addresses and the names
of objects stay, because without them no fault can be found.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kiro_operator.core.redact_rules import (
    CREDENTIALS,
    ITEMS,
    LISTS,
    LISTS_GATE,
    NUMBERS,
    PERSONAL,
    REDACTED,
    Rule,
)

__all__ = ["REDACTED", "holds_credentials", "redact", "texts_of", "without_credentials"]

_BLOCK = re.compile(
    r"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
    r".*?(?:-{4,5} ?END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}|\Z)",
    re.DOTALL,
)
_END = re.compile(r"^-{4,5} ?END [A-Z0-9 ]{0,40}PRIVATE KEY", re.MULTILINE)
_KEY_LINE = re.compile(r"[A-Za-z0-9+/=]{1,76}\s*")
_GOES_ON = (":", "=", "|", ">", "|-", ">-", "|+")
"""A line that ends so has its value in the next."""


def redact(text: str) -> str:
    """The text without what looks like a credential or personal data.

    Give it the whole tail of a log, not single lines: a private key spans many.
    """
    text = _without(text, (*CREDENTIALS, *PERSONAL))
    for pattern, replacement in NUMBERS:
        text = pattern.sub(replacement, text)
    return text


def without_credentials(text: str) -> str:
    """A message without what looks like a credential; who may do what stays to be read in it."""
    return _without(text, CREDENTIALS)


def holds_credentials(value: Any) -> bool:
    """Whether anything within an object, as JSON has it, looks like a credential."""
    return any(without_credentials(text) != text for text in texts_of(value))


def texts_of(value: Any) -> Iterator[str]:
    """Each text by itself, and each list of them as a shell would have it: a credential has many shapes."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list):
        yield " ".join(item for item in value if isinstance(item, str))
        for item in value:
            yield from texts_of(item)


def _without(text: str, rules: Sequence[Rule]) -> str:
    if "PRIVATE KEY" in text:
        text = _BLOCK.sub(REDACTED, _without_tails(text))
    if LISTS_GATE.search(text):
        text = LISTS.sub(_without_items, text)
    lower = text.lower()
    lines, lows = text.split("\n"), lower.split("\n")
    for rule in rules:
        needles = [needle for needle in rule.needles if needle in lower]
        if needles:
            _apply(rule, needles, lines, lows)
    return "\n".join(lines)


def _without_items(match: re.Match[str]) -> str:
    items = match["items"]
    key = match[0].removesuffix(items)
    for item in ITEMS:
        items = item.sub(rf"\g<dash>{REDACTED}", items)
    return key + items


def _apply(rule: Rule, needles: list[str], lines: list[str], lows: list[str]) -> None:
    """Take out of the lines what the rule describes; ``lows`` are the same lines in lower case."""
    pattern, replacement, gate = rule.pattern, rule.replacement, rule.gate
    for at, low in enumerate(lows):
        if not any(needle in low for needle in needles) or (gate is not None and gate.search(low) is None):
            continue
        if at + 1 < len(lines) and (rule.two_lines or low.rstrip().endswith(_GOES_ON)):
            both = pattern.sub(replacement, f"{lines[at]}\n{lines[at + 1]}")
            lines[at], _, lines[at + 1] = both.partition("\n")
            lows[at + 1] = lines[at + 1].lower()
        else:
            lines[at] = pattern.sub(replacement, lines[at])
        lows[at] = lines[at].lower()


def _without_tails(text: str) -> str:
    """The text without the lines of private keys whose beginning may have been cut off."""
    if _END.search(text) is None:
        return text
    kept: list[str] = []
    for line in text.splitlines(keepends=True):
        if _END.match(line):
            while kept and _KEY_LINE.fullmatch(kept[-1]):
                kept.pop()
            kept.append(f"{REDACTED}\n")
        kept.append(line)
    return "".join(kept)
