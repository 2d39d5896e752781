"""Thresholds that tell a pod's fault from its ordinary life."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Parameters


class PodFaultParameters(Parameters):
    """Thresholds that tell a fault from a pod's ordinary life."""

    not_ready_grace: Annotated[timedelta, Between("0s", "24h")] = Field(
        default=timedelta(seconds=30), description="How long a pod that was Ready may be not Ready."
    )
    start_grace: Annotated[timedelta, Between("0s", "24h")] = Field(
        default=timedelta(minutes=2),
        description="How long a pod, or a container after its restart, may take to become Ready.",
    )
    stable_after: Annotated[timedelta, Between("0s", "24h")] = Field(
        default=timedelta(minutes=2),
        description="How long a container that crashed in a row must run before it counts as well.",
    )
    oom_look_back: Annotated[timedelta, Between("0s", "24h")] = Field(
        default=timedelta(minutes=10), description="How long a container's end by OOMKilled counts."
    )
    max_restarts: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=3, description="Restarts within restartWindow that are too many."
    )
    restart_window: Annotated[timedelta, Between("1m", "24h")] = Field(
        default=timedelta(minutes=10), description="Span of time over which restarts are counted."
    )
    drain_grace: Annotated[timedelta, Between("0s", "24h")] = Field(
        default=timedelta(minutes=10),
        description="How long a pod may wait for a node while nodes are cordoned, as by a drain.",
    )
    terminating_grace: Annotated[timedelta, Between("0s", "24h")] = Field(
        default=timedelta(minutes=5),
        description="How long past its deadline a pod may be terminating before it is a warning.",
    )
