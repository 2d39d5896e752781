"""Take away one right after the other: what needs it says so, with the rule to add, and all else goes on.

One operator looks after a namespace for each right. Beside the two kinds that it must list in the
whole cluster, its rights are granted in each namespace by itself, all but the one that is missing there.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from devcluster.rest import on_each
from devcluster.wait import until
from kiro_operator.core.checks import registry
from tests.deploy.rights import ACCOUNT, Installed, Right, allow, granted, own
from tests.harness.world import enforce

Object = dict[str, Any]
EVERYWHERE = {("kiro.dev", "kirohealthchecks", "watch"), ("kiro.dev", "kirosafetypolicies", "watch")}
SOURCES = {"metrics.k8s.io/pods": "pod-metrics", "pods/log": "pod-logs", "configmaps": "config-changes"}


@dataclass
class Case:
    """A right that is missing in a namespace of its own."""

    right: Right
    break_: Callable[[Installed], None] = lambda _: None
    expect: Callable[[Installed, Right], None] = lambda *_: None
    spec: Object = field(default_factory=dict)
    world: Any = None

    @property
    def name(self) -> str:
        return f"{self.right.role}: {self.right.group}/{self.right.resource} {','.join(self.right.verbs)}"
