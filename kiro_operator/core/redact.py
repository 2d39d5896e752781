"""Secrets taken out of text before anything of it is kept.

Too much rather than too little goes: what stands here is for finding faults, not for reading. Every
repetition that is not anchored to a literal is bounded, so that no text makes it slow.
"""

import re

REDACTED = "[redacted]"

_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|api[_-]?key|access[_-]?key|account[_-]?key|"
    r"shared[_-]?access[_-]?\w{1,16}|private[_-]?key|signing[_-]?key|encryption[_-]?key|"
    r"credentials?|cookie|session[_-]?id|authorization|x-amz-signature|sig(?:nature)?"
)
_BARE = r"(?:(?!\"(?:[\s,}\]]|$))\S)+"  # up to the end of the JSON string that it stands in
_VALUE = (
    r"(?:(?P<esc>\\+[\"'])(?:(?!(?P=esc))[^\r\n])*(?P<unesc>(?P=esc))?"  # \"value\" in JSON within JSON
    r"|(?P<quote>[\"'])(?:(?!(?P=quote))[^\\\r\n]|\\.)*(?P<unquote>(?P=quote))?"
    rf"|(?:bearer|basic|negotiate|token)\s+{_BARE}"
    r"|digest\s+[^\r\n]+"
    rf"|{_BARE}|\S+)"
)

_END = re.compile(r"^-----END [A-Z0-9 ]{0,40}PRIVATE KEY", re.MULTILINE)
_KEY_LINE = re.compile(r"[A-Za-z0-9+/=]{1,76}\s*")

_REPLACED: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
        REDACTED,
    ),
    (re.compile(r"(?<=://)[^\s\"'<>]{1,1024}@"), f"{REDACTED}@"),
    (re.compile(r"\b[\w.-]{1,64}:[^\s@]{1,256}@(?=(?:tcp|unix)\()"), f"{REDACTED}@"),
    (re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{4,1024}\.[\w-]+(?:\.[\w-]*)*"), REDACTED),
    (
        re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{12,}"),
        REDACTED,
    ),
    (
        re.compile(
            r"(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk-|hvs\.|AIza)[\w.-]{10,}"
        ),
        REDACTED,
    ),
    (
        re.compile(
            rf"(?P<key>(?:{_WORDS})[\w.-]{{0,40}}(?:\\*[\"'])?\s{{0,8}}(?::=|=>|[:=])\s{{0,8}}){_VALUE}",
            re.IGNORECASE,
        ),
        rf"\g<key>\g<esc>\g<quote>{REDACTED}\g<unesc>\g<unquote>",
    ),
    (
        re.compile(
            rf"(?P<key>(?<![\w-])--?[\w-]{{0,40}}(?:{_WORDS})[\w-]{{0,40}}\s{{1,8}}){_VALUE}", re.IGNORECASE
        ),
        rf"\g<key>\g<esc>\g<quote>{REDACTED}\g<unesc>\g<unquote>",
    ),
    (re.compile(r"\b(?P<key>bearer|basic)\s{1,8}[^\s\"',;]{6,}", re.IGNORECASE), rf"\g<key> {REDACTED}"),
)


def redact(text: str) -> str:
    """The text without what looks like a credential.

    Give it the whole tail of a log, not single lines: a private key spans many.
    """
    text = _without_tails(text)
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return text


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
