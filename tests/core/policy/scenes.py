"""Moments at which an action is called for, and what the operator does then under given policies.

A scene has one target, so that what one action leaves of a budget to another is no matter of it. All that
checks look at is out of order all the time: a scene is about what one of them finds.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.adapters.kubernetes.safety_config import kept, named_by
from kiro_operator.adapters.steering.config_maps import documents
from kiro_operator.api.v1alpha1.autonomy import RoleRule
from kiro_operator.api.v1alpha1.evidence.mcp import McpEvidence
from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.access import wanted
from kiro_operator.core.amended import exact
from kiro_operator.core.checks import registry
from kiro_operator.core.decide import Inputs, decide
from kiro_operator.core.decide import Policy as InForce
from kiro_operator.core.evidence.access import ACCESS, Access, RbacRule, Review, Subject
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.evidence.mcp import MCP_HEALTH, MCP_SESSIONS, Call, Health, McpSession
from kiro_operator.core.evidence.restorable import RESTORABLE, Bounds, FoundBinding, FoundRole, Restorable
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData
from kiro_operator.core.evidence.steering import STEERING, Kept, Steering
from kiro_operator.core.grants import declared, grants
from kiro_operator.core.objects import (
    Approval,
    ApprovalSpec,
    AutoscalerSpec,
    ConditionKind,
    Container,
    HorizontalPodAutoscaler,
    Metadata,
    ObjectCondition,
    PlanReference,
    PlanTarget,
    Pod,
    PodSpec,
    ReplicaSet,
    ScaleTargetRef,
    Service,
    ServiceSpec,
    TemplateAnnotations,
    Truth,
    Workload,
)
from kiro_operator.core.policy.plan import New, Past
from kiro_operator.core.policy.situation import Census
from kiro_operator.core.policy.storms import observe
from kiro_operator.core.policy.types import Change, Entry, Intent
from kiro_operator.core.records.types import OperationRecord, Outcome, RecordObject
from kiro_operator.core.remedies.types import Refusal
from kiro_operator.core.snapshot import Collection, Own, Ref, Sample, Snapshot, Unobserved
from kiro_operator.core.templates import returning
from kiro_operator.core.verdict import Amendment, Finding, Status, Verdict
from kiro_operator.reconcile.policies import Policy
from tests.core.policy.make import (
    RESTART,
    SCALE,
    entry,
    failing,
    finding,
    inputs,
    platform,
    pod,
    ref,
    snapshot,
    spec,
    well,
)

Object = dict[str, Any]
Verdicts = dict[str, tuple[Verdict, bool]]


class Want(Struct, frozen=True):
    """An action, how it is carried out, and which check asks for it."""

    action: ActionName
    method: Method
    check: str = ""
    """Empty: pods fail, or nothing does."""
    kind: str = ""
    """Of what the check finds, what is to be treated at objects of this kind; empty: all of it."""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.action, self.method, self.check, self.kind)))


class Scene(Struct, frozen=True, kw_only=True):
    """A moment at which one action is called for."""

    name: str
    wants: Want
    at: datetime
    past: tuple[Entry, ...] = ()
    replicas: int = 4
    failing: int = 1
    made: Object = {}
    """Further properties of the workload; its labels are those of other targets, too."""
    neighbours: int = 0
    """Pods of another workload."""
    ill: int = 0
    """How many of those fail."""
    casualties: int = 0
    """How many of the pods failed five minutes ago."""
    approved: str = ""
    """The gate at which a person has approved the plan."""
    bound: int = 6
    """The maximum that is proposed for an autoscaler."""
    calm: bool = False
    """Kiro may do, and does, nothing but what the good policy has it do."""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = utc("2026-06-10T12:00")
EVICT, ROLL = Want(RESTART, Method.EVICT), Want(RESTART, Method.ROLLOUT_RESTART)
UP, BACK = Want(SCALE, Method.SCALE_UP), Want(SCALE, Method.SCALE_BACK)
RECONNECT = Want(ActionName.RECONNECT_MCP, Method.EXEC, "mcp-server-health")
RESYNC = Want(ActionName.RESYNC_MCP, Method.EXEC, "mcp-data-accuracy")
CONFIG, CONFIG_GONE = (
    Want(ActionName.RESTORE_SAFETY_CONFIG, method, "safety-config")
    for method in (Method.PATCH, Method.CREATE)
)
ROLE, ROLE_GONE, BINDING = (
    Want(ActionName.RESTORE_RBAC, method, "safety-cluster-role", kind)
    for method, kind in (
        (Method.PATCH, "ClusterRole"),
        (Method.CREATE, "ClusterRole"),
        (Method.PATCH, "ClusterRoleBinding"),
    )
)
STEER = Want(ActionName.RESTORE_STEERING, Method.PATCH, "steering-syntax")
EXCESS, CROSSED = (
    Want(ActionName.CONTAIN, Method.PATCH, check)
    for check in ("service-account-permissions", "autonomous-scope")
)
LOG = Want(ActionName.DETAILED_LOGGING, Method.PATCH, "mcp-response-quality")
LOG_BACK = Want(ActionName.DETAILED_LOGGING, Method.GIVE_BACK)
SIZE = Want(ActionName.RIGHT_SIZE, Method.PATCH, "over-provisioned")
BOUNDS = Want(ActionName.CHANGE_AUTOSCALING, Method.PATCH, "autoscaling-configuration")
TURN_OFF = Want(ActionName.REMOVE_UNUSED, Method.PATCH, "unused-resources")
GO_BACK = Want(ActionName.ROLLBACK, Method.PATCH, "workloads-available")
BY_ITSELF = (
    *(ROLL, RECONNECT, RESYNC, CONFIG, CONFIG_GONE, ROLE, ROLE_GONE, BINDING, STEER, EXCESS, CROSSED),
    *(LOG, LOG_BACK),
)
PROPOSED = (SIZE, BOUNDS, TURN_OFF, GO_BACK)
LEAD = "technical-lead"
LEDGER = {"labels": {"app": "ledger"}}
DEFAULT_CONFIG, DEFAULT_ROLE = "kiro-safety-config", "kiro-autonomous-operations"
"""Names that are meant where none is written; there are objects of these names as well."""
GUARD, LOGGING, STEERED, BOT = "guardrails", "kiro-logging", "kiro-steering", "kiro-scaler"
"""Names of what the good policy is about."""
TIMES = {
    "noon": NOON,
    "at night": utc("2026-06-10T00:45"),
    "late": utc("2026-06-10T22:00"),
    "as a window opens": utc("2026-06-10T04:00"),
    "just before": utc("2026-06-10T03:59"),
    "on a Saturday": utc("2026-06-13T12:00"),
    "on a Sunday": utc("2026-06-14T12:00"),
    "in the hour that is skipped": utc("2026-03-29T01:10"),
    "after it": utc("2026-03-29T01:45"),
    "in the hour that comes twice": utc("2026-10-25T00:40"),
    "and once more": utc("2026-10-25T01:40"),
    "between the two": utc("2026-10-25T01:10"),
    "on a leap day": utc("2028-02-29T12:00"),
}


def before(step: int, state: str, method: Method, minutes: float, target: str = "api", **more: Any) -> Entry:
    """An action that ended so many minutes before noon, and took one."""
    end = NOON - timedelta(minutes=minutes)
    return entry(step, state, method, target=ref(target), at=end - timedelta(minutes=1), ended=end, **more)


def key_set(action: ActionName, name: str, at: datetime, data: Object, undo: Object) -> Entry:
    """A key of a ConfigMap that was set, and stood five minutes later."""
    made = entry(1, "Succeeded", Method.PATCH, target=Ref("ConfigMap", name, f"uid-{name}"), at=at)
    written, back = (json.dumps({"data": each}) for each in (data, undo))
    return replace(made, action=action, change=Change(written, "", back), check="")


LEAVING = replace(before(1, "Verifying", Method.PATCH, 7, "web"), action=TURN_OFF.action)
LONG_AGO = timedelta(hours=2)
CONTAINED = key_set(
    ActionName.CONTAIN, GUARD, NOON - LONG_AGO, {"operations": "suspended"}, {"operations": None}
)


def _at_other_times() -> Iterator[Scene]:
    for name, at in TIMES.items():
        yield Scene(name=f"eviction {name}", wants=EVICT, at=at)
    for name in ("noon", "at night", "late", "on a Saturday"):
        for want in BY_ITSELF:
            yield Scene(name=f"{want} {name}", wants=want, at=TIMES[name])
        for want in (UP, BACK):
            for gate in ("", LEAD):
                yield Scene(name=f"{want} {name}, {gate}", wants=want, at=TIMES[name], approved=gate)
        for want in (SIZE, BOUNDS):
            yield Scene(name=f"{want} {name}, {LEAD}", wants=want, at=TIMES[name], approved=LEAD)


def _after_other_actions() -> Iterator[Scene]:
    others = tuple(before(1, "Succeeded", ROLL.method, 7 * n, f"other-{n}") for n in range(1, 9))
    for many in (1, 2, 3, 8):
        yield Scene(name=f"after {many} others", wants=EVICT, at=NOON, past=others[:many])
    scaled = tuple(before(1, "Succeeded", UP.method, 7 * n, f"other-{n}", replicas=(3, 4)) for n in (1, 2))
    yield Scene(name="after others were scaled", wants=UP, at=NOON, past=scaled, approved=LEAD)
    yield Scene(name="a restart after those", wants=EVICT, at=NOON, past=scaled)
    old = tuple(before(1, "Succeeded", ROLL.method, 70 + n, f"old-{n}") for n in range(3))
    yield Scene(name="after an hour", wants=EVICT, at=NOON, past=old)
    for minutes in (1, 4, 6):
        scaled = (before(1, "Succeeded", UP.method, minutes, replicas=(3, 4)),)
        yield Scene(name=f"{minutes} minutes after it was scaled", wants=EVICT, at=NOON, past=scaled)
    for failures in (1, 2, 3):
        for minutes in (7, 45, 400):
            past = tuple(
                before(n, "Failed", EVICT.method, minutes + (failures - n) * 60)
                for n in range(1, failures + 1)
            )
            yield Scene(name=f"{minutes} minutes after {failures} failures", wants=ROLL, at=NOON, past=past)


def _of_other_workloads() -> Iterator[Scene]:
    for gate in ("operator-approver", "executive"):
        yield Scene(name=f"scaling approved at {gate}", wants=UP, at=NOON, approved=gate)
    for replicas in (5, 6):
        yield Scene(name=f"of {replicas} replicas", wants=UP, at=NOON, replicas=replicas, approved=LEAD)
    yield Scene(name="at the floor", wants=BACK, at=NOON, replicas=2, neighbours=2, approved=LEAD)
    for ill in (2, 3, 4):
        yield Scene(name=f"{ill} of 4 failing", wants=EVICT, at=NOON, failing=ill)
    for casualties in (2, 4):
        yield Scene(name=f"{casualties} have just failed", wants=EVICT, at=NOON, casualties=casualties)
    yield Scene(name="a single replica", wants=EVICT, at=NOON, replicas=1, neighbours=3)
    recreated = {"strategy": "Recreate"}
    yield Scene(name="Recreate", wants=ROLL, at=NOON, replicas=2, neighbours=8, made=recreated)
    for labels in ({"app": "ledger"}, {"app": "ledger", "tier": "db"}):
        yield Scene(name=f"protected {len(labels)}", wants=EVICT, at=NOON, made={"labels": labels})
    restarted = TemplateAnnotations(restarted_at="2026-06-10T11:58:00Z")
    yield Scene(name="just restarted by somebody", wants=EVICT, at=NOON, made={"template": restarted})


def _of_other_objects() -> Iterator[Scene]:
    for want in (RECONNECT, CONFIG, ROLE, STEER, EXCESS, LOG, LOG_BACK):
        yield Scene(name=f"{want} of what is protected", wants=want, at=NOON, made=LEDGER)
    for want in (EXCESS, CROSSED):
        yield Scene(name=f"{want} where the good policy finds none", wants=want, at=NOON, calm=True)
    yield Scene(name="while it is contained", wants=CONFIG, at=NOON, past=(CONTAINED,))
    for want in PROPOSED:
        yield Scene(name=f"{want} that nobody has approved", wants=want, at=NOON)
    yield Scene(name="beyond the ceiling", wants=BOUNDS, at=NOON, bound=9, approved=LEAD)


def _of_what_passes_where_others_stop() -> Iterator[Scene]:
    """What is turned off is not missed, and what is stuck is taken back: that is all they are spared."""
    others = tuple(before(1, "Succeeded", ROLL.method, 7 * n, f"other-{n}") for n in (1, 2, 3))
    scaled = (before(1, "Succeeded", UP.method, 1, replicas=(3, 4)),)
    for want in (TURN_OFF, GO_BACK):
        for name in ("late", "on a Saturday"):
            yield Scene(name=f"{want} {name}", wants=want, at=TIMES[name], approved=LEAD)
        about: Object = {"wants": want, "at": NOON, "approved": LEAD}
        yield Scene(name=f"{want} alone", **about)
        yield Scene(name=f"{want} of what is protected", made=LEDGER, **about)
        yield Scene(name=f"{want} after 3 others", past=others, **about)
        yield Scene(name=f"{want} after its scaling", past=scaled, **about)
        yield Scene(name=f"{want} when 2 have just failed", casualties=2, **about)
    recreated = {"strategy": "Recreate"}
    about = {"wants": GO_BACK, "at": NOON, "approved": LEAD}
    yield Scene(name="the way back of Recreate", replicas=2, neighbours=8, made=recreated, **about)
    yield Scene(name="the way back of 2 of 4 failing", failing=2, **about)
    # Of eight pods two would be few.
    leaving: Object = {"at": NOON, "neighbours": 4}
    yield Scene(name="beside 2 of 4", wants=TURN_OFF, approved=LEAD, failing=0, ill=2, **leaving)
    yield Scene(name="while others leave", wants=EVICT, failing=2, past=(LEAVING,), **leaving)


SCENES = (
    *_at_other_times(),
    *_after_other_actions(),
    *_of_other_workloads(),
    *_of_other_objects(),
    *_of_what_passes_where_others_stop(),
)


def taken(document: Any, name: str) -> InForce:
    """A policy as the operator takes it in, with the mass failures that the scenes may add."""
    policy = Policy(("kiro", name))
    metadata = {"uid": f"uid-{name}", "generation": 1, "resourceVersion": "1"}
    policy.take({"metadata": metadata, "spec": document}, NOON)
    return InForce(name, policy.spec, policy.problem)


def allowed(scene: Scene, policies: Iterable[InForce]) -> set[tuple[Any, ...]]:
    """What would be done: one element for each thing done, so that less is a subset of more."""
    situated = _inputs(scene, tuple(_weathered(policy, scene) for policy in policies))
    plan = decide(situated)
    asked = [decision.intent for decision in plan.decisions]
    if plan.proposals:
        waiting = tuple(_on_record(new, scene) for new in plan.proposals)
        situated, asked = replace(situated, proposals=waiting), [past.intent for past in waiting]
    approvals = _approvals(asked, scene) if scene.approved else ()
    if plan.proposals or approvals:
        plan = decide(replace(situated, approvals=approvals))
    done = (decision.intent for decision in plan.decisions if decision.decision == "Allowed")
    return {thing for intent in done for thing in _things(intent)}


def _things(intent: Intent) -> Iterator[tuple[Any, ...]]:
    what = (
        *(intent.action, intent.method, intent.target, intent.pod, intent.command),
        intent.stabilization,  # for how long, of what is set for a while
    )
    if intent.replicas is not None:
        old, new = intent.replicas
        yield from ((*what, number) for number in range(min(old, new), max(old, new) + 1) if number != old)
        return
    yield what
    if intent.change is not None:
        yield from ((*what, piece) for piece in _pieces(json.loads(intent.change.patch)))


def _pieces(patch: Any, *at: str) -> Iterator[tuple[Any, ...]]:
    """Each thing that is written; of rules what they grant, so that fewer of them are less."""
    if isinstance(patch, dict):
        for key, value in patch.items():
            yield from _pieces(value, *at, key)
    elif at == ("rules",):
        yield from ((*at, grant) for grant in grants(declared(map(RoleRule.model_validate, patch or []))))
    elif isinstance(patch, list):
        yield from ((*at, json.dumps(item, sort_keys=True)) for item in patch)
    elif at != ("subjects",):
        yield (*at, patch)


def _weathered(policy: InForce, scene: Scene) -> InForce:
    if policy.spec is None or not scene.casualties:
        return policy
    earlier = observe(None, policy.spec, Census(4, scene.casualties), scene.at - timedelta(minutes=5))
    return replace(policy, storm=observe(earlier, policy.spec, Census(4, 1), scene.at - timedelta(minutes=4)))


_RECORDS: dict[tuple[str, Intent], Past] = {}
"""By scene and what is proposed in it: most policies have the same proposed."""


def _on_record(new: New, scene: Scene) -> Past:
    """A proposal that was just made, exact for the object as it is."""
    key = scene.name, new.intent
    if key not in _RECORDS:
        _RECORDS[key] = _recorded(new, scene)
    return _RECORDS[key]


def _recorded(new: New, scene: Scene) -> Past:
    drafted, found = new.intent, LIVE[new.intent.target.kind]
    if new.source is not None:
        back = returning(new, found, EARLIER)
        if isinstance(back, Refusal):
            raise ValueError(f"{scene.name}: {back.message}")
        drafted = back
    intent = exact(drafted, found, new.workload, scene.at)
    if intent is None:
        raise ValueError(f"{scene.name}: nothing is to be proposed")
    state = RemediationState.PROPOSED
    return Past(intent=intent, name=intent.name, made_at=scene.at, state=state, open=True, mine=True)


def _approvals(asked: Iterable[Intent], scene: Scene) -> tuple[Approval, ...]:
    """Each plan, approved at the scene's gate."""
    return tuple(
        Approval(
            metadata=Metadata(name=f"yes-{n}", namespace="kiro", uid=f"y-{n}", creation_timestamp=scene.at),
            spec=ApprovalSpec(
                gate=scene.approved,
                decision="Approve",
                decided_by="dana",
                reason="it is safe",
                plan=PlanReference(intent.digest, _named(intent.target)),
                expires_at=(scene.at + timedelta(hours=1)).isoformat(),
            ),
        )
        for n, intent in enumerate(asked)
    )


