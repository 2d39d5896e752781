"""What MCP servers answered: their health path, their protocol, golden queries, and a client in a pod."""

from datetime import datetime

from msgspec import Struct

from kiro_operator.core.snapshot import Polled, Unobserved


class Health(Struct, frozen=True):
    """One GET of a server's health path."""

    server: str
    url: str
    status: int = 0
    seconds: float = 0.0
    problem: Unobserved | None = None
    """Why there is no status."""


class Call(Struct, frozen=True):
    """One golden query. What its author did not ask for is None."""

    query: str
    tool: str
    problem: Unobserved | None = None
    """Why there is no answer."""
    error: bool = False
    """The tool itself says that it failed."""
    agrees: bool | Unobserved | None = None
    """Whether the expression holds."""
    conforms: bool | Unobserved | None = None
    """Whether the answer fits the output schema that the tool declares."""
    violation: str = ""
    """Where it does not."""
    written: datetime | Unobserved | None = None
    """The time of the data."""
    max_age: float = 0.0
    """Seconds that the data may be old."""


class McpSession(Struct, frozen=True):
    """One session with a server: initialize, list tools, golden queries."""

    server: str
    url: str
    problem: Unobserved | None = None
    """Why there is no session."""
    tools: tuple[str, ...] = ()
    """Those of the expected tools that are there; what else a server lists is not kept."""
    complete: bool = True
    """All tools were listed; false for a list longer than what is read."""
    expected: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    token_expires: datetime | None = None
    """When the bearer token runs out, as far as it tells."""
    plain: bool = False
    """It is asked over plain http."""


class ClientTest(Struct, frozen=True):
    """The client's own test in one pod."""

    pod: str
    container: str
    command: str
    status: int = 0
    timed_out: bool = False


MCP_HEALTH: Polled[tuple[Health, ...]] = Polled("mcp-health", tuple[Health, ...], section="mcp")
MCP_SESSIONS: Polled[tuple[McpSession, ...]] = Polled("mcp-sessions", tuple[McpSession, ...], section="mcp")
MCP_CLIENT: Polled[ClientTest] = Polled("mcp-client", ClientTest, section="mcp", timeout=45.0)
