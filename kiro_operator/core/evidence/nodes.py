"""The cluster's nodes: what they have, what of it is used, and what troubles them."""

from msgspec import Struct

from kiro_operator.core.snapshot import Polled, Unobserved


class Node(Struct, frozen=True):
    """One node."""

    name: str
    cpu: float
    """Cores that pods may use."""
    memory: float
    """Bytes that pods may use."""
    ready: bool = True
    schedulable: bool = True
    """It takes new pods: not cordoned, and no taint keeps all of them away."""
    cordoned: bool = False
    """Somebody has set it aside (spec.unschedulable), as a drain does first."""
    pressures: tuple[str, ...] = ()
    """Conditions that are True and should not be, such as MemoryPressure; sorted."""
    used_cpu: float | None = None
    """Cores in use; None without figures of the metrics API."""
    used_memory: float | None = None
    """Bytes in use, likewise."""


class NamespaceUsage(Struct, frozen=True):
    """What the pods of a namespace use together."""

    namespace: str
    cpu: float
    memory: float


class Nodes(Struct, frozen=True):
    """The cluster as a whole."""

    nodes: tuple[Node, ...]
    """By name."""
    metrics: Unobserved | None = None
    """Why there are no figures of what is used."""
    namespaces: tuple[NamespaceUsage, ...] = ()
    """Those that use most memory, the largest first, where a check asks for them."""
    memory_of_pods: float = 0.0
    """Bytes that the pods of all namespaces use, likewise."""
    unranked: Unobserved | None = None
    """Why it is not known which namespaces use most."""


NODES: Polled[Nodes] = Polled("nodes", Nodes)