def _named(target: Ref) -> PlanTarget:
    return PlanTarget(target.kind, target.name, target.uid)


def _inputs(scene: Scene, policies: tuple[InForce, ...]) -> Inputs:
    facts = _seen(scene, {policy.name: policy.spec for policy in policies if policy.spec is not None})
    if scene.wants in {EVICT, ROLL, UP}:
        return _illness(scene, facts, policies)
    past = scene.past
    if scene.wants is BACK:
        grown = (scene.replicas - 1, scene.replicas)
        began = scene.at - timedelta(hours=3)
        past = (*past, entry(9, "Succeeded", UP.method, at=began, ended=began, replicas=grown))
    if scene.wants is LOG_BACK:
        at = scene.at - LONG_AGO
        past = (*past, key_set(LOG_BACK.action, LOGGING, at, {"level": "debug"}, {"level": "info"}))
    found = _found(scene, facts)
    made = inputs(found, facts, past, policies=policies, health_check=ORDINARY, now=scene.at)
    return replace(made, commands=COMMANDS)


def _illness(scene: Scene, facts: Snapshot, policies: tuple[InForce, ...]) -> Inputs:
    """Pods that fail."""
    since = scene.at - timedelta(minutes=3)
    remedy = scene.wants.action
    found = [
        finding(f"api-{n}", since=since, remedies=(remedy,), wide=scene.wants is ROLL)
        for n in range(max(1, scene.failing))
    ]
    checked = LADDERS[remedy]
    return inputs(failing(*found), facts, scene.past, policies=policies, health_check=checked, now=scene.at)


