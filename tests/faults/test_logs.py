"""Lines that pods write into their logs are read, and never shown: not in a status, Events or our own log."""

from __future__ import annotations

from devcluster import faults
from devcluster.wait import until
from tests.harness.world import STEADY, World

PLANTED = "hunter2-5up3r-s3cr3t"
KEY = "AKIAIOSFODNN7EXAMPLE"
SECRETS = [
    f"ERROR login failed password={PLANTED}",
    f'ERROR {{"token": "{PLANTED}", "msg": "upstream refused"}}',
    f"ERROR Authorization: Bearer {PLANTED}",
    f"panic: connect postgres://kiro:{PLANTED}@db:5432/kiro: connection refused",
    f"ERROR AWS_ACCESS_KEY_ID {KEY} rejected",
]
LOGS_ONLY = [
    {"id": "service-logs", "interval": "5s", "failureThreshold": 1, "failAfter": "0s"},
    *({"id": name, "enabled": False} for name in (
        "network-connectivity", "recent-configuration-changes", "resource-utilization",
    )),
]  # fmt: skip


def events(world: World) -> str:
    return world.plane.kubectl("get", "events", "-n", world.namespace, "-o", "yaml").stdout


def test_hostile_logs_are_judged_and_never_repeated(world: World) -> None:
    world.deployment()
    pods = [pod["metadata"]["name"] for pod in world.pods()]
    noise = bytes(range(1, 10)).decode("latin-1") + bytes(range(14, 256)).decode("latin-1") * 64
    for name in pods:
        faults.logs(world.plane, world.namespace, name, ["started"])
    world.health_check(checks=LOGS_ONLY)
    operator = world.operator(*STEADY, "--verbose")
    world.wait_check("service-logs", "Pass", timeout=60)

    stems = [world.plane.folder / "pod-logs" / world.namespace / f"{name}.log" for name in pods]

    def written() -> bool:
        faults.append_log(stems[0], SECRETS * 20)
        faults.append_log(stems[1], ["ERROR " + "x" * 1_000_000 + f" password={PLANTED}"] * 2)
        faults.append_log(stems[2], [f"ERROR {noise}"] * 20)
        return world.check("service-logs").get("status") == "Fail"

    until(written, "the errors to be seen", 60)
    world.wait_condition("Healthy", "False")
    until(lambda: "CheckFailed" in events(world), "the Event", 20)

    shown = {
        "status": world.describe(),
        "objects": world.plane.kubectl("get", "khc,ksp,krem", "-n", world.namespace, "-o", "yaml").stdout,
        "events": events(world),
        "operator's log": operator.log.read_text(errors="replace"),
        "metrics": operator.probe("/metrics")[1],
    }
    for where, text in shown.items():
        assert PLANTED not in text, where
        assert KEY not in text, where
        assert "x" * 2000 not in text, where
    assert len(world.describe()) <= 64 * 1024
    assert operator.probe("/healthz")[0] == 200
    assert operator.running
