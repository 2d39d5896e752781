"""What an error of the API server means to whoever waits for a sample.

These words end up in a status, so they say the same as long as the cause is the same: no addresses,
no times, no counts. What the server said word for word goes to the log.
"""

import logging

from kiro_operator import ports
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Unobserved

logger = logging.getLogger(__name__)


def unobserved(
    error: ports.ApiError | ports.Unreachable | TimeoutError, rule: Rule, namespace: str, what: str
) -> Unobserved:
    """Why ``what`` could not be read, and what to do about it."""
    logger.info("cannot read %s in namespace %s: %s", what, namespace, error)
    match error:
        case ports.Forbidden():
            return Unobserved("Forbidden", rule.advice(namespace))
        case ports.TooManyRequests():
            return Unobserved("Throttled", f"the API server has too much to do to answer for {what}")
        case ports.AnswerTooLarge():
            return Unobserved(
                "AnswerTooLarge",
                f"the answer for {what} has more than {error.limit} bytes, which are all that is read",
            )
        case ports.ApiError():
            return Unobserved(
                "Refused", f"the API server refuses {what} with status {error.status}: see the operator's log"
            )
        case _:
            return Unobserved("Unreachable", f"no answer for {what}: see the operator's log for the cause")


def malformed(error: Exception, namespace: str, what: str) -> Unobserved:
    """An answer that is not what its API promises."""
    logger.warning("the answer for %s in namespace %s is malformed: %s", what, namespace, error)
    return Unobserved("MalformedAnswer", f"the answer for {what} cannot be read: see the operator's log")
