"""The wall clock is set back under a running operator: no limit widens, and nothing waits for ever."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from devcluster.wait import until
from tests.apiserver.test_detailed_logging import begin, level
from tests.harness.mcp_servers import McpProcess
from tests.harness.scenes import Scene
from tests.harness.world import STEADY, World

SHIFTED = """
    import datetime, os, pathlib
    from kiro_operator.adapters import clock

    def now(self):
        shift = float(pathlib.Path(os.environ["KIRO_TEST_SHIFT"]).read_text() or 0)
        return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=shift)

    clock.SystemClock.now = now
"""


@pytest.fixture
def shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with seconds by which the operator's wall clock is off; its monotonic clock goes on."""
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(SHIFTED))
    file = tmp_path / "shift"
    file.write_text("0")
    monkeypatch.setenv("KIRO_TEST_SHIFT", str(file))
    path = [str(tmp_path), str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    return file


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"budget": {"limit": 1, "window": "1h"}}, "BudgetExhausted"),
        ({"cooldown": "30m"}, "Cooldown"),
    ],
)
@pytest.mark.parametrize("hours", [-2, -48])
def test_a_clock_set_back_widens_no_limit(
    world: World, shift: Path, limit: dict[str, object], reason: str, hours: int
) -> None:
    scene = Scene(world, "Evict").set(**limit)
    operator = world.operator(*STEADY)
    world.wait_remediation("Succeeded")
    world.wait_condition("Healthy", "True")

    shift.write_text(str(hours * 3600))
    world.break_pod()

    world.wait_condition("Healthy", "False")
    world.wait_condition("RemediationAllowed", "False", reason=reason)
    scene.assert_done_once()
    assert operator.probe("/healthz")[0] == 200


def test_an_action_that_does_not_help_fails_in_time_though_the_clock_is_set_back(
    world: World, shift: Path
) -> None:
    scene = Scene(world, "ScaleUp").set()
    ladder = [{"action": "Scale", "timeout": "10s"}]
    change = {"spec": {"remediation": {"stabilization": "1s", "ladder": ladder}}}
    world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), change)
    world.operator(*STEADY)
    world.wait_remediation("Verifying")

    shift.write_text("-7200")

    failed = world.wait_remediation("Failed", timeout=60)
    assert failed[0]["status"]["reason"] == "StillFailing"
    scene.assert_done_once()


def test_an_action_under_way_ends_though_the_clock_is_set_back(world: World, shift: Path) -> None:
    scene = Scene(world, "RolloutRestart").set()
    ladder = [{"action": "Restart", "timeout": "60s"}]
    change = {"spec": {"remediation": {"stabilization": "6s", "ladder": ladder}}}
    world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), change)
    world.operator(*STEADY)
    stabilizing = until(
        lambda: [r for r in world.remediations() if r["status"].get("healthySince")], "stabilization", 40
    )
    assert stabilizing[0]["status"]["state"] == "Verifying"

    shift.write_text("-7200")

    world.wait_remediation("Succeeded", timeout=60)
    world.wait_condition("Healthy", "True")
    scene.assert_done_once()


def test_what_was_set_for_a_while_is_given_back_though_the_clock_is_set_back(
    world: World, shift: Path
) -> None:
    with McpProcess() as shop:
        begin(world, shop, "15s")

        shift.write_text(str(-48 * 3600))

        until(lambda: level(world) == "info", "it to be given back", 60)