def _found(scene: Scene, facts: Snapshot) -> Verdicts:
    """What the check of the scene finds."""
    want = scene.wants
    if not want.check:
        return well()
    if want in PROPOSED:
        return {want.check: (_waste(scene), True)}
    check = registry()[want.check].check
    parameters = {"label": "app=api"} if want is CROSSED else {}
    verdict: Verdict = check.judge(facts, check.parameters.model_validate(parameters), scene.at)
    mine = tuple(
        each for each in verdict.findings
        if not want.kind or (each.target is not None and each.target.kind == want.kind)
    )  # fmt: skip
    return {want.check: (replace(verdict, findings=mine), True)}


def _waste(scene: Scene) -> Verdict:
    """What a person is to decide on."""
    amendments = {
        SIZE: Amendment(SIZE.action, ref(), (("api/cpu", "50m"),)),
        BOUNDS: Amendment(BOUNDS.action, SCALER, (("maxReplicas", str(scene.bound)),)),
        TURN_OFF: Amendment(TURN_OFF.action, ref(), (("replicas", "0"),)),
        GO_BACK: Amendment(GO_BACK.action, ref(), (("replicaSet", "api-first"), ("revision", "1"))),
    }
    amendment = amendments[scene.wants]
    since = scene.at - timedelta(minutes=3)
    found = Finding(amendment.target, "Wasteful", "it is set badly", since, amendment=amendment)
    return Verdict(Status.FAIL, "Wasteful", "waste", (found,))


