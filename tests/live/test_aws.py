"""The checks on AWS against moto's server, and against answers of AWS that moto does not give."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster import ControlPlane
from devcluster.listen import Answer, Request, Server
from kiro_operator import ports
from kiro_operator.adapters.aws import transport
from kiro_operator.adapters.aws.account import Account, Accounts, Who
from kiro_operator.adapters.aws.costs import AwsCostsOf, day_cost
from kiro_operator.adapters.aws.identity import AwsIdentities, principal
from kiro_operator.adapters.aws.permissions import AwsPermissionsOf
from kiro_operator.adapters.aws.remembered import Remembered
from kiro_operator.api.v1alpha1.evidence.aws import AwsEvidence
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks import Check
from kiro_operator.core.checks.autonomous_operations import aws_identity, aws_permissions
from kiro_operator.core.checks.cost_efficiency import cost_savings, optimization_strategy
from kiro_operator.core.evidence.optimizations import Optimizations
from kiro_operator.core.records import DecisionKind, DecisionRecord
from kiro_operator.core.snapshot import Sample, Unobserved
from kiro_operator.core.verdict import Status, Verdict
from tests.adapters.helpers import facts, poll
from tests.harness import aws as harness
from tests.harness.aws import ACCOUNT, OTHER_ACCOUNT, Aws
from tests.harness.world import WATCHED_ONLY, World

NAMESPACE = "kiro-system"
NODE = "arn:aws:iam::123456789012:role/node"


@pytest.fixture(scope="module")
def server() -> Iterator[Aws]:
    with harness.serve() as running:
        yield running


@pytest.fixture
def aws(server: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    use(monkeypatch, "testing", "testing")
    yield server
    server.reset()


def use(monkeypatch: pytest.MonkeyPatch, key: str, secret: str) -> None:
    """Give the operator these credentials, and no others."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)


def accounts(url: str) -> Accounts:
    return Accounts(frozenset({NAMESPACE}), url)


async def judged(
    observer: ports.Observer,
    check: Check,
    spec: dict[str, Any],
    parameters: dict[str, Any] | None = None,
    **others: object,
) -> Verdict:
    """The verdict on a sample taken now."""
    now = datetime.now(UTC)
    evidence = AwsEvidence.model_validate(spec)
    request = poll(facts(NAMESPACE), spec=KiroHealthCheckSpec(aws=evidence), now=now)
    sample = Sample(1, now, await observer.observe(request))
    more = {name.replace("_", "-"): Sample(1, now, value) for name, value in others.items()}
    snapshot = facts(NAMESPACE, samples={observer.source.name: sample, **more})
    return check.judge(snapshot, check.parameters.model_validate(parameters or {}), now)


async def identity(url: str, **spec: Any) -> Verdict:
    return await judged(AwsIdentities(accounts(url), keep=0), aws_identity.CHECK, spec)


