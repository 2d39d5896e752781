"""What pod templates refer to, read from workloads of any kind: names of claims and ConfigMaps, no more."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from kiro_operator.core.evidence.inventory import Template
from kiro_operator.core.objects import Base


class _Named(Base, frozen=True):
    name: str = ""
    claim_name: str = ""


class _Source(Base, frozen=True):
    config_map: _Named | None = None


class _Projected(Base, frozen=True):
    sources: tuple[_Source, ...] | None = None


class _Volume(Base, frozen=True):
    config_map: _Named | None = None
    persistent_volume_claim: _Named | None = None
    projected: _Projected | None = None


class _ValueFrom(Base, frozen=True):
    config_map_key_ref: _Named | None = None


class _Variable(Base, frozen=True):
    value_from: _ValueFrom | None = None


class _Variables(Base, frozen=True):
    config_map_ref: _Named | None = None


class _Container(Base, frozen=True):
    env: tuple[_Variable, ...] | None = None
    env_from: tuple[_Variables, ...] | None = None


class _PodSpec(Base, frozen=True):
    volumes: tuple[_Volume, ...] | None = None
    containers: tuple[_Container, ...] | None = None
    init_containers: tuple[_Container, ...] | None = None


class _Metadata(Base, frozen=True):
    name: str = ""
    labels: dict[str, str] | None = None


class _PodTemplate(Base, frozen=True):
    metadata: _Metadata = _Metadata()
    spec: _PodSpec = _PodSpec()


class _Claim(Base, frozen=True):
    metadata: _Metadata = _Metadata()


class _JobSpec(Base, frozen=True):
    template: _PodTemplate = _PodTemplate()


class _Job(Base, frozen=True):
    spec: _JobSpec = _JobSpec()


class _Spec(_PodSpec, frozen=True):
    """The spec of a pod, or of whatever makes pods."""

    template: _PodTemplate | None = None
    job_template: _Job | None = None
    volume_claim_templates: tuple[_Claim, ...] | None = None


class _Item(Base, frozen=True):
    metadata: _Metadata
    spec: _Spec = _Spec()


class _Page(Struct, frozen=True, rename={"go_on": "continue"}):
    go_on: str = ""


class _List(Struct, frozen=True):
    metadata: _Page = _Page()
    items: tuple[_Item, ...] | None = None


_decode = msgspec.json.Decoder(_List).decode


def templates(body: bytes, kind: str) -> tuple[list[Template], str]:
    """The templates in one page of a list, and how to go on.

    Raises:
        msgspec.DecodeError: it is no such list.
    """
    page = _decode(body)
    return [_template(item, kind) for item in page.items or ()], page.metadata.go_on


def _template(item: _Item, kind: str) -> Template:
    spec = item.spec
    if spec.job_template is not None:
        template = spec.job_template.spec.template
    else:
        template = spec.template or _PodTemplate(item.metadata, spec)
    return Template(
        kind,
        item.metadata.name,
        template.metadata.labels or {},
        tuple(sorted(set(_claims(template.spec)))),
        tuple(sorted(set(_config_maps(template.spec)))),
        tuple(claim.metadata.name for claim in spec.volume_claim_templates or ()),
    )


def _claims(spec: _PodSpec) -> Iterator[str]:
    for volume in spec.volumes or ():
        if volume.persistent_volume_claim is not None:
            yield volume.persistent_volume_claim.claim_name


def _config_maps(spec: _PodSpec) -> Iterator[str]:
    for volume in spec.volumes or ():
        if volume.config_map is not None:
            yield volume.config_map.name
        for source in (volume.projected.sources if volume.projected else None) or ():
            if source.config_map is not None:
                yield source.config_map.name
    for container in (*(spec.containers or ()), *(spec.init_containers or ())):
        for variable in container.env or ():
            if variable.value_from is not None and variable.value_from.config_map_key_ref is not None:
                yield variable.value_from.config_map_key_ref.name
        for variables in container.env_from or ():
            if variables.config_map_ref is not None:
                yield variables.config_map_ref.name
