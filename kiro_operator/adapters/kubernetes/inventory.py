"""What a namespace holds beside its workloads, listed in pages; of ConfigMaps the metadata only."""

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.adapters.kubernetes.references import templates
from kiro_operator.adapters.kubernetes.unobserved import malformed, unobserved
from kiro_operator.adapters.kubernetes.watches import RULES as WATCHED
from kiro_operator.core.evidence.inventory import (
    INVENTORY,
    Claim,
    ConfigMapName,
    Inventory,
    Limit,
    LimitRange,
    Quota,
    Template,
    Uses,
)
from kiro_operator.core.objects import Base, OwnerReference
from kiro_operator.core.permissions import Rule
from kiro_operator.core.quantity import parse_quantity
from kiro_operator.core.snapshot import Source, Unobserved

_LIST = ("list",)
RULES = {
    "persistentvolumeclaims": Rule(
        "", ("persistentvolumeclaims",), _LIST, "unused-resources names claims that nothing mounts"
    ),
    "resourcequotas": Rule("", ("resourcequotas",), _LIST, "limits-and-quotas judges how full quotas are"),
    "limitranges": Rule("", ("limitranges",), _LIST, "limits-and-quotas judges what they allow"),
    "configmaps": Rule(
        "",
        ("configmaps",),
        _LIST,
        "unused-resources names ConfigMaps that nothing refers to; it asks for metadata only, which RBAC "
        "cannot tell from a list with contents",
    ),
    "jobs": Rule("batch", ("jobs", "cronjobs"), _LIST, "what a job mounts is in use"),
}
PAGE = 500
PAGES = 10
READS_USES = "unused-resources"
KEEP = "kiro.dev/keep"

T = TypeVar("T")
_Query = dict[str, str]

_CLUSTERS_OWN = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})
_MAKERS = (
    ("Deployment", "/apis/apps/v1", "deployments", WATCHED[Source.DEPLOYMENTS]),
    ("StatefulSet", "/apis/apps/v1", "statefulsets", WATCHED[Source.STATEFUL_SETS]),
    ("DaemonSet", "/apis/apps/v1", "daemonsets", WATCHED[Source.DAEMON_SETS]),
    # A rollback would need what the old ones refer to.
    ("ReplicaSet", "/apis/apps/v1", "replicasets", WATCHED[Source.REPLICA_SETS]),
    ("CronJob", "/apis/batch/v1", "cronjobs", RULES["jobs"]),
    ("Job", "/apis/batch/v1", "jobs", RULES["jobs"]),
    ("Pod", "/api/v1", "pods", WATCHED[Source.PODS]),
)


class _Annotations(Base, frozen=True):
    keep: str = field(default="", name=KEEP)
    leader: str = field(default="", name="control-plane.alpha.kubernetes.io/leader")


class _Metadata(Base, frozen=True):
    name: str
    creation_timestamp: datetime | None = None
    annotations: _Annotations | None = None
    owner_references: tuple[OwnerReference, ...] | None = None


class _Requests(Base, frozen=True):
    requests: dict[str, str] | None = None


class _Entry(Base, frozen=True):
    type: str = ""
    max: dict[str, str] | None = None
    min: dict[str, str] | None = None
    default: dict[str, str] | None = None
    default_request: dict[str, str] | None = None
    max_limit_request_ratio: dict[str, str] | None = None


class _Spec(Base, frozen=True):
    resources: _Requests = _Requests()
    storage_class_name: str | None = None
    hard: dict[str, str] | None = None
    limits: tuple[_Entry, ...] | None = None


class _Status(Base, frozen=True):
    phase: str = ""
    capacity: dict[str, str] | None = None
    hard: dict[str, str] | None = None
    used: dict[str, str] | None = None


class _Item(Base, frozen=True):
    metadata: _Metadata
    spec: _Spec = _Spec()
    status: _Status = _Status()


class _Page(Struct, frozen=True, rename={"go_on": "continue"}):
    go_on: str = ""


class _List(Struct, frozen=True):
    metadata: _Page = _Page()
    items: tuple[_Item, ...] | None = None


_decode = msgspec.json.Decoder(_List).decode


