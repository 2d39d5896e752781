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
from kiro_operator.core.policy.limits import bounds, given, words
from kiro_operator.core.policy.windows import open_until, opens_at
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, unknown

WEEK, MONTH, YEAR = timedelta(days=8), timedelta(days=32), timedelta(days=367)
"""How far windows are followed: a little more than their cycle."""
_STEPS = 400
"""Openings and closings of a policy's windows that are followed before it is given up."""

_NOT_FOLLOWED, _HOLDS_BACK = "WindowsNotFollowed", "RangeHoldsBack"
_UNHEALTHY_ONLY = frozenset({ActionName.RESTART, ActionName.CONTAIN})
"""Actions that a lower bound of unhealthy pods does not hold back where they are needed: Restart is for pods
that fail, and Contain is not bound by it."""
_MANY = 1_000_000
"""Pods: more than any number that a policy may hold, so that a number as minHealthy leaves some."""

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
        aside = {_NOT_FOLLOWED: unsure, _HOLDS_BACK: warns}
        for reason, text in _problems(policy, now):
            finding = Finding(Ref("KiroSafetyPolicy", name), reason, f"KiroSafetyPolicy {name}: {text}", now)
            aside.get(reason, kept).append(finding)
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
    yield from _windows(policy, now)
    yield from _health(policy)
    yield from _budgets(policy)
    yield from _waits(policy)
    yield from _reach(policy)


def _health(policy: KiroSafetyPolicySpec) -> Iterator[Problem]:
    """Bounds of health that an action can never meet, or only while something else fails."""
    try:
        agreed = bounds(policy, _MANY)
    except ValueError as error:
        yield "RangeUnreadable", f"{given(policy)} keeps everything shut: {error}"
        return
    if agreed is None:
        return
    (least, most), listed = agreed, {each.name for each in policy.actions}
    if most == 0 and ActionName.RESTART in listed:
        text = "can never be met by Restart, which is for unhealthy pods: write e.g. maxUnhealthy: 40%"
        yield "NeverHealthyEnough", f"{words(policy)} {text}"
    if least and (held := sorted(listed - _UNHEALTHY_ONLY)):
        text = (
            f"{words(policy)} also holds {', '.join(held)} back while fewer than {least} pods are unhealthy, "
            "and they may be needed while all are Ready: begin the range with 0"
        )
        yield _HOLDS_BACK, text


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


def _windows(policy: KiroSafetyPolicySpec, now: datetime) -> Iterator[Problem]:
    forbidden: list[Window] = []
    maintenance: list[Window] = []
    for kind, windows, readable in (
        ("forbidden", policy.forbidden_windows, forbidden),
        ("maintenance", policy.maintenance_windows, maintenance),
    ):
        for window in windows or ():
            try:
                open_until(window, now)
            except ValueError as error:
                yield "WindowUnreadable", f"{kind} window {window.name} keeps everything shut: {error}"
            else:
                readable.append(window)
    free = _free(forbidden, now)
    if free is None:
        yield _NOT_FOLLOWED, "its forbidden windows close and open too often to be followed: join them"
    elif not free:
        yield "AlwaysForbidden", "its forbidden windows leave no time to act: shorten or drop one"
    elif forbidden:
        yield from _shadowed(maintenance, forbidden, now)


def _free(windows: list[Window], now: datetime) -> bool | None:
    """Whether there is a moment at which no window is open; None when it takes too long to tell."""
    at, end = now, now + _cycle(windows)
    for _ in range(_STEPS):
        closes = _closed_until(windows, at)
        if closes is None:
            return True
        if closes >= end:
            return False
        at = closes
    return None


def _shadowed(maintenance: list[Window], forbidden: list[Window], now: datetime) -> Iterator[Problem]:
    """Maintenance windows in which nothing can be done, because a forbidden one is open all the while."""
    steps = iter(range(_STEPS))
    useful = {window.name: _is_useful(window, forbidden, now, steps) for window in maintenance}
    if None in useful.values():
        yield _NOT_FOLLOWED, "its windows close and open too often to be followed: join them"
    elif useful and not any(useful.values()):
        text = "its maintenance windows open only while a forbidden window is open: move one or the other"
        yield "AlwaysForbidden", text
    else:
        for name in sorted(name for name, found in useful.items() if not found):
            text = f"maintenance window {name} opens only while a forbidden window is open: move or drop it"
            yield "WindowShadowed", text


def _is_useful(window: Window, forbidden: list[Window], now: datetime, steps: Iterator[int]) -> bool | None:
    """Whether the window is open at a moment at which nothing is forbidden; None when it takes too long."""
    at = (now if open_until(window, now) else opens_at(window, now)) or now
    end = at + _cycle([window, *forbidden])
    for _ in steps:
        if open_until(window, at) is None:
            opening = opens_at(window, at)
            if opening is None or opening >= end:
                return False
            at = opening
        closes = _closed_until(forbidden, at)
        if closes is None:
            return True
        at = closes
    return None


def _closed_until(windows: list[Window], at: datetime) -> datetime | None:
    """When the last of the windows that are open now closes; None while none is open."""
    return max((until for window in windows if (until := open_until(window, at)) is not None), default=None)


def _cycle(windows: list[Window]) -> timedelta:
    """How far windows are followed until they repeat themselves."""
    fields = [window.schedule.split() for window in windows]
    if any(month != "*" for _, _, _, month, _ in fields):
        return YEAR
    return MONTH if any(day != "*" for _, _, day, _, _ in fields) else WEEK


CHECK = Check(
    title="The criteria of policies and checks make sense",
    section="signal-quality-decisions",
    command="kubectl get kirosafetypolicies,kirohealthchecks -n {namespace} -o yaml",
    sources=(Source.POLICIES, Source.HEALTH_CHECK),
    judge=judge,
    parameters=DecisionCriteriaParameters,
)
