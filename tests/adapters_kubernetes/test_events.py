"""Events: posted in the background, repeated as a series, never in the way."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from devcluster import ControlPlane
from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.events import PENDING, EventRecorder
from kiro_operator.core.report import EventReason, Occurrence
from kiro_operator.core.snapshot import Ref
from tests.adapters_kubernetes.conftest import FakeClock

UID = str(uuid.uuid4())


def occurrence(namespace: str, note: str = "pods-ready: a pod crashes", **changes: Any) -> Occurrence:
    fields: dict[str, Any] = {
        "namespace": namespace,
        "regarding": Ref("KiroHealthCheck", "kiro", UID),
        "api_version": "kiro.dev/v1alpha1",
        "reason": EventReason.CHECK_FAILED,
        "action": "Judge",
        "note": note,
        "warning": True,
    }
    return Occurrence(**(fields | changes))


def posted(plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    items: list[dict[str, Any]] = plane.rest.get(path)["items"]
    return items


async def test_repetitions_are_one_event_whose_series_is_told_now_and_then(
    client: Client, control_plane: ControlPlane, namespace: str, clock: FakeClock
) -> None:
    recorder = EventRecorder(client, clock, "instance")
    for seconds in (0, 1, 1, 60, 1):
        clock.pass_by(seconds)
        recorder.record(occurrence(namespace))
        await recorder.drain()

    (event,) = posted(control_plane, namespace)
    assert event["series"]["count"] == 4  # told at the fourth; the fifth is only counted
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "CheckFailed", "Judge")
    assert event["regarding"]["uid"] == UID
    assert event["reportingController"] == "kiro.dev/kiro-operator"

    clock.pass_by(360)
    recorder.record(occurrence(namespace))
    await recorder.drain()
    assert len(posted(control_plane, namespace)) == 2  # a series has an end


async def test_another_reason_or_note_is_another_event(
    client: Client, control_plane: ControlPlane, namespace: str, clock: FakeClock
) -> None:
    recorder = EventRecorder(client, clock, "instance")
    recorder.record(occurrence(namespace))
    recorder.record(occurrence(namespace, "another note"))
    recorder.record(occurrence(namespace, reason=EventReason.CHECK_RECOVERED, warning=False))
    await recorder.drain()
    assert len(posted(control_plane, namespace)) == 3


async def test_an_event_that_was_deleted_is_made_anew(
    client: Client, control_plane: ControlPlane, namespace: str, clock: FakeClock
) -> None:
    recorder = EventRecorder(client, clock, "instance")
    recorder.record(occurrence(namespace))
    await recorder.drain()
    (event,) = posted(control_plane, namespace)
    control_plane.rest.delete(
        f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/{event['metadata']['name']}"
    )
    for _ in range(2):
        clock.pass_by(61)
        recorder.record(occurrence(namespace))
        await recorder.drain()
    assert len(posted(control_plane, namespace)) == 1


@pytest.mark.parametrize("note", ["n" * 5000, "ü" * 1024, ""])
async def test_long_notes_and_names_are_cut_to_what_the_api_takes(
    client: Client, control_plane: ControlPlane, namespace: str, clock: FakeClock, note: str
) -> None:
    recorder = EventRecorder(client, clock, "i" * 500)
    recorder.record(occurrence(namespace, note, regarding=Ref("KiroHealthCheck", "k" * 253, UID)))
    await recorder.drain()
    assert len(posted(control_plane, namespace)) == 1


class Broken:
    """Every request fails."""

    def __init__(self) -> None:
        self.tried = 0

    async def create(self, *_: Any) -> bytes:
        self.tried += 1
        raise ports.Unreachable("no answer")


async def test_failures_do_not_end_it_and_too_many_are_counted(clock: FakeClock) -> None:
    broken = Broken()
    recorder = EventRecorder(broken, clock, "instance")  # type: ignore[arg-type]
    for number in range(PENDING + 7):
        recorder.record(occurrence("n", str(number)))
    assert recorder.dropped == 7

    task = asyncio.create_task(recorder.run())
    async with asyncio.timeout(20):
        while broken.tried < PENDING:  # noqa: ASYNC110 - a bounded wait for a condition
            await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_event_tells_no_credential(
    client: Client, control_plane: ControlPlane, namespace: str, clock: FakeClock
) -> None:
    recorder = EventRecorder(client, clock, "instance")
    recorder.record(occurrence(namespace, "dial redis://:hunter2hunter2@cache: refused"))
    await recorder.drain()
    assert [event["note"] for event in posted(control_plane, namespace)] == [
        "dial redis://[redacted]@cache: refused"
    ]
