"""Checks on optimization decisions, on logs and files as the real API server hands them through."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from devcluster import ControlPlane, faults
from devcluster.wait import until
from kiro_operator.adapters.kubernetes import decision_log
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.decision_log import RULES, DecisionLog
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks import Check
from kiro_operator.core.checks.cost_efficiency import (
    cost_benefit,
    missed_opportunities,
    optimization_decisions,
    optimization_strategy,
)
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS, Optimizations
from kiro_operator.core.findings import MESSAGE_LIMIT
from kiro_operator.core.optimizations import LIMIT, merged
from kiro_operator.core.permissions import Rule
from kiro_operator.core.records import DecisionKind, DecisionRecord, RecordObject
from kiro_operator.core.records.values import NAME_LIMIT
from kiro_operator.core.snapshot import Ref, Sample, Stands, Unobserved, Weighed
from kiro_operator.core.verdict import Status, Verdict
from tests.adapters.helpers import facts, live_pods, poll, service_account
from tests.devcluster.helpers import make_pod, ready, wait_pod
from tests.harness.execs import running

NOW = datetime.now(UTC).replace(microsecond=0)


class Optimizer:
    """A pod that logs decisions, its decision log, and the operator's look at both."""

    def __init__(self, plane: ControlPlane, namespace: str, client: Client, file: Path) -> None:
        self._plane, self._namespace, self._client = plane, namespace, client
        self.file = file
        self.weighed: dict[str, Weighed] = {}
        self.log = faults.logs(plane, namespace, "web", ["optimizer 2.1 ready"])

    def logs(self, *records: dict[str, Any]) -> None:
        """Write lines that ``kubectl logs`` shows."""
        faults.append_log(self.log, [f"INFO {json.dumps(item)}" for item in records])

    def writes(self, *records: dict[str, Any]) -> None:
        """Write lines into the decision log."""
        with self.file.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps({'type': 'optimization', **item})}\n" for item in records)

    async def sample(
        self, client: Client | None = None, spec: KiroHealthCheckSpec | None = None
    ) -> Optimizations | Unobserved:
        pods = live_pods(self._plane, self._namespace)
        observer = DecisionLog(client or self._client, str(self.file))
        return await observer.observe(poll(facts(self._namespace, pods), spec=spec))

    async def verdict(self, check: Check, client: Client | None = None, **parameters: Any) -> Verdict:
        value = await self.sample(client)
        samples = {OPTIMIZATIONS.name: Sample(1, datetime.now(UTC), value)}
        snapshot = facts(self._namespace, samples=samples, weighed=self.weighed)
        return check.judge(snapshot, check.parameters.model_validate(parameters), datetime.now(UTC))


