"""Who the operator is to AWS against who it should be: ``aws sts get-caller-identity``."""

from datetime import datetime, timedelta

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.aws import AWS_IDENTITY, AwsIdentity
from kiro_operator.core.findings import clip, found
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, unknown

_NAME = 253


def judge(snapshot: Snapshot, parameters: Parameters, now: datetime) -> Verdict:  # noqa: ARG001
    """Judge AWS's answer; that there is none says nothing of the identity."""
    sample = snapshot.value(AWS_IDENTITY)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    since = snapshot.sampled_at(AWS_IDENTITY, now)
    identity = sample.identity
    if identity is None:
        name = clip(sample.expected_role or sample.expected_account or "operator", _NAME)
        message = f"AWS refuses the identity {name}: {sample.advice}"
        return found([Finding(Ref("AwsIdentity", name), sample.refused, message, since)])
    name = clip(identity.arn, _NAME)
    itself = Ref("AwsIdentity", name)
    if sample.expected_account is not None and identity.account != sample.expected_account:
        message = (
            f"{name} belongs to account {identity.account}, not to {sample.expected_account}: give the "
            "operator a role of that account, or correct spec.aws.expectedAccount"
        )
        return found(
            [Finding(itself, "WrongAccount", message, since)],
            observed=identity.account,
            threshold=sample.expected_account,
        )
    if sample.expected_role is not None and not fits(identity.arn, sample.expected_role):
        message = (
            f"{name} is not {clip(sample.expected_role, _NAME)}: correct the role of the operator's "
            "ServiceAccount or spec.aws.roleArn, or else spec.aws.expectedRole"
        )
        return found([Finding(itself, "WrongRole", message, since)])
    return passed(_known(sample, name))


def _known(sample: AwsIdentity, name: str) -> str:
    if sample.expected_account is None and sample.expected_role is None:
        return f"AWS knows the identity {name}; spec.aws expects no certain one."
    return f"The identity is {name}, as expected."


def fits(arn: str, pattern: str) -> bool:
    """Whether an ARN is of a pattern in which * stands for any characters; a role's path does not count."""
    return _matches(_without_path(arn), _without_path(pattern))


def _without_path(arn: str) -> str:
    head, separator, rest = arn.partition(":role/")
    return f"{head}{separator}{rest.rpartition('/')[2]}"


def _matches(text: str, pattern: str) -> bool:
    # In linear time, unlike a regular expression of a pattern with many stars.
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


CHECK = Check(
    title="The AWS identity is the expected one",
    section="autonomous-operations-resources",
    command="aws sts get-caller-identity",
    sources=(AWS_IDENTITY,),
    judge=judge,
    interval=timedelta(minutes=5),
    # Whatever passes by itself, such as throttling, is Unknown.
    failure_threshold=1,
    success_threshold=1,
)
