"""Documents from the keys of ConfigMaps, and the modes that these are mounted with."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from kiro_operator.core.evidence.steering import Document, Holder, Mount
from kiro_operator.core.objects import Base, ManagedField
from kiro_operator.core.objects.meta import MarkedMetadata
from kiro_operator.core.steering.keys import path_of

OWN = "kiro-operator"


class _ConfigMap(Base, frozen=True):
    metadata: MarkedMetadata
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None


class _Security(Base, frozen=True):
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    fs_group: int | None = None


class _Item(Base, frozen=True):
    key: str = ""
    mode: int | None = None


class _Source(Base, frozen=True):
    name: str = ""
    default_mode: int | None = None
    items: tuple[_Item, ...] = ()


class _Projection(Base, frozen=True):
    config_map: _Source | None = None


class _Projected(Base, frozen=True):
    default_mode: int | None = None
    sources: tuple[_Projection, ...] | None = None


class _Volume(Base, frozen=True):
    name: str
    config_map: _Source | None = None
    projected: _Projected | None = None


class _VolumeMount(Base, frozen=True):
    name: str


class _Container(Base, frozen=True):
    name: str
    security_context: _Security | None = None
    volume_mounts: tuple[_VolumeMount, ...] = ()


class _PodSpec(Base, frozen=True):
    security_context: _Security | None = None
    containers: tuple[_Container, ...] = ()
    volumes: tuple[_Volume, ...] = ()


class _PodMetadata(Struct, frozen=True):
    name: str


class _Pod(Struct, frozen=True):
    metadata: _PodMetadata
    spec: _PodSpec


_decode = msgspec.json.Decoder(_ConfigMap).decode
_decode_pod = msgspec.json.Decoder(_Pod).decode


def document(path: str, body: bytes, origin: str, *, limit: int, size: int | None = None) -> Document:
    """A document from its bytes, of which no more than ``limit`` are kept."""
    size = len(body) if size is None else size
    digest = hashlib.sha256(body).hexdigest()
    cut = size > limit
    body = body[:limit]
    try:
        return Document(path, body.decode(), origin, digest, size=size, cut=cut)
    except UnicodeDecodeError as error:
        if cut and error.start >= limit - 3:
            return Document(path, body[: error.start].decode(), origin, digest, size=size, cut=cut)
        return Document(path, "", origin, digest, size=size, cut=cut, invalid_at=error.start)


def documents(body: bytes, limit: int) -> tuple[Holder, list[Document]]:
    """A ConfigMap, and the documents in it.

    Raises:
        msgspec.DecodeError: it is no ConfigMap.
    """
    config_map = _decode(body)
    metadata = config_map.metadata
    manager, changed = _last_change(metadata.managed_fields)
    origin = f"ConfigMap {metadata.name}"
    contents = {key: text.encode() for key, text in (config_map.data or {}).items()}
    for key, text in (config_map.binary_data or {}).items():
        try:
            contents[key] = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise msgspec.DecodeError(f"binaryData.{key} is no base64") from error
    found: list[Document] = []
    for key, content in sorted(contents.items()):
        path = path_of(key)
        if path is not None:
            read = document(path, content, origin, limit=limit)
            found.append(msgspec.structs.replace(read, key=key, manager=manager, changed=changed))
    return _holder(config_map), found


def _holder(config_map: _ConfigMap) -> Holder:
    metadata = config_map.metadata
    return Holder(
        metadata.name,
        metadata.uid,
        metadata.resource_version,
        metadata.labels,
        metadata.protected,
        metadata.gitops,
        tuple(sorted(config_map.binary_data or {})),
    )


def _last_change(fields: Iterable[ManagedField]) -> tuple[str, datetime | None]:
    last = max(
        (field for field in fields if field.time and not field.subresource and field.manager != OWN),
        key=lambda field: field.time or datetime.min.replace(tzinfo=UTC),
        default=None,
    )
    return (last.manager, last.time) if last else ("", None)


def mounts(body: bytes, names: Iterable[str], container: str) -> list[Mount]:
    """How the containers of a pod see these ConfigMaps, one mount for each mode.

    Raises:
        msgspec.DecodeError: it is no pod.
    """
    pod = _decode_pod(body)
    wanted = set(names)
    found: dict[tuple[str, int], Mount] = {}
    for one in pod.spec.containers:
        if container and one.name != container:
            continue
        mounted = {mount.name for mount in one.volume_mounts}
        security = _merged(pod.spec.security_context, one.security_context)
        for volume in pod.spec.volumes:
            if volume.name not in mounted:
                continue
            for name, mode in _modes(volume):
                if name in wanted:
                    mount = Mount(name, pod.metadata.name, mode, readable(mode, security))
                    found.setdefault((name, mode), mount)
    return list(found.values())


def _modes(volume: _Volume) -> list[tuple[str, int]]:
    """The modes that a volume gives to each ConfigMap's keys."""
    sources: list[tuple[_Source, int]] = []
    if volume.config_map is not None:
        mode = volume.config_map.default_mode
        sources.append((volume.config_map, 0o644 if mode is None else mode))
    if volume.projected is not None:
        mode = volume.projected.default_mode
        sources += [
            (source.config_map, 0o644 if mode is None else mode)
            for source in volume.projected.sources or ()
            if source.config_map is not None
        ]
    found: list[tuple[str, int]] = []
    for source, default in sources:
        items = [item for item in source.items if path_of(item.key)]
        modes = {default if item.mode is None else item.mode for item in items} or {default}
        found += [(source.name, mode) for mode in sorted(modes)]
    return found


def _merged(pod: _Security | None, container: _Security | None) -> _Security:
    pod, container = pod or _Security(), container or _Security()

    def first(one: int | None, other: int | None) -> int | None:
        return other if one is None else one

    return _Security(
        first(container.run_as_user, pod.run_as_user),
        first(container.run_as_group, pod.run_as_group),
        container.run_as_non_root if container.run_as_non_root is not None else pod.run_as_non_root,
        pod.fs_group,
    )


def readable(mode: int, security: _Security) -> bool | None:
    """Whether the container's user can read a file of that mode which root owns; None: it does not say.

    A volume of a pod with an fsGroup is made readable for that group.
    """
    if mode & 0o004 or security.fs_group is not None or security.run_as_user == 0:
        return True
    if security.run_as_user is None and not security.run_as_non_root:
        return None
    if mode & 0o040:
        # Without a group of its own the user is in the root group.
        return True if security.run_as_group == 0 else (None if security.run_as_group is None else False)
    return False
