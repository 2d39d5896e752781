"""What a namespace holds beside its workloads: claims, quotas, limits, ConfigMaps, and who uses them."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from kiro_operator.core.snapshot import Polled, Unobserved


class Claim(Struct, frozen=True):
    """A PersistentVolumeClaim."""

    name: str
    bytes: float = 0.0
    """What is bound, or else asked for."""
    phase: str = ""
    """Pending, Bound or Lost."""
    storage_class: str = ""
    created: datetime | None = None
    kept: bool = False
    """It is annotated as to be kept."""


class Quota(Struct, frozen=True):
    """A ResourceQuota: quantities as numbers, by resource such as ``requests.cpu``."""

    name: str
    hard: Mapping[str, float] = {}
    used: Mapping[str, float] = {}


class Limit(Struct, frozen=True):
    """One entry of a LimitRange: quantities as numbers, by resource."""

    type: str
    """Container, Pod or PersistentVolumeClaim."""
    max: Mapping[str, float] = {}
    min: Mapping[str, float] = {}
    default: Mapping[str, float] = {}
    default_request: Mapping[str, float] = {}
    max_limit_request_ratio: Mapping[str, float] = {}


class LimitRange(Struct, frozen=True):
    """A LimitRange."""

    name: str
    limits: tuple[Limit, ...] = ()


class ConfigMapName(Struct, frozen=True):
    """A ConfigMap that nobody is known to own; its content is never read."""

    name: str
    created: datetime | None = None
    kept: bool = False
    """It is annotated as to be kept."""


class Template(Struct, frozen=True):
    """What pods are made from, or a pod that nothing made: what it refers to."""

    kind: str
    name: str
    labels: Mapping[str, str] = {}
    """Of its pods."""
    claims: tuple[str, ...] = ()
    config_maps: tuple[str, ...] = ()
    claim_templates: tuple[str, ...] = ()
    """Of a StatefulSet: its pods' claims are called ``TEMPLATE-POD``."""


class Uses(Struct, frozen=True):
    """What could be left over, and what refers to it."""

    config_maps: tuple[ConfigMapName, ...] = ()
    templates: tuple[Template, ...] = ()
    named: tuple[str, ...] = ()
    """Texts in the KiroHealthCheck's spec: an object that it names is read by the operator."""


class Inventory(Struct, frozen=True):
    """What there is; each part by itself can be out of sight."""

    claims: tuple[Claim, ...] = ()
    quotas: tuple[Quota, ...] = ()
    limit_ranges: tuple[LimitRange, ...] = ()
    uses: Uses | None = None
    """None where no check asks for it."""
    missing: Mapping[str, Unobserved] = {}
    """Why a part could not be listed, by its name here; such a part is empty, and nothing is known of it."""


INVENTORY: Polled[Inventory] = Polled("inventory", Inventory)