@pytest_asyncio.fixture
async def optimizer(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[Optimizer]:
    make_pod(control_plane, namespace)
    label(control_plane, namespace, "cost-optimization")
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    client = Client(service_account(control_plane, namespace, DecisionLog.rules))
    one = Optimizer(control_plane, namespace, client, tmp_path / "decisions.log")
    until(
        lambda: control_plane.kubectl("logs", "web", "-n", namespace, check=False).returncode == 0, "the log"
    )
    try:
        with running(control_plane, namespace, "web"):
            yield one
    finally:
        await client.close()


def label(plane: ControlPlane, namespace: str, component: str | None) -> None:
    """Label the pod as a component, or not."""
    patch = {"metadata": {"labels": {"component": component}}}
    plane.rest.patch(f"/api/v1/namespaces/{namespace}/pods/web", patch)


def record(kind: str, number: int, days: float, **more: Any) -> dict[str, Any]:
    return {
        "record": kind,
        "id": f"opt-{number}",
        "time": (NOW - timedelta(days=days)).isoformat(),
        "action": "rightsize",
        "object": f"Deployment/shop/web-{number}",
        **more,
    }


def decisions(numbers: Iterable[int], **more: Any) -> list[dict[str, Any]]:
    return [record("decision", number, 20 - number / 10, applied=True, **more) for number in numbers]


def told(verdict: Verdict) -> tuple[Status, str]:
    return verdict.status, verdict.reason


@pytest.mark.flips("optimization-decisions")
async def test_decisions_that_are_reverted(optimizer: Optimizer) -> None:
    check = optimization_decisions.CHECK
    optimizer.writes(*decisions(range(12), reverted=False))
    assert told(await optimizer.verdict(check)) == (Status.PASS, "AsExpected")
    # What happens to a decision is logged when it happens: under its id, and here in the other log.
    optimizer.logs(*[{**item, "time": NOW.isoformat()} for item in decisions(range(6), reverted=True)])
    verdict = await optimizer.verdict(check)
    assert told(verdict) == (Status.FAIL, "Reverted")
    assert {finding.object.name for finding in verdict.findings} == {f"web-{number}" for number in range(6)}
    assert verdict.observed == "wrong or reverted: about 50%"
    optimizer.writes(*decisions(range(12, 80), reverted=False))
    assert told(await optimizer.verdict(check)) == (Status.PASS, "AsExpected")


@pytest.mark.flips("cost-benefit")
async def test_predictions_that_do_not_come_true(optimizer: Optimizer) -> None:
    check = cost_benefit.CHECK
    optimizer.logs(*decisions(range(6), predictedSaving=100))
    assert told(await optimizer.verdict(check)) == (Status.UNKNOWN, "TooFewDecisions")
    optimizer.logs(*decisions(range(6), realisedSaving="95.5"))
    assert told(await optimizer.verdict(check)) == (Status.PASS, "AsExpected")
    optimizer.logs(*decisions(range(6, 16), predictedSaving=100, realisedSaving=4))
    verdict = await optimizer.verdict(check)
    assert told(verdict) == (Status.FAIL, "SavedLess")
    assert "rightsize of Deployment web-15 (decision opt-15)" in verdict.message
    optimizer.logs(*decisions(range(6, 16), realisedSaving=90))
    assert told(await optimizer.verdict(check)) == (Status.PASS, "AsExpected")


@pytest.mark.flips("optimization-strategy")
async def test_decisions_without_effect(optimizer: Optimizer) -> None:
    check = optimization_strategy.CHECK
    optimizer.writes(*decisions(range(6), predictedSaving=100, realisedSaving=80))
    assert told(await optimizer.verdict(check)) == (Status.PASS, "AsExpected")
    optimizer.writes(*decisions(range(6, 18), predictedSaving=100, realisedSaving=0))
    assert told(await optimizer.verdict(check)) == (Status.FAIL, "NoEffect")
    optimizer.writes(*decisions(range(6, 18), realisedSaving=60))
    assert told(await optimizer.verdict(check)) == (Status.PASS, "AsExpected")


@pytest.mark.flips("missed-opportunities")
async def test_opportunities_that_nobody_takes(optimizer: Optimizer) -> None:
    check = missed_opportunities.CHECK
    assert told(await optimizer.verdict(check)) == (Status.UNKNOWN, "NoOpportunities")
    optimizer.logs(record("opportunity", 1, 2))
    verdict = await optimizer.verdict(check)
    assert told(verdict) == (Status.PASS, "AsExpected")
    assert verdict.next_check == NOW + timedelta(days=5)
    optimizer.writes(record("opportunity", 2, 9))
    verdict = await optimizer.verdict(check)
    assert told(verdict) == (Status.FAIL, "MissedOpportunity")
    assert [finding.object.name for finding in verdict.findings] == ["web-2"]
    optimizer.writes(record("decision", 2, 0, applied=False))
    assert told(await optimizer.verdict(check)) == (Status.PASS, "AsExpected")
    # What another check has found for nine days.
    waste = Stands(Ref("Deployment", "web-3"), "Deployment web-3 wastes 3 cores", NOW - timedelta(days=9))
    optimizer.weighed = {"over-provisioned": Weighed(known=True, stands=(waste,))}
    assert told(await optimizer.verdict(check)) == (Status.FAIL, "WasteLeftAlone")
    elsewhere = record("decision", 3, 0, applied=False)
    optimizer.writes(elsewhere)
    assert told(await optimizer.verdict(check)) == (Status.FAIL, "WasteLeftAlone")
    optimizer.writes({**elsewhere, "id": "opt-4", "object": "Deployment/web-3"})
    assert told(await optimizer.verdict(check)) == (Status.PASS, "AsExpected")


async def test_only_lines_on_optimization_of_the_decision_log_count(optimizer: Optimizer) -> None:
    scaling = json.dumps(record("decision", 1, 1, reverted=True))
    optimizer.file.write_text(f'{scaling}\nnoise\n{{"type":"optimization","record":"decision"}}\n')
    sample = await optimizer.sample()
    assert isinstance(sample, Optimizations)
    assert (sample.records, sample.malformed, sample.missing) == ((), 1, ())


async def test_of_a_large_decision_log_the_end_is_read(
    optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "LIMIT", 4096)
    optimizer.writes(*decisions(range(200)))
    sample = await optimizer.sample()
    assert isinstance(sample, Optimizations)
    assert 10 < len(sample.records) < 40
    assert sample.records[-1].id == "opt-199"
    assert sample.malformed == 0


async def test_without_the_permission_to_exec(
    control_plane: ControlPlane, namespace: str, optimizer: Optimizer
) -> None:
    optimizer.writes(*decisions(range(20)))
    optimizer.logs(*decisions(range(3), reverted=True))
    async with client_with(control_plane, namespace, RULES) as client:
        sample = await optimizer.sample(client)
        assert isinstance(sample, Optimizations)
        assert len(sample.records) == 3
        assert [one.reason for one in sample.missing] == ["Forbidden"]
        verdict = await optimizer.verdict(optimization_decisions.CHECK, client)
        assert told(verdict) == (Status.UNKNOWN, "Forbidden")
        assert "fewer than 10 decisions" in verdict.message
        assert "pods/exec" in verdict.message
    async with client_with(control_plane, namespace, ()) as client:
        verdict = await optimizer.verdict(optimization_decisions.CHECK, client)
        assert told(verdict) == (Status.UNKNOWN, "Forbidden")


@asynccontextmanager
async def client_with(plane: ControlPlane, namespace: str, rules: Iterable[Rule]) -> AsyncIterator[Client]:
    client = Client(service_account(plane, namespace, rules))
    yield client
    await client.close()


async def test_without_a_decision_log_the_logs_count(optimizer: Optimizer) -> None:
    optimizer.logs(*decisions(range(3), reverted=True))
    sample = await optimizer.sample()
    assert isinstance(sample, Optimizations)
    assert len(sample.records) == 3
    [missing] = sample.missing
    assert missing.reason == "NoDecisionLog"
    assert "pod web" in missing.message


async def test_fields_by_the_mapping(optimizer: Optimizer) -> None:
    spec = KiroHealthCheckSpec.model_validate(
        {"records": {"decisions": {"kind": "saving", "id": "uid", "reverted": "state.undone"}}}
    )
    optimizer.logs({"kind": "saving", "uid": "x", "action": "stop", "state": {"undone": "yes"}})
    sample = await optimizer.sample(spec=spec)
    assert isinstance(sample, Optimizations)
    assert sample.records == (DecisionRecord(DecisionKind.DECISION, "x", "stop", reverted=True),)


async def test_pods_without_the_label_are_left_alone(
    control_plane: ControlPlane, namespace: str, optimizer: Optimizer
) -> None:
    label(control_plane, namespace, None)
    assert await optimizer.sample() == decision_log.NO_COMPONENT
    assert told(await optimizer.verdict(cost_benefit.CHECK)) == (Status.SKIPPED, "NotConfigured")


truth = st.none() | st.booleans()
some_records = st.lists(
    st.builds(
        DecisionRecord,
        st.sampled_from(DecisionKind),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["stop", "rightsize"]),
        st.none() | st.datetimes(timezones=st.just(UTC), min_value=datetime(1999, 1, 1)),  # noqa: DTZ001
        st.just(RecordObject()) | st.just(RecordObject("Deployment", "shop", "web")),
        st.none() | st.floats(-5, 5),
        st.none() | st.floats(-5, 5),
        truth,
        truth,
        truth,
    ),
    max_size=20,
)


