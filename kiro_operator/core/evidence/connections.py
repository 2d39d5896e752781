"""What came of connecting to the ports of Services."""

from msgspec import Struct

from kiro_operator.core.snapshot import Polled


class Connection(Struct, frozen=True):
    """The outcome of a TCP connect to one port of a Service."""

    service: str
    port: int
    seconds: float
    """Until connected or given up."""
    error: str = ""
    """Empty when connected: refused, timeout, unresolved, unreachable."""


CONNECTIONS: Polled[tuple[Connection, ...]] = Polled("connections", tuple[Connection, ...])
