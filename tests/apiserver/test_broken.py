"""A fault of the operator itself: the status says that it is not kept up, and nothing is done meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devcluster.operator import OperatorProcess
from devcluster.wait import until
from tests.harness.world import WATCHED_ONLY, World, enforce

BREAK = """
from pathlib import Path

from kiro_operator.reconcile import loop

decide, alarm = loop.decide, loop.Loop._set_alarm


def broken(inputs):
    if Path({flag!r}).exists() and inputs.own.name == "broken":
        raise KeyError("a password of somebody")
    return decide(inputs)


def late(self, look, plan):
    alarm(self, look, plan)
    if Path({late!r}).exists() and look.target.name == "broken":
        raise KeyError("a password of somebody")


loop.decide, loop.Loop._set_alarm = broken, late
"""
OTHERS = ("Healthy", "Responsive", "Observed", "RemediationAllowed")


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Files whose presence breaks the operator's work on the KiroHealthCheck `broken`, early or late."""
    flags = {"early": tmp_path / "early", "late": tmp_path / "late"}
    patched = tmp_path / "patched"
    patched.mkdir()
    text = BREAK.format(flag=str(flags["early"]), late=str(flags["late"]))
    (patched / "sitecustomize.py").write_text(text)
    path = [str(patched), str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    return flags


def test_work_that_breaks_off_is_told_and_ends_no_other(world: World, broken: dict[str, Path]) -> None:
    world.deployment()
    world.policy(**enforce())
    world.health_check("broken", checks=WATCHED_ONLY, safetyPolicyRef={"name": "policy"})
    world.health_check("whole", checks=WATCHED_ONLY)
    operator = world.operator()
    for name in ("broken", "whole"):
        world.wait_condition("Healthy", "True", name)
    before = world.get("kirohealthchecks", "broken")["status"]

    broken["early"].touch()
    world.break_pod()

    told = world.wait_condition("Ready", "False", "broken", reason="InternalError")
    assert told["message"].startswith("a fault of the operator, KeyError, breaks off the work on this object")
    status = world.get("kirohealthchecks", "broken")["status"]
    assert "password" not in str(status)
    conditions = {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}
    assert conditions["Stalled"] == ("True", "InternalError")
    assert [conditions[kind] for kind in OTHERS] == [("Unknown", "InternalError")] * len(OTHERS)
    assert {**status, "conditions": None} == {**before, "conditions": None}
    world.wait_condition("Healthy", "False", "whole")
    assert world.condition("Ready", "whole")["status"] == "True"
    assert world.remediations() == []
    assert operator.running

    broken["early"].unlink()

    world.wait_condition("Ready", "True", "broken", reason="Reconciled")
    assert world.condition("Stalled", "broken") == {}
    assert 'type="Stalled"' not in operator.probe("/metrics")[1]
    world.wait_remediation("Succeeded", timeout=60)


def test_what_breaks_off_after_the_status_is_written_is_told_once(
    world: World, broken: dict[str, Path]
) -> None:
    world.deployment()
    world.health_check("broken", checks=WATCHED_ONLY)
    operator = world.operator()
    world.wait_condition("Healthy", "True", "broken")

    broken["late"].touch()
    world.break_pod()
    world.wait_condition("Ready", "False", "broken", reason="InternalError")
    world.wait_condition("Healthy", "False", "broken")
    written = writes(world)
    tries = breaks(operator)
    until(lambda: breaks(operator) >= tries + 3, "three more tries", 60)

    assert writes(world) == written
    broken["late"].unlink()
    world.wait_condition("Ready", "True", "broken", reason="Reconciled")


def writes(world: World) -> int:
    return len([event for event in world.written() if event["objectRef"]["resource"] == "kirohealthchecks"])


def breaks(operator: OperatorProcess) -> int:
    return sum("broke; again in" in str(record.get("message")) for record in operator.records())
