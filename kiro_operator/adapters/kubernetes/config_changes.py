"""Who wrote ConfigMaps lately. Metadata only: their contents are neither asked for nor sent."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.adapters.kubernetes.unobserved import malformed, unobserved
from kiro_operator.core.checks.responsiveness.recent_configuration_changes import (
    CLUSTER,
    RecentConfigurationChangesParameters,
)
from kiro_operator.core.evidence.changes import CONFIG_CHANGES, Change
from kiro_operator.core.objects import Base, ManagedField
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Unobserved

RULES = (
    Rule(
        "",
        ("configmaps",),
        ("list",),
        "recent-configuration-changes names who wrote a ConfigMap before a failure began; it asks for "
        "metadata only, which RBAC cannot tell from a list with contents",
    ),
)
PAGE = 500
PAGES = 10
CHANGES = 100
"""Kept of one sample, the latest."""

_CLUSTERS_OWN = frozenset({"kube-root-ca.crt"})
_WHAT = "the metadata of ConfigMaps"
_TOO_MANY = Unobserved(
    "TooManyConfigMaps",
    f"the namespace holds more than {PAGE * PAGES} ConfigMaps, too many to look through for changes",
)


class _Annotations(Base, frozen=True):
    leader: str = field(default="", name="control-plane.alpha.kubernetes.io/leader")


class _Metadata(Base, frozen=True):
    name: str
    creation_timestamp: Annotated[datetime, Meta(tz=True)] | None = None
    annotations: _Annotations = _Annotations()
    managed_fields: tuple[ManagedField, ...] = ()


class _Item(Base, frozen=True):
    metadata: _Metadata


class _Page(Struct, frozen=True, rename={"go_on": "continue"}):
    go_on: str = ""


class _List(Struct, frozen=True):
    metadata: _Page = _Page()
    items: tuple[_Item, ...] | None = None


_decode = msgspec.json.Decoder(_List).decode


class ConfigChanges:
    """Samples the writes to ConfigMaps; those to workloads are in the snapshot already."""

    source = CONFIG_CHANGES
    rules = RULES

    def __init__(self, client: Client) -> None:
        self._client = client

    async def observe(self, request: ports.PollRequest) -> tuple[Change, ...] | Unobserved:
        """The writes from the look-back before the first failure on, the latest first."""
        asked = request.parameters("recent-configuration-changes")
        parameters: RecentConfigurationChangesParameters = asked or RecentConfigurationChangesParameters()
        began = request.snapshot.began_failing.values()
        first = min(began, default=request.now) - parameters.look_back
        path = f"/api/v1/namespaces/{request.namespace}/configmaps"
        query = {"limit": str(PAGE)}
        found: list[Change] = []
        try:
            for _ in range(PAGES):
                page = _decode(await self._client.get_metadata(path, **query))
                found += (change for item in page.items or () for change in changes(item.metadata, first))
                if not page.metadata.go_on:
                    return _latest(found)
                query["continue"] = page.metadata.go_on
        except MALFORMED as error:
            return malformed(error, request.namespace, _WHAT)
        except (ports.ApiError, ports.Unreachable) as error:
            return unobserved(error, RULES[0], request.namespace, _WHAT)
        # Without a finding there may still be one among those that were not read.
        return _latest(found) or _TOO_MANY


def changes(metadata: _Metadata, first: datetime) -> Iterator[Change]:
    """The writes to one ConfigMap's content since ``first``.

    What the cluster writes by itself is no change of anybody's, nor is a lock for leader election,
    which is renewed every few seconds.
    """
    if metadata.name in _CLUSTERS_OWN or metadata.annotations.leader:
        return
    # Managers' times are whole seconds: a write in the very second of the bound counts.
    bound = first.replace(microsecond=0)
    for entry in metadata.managed_fields:
        at = _utc(entry.time)
        if at is None or at < bound or entry.subresource or entry.manager in CLUSTER:
            continue
        created = "created" if at == metadata.creation_timestamp else ""
        yield Change("ConfigMap", metadata.name, entry.manager, at, created)


def _utc(time: datetime | None) -> datetime | None:
    """The same time in UTC; None where the calendar ends before that."""
    try:
        return None if time is None else time.astimezone(UTC)
    except OverflowError:
        return None


def _latest(found: list[Change]) -> tuple[Change, ...]:
    found.sort(key=lambda change: (-change.time.timestamp(), change.name, change.manager))
    return tuple(found[:CHANGES])
