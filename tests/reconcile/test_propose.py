"""Proposals that come to nothing: told, tried again in time, and in nobody's way."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from msgspec.structs import replace

from devcluster.listen import Answer, Request, Server
from kiro_operator import ports
from kiro_operator.adapters.kubernetes.actuator import Actuator
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckStatus
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.decide import Inputs, Plan
from kiro_operator.core.policy.plan import New
from kiro_operator.core.policy.types import Change, Fence, Intent
from kiro_operator.core.snapshot import Ref
from kiro_operator.reconcile import act as acting
from kiro_operator.reconcile import loop as looping
from kiro_operator.reconcile.act import UNFIT_FOR, Act
from kiro_operator.reconcile.intake import HEALTH_CHECK
from kiro_operator.reconcile.loop import Loop
from kiro_operator.reconcile.policies import Policies
from kiro_operator.reconcile.target import Target
from kiro_operator.reconcile.verify import Look
from tests.adapters.helpers import plain
from tests.harness.world import enforce
from tests.reconcile.make import Still
from tests.reconcile.test_attend import look
from tests.reconcile.test_intake import NOTHING, Followed
from tests.reconcile.test_own import body

NOW = datetime(2026, 11, 27, tzinfo=UTC)
BEFORE, AFTER = "Inclusion: Always", "inclusion: always"
WORDS = "spec.change.patch: Invalid value: mail jane.doe@example.com"


def new(name: str) -> New:
    """A change of the document in a ConfigMap of that name."""
    patch, undo = ({"data": {"product.md": text}} for text in (AFTER, BEFORE))
    intent = Intent(
        action=ActionName.EDIT_STEERING,
        method=Method.PATCH,
        target=Ref("ConfigMap", name, f"uid-{name}"),
        api_version="v1",
        fence=Fence(f"uid-{name}", ""),
        check="steering-syntax",
        reason="UnknownInclusion",
        message="it is written otherwise",
        episode=1,
        step=1,
        timeout=timedelta(minutes=10),
        stabilization=timedelta(minutes=1),
        change=Change(json.dumps(patch), "inclusion", json.dumps(undo)),
    )
    return New(intent, None, ())


def answers(request: Request) -> Answer:
    """Of an API server that lists one ConfigMap, and takes no record."""
    if request.method == "GET":
        name = request.path.rpartition("metadata.name%3D")[2]
        metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "7"}
        found = {"metadata": metadata, "data": {"product.md": BEFORE}}
        return Answer(200, json.dumps({"items": [found]}).encode())
    return Answer(422, json.dumps({"kind": "Status", "reason": "Invalid", "message": WORDS}).encode())


class Leading:
    """Stands where the Lease is held."""

    leading = True

    def check(self) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(answers) as made:
        yield made


@pytest.fixture
def target() -> Target:
    made = Target(("kiro-system", "platform"))
    made.take(body(1, {}, {"safetyPolicyRef": {"name": "p"}}))
    return made


def policies() -> Policies:
    made = Policies(NOTHING, Still(NOW), Metrics(), lambda _: None)
    metadata = {"name": "p", "namespace": "kiro-system", "uid": "u", "generation": 1, "resourceVersion": "1"}
    made.take({"metadata": metadata, "spec": enforce()})
    return made


async def test_what_the_api_server_takes_no_record_of_ends_no_reconciliation_and_is_remembered(
    server: Server, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    client = plain(server.url)
    act = Act(
        client=client,
        actuator=Actuator(client),
        elector=cast("Any", Leading()),
        policies=NOTHING,
        permits=NOTHING,
        store=NOTHING,
        events=NOTHING,
        metrics=Metrics(),
        clock=Still(NOW),
        commands={},
    )
    named = policies().get("kiro-system", "p")
    assert named is not None
    target.unfit = {(ActionName.EDIT_STEERING, Ref("ConfigMap", "lapsed")): (Change("{}", ""), NOW)}
    both = [new("kiro-steering"), new("kiro-more")]

    with caplog.at_level(logging.WARNING, acting.__name__):
        await act.propose(target, both, named)
    await client.close()

    assert [each.method for each in server.requests] == ["GET", "POST", "GET", "POST"]
    assert target.unfit == {
        (ActionName.EDIT_STEERING, item.intent.target): (item.intent.change, NOW + UNFIT_FOR) for item in both
    }
    assert len(caplog.records) == 2
    assert "EditSteering of kiro-steering not proposed: 422 Invalid: spec.change.patch" in caplog.text
    assert "jane.doe" not in caplog.text


class Failing:
    """Stands where it is acted: no proposal gets through."""

    untold: Mapping[str, tuple[str, str]] = {}

    async def withdraw(self, _namespace: str, _withdrawn: object) -> None:
        pass

    async def propose(self, *_: object) -> None:
        raise ports.Unreachable("cut")


class Stands:
    """Stands where samples are taken, actions followed, and statuses written."""

    def __getattr__(self, name: str) -> Any:
        async def write(*_: object) -> None:
            pass

        return write if name == "write" else lambda *_: None


class Planned(Loop):
    """Has one thing to propose, and looks at it again in a minute."""

    async def _attend(self, target: Target) -> Look:
        return replace(look(target, []), now=NOW)

    def _plan(self, look: Look) -> Plan:  # noqa: ARG002
        return Plan(proposals=(new("kiro-steering"),), next=NOW + timedelta(minutes=1))

    def _status(self, look: Look, plan: Plan) -> KiroHealthCheckStatus:  # noqa: ARG002
        return KiroHealthCheckStatus()

    def _waiting_for(self, target: Target) -> None:  # noqa: ARG002
        return None


@pytest.fixture
def loop() -> Planned:
    stands = cast("Any", Stands())
    return Planned(
        watches=cast("Any", Followed()),
        observation=stands,
        policies=policies(),
        approvals=NOTHING,
        act=cast("Any", Failing()),
        verify=stands,
        commands={},
        reporter=stands,
        sweep=NOTHING,
        elector=cast("Any", Leading()),
        metrics=Metrics(),
        clock=Still(NOW),
        sharded=False,
        sweep_interval=60.0,
    )


async def test_a_proposal_that_fails_loses_no_alarm(loop: Loop, target: Target) -> None:
    with pytest.raises(ports.Unreachable):
        await loop._reconcile(target)
    assert loop._alarms.waiting((HEALTH_CHECK, target.key))
    loop._alarms.cancel((HEALTH_CHECK, target.key))


def test_what_was_refused_is_known_to_the_plan_until_it_is_tried_again(
    loop: Loop, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[Inputs] = []

    def decide(inputs: Inputs) -> Plan:
        known.append(inputs)
        return Plan()

    monkeypatch.setattr(looping, "decide", decide)
    intent = new("kiro-steering").intent
    key = intent.action, intent.target
    assert intent.change is not None
    target.unfit = {key: (intent.change, NOW + UNFIT_FOR)}
    for now in (NOW, NOW + UNFIT_FOR):
        Loop._plan(loop, replace(look(target, []), now=now))
    assert [inputs.unfit for inputs in known] == [{key: intent.change}, {}]