SCALER = Ref("HorizontalPodAutoscaler", "hpa", "uid-hpa")


def _template(image: str) -> Object:
    container = {"name": "api", "image": image, "resources": {"requests": {"cpu": "2"}}}
    return {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [container]}}


def _revision(number: str) -> Object:
    return {"annotations": {"deployment.kubernetes.io/revision": number}}


LIVE: Mapping[str, Object] = {
    "Deployment": {
        "metadata": {"name": "api", "uid": "uid-api", "resourceVersion": "100", "generation": 3}
        | _revision("2"),
        "spec": {"replicas": 4, "template": _template("api:2")},
        "status": {"observedGeneration": 3},
    },
    "HorizontalPodAutoscaler": {
        "metadata": {"name": "hpa", "uid": "uid-hpa", "resourceVersion": "1"},
        "spec": {"minReplicas": 1, "maxReplicas": 4},
    },
}
"""What is read before a proposal goes on record."""
EARLIER: Object = {
    "metadata": {
        "name": "api-first",
        "uid": "uid-api-first",
        "ownerReferences": [{"kind": "Deployment", "name": "api", "uid": "uid-api", "controller": True}],
    }
    | _revision("1"),
    "spec": {"template": _template("api:1")},
}
"""The revision that runs while the second one does not get going."""
STUCK = ObjectCondition(ConditionKind.PROGRESSING, Truth.FALSE, "ProgressDeadlineExceeded")

