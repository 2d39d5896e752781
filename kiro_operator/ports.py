"""What the reconcile loop asks of the outside, and the errors it can get back.

ApiError                 the API server answered, and not with what was asked
├── Forbidden            a permission is missing
├── NotFound             the object, or the API, is not there
├── AlreadyExists        a create met an object of that name
├── Conflict             a compare-and-swap lost: read again
├── Gone                 the watch window has passed: list again
├── TooManyRequests      asked too often; has retry_after
│   └── EvictionRefused  a disruption budget refuses the eviction
└── Invalid              the server refuses the content
Unreachable              no answer could be had: connection, timeout, 5xx
└── AnswerTooLarge       it is longer than what may be kept of it
"""

from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks import Check
from kiro_operator.core.objects import Selector
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Polled, Snapshot, Unobserved

LEFT_ALONE = 300.0
"""Seconds for which a server may ask to be left alone: until then nothing that depends on it is seen."""


class ApiError(Exception):
    """The API server answered, and not with what was asked."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        """Seconds the server asks to wait."""


class Forbidden(ApiError):
    """A permission is missing."""


class NotFound(ApiError):
    """The object, or the API, is not there."""


class AlreadyExists(ApiError):
    """A create met an object of that name."""


class Conflict(ApiError):
    """A compare-and-swap lost: read again."""


class Gone(ApiError):
    """The watch window has passed: list again."""


class TooManyRequests(ApiError):
    """Asked too often: nothing was decided about the request itself."""


class EvictionRefused(TooManyRequests):
    """A disruption budget refuses an eviction."""


class Invalid(ApiError):
    """The server refuses the content."""


class Unreachable(Exception):
    """No answer could be had: connection refused or cut, timeout, server error."""


class AnswerTooLarge(Unreachable):
    """The answer is longer than what may be kept of it; of a write nobody knows what came of it."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer is larger than {limit} bytes")
        self.limit = limit


class Ask(Struct, frozen=True):
    """One check that waits for a sample."""

    id: str
    check: Check
    parameters: Any


class PollRequest(Struct, frozen=True, kw_only=True):
    """What a polled source is to observe, once for all checks that read it."""

    asker: str
    """Whom the sample is for: what a source remembers between two samples belongs to it."""
    namespace: str
    name: str = ""
    """Name of the KiroHealthCheck."""
    uid: str = ""
    """Its UID, for what is to be collected with it."""
    selector: Selector
    spec: KiroHealthCheckSpec
    """Where the evidence is."""
    asks: tuple[Ask, ...]
    """The checks that read the sample, by id."""
    snapshot: Snapshot
    """The watched facts now: which pods, containers and Services there are."""
    now: datetime
    since: datetime | None
    """Time of the last sample; None for the first."""
    interval: timedelta

    def parameters(self, check_id: str) -> Any | None:
        """Parameters of a check that asks; None when it does not."""
        return next((ask.parameters for ask in self.asks if ask.id == check_id), None)


class Observer(Protocol):
    """A polled source."""

    @property
    def source(self) -> Polled[Any]:
        """The source it observes."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The permissions it needs."""

    async def observe(self, request: PollRequest) -> Any | Unobserved:
        """One sample, of the type that Snapshot declares for the source.

        Never raises for what the outside does: what cannot be observed is Unobserved.
        """


class Clock(Protocol):
    """Time, so that tests can set it."""

    def now(self) -> datetime:
        """The wall clock, in UTC. It may jump."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
