"""The triggers of escalation: each tier has one, none contradicts another, each can fire."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import combinations, permutations

from kiro_operator.api.v1alpha1.autonomy import EscalationTrigger
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.series import Answer, partial
from kiro_operator.core.evidence.triggers import TRIGGER_METRICS
from kiro_operator.core.findings import clip, found
from kiro_operator.core.partial import incomplete
from kiro_operator.core.snapshot import NOT_CONFIGURED, Ref, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, skipped, unknown

TIERS = ("Tier2", "Tier3", "Management")
_ORDER = ("TriggersContradictory", "TriggerUnreachable", "TriggerUnset")


def judge(snapshot: Snapshot, _parameters: Parameters, now: datetime) -> Verdict:
    """Judge each policy's triggers; what the policy alone tells counts whatever Prometheus says."""
    declared = {
        name: spec.escalation.triggers
        for name, spec in sorted(snapshot.policies.items())
        if spec.escalation is not None
    }
    if not declared:
        return skipped(
            "NotDeclared",
            "No KiroSafetyPolicy says when a matter goes to another tier: write spec.escalation.",
        )
    sample = snapshot.value(TRIGGER_METRICS)
    findings: list[Finding] = []
    for name, triggers in declared.items():
        texts: dict[str, list[str]] = {}
        for reason, text in _faults(triggers):
            texts.setdefault(reason, []).append(text)
        findings += (_finding(name, reason, found_, now, at_once=True) for reason, found_ in texts.items())
        if lost := _lost(triggers, sample):
            since = snapshot.sampled_at(TRIGGER_METRICS, now)
            findings.append(_finding(name, "TriggerUnreachable", lost, since, at_once=False))
    if findings:
        return found(_merged(findings))
    named = {trigger.metric for triggers in declared.values() for trigger in triggers if trigger.metric}
    blind = _blind(named, sample) if named else None
    if blind is not None:
        return unknown(blind)
    if missing := _missing(sample):
        return incomplete(missing)
    return passed("Each tier has a trigger, each trigger can fire, and none contradicts another.")


def _finding(name: str, reason: str, texts: list[str], since: datetime, *, at_once: bool) -> Finding:
    text = clip(f"KiroSafetyPolicy {name}: {'; '.join(texts)}", 960)
    return Finding(Ref("KiroSafetyPolicy", name), reason, text, since, at_once=at_once)


def _merged(findings: list[Finding]) -> list[Finding]:
    """By weight; what is told of one policy from both sides is one finding."""
    groups: dict[tuple[Ref, str], Finding] = {}
    for item in findings:
        other = groups.get((item.object, item.reason))
        if other is not None:
            text = clip(f"{other.message}; {item.message.partition(': ')[2]}", 960)
            item = Finding(item.object, item.reason, text, other.since, at_once=other.at_once)  # noqa: PLW2901
        groups[item.object, item.reason] = item
    return sorted(groups.values(), key=lambda item: (_ORDER.index(item.reason), item.object))


def _faults(triggers: Sequence[EscalationTrigger]) -> Iterator[tuple[str, str]]:
    """What the triggers alone tell, each as a reason and words."""
    if unset := [tier for tier in TIERS if all(trigger.tier != tier for trigger in triggers)]:
        yield "TriggerUnset", f"no trigger calls {', '.join(unset)}: add one to spec.escalation.triggers"
    for low, high in permutations(triggers, 2):
        if TIERS.index(low.tier) < TIERS.index(high.tier) and _same(low, high) and high.after <= low.after:
            yield (
                "TriggersContradictory",
                (
                    f"{high.name} calls {high.tier} no later than {low.name} calls {low.tier} for the same: "
                    f"let {high.name} wait longer"
                ),
            )
    for one, other in combinations(triggers, 2):
        if one.metric == other.metric and _overlap(one, other) and one.tier == other.tier:
            yield (
                "TriggersContradictory",
                (
                    f"{one.name} and {other.name} leave no value of {one.metric} at which neither fires: "
                    "move one of the thresholds"
                ),
            )
    shadowed: set[str] = set()
    for other, one in permutations(triggers, 2):
        if other.name in shadowed or one.name in shadowed or not _shadows(other, one):
            continue
        shadowed.add(one.name)
        yield (
            "TriggerUnreachable",
            (
                f"{one.name} never adds anything, because {other.name} calls {other.tier} for it already, "
                "and no later: take one of them out"
            ),
        )


