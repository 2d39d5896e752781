"""RestoreSteering: the broken documents as they were when they passed, or a reason why not."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.adapters.steering.config_maps import documents
from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.remediation import LONGEST_CHANGE, Method, RemediationState
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.checks import registry
from kiro_operator.core.decide import Inputs, Plan, Policy, decide
from kiro_operator.core.evidence.steering import STEERING, Document, Kept, Steering
from kiro_operator.core.patches import merged
from kiro_operator.core.policy.types import Entry, Ledger
from kiro_operator.core.snapshot import Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Verdict
from tests.core.policy.make import NOW, policy, snapshot

CHECKS, ACTION = ("steering-integrity", "steering-syntax"), ActionName.RESTORE_STEERING
ORIGIN = "ConfigMap kiro-steering"
GOOD = "---\ninclusion: always\n---\n# Product\nWe sell tea.\n"
BROKEN = "---\ninclusion: sometimes\n---\n# Product\n"
OTHER = "# Tech\n"


def allowed(**changes: Any) -> KiroSafetyPolicySpec:
    actions = [{"name": ACTION.value, "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}]
    return policy(**({"actions": actions, "scale": None} | changes))


def stored(data: Mapping[str, str], **more: Any) -> dict[str, Any]:
    metadata = {"name": "kiro-steering", "uid": "u-1", "resourceVersion": "7"} | more.pop("metadata", {})
    return {"metadata": metadata, "data": {"tech.md": OTHER, **data}} | more


def kept(
    text: str = GOOD, key: str = "product.md", origin: str = ORIGIN, unkept: str = ""
) -> Mapping[str, Kept]:
    return {f".kiro/steering/{key}": Kept(origin, key, text, unkept)}


def seen(found: dict[str, Any], *, good: Mapping[str, Kept], restore: bool = True, **more: Any) -> Snapshot:
    holder, read = documents(json.dumps(found).encode(), 1_000_000)
    steering = Steering(tuple(read), holders=(holder,), restore=restore, kept=good, **more)
    return replace(snapshot(), samples={STEERING.name: Sample(1, NOW, steering)})


def plan(
    facts: Snapshot,
    spec: KiroSafetyPolicySpec | None = None,
    *,
    ledger: Ledger | None = None,
    judged: Snapshot | None = None,
    required: tuple[str, ...] = (),
) -> Plan:
    verdicts: dict[str, tuple[Verdict, bool]] = {}
    for name in CHECKS:
        check = registry()[name].check
        given = {"required": list(required)} if name == "steering-integrity" else {}
        verdict = check.judge(judged or facts, check.parameters.model_validate(given), NOW)
        verdicts[name] = (verdict, True)
    return decide(
        Inputs(
            verdicts=verdicts,
            spec=KiroHealthCheckSpec(),
            policies=(Policy("policy", spec or allowed()),),
            ledger=ledger or Ledger(),
            snapshot=facts,
            now=NOW,
        )
    )


BINARY = base64.b64encode(b"# Produ\xff").decode()


@pytest.mark.parametrize(
    "found",
    [
        stored({"product.md": BROKEN}),
        stored({"product.md": "---\ninclusion: [\n"}),
        stored({"product.md": " \n"}),
        stored({"product.md": "# Product\n#[[file:prod"}),
        stored({}, binaryData={"product.md": BINARY}),
        stored({}),
    ],
)
def test_what_passed_is_put_back_and_nothing_else_is_touched(found: dict[str, Any]) -> None:
    [decision] = plan(seen(found, good=kept()), required=("product.md",)).decisions
    intent = decision.intent
    assert (decision.decision, intent.method, intent.action) == ("Allowed", Method.PATCH, ACTION)
    assert (intent.target.kind, intent.target.name, intent.fence.uid) == ("ConfigMap", "kiro-steering", "u-1")
    assert intent.fence.resource_version == "7"
    assert intent.change is not None
    change = json.loads(intent.change.patch)
    assert change["data"] == {"product.md": GOOD}
    assert set(change) <= {"data", "binaryData"}
    after = merged(found, change)
    assert after["data"] == {"tech.md": OTHER, "product.md": GOOD}
    assert not after.get("binaryData")
    assert ".kiro/steering/product.md: " in intent.change.diff


def test_what_was_taken_out_stays_out_unless_it_is_required() -> None:
    made = plan(seen(stored({}), good=kept()))
    assert (made.decisions, made.escalations) == ((), ())


def test_several_documents_are_one_change() -> None:
    good = {**kept(), **kept("# Tech\nPython.\n", "tech.md")}
    [decision] = plan(seen(stored({"product.md": BROKEN, "tech.md": ""}), good=good)).decisions
    assert decision.intent.change is not None
    change = json.loads(decision.intent.change.patch)
    assert change["data"] == {"product.md": GOOD, "tech.md": "# Tech\nPython.\n"}


def test_what_cannot_be_put_back_does_not_hold_back_what_can() -> None:
    made = plan(seen(stored({"product.md": BROKEN, "new.md": ""}), good=kept()))
    [decision] = made.decisions
    assert decision.intent.change is not None
    assert set(json.loads(decision.intent.change.patch)["data"]) == {"product.md"}
    assert ["new.md" in item.message for item in made.escalations] == [True]


@pytest.mark.parametrize(
    ("good", "words"),
    [
        ({}, "no other version that passed is remembered"),
        (kept("", unkept="Secret"), "holds what looks like a secret"),
        (kept("", unkept="TooLarge"), "no room"),
        (kept("", unkept="Altered"), "not the one that passed"),
        (kept("", unkept="Unreadable"), "cannot be read"),
        (kept("# Product\npassword: hunter2hunter2\n"), "holds what looks like a secret"),
        (kept(origin="Pod kiro-0"), "stood somewhere else"),
        (kept(origin="ConfigMap other"), "stood somewhere else"),
        (kept(BROKEN), "would not pass now"),
        (kept(""), "would not pass now"),
        (kept("---\ninclusion: always\n---\n#[[file:gone.md]]\n"), "would not pass now"),
    ],
)
def test_what_is_not_whole_or_not_from_there_is_never_written(good: Mapping[str, Kept], words: str) -> None:
    facts = seen(stored({"product.md": BROKEN}), good=good, workspace=("a.md",))
    made = plan(facts)
    assert not made.decisions
    [escalation] = made.escalations
    assert (escalation.reason, words in escalation.message) == ("NoRemedy", True), escalation.message
    assert "hunter2" not in escalation.message


def test_a_key_of_another_name_for_the_same_file_is_left_alone() -> None:
    made = plan(seen(stored({"steering.product.md": BROKEN}), good=kept()))
    assert not made.decisions
    assert len(made.escalations) == 1


def test_the_broken_text_is_told_redacted() -> None:
    found = stored({"product.md": BROKEN + "api_key: sk-abcdef0123456789abcdef0123456789\n"})
    [decision] = plan(seen(found, good=kept())).decisions
    assert decision.intent.change is not None
    assert "sk-abcdef" not in decision.intent.change.diff + decision.intent.change.patch


def test_observing_asks_a_person() -> None:
    made = plan(seen(stored({"product.md": BROKEN}), good=kept(), restore=False))
    assert not made.decisions
    assert [item.reason for item in made.escalations] == ["NoRemedy"]


def test_a_document_in_a_pod_is_for_a_person() -> None:
    facts = seen(stored({}), good=kept(origin="Pod kiro-0"))
    steering = facts.value(STEERING)
    assert isinstance(steering, Steering)
    inside = Document(".kiro/steering/product.md", BROKEN, "Pod kiro-0", "x")
    sample = Sample(1, NOW, replace(steering, documents=(*steering.documents, inside)))
    made = plan(replace(facts, samples={STEERING.name: sample}))
    assert not made.decisions
    assert [item.reason for item in made.escalations] == ["NoRemedy"]


def test_what_is_too_large_for_a_record_is_for_a_person() -> None:
    made = plan(seen(stored({"product.md": ""}), good=kept("# Product\n" + "tea\n" * (LONGEST_CHANGE // 4))))
    assert not made.decisions
    assert [item.reason for item in made.escalations] == ["TooLarge"]


MARKS: list[dict[str, Any]] = [
    {"annotations": {"argocd.argoproj.io/tracking-id": "kiro:/ConfigMap:kiro/kiro-steering"}},
    {"labels": {"kustomize.toolkit.fluxcd.io/name": "kiro"}},
    {"labels": {"helm.toolkit.fluxcd.io/name": "kiro"}},
    {"managedFields": [{"manager": "argocd-controller", "operation": "Apply"}]},
    {"managedFields": [{"manager": "kustomize-controller", "operation": "Apply"}]},
]


@pytest.mark.parametrize("metadata", MARKS)
def test_what_is_kept_in_git_is_reverted_there(metadata: dict[str, Any]) -> None:
    made = plan(seen(stored({"product.md": BROKEN}, metadata=metadata), good=kept()))
    [decision] = made.decisions
    assert (decision.decision, decision.gate, decision.reason) == ("Denied", "gitops", "OwnedByGitOps")
    assert "revert it there" in decision.message
    assert [item.reason for item in made.escalations] == ["OwnedByGitOps"]


@pytest.mark.parametrize(
    ("changes", "metadata", "gate"),
    [
        ({"actions": []}, {}, "allowed-actions"),
        ({"pauseRequests": ["maintenance"]}, {}, "pause-requests"),
        ({"mode": "Observe"}, {}, "mode"),
        ({"protected": {"selectors": [{"matchLabels": {"a": "b"}}]}}, {"labels": {"a": "b"}}, "protected"),
        ({}, {"annotations": {"kiro.dev/protected": "true"}}, "protected"),
    ],
)
def test_the_gates_hold_for_it_as_well(changes: dict[str, Any], metadata: dict[str, Any], gate: str) -> None:
    facts = seen(stored({"product.md": BROKEN}, metadata=metadata), good=kept())
    [decision] = plan(facts, allowed(**changes)).decisions
    assert (decision.decision, decision.gate) == ("Denied", gate)


def test_another_object_or_none_to_be_seen_is_not_acted_on() -> None:
    judged = seen(stored({"product.md": BROKEN}), good=kept())
    another = seen(stored({"product.md": BROKEN}, metadata={"uid": "u-2"}), good=kept())
    unseen = replace(judged, samples={STEERING.name: Sample(2, NOW, Unobserved("Timeout", "no answer"))})
    for facts in (another, unseen):
        made = plan(facts, judged=judged)
        assert not made.decisions
        assert [item.reason for item in made.held] == ["EvidenceMissing"]


def test_who_breaks_it_again_soon_after_is_for_a_person_to_stop() -> None:
    facts = seen(stored({"product.md": BROKEN}), good=kept())
    [first] = plan(facts).decisions
    done = Entry(
        name=first.intent.name,
        action=ACTION,
        method=Method.PATCH,
        target=first.intent.target,
        episode=1,
        step=1,
        state=RemediationState.SUCCEEDED,
        reserved_at=NOW - timedelta(minutes=8),
        acted_at=NOW - timedelta(minutes=8),
        completed_at=NOW - timedelta(minutes=7),
        check="steering-syntax",
    )
    made = plan(facts, ledger=Ledger((done,)))
    assert not made.decisions
    assert [item.reason for item in made.escalations] == ["LadderExhausted"]
