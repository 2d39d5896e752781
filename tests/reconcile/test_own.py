"""What a KiroHealthCheck knows of itself: notes on it, its settings, and when its checks began to fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kiro_operator.api.v1alpha1.conditions import ConditionType
from kiro_operator.core.checks import Check, Parameters, Registered
from kiro_operator.core.flap import FlapRule
from kiro_operator.core.snapshot import Snapshot, Source
from kiro_operator.core.verdict import Status, Verdict, passed
from kiro_operator.reconcile.judge import judge
from kiro_operator.reconcile.target import REMEMBERED, Enabled, Target
from tests.adapters.helpers import facts

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOTE = "feedback.kiro.dev/pods-ready.20260302T110000Z"


def body(version: int, annotations: dict[str, str], spec: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata = {
        "name": "platform",
        "namespace": "kiro-system",
        "uid": "u",
        "generation": 1,
        "resourceVersion": str(version),
        "creationTimestamp": "2026-03-01T12:00:00Z",
        "annotations": annotations,
    }
    return {"metadata": metadata, "spec": spec or {}}


def test_a_note_wakes_and_is_judged_without_all_else() -> None:
    target = Target(("kiro-system", "platform"))
    target.take(body(1, {}))
    target.dirty.clear()
    target.raw = {"pods-ready": passed("well")}
    assert not target.take(body(2, {"elsewhere.dev/feedback": "x"}))
    assert target.take(body(3, {NOTE: "false-positive"}))
    assert target.dirty == {Source.HEALTH_CHECK}
    assert target.raw, "nothing else is judged anew"
    assert [item.check for item in target.own.notes.feedback.ratings] == ["pods-ready"]
    assert not target.take(body(4, {NOTE: "false-positive"})), "nothing new"
    assert target.take(body(5, {}))
    assert not target.own.notes.feedback.ratings


def test_settings_are_those_of_the_enabled_checks() -> None:
    target = Target(("kiro-system", "platform"))
    checks = [{"id": "cpu-usage", "enabled": False}, {"id": "pods-ready", "failureThreshold": 4}]
    target.take(body(1, {}, {"checks": checks}))
    own = target.own
    assert own.name == "platform"
    assert set(own.settings) == set(target.checks)
    assert "cpu-usage" not in own.settings
    chosen = own.settings["pods-ready"].chosen
    assert chosen is not None
    assert chosen.failure_threshold == 4
    assert own.settings["service-logs"].chosen is None


def test_parameters_that_contradict_each_other_are_told_of() -> None:
    target = Target(("kiro-system", "platform"))
    parameters = {"slowAfter": "8s"}
    target.take(body(1, {}, {"checks": [{"id": "mcp-server-health", "parameters": parameters}]}))
    assert target.problem is not None
    assert target.problem.reason == "InvalidParameters"
    assert target.problem.message == (
        "spec.checks[mcp-server-health].parameters: slowAfter must not be longer than timeout: a request is "
        "given up before it is slow"
    )
    assert "mcp-server-health" not in target.checks
    assert "pods-ready" in target.checks, "all others go on"


def verdicts(target: Target, *statuses: Status) -> list[Status]:
    """Have a check say this, a minute apart; returns what the one that watches it says each time."""
    said: list[Status] = []

    def spoken(_: Snapshot, __: Parameters, ___: datetime) -> Verdict:
        return Verdict(said[-1], "Told", "as the test wants it")

    def watching(snapshot: Snapshot, _: Parameters, __: datetime) -> Verdict:
        # It fails as often as the other does, and must not count itself.
        return Verdict(
            Status.FAIL if snapshot.own.failed else Status.PASS, "Counted", "as often as it is told"
        )

    sources = {"spoken": (Source.PODS,), "watching": (Source.VERDICTS,)}
    for name, function in (("spoken", spoken), ("watching", watching)):
        check = Check(title=name, section="s", command="c", sources=sources[name], judge=function)
        registered = Registered(name, "responsiveness", ConditionType.RESPONSIVE, check)
        target.checks[name] = Enabled(registered, Parameters(), FlapRule(), MINUTE, ())
    watched: list[Status] = []
    for minute, status in enumerate(statuses, 1):
        said.append(status)
        now = NOW + minute * MINUTE
        target.dirty.add(Source.PODS)
        judged = judge(target, facts("kiro-system", own=target.own), now)
        watched.append(judged.judged[-1].verdict.status)
    return watched


def test_beginning_to_fail_is_remembered() -> None:
    target = Target(("kiro-system", "platform"))
    fail, well, blind = Status.FAIL, Status.PASS, Status.UNKNOWN
    watched = verdicts(target, well, fail, fail, blind, fail, well, fail)
    assert target.failed == {"spoken": (NOW + 2 * MINUTE, NOW + 7 * MINUTE)}, "an Unknown ends nothing"
    assert watched == [well, *[fail] * 6], "whoever judges that is told at once"


def test_only_so_many_are_remembered() -> None:
    target = Target(("kiro-system", "platform"))
    for number in range(REMEMBERED + 3):
        target.began_to_fail("pods-ready", NOW + number * MINUTE)
    assert len(target.own.failed["pods-ready"]) == REMEMBERED
    assert target.own.failed["pods-ready"][0] == NOW + 3 * MINUTE


def test_a_check_that_is_turned_off_is_forgotten() -> None:
    target = Target(("kiro-system", "platform"))
    target.take(body(1, {}))
    verdicts(target, Status.FAIL)
    assert "spoken" in target.own.failed
    # It is none of those that there are, so that reading the spec again lets it go.
    target.take(body(2, {"kiro.dev/requestedAt": "now"}))
    assert "spoken" not in target.own.failed
