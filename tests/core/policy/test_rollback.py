"""Rollback: proposed of facts, exact to the letter, silent about values, and withdrawn in time."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.core.amended import exact
from kiro_operator.core.checks import registry
from kiro_operator.core.decide import Plan, Policy, decide
from kiro_operator.core.objects import Deployment, Pod, ReplicaSet
from kiro_operator.core.patches import merged
from kiro_operator.core.policy.plan import New, Past
from kiro_operator.core.policy.types import Change, Intent
from kiro_operator.core.proposals import HOLD
from kiro_operator.core.remedies import proposers
from kiro_operator.core.remedies.rollback import repository
from kiro_operator.core.remedies.types import Refusal
from kiro_operator.core.snapshot import Collection, Ref, Snapshot
from kiro_operator.core.templates import HASH, LONGEST, returning
from kiro_operator.core.verdict import Amendment, Status, Verdict
from kiro_operator.reconcile.outcomes import proposal
from tests.core.policy.make import BLIND, NOW, ago, inputs, policy, snapshot, well

Object = dict[str, Any]
CHECK = "workloads-available"
BUDGET = {"limit": 5, "window": "1h"}
ROLLBACK = {"name": "Rollback", "approval": "Manual", "budget": BUDGET}
RESTART = {"name": "Restart", "approval": "Automatic", "budget": BUDGET}
COMMAND = "kubectl rollout undo deployment/api -n kiro --to-revision=1"
TRACKED = "argocd.argoproj.io/tracking-id"
REVISION = "deployment.kubernetes.io/revision"
PLANTED = "hunter2-is-no-word"


def pod_template(image: str) -> Object:
    """A template with a literal credential, which no way back from one image to another touches."""
    return {
        "metadata": {"creationTimestamp": None, "labels": {"app": "api"}, "annotations": {"config": image}},
        "spec": {
            "containers": [
                {"name": "side", "image": "side:1", "env": [{"name": "LOG", "value": PLANTED}]},
                {
                    "name": "api",
                    "image": image,
                    "args": ["serve", "--port", "80"],
                    "env": [{"name": "DB_PASSWORD", "value": PLANTED}],
                    "resources": {"requests": {"cpu": "1"}},
                },
            ],
            "initContainers": [{"name": "init", "image": "init:1"}],
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": "config", "configMap": {"name": "one"}}],
        },
    }


def deployment(template: Object | None = None, revision: str = "3", **metadata: Any) -> Object:
    """A Deployment of four pods whose third revision does not get going."""
    return {
        "kind": "Deployment",
        "metadata": {
            "name": "api",
            "namespace": "kiro",
            "uid": "uid-api",
            "resourceVersion": "100",
            "generation": 3,
            "labels": {"app": "api"},
            "annotations": {REVISION: revision},
        }
        | metadata,
        "spec": {"replicas": 4, "template": template or pod_template("api:3")},
        "status": {
            "observedGeneration": 3,
            "replicas": 5,
            "updatedReplicas": 2,
            "availableReplicas": 3,
            "conditions": [progressing("False", "ProgressDeadlineExceeded")],
        },
    }


def progressing(status: str, reason: str) -> Object:
    since = ago(minutes=3).isoformat()
    return {"type": "Progressing", "status": status, "reason": reason, "lastTransitionTime": since}


def replica_set(
    revision: str, available: int, template: Object | None = None, owner: str = "uid-api"
) -> Object:
    """A revision of it, as its ReplicaSet has it."""
    template = copy.deepcopy(template or pod_template(f"api:{revision[:1]}"))
    template["metadata"]["labels"][HASH] = f"hash{revision[:1]}"
    return {
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"api-hash{revision[:1]}",
            "namespace": "kiro",
            "uid": f"uid-api-hash{revision[:1]}",
            "resourceVersion": "90",
            "annotations": {REVISION: revision},
            "ownerReferences": [{"kind": "Deployment", "name": "api", "uid": owner, "controller": True}],
        },
        "spec": {"replicas": available, "template": template},
        "status": {"availableReplicas": available},
    }


REVISIONS = (replica_set("1", 3), replica_set("2", 0), replica_set("3", 0))


def crashing() -> Object:
    """A pod of the third revision that a restart might help, as far as anybody can tell by looking at it."""
    waiting = {"reason": "CrashLoopBackOff"}
    crashed = {"exitCode": 1, "finishedAt": ago(minutes=1).isoformat()}
    times = {"lastTransitionTime": ago(minutes=9).isoformat()}
    state = {
        "name": "api",
        "restartCount": 9,
        "ready": False,
        "state": {"waiting": waiting},
        "lastState": {"terminated": crashed},
    }
    return {
        "metadata": {
            "name": "api-hash3-x",
            "namespace": "kiro",
            "uid": "uid-pod",
            "creationTimestamp": ago(minutes=9).isoformat(),
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": "api-hash3", "uid": "uid-api-hash3", "controller": True}
            ],
        },
        "spec": {"containers": [{"name": "api"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "False", **times}],
            "containerStatuses": [state],
        },
    }


def facts(found: Object | None = None, revisions: tuple[Object, ...] = REVISIONS, **changes: Any) -> Snapshot:
    seen = {
        "deployments": Collection.of([msgspec.convert(found or deployment(), Deployment)]),
        "replica_sets": Collection.of([msgspec.convert(item, ReplicaSet) for item in revisions]),
        "pods": Collection.of([msgspec.convert(crashing(), Pod)]),
    }
    return replace(snapshot(), **(seen | changes))


def judged(seen: Snapshot) -> dict[str, tuple[Verdict, bool]]:
    check = registry()[CHECK].check
    return {CHECK: (check.judge(seen, check.parameters(), NOW), True)}


def plan(
    seen: Snapshot,
    *past: Past,
    actions: tuple[Object, ...] = (ROLLBACK,),
    verdicts: dict[str, tuple[Verdict, bool]] | None = None,
    untold: dict[str, tuple[str, str]] | None = None,
    **changes: Any,
) -> Plan:
    spec = policy(**({"actions": list(actions), "scale": None} | changes))
    asked = inputs(judged(seen) if verdicts is None else verdicts, seen, policies=(Policy("safe", spec),))
    return decide(replace(asked, proposals=past, untold=untold or {}))


def fresh(seen: Snapshot | None = None) -> New:
    [new] = plan(seen or facts()).proposals
    return new


def recorded(found: Object | None = None, earlier: Object | None = None) -> Intent:
    """The proposal as it goes on record."""
    found, earlier = found or deployment(), earlier or REVISIONS[0]
    new = fresh(facts(found, (earlier, *REVISIONS[1:])))
    back = returning(new, found, earlier)
    assert isinstance(back, Intent), back
    intent = exact(back, found, new.workload, NOW)
    assert intent is not None
    return intent


def change_of(intent: Intent) -> Change:
    assert intent.change is not None
    return intent.change


def proposed(**changes: Any) -> Past:
    intent = recorded()
    fields: Object = {"state": RemediationState.PROPOSED, "open": True, "mine": True}
    made: Object = {"intent": intent, "name": intent.name, "made_at": NOW - timedelta(hours=1)}
    return Past(**(made | fields | changes))


def test_what_runs_is_proposed_and_not_what_failed_before() -> None:
    new = fresh()
    assert (new.intent.action, new.intent.method) == (ActionName.ROLLBACK, Method.PATCH)
    assert new.source == Ref("ReplicaSet", "api-hash1", "uid-api-hash1")
    assert change_of(new.intent).revision == "1"
    assert COMMAND in new.intent.message
    # Of two that run, the one that most pods are of is what was to be replaced.
    both = facts(revisions=(replica_set("1", 2), replica_set("2", 1), REVISIONS[2]))
    assert change_of(fresh(both).intent).revision == "1"


def test_the_patch_is_what_differs_and_its_undo_takes_it_back() -> None:
    intent, before = recorded(), deployment()
    patch, undo = (json.loads(text) for text in (change_of(intent).patch, change_of(intent).undo))
    assert patch == {
        "spec": {
            "template": {
                "metadata": {"annotations": {"config": "api:1"}},
                "spec": {"containers": [{"name": "api", "image": "api:1"}]},
            }
        }
    }
    after = merged(before, patch, strategic=True)
    assert after["spec"]["template"] == pod_template("api:1")
    assert merged(after, undo, strategic=True) == before
    assert change_of(intent).diff == (
        "spec.template.metadata.annotations.config: api:3 → api:1; "
        "spec.template.spec.containers[api].image: api:3 → api:1"
    )
    assert (intent.fence.uid, intent.fence.revision, change_of(intent).revision) == ("uid-api", "3", "1")
    assert intent.digest
    # What is told has the command, and no other way to do the same.
    told = proposal(intent, "kiro")
    assert (told.state, told.reason) == (RemediationState.PROPOSED, "AppliedByPerson")
    assert told.message.count("kubectl") == 2
    assert COMMAND in told.message


def template_of(
    images: tuple[str, str] = ("api:1", "init:1"), labels: Object | None = None, marks: Object | None = None
) -> Object:
    """A template of one container and one that goes before it."""
    metadata: Object = {"labels": {"app": "api"} | (labels or {})}
    if marks is not None:
        metadata["annotations"] = marks
    spec = {
        "containers": [{"name": "api", "image": images[0]}],
        "initContainers": [{"name": "init", "image": images[1]}],
    }
    return {"metadata": metadata, "spec": spec}


def but(template: Object, **spec: Any) -> Object:
    return template | {"spec": template["spec"] | spec}


SAME = template_of()
"""What there is to go back to."""
BY_OPERATOR: dict[str, Object] = {
    "a tag": template_of(("api:2", "init:1")),
    "two tags": template_of(("api:2", "init:2")),
    "a digest": template_of((f"api@sha256:{'0' * 64}", "init:1")),
    "a tag and a digest": template_of((f"api:2@sha256:{'0' * 64}", "init:1")),
    "no tag": template_of(("api", "init:1")),
    "a version": template_of(("api:2", "init:1"), labels={"app.kubernetes.io/version": "2"}),
    "a chart": template_of(("api:2", "init:1"), labels={"helm.sh/chart": "api-2"}),
    "a restart": template_of(
        ("api:2", "init:1"), marks={"kiro.dev/restarted-by": "r", "kubectl.kubernetes.io/restartedAt": "t"}
    ),
    "a checksum": template_of(("api:2", "init:1"), marks={"checksum/config": "2"}),
}
"""What differs from it by no more than a release of the same images does."""
BY_PERSON: dict[str, Object] = {
    "another image": template_of(("other:1", "init:1")),
    "another registry": template_of(("registry.example.com/api:1", "init:1")),
    "a path before it": template_of(("evil/api:1", "init:1")),
    "another init image": template_of(("api:2", "other:1")),
    "a label": template_of(("api:2", "init:1"), labels={"role": "admin"}),
    "an annotation": template_of(("api:2", "init:1"), marks={"sidecar.istio.io/inject": "false"}),
    "an annotation among others": template_of(
        ("api:2", "init:1"), marks={"checksum/config": "2", "sidecar.istio.io/inject": "false"}
    ),
    "a ServiceAccount": but(SAME, serviceAccountName="admin"),
    "the host's network": but(SAME, hostNetwork=True),
    "a command": but(SAME, containers=[{"name": "api", "image": "api:1", "command": ["sh"]}]),
    "a policy of pulling": but(
        SAME, containers=[{"name": "api", "image": "api:2", "imagePullPolicy": "Always"}]
    ),
}


@pytest.mark.parametrize("case", [*BY_OPERATOR, *BY_PERSON])
def test_only_a_release_of_the_same_images_is_for_the_operator_to_bring_back(case: str) -> None:
    now, method = (
        (BY_OPERATOR[case], Method.PATCH) if case in BY_OPERATOR else (BY_PERSON[case], Method.ADVISE)
    )
    intent = recorded(deployment(now), replica_set("1", 3, SAME))
    assert intent.method is method
    told = proposal(intent, "kiro")
    assert (told.reason == "AppliedByPerson") == (method is Method.ADVISE)
    after = merged(deployment(now), json.loads(change_of(intent).patch), strategic=True)
    assert after["spec"]["template"]["spec"] == SAME["spec"]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("api", "api"),
        ("api:1", "api"),
        ("api@sha256:00", "api"),
        ("api:1@sha256:00", "api"),
        ("host:5000/team/api:1", "host:5000/team/api"),
        ("host:5000/api", "host:5000/api"),
        ("host:5000/api@sha256:00", "host:5000/api"),
        ("", ""),
    ],
)
def test_an_image_is_named_by_all_before_its_tag(image: str, name: str) -> None:
    assert repository(image) == name


def paused(found: Object) -> None:
    found["spec"]["paused"] = True


def moving(found: Object) -> None:
    found["status"]["conditions"] = [progressing("True", "ReplicaSetUpdated")]


def not_begun(found: Object) -> None:
    found["status"]["conditions"] = [progressing("False", "ReplicaSetCreateError")]


def without_quota(found: Object) -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
    found["status"]["conditions"].append(failure)


def not_looked_at(found: Object) -> None:
    found["metadata"]["generation"] = 4


def off(found: Object) -> None:
    found["spec"]["replicas"] = 0


@pytest.mark.parametrize("state", [paused, moving, not_begun, without_quota, not_looked_at, off])
def test_only_a_rollout_that_is_stuck_is_taken_back(state: Callable[[Object], None]) -> None:
    found = deployment()
    state(found)
    assert not plan(facts(found)).proposals


@pytest.mark.parametrize(
    "revisions",
    [
        (REVISIONS[2],),
        # None runs, as with the strategy Recreate: it may have failed as well.
        (replica_set("1", 0), replica_set("2", 0), REVISIONS[2]),
        # As much of the new one runs, so that it is not what fails.
        (replica_set("1", 2), replica_set("3", 2)),
        # What is in force is not to be seen.
        REVISIONS[:2],
        # Others', newer ones, and what is no number.
        (replica_set("1", 3, owner="uid-other"), REVISIONS[2]),
        (replica_set("4", 3), REVISIONS[2]),
        (replica_set("1; true", 3), REVISIONS[2]),
        (replica_set("1" * 5000, 3), REVISIONS[2]),
        (replica_set("\N{ARABIC-INDIC DIGIT ONE}", 3), REVISIONS[2]),
    ],
)
def test_only_a_revision_that_is_seen_to_run_is_gone_back_to(revisions: tuple[Object, ...]) -> None:
    seen = facts(revisions=revisions)
    [finding] = judged(seen)[CHECK][0].findings
    assert (finding.reason, finding.amendment) == ("ProgressDeadlineExceeded", None)
    assert not plan(seen).proposals


@pytest.mark.parametrize(
    ("seen", "target", "values", "reason", "lasting"),
    [
        (facts(deployments=BLIND), "api", ("api-hash1", "1"), "EvidenceMissing", False),
        (facts(replica_sets=BLIND), "api", ("api-hash1", "1"), "EvidenceMissing", False),
        (facts(), "gone", ("api-hash1", "1"), "TargetGone", True),
        (facts(), "api", ("api-hash9", "1"), "RevisionGone", True),
        # Another ReplicaSet has that name, or that one has another number.
        (
            facts(revisions=(replica_set("1", 3, owner="other"),)),
            "api",
            ("api-hash1", "1"),
            "RevisionGone",
            True,
        ),
        (facts(), "api", ("api-hash1", "2"), "RevisionGone", True),
    ],
)
def test_what_was_found_is_held_against_what_is_there(
    seen: Snapshot,
    target: str,
    values: tuple[str, str],
    reason: str,
    lasting: bool,  # noqa: FBT001 - a column of the table
) -> None:
    wanted = tuple(zip(("replicaSet", "revision"), values, strict=True))
    amendment = Amendment(ActionName.ROLLBACK, Ref("Deployment", target, f"uid-{target}"), wanted)
    answer = proposers()[ActionName.ROLLBACK].draft(amendment, seen)
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.lasting) == (reason, lasting)


def test_what_is_not_seen_proposes_nothing() -> None:
    assert not plan(facts(replica_sets=BLIND)).proposals
    assert not plan(facts(), verdicts={CHECK: (judged(facts())[CHECK][0], False)}).proposals


def with_(place: str, value: Any) -> Callable[[Object], None]:
    """Set a value at a place of a template; None takes it away."""

    def change(template: Object) -> None:
        *path, last = place.split("/")
        at: Any = template
        for step in path:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        if value is None:
            del at[int(last) if isinstance(at, list) else last]
        else:
            at[last] = value

    return change


ENV = "spec/containers/1/env"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_(ENV, [{"name": "DB_PASSWORD", "value": "another"}]), "HoldsValues"),
        (with_(ENV, [{"name": "LEVEL", "value": "info"}]), "HoldsValues"),
        (with_(ENV, None), "HoldsValues"),
        (with_("spec/initContainers/0/env", [{"name": "A", "value": "b"}]), "HoldsValues"),
        (with_("spec/containers/1/args", ["--api-token", PLANTED]), "HoldsCredentials"),
        (with_("spec/containers/1/args", [f"--password={PLANTED}"]), "HoldsCredentials"),
        (with_("spec/containers/1/command", ["sh", "-c", f"curl -u me:{PLANTED} x"]), "HoldsCredentials"),
        (with_("metadata/annotations/api-token", PLANTED), "HoldsCredentials"),
        (with_("metadata/annotations/owner", "ada@example.com"), "HoldsCredentials"),
        (with_("metadata/annotations/url", f"https://me:{PLANTED}@db"), "HoldsCredentials"),
        # An item that comes or goes may hold an environment, and has a place.
        (with_("spec/containers/0", None), "NotExact"),
        (lambda template: template["spec"]["containers"].reverse(), "NotExact"),
        (with_("spec/volumes/0/name", "other"), "NotExact"),
        (with_("spec/initContainers", None), "NotExact"),
        (with_("spec/volumes/0", None), "NotExact"),
        (with_("spec/containers/1/ports", [{"containerPort": 80}]), "NotExact"),
        (
            with_("spec/containers/1/livenessProbe/httpGet/httpHeaders", [{"name": "A", "value": "b"}]),
            "NotExact",
        ),
        (with_("metadata/annotations/config", "é" * (LONGEST // 2)), "TooLong"),
    ],
)
@pytest.mark.parametrize("newer", [True, False])
def test_what_has_no_place_on_record_stays_words(
    change: Callable[[Object], None],
    reason: str,
    newer: bool,  # noqa: FBT001 - which of the two holds it: patch or undo
) -> None:
    now, then = pod_template("api:3"), pod_template("api:1")
    change(now if newer else then)
    found, earlier = deployment(now), replica_set("1", 3, then)
    new = fresh(facts(found, (earlier, *REVISIONS[1:])))
    refusal = returning(new, found, earlier)
    assert isinstance(refusal, Refusal), refusal
    assert (refusal.reason, refusal.lasting) == (reason, True)
    assert PLANTED not in refusal.message
    assert "another" not in refusal.message


def test_what_was_found_unfit_is_not_read_again_until_there_is_another_revision() -> None:
    assert not plan(facts(), untold={"uid-api": ("3", "1")}).proposals
    for other in (("2", "1"), ("3", "2")):
        assert plan(facts(), untold={"uid-api": other}).proposals


def usual(number: int) -> Object:
    """A template as a deployment tool makes it, with what changes from one release to the next."""
    made = pod_template(f"registry.example.com/kiro/kiro:1.{number}.0@sha256:{number:064x}")
    made["metadata"]["annotations"] = {
        "checksum/config": f"{number:064x}",
        "kubectl.kubernetes.io/restartedAt": f"2026-06-0{number}T12:00:00Z",
        "prometheus.io/port": f"808{number}",
    }
    made["spec"] |= {"serviceAccountName": f"kiro{number}", "terminationGracePeriodSeconds": 30 * number}
    made["spec"]["volumes"][1]["configMap"]["name"] = f"kiro-config-h7{number}k"
    made["spec"]["containers"][1] |= {
        "args": ["serve", "--port", f"808{number}", "--max-tokens=4096", f"--timeout={number}s"],
        "envFrom": [{"configMapRef": {"name": f"kiro-env-{number}"}}],
        "readinessProbe": {"httpGet": {"path": f"/health{number}", "port": 8080}, "periodSeconds": number},
        "resources": {"requests": {"cpu": f"{number}00m"}, "limits": {"memory": f"{number}Gi"}},
    }
    return made


def test_what_usually_differs_is_said() -> None:
    intent = recorded(deployment(usual(3)), replica_set("1", 3, usual(1)))
    after = merged(deployment(usual(3)), json.loads(change_of(intent).patch), strategic=True)
    assert after["spec"]["template"] == usual(1)


def test_no_value_of_an_environment_is_kept() -> None:
    intent = recorded()
    assert PLANTED not in json.dumps(msgspec.to_builtins(intent))
    assert PLANTED not in proposal(intent, "kiro").message


scalars = st.one_of(st.none(), st.sampled_from(["a", "b", "c d"]), st.integers(0, 2), st.booleans())
maps = st.dictionaries(st.sampled_from(["a", "volumes", "containers", "env"]), scalars, max_size=3)
lists = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3)
containers = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["api", "side"])},
        optional={
            "image": scalars,
            "args": lists,
            "resources": st.fixed_dictionaries({}, optional={"requests": maps, "limits": maps}),
            "env": st.lists(st.just({"name": "A", "value": PLANTED}), max_size=2),
            "ports": lists,
        },
    ),
    max_size=2,
    unique_by=lambda item: str(item["name"]),
)
templates = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"labels": maps}, optional={"annotations": maps})},
    optional={
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": containers,
                "nodeSelector": maps,
                "tolerations": lists,
                "volumes": containers,
            },
        )
    },
)


@given(templates, templates)
def test_whatever_differs_it_is_exact_or_not_said(now: Object, then: Object) -> None:
    found, earlier = deployment(now), replica_set("1", 3, then)
    new = fresh()
    back = returning(new, found, earlier)
    if isinstance(back, Refusal):
        assert back.reason in {"NotExact", "HoldsValues"}
        return
    intent = exact(back, found, new.workload, NOW)
    if intent is None:
        assert there(now) == there(then)
        return
    patch, undo = (json.loads(text) for text in (change_of(intent).patch, change_of(intent).undo))
    after = merged(found, patch, strategic=True)
    assert there(after["spec"]["template"]) == there(then)
    assert there(merged(after, undo, strategic=True)["spec"]["template"]) == there(now)
    assert PLANTED not in change_of(intent).patch + change_of(intent).undo + change_of(intent).diff
    if intent.method is Method.PATCH:
        assert without_images(now) == without_images(then)


def without_images(template: Object) -> Object:
    """What no operator changes. Nothing that the templates drawn here have marks a release."""
    made: Object = copy.deepcopy(there(template))
    for container in made.get("spec", {}).get("containers", ()):
        container.pop("image", None)
    return {
        f"{part}.{name}": value
        for part in ("metadata", "spec")
        for name, value in made.get(part, {}).items()
        if value
    }


def there(value: Any) -> Any:
    """What is not null."""
    if isinstance(value, dict):
        return {key: there(item) for key, item in value.items() if item is not None}
    return [there(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("found", "earlier"),
    [
        (None, REVISIONS[0]),
        (deployment(), None),
        (deployment(uid="uid-new"), REVISIONS[0]),
        (deployment(revision="4"), REVISIONS[0]),
        (deployment(), replica_set("4", 3)),
        (deployment(), replica_set("1", 3, owner="uid-other")),
    ],
)
def test_what_changed_before_it_was_read_is_looked_at_anew(
    found: Object | None, earlier: Object | None
) -> None:
    refusal = returning(fresh(), found, earlier)
    assert isinstance(refusal, Refusal)
    assert not refusal.lasting


def test_in_a_repository_it_is_reverted_there() -> None:
    found = deployment(labels={"kustomize.toolkit.fluxcd.io/name": "apps"})
    intent = recorded(found)
    assert (
        "Flux keeps Deployment api, and would take a change back: revert it in its repository"
        in intent.message
    )
    assert "kubectl rollout undo" not in proposal(intent, "kiro").message
    [finding] = judged(facts(deployment(annotations={REVISION: "3", TRACKED: "apps:api"})))[CHECK][0].findings
    assert "revert it in the repository from which Argo CD keeps it" in finding.message
    # So it is where only the whole object tells.
    marked = deployment(annotations={REVISION: "3", "argocd.argoproj.io/sync-wave": "2"})
    assert "Argo CD keeps Deployment api" in recorded(marked).message


def rolled_out(found: Object) -> None:
    found["status"]["conditions"] = [progressing("True", "NewReplicaSetAvailable")]
    found["status"] |= {"updatedReplicas": 4, "availableReplicas": 4, "replicas": 4}


def rolled_back(found: Object) -> None:
    found["metadata"]["annotations"] = {REVISION: "4"}


def as_it_was(_found: Object) -> None:
    pass


BACK = (replica_set("4", 3), *REVISIONS[1:])
"""The ReplicaSet of the first revision has a new number as soon as it is rolled out again."""


@pytest.mark.parametrize(
    ("state", "revisions", "reason"),
    [
        (as_it_was, REVISIONS, None),
        (rolled_out, REVISIONS, "Healed"),
        (rolled_back, BACK, "Changed"),
        (rolled_back, (*REVISIONS, replica_set("4", 0)), "Changed"),
        (as_it_was, REVISIONS[1:], "RevisionGone"),
        # Another one runs by now.
        (as_it_was, (replica_set("1", 0), replica_set("2", 3), REVISIONS[2]), "Superseded"),
        # A pod became ready for a moment, or those that ran are not ready for one.
        (moving, REVISIONS, None),
        (as_it_was, (replica_set("1", 0), *REVISIONS[1:]), None),
        (without_quota, REVISIONS, None),
        (paused, REVISIONS, None),
        # Its Deployment follows in a moment.
        (as_it_was, BACK, None),
    ],
)
def test_it_is_withdrawn_when_there_is_nothing_to_go_back_from_or_to(
    state: Callable[[Object], None], revisions: tuple[Object, ...], reason: str | None
) -> None:
    found = deployment()
    state(found)
    made = plan(facts(found, revisions), proposed())
    assert [item.reason for item in made.withdrawn] == ([reason] if reason else [])
    assert not made.proposals


def test_what_is_not_seen_withdraws_nothing() -> None:
    assert not plan(facts(replica_sets=BLIND), proposed()).withdrawn
    assert not plan(facts(deployments=BLIND), proposed()).withdrawn
    [gone] = plan(facts(), proposed(), actions=(RESTART,)).withdrawn
    assert gone.reason == "NotAllowed"


def test_after_it_the_next_one_is_about_another_revision_or_waits() -> None:
    ended = proposed(open=False, state=RemediationState.EXPIRED, reason="Lapsed", ended_at=NOW - HOLD / 2)
    assert not plan(facts(), ended).proposals
    other = facts(revisions=(replica_set("1", 0), replica_set("2", 3), REVISIONS[2]))
    assert plan(other, ended).proposals
    assert plan(facts(), replace(ended, reason="Changed")).proposals


def test_it_neither_blocks_a_restart_nor_takes_its_place() -> None:
    alone = plan(facts(), actions=(RESTART,))
    [restart] = alone.decisions
    # Which would do no good: the gates say so, and a person is called as before.
    assert (restart.gate, restart.reason) == ("disruption", "RolloutStuck")
    both = plan(facts(), actions=(RESTART, ROLLBACK))
    assert (both.decisions, both.escalations) == (alone.decisions, alone.escalations)
    assert len(both.proposals) == 1
    waiting = plan(facts(), proposed(), actions=(RESTART, ROLLBACK))
    assert waiting.decisions[:1] == alone.decisions
    assert waiting.escalations == alone.escalations
    [decision] = waiting.decisions[1:]
    assert (decision.decision, decision.reason) == ("Denied", "AppliedByPerson")


def test_a_dry_run_tells_of_it_and_records_nothing() -> None:
    made = plan(facts(), mode="DryRun")
    assert not made.proposals
    [decision] = [item for item in made.decisions if item.intent.action is ActionName.ROLLBACK]
    assert (decision.decision, "revision 3 → 1" in decision.message) == ("DryRun", True)


def test_the_healthy_propose_nothing() -> None:
    assert not plan(facts(), verdicts=well(CHECK)).proposals
    verdict, _ = judged(facts())[CHECK]
    assert not plan(facts(), verdicts={CHECK: (replace(verdict, status=Status.WARN), True)}).proposals
