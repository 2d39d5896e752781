"""Who the operator is to AWS: ``aws sts get-caller-identity``."""

import re
import time
from collections.abc import Callable

from kiro_operator import ports
from kiro_operator.adapters.aws.account import Account, Accounts, Who
from kiro_operator.adapters.aws.errors import BY_AWS
from kiro_operator.adapters.aws.remembered import Remembered
from kiro_operator.core.evidence.aws import AWS_IDENTITY, AwsIdentity, Identity
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Unobserved

KEEP = 60.0
"""Seconds an answer holds."""
_SESSION = re.compile(r"arn:([^:]{1,32}):sts::(\d{12}):assumed-role/([^/]{1,64})/.{1,64}")


class AwsIdentities:
    """Samples STS, which answers whoever has valid credentials, and free of charge."""

    source = AWS_IDENTITY
    rules: tuple[Rule, ...] = ()

    def __init__(
        self, accounts: Accounts, *, keep: float = KEEP, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._accounts = accounts
        self._answers: Remembered[Identity] = Remembered(keep, clock)

    async def observe(self, request: ports.PollRequest) -> AwsIdentity | Unobserved:
        """The identity beside what is expected of it."""
        spec = self._accounts.spec(request.namespace, request.spec.aws)
        if isinstance(spec, Unobserved):
            return spec
        who = Who.of(spec)
        found = await self._answers.get(who, lambda: self._accounts.ask(who, identity))
        if isinstance(found, Unobserved):
            if found.reason not in BY_AWS:
                return found
            return AwsIdentity(
                None, found.reason, found.message, spec.expected_account, spec.expected_role or spec.role_arn
            )
        return AwsIdentity(found, expected_account=spec.expected_account, expected_role=spec.expected_role)


def identity(account: Account) -> Identity:
    """Ask STS; blocks."""
    answer = account.sts().get_caller_identity()
    return Identity(answer["Account"], principal(answer["Arn"]))


def principal(arn: str) -> str:
    """The role of a session, as far as its ARN tells: without the role's path; any other ARN as it is."""
    session = _SESSION.fullmatch(arn)
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}" if session else arn
