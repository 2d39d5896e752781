"""Records that make no sense are told of by name: nobody acts on them, and nothing breaks on them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kiro_operator.core.objects.meta import RecordMetadata
from kiro_operator.reconcile.records import Records
from tests.reconcile.make import UID, remediation

NOW = datetime(2026, 11, 27, tzinfo=UTC)
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "name": "kiro-safety-config", "uid": UID}
API = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": UID}
SET = {"patch": '{"data": {"operations": "suspended"}}', "diff": "operations"}


def change(action: str, **changes: Any) -> dict[str, Any]:
    return {"action": action, "method": "Patch", "target": CONFIG, "change": SET} | changes


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (change("Contain"), ""),
        (change("RestoreSteering", change=SET | {"undo": '{"data": null}'}), ""),
        ({"action": "Restart", "method": "RolloutRestart", "target": API}, ""),
        (
            {"action": "Restart", "method": "RolloutRestart", "target": API | {"kind": "Job"}},
            "no RolloutRestart of a Job",
        ),
        (change("RestoreSteering", target=CONFIG | {"kind": "Secret"}), "no change of a Secret"),
        (change("RestoreSteering", change=SET | {"patch": "oops"}), "Expecting value"),
        (change("RestoreSteering", change=SET | {"patch": "[]"}), "a patch is a JSON object"),
        (change("RestoreSteering", change=SET | {"undo": "[]"}), "a patch is a JSON object"),
        (change("Contain", change=SET | {"patch": "{}"}), "a key in data"),
        (change("DetailedLogging", change=SET | {"patch": '{"data": "x"}'}), "a key in data"),
    ],
)
def test_what_nobody_can_make_anything_of(
    spec: dict[str, Any], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = RecordMetadata(name="e1s1", uid="r", resource_version="1", creation_timestamp=NOW)
    sound = remediation(metadata, {}, action="Restart", method="RolloutRestart", target=API)
    record = type(sound.record)(metadata=metadata, spec=sound.record.spec | spec, status={})
    found, unreadable = Records().read([record])
    assert (len(found), unreadable) == ((0, ["e1s1"]) if problem else (1, []))
    assert problem in caplog.text
