"""List and watch one kind: an aiohttp stream, decoded straight into projections.

A listing is read in pages, so that its size never shows in memory. Bookmarks keep the resource
version fresh; 410 lists anew and tells of deletes that happened in the gap; a stream that falls
silent is cut and taken up where it stopped.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.adapters.kubernetes.store import Store
from kiro_operator.core.objects import Projection

T = TypeVar("T", bound=Projection)

PAGE = 500
"""Objects listed at a time."""
LINE = 16 * 1024 * 1024
"""Bytes of one event: far more than any object may have."""
SILENCE = 90.0
"""Seconds without a byte after which a watch counts as cut; bookmarks come about once a minute."""
WATCH_SPAN = 300.0
"""Seconds after which the server ends a watch by itself, before jitter."""
STOOD = 10.0
"""Seconds after which a watch has come to something, though it brought nothing: all was quiet."""
BACKOFF = (0.05, 30.0)
"""First and longest wait, in seconds, before trying again."""

logger = logging.getLogger(__name__)


class Kind(Struct, Generic[T], frozen=True):
    """A watched kind: where it is served and how it is read."""

    prefix: str
    """Such as /apis/apps/v1."""
    plural: str
    projection: type[T]

    def path(self, namespace: str | None) -> str:
        """Path of the collection, in one namespace or in all."""
        where = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.prefix}{where}/{self.plural}"


class _ListMeta(Struct, rename="camel"):
    resource_version: str = ""
    proceed: str = msgspec.field(default="", name="continue")


class _Page(Struct, Generic[T]):
    metadata: _ListMeta
    items: list[T]


class _Event(Struct):
    type: str
    object: msgspec.Raw


class _BookmarkMeta(Struct, rename="camel"):
    resource_version: str


class _Bookmark(Struct):
    """An object of the watched kind that has a version and nothing else, not even a name."""

    metadata: _BookmarkMeta


class _Error(Struct):
    code: int = 500
    reason: str = ""
    message: str = ""


class Informer(Generic[T]):
    """Keeps a store up to date with one kind, in one namespace or in the whole cluster."""

    def __init__(
        self,
        client: Client,
        kind: Kind[T],
        store: Store[T],
        *,
        namespace: str | None,
        covers: Callable[[], frozenset[str]],
        on_synced: Callable[[], None],
        on_trouble: Callable[[Exception], None],
    ) -> None:
        self._client = client
        self._kind = kind
        self._store = store
        self._namespace = namespace
        self._covers = covers
        self._on_synced = on_synced
        self._on_trouble = on_trouble
        self._version = ""
        self._attempt = 0
        """Errors in a row, up to a complete listing or an event."""
        self._vain = 0
        """Watches and listings that ended, or were too old, in a row, and nothing came of them."""
        self._items: msgspec.json.Decoder[_Page[T]] = msgspec.json.Decoder(_page_of(kind.projection))
        self._object = msgspec.json.Decoder(kind.projection)
        self._event = msgspec.json.Decoder(_Event)
        self.last_sign_of_life: float | None = None
        """Loop time at which the server was last heard; None before the first listing."""

    async def run(self) -> None:
        """List, then watch, for ever.

        That a watch ends, and then that its version is too old, is the ordinary course of things, after
        which it goes on at once. A server that does nothing else is not asked as fast as it answers.
        """
        while True:
            try:
                if not self._version:
                    await self._list()
                    self._on_synced()
                await self._watch()
            except ports.Gone:
                self._version = ""
            except (ports.ApiError, ports.Unreachable, *MALFORMED) as error:
                # Where the stream stopped is known: going on there costs no listing.
                if isinstance(error, MALFORMED):
                    self._version = ""
                    self._vain += 1
                self._attempt += 1
                self._on_trouble(error)
                quiet = isinstance(error, ports.Unreachable) and self._attempt == 1
                level = logging.DEBUG if quiet else logging.WARNING
                logger.log(level, "cannot watch %s: %s", self._kind.path(self._namespace), error)
                await asyncio.sleep(_wait(max(self._attempt, self._vain), error))
                continue
            self._vain += 1
            if self._vain > 2:
                where = self._kind.path(self._namespace)
                logger.warning("the watch of %s ends again and again and brings nothing", where)
                await asyncio.sleep(_wait(self._vain - 2))

    async def _list(self) -> None:
        items: list[T] = []
        proceed = ""
        while True:
            params = {"limit": str(PAGE)} | ({"continue": proceed} if proceed else {})
            page = self._items.decode(await self._client.get(self._kind.path(self._namespace), **params))
            items.extend(page.items)
            proceed = page.metadata.proceed
            if not proceed:
                # Not before: of pages that lack the last one nothing is taken in.
                self._heard()
                self._store.replace(self._covers(), items)
                self._version = page.metadata.resource_version
                return

    async def _watch(self) -> None:
        """Follow changes until the server ends the stream."""
        span = int(WATCH_SPAN * random.uniform(0.9, 1.1))  # noqa: S311 - spreads load, no secret
        began, rest = _now(), b""
        try:
            async with self._client.stream(
                self._kind.path(self._namespace),
                read_timeout=SILENCE,
                resourceVersion=self._version,
                timeoutSeconds=str(span),
            ) as content:
                async for chunk in content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    if len(rest) > LINE:
                        raise ports.AnswerTooLarge(LINE)
                    for line in lines:
                        if line:
                            self._take(line)
                            # Not before: an error is told in such a line, too.
                            self._heard()
                            self._vain = 0
        finally:
            if _now() - began >= STOOD:
                self._vain = 0

    def _take(self, line: bytes) -> None:
        event = self._event.decode(line)
        if event.type == "BOOKMARK":
            self._version = msgspec.json.decode(event.object, type=_Bookmark).metadata.resource_version
            return
        if event.type == "ERROR":
            told = msgspec.json.decode(event.object, type=_Error)
            kind = ports.Gone if told.code == 410 else ports.ApiError
            raise kind(told.code, told.reason, told.message)
        item = self._object.decode(event.object)
        metadata = item.metadata
        if self._namespace is not None or metadata.namespace in self._covers():
            if event.type == "DELETED":
                self._store.remove(metadata.namespace, metadata.name)
            else:
                self._store.apply(item)
        self._version = metadata.resource_version

    def _heard(self) -> None:
        self._attempt = 0
        self.last_sign_of_life = _now()


def _page_of(projection: type[T]) -> "type[_Page[T]]":
    return _Page[projection]  # type: ignore[valid-type]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _wait(attempt: int, error: Exception | None = None) -> float:
    """Seconds to wait: doubled each time, with jitter, and what the server asks, within reason."""
    first, longest = BACKOFF
    base = min(longest, first * 2.0 ** min(attempt - 1, 16))
    asked = error.retry_after if isinstance(error, ports.ApiError) and error.retry_after else 0.0
    return max(min(asked, ports.LEFT_ALONE), base * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, no secret
