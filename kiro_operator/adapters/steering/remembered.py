"""The history of the documents in a ConfigMap, ``<KiroHealthCheck>-steering-history``.

Each write is a compare-and-swap, so that two operators never overwrite each other. Where the admin has
not granted it, the history lives in memory: it is short, and gone with the process.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client, Lane
from kiro_operator.api.v1alpha1.types import API_VERSION
from kiro_operator.core.evidence.steering import Document, History, Kept
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.steering import history
from kiro_operator.core.steering.history import Book, Past
from kiro_operator.core.writes import Must, Operation, Write, consists_of

RULES = (
    Rule(
        "",
        ("configmaps",),
        ("create", "get", "update"),
        "steering-changes remembers, in a ConfigMap beside the KiroHealthCheck, how the documents "
        "changed and their last version that passed",
        grant=Grant.HISTORY,
    ),
)
SUFFIX = "-steering-history"
_OURS = "app.kubernetes.io/managed-by"
_IS_OURS = f"metadata.?labels[?'{_OURS}'].orValue('') == 'kiro-operator'"
ADMITTED = (
    Write(
        by="steering-changes",
        api_version="v1",
        resources=("configmaps",),
        operations=(Operation.CREATE, Operation.UPDATE),
        musts=(
            Must(
                f"object.metadata.name.endsWith('{SUFFIX}')",
                f"it writes histories, whose names end with {SUFFIX}",
            ),
            Must(
                f"object.{_IS_OURS}\n&& (request.operation == 'CREATE' || oldObject.{_IS_OURS})",
                "a history is labelled as the operator's own, and was",
            ),
            Must(
                "object.metadata.?ownerReferences.orValue([]).all(owner,\n"
                f"owner.apiVersion == '{API_VERSION}' && owner.kind == 'KiroHealthCheck'\n"
                f"&& owner.name + '{SUFFIX}' == object.metadata.name)",
                "a history is owned by its KiroHealthCheck at most",
            ),
            *consists_of(("data",), ("metadata", "labels", _OURS), ("metadata", "ownerReferences")),
        ),
    ),
)
TRIES = 3
AGAIN = timedelta(minutes=10)
"""After a refusal the next write is tried no sooner. Where there was no answer, it is at the next look."""
IN_MEMORY = 65_536
"""Bytes of texts that are kept in memory where there is no ConfigMap."""
HEALTH_CHECKS = 256
_PASSING = (ports.Unreachable, ports.TooManyRequests)

logger = logging.getLogger(__name__)


class _Owner(Struct, frozen=True):
    uid: str = ""


class _Metadata(Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    labels: dict[str, str] = {}
    owner_references: tuple[_Owner, ...] = ()


class _ConfigMap(Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    data: dict[str, str] | None = None


class _State(Struct):
    book: Book
    note: str = ""
    saved: bool = False
    """The ConfigMap holds all that the book does, so the texts need not be in memory."""
    again: datetime | None = None


_decode = msgspec.json.Decoder(_ConfigMap).decode


class Remembered:
    """The histories of all KiroHealthChecks."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._states: OrderedDict[tuple[str, str], _State] = OrderedDict()

    async def record(
        self, request: ports.PollRequest, documents: Sequence[Document], *, complete: bool
    ) -> History:
        """The history with these documents in it."""
        key = (request.namespace, request.name)
        state = self._states.get(key)
        known = [one for one in documents if one.readable and one.digest]
        fresh = state is not None and not history.changed(state.book, known, complete=complete)
        if state is None or not fresh or (not state.saved and _due(state, request.now)):
            state = await self._update(request, state, known, complete=complete)
            self._states[key] = state
            self._states.move_to_end(key)
            if len(self._states) > HEALTH_CHECKS:
                self._states.popitem(last=False)
        return History(state.book.revisions(), state.note)

    async def last_good(self, request: ports.PollRequest) -> Mapping[str, Kept]:
        """By path, the last versions that passed of the documents that are others now, or gone.

        The texts are read from the ConfigMap each time: what is deleted there is forgotten.
        """
        state = self._states.get((request.namespace, request.name))
        book = state.book if state is not None else Book()
        others = {
            path: past
            for path, past in book.paths.items()
            if (past.good or past.refused) and past.good != history.current(book, path)
        }
        if not others or state is None:
            return {}
        texts = await self._texts(request) if state.saved else book.texts
        return {path: _kept(past, texts) for path, past in others.items()}

    async def _texts(self, request: ports.PollRequest) -> Mapping[str, str]:
        """The texts in the ConfigMap; none where it cannot be read or is somebody else's."""
        path = f"/api/v1/namespaces/{request.namespace}/configmaps/{request.name}-steering-history"
        try:
            found = _decode(await self._client.get(path))
        except (ports.ApiError, ports.Unreachable, *MALFORMED) as error:
            logger.info("the steering history of %s/%s: %s", request.namespace, request.name, error)
            return {}
        return history.load(found.data or {}).texts if _is_ours(found, request) else {}

    async def _update(
        self,
        request: ports.PollRequest,
        state: _State | None,
        documents: Sequence[Document],
        *,
        complete: bool,
    ) -> _State:
        before = state.book if state is not None else Book()
        if state is None or _due(state, request.now):
            try:
                book = await self._save(request, before, documents, complete=complete)
            except (ports.ApiError, ports.Unreachable, *MALFORMED) as error:
                note = _note(error, request)
                again = None if isinstance(error, _PASSING) else request.now + AGAIN
            else:
                return _State(msgspec.structs.replace(book, texts={}), saved=True)
        else:
            note, again = state.note, state.again
        book = await asyncio.to_thread(history.advance, before, documents, request.now, complete=complete)
        return _State(_small(book), note, again=again)

    async def _save(
        self, request: ports.PollRequest, before: Book, documents: Sequence[Document], *, complete: bool
    ) -> Book:
        """Read, change, write, and do so again when somebody was faster, or nobody said what came of it.

        Raises:
            ports.ApiError: it is refused.
            ports.Unreachable: there is no answer.
        """
        collection = f"/api/v1/namespaces/{request.namespace}/configmaps"
        name = f"{request.name}{SUFFIX}"
        for turn in range(TRIES):
            version, book = "", before
            try:
                found = _decode(await self._client.get(f"{collection}/{name}"))
            except ports.NotFound:
                pass  # to be created
            else:
                if not _is_ours(found, request):
                    raise ports.Conflict(409, "Foreign", f"ConfigMap {name} is somebody else's")
                version = found.metadata.resource_version
                book = history.load(found.data or {})
            changed = history.changed(book, documents, complete=complete)
            if version and not changed:
                return book
            book = await asyncio.to_thread(history.advance, book, documents, request.now, complete=complete)
            body = _body(request, name, version, book)
            try:
                if version:
                    await self._client.replace(f"{collection}/{name}", body, Lane.RECORD)
                else:
                    await self._client.create(collection, body, Lane.RECORD)
            except (ports.Conflict, ports.AlreadyExists, *_PASSING):
                if turn == TRIES - 1:
                    raise
            else:
                return book
        raise AssertionError("unreachable")  # pragma: no cover


