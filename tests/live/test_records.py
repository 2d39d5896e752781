"""Checks on the records in Kiro's logs, on logs as the real API server hands them through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from devcluster import ControlPlane, faults
from devcluster.wait import until
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.pod_logs import RULES, PodLogs
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks.response_quality.query_context import CHECK, QueryContextParameters
from kiro_operator.core.diagnosis import Gap, diagnose
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.records import Record
from kiro_operator.core.snapshot import Sample, Unobserved
from kiro_operator.core.verdict import Status, Verdict
from kiro_operator.diagnose import main
from tests.adapters.helpers import facts, live_pods, poll, service_account
from tests.devcluster.helpers import make_pod, ready, wait_pod

SPEC = KiroHealthCheckSpec.model_validate(
    {"records": {"kindFields": ["event"], "queries": {"kind": "prompt", "environment": "labels.env"}}}
)
INTERVAL = timedelta(minutes=10)
FEW = QueryContextParameters(min_queries=3)


class Kiro:
    """A pod that logs records, and the operator's look at it: one sample after another."""

    def __init__(self, plane: ControlPlane, namespace: str, client: Client) -> None:
        self._plane, self._namespace = plane, namespace
        self._observer = PodLogs(client)
        self._number = 0
        self._since: datetime | None = None
        self._ahead = timedelta(0)
        self.log: Path = faults.logs(plane, namespace, "web", ["kiro 1.8.2 ready"])

    def says(self, *records: object) -> None:
        """Write lines as a logging library does."""
        faults.append_log(
            self.log, [f"{datetime.now(UTC):%H:%M:%S} INFO kiro {json.dumps(item)}" for item in records]
        )

    def later(self, *, minutes: int) -> None:
        """Let time pass, by the operator's clock."""
        self._ahead += timedelta(minutes=minutes)

    async def sample(self, spec: KiroHealthCheckSpec = SPEC) -> tuple[LogTail | Unobserved, ...]:
        pods = live_pods(self._plane, self._namespace)
        now = datetime.now(UTC) + self._ahead
        request = poll(facts(self._namespace, pods), spec=spec, now=now, since=self._since, interval=INTERVAL)
        value = await self._observer.observe(request)
        self._since = now
        assert not isinstance(value, Unobserved), value
        return value

    async def verdict(self) -> Verdict:
        value = await self.sample()
        self._number += 1
        now = datetime.now(UTC)
        snapshot = facts(
            self._namespace,
            live_pods(self._plane, self._namespace),
            samples={POD_LOGS.name: Sample(self._number, now, value)},
        )
        return CHECK.judge(snapshot, FEW, now)


@pytest_asyncio.fixture
async def kiro(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Kiro]:
    make_pod(control_plane, namespace)
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    client = Client(service_account(control_plane, namespace, RULES))
    one = Kiro(control_plane, namespace, client)
    until(
        lambda: control_plane.kubectl("logs", "web", "-n", namespace, check=False).returncode == 0, "the log"
    )
    yield one
    await client.close()


def good(number: int) -> dict[str, object]:
    return {
        "event": "prompt",
        "id": f"q-{number}",
        "text": "why is the cart slow since noon",
        "labels": {"env": "production"},
        "scope": "namespace shop",
        "context": ["events.txt"],
    }


@pytest.mark.flips("query-context")
async def test_query_context_turns_with_what_is_asked(kiro: Kiro) -> None:
    assert (await kiro.verdict()).reason == "NoQueries"
    kiro.says(*(good(number) for number in range(4)))
    verdict = await kiro.verdict()
    assert (verdict.status, verdict.reason) == (Status.PASS, "AsExpected")

    kiro.says(*({**good(number), "labels": {}} for number in range(10, 14)))
    kiro.says({**good(14), "labels": {}, "text": "why does token=hunter2hunter2 not work"})
    verdict = await kiro.verdict()
    assert (verdict.status, verdict.reason) == (Status.FAIL, "EnvironmentMissing")
    assert "“why is the cart slow since noon”" in verdict.message
    assert "hunter2" not in repr(verdict)
    assert [finding.object.name for finding in verdict.findings] == ["web"]

    kiro.says(*(good(number) for number in range(30, 60)))
    assert (await kiro.verdict()).status is Status.PASS

    # What was said before the window began counts no more.
    kiro.later(minutes=20)
    kiro.says(good(20), good(21))
    assert (await kiro.verdict()).reason == "TooFewSamples"
    kiro.later(minutes=20)
    kiro.says(*({"event": "prompt", "text": "why"} for _ in range(4)))
    assert (await kiro.verdict()).reason == "MalformedRecords"


async def test_one_query_is_diagnosed_from_the_log(kiro: Kiro) -> None:
    kiro.says(
        {"record": "query", "id": "q-7", "text": "why is it slow", "environment": "production"},
        {"record": "trace", "query": "q-7", "step": 2, "text": "the disk is full, password=hunter2"},
        {"record": "trace", "query": "q-7", "step": 1, "documents": ["operations.md"], "tools": ["logs"]},
        {"record": "query", "id": "q-8", "text": "another one", "documents": ["other.md"]},
    )
    tails = await kiro.sample(KiroHealthCheckSpec())
    records: list[Record] = [record for tail in tails if isinstance(tail, LogTail) for record in tail.records]
    found = diagnose(records, "q-7")
    assert found is not None
    assert found.gaps == (Gap.SCOPE, Gap.CONTEXT)
    assert [step.step for step in found.steps] == [1, 2]
    assert found.steps[1].text == "the disk is full, password=[redacted]"
    assert (found.documents, found.tools) == (("operations.md",), ("logs",))


async def test_the_command_prints_a_diagnosis(
    kiro: Kiro, control_plane: ControlPlane, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kiro.says(
        {"record": "query", "id": "q-7", "text": "why is it slow", "environment": "production"},
        {"record": "trace", "query": "q-7", "step": 1, "text": "token=hunter2", "documents": ["tech.md"]},
        {"event": "prompt", "id": "q-9", "text": "by another name", "labels": {"env": "staging"}},
    )
    control_plane.rest.post(
        f"/apis/kiro.dev/v1alpha1/namespaces/{namespace}/kirohealthchecks",
        {
            "apiVersion": "kiro.dev/v1alpha1",
            "kind": "KiroHealthCheck",
            "metadata": {"name": "kiro"},
            "spec": {"suspend": True} | SPEC.model_dump(mode="json", by_alias=True, include={"records"}),
        },
    )
    here = ["-n", namespace, "--kubeconfig", str(control_plane.kubeconfig)]

    def run(*arguments: str) -> tuple[int, str]:
        status = main([*arguments, *here])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    status, text = await asyncio.to_thread(run, "query", "q-7")
    assert (status, "hunter2" in text) == (0, False)
    for part in ("Query q-7: why is it slow", "lacked: scope, context", "1. token=[redacted]", "  tech.md"):
        assert part in text
    status, text = await asyncio.to_thread(run, "query", "q-9", "--healthcheck", "kiro")
    assert (status, "environment: staging" in text) == (0, True)
    assert (await asyncio.to_thread(run, "query", "q-9"))[0] == 1
    status, text = await asyncio.to_thread(run, "query", "q-9", "--selector", "app=none")
    assert (status, "app=none" in text) == (1, True)
    status, text = await asyncio.to_thread(run, "query", "q-9", "--healthcheck", "absent")
    assert (status, "absent" in text) == (2, True)