@pytest.mark.flips("aws-identity")
async def test_the_identity_and_another_account(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    role = aws.role("kiro-operator", "*", path="/platform/")
    expected = {"roleArn": role, "expectedAccount": ACCOUNT, "expectedRole": role.replace("operator", "*")}
    assert (await identity(aws.url, **expected)).status is Status.PASS
    elsewhere = f"arn:aws:iam::{OTHER_ACCOUNT}:role/kiro-operator"
    verdict = await identity(aws.url, **(expected | {"roleArn": elsewhere}))
    assert (verdict.status, verdict.reason) == (Status.FAIL, "WrongAccount")
    assert (verdict.observed, verdict.threshold) == (OTHER_ACCOUNT, ACCOUNT)
    # With the operator's own credentials, which are of a user.
    use(monkeypatch, *aws.user("somebody"))
    verdict = await identity(aws.url, expectedAccount=ACCOUNT, expectedRole=role)
    assert (verdict.status, verdict.reason) == (Status.FAIL, "WrongRole")
    assert "user/somebody" in verdict.message
    assert (await identity(aws.url, **expected)).status is Status.PASS


async def test_a_role_that_no_longer_trusts_the_operator(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    role = aws.role("kiro-operator", f"arn:aws:iam::{ACCOUNT}:user/operator")
    use(monkeypatch, *aws.user("operator", "sts:AssumeRole"))
    aws.enforce()
    assert (await identity(aws.url, roleArn=role)).status is Status.PASS
    aws.enforce(off=True)
    iam = aws.client("iam")
    iam.update_assume_role_policy(RoleName="kiro-operator", PolicyDocument=harness.trust(NODE))
    aws.enforce()
    verdict = await identity(aws.url, roleArn=role)
    assert (verdict.status, verdict.reason) == (Status.FAIL, "AccessDenied")
    assert "sts:AssumeRole" in verdict.message
    assert role in verdict.message
    aws.enforce(off=True)
    trusted = harness.trust(f"arn:aws:iam::{ACCOUNT}:user/operator")
    iam.update_assume_role_policy(RoleName="kiro-operator", PolicyDocument=trusted)
    aws.enforce()
    assert (await identity(aws.url, roleArn=role)).status is Status.PASS


@pytest.mark.flips("aws-permissions")
async def test_permissions(aws: Aws) -> None:
    role = aws.role("kiro", "*")
    iam = aws.client("iam")
    needed = harness.policy("ec2:DescribeInstances", "s3:GetObject")
    iam.put_role_policy(RoleName="kiro", PolicyName="needed", PolicyDocument=needed)
    spec = {
        "principal": role,
        "mustAllow": [
            {"action": "ec2:DescribeInstances"},
            {"action": "s3:GetObject", "resource": "arn:aws:s3:::reports/*"},
        ],
        "mustDeny": [{"action": "iam:CreateUser"}],
    }
    observer = AwsPermissionsOf(accounts(aws.url), keep=0)

    async def now() -> Verdict:
        return await judged(observer, aws_permissions.CHECK, spec)

    assert (await now()).status is Status.PASS
    iam.put_role_policy(RoleName="kiro", PolicyName="more", PolicyDocument=harness.policy("iam:*"))
    verdict = await now()
    assert (verdict.status, verdict.reason) == (Status.FAIL, "ActionAllowed")
    assert "iam:CreateUser" in verdict.message
    iam.delete_role_policy(RoleName="kiro", PolicyName="more")
    assert (await now()).status is Status.PASS
    denial = harness.policy("s3:*", effect="Deny")
    iam.put_role_policy(RoleName="kiro", PolicyName="less", PolicyDocument=denial)
    verdict = await now()
    assert (verdict.status, verdict.reason) == (Status.FAIL, "ActionDenied")
    assert "s3:GetObject arn:aws:s3:::reports/*" in verdict.message
    assert "denies it explicitly" in verdict.message
    iam.delete_role_policy(RoleName="kiro", PolicyName="less")
    assert (await now()).status is Status.PASS


async def test_permissions_of_the_identity_itself(aws: Aws) -> None:
    role = aws.role("kiro", "*")
    aws.client("iam").put_role_policy(
        RoleName="kiro", PolicyName="needed", PolicyDocument=harness.policy("ec2:DescribeInstances")
    )
    spec = {"roleArn": role, "mustAllow": [{"action": "ec2:DescribeInstances"}]}
    verdict = await judged(AwsPermissionsOf(accounts(aws.url)), aws_permissions.CHECK, spec)
    assert verdict.status is Status.PASS
    assert role in verdict.message


@pytest.mark.flips("cost-savings")
async def test_costs(aws: Aws) -> None:
    observer = AwsCostsOf(accounts(aws.url), keep=0)
    budget = {"monthlyBudget": 1000.0}

    async def now(**more: Any) -> Verdict:
        # moto answers the same question in the same way: another tag is another question.
        tag = {"key": "round", "value": str(len(more) + now_asked.pop())}
        return await judged(observer, cost_savings.CHECK, {"costs": {"tag": tag}}, {**budget, **more})

    now_asked = [50, 40, 30, 20, 10]
    aws.costs(*[20.0] * 60)
    assert (await now()).status is Status.PASS
    aws.costs(*[20.0] * 40, *[50.0] * 20)
    verdict = await now()
    assert (verdict.status, verdict.reason) == (Status.FAIL, "OverBudget")
    assert {finding.reason for finding in verdict.findings} == {"OverBudget", "SpendRising"}
    assert f"AWS account {ACCOUNT}" in verdict.message
    aws.costs(*[20.0] * 58, 0.0, 0.0)
    assert (await now()).status is Status.PASS
    aws.costs(*[20.0] * 60)
    verdict = await now(monthlyBaseline=500.0)
    assert (verdict.status, verdict.reason) == (Status.FAIL, "SavingsUnderTarget")
    # Nothing queued: moto knows no costs, and that is not the same as none.
    verdict = await now()
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "TooFewDays")


@pytest.mark.flips("optimization-strategy")
async def test_spend_before_and_after_decisions(aws: Aws) -> None:
    """Where records tell no saving, Cost Explorer does: one decision every five days."""
    observer = AwsCostsOf(accounts(aws.url), keep=0)
    ages = [40, 35, 30, 25, 20]
    start = datetime.now(UTC)
    decided = Optimizations(
        tuple(
            DecisionRecord(
                DecisionKind.DECISION, f"d-{age}", "rightsize", start - timedelta(days=age), applied=True
            )
            for age in ages
        )
    )

    async def spend(number: int, falls: float) -> Verdict:
        """The verdict when each decision makes a day cheaper by this share."""
        done = [sum(age > day for age in ages) for day in range(60, 0, -1)]
        aws.costs(*[100 * (1 - falls) ** count for count in done])
        # moto answers the same question in the same way: another tag is another question.
        evidence = {"costs": {"tag": {"key": "round", "value": str(number)}}}
        check = optimization_strategy.CHECK
        return await judged(observer, check, evidence, {"days": 3}, optimization_log=decided)

    assert (await spend(1, 0.05)).status is Status.PASS
    verdict = await spend(2, 0.0)
    assert (verdict.status, verdict.reason) == (Status.FAIL, "NoEffect")
    assert "a usual day cost 100 USD before it and 100 after it" in verdict.message
    # A fall that any day could bring is no effect.
    assert (await spend(3, 0.002)).reason == "NoEffect"
    assert (await spend(4, 0.05)).status is Status.PASS


@pytest.mark.usefixtures("aws")
async def test_refused_credentials_cost_nothing() -> None:
    with Server(lambda _: Answer(403, xml_error("ExpiredToken"))) as server:
        verdict = await judged(AwsCostsOf(accounts(server.url)), cost_savings.CHECK, {})
        assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "CredentialsExpired")
        assert not any("X-Amz-Target" in one.headers for one in server.requests)