def _is_ours(found: _ConfigMap, request: ports.PollRequest) -> bool:
    """Whether the operator has made it, for this KiroHealthCheck: what is somebody else's is left alone."""
    owners = {owner.uid for owner in found.metadata.owner_references}
    return found.metadata.labels.get(_OURS) == "kiro-operator" and (not owners or request.uid in owners)


def _kept(past: Past, texts: Mapping[str, str]) -> Kept:
    text = texts.get(past.good, "")
    why = past.refused or ("" if past.good in texts else "Unreadable")
    if not why and hashlib.sha256(text.encode()).hexdigest() != past.good:
        why = "Altered"
    return Kept(past.origin, past.key, "" if why else text, why)


def _due(state: _State, now: datetime) -> bool:
    return state.again is None or now >= state.again


def _small(book: Book) -> Book:
    texts: dict[str, str] = {}
    room = IN_MEMORY
    for digest, text in book.texts.items():
        size = len(text.encode())
        if size <= room:
            texts[digest] = text
            room -= size
    return msgspec.structs.replace(book, texts=texts)


def _note(error: Exception, request: ports.PollRequest) -> str:
    logger.info("the steering history of %s/%s is not kept: %s", request.namespace, request.name, error)
    if isinstance(error, ports.Forbidden):
        return (
            "The history is kept in memory only: grant deploy/namespace/history, that is, "
            f"{RULES[0].advice(request.namespace)}."
        )
    return "The history is kept in memory only, as its ConfigMap cannot be written: see the operator's log."


def _body(request: ports.PollRequest, name: str, version: str, book: Book) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": name,
        "labels": {_OURS: "kiro-operator"},
    }
    if request.uid:
        metadata["ownerReferences"] = [
            {"apiVersion": API_VERSION, "kind": "KiroHealthCheck", "name": request.name, "uid": request.uid}
        ]
    if version:
        metadata["resourceVersion"] = version
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": history.dump(book)}
