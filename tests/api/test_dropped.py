"""No field of a KiroSafetyPolicy widens by its absence: each is lost in turn, as a slip loses it."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from kiro_operator.api.v1alpha1 import KiroSafetyPolicy
from tests.api.documents import POLICY, changed, loaded
from tests.api.narrower import narrower_or_equal
from tests.api.server import Server, decoded
from tools.crds import structural

Path = tuple[str | int, ...]

# Together these hold every field; one document cannot, for two of them exclude each other.
FULL = {
    "maxUnhealthy": POLICY,
    "minHealthy": changed("KiroSafetyPolicy", "maxUnhealthy: 40%", "minHealthy: 60%"),
    "range": changed("KiroSafetyPolicy", "maxUnhealthy: 40%", 'unhealthyRange: "[0-3]"'),
    "paused": changed("KiroSafetyPolicy", "pauseRequests: []", "pauseRequests: [audit]"),
}
# The keys of these are a user's own words, not fields: no schema knows a misspelt one.
FREE = {"matchLabels", "data"}


def paths(node: Any, here: Path = ()) -> Iterator[Path]:
    """The path of each field, at any depth."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield (*here, key)
            if key not in FREE:
                yield from paths(child, (*here, key))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from paths(child, (*here, index))


def known(schema: dict[str, Any], here: Path = ()) -> Iterator[Path]:
    """The path of each field that the schema has, without the indices of lists."""
    for key, child in schema.get("properties", {}).items():
        yield (*here, key)
        yield from known(child, (*here, key))
        yield from known(child.get("items", {}), (*here, key))


CASES = [
    pytest.param(name, path, id=f"{name}: {'.'.join(map(str, path))}")
    for name, text in FULL.items()
    for path in paths({"spec": loaded(text)["spec"]})
]


def without(document: dict[str, Any], path: Path, *, misspelt: bool) -> str:
    """The document with one field misspelt, or with null for its value."""
    result = copy.deepcopy(document)
    parent: Any = result
    for step in path[:-1]:
        parent = parent[step]
    if misspelt:
        parent[f"{path[-1]}x"] = parent.pop(path[-1])
    else:
        parent[path[-1]] = None
    return json.dumps(result)


def test_the_documents_hold_every_field() -> None:
    spec = structural(KiroSafetyPolicy)["properties"]["spec"]
    held = {
        tuple(step for step in path if isinstance(step, str))
        for text in FULL.values()
        for path in paths({"spec": loaded(text)["spec"]})
    }
    assert {("spec", *path) for path in known(spec)} == held - {("spec",)}


@pytest.mark.parametrize("misspelt", [True, False], ids=["misspelt", "null"])
@pytest.mark.parametrize(("name", "path"), CASES)
def test_a_lost_field_is_refused_or_narrows(server: Server, name: str, path: Path, *, misspelt: bool) -> None:
    document = loaded(FULL[name])
    stored = server.stored("KiroSafetyPolicy", without(document, path, misspelt=misspelt))
    if stored is not None:
        assert narrower_or_equal(decoded(stored).spec, decoded(document).spec)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mode: Enforce", "mode: DryRun"),
        ("approval: Automatic", "approval: Manual"),
        ("limit: 4", "limit: 3"),
        ("window: 1h30m", "window: 2h"),
        ("cooldown: 5m", "cooldown: 6m"),
        ("initial: 10m", "initial: 11m"),
        ("maximum: 4h", "maximum: 5h"),
        ("maxConsecutiveFailures: 3", "maxConsecutiveFailures: 2"),
        ("maxUnhealthy: 40%", "maxUnhealthy: 39%"),
        ("stormCooldown: 10m", "stormCooldown: 11m"),
        ("floor: 2", "floor: 3"),
        ("ceiling: 5", "ceiling: 4"),
        ("step: 1", "step: 1"),
        ("pauseRequests: []", "pauseRequests: [audit]"),
        ("        app: ledger", "        {}"),
        ("consent: [SingleReplica]", "consent: []"),
    ],
)
def test_narrower_tells_the_narrower_of_two(old: str, new: str) -> None:
    wide, narrow = decoded(loaded(POLICY)).spec, decoded(loaded(changed("KiroSafetyPolicy", old, new))).spec
    assert narrower_or_equal(narrow, wide)
    assert narrow == wide or not narrower_or_equal(wide, narrow)


def test_narrower_tells_a_lost_window_and_a_new_action() -> None:
    wide = decoded(loaded(POLICY)).spec
    assert not narrower_or_equal(wide.model_copy(update={"forbidden_windows": []}), wide)
    assert not narrower_or_equal(wide, wide.model_copy(update={"actions": wide.actions[:1]}))
    assert not narrower_or_equal(wide.model_copy(update={"max_unhealthy": 2}), wide)