@pytest.mark.usefixtures("aws")
async def test_two_hundred_ask_cost_explorer_once_in_hours() -> None:
    with Server(cost_explorer) as server:
        time = [0.0]
        observer = AwsCostsOf(accounts(server.url), clock=lambda: time[0])

        async def all_ask() -> int:
            await asyncio.gather(*(judged(observer, cost_savings.CHECK, {}) for _ in range(200)))
            return sum("GetCostAndUsage" in one.headers.get("X-Amz-Target", "") for one in server.requests)

        assert await all_ask() == 1
        time[0] += 7 * 3600
        assert await all_ask() == 1
        time[0] += 3600
        assert await all_ask() == 2
        # As another identity it is another question.
        await judged(observer, cost_savings.CHECK, {"region": "eu-central-1"})
        assert await all_ask() == 3


def cost_explorer(request: Request) -> Answer:
    """STS and Cost Explorer, told apart by their protocols."""
    if "X-Amz-Target" in request.headers:
        return Answer(200, json.dumps({"ResultsByTime": []}).encode())
    result = f"<Arn>arn:aws:iam::{ACCOUNT}:user/x</Arn><UserId>U</UserId><Account>{ACCOUNT}</Account>"
    return Answer(
        200,
        (
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<GetCallerIdentityResult>{result}</GetCallerIdentityResult></GetCallerIdentityResponse>"
        ).encode(),
    )


