"""The safety configurations that policies name, as they are."""

import hashlib
from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from kiro_operator.api.v1alpha1.autonomy import DesiredConfig
from kiro_operator.core.findings import clip
from kiro_operator.core.redact import redact
from kiro_operator.core.snapshot import Polled

BINARY = "binary"
"""Stands for the digest of what is no text."""
_SHOWN = 60
"""Characters of a value in a difference."""


class ConfigData(Struct, frozen=True):
    """A ConfigMap's keys and values, redacted."""

    data: Mapping[str, str] = {}
    digests: Mapping[str, str] = {}
    """SHA-256 of each value before anything was taken out of it; BINARY for what is no text."""
    truncated: bool = False
    """It holds more than is kept."""
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] = {}
    protected: str = ""
    """Value of the annotation kiro.dev/protected."""
    gitops: str = ""
    """The GitOps tool that keeps it; empty for none."""


SAFETY_CONFIG: Polled[Mapping[str, ConfigData | None]] = Polled("safety-config", dict[str, ConfigData | None])
"""By the ConfigMap's name; None: it is not there."""


def digest(value: str) -> str:
    """How a value is told from another one that is redacted to the same."""
    return hashlib.sha256(value.encode()).hexdigest()


def differing(wanted: DesiredConfig, actual: ConfigData, held: Collection[str] = ()) -> list[str]:
    """The keys that are not as they should be: missing, foreign, or of another value.

    Those in ``held`` are as a containment has them, which is desired while it lasts.
    """
    keys = sorted({*wanted.data, *actual.digests}.difference(held))
    return [
        key for key in keys if key not in wanted.data or actual.digests.get(key) != digest(wanted.data[key])
    ]


def differences(wanted: DesiredConfig, actual: ConfigData, held: Collection[str] = ()) -> Iterator[str]:
    """Each key that is not as it should be, for a person: expected → found."""
    for key in differing(wanted, actual, held):
        expected = _shown(key, wanted.data[key]) if key in wanted.data else "absent"
        found = _quoted(actual.data.get(key, "")) if key in actual.digests else "absent"
        yield f"{key}: {expected} → {found}"
    if actual.truncated:
        yield "more keys than are looked at"


def exact(actual: ConfigData, key: str) -> str | None:
    """The value of a key as it is; None where it is not there, or not known as a whole."""
    value = actual.data.get(key)
    return value if value is not None and actual.digests.get(key) == digest(value) else None


def _shown(key: str, value: str) -> str:
    return _quoted(redact(f"{key}: {value}").removeprefix(f"{key}: "))


def _quoted(value: str) -> str:
    return f"'{clip(' '.join(value.split()), _SHOWN)}'"
