"""An AWS account under one identity: credentials, clients, and the threads that wait for it.

boto3 blocks, so it is asked on threads of its own: a hung AWS keeps those busy and nothing else. Each
request is bounded, see transport, and so is a question with all its requests; what is left waiting when
its asker gives up is never begun.
"""

import asyncio
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from kiro_operator.adapters.aws.errors import DENIED, EXPIRED, REFUSED, explain
from kiro_operator.api.v1alpha1.evidence.aws import AwsEvidence
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

if TYPE_CHECKING:
    from boto3.session import Session
    from types_boto3_ce import CostExplorerClient
    from types_boto3_iam import IAMClient
    from types_boto3_sts import STSClient

V = TypeVar("V")

THREADS = 4
ACCOUNTS = 32
"""Identities that are kept at once; the one not used for longest goes first."""
QUESTION = 60.0
"""Seconds that all requests of one question may take: as long as anybody waits for the answer."""
RENEW_BEFORE = 300.0
"""Seconds before a role's credentials end at which new ones are asked for."""
_SESSION_NAME = "kiro-operator"


class Who(Struct, frozen=True):
    """As whom to ask, and where."""

    region: str
    role_arn: str
    external_id: str

    @classmethod
    def of(cls, spec: AwsEvidence) -> "Who":
        """As a KiroHealthCheck has it."""
        return cls(spec.region, spec.role_arn or "", spec.external_id or "")


class Account:
    """Clients under one identity; for the threads of Accounts."""

    def __init__(self, who: Who, endpoint_url: str, *, instance_metadata: bool) -> None:
        self._who = who
        self._endpoint = endpoint_url or None
        self._instance_metadata = instance_metadata
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._clients: dict[str, object] = {}
        self._until: float | None = None

    def sts(self) -> "STSClient":
        """For who asks."""
        return self._client("sts", lambda session: session.client("sts"))

    def iam(self) -> "IAMClient":
        """For what may be done."""
        return self._client("iam", lambda session: session.client("iam"))

    def costs(self) -> "CostExplorerClient":
        """For what it costs."""
        return self._client("ce", lambda session: session.client("ce"))

    def forget(self) -> None:
        """Read credentials anew the next time."""
        with self._lock:
            self._session = None

    def _client(self, service: str, make: "Callable[[Session], V]") -> V:
        # Clients may be shared by threads; making one may not.
        with self._lock:
            session = self._open()
            if service not in self._clients:
                self._clients[service] = make(session)
            client: V = self._clients[service]  # type: ignore[assignment] # made by ``make``, above
            return client

    def _open(self) -> "Session":
        from botocore.exceptions import NoCredentialsError  # noqa: PLC0415 - see errors.explain

        if self._session is not None and (self._until is None or time.time() < self._until - RENEW_BEFORE):
            return self._session
        self._session, self._until = None, None
        self._clients.clear()
        session = self._own()
        if session.get_credentials() is None:
            raise NoCredentialsError
        self._session = self._assumed(session) if self._who.role_arn else session
        return self._session

    def _own(self, **credentials: str) -> "Session":
        import boto3.session  # noqa: PLC0415 - see errors.explain

        from kiro_operator.adapters.aws import transport  # noqa: PLC0415

        core = transport.Session(self._endpoint, instance_metadata=self._instance_metadata)
        return boto3.session.Session(botocore_session=core, region_name=self._who.region, **credentials)

    def _assumed(self, session: "Session") -> "Session":
        sts = session.client("sts")
        role = self._who.role_arn
        if self._who.external_id:
            answer = sts.assume_role(
                RoleArn=role, RoleSessionName=_SESSION_NAME, ExternalId=self._who.external_id
            )
        else:
            answer = sts.assume_role(RoleArn=role, RoleSessionName=_SESSION_NAME)
        given = answer["Credentials"]
        self._until = given["Expiration"].timestamp()
        return self._own(
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )


class Accounts:
    """All accounts that are asked, and whose business they are."""

    def __init__(
        self,
        namespaces: frozenset[str],
        endpoint_url: str = "",
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._namespaces = namespaces
        self._endpoint = endpoint_url
        # A pod is not to pass for its node: whoever wants that says so.
        self._instance_metadata = environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "false"
        self._accounts: OrderedDict[Who, Account] = OrderedDict()
        self._threads: ThreadPoolExecutor | None = None

    def spec(self, namespace: str, spec: AwsEvidence | None) -> AwsEvidence | Unobserved:
        """What to ask for, when the namespace is shown what belongs to no namespace."""
        if spec is None:
            return Unobserved(NOT_CONFIGURED, "spec.aws is not set")
        if namespace not in self._namespaces:
            return Unobserved(
                NOT_CONFIGURED,
                f"facts of the AWS account are not shown to namespace {namespace}: the operator's "
                "--cluster-facts-namespace has to name it",
            )
        return spec

    async def ask(self, who: Who, question: Callable[[Account], V]) -> V | Unobserved:
        """Put a question to an account, on a thread."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="aws")
        account = self._accounts.get(who)
        if account is None:
            account = Account(who, self._endpoint, instance_metadata=self._instance_metadata)
            self._accounts[who] = account
        self._accounts.move_to_end(who)
        if len(self._accounts) > ACCOUNTS:
            self._accounts.popitem(last=False)
        return await asyncio.get_running_loop().run_in_executor(self._threads, _ask, account, question)


def _ask(account: Account, question: Callable[[Account], V]) -> V | Unobserved:
    from kiro_operator.adapters.aws import transport  # noqa: PLC0415 - see errors.explain

    try:
        with transport.within(QUESTION):
            return question(account)
    except Exception as error:  # noqa: BLE001 - boto3 raises nearly anything for an answer that is not AWS's
        explained = explain(error)
        if explained.reason in {EXPIRED, REFUSED, DENIED, "NoCredentials"}:
            account.forget()
        return explained
