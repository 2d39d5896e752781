"""How documents changed: the last versions by digest, and two texts of each document.

These are that of the last version that passed, which can be put back, and that of the version which
stands there now, which the next change is held against. Mostly they are one. All is kept so small that it
fits a ConfigMap. A text in which a secret is found is not kept.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice

import msgspec
from msgspec import Struct

from kiro_operator.core.evidence.steering import Document, Revision
from kiro_operator.core.findings import clip
from kiro_operator.core.redact import redact
from kiro_operator.core.steering.damage import damage
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
    """Digest of the last version that passed and whose text is kept."""
    origin: str = ""
    """Where that stood: nothing is ever put back anywhere else."""
    key: str = ""
    """In that ConfigMap."""
    refused: str = ""
    """Why the text of the last version that passed is not kept: Secret or TooLarge."""
    unkept: str = ""
    """Why the text of the last version is not kept: Secret, TooLarge or NotWhole."""


class Book(Struct, frozen=True):
    """The history of all documents of one KiroHealthCheck."""

    paths: Mapping[str, Past] = {}
    texts: Mapping[str, str] = {}
    """Texts of good and of last versions, by digest."""

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


def changed(book: Book, documents: Sequence[Document], *, complete: bool) -> bool:
    """Whether the documents are others than the last ones known."""
    held = {one.path: one.digest for one in documents}
    if any(current(book, path) != digest for path, digest in held.items()):
        return True
    if any(_moved(book.paths[one.path], one) for one in documents if one.path in book.paths):
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
        past = _last(past, document, texts)
        paths[document.path] = _good(past, document, texts)
    if complete:
        for path in sorted(paths.keys() - held):
            if current(book, path):
                diff, unshown = _shown(paths[path], texts, "")
                paths[path] = _with(paths[path], Revision(path, "", now, "", diff, unshown))
    paths = dict(sorted(paths.items()))
    return Book(paths, _bounded(paths, texts))


def _with(past: Past, revision: Revision) -> Past:
    return msgspec.structs.replace(past, revisions=(*past.revisions, revision)[-KEPT:], unkept="")


def _revision(
    document: Document, past: Past, texts: Mapping[str, str], now: datetime, *, first: bool
) -> Revision:
    before = past.revisions[-1] if past.revisions else None
    time = document.changed or now
    if time > now or (before is not None and time < before.time):
        time = now
    revision = Revision(document.path, document.digest, time, document.manager)
    if first:
        return msgspec.structs.replace(revision, first=True)
    if not document.whole:
        return msgspec.structs.replace(revision, unshown="NotWhole")
    if before is None or not before.digest:
        return msgspec.structs.replace(revision, added=True, diff=difference("", document.text))
    diff, unshown = _shown(past, texts, document.text)
    return msgspec.structs.replace(revision, diff=diff, unshown=unshown)


def _shown(past: Past, texts: Mapping[str, str], text: str) -> tuple[str, str]:
    """How a text differs from the one that stood there before, or why that cannot be shown."""
    former = past.revisions[-1].digest
    if former not in texts:
        return "", past.unkept or "NotKept"
    diff = difference(texts[former], text)
    return diff, "" if diff else "NothingVisible"


def _last(past: Past, document: Document, texts: dict[str, str]) -> Past:
    """Keep the text that stands there now, unless there is a reason not to."""
    if document.digest in texts:
        return past
    if not document.whole:
        return msgspec.structs.replace(past, unkept="NotWhole")
    if redact(document.text) != document.text:
        return msgspec.structs.replace(past, unkept="Secret")
    texts[document.digest] = document.text
    return msgspec.structs.replace(past, unkept="")


def _moved(past: Past, document: Document) -> bool:
    """Whether the version that passed stands somewhere else by now."""
    return past.good == document.digest and (past.origin, past.key) != (document.origin, document.key)


def _good(past: Past, document: Document, texts: Mapping[str, str]) -> Past:
    if not (document.is_steering and document.whole):
        return past
    if past.good != document.digest and (damage(document)[0] or not passes(document.text)):
        return past
    if document.digest not in texts:
        return msgspec.structs.replace(past, refused=past.unkept)
    return msgspec.structs.replace(
        past, good=document.digest, origin=document.origin, key=document.key, refused=""
    )


def _bounded(paths: dict[str, Past], texts: Mapping[str, str]) -> dict[str, str]:
    """The texts that are still good for something, as many as there is room for: what passed goes first."""
    wanted = [
        (path, past.good, {"good": "", "refused": "TooLarge"}) for path, past in paths.items() if past.good
    ]
    wanted += [
        (path, past.revisions[-1].digest, {"unkept": "TooLarge"})
        for path, past in paths.items()
        if past.revisions and past.revisions[-1].digest in texts
    ]
    kept: dict[str, str] = {}
    room = TEXTS
    for path, digest, otherwise in wanted:
        if digest in kept:
            continue
        size = len(texts.get(digest, "").encode())
        if digest not in texts:
            # Somebody has taken it out of the ConfigMap: it is forgotten.
            paths[path] = msgspec.structs.replace(paths[path], good="", refused="NotKept")
            continue
        if size > room:
            paths[path] = msgspec.structs.replace(paths[path], **otherwise)
            continue
        kept[digest] = texts[digest]
        room -= size
    return kept


def difference(before: str, after: str) -> str:
    """The first lines that differ, redacted, on one line."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(before), len(after)) > _COMPARABLE or max(len(old), len(new)) > _COMPARABLE_LINES:
        return f"{len(old)} lines became {len(new)}"
    old, new = redact(before).splitlines(), redact(after).splitlines()
    headers = 2
    lines = [
        clip(" ".join(line.split()), DIFF_WIDTH)
        for line in islice(difflib.unified_diff(old, new, n=0, lineterm=""), headers, None)
        if line[:1] in {"+", "-"}
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
        revisions = tuple(
            msgspec.structs.replace(one, diff="", unshown="NoRoom") if one.diff else one for one in revisions
        )
    return msgspec.structs.replace(past, revisions=revisions)


def load(data: Mapping[str, str]) -> Book:
    """The history from the data of a ConfigMap; what is none is an empty history."""
    try:
        record = _decode(data.get("history.json", "{}"))
    except (msgspec.DecodeError, UnicodeError):
        return Book()
    texts = {key.removeprefix("text."): text for key, text in data.items() if key.startswith("text.")}
    return Book(record.paths, texts)
