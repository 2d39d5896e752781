"""What a supervisor tells the world about its control plane: one JSON file, replaced as a whole."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devcluster.errors import NotRunning

FILE = "state.json"


@dataclass
class ComponentState:
    """One component as status shows it.

    Attributes:
        state: starting, running, ready, paused, stopped or died.
        started_at: Seconds since the epoch.
        exit_code: Of a component that died; negative for a signal.
    """

    name: str
    port: int
    state: str = "starting"
    pid: int = 0
    started_at: float = 0.0
    exit_code: int | None = None


@dataclass
class State:
    """One control plane.

    Attributes:
        phase: booting, ready, failed or stopped; for a user's own cluster: external.
        control_port: Where the supervisor listens on loopback.
        token: What a command to the supervisor must carry.
        context: The user's own kubeconfig context, when nothing was booted.
    """

    name: str
    phase: str
    server: str = ""
    pid: int = 0
    started_at: float = 0.0
    control_port: int = 0
    token: str = ""
    context: str = ""
    error: str = ""
    components: dict[str, ComponentState] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Replace the file in one step, readable by its owner only."""
        unfinished = folder / f"{FILE}.unfinished"
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")
        unfinished.replace(folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> State:
        """Read what `save` wrote.

        Raises:
            NotRunning: The folder never held a control plane.
        """
        try:
            content: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotRunning(f"no control plane was started in {folder}") from error
        components = {name: ComponentState(**each) for name, each in content.pop("components").items()}
        return cls(**content, components=components)
