"""How documents changed: the last versions by digest, and the text of the last one that passed.

Kept so small that it fits a ConfigMap. A text in which a secret is found is not kept.
"""

import difflib
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from kiro_operator.core.evidence.steering import Document, Revision
from kiro_operator.core.findings import clip
from kiro_operator.core.redact import redact
from kiro_operator.core.steering.syntax import passes

KEPT = 10
"""Versions of one document."""
PATHS = 96
TEXTS = 786_432
"""Bytes of all texts together; with what else is kept the ConfigMap stays below 900 KiB."""
RECORD = 98_304
"""Bytes of the history without texts."""
DIFF_LINES = 6
DIFF_WIDTH = 80
_COMPARABLE = 65_536
_COMPARABLE_LINES = 1500


class Past(Struct, frozen=True, omit_defaults=True):
    """What is known of one path."""

    revisions: tuple[Revision, ...] = ()
    """The oldest first."""
    good: str = ""
    """Digest of the last version that passed steering-syntax and whose text is kept."""
    refused: str = ""
    """Why the text of the last version that passed is not kept: Secret or TooLarge."""


class Book(Struct, frozen=True):
    """The history of all documents of one KiroHealthCheck."""

    paths: Mapping[str, Past] = {}
    texts: Mapping[str, str] = {}
    """Texts of good versions, by digest."""

    def revisions(self) -> tuple[Revision, ...]:
        """All versions, by path and time."""
        return tuple(one for _, past in sorted(self.paths.items()) for one in past.revisions)


class _Record(Struct, frozen=True):
    version: int = 1
    paths: dict[str, Past] = {}


_decode = msgspec.json.Decoder(_Record).decode


def current(book: Book, path: str) -> str:
    """Digest of the last version known; empty for none and for a removed document."""
    past = book.paths.get(path)
    return past.revisions[-1].digest if past and past.revisions else ""


def changed(book: Book, documents: Iterable[Document], *, complete: bool) -> bool:
    """Whether the documents are others than the last ones known."""
    held = {one.path: one.digest for one in documents}
    if any(current(book, path) != digest for path, digest in held.items()):
        return True
    return complete and any(current(book, path) and path not in held for path in book.paths)


def advance(book: Book, documents: Iterable[Document], now: datetime, *, complete: bool) -> Book:
    """The history with the documents as they are now.

    ``complete``: all documents were read, so one that is not among them was removed.
    """
    paths, texts = dict(book.paths), dict(book.texts)
    held: set[str] = set()
    for document in sorted(documents, key=lambda one: one.path):
        if document.path in held or (document.path not in paths and len(paths) >= PATHS):
            continue
        held.add(document.path)
        past = paths.get(document.path, Past())
        if current(book, document.path) != document.digest:
            past = _with(past, _revision(document, past, texts, now, first=not book.paths))
        paths[document.path] = _good(past, document, texts)
    if complete:
        for path in sorted(paths.keys() - held):
            if current(book, path):
                paths[path] = _with(paths[path], Revision(path, "", now))
    paths = dict(sorted(paths.items()))
    return Book(paths, _bounded(paths, texts))


def _with(past: Past, revision: Revision) -> Past:
    return msgspec.structs.replace(past, revisions=(*past.revisions, revision)[-KEPT:])


def _revision(
    document: Document, past: Past, texts: Mapping[str, str], now: datetime, *, first: bool
) -> Revision:
    before = past.revisions[-1].time if past.revisions else None
    time = document.changed or now
    if time > now or (before is not None and time < before):
        time = now
    diff = ""
    if not first and document.whole and past.good in texts:
        diff = difference(texts[past.good], document.text)
    return Revision(document.path, document.digest, time, document.manager, diff, first)


def _good(past: Past, document: Document, texts: dict[str, str]) -> Past:
    if not (document.is_steering and document.whole) or past.good == document.digest:
        return past
    if not passes(document.text):
        return past
    if redact(document.text) != document.text:
        return msgspec.structs.replace(past, refused="Secret")
    texts[document.digest] = document.text
    return msgspec.structs.replace(past, good=document.digest, refused="")


def _bounded(paths: dict[str, Past], texts: Mapping[str, str]) -> dict[str, str]:
    """The texts that are still good for something, as many as there is room for."""
    kept: dict[str, str] = {}
    room = TEXTS
    for path, past in paths.items():
        if not past.good or past.good in kept:
            continue
        size = len(texts.get(past.good, "").encode())
        if past.good not in texts or size > room:
            paths[path] = msgspec.structs.replace(past, good="", refused="TooLarge")
            continue
        kept[past.good] = texts[past.good]
        room -= size
    return kept


def difference(before: str, after: str) -> str:
    """The first lines that differ, redacted, on one line."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(before), len(after)) > _COMPARABLE or max(len(old), len(new)) > _COMPARABLE_LINES:
        return f"{len(old)} lines became {len(new)}"
    old, new = redact(before).splitlines(), redact(after).splitlines()
    lines = [
        clip(" ".join(line.split()), DIFF_WIDTH)
        for line in difflib.unified_diff(old, new, n=0, lineterm="")
        if line[:1] in {"+", "-"} and not line.startswith(("+++", "---"))
    ]
    more = f" | and {len(lines) - DIFF_LINES} more lines" if len(lines) > DIFF_LINES else ""
    return " | ".join(lines[:DIFF_LINES]) + more


def dump(book: Book) -> dict[str, str]:
    """The history as the data of a ConfigMap."""
    paths = dict(book.paths)
    for keep in (KEPT, 5, 2, 1):
        record = msgspec.json.encode(
            _Record(1, {path: _shortened(past, keep) for path, past in paths.items()})
        )
        if len(record) <= RECORD:
            break
    return {"history.json": record.decode()} | {
        f"text.{digest}": text for digest, text in sorted(book.texts.items())
    }


def _shortened(past: Past, keep: int) -> Past:
    revisions = past.revisions[-keep:]
    if keep < KEPT:
        revisions = tuple(msgspec.structs.replace(one, diff="") for one in revisions)
    return msgspec.structs.replace(past, revisions=revisions)


def load(data: Mapping[str, str]) -> Book:
    """The history from the data of a ConfigMap; what is none is an empty history."""
    try:
        record = _decode(data.get("history.json", "{}"))
    except (msgspec.DecodeError, UnicodeError):
        return Book()
    texts = {key.removeprefix("text."): text for key, text in data.items() if key.startswith("text.")}
    return Book(record.paths, texts)
