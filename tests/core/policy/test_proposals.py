"""Proposals: made once, kept while they hold, withdrawn when they do not, and in nobody's way."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace
from pydantic import BaseModel

from kiro_operator.api.v1alpha1.evidence.records import RecordsEvidence
from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS, ActionName, CheckSettings
from kiro_operator.api.v1alpha1.remediation import (
    KiroRemediationSpec,
    KiroRemediationStatus,
    Method,
    RemediationState,
)
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.amended import exact, objection
from kiro_operator.core.checks import registry
from kiro_operator.core.checks.signal_quality import threshold_fit
from kiro_operator.core.checks.signal_quality.threshold_fit import Threshold, ThresholdFitParameters
from kiro_operator.core.decide import Plan, Policy, decide
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.evidence.series import SERIES, Answer, Series
from kiro_operator.core.evidence.steering import STEERING, Document, Holder, Steering
from kiro_operator.core.objects import (
    Annotations,
    Approval,
    AutoscalerSpec,
    HorizontalPodAutoscaler,
    Metadata,
    ScaleTargetRef,
)
from kiro_operator.core.objects.approvals import ApprovalSpec, PlanReference, PlanTarget
from kiro_operator.core.patches import merged, much_the_same, stands, undoing
from kiro_operator.core.policy.approvals import change
from kiro_operator.core.policy.plan import Past
from kiro_operator.core.policy.situation import census, situate
from kiro_operator.core.policy.types import Intent, Ledger
from kiro_operator.core.promql import PART
from kiro_operator.core.proposals import AGAIN, HOLD, LIFETIME, MOST, UNFIT
from kiro_operator.core.quantity import mebibytes, millicores
from kiro_operator.core.records import parse
from kiro_operator.core.remedies import proposers
from kiro_operator.core.remedies.types import Draft, Refusal
from kiro_operator.core.snapshot import Marks, Own, Ref, Sample, Snapshot
from kiro_operator.core.steering.fixes import mended
from kiro_operator.core.steering.syntax import passes
from kiro_operator.core.verdict import Amendment, Finding, Status, Verdict, passed
from kiro_operator.core.verify import Act, AlreadyDone, Expire, Live, Wait, in_force, resume
from tests.core.policy.make import (
    BLIND,
    LARGE,
    NOW,
    ago,
    autoscaler,
    entry,
    failing,
    finding,
    inputs,
    platform,
    policy,
    ref,
    snapshot,
    well,
    workload,
)

CHECK = "over-provisioned"
BUDGET = {"limit": 5, "window": "1h"}
VALUES = (("api/cpu", "50m"), ("api/memory", "110Mi"))


def lenient(**changes: Any) -> KiroSafetyPolicySpec:
    actions = [{"name": action.value, "approval": "Manual", "budget": BUDGET} for action in sorted(PROPOSALS)]
    actions.append({"name": "Restart", "approval": "Automatic", "budget": BUDGET})
    return policy(**({"actions": actions, "scale": None} | changes))


def wasteful(
    *names: str, values: tuple[tuple[str, str], ...] = VALUES, actionable: bool = True
) -> dict[str, tuple[Verdict, bool]]:
    findings = tuple(
        Finding(
            ref(name),
            "OverProvisioned",
            f"Deployment {name} wastes",
            ago(minutes=3),
            amendment=Amendment(ActionName.RIGHT_SIZE, ref(name), values),
        )
        for name in names or ("api",)
    )
    return {CHECK: (Verdict(Status.FAIL, "OverProvisioned", "waste", findings), actionable)}


def live(name: str = "api", **metadata: Any) -> dict[str, Any]:
    """The Deployment of ``platform()`` as the API server gives it."""
    container = {"name": name, "image": "api:1", "resources": {"requests": {"cpu": "2", "memory": "2Gi"}}}
    side = {"name": "side", "image": "side:1"}
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "100", "generation": 3}
        | metadata,
        "spec": {"replicas": 4, "template": {"spec": {"containers": [side, container]}}},
        "status": {"observedGeneration": 3},
    }


def facts(**changes: Any) -> Snapshot:
    made, pods = platform(failing=0)
    return snapshot([made], pods, **changes)


def plan(
    verdicts: dict[str, tuple[Verdict, bool]],
    *past: Past,
    policies: tuple[KiroSafetyPolicySpec, ...] = (),
    seen: Snapshot | None = None,
    entries: tuple[Any, ...] = (),
    **changes: Any,
) -> Plan:
    given = inputs(
        verdicts,
        seen or facts(),
        entries,
        policies=tuple(Policy(f"p{n}", spec) for n, spec in enumerate(policies or (lenient(),))),
    )
    return decide(replace(given, proposals=past, **changes))


def proposed(**changes: Any) -> Past:
    """The proposal that a first plan makes, on record."""
    [new] = plan(wasteful()).proposals
    intent = exact(new.intent, live(), new.workload, NOW)
    assert intent is not None
    fields: dict[str, Any] = {"state": RemediationState.PROPOSED, "open": True, "mine": True}
    made: dict[str, Any] = {"intent": intent, "name": intent.name, "made_at": NOW - timedelta(hours=1)}
    return Past(**(made | fields | changes))


def approved(past: Past) -> Approval:
    """A KiroApproval of this very plan."""
    target = past.intent.target
    return Approval(
        metadata=Metadata(name="yes", namespace="kiro", uid="a1", creation_timestamp=ago(minutes=10)),
        spec=ApprovalSpec(
            gate="operator-approver",
            decision="Approve",
            decided_by="dana@example.com",
            reason="waste",
            plan=PlanReference(past.intent.digest, PlanTarget(target.kind, target.name, target.uid)),
            expires_at=(NOW + timedelta(hours=1)).isoformat(),
        ),
    )


def ended(state: RemediationState, reason: str, at: timedelta, **changes: Any) -> Past:
    return proposed(state=state, open=False, reason=reason, ended_at=NOW - at, **changes)


def test_the_patch_touches_the_requests_named_and_its_undo_takes_it_back() -> None:
    intent = proposed().intent
    assert intent.change is not None
    before = live()
    patch, undo = json.loads(intent.change.patch), json.loads(intent.change.undo)
    after = merged(before, patch, strategic=True)
    side, main = after["spec"]["template"]["spec"]["containers"]
    assert side == {"name": "side", "image": "side:1"}
    assert main == {
        "name": "api",
        "image": "api:1",
        "resources": {"requests": {"cpu": "50m", "memory": "110Mi"}},
    }
    assert merged(after, undo, strategic=True) == before
    assert "requests.cpu: 2 → 50m" in intent.change.diff
    assert (intent.method, intent.fence.uid, intent.fence.resource_version) == (
        Method.PATCH,
        "uid-api",
        "100",
    )


def test_containers_stay_in_their_order() -> None:
    """The API server takes over the one in which a strategic merge patch names them."""
    found = live()
    found["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}}
    wanted = wasteful(values=(*VALUES, ("side/cpu", "20m")))
    seen = snapshot([workload(containers={"side": {"cpu": "2"}, "api": LARGE})])
    [new] = plan(wanted, seen=seen).proposals
    intent = exact(new.intent, found, new.workload, NOW)
    assert intent is not None
    assert intent.change is not None
    for text in (intent.change.patch, intent.change.undo):
        named = json.loads(text)["spec"]["template"]["spec"]["containers"]
        assert [item["name"] for item in named] == ["side", "api"]
    # It is no other change for that.
    assert not plan(wanted, proposed(intent=intent, name=intent.name), seen=seen).withdrawn


@pytest.mark.parametrize(
    ("containers", "refused"),
    [
        # A sidecar that a webhook puts into pods is not in the template.
        ({"api": LARGE}, None),
        # Nor is a request that a LimitRange adds to them.
        ({"api": {}, "istio-proxy": {}}, "NotInTemplate"),
        ({}, "NotInTemplate"),
        # The template was lowered since, and those pods are still there.
        ({"api": {"cpu": "20m", "memory": "64Mi"}}, "Healed"),
        ({"api": {"cpu": "50m", "memory": "110Mi"}}, "Healed"),
    ],
)
def test_only_what_the_template_asks_for_is_proposed_and_only_less_of_it(
    containers: dict[str, dict[str, str]], refused: str | None
) -> None:
    wanted = wasteful(values=(*VALUES, ("istio-proxy/cpu", "20m")))
    seen = snapshot([workload(containers=containers)])
    made = plan(wanted, seen=seen)
    if refused:
        assert not made.proposals
        # What the check says stands. That it is so already needs no words.
        told = [(item.decision, item.gate, item.reason) for item in made.decisions]
        assert told == ([("Denied", "proposal", refused)] if refused != "Healed" else [])
        [gone] = plan(wanted, proposed(), seen=seen).withdrawn
        assert gone.reason == refused
        return
    [new] = made.proposals
    intent = exact(new.intent, live(), new.workload, NOW)
    assert intent is not None
    assert intent.change is not None
    assert intent.change.patch == proposed().intent.change.patch  # type: ignore[union-attr]
    # And that is all that is wanted: it is not proposed anew at the next look.
    past = proposed(intent=intent, name=intent.name)
    assert not plan(wanted, past, seen=seen).withdrawn


def test_what_the_template_has_beside_what_was_added_is_proposed() -> None:
    [new] = plan(wasteful(), seen=snapshot([workload(containers={"api": {"cpu": "2"}})])).proposals
    assert new.intent.change is not None
    [container] = json.loads(new.intent.change.patch)["spec"]["template"]["spec"]["containers"]
    assert container == {"name": "api", "resources": {"requests": {"cpu": "50m"}}}


@pytest.mark.parametrize("requests", [{}, {"cpu": "20m", "memory": "2Gi"}, {"memory": "2Gi"}])
def test_a_template_that_asks_for_less_when_it_is_read_is_left(requests: dict[str, str]) -> None:
    [new] = plan(wasteful()).proposals
    found = live()
    found["spec"]["template"]["spec"]["containers"][1]["resources"] = {"requests": requests}
    assert exact(new.intent, found, new.workload, NOW) is None
    del found["spec"]["template"]["spec"]["containers"][1]
    assert exact(new.intent, found, new.workload, NOW) is None


def test_what_was_not_there_is_taken_out_again() -> None:
    before = live()
    del before["spec"]["template"]["spec"]["containers"][1]["resources"]["requests"]["cpu"]
    patch = json.loads(proposed().intent.change.patch)  # type: ignore[union-attr]
    undo = undoing(before, patch, strategic=True)
    assert merged(merged(before, patch, strategic=True), undo, strategic=True) == before


@pytest.mark.parametrize(
    "mark",
    [
        {"annotations": {"argocd.argoproj.io/tracking-id": "apps:apps/Deployment:kiro/api"}},
        {"labels": {"argocd.argoproj.io/instance": "apps"}},
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}},
        {"labels": {"helm.toolkit.fluxcd.io/name": "apps"}},
        {"managedFields": [{"manager": "argocd-controller", "operation": "Apply"}]},
    ],
)
def test_what_a_gitops_tool_keeps_is_for_a_person_to_change(mark: dict[str, Any]) -> None:
    [new] = plan(wasteful()).proposals
    intent = exact(new.intent, live(**mark), new.workload, NOW)
    assert intent is not None
    assert intent.method is Method.ADVISE
    # However it is approved and whatever the policy says: it is never let through.
    [decision] = plan(wasteful(), proposed(intent=intent, name=intent.name)).decisions
    assert (decision.decision, decision.gate, decision.reason) == ("Denied", "approval", "AppliedByPerson")


def test_another_object_and_one_that_is_as_proposed_are_left() -> None:
    [new] = plan(wasteful()).proposals
    assert exact(new.intent, None, new.workload, NOW) is None
    assert exact(new.intent, live(uid="other"), new.workload, NOW) is None
    # Its controller has not looked at it: which revision it has is not known.
    assert exact(new.intent, live(generation=4), new.workload, NOW) is None
    as_proposed = merged(live(), json.loads(new.intent.change.patch), strategic=True)  # type: ignore[union-attr]
    assert exact(new.intent, as_proposed, new.workload, NOW) is None


def test_it_waits_whatever_the_policy_says() -> None:
    careless = lenient(
        actions=[{"name": "RightSize", "approval": "Automatic", "budget": BUDGET}], approvalGates=[]
    )
    made = plan(wasteful(), proposed(), policies=(careless,))
    [decision] = made.decisions
    assert (decision.decision, decision.gate, decision.reason) == ("Denied", "approval", "ApprovalRequired")
    assert [standing.gate for standing in decision.standings] == ["operator-approver"]
    assert not made.escalations
    assert not made.proposals


@pytest.mark.parametrize(
    "policies",
    [
        (lenient(actions=[]),),
        (lenient(), lenient(actions=[])),
        (lenient(mode="Observe"),),
    ],
)
def test_what_a_policy_does_not_list_stays_advice(policies: tuple[KiroSafetyPolicySpec, ...]) -> None:
    made = plan(wasteful(), policies=policies)
    assert (made.proposals, made.decisions, made.escalations) == ((), (), ())
    [gone] = plan(wasteful(), proposed(), policies=policies).withdrawn
    assert (gone.state, gone.reason) == (RemediationState.EXPIRED, "NotAllowed")


def test_a_dry_run_tells_and_proposes_nothing() -> None:
    made = plan(wasteful(), policies=(lenient(mode="DryRun"),))
    [decision] = made.decisions
    assert (decision.decision, decision.standings) == ("DryRun", ())
    assert "50m cpu and 110Mi memory" in decision.message
    assert not made.proposals


def test_only_a_fresh_fail_is_proposed() -> None:
    assert not plan(wasteful(actionable=False)).proposals
    verdict, _ = wasteful()[CHECK]
    assert not plan({CHECK: (replace(verdict, status=Status.WARN), True)}).proposals


@pytest.mark.parametrize("how", ["scaled", "unseen"])
def test_what_an_autoscaler_scales_by_its_requests_is_left(how: str) -> None:
    scalers = [autoscaler("api")] if how == "scaled" else BLIND
    assert not plan(wasteful(), seen=facts(autoscalers=scalers)).proposals


def test_one_proposal_for_a_target_and_action() -> None:
    assert not plan(wasteful(), proposed()).proposals
    # Nor beside one of another KiroHealthCheck, or one that is being carried out.
    assert not plan(wasteful(), proposed(mine=False)).proposals
    running = proposed(state=RemediationState.VERIFYING, open=False)
    assert not plan(wasteful(), running).proposals


def test_no_more_wait_at_a_time_than_a_person_can_read() -> None:
    names = [f"app-{number:02}" for number in range(MOST + 5)]
    made = plan(
        wasteful(*names), seen=snapshot([workload(name, containers={"api": LARGE}) for name in names])
    )
    assert len(made.proposals) == MOST


@pytest.mark.parametrize(
    ("cpu", "memory", "superseded"),
    [("50m", "110Mi", False), ("54m", "118Mi", False), ("60m", "110Mi", True), ("50m", "90Mi", True)],
)
def test_only_what_differs_in_substance_takes_its_place(cpu: str, memory: str, superseded: bool) -> None:  # noqa: FBT001
    made = plan(wasteful(values=(("api/cpu", cpu), ("api/memory", memory))), proposed())
    assert [item.reason for item in made.withdrawn] == ["Superseded"] * superseded
    assert len(made.decisions) == (not superseded)
    old = ended(RemediationState.EXPIRED, "Superseded", timedelta(0))
    again = plan(wasteful(values=(("api/cpu", cpu), ("api/memory", memory))), old)
    assert len(again.proposals) == 1


def test_it_is_withdrawn_when_its_reason_is_gone_and_not_when_that_cannot_be_seen() -> None:
    [gone] = plan(well(CHECK), proposed()).withdrawn
    assert gone.reason == "Healed"
    blind = {CHECK: (Verdict(Status.UNKNOWN, "Timeout", "no answer"), False)}
    assert not plan(blind, proposed()).withdrawn
    assert not plan({}, proposed()).withdrawn


def test_what_an_earlier_process_has_found_keeps_it_up() -> None:
    """A Fail that was read off the status has no findings, until the first sample is there."""
    held = {CHECK: (Verdict(Status.FAIL, "OverProvisioned", "waste"), False)}
    made = plan(held, proposed())
    assert not made.withdrawn
    [decision] = made.decisions
    assert (decision.decision, decision.reason) == ("Denied", "ApprovalRequired")


def test_it_is_withdrawn_when_the_target_is_another_one() -> None:
    past = proposed()
    rolled = replace(past.intent, fence=replace(past.intent.fence, revision="2"))
    [gone] = plan(wasteful(), proposed(intent=rolled)).withdrawn
    assert gone.reason == "Changed"
    [gone] = plan(well(CHECK), proposed(), seen=snapshot([])).withdrawn
    assert gone.reason == "Changed"
    later = plan(wasteful(), ended(RemediationState.EXPIRED, "Changed", timedelta(0)))
    assert len(later.proposals) == 1


def test_it_lapses() -> None:
    [gone] = plan(wasteful(), proposed(made_at=NOW - LIFETIME)).withdrawn
    assert (gone.state, gone.reason) == (RemediationState.EXPIRED, "Lapsed")
    fresh = plan(wasteful(), proposed())
    assert not fresh.withdrawn
    assert fresh.next == NOW - timedelta(hours=1) + LIFETIME


@pytest.mark.parametrize(
    ("state", "reason", "at", "again"),
    [
        ("Denied", "ApprovalDenied", HOLD * 30, False),
        ("Failed", "Reverted", HOLD / 2, False),
        ("Failed", "Reverted", HOLD, True),
        ("Denied", "Forbidden", AGAIN / 2, False),
        ("Denied", "Forbidden", AGAIN, True),
        # What held it up when it was approved says nothing of the next minute.
        ("Denied", "EvidenceMissing", AGAIN / 2, False),
        ("Denied", "EvidenceMissing", AGAIN, True),
        ("Denied", "Paused", AGAIN, True),
        ("Expired", "TooOld", AGAIN / 2, False),
        ("Expired", "TooOld", AGAIN, True),
        ("Expired", "NotAllowed", AGAIN, True),
        ("Expired", "NotDeclared", AGAIN, True),
        ("Expired", "ScaledByAutoscaler", AGAIN, True),
        ("Expired", "Contended", AGAIN / 2, False),
        ("Expired", "Contended", AGAIN, True),
        ("Expired", "TargetGone", AGAIN, True),
        ("Expired", "Lapsed", HOLD / 2, False),
        ("Succeeded", "InForce", HOLD / 2, False),
        ("Expired", "Lapsed", HOLD, True),
    ],
)
def test_much_the_same_is_not_proposed_again_at_once(
    state: str,
    reason: str,
    at: timedelta,
    again: bool,  # noqa: FBT001
) -> None:
    past = ended(RemediationState(state), reason, at)
    assert len(plan(wasteful(), past).proposals) == again
    # What differs in substance is.
    assert len(plan(wasteful(values=(("api/cpu", "100m"),)), past).proposals) == 1


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("Denied", "Forbidden"),
        ("Denied", "Paused"),
        ("Expired", "TooOld"),
        ("Expired", "Contended"),
        ("Expired", "TargetGone"),
        ("Expired", "NotAllowed"),
    ],
)
def test_what_was_carried_out_was_not_held_up_however_it_ended(state: str, reason: str) -> None:
    def done(at: timedelta) -> Plan:
        return plan(wasteful(), ended(RemediationState(state), reason, at, acted=True))

    for at in (AGAIN / 2, AGAIN, HOLD - timedelta(seconds=1)):
        assert not done(at).proposals
    # Nobody has to look at it sooner, then.
    assert done(AGAIN / 2).next is None
    assert len(done(HOLD).proposals) == 1


def test_what_was_forbidden_is_looked_at_again_when_it_may_be_permitted() -> None:
    past = ended(RemediationState.DENIED, "Forbidden", AGAIN / 2)
    assert plan(wasteful(), past).next == NOW + AGAIN / 2
    assert plan(wasteful(), ended(RemediationState.DENIED, "Forbidden", AGAIN)).next is None


@pytest.mark.parametrize("reason", ["Superseded", "Healed", "NotListable"])
@pytest.mark.parametrize(
    ("known", "hold"), [(2, AGAIN), (3, 2 * AGAIN), (4, 4 * AGAIN), (14, HOLD), (99, HOLD)]
)
def test_what_is_found_anew_each_time_is_proposed_less_and_less_often(
    known: int, hold: timedelta, reason: str
) -> None:
    second = timedelta(seconds=1)
    other = wasteful(values=(("api/cpu", "100m"),))
    waits = plan(other, *[ended(RemediationState.EXPIRED, reason, hold - second)] * known)
    assert (len(waits.proposals), waits.next) == (0, NOW + second)
    over = plan(other, *[ended(RemediationState.EXPIRED, reason, hold)] * known)
    assert (len(over.proposals), over.next) == (1, None)
    # The first takes its place at once, and what is another target's, was carried out or changed counts not.
    one = ended(RemediationState.EXPIRED, reason, timedelta(0))
    theirs = replace(one, intent=replace(one.intent, target=ref("web")))
    done = replace(one, acted=True, ended_at=NOW - timedelta(hours=1))
    changed = replace(one, reason="Changed")
    old = replace(one, ended_at=NOW - HOLD)
    assert len(plan(other, one, theirs, done, changed, old).proposals) == 1


def test_it_stands_in_nobodys_way() -> None:
    made, pods = platform()
    verdicts = {**wasteful(), **failing(finding())}
    alone = plan(failing(finding()), seen=snapshot([made], pods))
    both = plan(verdicts, proposed(), seen=snapshot([made], pods))
    assert [item.decision for item in alone.decisions] == ["Allowed"]
    assert both.decisions[0] == alone.decisions[0]


def test_what_was_approved_gives_way_to_what_is_done_by_itself() -> None:
    made, pods = platform()
    past, seen = proposed(), snapshot([made], pods)
    yes = (approved(past),)
    [alone] = plan(wasteful(), past, seen=seen, approvals=yes).decisions
    assert (alone.intent.action, alone.decision) == (ActionName.RIGHT_SIZE, "Allowed")
    both = plan({**wasteful(), **failing(finding())}, past, seen=seen, approvals=yes).decisions
    assert [(item.intent.action, item.reason) for item in both] == [
        (ActionName.RESTART, "Allowed"),
        (ActionName.RIGHT_SIZE, "InProgress"),
    ]
    # What is denied takes no place.
    paused = lenient(actions=[{"name": "RightSize", "approval": "Manual", "budget": BUDGET}])
    both = plan(
        {**wasteful(), **failing(finding())}, past, seen=seen, approvals=yes, policies=(paused,)
    ).decisions
    assert [item.reason for item in both] == ["ActionNotAllowed", "Allowed"]


def carried_out(method: Method = Method.PATCH) -> Any:
    done = entry(1, "Failed", method, at=ago(hours=2), ended=ago(hours=1))
    return replace(done, action=ActionName.RIGHT_SIZE, name=proposed().name)


def test_what_was_carried_out_climbs_no_ladder_and_counts_against_the_budget() -> None:
    made, pods = platform()
    seen = snapshot([made], pods)
    # Nor does anybody wait because it did not help.
    patient = lenient(backoff={"initial": "24h", "maximum": "24h"}, maxConsecutiveFailures=1)
    [decision] = plan(failing(finding()), seen=seen, entries=(carried_out(),), policies=(patient,)).decisions
    assert (decision.decision, decision.intent.action) == ("Allowed", ActionName.RESTART)
    assert (decision.intent.episode, decision.intent.step) == (1, 1)
    spent = lenient(budget={"limit": 1, "window": "24h"})
    [decision] = plan(failing(finding()), seen=seen, entries=(carried_out(),), policies=(spent,)).decisions
    assert decision.reason == "BudgetExhausted"


def test_patches_that_differ_by_a_tenth_are_much_the_same() -> None:
    assert much_the_same({"a": "100m"}, {"a": "110m"})
    assert much_the_same({"a": "1"}, {"a": "1000m"})
    assert not much_the_same({"a": "100m"}, {"a": "112m"})
    assert not much_the_same({"a": "on"}, {"a": "off"})
    assert not much_the_same({"a": "1"}, {"b": "1"})
    assert not much_the_same({"a": True}, {"a": 1.05})
    assert not much_the_same({"a": None}, {"a": 0})


def test_amounts_are_rounded_up_to_two_digits() -> None:
    assert [millicores(value) for value in (0.0101, 0.05, 0.0482, 0.1234, 2.0)] == [
        "11m",
        "50m",
        "49m",
        "130m",
        "2",
    ]
    # The API server has no other word for a whole core.
    assert [millicores(value) for value in (0.98, 0.992, 1.0, 1.01, 10.5)] == [
        "980m",
        "1",
        "1",
        "1100m",
        "11",
    ]
    assert [mebibytes(value * 2**20) for value in (16.0, 103.5, 1024.1)] == ["16Mi", "110Mi", "1100Mi"]


def test_the_name_is_that_of_target_action_and_plan() -> None:
    intent: Intent = proposed().intent
    assert intent.name == f"deployment-api-uid-api-rightsize-{intent.digest[:8]}"
    assert Ledger().remedies == Ledger()
    assert Ref("Deployment", "api", "uid-api") == intent.target


def scaling(ceiling: int = 6, *past: Past, protected: str = "", approvals: tuple[Approval, ...] = ()) -> Plan:
    """A workload that wants another replica, and that an autoscaler scales."""
    made, pods = platform(failing=0)
    budget = {"budget": BUDGET}
    allowed = lenient(
        actions=[
            {"name": "Scale", "approval": "Automatic", **budget},
            {"name": "ChangeAutoscaling", "approval": "Manual", **budget},
        ],
        scale={"floor": 1, "ceiling": ceiling, "step": 1},
    )
    scaler = HorizontalPodAutoscaler(
        metadata=Metadata(name="hpa", uid="uid-hpa", annotations=Annotations(protected=protected)),
        spec=AutoscalerSpec(ScaleTargetRef("Deployment", "api"), min_replicas=1, max_replicas=4),
    )
    seen = replace(snapshot([made], pods, [scaler]), policies={"p0": allowed})
    high = finding(None, reason="HighUtilization", remedies=(ActionName.SCALE,))
    return plan(
        failing(high, check="resource-utilization"),
        *past,
        policies=(allowed,),
        seen=seen,
        approvals=approvals,
    )


def test_where_an_autoscaler_owns_the_replicas_its_minimum_is_proposed() -> None:
    made = scaling()
    assert [item.reason for item in made.decisions] == ["ScaledByAutoscaler"]
    [new] = made.proposals
    assert (new.intent.action, new.intent.check) == (ActionName.CHANGE_AUTOSCALING, "resource-utilization")
    assert new.intent.target == Ref("HorizontalPodAutoscaler", "hpa", "uid-hpa")
    assert new.intent.change is not None
    # A minimum above the maximum would be refused.
    assert json.loads(new.intent.change.patch) == {"spec": {"minReplicas": 5, "maxReplicas": 5}}


def minimum_proposed() -> Past:
    """The proposal of ``scaling()``, on record."""
    [new] = scaling().proposals
    found = {
        "metadata": {"name": "hpa", "uid": "uid-hpa", "resourceVersion": "1"},
        "spec": {"minReplicas": 1, "maxReplicas": 4},
    }
    intent = exact(new.intent, found, None, NOW)
    assert intent is not None
    return proposed(intent=intent, name=intent.name)


@pytest.mark.parametrize(("mark", "reason"), [("", "Allowed"), ("false", "Allowed"), ("true", "Protected")])
def test_an_autoscaler_that_is_protected_is_not_changed_though_it_is_approved(mark: str, reason: str) -> None:
    past = minimum_proposed()
    made = scaling(6, past, protected=mark, approvals=(approved(past),))
    assert [item.reason for item in made.decisions] == ["ScaledByAutoscaler", reason]


def test_what_was_to_be_scaled_keeps_its_proposal_while_it_fails() -> None:
    past = minimum_proposed()
    seen = facts(autoscalers=[replace(autoscaler("api"), metadata=Metadata(name="hpa", uid="uid-hpa"))])
    high = finding(None, reason="HighUtilization", remedies=())
    assert not plan(failing(high, check="resource-utilization"), past, seen=seen).withdrawn
    [gone] = plan(well("resource-utilization"), past, seen=seen).withdrawn
    assert gone.reason == "Healed"


def test_what_else_a_check_finds_keeps_no_proposal_up() -> None:
    claim = Finding(Ref("PersistentVolumeClaim", "data"), "UnmountedClaim", "unmounted", ago(hours=1))
    verdicts = {CHECK: (Verdict(Status.FAIL, "UnmountedClaim", "unmounted", (claim,)), True)}
    [gone] = plan(verdicts, proposed()).withdrawn
    assert gone.reason == "Healed"


def bounds(values: tuple[tuple[str, str], ...], ceiling: int | None = 6) -> Draft | Refusal:
    """The draft for an autoscaler of 1 to 4."""
    scaler = HorizontalPodAutoscaler(
        metadata=Metadata(name="hpa", uid="uid-hpa"),
        spec=AutoscalerSpec(ScaleTargetRef("Deployment", "api"), min_replicas=1, max_replicas=4),
    )
    policies = {"p0": lenient(scale=ceiling and {"floor": 1, "ceiling": ceiling, "step": 1})}
    target = Ref("HorizontalPodAutoscaler", "hpa", "uid-hpa")
    amendment = Amendment(ActionName.CHANGE_AUTOSCALING, target, values)
    seen = replace(facts(autoscalers=[scaler]), policies=policies)
    return proposers()[ActionName.CHANGE_AUTOSCALING].draft(amendment, seen)


def test_bounds_are_raised_within_the_ceiling_and_never_lowered() -> None:
    raised = bounds((("maxReplicas", "6"),))
    assert isinstance(raised, Draft)
    assert (json.loads(raised.patch), raised.diff) == ({"spec": {"maxReplicas": 6}}, "maxReplicas: 4 → 6")
    beyond, lower = bounds((("maxReplicas", "6"),), 5), bounds((("maxReplicas", "3"),))
    assert isinstance(beyond, Refusal)
    assert isinstance(lower, Refusal)
    assert (beyond.reason, lower.reason) == ("CeilingReached", "Healed")


def test_no_ceiling_is_no_bound_to_raise_within() -> None:
    """A misspelt spec.scale must not mean that any bound will do."""
    refused = bounds((("maxReplicas", "6"),), None)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.lasting) == ("PolicyIncomplete", True)


def idle(replicas: int, kind: str = "Deployment") -> Draft | Refusal:
    amendment = Amendment(ActionName.REMOVE_UNUSED, Ref(kind, "api", "uid-api"), (("replicas", "0"),))
    return proposers()[ActionName.REMOVE_UNUSED].draft(amendment, snapshot([workload(replicas=replicas)]))


@pytest.mark.parametrize(("scaler", "lasting"), [("api", True), ("web", None), (None, False)])
def test_what_an_autoscaler_scales_is_not_turned_off(scaler: str | None, lasting: bool | None) -> None:  # noqa: FBT001 - a row of the table
    """Nor what may be scaled by one: that cannot be told while none is seen."""
    made, pods = platform(failing=0)
    scalers = BLIND if scaler is None else (autoscaler(scaler),)
    seen = snapshot([made], pods, autoscalers=scalers)
    amendment = Amendment(ActionName.REMOVE_UNUSED, ref("api"), (("replicas", "0"),))
    answer = proposers()[ActionName.REMOVE_UNUSED].draft(amendment, seen)
    if lasting is None:
        assert isinstance(answer, Draft)
        return
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.lasting) == ("ScaledByAutoscaler", lasting)


def test_what_does_nothing_is_scaled_to_zero() -> None:
    made = idle(3)
    assert isinstance(made, Draft)
    assert (json.loads(made.patch), made.diff) == ({"spec": {"replicas": 0}}, "replicas: 3 → 0")
    for refused in (idle(0), idle(3, "StatefulSet")):
        assert isinstance(refused, Refusal)


def crossed(*findings: tuple[str, tuple[tuple[str, str], ...]]) -> dict[str, tuple[Verdict, bool]]:
    target = Ref("KiroSafetyPolicy", "p0")
    made = tuple(
        Finding(
            target,
            reason,
            "outside",
            ago(minutes=1),
            amendment=Amendment(ActionName.CHANGE_BOUNDARY, target, values),
        )
        for reason, values in findings
    )
    return {"autonomous-scope": (Verdict(Status.FAIL, made[0].reason, "outside", made), True)}


BOUNDS = {
    "actions": ["scale"],
    "risky": [],
    "kinds": ["Deployment"],
    "namespaces": ["kiro"],
    "maximumChange": 20,
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kinds", "; to approve: echo PWNED; #"),
        ("kinds", "deployments.apps"),
        ("kinds", "Node\n"),
        ("kinds", "N" * 64),
        ("actions", "drain node"),
        ("actions", "drain/node"),
        ("actions", "d" * 64),
        ("namespaces", "Prod_1"),
        ("namespaces", "n" * 64),
    ],
)
def test_no_boundary_holds_what_the_api_server_refuses(field: str, value: str) -> None:
    spec = lenient(boundaries=BOUNDS)
    seen = replace(facts(), policies={"p0": spec})
    made = plan(crossed(("Outside", ((field, value),))), policies=(spec,), seen=seen)
    assert not made.proposals
    [told] = made.decisions
    assert (told.decision, told.gate, told.reason) == ("Denied", "proposal", "NotListable")
    assert value not in told.message
    # It keeps nobody from deciding on what else was crossed.
    beside = crossed(("Outside", ((field, value), ("kinds", "Node"), ("maximumChange", "35"))))
    [new] = plan(beside, policies=(spec,), seen=seen).proposals
    assert json.loads(new.intent.change.patch) == {  # type: ignore[union-attr]
        "spec": {"boundaries": {"kinds": ["Deployment", "Node"], "maximumChange": 35}}
    }


def test_what_a_log_says_stands_in_no_proposal_but_as_a_word() -> None:
    spec = lenient(boundaries=BOUNDS)
    made, pods = platform(failing=0)
    pods = [
        replace(each, metadata=replace(each.metadata, labels={"component": "autonomous-operations"}))
        for each in pods
    ]
    check = registry()["autonomous-scope"].check
    for kind, proposals in (("Node", 1), ("; to approve: echo PWNED; #", 0)):
        record = {"record": "operation", "id": "o", "action": "scale", "outcome": "success"}
        lines = (json.dumps(record | {"target": {"kind": kind, "name": "; to approve: echo PWNED; #"}}),)
        records = parse(lines, RecordsEvidence()).records
        tail = LogTail(pods[0].metadata.name, "main", lines, 60.0, records=records, window=records)
        seen = replace(
            snapshot([made], pods),
            policies={"p0": spec},
            marks={"p0": Marks("uid-p0")},
            samples={POD_LOGS.name: Sample(1, NOW, (tail,))},
        )
        verdict = check.judge(seen, check.parameters(), NOW)
        assert verdict.reason == "KindOutside"
        wanted = plan({"autonomous-scope": (verdict, True)}, policies=(spec,), seen=seen)
        assert len(wanted.proposals) == proposals
        assert "PWNED" not in str([new.intent.change for new in wanted.proposals])


def test_whoever_writes_logs_makes_few_records_a_day() -> None:
    spec = lenient(boundaries=BOUNDS)
    seen = replace(facts(), policies={"p0": spec}, marks={"p0": Marks("uid-p0")})
    found = {
        "metadata": {"name": "p0", "uid": "uid-p0", "resourceVersion": "1"},
        "spec": {"boundaries": BOUNDS},
    }
    known: list[Past] = []
    for minute in range(0, 24 * 60, 3):
        now = NOW + timedelta(minutes=minute)
        for kind in (f"Kind{minute}", "no kind", f"Other{minute}"):
            verdicts = crossed(("KindOutside", (("kinds", kind),)))
            made = plan(verdicts, *known, policies=(spec,), seen=seen, now=now)
            gone = {item.name: item for item in made.withdrawn}
            known = [
                replace(
                    past, state=gone[past.name].state, reason=gone[past.name].reason, open=False, ended_at=now
                )
                if past.name in gone
                else past
                for past in known
            ]
            for new in made.proposals:
                intent = exact(new.intent, found, None, now)
                assert intent is not None
                known.append(proposed(intent=intent, name=intent.name, made_at=now))
    assert 8 <= len(known) <= 16


@pytest.mark.parametrize("size", ["1001", "inf"])
def test_no_boundary_holds_any_change(size: str) -> None:
    spec = lenient(boundaries=BOUNDS | {"kinds": ["Pod"]})
    seen = replace(facts(), policies={"p0": spec})
    made = plan(crossed(("ChangeTooLarge", (("maximumChange", size),))), policies=(spec,), seen=seen)
    assert not made.proposals


def test_boundaries_are_widened_by_what_crossed_them_when_a_person_has_approved_it() -> None:
    spec = lenient(boundaries=BOUNDS)
    seen = replace(facts(), policies={"p0": spec}, marks={"p0": Marks("uid-p0")})
    verdicts = crossed(
        ("ActionOutside", (("actions", "drain"),)), ("ChangeTooLarge", (("maximumChange", "35"),))
    )
    [new] = plan(verdicts, policies=(spec,), seen=seen).proposals
    assert new.intent.method is Method.PATCH
    assert new.intent.change is not None
    patch = json.loads(new.intent.change.patch)
    assert patch == {"spec": {"boundaries": {"actions": ["scale", "drain"], "maximumChange": 35}}}
    found = {
        "metadata": {"name": "p0", "uid": "uid-p0", "resourceVersion": "1"},
        "spec": {"boundaries": {"actions": ["scale"], "maximumChange": 20, "kinds": ["Deployment"]}},
    }
    intent = exact(new.intent, found, None, NOW)
    assert intent is not None
    assert intent.target.uid == "uid-p0"
    assert 'actions: ["scale"] → ["scale","drain"]' in intent.change.diff  # type: ignore[union-attr]
    past = proposed(intent=intent, name=intent.name)
    made = plan(verdicts, past, policies=(spec,), seen=seen)
    assert [item.reason for item in made.decisions] == ["ApprovalRequired"]
    assert not made.withdrawn


def test_a_boundary_that_was_crossed_waits_for_a_person_when_the_logs_tell_of_it_no_more() -> None:
    spec = lenient(boundaries=BOUNDS)
    seen = replace(facts(), policies={"p0": spec}, marks={"p0": Marks("uid-p0")})
    verdicts = crossed(("ActionOutside", (("actions", "drain"),)))
    [new] = plan(verdicts, policies=(spec,), seen=seen).proposals
    found = {
        "metadata": {"name": "p0", "uid": "uid-p0", "resourceVersion": "1"},
        "spec": {"boundaries": BOUNDS},
    }
    intent = exact(new.intent, found, None, NOW)
    assert intent is not None
    past = proposed(intent=intent, name=intent.name)
    quiet = {"autonomous-scope": (passed("within"), True)}

    made = plan(quiet, past, policies=(spec,), seen=seen)
    assert ([item.reason for item in made.decisions], made.withdrawn) == (["ApprovalRequired"], ())
    # What was approved is done when it is crossed again: nothing is done by what was seen before.
    yes = (approved(past),)
    [decision] = plan(quiet, past, policies=(spec,), seen=seen, approvals=yes).decisions
    assert (decision.decision, decision.reason) == ("Denied", "NotFresh")
    [decision] = plan(verdicts, past, policies=(spec,), seen=seen, approvals=yes).decisions
    assert decision.decision == "Allowed"

    for name, value in (("actions", ["drain", "scale"]), ("kinds", ["Deployment", "Pod"])):
        wider = replace(seen, policies={"p0": lenient(boundaries=BOUNDS | {name: value})})
        ends = [item.reason for item in plan(quiet, past, policies=(spec,), seen=wider).withdrawn]
        assert ends == (["Healed"] if name == "actions" else [])
    anew = replace(seen, marks={"p0": Marks("uid-new")})
    for each in (quiet, verdicts):
        assert [item.reason for item in plan(each, past, policies=(spec,), seen=anew).withdrawn] == [
            "Changed"
        ]
    unread = replace(seen, policies={}, marks={})
    assert not plan(quiet, past, policies=(spec,), seen=unread).withdrawn


GOOD = "---\ninclusion: always\n---\n# Product\n\nPrefer small steps.\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\n\n---\ninclusion: always\n---\n# Product\n\nPrefer small steps.\n", GOOD),
        ("-----\ninclusion: always\n-----\n# Product\n\nPrefer small steps.\n", GOOD),
        ("---\ninclusion: 'Always'\n---\n# Product\n\nPrefer small steps.\n", GOOD),
        (
            "# Product\n---\ninclusion: file-match\nfileMatchPattern: '*.tf'\n---\nPlan first.\n",
            "---\ninclusion: fileMatch\nfileMatchPattern: '*.tf'\n---\n# Product\nPlan first.\n",
        ),
        # What takes a guess, what is well, and what is no front matter.
        ("---\ninclusion: fileMatch\nfileMatchPattern: ['*.tf'\n---\nPlan first.\n", None),
        ("---\ninclusion: sometimes\n---\nPlan first.\n", None),
        ("---\ninclusion: FileMatch\n---\nno pattern\n", None),
        (GOOD, None),
        ("# Product\n\n---\n\nA rule.\n\n---\n\nAnother.\n", None),
        ("```\n---\ninclusion: Always\n---\n```\n", None),
    ],
)
def test_only_what_takes_no_guess_is_mended(text: str, wanted: str | None) -> None:
    assert mended(text) == wanted
    assert wanted is None or passes(wanted)


def documents(text: str, *, restore: bool = False, **about: Any) -> Snapshot:
    holder = Holder("kiro-steering", "uid-steering", "7", **about)
    path, origin = ".kiro/steering/product.md", "ConfigMap kiro-steering"
    seen = Steering((Document(path, text, origin, key="product.md"),), holders=(holder,), restore=restore)
    return replace(facts(), samples={STEERING.name: Sample(1, NOW, seen)})


def steering(seen: Snapshot, *past: Past) -> Plan:
    check = registry()["steering-syntax"].check
    verdict = check.judge(seen, check.parameters(), NOW)
    return plan({"steering-syntax": (verdict, True)}, *past, seen=seen)


def test_a_document_is_proposed_as_it_would_be() -> None:
    broken = GOOD.replace("always", "Always")
    [new] = steering(documents(broken)).proposals
    assert (new.intent.action, new.intent.method) == (ActionName.EDIT_STEERING, Method.PATCH)
    assert new.intent.change is not None
    assert json.loads(new.intent.change.patch) == {"data": {"product.md": GOOD}}
    assert "-inclusion: Always\n+inclusion: always" in new.intent.change.diff
    assert not steering(documents(broken, binary=("product.md",))).proposals
    assert not steering(documents(broken + "token: ghp_abcdefghijklmnopqrstuvwxyz0123456789\n")).proposals


CREDENTIAL = "Use password: hunter2-hunter2 with the staging database.\n"


def holding(text: str) -> dict[str, Any]:
    """The ConfigMap with the document, as the API server gives it."""
    return {
        "metadata": {"name": "kiro-steering", "uid": "uid-steering", "resourceVersion": "9"},
        "data": {"product.md": text},
    }


@pytest.mark.parametrize("added", [CREDENTIAL, "Touch nothing on Fridays.\n"])
def test_what_changed_since_the_sample_is_neither_proposed_upon_nor_put_on_record(added: str) -> None:
    broken = GOOD.replace("always", "Always")
    [new] = steering(documents(broken)).proposals
    assert exact(new.intent, holding(broken + added), None, NOW) is None
    intent = exact(new.intent, holding(broken), None, NOW)
    assert intent is not None
    assert intent.change is not None
    assert json.loads(intent.change.undo) == {"data": {"product.md": broken}}


def test_no_document_with_a_credential_goes_on_record_whatever_was_drafted() -> None:
    broken = GOOD.replace("always", "Always")
    [new] = steering(documents(broken)).proposals
    assert new.intent.change is not None
    careless = replace(new.intent, change=replace(new.intent.change, undo=""))
    assert exact(careless, holding(broken), None, NOW) is not None
    assert exact(careless, holding(broken + CREDENTIAL), None, NOW) is None


def test_who_is_named_in_a_document_is_on_record_and_told_nowhere() -> None:
    text = "Ask jane.doe@example.com or +49 170 1234567 first.\n\n---\ninclusion: always\n---\nPlan first.\n"
    [new] = steering(documents(text)).proposals
    intent = exact(new.intent, holding(text), None, NOW)
    assert intent is not None
    assert intent.change is not None
    assert json.loads(intent.change.undo) == {"data": {"product.md": text}}
    assert "jane.doe@example.com or +49 170 1234567" in intent.change.diff
    told = change(intent)
    assert "Ask [redacted] or [redacted] first." in told
    # Nor where the document is another one by now.
    past = proposed(intent=intent, name=intent.name)
    [gone] = steering(documents(text.replace("Plan first.", "Plan.")), past).withdrawn
    assert gone.reason == "Superseded"
    assert "Ask [redacted] or [redacted] first." in gone.message


def test_what_is_too_large_for_a_record_is_told() -> None:
    text = f"\n{GOOD}{'Plan before you apply, and show the plan.' * 1_600}"
    origin = "ConfigMap kiro-steering"
    many = [Document(f".kiro/steering/{n}.md", text, origin, key=f"{n}.md") for n in range(5)]
    for count, proposals in ((3, 1), (5, 0)):
        seen = Steering(tuple(many[:count]), holders=(Holder("kiro-steering", "uid-steering", "7"),))
        made = steering(replace(facts(), samples={STEERING.name: Sample(1, NOW, seen)}))
        assert len(made.proposals) == proposals
    [told] = made.decisions
    assert (told.decision, told.gate, told.reason) == ("Denied", "proposal", "TooLarge")
    assert told.message == (
        "what is to be mended in ConfigMap kiro-steering is too large for a record: mend it by hand"
    )


def test_what_the_api_server_takes_no_record_of_is_told_until_something_else_would_do() -> None:
    [new] = plan(wasteful()).proposals
    assert new.intent.change is not None
    unfit = {(ActionName.RIGHT_SIZE, ref()): new.intent.change}
    made = plan(wasteful(), unfit=unfit)
    assert not made.proposals
    [told] = made.decisions
    assert (told.decision, told.gate, told.reason) == ("Denied", "proposal", "Invalid")
    assert told.message == f"{change(new.intent)}: {UNFIT}"
    assert len(plan(wasteful(values=(("api/cpu", "60m"),)), unfit=unfit).proposals) == 1
    web = workload("web", containers={"api": LARGE})
    assert len(plan(wasteful("web"), seen=snapshot([web]), unfit=unfit).proposals) == 1


def test_a_protected_document_is_not_written_though_it_is_approved() -> None:
    for about, protected in (("", False), ("true", True)):
        seen = documents(GOOD.replace("always", "Always"), protected=about)
        [new] = steering(seen).proposals
        assert situate(new.intent, seen, Ledger(), census(seen)).protected is protected
        assert situate(new.intent, seen, Ledger(), census(seen)).observed


@pytest.mark.parametrize("kind", ["KiroSafetyPolicy", "KiroHealthCheck"])
@pytest.mark.parametrize(
    ("uid", "protected", "is_seen", "is_protected"),
    [
        ("u", "", True, False),
        ("u", "true", True, True),
        ("u", "False", True, False),
        # Made anew, and so another one.
        ("other", "", False, False),
    ],
)
def test_kinds_of_ones_own_are_seen_by_their_marks(
    kind: str,
    uid: str,
    protected: str,
    is_seen: bool,  # noqa: FBT001 - a column of the table
    is_protected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    marks = Marks(uid, {"team": "platform"}, protected)
    seen = replace(facts(), marks={"p": marks}, own=Own("p", marks=marks))
    wanted = replace(proposed().intent, target=Ref(kind, "p", "u"))
    found = situate(wanted, seen, Ledger(), census(seen))
    assert (found.observed, found.protected) == (is_seen, is_protected)
    assert found.labels == ({"team": "platform"} if is_seen else {})
    elsewhere = replace(wanted, target=Ref(kind, "q", "u"))
    assert not situate(elsewhere, seen, Ledger(), census(seen)).observed


def record(past: Past) -> KiroRemediationSpec:
    """The spec of a proposal, as its KiroRemediation has it."""
    intent = past.intent
    assert intent.change is not None
    named = {"name": "kiro", "uid": "u"}
    return KiroRemediationSpec.model_validate(
        {
            "action": intent.action,
            "method": intent.method,
            "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "uid-api"},
            "fence": {"uid": "uid-api", "resourceVersion": "100", "generation": 3},
            "healthCheck": named,
            "policy": named,
            "check": CHECK,
            "reason": "OverProvisioned",
            "message": "waste",
            "episode": 1,
            "step": 1,
            "timeout": "10m",
            "stabilization": "30s",
            "change": {
                "patch": intent.change.patch,
                "diff": intent.change.diff,
                "undo": intent.change.undo,
            },
        }
    )


def as_approved(**metadata: Any) -> dict[str, Any]:
    change = proposed().intent.change
    assert change is not None
    found: dict[str, Any] = merged(live(**metadata), json.loads(change.patch), strategic=True)
    return found


def other_requests() -> dict[str, Any]:
    found = live()
    found["spec"]["template"]["spec"]["containers"][1]["resources"]["requests"]["cpu"] = "1"
    return found


def owned() -> dict[str, Any]:
    return live(labels={"kustomize.toolkit.fluxcd.io/name": "apps"})


def protected(value: str) -> dict[str, Any]:
    return live(annotations={"kiro.dev/protected": value})


REVISION: dict[str, Any] = {"annotations": {"deployment.kubernetes.io/revision": "2"}}


@pytest.mark.parametrize(
    ("found", "state", "answer"),
    [
        # Its versions and its replicas move, and say nothing.
        (live(resourceVersion="222", generation=9) | {"status": {"observedGeneration": 9}}, "Acting", Act),
        # Which pod template it has, its controller has to say first.
        (live(generation=9), "Acting", Wait),
        (live(generation=9), "Reserved", Wait),
        (live(), "Reserved", Act),
        (as_approved(), "Acting", AlreadyDone),
        (as_approved(), "Reserved", Expire),
        (other_requests(), "Acting", Expire),
        (live(uid="uid-other"), "Acting", Expire),
        (live(**REVISION), "Acting", Expire),
        (owned(), "Acting", Expire),
        (protected("true"), "Acting", Expire),
        (protected("true"), "Reserved", Expire),
        (protected("no matter what"), "Acting", Expire),
        (protected("false"), "Acting", Act),
        (None, "Acting", Expire),
        (BLIND, "Acting", Wait),
    ],
)
def test_after_a_crash_the_live_object_tells(found: Any, state: str, answer: type) -> None:
    spec = record(proposed())
    status = KiroRemediationStatus(state=RemediationState(state))
    seen = Live(workload=None, written=found, failing=True)
    made = resume(spec, status, seen, reserved_at=ago(seconds=30), now=NOW)
    assert isinstance(made, answer), made
    # What nobody asks for any more is not sent, and neither is what was approved long ago.
    if answer is Act:
        healed = Live(workload=None, written=found, failing=False)
        assert isinstance(resume(spec, status, healed, reserved_at=NOW, now=NOW), Expire)
        assert isinstance(resume(spec, status, seen, reserved_at=ago(minutes=3), now=NOW), Expire)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (live(), ""),
        (protected("false"), ""),
        (protected("true"), "Deployment api is protected by now"),
        (live(uid="uid-other"), "Deployment api is gone"),
        (live(**REVISION), "Deployment api has another pod template by now"),
        (owned(), "a GitOps tool keeps Deployment api by now"),
        (other_requests(), "what Deployment api says there was changed since"),
    ],
)
def test_what_was_decided_on_is_held_against_what_is_there_before_it_is_sent(
    found: dict[str, Any], why: str
) -> None:
    assert objection(found, record(proposed())) == why


@pytest.mark.parametrize(
    ("found", "generation", "available", "since", "outcome"),
    [
        (as_approved(generation=4), 4, 4, 60, "Succeeded InForce"),
        (as_approved(generation=4), 4, 4, 10, "Verifying Stabilizing"),
        (as_approved(generation=4), 4, 3, 60, "Verifying NotYetWell"),
        (as_approved(generation=4), 3, 4, 60, "Verifying NotObserved"),
        # Others have changed it since it was proposed: a fence of days ago is no measure of what is watched.
        (as_approved(generation=7), 6, 4, 60, "Verifying NotObserved"),
        (live(), 4, 4, 60, "Failed Reverted"),
        (None, 4, 4, 60, "Expired TargetGone"),
        (BLIND, 4, 4, 60, "Verifying NotObserved"),
    ],
)
def test_it_succeeds_when_it_stands_and_nothing_broke(
    found: Any, generation: int, available: int, since: int, outcome: str
) -> None:
    status = KiroRemediationStatus(
        state=RemediationState.VERIFYING, acted_at=ago(minutes=2), healthy_since=ago(seconds=since)
    )
    seen = workload(available=available, generation=generation)
    made = in_force(record(proposed()), status, found, seen, NOW)
    assert f"{made.state} {made.reason}" == outcome
    late = KiroRemediationStatus(state=RemediationState.VERIFYING, acted_at=ago(minutes=20))
    if outcome.endswith("NotYetWell"):
        assert in_force(record(proposed()), late, found, seen, NOW).reason == "StillFailing"


@pytest.mark.parametrize("wanted", [{"cpu": "1"}, {"cpu": "1000m"}, {"memory": "640000Mi"}])
def test_an_amount_is_in_force_however_the_api_server_writes_it(wanted: dict[str, str]) -> None:
    before = live()
    container = before["spec"]["template"]["spec"]["containers"][1]
    container["resources"]["requests"] = {"cpu": "4", "memory": "900Gi"}
    patch = {
        "spec": {"template": {"spec": {"containers": [{"name": "api", "resources": {"requests": wanted}}]}}}
    }
    undo = undoing(before, patch, strategic=True)
    change = {"patch": json.dumps(patch), "diff": "less", "undo": json.dumps(undo)}
    spec = KiroRemediationSpec.model_validate(
        record(proposed()).model_dump(by_alias=True) | {"change": change}
    )
    found = deepcopy(before)
    found["metadata"]["generation"] = found["status"]["observedGeneration"] = 4
    requests = found["spec"]["template"]["spec"]["containers"][1]["resources"]["requests"]
    requests |= {"cpu": "1"} if "cpu" in wanted else {"memory": "625Gi"}
    status = KiroRemediationStatus(state=RemediationState.VERIFYING, healthy_since=ago(minutes=1))
    made = in_force(spec, status, found, workload(generation=4), NOW)
    assert (made.state, made.reason) == ("Succeeded", "InForce")
    acting = KiroRemediationStatus(state=RemediationState.ACTING)
    seen = Live(workload=None, written=found, failing=True)
    assert isinstance(resume(spec, acting, seen, reserved_at=ago(seconds=30), now=NOW), AlreadyDone)
    # Another amount is somebody else's.
    requests |= {"cpu": "1001m", "memory": "624Gi"}
    assert in_force(spec, status, found, workload(generation=4), NOW).reason == "Reverted"
    # And a tag that looks like an amount is none.
    labels = {"spec": {"template": {"metadata": {"labels": {"version": "1.10"}}}}}
    assert not stands(
        {"spec": {"template": {"metadata": {"labels": {"version": "1.1"}}}}}, labels, strategic=True
    )


def thresholds(percent: int, *, named: str = "cpu-usage") -> dict[str, tuple[Verdict, bool]]:
    """The verdict on one threshold, of a metric that goes from 0.01 to 0.95 and seldom beyond 0.90."""
    listed = Threshold(name=named, query="cpu", threshold=percent / 100, bound=1)
    parameters = ThresholdFitParameters(thresholds=[listed])
    [query] = threshold_fit.queries(parameters, "kiro")
    points = tuple((float(at), at / 100) for at in range(1, 96))
    seen = Answer(query, (Series({PART: "0"}, points * 2),))
    facts_ = replace(facts(), samples={SERIES.name: Sample(1, NOW, (seen,))})
    return {"threshold-fit": (threshold_fit.CHECK.judge(facts_, parameters, NOW), True)}


OWN = Ref("KiroHealthCheck", "kiro", "uid-khc")


@pytest.mark.parametrize(
    ("percent", "named", "wanted"),
    [(60, "cpu-usage", 91), (100, "cpu-usage", 85), (60, "somebody-elses", None), (92, "cpu-usage", None)],
)
def test_a_threshold_is_proposed_where_it_fits(percent: int, named: str, wanted: int | None) -> None:
    made = plan(thresholds(percent, named=named), own=OWN)
    if wanted is None:
        assert not made.proposals
        return
    [new] = made.proposals
    assert (new.intent.method, new.intent.target) == (Method.PATCH, OWN)
    other = {"id": "pods-ready", "enabled": False}
    found = {
        "metadata": {"name": "kiro", "uid": "uid-khc", "resourceVersion": "1"},
        "spec": {"checks": [other, {"id": "cpu-usage", "parameters": {"threshold": percent, "floor": 20}}]},
    }
    intent = exact(new.intent, found, None, NOW)
    assert intent is not None
    assert intent.change is not None
    assert intent.change.diff == f"spec.checks[cpu-usage].parameters.threshold: {percent} → {wanted}"
    # As kubectl merges it: lists are replaced, and the others are in it.
    after = merged(found, json.loads(intent.change.patch))
    assert after["spec"]["checks"][0] == other
    assert after["spec"]["checks"][1]["parameters"] == {"threshold": wanted, "floor": 20}
    assert merged(after, json.loads(intent.change.undo)) == found
    past = proposed(intent=intent, name=intent.name)
    assert not plan(thresholds(percent), past, own=OWN).withdrawn
    near = json.loads(intent.change.patch)
    near["spec"]["checks"][1]["parameters"]["threshold"] = wanted - 20
    moved = replace(intent, change=replace(intent.change, patch=json.dumps(near)))
    [gone] = plan(thresholds(percent), proposed(intent=moved, name=intent.name), own=OWN).withdrawn
    assert gone.reason == "Superseded"


class Chosen(Struct, frozen=True):
    """How a check is set."""

    chosen: CheckSettings
    parameters: BaseModel = ThresholdFitParameters()
    interval: timedelta = timedelta(minutes=1)


def test_the_list_of_checks_does_not_go_on_record_with_a_credential_in_it() -> None:
    [new] = plan(thresholds(60), own=OWN).proposals
    bad = {"query": "up{token='ghp_abcdefghijklmnopqrstuvwxyz0123456789'}"}
    found: dict[str, Any] = {
        "metadata": {"name": "kiro", "uid": "uid-khc", "resourceVersion": "1"},
        "spec": {"checks": [{"id": "memory-usage", "enabled": False, "parameters": bad}]},
    }
    assert exact(new.intent, found, None, NOW) is None
    found["spec"]["checks"][0]["parameters"] = {"query": "up"}
    assert exact(new.intent, found, None, NOW) is not None
    # Of those that are enabled it is told.
    amendment = Amendment(ActionName.CHANGE_THRESHOLD, OWN, (("cpu-usage/threshold", "91"),))
    for parameters, refused in ((bad, True), ({"query": "up"}, False)):
        settings = {"memory-usage": Chosen(CheckSettings(id="memory-usage", parameters=parameters))}
        seen = replace(facts(), own=Own("kiro", settings))
        made = proposers()[ActionName.CHANGE_THRESHOLD].draft(amendment, seen)
        assert isinstance(made, Refusal) is refused
        assert not refused or (made.reason, made.lasting) == ("HoldsCredentials", True)  # type: ignore[union-attr]


def test_what_would_not_be_proposed_now_is_not_done_either() -> None:
    waiting = proposed()
    yes = approved(waiting)
    [done] = plan(wasteful(), waiting, approvals=(yes,)).decisions
    assert done.decision == "Allowed"
    [blind] = plan(wasteful(), waiting, seen=facts(autoscalers=BLIND), approvals=(yes,)).decisions
    assert (blind.decision, blind.gate) == ("Denied", "proposal")


@pytest.mark.parametrize(
    ("scalers", "outcome"),
    [
        ([], ("Allowed", "all", "Allowed")),
        ([autoscaler("web")], ("Allowed", "all", "Allowed")),
        ([autoscaler("api")], ("Denied", "autoscaler", "ScaledByAutoscaler")),
        (BLIND, ("Denied", "autoscaler", "EvidenceMissing")),
    ],
)
def test_an_autoscaler_that_came_meanwhile_stops_what_was_approved_to_be_turned_off(
    scalers: Any, outcome: tuple[str, str, str]
) -> None:
    amendment = Amendment(ActionName.REMOVE_UNUSED, ref(), (("replicas", "0"),))
    unused = Finding(ref(), "Unused", "Deployment api does nothing", ago(minutes=3), amendment=amendment)
    verdicts = {CHECK: (Verdict(Status.FAIL, "Unused", "unused", (unused,)), True)}
    [new] = plan(verdicts).proposals
    intent = exact(new.intent, live(), new.workload, NOW)
    assert intent is not None
    waiting = proposed(intent=intent, name=intent.name)
    seen = facts(autoscalers=scalers)
    made = plan(verdicts, waiting, seen=seen, approvals=(approved(waiting),))
    if outcome[2] == "ScaledByAutoscaler":
        # It would not be proposed any more. Where the check did not get to look at it, the gate stands.
        assert [item.reason for item in made.withdrawn] == ["ScaledByAutoscaler"]
        blind = {CHECK: (Verdict(Status.UNKNOWN, "Timeout", "no answer"), False)}
        made = plan(blind, waiting, seen=seen, approvals=(approved(waiting),))
    [decision] = made.decisions
    assert (decision.decision, decision.gate, decision.reason) == outcome
