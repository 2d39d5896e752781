"""What an error of AWS means to whoever waits for a sample; the same words while the cause is the same."""

import logging
from typing import TYPE_CHECKING

from kiro_operator.core.snapshot import Unobserved

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

EXPIRED, REFUSED, DENIED = "CredentialsExpired", "CredentialsRefused", "AccessDenied"
BY_AWS = frozenset({EXPIRED, REFUSED, DENIED})
"""Reasons that are AWS's own answer, and not the want of one."""

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_REFUSED = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "IDPRejectedClaim",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
WORDS = 1024
"""Characters of an error that are logged."""
_NOT_AWS = Unobserved("MalformedAnswer", "what answers is not AWS: check --aws-endpoint-url and proxies")
_SERVICES = {"GetCallerIdentity": "sts", "SimulatePrincipalPolicy": "iam", "GetCostAndUsage": "ce"}

logger = logging.getLogger(__name__)


def explain(error: Exception) -> Unobserved:
    """Why AWS could not be asked, and what to do about it."""
    from botocore import exceptions as boto  # noqa: PLC0415 - 20 MiB that only users of AWS pay for

    from kiro_operator.adapters.aws import transport  # noqa: PLC0415

    # What is wrong with an answer is told with the answer in it.
    logger.info("AWS could not be asked: %s: %s", type(error).__name__, str(error)[:WORDS])
    if isinstance(error, boto.ClientError):
        return _answered(error)
    if isinstance(error, transport.AnswerTooLarge):
        return Unobserved(
            "AnswerTooLarge",
            f"what answers is not AWS: it says more than {transport.LIMIT} bytes; check --aws-endpoint-url "
            "and proxies",
        )
    match error:
        case boto.NoCredentialsError() | boto.PartialCredentialsError():
            return Unobserved(
                "NoCredentials",
                "the operator has no AWS credentials: give its ServiceAccount a role (IRSA or EKS Pod "
                "Identity), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from a Secret",
            )
        case boto.CredentialRetrievalError() | boto.MetadataRetrievalError():
            return Unobserved(
                "NoCredentials", "AWS credentials could not be fetched: see the operator's log for the cause"
            )
        case boto.ConnectTimeoutError() | boto.ReadTimeoutError():
            return Unobserved(
                "Timeout", "AWS did not answer in time: see whether its endpoints are reachable"
            )
        case boto.SSLError():
            return Unobserved(
                "CertificateInvalid",
                "the certificate of AWS's endpoint does not verify: check --aws-endpoint-url and proxies, or "
                "set AWS_CA_BUNDLE",
            )
        case boto.ConnectionError() | boto.HTTPClientError():
            return Unobserved(
                "Unreachable",
                "the endpoints of AWS cannot be reached: check DNS, egress rules and proxies, or give the "
                "operator --aws-endpoint-url",
            )
        case boto.BotoCoreError() if not isinstance(error, transport.AnswerDeclares):
            return Unobserved("AwsError", "AWS could not be asked: see the operator's log for the cause")
        case OSError():
            return Unobserved(
                "NoCredentials", "the file of AWS credentials cannot be read: see the operator's log"
            )
        case _:
            return _NOT_AWS


def _answered(error: "ClientError") -> Unobserved:
    code, operation = str(error.response.get("Error", {}).get("Code", "")), error.operation_name
    if code in _EXPIRED:
        return Unobserved(EXPIRED, "AWS says that the credentials have expired: renew them")
    if code in _REFUSED:
        return Unobserved(
            REFUSED, "AWS does not know the credentials, or their signature: replace them, check the clock"
        )
    if code in _DENIED:
        return Unobserved(DENIED, _advice(operation))
    if code in _THROTTLED:
        return Unobserved("Throttled", f"AWS throttles {operation}: it is asked again later")
    if code == "NoSuchEntity":
        return Unobserved(
            "NoSuchPrincipal",
            "IAM knows no such role or user: write its full ARN, with the path, in spec.aws.principal",
        )
    if code == "DataUnavailableException":
        return Unobserved("NoData", "Cost Explorer has no data yet: it takes a day after it is switched on")
    return Unobserved("Refused", f"AWS refuses {operation} ({code[:64]}): see the operator's log")


def _advice(operation: str) -> str:
    if operation == "AssumeRole":
        return (
            "the role of spec.aws.roleArn cannot be taken on: allow sts:AssumeRole to the operator's "
            "identity, and let the role's trust policy name it (and externalId, if it asks for one)"
        )
    if operation == "AssumeRoleWithWebIdentity":
        return "the trust policy of the operator's own role has to name its ServiceAccount"
    service = _SERVICES.get(operation)
    action = f"{service}:{operation}" if service else operation
    return f"allow {action} to the identity that the operator asks as"
