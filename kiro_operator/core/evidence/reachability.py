"""Whether the endpoints that autonomous operations depend on answer."""

from msgspec import Struct

from kiro_operator.core.snapshot import Polled, Unobserved


class Reached(Struct, frozen=True):
    """The outcome of one request to an endpoint."""

    name: str
    address: str
    """Scheme, host, port and path."""
    seconds: float = 0.0
    missing: Unobserved | None = None
    """Why there was no answer; any status is an answer."""


ENDPOINTS: Polled[tuple[Reached, ...]] = Polled("endpoints", tuple[Reached, ...])
"""In the order of their names."""
