"""The safety configurations that policies name, as they are."""

from collections.abc import Mapping

from msgspec import Struct

from kiro_operator.core.snapshot import Polled


class ConfigData(Struct, frozen=True):
    """A ConfigMap's keys and values, redacted."""

    data: Mapping[str, str] = {}
    digests: Mapping[str, str] = {}
    """SHA-256 of each value before anything was taken out of it; ``binary`` for what is no text."""
    truncated: bool = False
    """It holds more than is kept."""


SAFETY_CONFIG: Polled[Mapping[str, ConfigData | None]] = Polled("safety-config", dict[str, ConfigData | None])
"""By the ConfigMap's name; None: it is not there."""
