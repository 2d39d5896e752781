"""Which decision of a person counts, for which plan, and how long."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.decide import Plan, Policy, decide
from kiro_operator.core.objects import (
    Annotations,
    Approval,
    ApprovalSpec,
    DaemonSet,
    Metadata,
    PlanReference,
    PlanTarget,
    StatefulSet,
    Workload,
    WorkloadStatus,
)
from kiro_operator.core.policy.approvals import OnlyDenials, sealed
from kiro_operator.core.policy.types import Allow, Deny, Entry, Intent
from kiro_operator.core.policy.wellness import Memory, Need, still_needed
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.core.verdict import Status, Verdict
from tests.core.policy.asking import EVICT, OPEN, ROLL, UP, ask, person, told, waits
from tests.core.policy.make import (
    NOW,
    SPEC,
    ago,
    entry,
    failing,
    finding,
    inputs,
    intent,
    platform,
    policy,
    ref,
    situation,
    snapshot,
    spec,
    well,
    workload,
)

BUDGET = {"limit": 5, "window": "1h"}
MANUAL: list[Any] = [
    {"name": "Restart", "approval": "Manual", "budget": BUDGET},
    {"name": "Scale", "approval": "Manual", "budget": BUDGET},
]
LEADS = [{"kind": "Group", "name": "leads"}]
HOUR, QUIET = timedelta(hours=1), timedelta(minutes=10)
PLAN = sealed(intent(), workload(), ago(minutes=3))


def approval(
    decision: str = "Approve",
    *,
    gate: str = "operator-approver",
    name: str = "yes",
    created: datetime | None = None,
    lasts: timedelta | None = HOUR,
    expires: str | None = None,
    digest: str = "",
    uid: str = "uid-api",
    deleted: datetime | None = None,
) -> Approval:
    """What somebody decided a minute ago on the plan of these tests, for an hour."""
    made = created or ago(minutes=1)
    end = (made + (lasts or HOUR)).isoformat()
    return Approval(
        metadata=Metadata(
            name=name,
            namespace="kiro",
            uid=f"uid-{name}",
            creation_timestamp=made,
            deletion_timestamp=deleted,
        ),
        spec=ApprovalSpec(
            gate=gate,
            decision=decision,
            decided_by="dana",
            reason="it is safe",
            plan=PlanReference(digest or PLAN.digest, PlanTarget("Deployment", "api", uid)),
            expires_at=end if expires is None else expires,
        ),
    )


def judge(
    *approvals: Approval,
    wanted: Intent = PLAN,
    entries: tuple[Entry, ...] = (),
    now: datetime = NOW,
    seen: Unobserved | None = None,
    **changes: Any,
) -> Allow | Deny:
    """What the gate says under a Manual policy."""
    facts = situation(wanted, namespace="kiro", approvals=seen or approvals)
    return ask("approval", wanted, facts, entries, now, **({"actions": MANUAL} | changes))


USED = replace(entry(step=9), approvals=("uid-yes",))
LATER = entry(step=9, at=NOW + 2 * HOUR, ended=NOW + 2 * HOUR)


@pytest.mark.parametrize(
    ("approvals", "options", "expected"),
    [
        ((), {}, person("ApprovalRequired")),
        ((approval(),), {}, OPEN),
        ((approval("Deny"),), {}, waits("ApprovalDenied")),
        # A denial is final, whichever came first, and does not expire.
        ((approval("Deny", name="a"), approval(name="b")), {}, waits("ApprovalDenied")),
        ((approval(name="a"), approval("Deny", name="b", created=ago(days=9))), {}, waits("ApprovalDenied")),
        ((approval("Deny", uid="another"),), {}, waits("ApprovalDenied")),
        # What is neither is no approval.
        ((approval("approve"),), {}, waits("ApprovalDenied")),
        ((approval(""),), {}, waits("ApprovalDenied")),
        # Of another plan, target or gate.
        ((approval(digest="0" * 64),), {}, person("ApprovalRequired")),
        ((approval("Deny", digest="0" * 64),), {}, person("ApprovalRequired")),
        ((approval(uid="uid-of-its-successor"),), {}, person("ApprovalRequired")),
        ((approval(gate="executive"),), {}, person("ApprovalRequired")),
        # Of another gate, which the policy may have listed when it was made, a denial is final all the same.
        ((approval("Deny", gate="executive"), approval()), {}, waits("ApprovalDenied")),
        # Until it expires, at most a day after it was made.
        ((approval(lasts=timedelta(minutes=1)),), {}, person("ApprovalRequired")),
        ((approval(lasts=timedelta(minutes=1, seconds=1)),), {}, OPEN),
        ((approval(lasts=timedelta(hours=24)),), {}, OPEN),
        ((approval(lasts=timedelta(hours=24, seconds=1)),), {}, person("ApprovalRequired")),
        ((approval(expires="2026-06-10T13:00:00"),), {}, person("ApprovalRequired")),
        ((approval(expires="tomorrow"),), {}, person("ApprovalRequired")),
        ((approval(expires="0001-01-01T00:00:00+23:59"),), {}, person("ApprovalRequired")),
        ((approval(expires=""),), {}, person("ApprovalRequired")),
        # An expired one does not stand in the way of one that is not.
        ((approval(name="a", lasts=timedelta(seconds=1)), approval(name="b")), {}, OPEN),
        # A clock that was set back brings nothing back to life.
        ((approval(),), {"now": ago(hours=2)}, OPEN),
        ((approval(), approval(name="z", created=NOW + 2 * HOUR)), {"now": ago(hours=2)}, OPEN),
        ((approval(),), {"entries": (LATER,)}, person("ApprovalRequired")),
        # Whoever deletes one takes it back, also where a finalizer keeps it; a denial lasts until it is gone.
        ((approval(deleted=NOW),), {}, person("ApprovalRequired")),
        ((approval(name="a", deleted=NOW), approval(name="b")), {}, OPEN),
        ((approval("Deny", deleted=NOW),), {}, waits("ApprovalDenied")),
        # Once.
        ((approval(),), {"entries": (USED,)}, person("ApprovalRequired")),
        ((approval(), approval(name="again")), {"entries": (USED,)}, OPEN),
        # A plan that nobody can name is one that nobody can approve.
        ((approval(digest=" "),), {"wanted": intent()}, person("ApprovalRequired")),
    ],
)
def test_approval_of_which_plan_counts(approvals: tuple[Approval, ...], options: Any, expected: Any) -> None:
    assert told(judge(*approvals, **options)) == expected


def test_an_automatic_action_asks_nobody() -> None:
    automatic = SPEC["actions"]
    assert told(judge(seen=Unobserved("ApprovalUnprotected", "m"), actions=automatic)) == OPEN
    assert told(judge(approval("Deny", digest="0" * 64), actions=automatic)) == OPEN
    # What was denied while somebody was asked stays denied.
    assert told(judge(approval("Deny"), actions=automatic)) == waits("ApprovalDenied")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("ApprovalUnprotected", "ApprovalUnprotected"), ("StaleWatch", "EvidenceMissing"), ("Forbidden",) * 2],
)
def test_what_cannot_be_seen_or_trusted_approves_nothing(reason: str, expected: str) -> None:
    answer = judge(seen=Unobserved(reason, "do this"))
    assert told(answer) == person("EvidenceMissing" if expected == "Forbidden" else expected)
    assert "do this" in answer.message


AUTOMATIC: list[Any] = SPEC["actions"]
ASKED = replace(PLAN, asked=True)
GUARD, STALE = "ApprovalUnprotected", "StaleWatch"


def only(reason: str, *denials: Approval) -> OnlyDenials:
    return OnlyDenials(reason, "do this", denials)


@pytest.mark.parametrize(
    ("seen", "wanted", "actions", "expected"),
    [
        # A denial that is known counts whoever made it, and though others may not be seen.
        (only(GUARD, approval("Deny")), PLAN, MANUAL, waits("ApprovalDenied")),
        (only(GUARD, approval("Deny")), ASKED, AUTOMATIC, waits("ApprovalDenied")),
        (only(STALE, approval("Deny")), ASKED, AUTOMATIC, waits("ApprovalDenied")),
        (only(GUARD, approval("Deny", digest="0" * 64)), PLAN, MANUAL, person(GUARD)),
        (only(GUARD, approval("Deny", digest="0" * 64)), ASKED, AUTOMATIC, OPEN),
        # Where nobody stands guard denials are seen all the same: there is none.
        (only(GUARD), ASKED, AUTOMATIC, OPEN),
        # What a person was asked about may have been denied, what nobody was asked about may not.
        (only(STALE), ASKED, AUTOMATIC, person("EvidenceMissing")),
        (only("Forbidden"), ASKED, AUTOMATIC, person("EvidenceMissing")),
        (only("Unreachable"), ASKED, AUTOMATIC, person("EvidenceMissing")),
        (only(STALE), PLAN, AUTOMATIC, OPEN),
        (only("Forbidden"), PLAN, AUTOMATIC, OPEN),
        (only("Unreachable"), PLAN, AUTOMATIC, OPEN),
        ((), ASKED, AUTOMATIC, OPEN),
        ((approval(digest="0" * 64),), ASKED, AUTOMATIC, OPEN),
        # It changes nothing where somebody is asked.
        (only(STALE), ASKED, MANUAL, person("EvidenceMissing")),
        (only(GUARD), ASKED, MANUAL, person(GUARD)),
        ((), ASKED, MANUAL, person("ApprovalRequired")),
    ],
)
def test_a_denial_that_may_be_there_stops_what_was_asked_about(
    seen: Any, wanted: Intent, actions: Any, expected: Any
) -> None:
    answer = ask("approval", wanted, situation(wanted, approvals=seen), actions=actions)
    assert told(answer) == expected
    if expected == person("EvidenceMissing"):
        assert "do this" in answer.message


ADVICE = sealed(replace(intent(), method=Method.ADVISE), workload(), ago(minutes=3))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((), waits("AppliedByPerson")),
        ((approval(digest=ADVICE.digest),), waits("AppliedByPerson")),
        ((approval("Deny"),), waits("AppliedByPerson")),
        ((approval("Deny", digest=ADVICE.digest),), waits("ApprovalDenied")),
        ((approval("Deny", digest=ADVICE.digest), approval(digest=ADVICE.digest)), waits("ApprovalDenied")),
        (only(GUARD, approval("Deny", digest=ADVICE.digest)), waits("ApprovalDenied")),
        (only(STALE), waits("AppliedByPerson")),
    ],
)
def test_what_a_person_applies_is_denied_and_never_approved(seen: Any, expected: Any) -> None:
    for actions in (MANUAL, AUTOMATIC):
        assert told(ask("approval", ADVICE, situation(ADVICE, approvals=seen), actions=actions)) == expected


GATES = [
    {"name": "technical-lead", "actions": ["restart"], "approvers": LEADS},
    {"name": "executive", "actions": ["Restart", "drain"], "approvers": LEADS},
    {"name": "scaling", "actions": ["scale"], "approvers": LEADS},
]


def test_each_gate_that_lists_the_action_is_to_be_passed() -> None:
    lead, boss = approval(gate="technical-lead", name="lead"), approval(gate="executive", name="boss")
    assert told(judge(lead, boss, approvalGates=GATES)) == OPEN
    for one in (lead, boss):
        assert told(judge(one, approvalGates=GATES)) == person("ApprovalRequired")
    # Where gates list it, the default is none of them.
    assert told(judge(approval(), approvalGates=GATES)) == person("ApprovalRequired")
    assert told(judge(approval(), approvalGates=GATES[2:])) == OPEN
    denied = approval("Deny", gate="executive", name="boss")
    assert told(judge(lead, denied, approvalGates=GATES)) == waits("ApprovalDenied")


def test_the_denial_tells_what_to_write() -> None:
    message = judge(approvalGates=GATES[:1]).message
    for word in ("Evict of Deployment api: Pod api-0", "gate technical-lead", PLAN.digest, "namespace: kiro"):
        assert word in message
    assert "kubectl create -f -" in message
    expired = judge(approval(lasts=timedelta(seconds=1))).message
    assert "KiroApproval yes expired at 2026-06-10T11:59:01Z" in expired


def test_a_command_that_does_not_fit_is_left_out() -> None:
    target = ref("a" * 253)
    wanted = sealed(intent(target=target), workload(target.name), NOW)
    message = judge(wanted=wanted).message
    assert len(message) <= 1024
    assert "kubectl" not in message
    assert wanted.digest in message


def test_who_denied_it_is_told_and_nobody_is_called() -> None:
    answer = judge(approval("Deny"))
    assert "by dana (KiroApproval yes): it is safe" in answer.message


def test_what_an_approver_wrote_is_told_without_credentials() -> None:
    wrote = approval("Deny")
    spec = replace(wrote.spec, reason="seen with password=hunter2hunter2", decided_by="token=hunter2hunter2")
    answer = judge(replace(wrote, spec=spec))
    assert "seen with password=" in answer.message
    assert "hunter2" not in answer.message


def revised(kind: type[Workload], revision: str) -> Workload:
    made = workload(kind=kind)
    if kind is StatefulSet:
        return replace(made, status=WorkloadStatus(update_revision=revision))
    if kind is DaemonSet:
        return replace(made, metadata=replace(made.metadata, generation=len(revision)))
    return replace(made, metadata=replace(made.metadata, annotations=Annotations(revision=revision)))


CHANGES: dict[str, Callable[[Intent], Intent]] = {
    "target": lambda it: replace(it, target=replace(it.target, uid="another")),
    "name": lambda it: replace(it, target=replace(it.target, name="another")),
    "kind": lambda it: replace(it, target=replace(it.target, kind="StatefulSet")),
    "pod": lambda it: replace(it, pod=replace(ref("api-0", "Pod"), uid="another")),
    "method": lambda it: replace(it, method=ROLL),
    "replicas": lambda it: replace(it, replicas=(4, 6)),
    "replicas before": lambda it: replace(it, replicas=(3, 5)),
    "check": lambda it: replace(it, check="workloads-available"),
    "reason": lambda it: replace(it, reason="OOMKilled"),
    "episode": lambda it: replace(it, episode=2),
    "step": lambda it: replace(it, step=2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_person_would_want_to_know_makes_another_plan(change: Callable[[Intent], Intent]) -> None:
    wanted = intent(UP if change is CHANGES["replicas"] else EVICT)
    before = sealed(wanted, workload(), NOW)
    after = sealed(change(wanted), workload(), NOW)
    assert len(before.digest) == 64
    assert before.digest != after.digest
    assert told(judge(approval(digest=before.digest), wanted=after)) == person("ApprovalRequired")


def test_another_illness_and_another_template_make_another_plan() -> None:
    assert sealed(intent(), workload(), ago(minutes=1)).digest != sealed(intent(), workload(), NOW).digest
    for kind in (type(workload()), StatefulSet, DaemonSet):
        digests = {sealed(intent(), revised(kind, revision), NOW).digest for revision in ("1", "22")}
        assert len(digests) == 2


def test_what_changes_all_the_time_does_not() -> None:
    wanted = intent()
    fence = replace(wanted.fence, resource_version="999", generation=9)
    later = replace(wanted, fence=fence, message="5 restarts", timeout=HOUR, stabilization=HOUR)
    scaled = workload(replicas=9, generation=8)
    assert sealed(later, scaled, NOW).digest == sealed(wanted, workload(), NOW).digest
    # A second look at one that has its digest gives the same.
    again = sealed(sealed(wanted, workload(), NOW), workload(), NOW)
    assert again.digest == sealed(wanted, workload(), NOW).digest


UNKNOWN = {"pods-ready": (Verdict(Status.UNKNOWN, "StaleWatch", "m"), False)}
UNSETTLED = {"pods-ready": (failing(finding())["pods-ready"][0], False)}


def look(
    verdicts: Any,
    now: datetime,
    memory: Memory | None = None,
    approvals: tuple[Approval, ...] | Unobserved = (),
    actions: Any = MANUAL,
) -> Plan:
    made, pods = platform()
    policies = (Policy("safe", policy(actions=actions)),)
    given = inputs(
        verdicts, snapshot([made], pods), policies=policies, now=now, memory=memory, health_check=spec()
    )
    return decide(replace(given, approvals=approvals))


def digest(plan: Plan) -> str:
    (decision,) = plan.decisions
    return decision.intent.digest


def test_a_plan_stays_the_same_while_the_illness_lasts() -> None:
    first = look(failing(finding()), NOW)
    memory = first.memory
    # It crashes anew and so dates its fault anew; it is out of sight; it is well for a while.
    dated_anew = failing(finding(since=NOW))
    for number, verdicts in enumerate([dated_anew, UNKNOWN, UNSETTLED, well(), dated_anew], 1):
        plan = look(verdicts, NOW + number * timedelta(minutes=4), memory)
        memory = plan.memory
    assert digest(plan) == digest(first)


@pytest.mark.parametrize(
    ("between", "same"),
    [
        ([(0, well()), (4, well()), (8, well())], True),
        ([(0, well()), (5, well()), (10, well())], False),
        # What cannot be seen is no health.
        ([(0, UNKNOWN), (30, UNKNOWN)], True),
        ([(0, well()), (5, UNKNOWN), (11, well())], True),
        # While nobody looks, as during a suspension, nobody recovers.
        ([(0, well()), (10, well())], True),
        ([(0, well()), (60, well()), (64, well())], True),
        # What nobody looks at any more asks for nothing.
        ([(0, {}), (5, {}), (10, {})], False),
    ],
)
def test_a_decision_on_one_illness_says_nothing_about_the_next(between: Any, same: bool) -> None:  # noqa: FBT001
    first = look(failing(finding()), NOW)
    memory = first.memory
    for minute, verdicts in between:
        memory = look(verdicts, NOW + timedelta(minutes=1 + minute), memory).memory
    later = NOW + timedelta(minutes=2 + between[-1][0])
    given = approval(digest=digest(first), created=NOW, lasts=timedelta(hours=24))
    plan = look(failing(finding()), later, memory, (given,))
    assert (digest(plan) == digest(first)) is same
    assert [item.decision for item in plan.decisions] == (["Allowed"] if same else ["Denied"])


def test_that_somebody_was_asked_is_remembered_while_the_illness_lasts() -> None:
    blind = only(STALE)

    def reasons(memory: Memory | None, minutes: int) -> list[str]:
        later = NOW + timedelta(minutes=minutes)
        plan = look(failing(finding()), later, memory, blind, AUTOMATIC)
        return [item.reason for item in plan.decisions]

    assert reasons(look(failing(finding()), NOW, actions=AUTOMATIC).memory, 1) == ["Allowed"]
    # Nobody is asked where no answer would help.
    assert reasons(look(failing(finding()), NOW, actions=MANUAL[1:]).memory, 1) == ["Allowed"]
    memory = look(failing(finding()), NOW).memory
    for minute, verdicts in enumerate([well(), UNKNOWN, failing(finding())], 1):
        memory = look(verdicts, NOW + timedelta(minutes=minute), memory, actions=AUTOMATIC).memory
    assert reasons(memory, 4) == ["EvidenceMissing"]
    for minute in (5, 10, 15):
        memory = look(well(), NOW + timedelta(minutes=minute), memory).memory
    assert reasons(memory, 16) == ["Allowed"]


def test_the_need_of_a_target_ends_after_a_quiet_period() -> None:
    need = Need(NOW, "pods-ready", asked=True)
    quiet = still_needed(need, None, seen=True, quiet=QUIET, now=NOW + HOUR)
    assert quiet == Need(NOW, "pods-ready", NOW + HOUR, asked=True)
    # A clock that was set back does not shorten it.
    assert still_needed(quiet, None, seen=True, quiet=QUIET, now=NOW) == replace(need, over_since=NOW)
    assert still_needed(quiet, None, seen=True, quiet=QUIET, now=NOW + HOUR + QUIET) is None
    assert still_needed(quiet, None, seen=False, quiet=QUIET, now=NOW + HOUR) == need
    again = still_needed(quiet, "other", seen=True, quiet=QUIET, now=NOW + HOUR)
    assert again == replace(need, check="other")
    assert still_needed(None, None, seen=False, quiet=QUIET, now=NOW) is None


def test_all_policies_have_their_gates_passed() -> None:
    made, pods = platform()
    facts = snapshot([made], pods)
    two = (
        Policy("a", policy(actions=MANUAL)),
        Policy("b", policy(actions=MANUAL, approvalGates=GATES[:1])),
    )
    given = inputs(failing(finding()), facts, policies=two)
    plan = decide(given)
    own = approval(digest=digest(plan), name="own")
    lead = approval(digest=digest(plan), name="lead", gate="technical-lead")
    half = decide(replace(given, approvals=(own,)))
    assert [(item.decision, item.reason) for item in half.decisions] == [("Denied", "ApprovalRequired")]
    both = decide(replace(given, approvals=(own, lead)))
    assert [item.decision for item in both.decisions] == ["Allowed"]
    assert [(each.gate, each.state) for each in both.decisions[0].standings] == [
        ("operator-approver", "Approved"),
        ("technical-lead", "Approved"),
    ]


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"mode": "Observe"}, "mode"),
        ({"actions": MANUAL[1:]}, "allowed-actions"),
        ({"pauseRequests": ["maintenance"]}, "pause-requests"),
        ({"protected": {"selectors": [{}]}}, "protected"),
        ({"maxUnhealthy": "1%"}, "blast-radius"),
        ({"budget": {"limit": 0, "window": "1h"}}, "budget"),
    ],
)
def test_an_approval_opens_no_other_gate(changes: dict[str, Any], gate: str) -> None:
    made, pods = platform()
    facts = snapshot([made], pods)
    given = inputs(failing(finding()), facts, policies=(Policy("a", policy(actions=MANUAL)),))
    approved = replace(given, approvals=(approval(digest=digest(decide(given))),))
    assert [item.decision for item in decide(approved).decisions] == ["Allowed"]
    narrower = (Policy("a", policy(**({"actions": MANUAL} | changes))),)
    [decision] = decide(replace(approved, policies=narrower)).decisions
    assert (decision.decision, decision.gate) == ("Denied", gate)


def test_a_scale_back_is_a_plan_of_its_own() -> None:
    assert (
        sealed(intent(Method.SCALE_BACK), workload(), NOW).digest
        != sealed(intent(UP), workload(), NOW).digest
    )
