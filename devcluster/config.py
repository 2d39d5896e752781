"""What one control plane is asked to be; travels to its supervisor as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

FILE = "config.json"


@dataclass(frozen=True)
class Config:
    """The options of one control plane.

    Attributes:
        name: What status and errors call it.
        nodes: How many kwok nodes it has at first.
        metrics_server: Whether `kubectl top` works (some 15 to 30 s after boot).
        audit: Whether the API server writes an audit log.
        fast: Whether controller manager and scheduler get high client limits.
        parent_pid: The process whose end ends the control plane; 0 for none.
        timeout: Seconds that the boot may take.
    """

    name: str = "default"
    nodes: int = 2
    metrics_server: bool = True
    audit: bool = True
    fast: bool = False
    parent_pid: int = 0
    timeout: float = 90.0

    def save(self, folder: Path) -> None:
        """Write it to the control plane's folder."""
        (folder / FILE).write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Config:
        """Read what `save` wrote."""
        return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