@given(some_records)
def test_a_record_that_stands_in_two_logs_counts_once(records: list[DecisionRecord]) -> None:
    once = merged(records)
    assert merged([*records, *records]) == once
    assert merged(once) == once
    keys = [(item.kind, item.id) for item in once]
    assert len(keys) == len(set(keys))
    times = [item.time for item in once if item.time]
    assert times == sorted(times)
    for item in once:
        mine = [one for one in records if (one.kind, one.id) == (item.kind, item.id)]
        # What anybody told is kept.
        assert (item.reverted is None) == all(one.reverted is None for one in mine)


def test_the_newest_are_kept() -> None:
    many = [
        DecisionRecord(DecisionKind.DECISION, f"{n}", "stop", NOW + timedelta(seconds=n)) for n in range(700)
    ]
    kept = merged(many)
    assert len(kept) == LIMIT
    assert kept[-1].id == "699"


LONG = "x" * NAME_LIMIT


@pytest.mark.parametrize(
    ("check", "record"),
    [
        (optimization_decisions.CHECK, {"reverted": True}),
        (cost_benefit.CHECK, {"predicted_saving": 9.0, "realised_saving": 0.0}),
        (cost_benefit.CHECK, {"predicted_saving": 1.0, "realised_saving": 9.0}),
        (optimization_strategy.CHECK, {"realised_saving": 0.0}),
        (missed_opportunities.CHECK, {"kind": DecisionKind.OPPORTUNITY}),
    ],
)
def test_messages_of_the_longest_names_are_bounded(check: Check, record: dict[str, Any]) -> None:
    given: dict[str, Any] = {"kind": DecisionKind.DECISION, "time": NOW - timedelta(days=9)} | record
    records = merged(
        DecisionRecord(
            id=f"{LONG[:200]}{n}", action=LONG, object=RecordObject(LONG, LONG, f"{n}{LONG}"[:253]), **given
        )
        for n in range(20)
    )
    assert len(records) == 20
    sample = Sample(1, NOW, Optimizations(records))
    snapshot = facts("kiro-system", samples={OPTIMIZATIONS.name: sample})
    verdict = check.judge(snapshot, check.parameters(), NOW)
    assert verdict.status is Status.FAIL
    for finding in verdict.findings:
        assert finding.object.name in finding.message
        assert len(finding.message) <= MESSAGE_LIMIT


@given(st.binary(max_size=200), st.booleans())
def test_no_output_breaks_it(content: bytes, whole: bool) -> None:  # noqa: FBT001
    lines = decision_log._lines(content, whole=whole)
    assert all("\n" not in line for line in lines)
