"""/healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from devcluster.wait import until
from kiro_operator.adapters.kubernetes.credentials import Credentials
from kiro_operator.app import STUCK_AFTER, Operator
from kiro_operator.settings import parse
from tests.harness.scenes import Scene
from tests.harness.world import STEADY, World

SERIES = (
    'kiro_check_status{check="pods-ready",healthcheck="kiro",namespace="NAMESPACE",status="Pass"} 1.0',
    'kiro_healthcheck_condition{healthcheck="kiro",namespace="NAMESPACE",type="Healthy"} 1.0',
    'kiro_remediations_total{action="Restart",method="Evict",namespace="NAMESPACE",state="Succeeded"} 1.0',
    'kiro_reconciliations_total{outcome="done"}',
    "kiro_reconcile_duration_seconds_bucket",
    "kiro_judge_duration_seconds_count",
    'kiro_status_writes_total{kind="KiroHealthCheck"}',
    'kiro_status_writes_total{kind="KiroRemediation"}',
    'kiro_status_writes_total{kind="KiroSafetyPolicy"}',
    "kiro_queue_depth 0.0",
    "kiro_leader 1.0",
    "kiro_watch_last_heard_seconds",
    "kiro_last_judgement_timestamp_seconds",
    "kiro_healthchecks 1.0",
    "kiro_events_dropped 0.0",
)


def test_the_series_of_an_action_from_fault_to_recovery(world: World) -> None:
    Scene(world, "Evict").set()
    operator = world.operator(*STEADY)
    world.wait_remediation("Succeeded")
    world.wait_condition("Healthy", "True")

    status, text = operator.probe("/metrics")
    assert status == 200
    missing = [series for series in SERIES if series.replace("NAMESPACE", world.namespace) not in text]
    assert missing == []
    assert operator.probe("/readyz") == (200, "ok\n")
    assert operator.probe("/healthz") == (200, "ok\n")
    assert operator.probe("/nothing")[0] == 404


def test_series_of_a_health_check_end_with_it(world: World) -> None:
    Scene(world, "Evict").set()
    operator = world.operator(*STEADY)
    world.wait_remediation("Succeeded")
    world.plane.rest.delete(world.path("kirohealthchecks", "kiro"))
    until(lambda: "kiro_healthchecks 0.0" in operator.probe("/metrics")[1], "the end", 20)
    text = operator.probe("/metrics")[1]
    assert (
        f'kiro_check_status{{check="pods-ready",healthcheck="kiro",namespace="{world.namespace}"' not in text
    )
    assert "kiro_healthcheck_condition{" not in text


@pytest.fixture
async def operator(tmp_path: Path) -> Operator:
    settings = parse(["--namespace", "n", "--service-account-dir", str(tmp_path)], {})
    made = Operator(settings, Credentials("https://127.0.0.1:1", None, lambda: None))
    made.kopf_running = True
    return made


async def test_a_loop_that_does_not_move_with_work_waiting_is_dead(operator: Operator) -> None:
    now = asyncio.get_running_loop().time()
    assert operator.unhealthy() == ""
    queue = operator.loop.queue
    queue.add(("KiroHealthCheck", ("n", "kiro")))
    queue.last_progress = now - STUCK_AFTER + 30
    assert operator.unhealthy() == ""
    queue.last_progress = now - STUCK_AFTER - 1
    assert "the queue has not moved for" in operator.unhealthy()
    await queue.get()  # it moves again
    assert operator.unhealthy() == ""
    await operator.client.close()


async def test_without_its_front_door_it_is_neither_ready_nor_well(operator: Operator) -> None:
    operator.kopf_running = False
    assert operator.unready()
    assert "custom resources" in operator.unhealthy()
    await operator.client.close()