ORDINARY = KiroHealthCheckSpec()
LADDERS = {remedy: spec(*[(remedy, "5m")] * 4) for remedy in (RESTART, SCALE)}
COMMANDS = {
    RECONNECT.action: ("mcp-client", "reconnect"),
    RESYNC.action: ("mcp-client", "resync"),
}
MCP = {
    "client": {"selector": {"matchLabels": {"app": "api"}}},
    "servers": [{"name": "shop", "service": {"name": "web", "port": 8080}}],
}
SESSION = McpSession("shop", "http://web", calls=(Call("lamp", "get", agrees=False, error=True),))
PATH, PASSED, BROKEN = (
    ".kiro/steering/product.md",
    "---\ninclusion: always\n---\n# Product\n",
    "---\ninclusion: sometimes\n---\n# Product\n",
)
WIDE = Bounds(
    (
        RbacRule(("get", "list", "patch", "delete"), ("", "apps"), ("pods", "deployments")),
        RbacRule(("get",), non_resource_urls=("/version", "/metrics")),
    ),
    (
        *(Subject("ServiceAccount", name, place) for name in ("kiro", "scaler") for place in ("kiro", "ops")),
        Subject("Group", "leads"),
    ),
)
"""The baseline of the cluster's administrator, who trusts the policies."""
HARMFUL, HARMLESS = (
    OperationRecord("o", action, Outcome.SUCCESS, target=RecordObject(kind, place), change_size=percent)
    for action, kind, place, percent in (
        ("delete", "Node", "ops", 400),
        ("restart", "Deployment", "kiro", 10),
    )
)
DENIED = frozenset({("secrets", ""), ("pods", "exec")})
"""Resources and subresources that the good policy has Kiro denied."""


