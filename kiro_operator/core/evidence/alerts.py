"""The alerts that Alertmanager holds now, and the groups it notifies them in."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from kiro_operator.core.snapshot import Polled


class Alert(Struct, frozen=True):
    """One alert that has not ended."""

    fingerprint: str
    labels: Mapping[str, str]
    since: datetime
    silenced: bool = False
    """Somebody has looked at it and silenced it."""
    inhibited: bool = False
    """Another alert stands for it."""

    @property
    def name(self) -> str:
        """Its alertname; empty when it has none."""
        return self.labels.get("alertname", "")


class AlertGroup(Struct, frozen=True):
    """Alerts that are notified together."""

    receiver: str
    labels: Mapping[str, str]
    """What they have in common: the group is named by these."""
    alerts: tuple[str, ...]
    """Fingerprints."""


class Alerts(Struct, frozen=True):
    """All of it."""

    alerts: tuple[Alert, ...] = ()
    """By fingerprint."""
    groups: tuple[AlertGroup, ...] = ()
    truncated: bool = False
    """There were more than are read."""


ALERTS: Polled[Alerts] = Polled("alertmanager", Alerts, section="alertmanager")
