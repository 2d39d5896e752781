"""What kustomize makes of deploy/, as objects."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from devcluster import build

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
OVERLAYS = ("observe", "restart", "scale", "kiro-system")
Object = dict[str, Any]


@cache
def text(path: str) -> str:
    """The manifests of a kustomization below deploy/."""
    return kustomized(DEPLOY / path)


def kustomized(folder: Path) -> str:
    """The manifests of a kustomization anywhere."""
    command = [str(build.program("kubectl")), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, f"kustomize warns: {done.stderr}"
    return done.stdout


def objects(path: str) -> list[Object]:
    """The objects of a kustomization below deploy/."""
    return list(yaml.safe_load_all(text(path)))


def of_kind(path: str, *kinds: str) -> list[Object]:
    """Its objects of some kinds."""
    return [item for item in objects(path) if item["kind"] in kinds]


def rules(path: str) -> list[Object]:
    """Every rule that its Roles and ClusterRoles grant to the operator."""
    return [
        rule
        for role in of_kind(path, "Role", "ClusterRole")
        if not any("aggregate-to" in label for label in role["metadata"].get("labels", {}))
        for rule in role["rules"]
    ]
