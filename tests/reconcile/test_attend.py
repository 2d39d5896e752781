"""Following running actions takes time: what is planned next rests on what is to be seen afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import KiroRemediationStatus, RemediationState
from kiro_operator.core.checks import registry
from kiro_operator.core.conditions import Judged
from kiro_operator.core.decide import Policy
from kiro_operator.core.evidence.logs import POD_LOGS
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData, digest
from kiro_operator.core.findings import found
from kiro_operator.core.flap import FlapRule, Track, settle
from kiro_operator.core.objects.meta import RecordMetadata
from kiro_operator.core.snapshot import Collection, Ref, Sample, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown
from kiro_operator.core.verify import Live
from kiro_operator.reconcile.judge import Judgement
from kiro_operator.reconcile.outcomes import Outcome
from kiro_operator.reconcile.permits import Under
from kiro_operator.reconcile.records import Remediation, ledger_of
from kiro_operator.reconcile.target import Target
from kiro_operator.reconcile.verify import Look, Verify
from tests.adapters.helpers import facts
from tests.core.policy.make import pod, policy, snapshot, workload
from tests.reconcile.make import remediation
from tests.reconcile.test_own import body

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def record(name: str, state: str, *, asker: str) -> Remediation:
    at = NOW - timedelta(hours=1)
    status = {"state": state, "actingAt": at.isoformat(), "actedAt": at.isoformat()}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": f"uid-{name}"}
    return remediation(
        RecordMetadata(name=name, uid=f"record-{name}", creation_timestamp=at),
        status,
        action="Restart",
        method="RolloutRestart",
        target=target,
        fence={"uid": f"uid-{name}", "resourceVersion": "7"},
        healthCheck={"name": "platform", "uid": asker},
    )


class Slow:
    """Stands where records are written: while one is, another KiroHealthCheck begins an action."""

    def __init__(self) -> None:
        self.records = [record("mine", "Verifying", asker="u")]
        self.in_flight: dict[tuple[str, str], bool] = {}
        self.said: list[RemediationState] = []

    async def record(self, _namespace: str, item: Remediation, outcome: Outcome) -> Remediation:
        self.said.append(outcome.state)
        self.records.append(record("theirs", "Acting", asker="another"))
        return self._moved(item, outcome.state)

    async def write(self, _namespace: str, item: Remediation, status: KiroRemediationStatus) -> Remediation:
        return item if status == item.status else await self.record("", item, Outcome(status.state, "", ""))

    def _moved(self, item: Remediation, state: RemediationState) -> Remediation:
        moved = Remediation(item.record)
        moved.status = item.status.model_copy(update={"state": state})
        return moved


@pytest.fixture
def target() -> Target:
    made = Target(("kiro-system", "platform"))
    made.take(body(1, {}))
    return made


async def test_what_others_began_meanwhile_is_in_the_ledger(target: Target) -> None:
    slow = Slow()
    verify = Verify(slow)  # type: ignore[arg-type]

    seen = await verify.attend(lambda: look(target, slow.records))

    # Nobody could tell in time whether the one helped, so that it ends, and that has to be written.
    assert [entry.name for entry in seen.ledger.entries] == ["mine", "theirs"]


async def test_where_nothing_is_waited_for_nothing_is_looked_at_twice(target: Target) -> None:
    slow = Slow()
    slow.records = [record("mine", "Succeeded", asker="u"), record("theirs", "Acting", asker="another")]
    looks: list[Look] = []

    def looking() -> Look:
        looks.append(look(target, slow.records))
        return looks[-1]

    assert await Verify(slow).attend(looking) is looks[0]  # type: ignore[arg-type]
    assert len(looks) == 1


OPEN = Finding(Ref("MCPServer", "shop"), "RolloutInProgress", "m", NOW, remedies=(ActionName.RECONNECT_MCP,))


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (passed("it answers"), RemediationState.SUCCEEDED),
        (found([OPEN], status=Status.WARN), RemediationState.VERIFYING),
    ],
)
async def test_what_need_not_answer_for_now_is_not_taken_for_mended(
    target: Target, verdict: Verdict, state: RemediationState
) -> None:
    """As a server that is being rolled out: it warns, and what was done before has not helped by that."""
    at = (NOW - timedelta(minutes=2)).isoformat()
    asked = remediation(
        RecordMetadata(name="mine", uid="record-mine", creation_timestamp=NOW - timedelta(minutes=2)),
        {"state": "Verifying", "actingAt": at, "actedAt": at, "healthySince": at},
        action="ReconnectMCP",
        method="Exec",
        check="mcp-server-health",
        target={"apiVersion": "apps/v1", "kind": "Deployment", "name": "mine", "uid": "uid-mine"},
        healthCheck={"name": "platform", "uid": "u"},
    )
    slow = Slow()
    slow.records = [asked]
    seen = replace(
        look(target, slow.records),
        judgement=Judgement((Judged(registry()["mcp-server-health"], verdict, NOW),), frozenset(), None),
        facts=replace(facts(target.namespace), deployments=Collection.of([workload("mine")])),
    )
    await Verify(slow).attend(lambda: seen)  # type: ignore[arg-type]
    assert slow.said == [state]


ERRORS = Finding(
    Ref("Deployment", "mine", "uid-mine"),
    "LogErrors",
    "errors",
    NOW - timedelta(minutes=5),
    Ref("Deployment", "mine", "uid-mine"),
    (ActionName.RESTART,),
    workload_wide=True,
)
BAD, GOOD, UNSEEN = found([ERRORS]), passed("none"), unknown(Unobserved("Timeout", "no answer"))


class Logs:
    """A KiroHealthCheck whose service-logs had a Restart sent: one sample a minute from then on."""

    def __init__(self, target: Target, state: str) -> None:
        at, seen = NOW.isoformat(), 3 if state == "Acting" else 2
        self.target = target
        self.rule = FlapRule(failure_threshold=3, success_threshold=2)
        self.enabled = target.checks["service-logs"]
        self.track: Track | None = None
        self.number = 0
        self.actionable = False
        self.records = [
            remediation(
                RecordMetadata(name="mine", uid="record-mine", creation_timestamp=NOW),
                {"state": state, "actingAt": at} | ({"actedAt": at} if state == "Verifying" else {}),
                action="Restart",
                method="RolloutRestart",
                check="service-logs",
                target={"apiVersion": "apps/v1", "kind": "Deployment", "name": "mine", "uid": "uid-mine"},
                fence={"uid": "uid-mine", "resourceVersion": "100", "generation": seen},
                healthCheck={"name": "platform", "uid": "u"},
                timeout="10m",
                stabilization="2m",
            )
        ]
        self.in_flight: dict[tuple[str, str], bool] = {}
        self.sent: list[str] = []

    def sample(self, *verdicts: Verdict) -> None:
        """So many samples more."""
        for verdict in verdicts:
            self.number += 1
            self.track, settled = settle(self.track, verdict, self.rule, NOW, self.number)
            self.target.raw["service-logs"] = verdict
            self.verdict, self.actionable = settled.verdict, settled.actionable

    def look(self, minutes: float) -> Look:
        now = NOW + timedelta(minutes=minutes)
        self.target.samples[POD_LOGS.name, self.enabled.seconds] = Sample(self.number, now, ())
        judged = Judged(self.enabled.registered, self.verdict, NOW)
        ids = frozenset({"service-logs"} if self.actionable else ())
        return replace(
            look(self.target, self.records),
            policies=(Policy("safe", policy()),),
            judgement=Judgement((judged,), ids, None),
            facts=snapshot([workload("mine")], [pod(f"mine-{number}", "mine") for number in range(4)]),
            now=now,
        )

    async def live(self, _namespace: str, _spec: Any) -> Live:
        return Live(workload=workload("mine"))

    async def write(self, _namespace: str, item: Remediation, status: KiroRemediationStatus) -> Remediation:
        moved = Remediation(item.record)
        moved.status = status
        self.records = [moved]
        return moved

    async def record(self, namespace: str, item: Remediation, outcome: Outcome) -> Remediation:
        update = {"state": outcome.state, "reason": outcome.reason}
        return await self.write(namespace, item, item.status.model_copy(update=update))

    async def take_up(self, _namespace: str, item: Remediation, *_rest: Any) -> None:
        self.sent.append(item.name)


@pytest.mark.parametrize(
    ("last", "sent"),
    [
        ([], True),
        ([BAD], True),
        # Two good samples are a recovery, and until then the failure goes on to be told.
        ([GOOD], False),
        ([UNSEEN], False),
        ([UNSEEN, UNSEEN], False),
        ([GOOD, UNSEEN], False),
        ([GOOD, BAD], True),
    ],
)
async def test_what_was_interrupted_is_sent_by_what_is_seen_and_not_by_what_is_held(
    target: Target,
    last: list[Verdict],
    sent: bool,  # noqa: FBT001
) -> None:
    logs = Logs(target, "Acting")
    logs.sample(BAD, BAD, BAD, *last)
    assert logs.verdict.status is Status.FAIL
    await Verify(logs).attend(lambda: logs.look(0.1))  # type: ignore[arg-type]
    assert bool(logs.sent) is sent
    assert logs.records[0].status.state is RemediationState.ACTING, "it may yet be seen"


@pytest.mark.parametrize(
    ("samples", "state"),
    [
        ([GOOD] * 4, RemediationState.SUCCEEDED),
        ([GOOD, GOOD, UNSEEN, UNSEEN], RemediationState.VERIFYING),
        ([GOOD, GOOD, UNSEEN, GOOD], RemediationState.VERIFYING),
        # One bad sample is no failure, and no health either.
        ([GOOD, GOOD, BAD, BAD], RemediationState.VERIFYING),
        ([GOOD, GOOD, BAD, GOOD], RemediationState.VERIFYING),
        ([GOOD, GOOD, BAD, GOOD, GOOD, GOOD], RemediationState.SUCCEEDED),
    ],
)
async def test_health_that_was_not_seen_throughout_is_not_sustained(
    target: Target, samples: list[Verdict], state: RemediationState
) -> None:
    logs = Logs(target, "Verifying")
    logs.sample(BAD, BAD, BAD)
    for minute, verdict in enumerate(samples, 1):
        logs.sample(verdict)
        now = logs.look(minute)
        await Verify(logs).attend(lambda now=now: now)  # type: ignore[arg-type, misc]
    assert logs.records[0].status.state is state


async def test_whoever_waits_for_a_later_sample_asks_for_it_once(target: Target) -> None:
    """The next round may be minutes away; and until the answer is there, nothing else tells."""
    slow = Slow()
    waits = contained(acted=NOW - timedelta(minutes=2))
    slow.records = [waits]
    early = Sample(1, NOW - timedelta(seconds=90), {"kiro-safety-config": SET})
    verify = Verify(slow)  # type: ignore[arg-type]

    await verify.attend(lambda: look(target, slow.records, early))
    assert target.look_anew
    due = verify.next_look(slow.records)
    assert due is not None
    assert due <= NOW, "at once"

    target.look_anew = False  # whoever is rung has everything sampled
    await verify.attend(lambda: look(target, slow.records, early))
    assert not target.look_anew
    assert verify.next_look(slow.records) is None


def contained(*, acted: datetime) -> Remediation:
    return remediation(
        RecordMetadata(name="contained", uid="record-contained", creation_timestamp=acted),
        {"state": "Verifying", "actedAt": acted.isoformat(), "healthySince": acted.isoformat()},
        action="Contain",
        method="Patch",
        target={"apiVersion": "v1", "kind": "ConfigMap", "name": "kiro-safety-config", "uid": "uid-config"},
        change={"patch": '{"data":{"operations":"suspended"}}', "diff": "operations"},
        fence={"uid": "uid-config", "resourceVersion": "7"},
        healthCheck={"name": "platform", "uid": "u"},
    )


SET = ConfigData(digests={"operations": digest("suspended")}, uid="uid-config", resource_version="8")


def look(target: Target, records: list[Remediation], config: Sample[Any] | None = None) -> Look:
    seen = facts(target.namespace)
    return Look(
        target=target,
        judgement=Judgement((), frozenset(), None),
        policies=(),
        under=Under((), ()),
        remediations=list(records),
        ledger=ledger_of(records),
        facts=seen if config is None else replace(seen, samples={SAFETY_CONFIG.name: config}),
        approvals=(),
        now=NOW,
    )