def _same(one: EscalationTrigger, other: EscalationTrigger) -> bool:
    return (one.condition, one.metric, one.above, one.below) == (
        other.condition,
        other.metric,
        other.above,
        other.below,
    )


def _overlap(one: EscalationTrigger, other: EscalationTrigger) -> bool:
    """Whether every value is above the one threshold or below the other."""
    for high, low in ((one, other), (other, one)):
        if high.above is not None and low.below is not None and high.above < low.below:
            return True
    return False


def _shadows(other: EscalationTrigger, one: EscalationTrigger) -> bool:
    """Whether the other trigger fires for the same tier whenever this one does, and no later."""
    return other.tier == one.tier and other.after <= one.after and _covers(other, one)


def _covers(other: EscalationTrigger, one: EscalationTrigger) -> bool:
    if one.condition is not None:
        return other.condition in {one.condition, "Healthy"}
    if other.metric != one.metric:
        return False
    if one.above is not None and other.above is not None:
        return other.above <= one.above
    return one.below is not None and other.below is not None and other.below >= one.below


def _lost(triggers: Sequence[EscalationTrigger], sample: tuple[Answer, ...] | Unobserved) -> list[str]:
    """Triggers on metrics that nothing evaluates."""
    named = [trigger for trigger in triggers if trigger.metric is not None]
    if isinstance(sample, Unobserved):
        if named and sample.reason == NOT_CONFIGURED:
            names = ", ".join(trigger.name for trigger in named)
            return [f"nothing evaluates the metric of {names}: set spec.prometheus of the KiroHealthCheck"]
        return []
    missing = {answer.query.expr: _nothing(answer) for answer in sample}
    return [
        f"{trigger.name} cannot fire: {missing[trigger.metric]}"
        for trigger in named
        if trigger.metric is not None and missing.get(trigger.metric)
    ]


def _nothing(answer: Answer) -> str:
    if answer.missing is not None:
        return "its metric is no valid PromQL" if answer.missing.reason == "QueryInvalid" else ""
    # A store that is down looks like a metric that is not there.
    there = any(series.points for series in answer.series) or partial(answer)
    return "" if there else "Prometheus has no series for its metric"


def _missing(sample: tuple[Answer, ...] | Unobserved) -> tuple[str, ...]:
    """What is missing from answers in which no series is."""
    if isinstance(sample, Unobserved):
        return ()
    empty = (answer for answer in sample if not any(series.points for series in answer.series))
    return tuple(sorted({text for answer in empty for text in partial(answer)}))


def _blind(named: set[str], sample: tuple[Answer, ...] | Unobserved) -> Unobserved | None:
    """Why it is not known whether the metrics that are named exist."""
    if isinstance(sample, Unobserved):
        return sample
    if not named <= {answer.query.expr for answer in sample}:
        return _NOT_SAMPLED
    return next((answer.missing for answer in sample if answer.missing is not None), None)


_NOT_SAMPLED = Unobserved(
    "NotSampled",
    "Prometheus has not been asked yet for all metrics that triggers name, or there are too many.",
)

_EACH_METRIC = (
    "kubectl get ksp -n {namespace} -o jsonpath="
    "'{{range .items[*].spec.escalation.triggers[*]}}{{.metric}}{{\"\\n\"}}{{end}}' "
    "| grep . | xargs -d '\\n' -n1 promtool query instant {prometheus}; "
    "kubectl get ksp -n {namespace} -o jsonpath='{{.items[*].spec.escalation}}'"
)

CHECK = Check(
    title="Every tier has a trigger that can fire",
    section="autonomous-operations-safety",
    command="kubectl get kirosafetypolicies -n {namespace} -o jsonpath='{{.items[*].spec.escalation}}'",
    commands={"TriggerUnreachable": _EACH_METRIC},
    sources=(TRIGGER_METRICS, Source.POLICIES),
    judge=judge,
)