def xml_error(code: str) -> bytes:
    return (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>no</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    ).encode()


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "ExpiredToken", (Status.FAIL, "CredentialsExpired")),
        (403, "InvalidClientTokenId", (Status.FAIL, "CredentialsRefused")),
        (403, "SignatureDoesNotMatch", (Status.FAIL, "CredentialsRefused")),
        (400, "Throttling", (Status.UNKNOWN, "Throttled")),
        (500, "InternalFailure", (Status.UNKNOWN, "Refused")),
    ],
)
async def test_errors_of_sts(status: int, code: str, expected: tuple[Status, str]) -> None:
    with Server(lambda _: Answer(status, xml_error(code))) as server:
        verdict = await identity(server.url, expectedAccount=ACCOUNT)
        assert (verdict.status, verdict.reason) == expected
        assert server.address not in verdict.message
        assert "r-1" not in verdict.message


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("code", "reason", "advice"),
    [
        ("AccessDeniedException", "AccessDenied", "ce:GetCostAndUsage"),
        ("ExpiredTokenException", "CredentialsExpired", "renew"),
        ("LimitExceededException", "Throttled", "GetCostAndUsage"),
        ("DataUnavailableException", "NoData", "Cost Explorer"),
    ],
)
async def test_errors_of_cost_explorer(code: str, reason: str, advice: str) -> None:
    refusal = Answer(400, json.dumps({"__type": code, "message": "no"}).encode())
    with Server(lambda one: refusal if "X-Amz-Target" in one.headers else cost_explorer(one)) as server:
        verdict = await judged(AwsCostsOf(accounts(server.url)), cost_savings.CHECK, {})
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, reason)
    assert advice in verdict.message


async def test_whoever_may_not_simulate_is_told_what_to_allow(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = aws.role("kiro", "*")
    use(monkeypatch, *aws.user("nobody", "s3:GetObject"))
    aws.enforce()
    spec = {"principal": role, "mustAllow": [{"action": "s3:GetObject"}]}
    verdict = await judged(AwsPermissionsOf(accounts(aws.url)), aws_permissions.CHECK, spec)
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "AccessDenied")
    assert "iam:SimulatePrincipalPolicy" in verdict.message


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"<a/>", b"[]", b'{"ResultsByTime":7}'])
async def test_what_is_not_aws(body: bytes) -> None:
    with Server(lambda _: Answer(200, body)) as server:
        for observer, check in (
            (AwsIdentities(accounts(server.url)), aws_identity.CHECK),
            (AwsCostsOf(accounts(server.url)), cost_savings.CHECK),
        ):
            verdict = await judged(observer, check, {})
            assert verdict.status is Status.UNKNOWN, verdict


@pytest.mark.usefixtures("aws")
async def test_nobody_there() -> None:
    with Server() as server:
        server.break_with("refuse")
        verdict = await identity(server.url)
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "Unreachable")


async def test_without_credentials(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    observer = AwsIdentities(accounts(aws.url), keep=0)
    verdict = await judged(observer, aws_identity.CHECK, {})
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "NoCredentials")
    use(monkeypatch, "testing", "testing")
    time = [0.0]
    observer = AwsIdentities(accounts(aws.url), keep=0, clock=lambda: time[0])
    assert (await judged(observer, aws_identity.CHECK, {})).status is Status.PASS


@pytest.mark.usefixtures("aws")
async def test_a_hung_aws_holds_up_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_TIMEOUT", 2.0)
    monkeypatch.setattr(transport, "ATTEMPTS", 1)
    with Server() as server:
        server.break_with("hang")
        observer = AwsIdentities(accounts(server.url))
        specs = [{"externalId": f"id-{number}"} for number in range(12)]
        hung = [asyncio.create_task(judged(observer, aws_identity.CHECK, spec)) for spec in specs]
        # More ask than there are threads, and everything else goes on meanwhile.
        for _ in range(20):
            assert await asyncio.to_thread(lambda: 1) == 1
        assert not any(task.done() for task in hung)
        # Whoever gives up does not take the answer away from whoever still waits.
        again = asyncio.create_task(judged(observer, aws_identity.CHECK, specs[0]))
        await asyncio.sleep(0)
        again.cancel()
        verdict = await hung[0]
        assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "Timeout")
        for task in hung[1:]:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)


