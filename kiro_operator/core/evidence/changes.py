"""Who wrote the namespace's configuration, and when."""

from datetime import datetime

from msgspec import Struct

from kiro_operator.core.snapshot import Polled


class Change(Struct, frozen=True):
    """A recent write to an object's desired state, as its managedFields tell."""

    kind: str
    name: str
    manager: str
    time: datetime
    detail: str = ""
    """What is known of it, such as the revision."""


CONFIG_CHANGES: Polled[tuple[Change, ...]] = Polled("config-changes", tuple[Change, ...])
