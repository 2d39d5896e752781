"""Whether policies and settings make sense: criteria that contradict, can never be met or never bind."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec, Mode, Window
from kiro_operator.api.v1alpha1.types import format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.signal_quality._settings import contradictions, without_effect
from kiro_operator.core.findings import found
from kiro_operator.core.policy.windows import open_until
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, unknown

WEEK, MONTH = timedelta(days=8), timedelta(days=32)
"""How far forbidden windows are followed: a little more than their cycle."""
_STEPS = 400
"""Closings of windows that are followed before it is given up."""

_NOT_FOLLOWED = "WindowsNotFollowed"

Problem = tuple[str, str]
"""Reason, and what to do."""


class DecisionCriteriaParameters(Parameters):
    """What decision-criteria is to expect."""

    actions: Annotated[list[ActionName], Field(max_length=16)] = Field(
        default=[],
        description="Actions that the ladder counts on, such as Restart; some policy must allow each.",
    )


def judge(snapshot: Snapshot, parameters: DecisionCriteriaParameters, now: datetime) -> Verdict:
    """Judge the settings of the checks, and each policy: in mode Enforce it fails, before that it warns."""
    fails = _told(contradictions(snapshot.own.settings), now)
    warns = _told(without_effect(snapshot.own.settings), now)
    unsure: list[Finding] = []
    for name, policy in sorted(snapshot.policies.items()):
        kept = fails if policy.mode is Mode.ENFORCE else warns
        for reason, text in _problems(policy, now):
            finding = Finding(Ref("KiroSafetyPolicy", name), reason, f"KiroSafetyPolicy {name}: {text}", now)
            (unsure if reason == _NOT_FOLLOWED else kept).append(finding)
    allowed = {listed.name for policy in snapshot.policies.values() for listed in policy.actions}
    for action in sorted(set(parameters.actions) - allowed):
        text = (
            f"Action {action} is on the ladder and no policy of the namespace allows it: list it or drop it"
        )
        fails.append(Finding(Ref("Action", action), "ActionNotAllowed", text, now))
    if fails:
        return found(fails)
    if unsure:
        return unknown(Unobserved(_NOT_FOLLOWED, unsure[0].message))
    if warns:
        return found(warns, status=Status.WARN)
    if not snapshot.policies:
        # That settings make sense does not make a namespace well in which there is nothing else to judge.
        return skipped("NoPolicies", f"Namespace {snapshot.namespace} has no KiroSafetyPolicy to judge.")
    return passed("The criteria of policies and checks agree with each other, and each can be met.")


def _told(problems: Iterable[tuple[str, str, str]], now: datetime) -> list[Finding]:
    """What is wrong with settings, as (id of the check, reason, text)."""
    return [
        Finding(Ref("Check", name), reason, f"Check {name}: {text}", now) for name, reason, text in problems
    ]


def _problems(policy: KiroSafetyPolicySpec, now: datetime) -> Iterator[Problem]:
    if policy.mode is Mode.ENFORCE and not policy.actions:
        yield "NothingAllowed", "mode is Enforce and no action is listed: list one, or set mode Observe"
    yield from _windows(policy.forbidden_windows or [], now)
    yield from _health(policy)
    yield from _budgets(policy)
    yield from _waits(policy)
    yield from _reach(policy)


def _health(policy: KiroSafetyPolicySpec) -> Iterator[Problem]:
    """Whatever asks for an action is unhealthy itself."""
    if policy.max_unhealthy in (0, "0%", "00%"):
        text = "can never be met, because what asks for an action is unhealthy: write e.g. 40%"
        yield "NeverHealthyEnough", f"maxUnhealthy {policy.max_unhealthy} {text}"
    if policy.min_healthy == "100%":
        text = "can never be met, because what asks for an action is unhealthy: write e.g. 60%"
        yield "NeverHealthyEnough", f"minHealthy 100% {text}"


def _budgets(policy: KiroSafetyPolicySpec) -> Iterator[Problem]:
    total = policy.budget
    if total is not None and total.limit == 0 and policy.actions:
        yield "BudgetZero", "actions are listed and the budget over all of them is 0: raise budget.limit"
        return
    for listed in policy.actions:
        own = listed.budget
        if own.limit == 0:
            text = f"{listed.name} is listed with a budget of 0: raise its limit or leave it out"
            yield "BudgetZero", text
        elif total is not None and own.limit > total.limit and own.window <= total.window:
            text = (
                f"the budget of {listed.name}, {own.limit} in {format_duration(own.window)}, never binds: "
                f"that of all actions is {total.limit} in {format_duration(total.window)}"
            )
            yield "BudgetShadowed", text


def _waits(policy: KiroSafetyPolicySpec) -> Iterator[Problem]:
    backoff, cooldown = policy.backoff, policy.cooldown
    if backoff is not None and cooldown is not None and timedelta(0) < backoff.maximum < cooldown:
        text = (
            f"backoff never binds: its maximum {format_duration(backoff.maximum)} is below the cooldown "
            f"{format_duration(cooldown)}"
        )
        yield "BackoffShadowed", text


def _reach(policy: KiroSafetyPolicySpec) -> Iterator[Problem]:
    scales = any(listed.name is ActionName.SCALE for listed in policy.actions)
    if scales and policy.scale is not None and policy.scale.floor == policy.scale.ceiling:
        yield "ScaleFixed", "Scale is allowed and scale.floor equals scale.ceiling: raise the ceiling"
    protected = policy.protected.selectors if policy.protected is not None else []
    if policy.actions and any(not item.match_labels and not item.match_expressions for item in protected):
        text = "actions are listed and an empty protected selector protects everything: give it labels"
        yield "EverythingProtected", text


def _windows(windows: list[Window], now: datetime) -> Iterator[Problem]:
    readable: list[Window] = []
    for window in windows:
        try:
            open_until(window, now)
        except ValueError as error:
            yield "WindowUnreadable", f"forbidden window {window.name} keeps everything shut: {error}"
        else:
            readable.append(window)
    if not readable:
        return
    free = _free(readable, now)
    if free is None:
        yield _NOT_FOLLOWED, "its forbidden windows close and open too often to be followed: join them"
    elif not free:
        yield "AlwaysForbidden", "its forbidden windows leave no time to act: shorten or drop one"


def _free(windows: list[Window], now: datetime) -> bool | None:
    """Whether there is a moment at which no window is open; None when it takes too long to tell."""
    weekly = all(window.schedule.split()[2:4] == ["*", "*"] for window in windows)
    at, end = now, now + (WEEK if weekly else MONTH)
    for _ in range(_STEPS):
        closes = [until for window in windows if (until := open_until(window, at)) is not None]
        if not closes:
            return True
        at = max(closes)
        if at >= end:
            return False
    return None


CHECK = Check(
    title="The criteria of policies and checks make sense",
    section="signal-quality-decisions",
    command="kubectl get kirosafetypolicies,kirohealthchecks -n {namespace} -o yaml",
    sources=(Source.POLICIES, Source.HEALTH_CHECK),
    judge=judge,
    parameters=DecisionCriteriaParameters,
)