async def test_credentials_that_are_replaced_are_read_anew(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def mount(key: str, secret: str) -> None:
        file.write_text(f"[default]\naws_access_key_id={key}\naws_secret_access_key={secret}\n")

    former, latter = aws.user("former"), aws.user("latter")
    aws.enforce()
    time = [0.0]
    observer = AwsIdentities(accounts(aws.url), clock=lambda: time[0])
    mount(*former)
    assert (await judged(observer, aws_identity.CHECK, {})).status is Status.PASS
    aws.enforce(off=True)
    aws.client("iam").delete_access_key(UserName="former", AccessKeyId=former[0])
    aws.enforce()
    mount(*latter)
    time[0] += 61
    verdict = await judged(observer, aws_identity.CHECK, {})
    assert (verdict.status, verdict.reason) == (Status.FAIL, "CredentialsRefused")
    time[0] += 61
    verdict = await judged(observer, aws_identity.CHECK, {})
    assert verdict.status is Status.PASS
    assert "user/latter" in verdict.message


async def test_a_role_is_taken_on_once_until_its_credentials_end(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = aws.role("kiro", "*")
    account = Account(Who("us-east-1", role, ""), aws.url, instance_metadata=False)

    def key() -> str:
        credentials = account._open().get_credentials()
        assert credentials is not None
        return str(credentials.access_key)

    first = await asyncio.to_thread(key)
    assert await asyncio.to_thread(key) == first
    assert account._until is not None
    monkeypatch.setattr("time.time", lambda until=account._until: until - 60.0)
    assert await asyncio.to_thread(key) != first


def keys_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


async def test_the_role_of_the_service_account(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """IRSA: a role and a token that the cluster signs, as its webhook tells the operator's pod."""
    keys_are_gone(monkeypatch)
    role = aws.role("kiro-operator", "*")
    (tmp_path / "token").write_text("signed by the cluster")
    monkeypatch.setenv("AWS_ROLE_ARN", role)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "regional")
    expected = {"expectedAccount": ACCOUNT, "expectedRole": role}
    # The flag is for all of AWS, also for the STS that botocore asks by itself, whatever else is set.
    with Server() as elsewhere:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", elsewhere.url)
        assert (await identity(aws.url, **expected)).status is Status.PASS
        assert elsewhere.requests == []
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    assert (await identity("", **expected)).status is Status.PASS
    # And from there on to another role.
    other = aws.role("auditor", "*")
    verdict = await identity(aws.url, roleArn=other, expectedRole=other)
    assert verdict.status is Status.PASS
    (tmp_path / "token").unlink()
    verdict = await identity(aws.url, **expected)
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "NoCredentials")


async def test_the_agent_of_pod_identity(aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """EKS Pod Identity: an agent on the node that hands credentials out for a token that it is shown."""
    keys_are_gone(monkeypatch)
    key, secret = aws.user("operator")
    token = tmp_path / "eks-pod-identity-token"
    token.write_text("signed by the cluster")

    def agent(request: Request) -> Answer:
        if request.headers.get("Authorization") != "signed by the cluster":
            return Answer(400, b"no such token")
        until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        given = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": "t", "Expiration": until}
        return Answer(200, json.dumps(given).encode())

    with Server(agent) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
        verdict = await identity(aws.url, expectedAccount=ACCOUNT)
        assert verdict.status is Status.PASS
        assert "user/operator" in verdict.message
        assert {one.path for one in server.requests} == {"/v1/credentials"}
        token.write_text("signed by somebody else")
        verdict = await identity(aws.url)
        assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "NoCredentials")
        token.write_text("signed by the cluster")
        assert (await identity(aws.url)).status is Status.PASS
    # Nobody but an agent on the node is asked for credentials in the clear.
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/v1/credentials")
    assert (await identity(aws.url)).status is Status.UNKNOWN


def test_in_the_operator(aws: Aws, control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """From the flag to the status; and a check that Cost Explorer only helps runs without it."""
    mine = {"aws-identity", "optimization-strategy"}
    others = [item for item in WATCHED_ONLY if item["id"] not in mine]
    world = World(control_plane, namespace, tmp_path)
    try:
        world.operator("--aws-endpoint-url", aws.url, "--cluster-facts-namespace", namespace)
        checks = [*others, *({"id": one, "interval": "5s"} for one in sorted(mine))]
        world.health_check(aws={"expectedAccount": ACCOUNT}, checks=checks)
        assert "expected" in world.wait_check("aws-identity", "Pass")["message"]
        assert (
            "component=cost-optimization" in world.wait_check("optimization-strategy", "Skipped")["message"]
        )

        def expect(account: str) -> None:
            patch = {"spec": {"aws": {"expectedAccount": account}}}
            control_plane.rest.patch(world.path("kirohealthchecks", "kiro"), patch)

        expect(OTHER_ACCOUNT)
        failing = world.wait_check("aws-identity", "Fail")
        assert (failing["reason"], failing["observed"]) == ("WrongAccount", ACCOUNT)
        assert world.condition("AutonomyEffective")["status"] == "False"
        expect(ACCOUNT)
        world.wait_check("aws-identity", "Pass")
    finally:
        world.close()


def test_whoever_does_not_ask_aws_does_not_load_boto3() -> None:
    code = "import sys, kiro_operator.app; sys.exit(bool({'boto3', 'botocore'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_only_some_namespaces_are_shown_the_account(aws: Aws) -> None:
    shown = Accounts(frozenset({"elsewhere"}), aws.url)
    for observer in (AwsIdentities(shown), AwsPermissionsOf(shown), AwsCostsOf(shown)):
        request = poll(facts(NAMESPACE), spec=KiroHealthCheckSpec(aws=AwsEvidence()))
        sample = await observer.observe(request)
        assert isinstance(sample, Unobserved)
        assert sample.reason == "NotConfigured"
        assert "--cluster-facts-namespace" in sample.message


@pytest.mark.parametrize(
    ("environment", "asked"), [({}, False), ({"AWS_EC2_METADATA_DISABLED": "false"}, True)]
)
def test_the_nodes_role_is_taken_only_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, *, environment: dict[str, str], asked: bool
) -> None:
    use(monkeypatch, "x", "y")
    named = Accounts(frozenset(), "", environment)
    account = Account(Who("us-east-1", "", ""), "", instance_metadata=named._instance_metadata)
    session: Any = account._own()
    providers = session._session.get_component("credential_provider").providers
    assert ("iam-role" in [one.METHOD for one in providers]) is asked


async def test_answers_are_forgotten_in_turn_and_failures_soon() -> None:
    time = [0.0]
    remembered: Remembered[int] = Remembered(3600, lambda: time[0])
    asked: list[Any] = []

    def asking(answer: int | Unobserved) -> Callable[[], Any]:
        async def ask() -> int | Unobserved:
            asked.append(answer)
            return answer

        return ask

    down = Unobserved("Down", "down")
    assert await remembered.get("a", asking(down)) == down
    assert await remembered.get("a", asking(1)) == down
    time[0] = 61
    assert await remembered.get("a", asking(1)) == 1
    time[0] = 3000
    assert await remembered.get("a", asking(2)) == 1
    assert asked == [down, 1]
    for number in range(200):
        await remembered.get(number, asking(number))
    assert len(remembered._answers) == 64


arns = st.text("ab:/*", max_size=30)


@given(arns, st.text("ab:/*", max_size=12))
def test_patterns(arn: str, pattern: str) -> None:
    """As the textbook has it, only in linear time."""
    expected = {(0, 0)}
    for index, letter in enumerate(pattern):
        reached = {at for at, done in expected if done == index}
        for at in reached:
            if letter == "*":
                expected |= {(further, index + 1) for further in range(at, len(arn) + 1)}
            elif at < len(arn) and arn[at] == letter:
                expected.add((at + 1, index + 1))
    assert aws_identity._matches(arn, pattern) is ((len(arn), len(pattern)) in expected)


@given(st.text(max_size=80))
def test_no_arn_breaks_it(arn: str) -> None:
    assert isinstance(principal(arn), str)
    assert aws_identity.fits(arn, "*")
    assert not aws_identity.fits(arn, f"{arn}?*")


@given(
    st.dictionaries(st.sampled_from(["Amount", "Unit"]), st.text(max_size=12) | st.floats().map(str)),
    st.text("0123456789-", max_size=12),
)
def test_no_day_breaks_it(total: dict[str, str], day: str) -> None:
    result = {"TimePeriod": {"Start": day}, "Total": {"UnblendedCost": total}}
    try:
        read = day_cost(result, "UnblendedCost")
    except (KeyError, ValueError):
        return  # as it says
    assert read is None or math.isfinite(read[0].amount)
