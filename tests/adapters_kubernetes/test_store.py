"""The store: the latest version of each object, and every change told once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kiro_operator.adapters.kubernetes.store import Store
from kiro_operator.core.objects import Pod, Selector


def pod(
    name: str = "a",
    version: int = 1,
    *,
    uid: str = "u",
    namespace: str = "n",
    ready: bool = True,
    **labels: str,
) -> Pod:
    """A pod that is settled when it is ready."""
    body: dict[str, Any] = {
        "metadata": {
            "name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version),
            "labels": labels, "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [],
        },
    }  # fmt: skip
    return msgspec.convert(body, Pod)


Told = list[tuple[str, str | None, str | None]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def store(told: Told) -> Store[Pod]:
    def version(item: Pod | None) -> str | None:
        return item.metadata.resource_version if item else None

    return Store(lambda namespace, old, new: told.append((namespace, version(old), version(new))))


def names(items: Any) -> list[str]:
    return sorted(item.metadata.name for item in items)


def test_a_later_version_wins_whatever_the_order(store: Store[Pod], told: Told) -> None:
    for version in (9, 10, 9, 10, 2):  # numbers, not words: 10 is after 9
        store.apply(pod(version=version))

    found = store.get("n", "a")
    assert found is not None
    assert found.metadata.resource_version == "10"
    assert told == [("n", None, "9"), ("n", "9", "10")]


def test_another_object_of_the_same_name_is_another_object(store: Store[Pod]) -> None:
    store.apply(pod(version=10, uid="old"))
    store.apply(pod(version=3, uid="new"))
    found = store.get("n", "a")
    assert found is not None
    assert found.metadata.uid == "new"


def test_a_listing_tells_what_was_deleted_and_only_where_it_was_listed(store: Store[Pod], told: Told) -> None:
    for name in ("a", "b", "c"):
        store.apply(pod(name))
    store.apply(pod("elsewhere", namespace="other"))
    told.clear()

    store.replace(["n"], [pod("a"), pod("b", 2), pod("d"), pod("stray", namespace="unwatched")])

    assert names(store.all("n")) == ["a", "b", "d"]
    assert names(store.all("other")) == ["elsewhere"]
    assert names(store.all("unwatched")) == []
    assert told == [("n", "1", "2"), ("n", None, "1"), ("n", "1", None)]


def test_an_empty_listing_empties_the_namespace(store: Store[Pod]) -> None:
    store.apply(pod(ready=False))
    store.replace(["n", "never-seen"], [])
    assert len(store) == 0
    assert store.collection("n", Selector()).unsettled == ()


def test_a_listing_older_than_the_watch_takes_nothing_back(store: Store[Pod]) -> None:
    store.apply(pod(version=7))
    store.replace(["n"], [pod(version=5)])
    found = store.get("n", "a")
    assert found is not None
    assert found.metadata.resource_version == "7"


def test_removing_and_dropping(store: Store[Pod], told: Told) -> None:
    store.apply(pod())
    store.remove("n", "unknown")
    store.remove("nowhere", "a")
    assert told == [("n", None, "1")]
    store.remove("n", "a")
    assert told[-1] == ("n", "1", None)
    store.apply(pod())
    told.clear()
    store.drop("n")
    assert told == []
    assert store.get("n", "a") is None


def test_a_collection_selects_counts_and_sets_the_unsettled_apart(store: Store[Pod]) -> None:
    web = msgspec.convert({"matchLabels": {"app": "web"}}, Selector)
    store.apply(pod("a", app="web"))
    store.apply(pod("b", app="web", ready=False))
    store.apply(pod("c", app="db", ready=False))

    everything, selected = store.collection("n", Selector()), store.collection("n", web)
    assert (len(everything), names(everything.unsettled)) == (3, ["b", "c"])
    assert (len(selected), names(selected.unsettled)) == (2, ["b"])
    assert store.collection("empty", web).unsettled == ()

    store.apply(pod("a", 2, app="db"))  # relabelled
    store.apply(pod("b", 2, app="web"))  # mended
    selected = store.collection("n", web)
    assert (len(selected), selected.unsettled) == (1, ())
    store.remove("n", "b")
    assert len(store.collection("n", web)) == 0
