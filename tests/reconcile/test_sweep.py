"""Which records are deleted: the old ones that nothing needs, never one by which something is given back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kiro_operator.core.objects import Record
from kiro_operator.core.objects.meta import RecordMetadata
from kiro_operator.core.snapshot import absent
from kiro_operator.reconcile.records import Remediation
from kiro_operator.reconcile.sweep import KEPT_OF_EACH, RETENTION, Sweep, needless
from kiro_operator.reconcile.verify import Verify
from tests.reconcile.make import UID, Still, remediation

NOW = datetime(2026, 11, 27, tzinfo=UTC)
LONG_AGO = NOW - RETENTION - timedelta(days=1)


def record(
    step: int, state: str = "Succeeded", *, at: datetime = LONG_AGO, namespace: str = "", **spec: Any
) -> Remediation:
    at += timedelta(minutes=step)
    body = {
        "action": "DetailedLogging",
        "method": "Patch",
        "target": {"apiVersion": "v1", "kind": "ConfigMap", "name": "kiro-logging", "uid": UID},
        "change": {"patch": '{"data": {"level": "debug"}}', "diff": "level", "undo": '{"data": {}}'},
        "check": "mcp-response-quality",
        "reason": "ToolError",
        "step": step,
    }
    done = {"actedAt": at.isoformat(), "completedAt": at.isoformat()}
    status = {"state": state} | (done if state == "Succeeded" else {"completedAt": at.isoformat()})
    metadata = RecordMetadata(
        name=f"e1s{step}", namespace=namespace, uid=f"u-{step}{namespace}", creation_timestamp=at
    )
    return remediation(metadata, status, **(body | spec))


def tries(first: int, count: int = KEPT_OF_EACH, **more: Any) -> list[Remediation]:
    """What came to nothing, from a step on."""
    return [record(step, "Expired", method="GiveBack", **more) for step in range(first, first + count)]


def names(items: list[Remediation]) -> list[str]:
    return [item.name for item in needless(items, NOW)]


class Listing:
    """Stands where records are listed and deleted; every KiroHealthCheck is there."""

    def __init__(self, records: list[Record], **asker: str) -> None:
        self.records = records
        self.asker = {"name": "kiro", "uid": UID} | asker
        self.deleted: list[str] = []

    async def get(self, path: str, **_: str) -> bytes:
        if "kirohealthchecks" in path:
            return msgspec.json.encode({"metadata": self.asker})
        return msgspec.json.encode({"metadata": {}, "items": self.records})

    async def delete(self, path: str, _body: object) -> bytes:
        self.deleted.append(path)
        return b"{}"


class Ends:
    """Stands where actions are ended that nobody judges any more."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def end_orphan(self, _namespace: str, item: Remediation) -> None:
        self.ended.append(item.name)


@pytest.mark.parametrize(
    ("asker", "ended"),
    [({}, []), ({"uid": "another"}, ["e1s1"]), ({"deletionTimestamp": "2026-11-26T00:00:00Z"}, ["e1s1"])],
)
async def test_what_is_running_ends_with_who_asked_for_it(asker: dict[str, str], ended: list[str]) -> None:
    ends = Ends()
    listing = Listing([record(1, "Verifying").record], **asker)
    await Sweep(listing, ends, Still(NOW), selector="").records()  # type: ignore[arg-type]
    assert ends.ended == ended


async def swept(*items: Remediation) -> list[str]:
    """What a sweep deletes: namespace and name."""
    listing = Listing([item.record for item in items])
    await Sweep(listing, Verify(None), Still(NOW), selector="").records()  # type: ignore[arg-type]
    return ["/".join(path.split("/")[5::2]) for path in listing.deleted]


async def test_each_namespace_has_records_of_its_own() -> None:
    """What is missing has the same name and stand-in for a UID everywhere, and so have its records."""
    missing = absent("ConfigMap", "kiro-safety-config")
    target = {"apiVersion": "v1", "kind": missing.kind, "name": missing.name, "uid": missing.uid}
    made: dict[str, Any] = {"action": "RestoreSafetyConfig", "method": "Create", "target": target}
    old = [record(1, namespace=f"n{number}", **made) for number in range(KEPT_OF_EACH + 1)]
    new = record(1, at=NOW - timedelta(hours=1), namespace="today", **made)

    assert await swept(*old, new) == []


