"""AWS on loopback: moto's server, with IAM's policy simulation, which moto lacks, by moto's own engine."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from unittest import mock

import boto3
from moto.core.responses import ActionResult
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.responses import IamResponse
from moto.server import ThreadedMotoServer

ACCOUNT = "123456789012"
OTHER_ACCOUNT = "210987654321"


class Aws:
    """A running moto server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self, service: str, key: str = "test", secret: str = "test", token: str | None = None) -> Any:  # noqa: S107
        # boto3's stubs know services by literals only.
        make: Any = boto3.client
        return make(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
        )

    def post(self, path: str, body: str) -> None:
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.url + path, body.encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass

    def reset(self) -> None:
        self.enforce(off=True)
        self.post("/moto-api/reset", "")

    def enforce(self, *, off: bool = False) -> None:
        """Have IAM decide on every request from now on."""
        self.post("/moto-api/reset-auth", "inf" if off else "0")

    def role(self, name: str, trusted: str, *, path: str = "/") -> str:
        role = self.client("iam").create_role(
            RoleName=name, Path=path, AssumeRolePolicyDocument=trust(trusted)
        )
        arn: str = role["Role"]["Arn"]
        return arn

    def user(self, name: str, *actions: str) -> tuple[str, str]:
        """A user that may do these; returns its key and secret."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if actions:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(*actions))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def costs(self, *amounts: float) -> None:
        """Queue an answer of Cost Explorer: the last days up to yesterday, oldest first."""
        today = date.today()  # noqa: DTZ011 - moto has no zone either; tests leave the last days alone
        results = [
            {
                "TimePeriod": {
                    "Start": (today - timedelta(days=days)).isoformat(),
                    "End": (today - timedelta(days=days - 1)).isoformat(),
                },
                "Total": {"UnblendedCost": {"Amount": str(amount), "Unit": "USD"}},
                "Groups": [],
                "Estimated": days <= 2,
            }
            for days, amount in zip(range(len(amounts), 0, -1), amounts, strict=True)
        ]
        answer = {"ResultsByTime": results, "DimensionValueAttributes": []}
        self.post("/moto-api/static/ce/cost-and-usage-results", json.dumps({"results": [answer]}))


def trust(principal: str) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principal}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy(*actions: str, effect: str = "Allow") -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def serve() -> Iterator[Aws]:
    """A server on a free port."""
    with mock.patch.object(IamResponse, "simulate_principal_policy", _simulate, create=True):
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        try:
            host, port = server.get_host_and_port()
            yield Aws(f"http://{host}:{port}")
        finally:
            server.stop()


def _simulate(self: Any) -> ActionResult:
    """What moto enforces, told as IAM tells it."""
    name = self._get_param("PolicySourceArn").rpartition("/")[2]
    backend = self.backend
    found = [backend.get_role_policy(name, one)[1] for one in backend.list_role_policies(name)]
    results: list[Mapping[str, Any]] = []
    for action in self._get_param("ActionNames"):
        for resource in self._get_param("ResourceArns"):
            told = {IAMPolicy(one).is_action_permitted(action, resource) for one in found}
            decision = (
                "explicitDeny"
                if PermissionResult.DENIED in told
                else "allowed"
                if PermissionResult.PERMITTED in told
                else "implicitDeny"
            )
            results.append({"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision})
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})
