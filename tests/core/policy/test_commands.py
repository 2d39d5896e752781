"""ReconnectMCP and ResyncMCP: which command in which pod, what comes after it, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.evidence.mcp import McpEvidence
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import KiroRemediationSpec, Method, RemediationState
from kiro_operator.core.checks import registry
from kiro_operator.core.decide import Plan, Policy, decide
from kiro_operator.core.evidence.mcp import (
    MCP_CLIENT,
    MCP_HEALTH,
    MCP_SESSIONS,
    Call,
    ClientTest,
    Health,
    McpSession,
)
from kiro_operator.core.mcp_client import READS
from kiro_operator.core.objects import (
    ConditionKind,
    Container,
    Metadata,
    ObjectCondition,
    Pod,
    PodSpec,
    Service,
    ServiceSpec,
    Truth,
    Workload,
)
from kiro_operator.core.policy.types import Entry, remediation_name
from kiro_operator.core.remedies.commands import told
from kiro_operator.core.snapshot import Collection, Own, Ref, Sample, Snapshot
from kiro_operator.core.verdict import Status, Verdict
from kiro_operator.core.verify import is_open
from tests.core.policy.make import (
    BLIND,
    NOW,
    ago,
    failing,
    finding,
    inputs,
    pod,
    policy,
    ref,
    snapshot,
    spec,
    workload,
)

RECONNECT, RESYNC, RESTART = ActionName.RECONNECT_MCP, ActionName.RESYNC_MCP, ActionName.RESTART
COMMANDS = {RECONNECT: ("mcp-client", "reconnect"), RESYNC: ("mcp-client", "resync")}
MCP: dict[str, Any] = {
    "client": {"selector": {"matchLabels": {"app": "kiro"}}},
    "servers": [{"name": "shop", "service": {"name": "shop-service", "port": 8080}}],
}
LISTED = [
    {"name": name, "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}
    for name in ("ReconnectMCP", "ResyncMCP", "Restart", "Scale")
]
FREE: dict[str, Any] = {
    "cooldown": "0s",
    "backoff": {"initial": "0s", "maximum": "0s"},
    "actions": LISTED,
}
ALLOWED = policy(**FREE)
STALE = (McpSession("shop", "u", calls=(Call("lamp", "get", agrees=False),)),)
DOWN = (Health("shop", "http://shop-service/health", 503),)


def pods_of(name: str, **changes: Any) -> list[Pod]:
    made = [pod(f"{name}-{number}", name, **changes) for number in range(2)]
    return [replace(one, spec=PodSpec(containers=(Container("main"), Container("side")))) for one in made]


def seen(
    samples: dict[str, Any],
    *,
    mcp: dict[str, Any] | None = None,
    workloads: Iterable[Workload] | None = None,
    pods: Iterable[Pod] | None = None,
) -> Snapshot:
    made = [workload("kiro", replicas=2), workload("shop", replicas=2)] if workloads is None else workloads
    service = Service(metadata=Metadata(name="shop-service"), spec=ServiceSpec(selector={"app": "shop"}))
    return replace(
        snapshot(made, [*pods_of("kiro"), *pods_of("shop")] if pods is None else pods),
        services=Collection.of([service]),
        samples={name: Sample(1, NOW, value) for name, value in samples.items()},
        own=Own(mcp=McpEvidence.model_validate(MCP if mcp is None else mcp)),
    )


def judged(check_id: str, facts: Snapshot) -> Verdict:
    check = registry()[check_id].check
    return check.judge(facts, check.parameters(), NOW)


def planned(
    facts: Snapshot,
    *check_ids: str,
    entries: Iterable[Entry] = (),
    commands: Any = COMMANDS,
    more: Any = None,
    by: Any = ALLOWED,
) -> Plan:
    verdicts = {check_id: (judged(check_id, facts), True) for check_id in check_ids} | (more or {})
    given = inputs(verdicts, facts, entries, policies=(Policy("safe", by),))
    return decide(replace(given, commands=commands))


def tried(action: ActionName, step: int, target: str = "kiro", **changes: Any) -> Entry:
    where = ref(target)
    fields: dict[str, Any] = {
        "name": remediation_name(where, 1, step),
        "action": action,
        "method": Method.ROLLOUT_RESTART if action is RESTART else Method.EXEC,
        "target": where,
        "episode": 1,
        "step": step,
        "state": RemediationState.FAILED,
        "reserved_at": ago(minutes=20 - step),
        "acted_at": ago(minutes=20 - step),
        "completed_at": ago(minutes=19 - step),
        "check": "mcp-server-health",
    }
    return Entry(**(fields | changes))


def test_the_command_is_run_in_the_first_ready_pod_of_the_client() -> None:
    unready = replace(pods_of("kiro", ready=False)[0])
    facts = seen({MCP_HEALTH.name: DOWN}, pods=[unready, pods_of("kiro")[1], *pods_of("shop")])
    [decision] = planned(facts, "mcp-server-health").decisions
    intent = decision.intent
    assert (decision.decision, intent.action, intent.method) == ("Allowed", RECONNECT, Method.EXEC)
    assert intent.target == ref("kiro")
    assert intent.pod == Ref("Pod", "kiro-1", "uid-kiro-1")
    assert intent.fence.uid == "uid-kiro-1"
    assert intent.command is not None
    assert (intent.command.argv, intent.command.container) == (("mcp-client", "reconnect"), "main")


@pytest.mark.parametrize(
    ("check_id", "samples", "action"),
    [
        ("mcp-server-health", {MCP_HEALTH.name: DOWN}, RECONNECT),
        ("mcp-connection", {MCP_CLIENT.name: ClientTest("kiro-0", "main", "test", status=2)}, RECONNECT),
        (
            "mcp-connection",
            {MCP_CLIENT.name: ClientTest("kiro-0", "main", "test", timed_out=True)},
            RECONNECT,
        ),
        ("mcp-tools", {MCP_SESSIONS.name: (McpSession("shop", "http://shop", expected=("a",)),)}, RECONNECT),
        (
            "mcp-data-accuracy",
            {MCP_SESSIONS.name: (McpSession("shop", "u", calls=(Call("lamp", "get", agrees=False),)),)},
            RESYNC,
        ),
        (
            "mcp-data-freshness",
            {
                MCP_SESSIONS.name: (
                    McpSession("shop", "u", calls=(Call("lamp", "get", written=ago(days=2)),)),
                )
            },
            RESYNC,
        ),
    ],
)
def test_each_check_asks_for_what_can_help(
    check_id: str, samples: dict[str, Any], action: ActionName
) -> None:
    [decision] = planned(seen(samples), check_id).decisions
    assert (decision.decision, decision.intent.action) == ("Allowed", action)
    assert set(READS) <= set(registry()[check_id].check.sources)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(Health("shop", "u", 401), "Unauthorized"), (Health("shop", "u", 200, 9.0), "Slow")],
)
def test_what_a_new_connection_cannot_help_against_asks_for_none(answer: Health, reason: str) -> None:
    made = planned(seen({MCP_HEALTH.name: (answer,)}), "mcp-server-health")
    assert not made.decisions
    assert [(item.reason, item.cause) for item in made.escalations] == [("NoRemedy", reason)]


@pytest.mark.parametrize(
    "changes",
    [
        {"mcp": {"servers": MCP["servers"]}},  # nobody says which pods are the client
        {"mcp": MCP | {"client": {}}},  # both workloads match
        {"mcp": MCP | {"client": {"selector": {"matchLabels": {"app": "other"}}}}},
    ],
)
def test_without_one_client_nothing_is_done(changes: dict[str, Any]) -> None:
    made = planned(seen({MCP_HEALTH.name: DOWN}, **changes), "mcp-server-health")
    assert not made.decisions
    assert [item.reason for item in made.escalations] == ["NoRemedy"]


@pytest.mark.parametrize(
    ("check_id", "samples", "flag"),
    [
        ("mcp-server-health", {MCP_HEALTH.name: DOWN}, "--mcp-reconnect-command"),
        ("mcp-data-accuracy", {MCP_SESSIONS.name: STALE}, "--mcp-resync-command"),
    ],
)
def test_without_a_command_nothing_graver_comes_and_the_flag_is_named(
    check_id: str, samples: dict[str, Any], flag: str
) -> None:
    """Neither the client nor the server is restarted because a milder step was not set up."""
    made = planned(seen(samples), check_id, commands={})
    assert not made.decisions
    [escalation] = made.escalations
    assert (escalation.reason, escalation.target.name) == ("CommandNotConfigured", "kiro")
    assert flag in escalation.message


def test_a_program_that_is_not_there_is_no_reason_for_a_restart() -> None:
    """Neither of the client nor of the server behind it; another command is still tried."""
    absent = tried(RECONNECT, 1, reason="CommandNotFound")
    facts = seen({MCP_HEALTH.name: DOWN})
    made = planned(facts, "mcp-server-health", entries=(absent,))
    assert not made.decisions
    [escalation] = made.escalations
    assert (escalation.reason, escalation.target.name) == ("CommandNotFound", "kiro")
    assert "ReconnectMCP ran nothing" in escalation.message
    stale = seen({MCP_HEALTH.name: DOWN, MCP_SESSIONS.name: STALE})
    both = planned(stale, "mcp-server-health", "mcp-data-accuracy", entries=(absent,))
    assert [item.intent.action for item in both.decisions] == [RESYNC]


def test_who_takes_the_command_off_the_ladder_asks_for_the_restart() -> None:
    facts = seen({MCP_HEALTH.name: DOWN})
    verdicts = {"mcp-server-health": (judged("mcp-server-health", facts), True)}
    absent = (tried(RECONNECT, 1, reason="CommandNotFound"),)
    ladder = spec((RESTART, "5m"))
    made = decide(inputs(verdicts, facts, absent, policies=(Policy("safe", ALLOWED),), health_check=ladder))
    [decision] = made.decisions
    assert (decision.decision, decision.intent.action, decision.intent.target.name) == (
        "Allowed",
        RESTART,
        "kiro",
    )


def test_what_crashes_is_restarted_although_a_program_is_not_there() -> None:
    absent = tried(RECONNECT, 1, reason="CommandNotFound")
    crash = failing(finding("kiro-0", ref("kiro")))
    made = planned(seen({MCP_HEALTH.name: DOWN}), "mcp-server-health", entries=(absent,), more=crash)
    assert [item.intent.action for item in made.decisions] == [RESTART]


@pytest.mark.parametrize("unseen", ["deployments", "stateful_sets", "daemon_sets", "services"])
@pytest.mark.parametrize(("check_id", "samples"), [("mcp-server-health", {MCP_HEALTH.name: DOWN})])
def test_while_it_cannot_be_seen_where_to_act_nothing_is_done_and_nothing_taken_for_mended(
    unseen: str, check_id: str, samples: dict[str, Any]
) -> None:
    facts = replace(seen(samples), **{unseen: BLIND})
    made = planned(facts, check_id)
    assert (made.decisions, made.escalations) == ((), ())
    assert [(item.check, item.action, item.reason) for item in made.held] == [
        (check_id, RECONNECT, "EvidenceMissing")
    ]
    [fault] = judged(check_id, facts).findings
    record = KiroRemediationSpec.model_construct(check=check_id)  # type: ignore[call-arg]
    assert is_open(fault, check_id, record)
    assert not is_open(judged(check_id, seen(samples)).findings[0], check_id, record)


FAILED = ClientTest("kiro-0", "main", "test", status=2)


def rolled_out(name: str) -> Workload:
    """A Deployment whose rollout makes progress."""
    made = workload(name, replicas=2, available=0)
    condition = ObjectCondition(ConditionKind.PROGRESSING, Truth.TRUE, "ReplicaSetUpdated")
    return replace(made, status=replace(made.status, conditions=(condition,)))


@pytest.mark.parametrize(
    ("check_id", "samples"),
    [
        ("mcp-server-health", {MCP_HEALTH.name: DOWN}),
        ("mcp-tools", {MCP_SESSIONS.name: (McpSession("shop", "http://shop", expected=("a",)),)}),
        ("mcp-connection", {MCP_CLIENT.name: FAILED}),
    ],
)
@pytest.mark.parametrize("mcp", [MCP, {"servers": MCP["servers"]}])
def test_while_the_server_is_rolled_out_nothing_is_done_and_nothing_taken_for_mended(
    check_id: str, samples: dict[str, Any], mcp: dict[str, Any]
) -> None:
    """Nor is a person called, also where nobody said which pods are the client."""
    facts = seen(samples, mcp=mcp, workloads=[workload("kiro", replicas=2), rolled_out("shop")])
    verdict = judged(check_id, facts)
    assert (verdict.status, verdict.reason) == (Status.WARN, "RolloutInProgress")
    made = planned(facts, check_id)
    assert (made.decisions, made.escalations, made.held) == ((), (), ())
    [fault] = verdict.findings
    record = KiroRemediationSpec.model_construct(check=check_id)  # type: ignore[call-arg]
    assert is_open(fault, check_id, record)


def test_while_the_pods_of_the_server_are_drained_nothing_is_done() -> None:
    going = pods_of("shop", ready=False, deleted=ago(seconds=5))
    facts = seen({MCP_HEALTH.name: DOWN}, pods=[*pods_of("kiro"), *going])
    verdict = judged("mcp-server-health", facts)
    assert (verdict.status, verdict.reason) == (Status.WARN, "Draining")
    late = [*pods_of("kiro"), *pods_of("shop", ready=False, deleted=ago(hours=1))]
    [decision] = planned(seen({MCP_HEALTH.name: DOWN}, pods=late), "mcp-server-health").decisions
    assert (decision.decision, decision.intent.action) == ("Allowed", RECONNECT)


@pytest.mark.parametrize(
    ("mcp", "moved"),
    [
        (MCP, "kiro"),  # the client itself
        (MCP | {"servers": [{"name": "shop", "host": "shop.example.com:443", "scheme": "https"}]}, "shop"),
    ],
)
def test_what_else_moves_holds_up_nothing(mcp: dict[str, Any], moved: str) -> None:
    others = [workload(name, replicas=2) for name in ("kiro", "shop") if name != moved]
    facts = seen({MCP_HEALTH.name: DOWN}, mcp=mcp, workloads=[*others, rolled_out(moved)])
    [decision] = planned(facts, "mcp-server-health").decisions
    assert (decision.decision, decision.intent.action) == ("Allowed", RECONNECT)


def test_one_command_that_is_not_set_does_not_hold_up_the_other() -> None:
    facts = seen({MCP_HEALTH.name: DOWN, MCP_SESSIONS.name: STALE})
    only = {RESYNC: COMMANDS[RESYNC]}
    [decision] = planned(facts, "mcp-server-health", "mcp-data-accuracy", commands=only).decisions
    assert decision.intent.action is RESYNC


def test_a_ladder_without_the_command_is_how_to_ask_for_the_restart() -> None:
    facts = seen({MCP_HEALTH.name: DOWN})
    verdicts = {"mcp-server-health": (judged("mcp-server-health", facts), True)}
    ladder = spec((RESTART, "5m"))
    made = decide(inputs(verdicts, facts, policies=(Policy("safe", ALLOWED),), health_check=ladder))
    [decision] = made.decisions
    assert (decision.decision, decision.intent.action, decision.intent.target.name) == (
        "Allowed",
        RESTART,
        "kiro",
    )


def test_a_command_that_the_policy_does_not_list_is_not_skipped_for_a_restart() -> None:
    listed = [item for item in LISTED if item["name"] == "Restart"]
    made = planned(
        seen({MCP_HEALTH.name: DOWN}), "mcp-server-health", by=policy(**(FREE | {"actions": listed}))
    )
    assert [(item.decision, item.intent.action) for item in made.decisions] == [("Denied", RECONNECT)]
    assert [item.reason for item in made.escalations] == ["ActionNotAllowed"]


def test_the_command_is_part_of_what_a_person_approves() -> None:
    facts = seen({MCP_HEALTH.name: DOWN})
    manual = policy(**(FREE | {"actions": [LISTED[0] | {"approval": "Manual"}]}))
    digests = set()
    for argv in (("mcp-client", "reconnect"), ("mcp-client", "reconnect", "--hard")):
        [decision] = planned(facts, "mcp-server-health", commands={RECONNECT: argv}, by=manual).decisions
        assert decision.gate == "approval"
        assert " ".join(argv) in decision.message
        digests.add(decision.intent.digest)
    assert len(digests) == 2


def test_without_a_ready_pod_it_waits() -> None:
    facts = seen({MCP_HEALTH.name: DOWN}, pods=pods_of("kiro", ready=False))
    made = planned(facts, "mcp-server-health", by=policy(maxUnhealthy="100%"))
    assert not made.decisions
    assert [(item.action, item.reason) for item in made.held] == [(RECONNECT, "NoReadyPod")]


def test_the_container_of_the_spec_is_taken() -> None:
    client = MCP["client"] | {"container": "side"}
    [decision] = planned(
        seen({MCP_HEALTH.name: DOWN}, mcp=MCP | {"client": client}), "mcp-server-health"
    ).decisions
    assert decision.intent.command is not None
    assert decision.intent.command.container == "side"


def test_after_the_command_the_client_is_restarted_and_then_the_server() -> None:
    facts = seen({MCP_HEALTH.name: DOWN})
    done: list[Entry] = []
    course = []
    for step, (action, target) in enumerate([(RECONNECT, "kiro"), (RESTART, "kiro"), (RESTART, "shop")], 1):
        [decision] = planned(facts, "mcp-server-health", entries=done).decisions
        course.append((decision.decision, decision.intent.action, decision.intent.target.name))
        assert course[-1] == ("Allowed", action, target)
        done.append(tried(action, step if target == "kiro" else 1, target))
    made = planned(facts, "mcp-server-health", entries=done)
    assert not made.decisions
    assert [(item.reason, item.target.name) for item in made.escalations] == [("LadderExhausted", "shop")]


def test_a_server_elsewhere_is_not_restarted() -> None:
    elsewhere = MCP | {"servers": [{"name": "shop", "host": "shop.example.com:443", "scheme": "https"}]}
    done = [tried(RECONNECT, 1), tried(RESTART, 2)]
    made = planned(seen({MCP_HEALTH.name: DOWN}, mcp=elsewhere), "mcp-server-health", entries=done)
    assert not made.decisions
    assert [(item.reason, item.target.name) for item in made.escalations] == [("LadderExhausted", "kiro")]


def test_what_no_command_helps_against_does_not_wait_for_one() -> None:
    facts = seen({MCP_HEALTH.name: DOWN})
    crash = failing(finding("kiro-0", ref("kiro"), since=ago(seconds=1)))
    [decision] = planned(facts, "mcp-server-health", more=crash).decisions
    assert decision.intent.action is RESTART


def test_a_server_that_fails_by_itself_is_treated_once() -> None:
    facts = seen({MCP_HEALTH.name: DOWN})
    crash = failing(finding("shop-0", ref("shop")))
    done = [tried(RECONNECT, 1), tried(RESTART, 2)]
    made = planned(facts, "mcp-server-health", entries=done, more=crash)
    assert [decision.intent.target.name for decision in made.decisions] == ["shop"]


@pytest.mark.parametrize("what", ["workload", "template", "pod"])
def test_what_is_protected_is_not_run_in(what: str) -> None:
    kiro = workload("kiro", replicas=2, protected="true" if what == "workload" else "")
    if what == "template":
        template = replace(kiro.spec.template.metadata.annotations, protected="true")
        kiro = workload("kiro", replicas=2, template=template)
    mine = pods_of("kiro", protected="true" if what == "pod" else "")
    facts = seen({MCP_HEALTH.name: DOWN}, workloads=[kiro, workload("shop", replicas=2)], pods=mine)
    [decision] = planned(facts, "mcp-server-health").decisions
    assert (decision.decision, decision.gate) == ("Denied", "protected")


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"actions": []}, "allowed-actions"),
        ({"mode": "Observe"}, "mode"),
        ({"pauseRequests": ["maintenance"]}, "pause-requests"),
        ({"budget": {"limit": 0, "window": "1h"}}, "budget"),
    ],
)
def test_the_gates_hold_for_a_command_as_well(changes: dict[str, Any], gate: str) -> None:
    [decision] = planned(
        seen({MCP_HEALTH.name: DOWN}), "mcp-server-health", by=policy(**(FREE | changes))
    ).decisions
    assert (decision.decision, decision.gate) == ("Denied", gate)


def test_a_single_replica_needs_no_consent_for_a_command() -> None:
    kiro = workload("kiro", replicas=1)
    facts = seen({MCP_HEALTH.name: DOWN}, workloads=[kiro, workload("shop")], pods=pods_of("kiro")[:1])
    [decision] = planned(facts, "mcp-server-health").decisions
    assert decision.decision == "Allowed"
    assert [item.message for item in decision.passed if item.gate == "disruption"] == [
        "a command in a pod takes none down"
    ]


def test_a_failed_command_is_no_recovery_while_the_fault_stays() -> None:
    """The target of a fault of another condition than Responsive is watched as well."""
    facts = seen({MCP_SESSIONS.name: STALE})
    made = planned(facts, "mcp-data-accuracy", entries=[tried(RESYNC, 1, check="mcp-data-accuracy")])
    assert made.memory["uid-kiro"].well_since is None
    assert [item.reason for item in made.escalations] == ["LadderExhausted"]


def test_what_a_command_writes_is_told_without_secrets_and_short() -> None:
    text = "x" * 5000 + "\n\x1b[31mtoken=hunter2hunter2hunter2\u202e\n\x00 gave up\n"
    words = told(3, text.encode() + b"\xff", whole=True)
    assert words.startswith("the command ended with exit status 3: ")
    assert "gave up" in words
    assert "hunter2" not in words
    assert words.isprintable()
    assert len(words) < 400
    assert told(0, b"token=hunter2", whole=True) == "the command ended with exit status 0"
    assert "hunter2" not in told(0, b"token=hunter2", whole=False)


def test_a_fault_keeps_its_words_whatever_can_be_done() -> None:
    facts = seen({MCP_HEALTH.name: DOWN})
    plain = replace(facts, own=Own())
    assert judged("mcp-server-health", facts).message == judged("mcp-server-health", plain).message
    assert judged("mcp-server-health", facts).status is Status.FAIL
    assert timedelta(0) == NOW - judged("mcp-server-health", facts).findings[0].since


def test_a_ladder_that_ends_with_the_command_names_what_is_missing() -> None:
    facts = seen({MCP_HEALTH.name: DOWN})
    verdicts = {"mcp-server-health": (judged("mcp-server-health", facts), True)}
    ladder = spec((RECONNECT, "5m"))
    made = decide(inputs(verdicts, facts, policies=(Policy("safe", ALLOWED),), health_check=ladder))
    assert [(item.reason, item.target.name) for item in made.escalations] == [
        ("CommandNotConfigured", "kiro")
    ]