async def test_what_others_have_on_record_of_a_target_loses_nobody_what_is_to_be_given_back() -> None:
    theirs = [record(step, at=NOW, namespace="theirs") for step in range(2, 3 + KEPT_OF_EACH)]
    mine = record(1, namespace="mine")

    assert await swept(mine, *theirs) == []


async def test_what_is_swept() -> None:
    assert await swept(*tries(1, KEPT_OF_EACH + 1, namespace="mine")) == ["mine/e1s1"]


def test_what_is_not_given_back_yet_is_kept_however_old_it_is() -> None:
    assert names([record(1), *tries(2)]) == []
    assert names([record(1), *tries(2, KEPT_OF_EACH + 1)]) == ["e1s2"]


def test_what_was_given_back_goes() -> None:
    done = record(2, method="GiveBack")
    assert names([record(1), done, *tries(3)]) == ["e1s2", "e1s1"]


def test_the_newest_stay_and_so_does_what_is_not_old_or_has_not_ended() -> None:
    assert names(tries(1)) == []
    assert names([]) == []
    young = LONG_AGO + timedelta(days=2)
    assert names([*tries(1, 1, at=young), *tries(2, at=young)]) == []
    running = record(1, "Verifying", action="Contain")
    assert names([running, *tries(2)]) == []


WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": UID}


def scaled(step: int, method: str, before: int, after: int) -> Remediation:
    replicas = {"before": before, "after": after}
    return record(step, action="Scale", method=method, target=WEB, change=None, replicas=replicas)


def evicted(first: int, count: int = KEPT_OF_EACH) -> list[Remediation]:
    pod = {"apiVersion": "v1", "kind": "Pod", "name": "web-1", "uid": UID}
    return [
        record(step, action="Restart", method="Evict", target=WEB, change=None, pod=pod)
        for step in range(first, first + count)
    ]


def test_what_says_how_many_replicas_to_go_back_to_is_kept_until_they_are_there() -> None:
    up = [scaled(1, "ScaleUp", 2, 3), scaled(2, "ScaleUp", 3, 4)]
    assert names([*up, *evicted(3)]) == []
    assert names([*up, scaled(3, "ScaleBack", 4, 3), *evicted(4)]) == []
    back = [scaled(3, "ScaleBack", 4, 3), scaled(4, "ScaleBack", 3, 2)]
    assert names([*up, *back, *evicted(5)]) == ["e1s4", "e1s3", "e1s2", "e1s1"]


def test_every_containment_that_stands_is_kept() -> None:
    def contained(step: int, key: str) -> Remediation:
        return record(
            step, action="Contain", change={"patch": f'{{"data": {{"{key}": "off"}}}}', "diff": key}
        )

    assert names([contained(1, "operations"), contained(2, "mode"), *tries(3)]) == []
    assert names([contained(1, "mode"), contained(2, "mode"), *tries(3)]) == ["e1s1"]


def test_what_contains_is_kept_in_mind_though_nobody_knows_what_was_there_before() -> None:
    change = {"patch": '{"data": {"mode": "off"}}', "diff": "mode"}
    assert record(1, action="Contain", change=change).entry.change is not None
    assert record(1, action="RestoreSafetyConfig", change=change).entry.change is None
    assert names([record(1, action="Contain", change=change), *tries(2)]) == []


def test_the_last_that_was_refused_is_kept() -> None:
    def proposed(step: int, action: str, reason: str) -> Remediation:
        made = record(step, "Denied", action=action)
        made.status = made.status.model_copy(update={"reason": reason})
        return made

    first = [proposed(step, "EditSteering", "ApprovalDenied") for step in (1, 2)]
    assert names([*first, proposed(3, "EditSteering", "Paused"), *tries(4)]) == ["e1s3", "e1s1"]
    # What was refused of an illness is over with it.
    assert names([proposed(1, "DetailedLogging", "ApprovalDenied"), *tries(2)]) == ["e1s1"]