def _config_map(name: str, data: Mapping[str, str], labels: Mapping[str, str]) -> bytes:
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "7", "labels": labels}
    return json.dumps({"kind": "ConfigMap", "metadata": metadata, "data": data}).encode()


def _config_maps(scene: Scene) -> dict[str, ConfigData]:
    contained = {"operations": "suspended"} if CONTAINED in scene.past else {}
    holding = {
        LOGGING: {"level": "debug" if scene.wants is LOG_BACK else "info"},
        STEERED: {"product.md": BROKEN},
    }
    if scene.wants is not CONFIG_GONE:
        holding |= {GUARD: {"mode": "odd"} | contained, DEFAULT_CONFIG: {"mode": "odd"}}
    labels = scene.made.get("labels", {})
    return {name: kept(_config_map(name, data, labels)) for name, data in holding.items()}


def _restorable(name: str, scene: Scene) -> Restorable:
    """A ClusterRole that grants everything, or none, bound to a stranger; and its baseline."""
    version = {"resource_version": "7", "labels": scene.made.get("labels", {})}
    role = FoundRole(uid=f"uid-{name}", rules=(RbacRule(("*",), ("*",), ("*",)),), **version)
    mallory = (Subject("Group", "mallory"),)
    binding = FoundBinding(
        uid=f"uid-binding-{name}", role_kind="ClusterRole", role_name=name, subjects=mallory, **version
    )
    return Restorable(None if scene.wants is ROLE_GONE else role, binding, WIDE)