class Inventories:
    """Lists what a namespace holds; what refers to it only where a check asks for that."""

    source = INVENTORY
    rules = tuple(RULES.values())

    def __init__(self, client: Client) -> None:
        self._client = client

    async def observe(self, request: ports.PollRequest) -> Inventory:
        """Each part by itself: one that cannot be listed takes nothing from the others."""
        parts: dict[str, Any] = {
            "claims": await self._list(request, "persistentvolumeclaims", _claim),
            "quotas": await self._list(request, "resourcequotas", _quota),
            "limit_ranges": await self._list(request, "limitranges", _limit_range),
        }
        if any(ask.id == READS_USES for ask in request.asks):
            parts["uses"] = await self._uses(request)
        missing = {name: part for name, part in parts.items() if isinstance(part, Unobserved)}
        seen = {name: part for name, part in parts.items() if name not in missing}
        return Inventory(**seen, missing=missing)

    async def _uses(self, request: ports.PollRequest) -> Uses | Unobserved:
        config_maps = await self._list(request, "configmaps", _config_map, metadata_only=True)
        if isinstance(config_maps, Unobserved):
            return config_maps
        found: list[Template] = []
        for kind, prefix, plural, rule in _MAKERS:

            def read(body: bytes, kind: str = kind) -> tuple[list[Template], str]:
                return templates(body, kind)

            listed = await self._pages(request, f"{prefix}/namespaces/{{}}/{plural}", rule, read)
            if isinstance(listed, Unobserved):
                return listed  # what one kind refers to would seem unused
            found += listed
        owned = tuple(item for item in config_maps if item is not None)
        return Uses(owned, tuple(found), tuple(sorted(set(_texts(request.spec.model_dump(mode="json"))))))

    async def _list(
        self,
        request: ports.PollRequest,
        plural: str,
        make: Callable[[_Item], T],
        *,
        metadata_only: bool = False,
    ) -> tuple[T, ...] | Unobserved:
        def read(body: bytes) -> tuple[list[T], str]:
            page = _decode(body)
            return [make(item) for item in page.items or ()], page.metadata.go_on

        path = f"/api/v1/namespaces/{{}}/{plural}"
        return await self._pages(request, path, RULES[plural], read, metadata_only=metadata_only)

    async def _pages(
        self,
        request: ports.PollRequest,
        path: str,
        rule: Rule,
        read: Callable[[bytes], tuple[list[T], str]],
        *,
        metadata_only: bool = False,
    ) -> tuple[T, ...] | Unobserved:
        what = f"the {path.rpartition('/')[2]}"
        get = self._client.get_metadata if metadata_only else self._client.get
        query: _Query = {"limit": str(PAGE)}
        found: list[T] = []
        try:
            for _ in range(PAGES):
                items, go_on = read(await get(path.format(request.namespace), **query))
                found += items
                if not go_on:
                    return tuple(found)
                query["continue"] = go_on
        except MALFORMED as error:
            return malformed(error, request.namespace, what)
        except (ports.ApiError, ports.Unreachable) as error:
            return unobserved(error, rule, request.namespace, what)
        return Unobserved("TooManyObjects", f"the namespace holds more of {what} than {PAGE * PAGES}")


def _claim(item: _Item) -> Claim:
    size = (item.status.capacity or {}).get("storage") or (item.spec.resources.requests or {}).get("storage")
    return Claim(
        item.metadata.name,
        _numbers({"storage": size or "0"}).get("storage", 0.0),
        item.status.phase,
        item.spec.storage_class_name or "",
        item.metadata.creation_timestamp,
        # A claim that an object owns goes with its owner.
        _kept(item) or bool(item.metadata.owner_references),
    )


def _quota(item: _Item) -> Quota:
    hard = item.status.hard or item.spec.hard
    return Quota(item.metadata.name, _numbers(hard), _numbers(item.status.used))


def _limit_range(item: _Item) -> LimitRange:
    return LimitRange(item.metadata.name, tuple(_limit(entry) for entry in item.spec.limits or ()))


def _limit(entry: _Entry) -> Limit:
    return Limit(
        entry.type,
        _numbers(entry.max),
        _numbers(entry.min),
        _numbers(entry.default),
        _numbers(entry.default_request),
        _numbers(entry.max_limit_request_ratio),
    )


def _config_map(item: _Item) -> ConfigMapName | None:
    """None for those that the cluster, another object or an election of a leader answers for."""
    metadata = item.metadata
    if metadata.name in _CLUSTERS_OWN or metadata.owner_references:
        return None
    if metadata.annotations is not None and metadata.annotations.leader:
        return None
    return ConfigMapName(metadata.name, metadata.creation_timestamp, _kept(item))


def _kept(item: _Item) -> bool:
    return item.metadata.annotations is not None and item.metadata.annotations.keep == "true"


def _numbers(quantities: Mapping[str, str] | None) -> dict[str, float]:
    """Quantities as numbers; what is none, or not finite, is left out."""
    found: dict[str, float] = {}
    for name, text in (quantities or {}).items():
        try:
            number = parse_quantity(text)
        except ValueError:
            continue
        if math.isfinite(number):
            found[name] = number
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
