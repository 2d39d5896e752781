"""What the kubelet does for an operator: starts it anew when it ends, or when its liveness probe says so."""

from __future__ import annotations

import time

from devcluster.operator import OperatorProcess
from devcluster.wait import until


class Kubelet:
    """Keeps an operator running.

    Attributes:
        ends: The exit statuses with which it has ended.
    """

    def __init__(self, operator: OperatorProcess) -> None:
        self.operator = operator
        self.ends: list[int] = []

    def look(self) -> bool:
        """Start it anew if it has ended; returns True."""
        if not self.operator.running:
            self.ends.append(self.operator.wait())
            self.operator.start(wait=False)
        return True

    def until(self, seconds: float) -> None:
        """Keep it running for a while."""
        end = time.monotonic() + seconds
        until(lambda: self.look() and time.monotonic() >= end, "the time to pass", seconds + 30)
