"""Lines of a log: plain text and JSON, and whether one says that something failed."""

import re

import msgspec

LINE_LIMIT = 4096
"""Characters of a line that are looked at."""

_ERROR_WORDS = frozenset({"error", "err", "fatal", "critical", "crit", "panic", "emerg", "alert", "severe"})
_QUIET_WORDS = frozenset({"trace", "debug", "info", "information", "notice"})
_PINO_ERROR, _PINO_WARN = 50, 40
"""Levels as pino and bunyan number them; 60 is fatal, 30 informs."""
_ERROR = re.compile(
    r"\b(?:ERROR|FATAL|CRITICAL|PANIC|SEVERE)\b"
    r"|\b(?:level|severity|lvl)=\"?(?:error|fatal|critical|panic|err)\b"
    r"|\[(?:error|crit|alert|emerg)\]"
    r"|^[EF][0-9]{4} [0-9]{2}:"
    r"|^Traceback \(most recent call last\)"
)
_HINTS = ("err", "fatal", "crit", "panic", "severe", "alert", "emerg", "traceback")
"""In lower case; a line without any of them, and not klog's, needs no closer look."""
_QUIET = re.compile(
    r"\b(?:DEBUG|INFO|TRACE)\b|\b(?:level|severity|lvl)=\"?(?:debug|info|trace)\b|^I[0-9]{4} [0-9]{2}:"
)


class _Record(msgspec.Struct):
    level: object = None
    severity: object = None
    lvl: object = None
    levelname: object = None
    log_level: object = msgspec.field(default=None, name="log.level")


_decode = msgspec.json.Decoder(_Record).decode


def is_error(line: str) -> bool:
    """Whether the line says by its level, or in plain text by its form, that something failed."""
    level = _level(line)
    if level is None:
        return _says_error(line)
    return level in _ERROR_WORDS


def is_quiet(line: str) -> bool:
    """Whether the line says by its level that it is no cause for concern."""
    level = _level(line)
    if level is None:
        return _QUIET.search(line, 0, LINE_LIMIT) is not None and not _says_error(line)
    return level in _QUIET_WORDS


def _says_error(line: str) -> bool:
    if not line.startswith(("E", "F")):
        lower = line[:LINE_LIMIT].lower()
        if not any(hint in lower for hint in _HINTS):
            return False
    return _ERROR.search(line, 0, LINE_LIMIT) is not None


def _level(line: str) -> str | None:
    """The level of a JSON line, in lower case; empty for one without; None for plain text."""
    if not line.startswith("{"):
        return None
    try:
        record = _decode(line)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    for value in (record.level, record.severity, record.levelname, record.lvl, record.log_level):
        if isinstance(value, str):
            return value.strip().lower()
        if isinstance(value, int):
            return "error" if value >= _PINO_ERROR else "warn" if value >= _PINO_WARN else "info"
    return ""
