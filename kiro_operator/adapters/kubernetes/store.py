"""Watched objects in memory, by namespace and name, with what deserves a closer look set apart."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from kiro_operator.core.objects import Projection, Selector, is_later
from kiro_operator.core.snapshot import Collection

T = TypeVar("T", bound=Projection)


class Shelf(Generic[T]):
    """The objects of one kind in one namespace."""

    __slots__ = ("counts", "objects", "unsettled")

    def __init__(self) -> None:
        self.objects: dict[str, T] = {}
        self.unsettled: dict[str, T] = {}
        self.counts: dict[bytes, int] = {}
        """How many objects each selector matches; emptied when an object comes, goes or is relabelled."""


class Store(Generic[T]):
    """All watched objects of one kind.

    ``on_change(namespace, old, new)`` is told each change that a check could see.
    """

    def __init__(
        self,
        on_change: Callable[[str, T | None, T | None], None],
        labels: Callable[[T], dict[str, str]] = lambda item: item.metadata.labels,
    ) -> None:
        self._on_change = on_change
        self._labels = labels
        self._shelves: dict[str, Shelf[T]] = {}

    def __len__(self) -> int:
        return sum(len(shelf.objects) for shelf in self._shelves.values())

    def get(self, namespace: str, name: str) -> T | None:
        """The object of that name."""
        shelf = self._shelves.get(namespace)
        return shelf.objects.get(name) if shelf else None

    def all(self, namespace: str) -> Iterable[T]:
        """All objects of a namespace."""
        shelf = self._shelves.get(namespace)
        return shelf.objects.values() if shelf else ()

    def apply(self, item: T) -> None:
        """Take in a version of an object, unless a newer one is known."""
        namespace = item.metadata.namespace
        shelf = self._shelves.get(namespace)
        if shelf is None:
            shelf = self._shelves[namespace] = Shelf()
        name = item.metadata.name
        old = shelf.objects.get(name)
        if old is not None and not _newer(item, old):
            return
        shelf.objects[name] = item
        if item.settled:
            shelf.unsettled.pop(name, None)
        else:
            shelf.unsettled[name] = item
        if old is None or self._labels(old) != self._labels(item):
            shelf.counts.clear()
        self._on_change(namespace, old, item)

    def remove(self, namespace: str, name: str) -> None:
        """Forget an object that is gone."""
        shelf = self._shelves.get(namespace)
        if shelf is None:
            return
        old = shelf.objects.pop(name, None)
        if old is None:
            return
        shelf.unsettled.pop(name, None)
        shelf.counts.clear()
        if not shelf.objects:
            del self._shelves[namespace]
        self._on_change(namespace, old, None)

    def replace(self, namespaces: Iterable[str], items: Iterable[T]) -> None:
        """Take in a full listing of these namespaces; what it lacks was deleted meanwhile."""
        listed: dict[str, set[str]] = {namespace: set() for namespace in namespaces}
        for item in items:
            if item.metadata.namespace in listed:
                listed[item.metadata.namespace].add(item.metadata.name)
                self.apply(item)
        for namespace, names in listed.items():
            shelf = self._shelves.get(namespace)
            for name in [name for name in shelf.objects if name not in names] if shelf else ():
                self.remove(namespace, name)

    def drop(self, namespace: str) -> None:
        """Forget a namespace that nobody watches any more, without telling."""
        self._shelves.pop(namespace, None)

    def collection(self, namespace: str, selector: Selector) -> Collection[T]:
        """The objects of a namespace that a selector matches."""
        shelf = self._shelves.get(namespace)
        if shelf is None:
            return Collection.of(())
        objects = shelf.objects
        if not selector.match_labels and not selector.match_expressions:
            return Collection(tuple(shelf.unsettled.values()), objects.values, objects.__len__, objects.get)
        labels = self._labels

        def matching() -> list[T]:
            return [item for item in objects.values() if selector.matches(labels(item))]

        def count() -> int:
            key = msgspec.json.encode(selector)
            known = shelf.counts.get(key)
            if known is None:
                known = shelf.counts[key] = len(matching())
            return known

        unsettled = tuple(item for item in shelf.unsettled.values() if selector.matches(labels(item)))
        return Collection(unsettled, matching, count, objects.get)


def _newer(item: Projection, old: Projection) -> bool:
    """Whether ``item`` is another object of that name, or a later version."""
    if item.metadata.uid != old.metadata.uid:
        return True
    return is_later(item.metadata.resource_version, old.metadata.resource_version)
