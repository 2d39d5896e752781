"""Where things lie: programs in the user's cache, each control plane in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
GO_MODULE = HERE / "controlplane"
MANIFESTS = HERE / "manifests"


def cache_root() -> Path:
    """$XDG_CACHE_HOME/kiro-devcluster, or the same below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "kiro-devcluster"


def default_folder(name: str) -> Path:
    """The folder of the control plane that the command line knows by `name`."""
    return cache_root() / "planes" / name