def _platform(scene: Scene) -> Snapshot:
    made, pods = platform(scene.replicas, 0 if scene.wants is BACK else scene.failing, **scene.made)
    marks = replace(made.metadata.annotations, revision="2")
    made = replace(made, metadata=replace(made.metadata, annotations=marks))
    if scene.wants is GO_BACK:
        made = replace(made, status=replace(made.status, updated_replicas=1, conditions=(STUCK,)))
    names = {each.target.name for each in scene.past if each.target.kind == "Deployment"}
    others: list[Workload] = [platform(name=name)[0] for name in names]
    elsewhere: list[Pod] = [pod(f"web-{n}", "web", ready=n >= scene.ill) for n in range(scene.neighbours)]
    more = [*others, platform(name="web", failing=0)[0]]
    scaler = HorizontalPodAutoscaler(
        metadata=Metadata(name=SCALER.name, uid=SCALER.uid),
        spec=AutoscalerSpec(ScaleTargetRef("Deployment", "web"), min_replicas=1, max_replicas=4),
    )
    running = PodSpec(containers=(Container("main"),))
    seen = snapshot(
        [made, *(each for each in more if each.metadata.name != "api")],
        [replace(each, spec=running) for each in (*pods, *elsewhere)],
        [scaler],
    )
    revisions = [msgspec.convert(EARLIER, ReplicaSet)]
    if isinstance(seen.replica_sets, Collection):
        revisions += seen.replica_sets
    return replace(seen, replica_sets=Collection.of(revisions))


def _facts(scene: Scene) -> Snapshot:
    """The platform, and what is sampled whatever policies say."""
    labels = scene.made.get("labels", {})
    holder, read = documents(_config_map(STEERED, {"product.md": BROKEN}, labels), 1_000_000)
    good = {PATH: Kept(f"ConfigMap {STEERED}", "product.md", PASSED)}
    record = HARMLESS if scene.calm else HARMFUL
    values = {
        SAFETY_CONFIG.name: _config_maps(scene),
        RESTORABLE.name: {name: _restorable(name, scene) for name in (BOT, DEFAULT_ROLE)},
        STEERING.name: Steering(tuple(read), holders=(holder,), restore=True, kept=good),
        MCP_HEALTH.name: (Health("shop", "http://web/health", 503),),
        MCP_SESSIONS.name: (SESSION,),
        POD_LOGS.name: (LogTail("api-1", "main", (), 900.0, window=(record,)),),
    }
    web = Service(metadata=Metadata(name="web"), spec=ServiceSpec(selector={"app": "web"}))
    return replace(
        _platform(scene),
        services=Collection.of([web]),
        own=Own(mcp=McpEvidence.model_validate(MCP)),
        samples={name: Sample(1, scene.at, value) for name, value in values.items()},
    )


_FACTS: dict[tuple[str, bool], Snapshot] = {}
"""By scene: they depend on no policy."""


def _seen(scene: Scene, policies: Mapping[str, KiroSafetyPolicySpec]) -> Snapshot:
    """The facts, with what is sampled because policies speak of it."""
    key = scene.name, scene.calm
    if key not in _FACTS:
        _FACTS[key] = _facts(scene)
    facts = _FACTS[key]
    sampled = facts.value(SAFETY_CONFIG)
    there = {} if isinstance(sampled, Unobserved) else sampled
    asked, accounts, roles = wanted(policies, facts.namespace)
    reviews = tuple(
        Review(each, not scene.calm or (each.resource, each.subresource) not in DENIED) for each in asked
    )
    values = {
        SAFETY_CONFIG.name: {name: there.get(name) for name in named_by(policies.values())},
        ACCESS.name: Access(accounts=dict.fromkeys(accounts, True), looked_for=roles, reviews=reviews),
    }
    samples = {name: Sample(1, scene.at, value) for name, value in values.items()}
    return replace(facts, policies=policies, samples={**facts.samples, **samples})
