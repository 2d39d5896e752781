"""What can be wrong with the settings of checks that are each valid by themselves.

What contradicts itself within the parameters of one check is refused when it is written. Here is what shows
only beside the interval, beside other checks, or in what a check reads. A limit at the end of its range, such
as 0 or 100 percent, is how a criterion is turned off, and no fault.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from kiro_operator.api.v1alpha1.types import format_duration
from kiro_operator.core.checks import Check, Parameters, registry
from kiro_operator.core.checks.autonomous_operations.node_capacity import NodeCapacityParameters
from kiro_operator.core.checks.cost_efficiency.utilization_patterns import UtilizationPatternsParameters
from kiro_operator.core.checks.response_quality.steering_changes import SteeringChangesParameters
from kiro_operator.core.snapshot import Setting, Source

Problem = tuple[str, str, str]
"""Id of the check, reason, and what to do."""

_SPANS = {"window": "window", "past": "past", "look_back": "lookBack"}
"""Fields that say how far back a check looks."""
_SAMPLED = {"failure_threshold": "failureThreshold", "success_threshold": "successThreshold"}
_WATCHED = {"fail_after": "failAfter", "recover_after": "recoverAfter"}


def contradictions(settings: Mapping[str, Setting]) -> Iterator[Problem]:
    """Criteria that can never be met, or that another one always beats."""
    for check_id, setting in sorted(settings.items()):
        check = registry()[check_id].check
        parameters = setting.parameters
        if isinstance(parameters, Parameters) and (text := parameters.shadowed()):
            yield check_id, "SettingShadowed", f"{text}: change one of them"
        for text in _out_of_reach(check, setting):
            yield check_id, "SettingUnreachable", text
    yield from _steering(settings)
    yield from _nodes(settings)


def without_effect(settings: Mapping[str, Setting]) -> Iterator[Problem]:
    """How a fault is to last of checks that do not count that way.

    An interval is not held against a check without samples: one is often set for all checks alike.
    """
    for check_id, setting in sorted(settings.items()):
        check = registry()[check_id].check
        if not check.polled:
            idle, why = _SAMPLED, "it is judged whenever the cluster changes, and takes no samples"
        elif not any(isinstance(source, Source) for source in check.sources):
            idle, why = _WATCHED, "it counts samples: set failureThreshold or successThreshold"
        else:
            continue
        names = [shown for name, shown in idle.items() if getattr(setting.chosen, name, None) is not None]
        if names:
            yield check_id, "SettingWithoutEffect", f"{' and '.join(names)} has no effect, because {why}"


def _out_of_reach(check: Check, setting: Setting) -> Iterator[str]:
    """Times that do not go together with the interval."""
    if not check.polled:
        return
    every = f"its interval {format_duration(setting.interval)}"
    for name, shown in _SPANS.items():
        span = getattr(setting.parameters, name, None)
        # What is sampled only while others fail looks back from when they began to.
        if isinstance(span, timedelta) and span < setting.interval and not check.only_while_failing:
            yield f"{shown} {format_duration(span)} is shorter than {every}: part of it is not looked at"
    timeout = getattr(setting.parameters, "timeout", None)
    if isinstance(timeout, timedelta) and timeout > setting.interval:
        yield f"timeout {format_duration(timeout)} is never reached: a sample is given up after {every}"


def _steering(settings: Mapping[str, Setting]) -> Iterator[Problem]:
    """Checks whose failure is waited for, and that never fail because nobody runs them."""
    own = settings.get("steering-changes")
    if own is None or not isinstance(own.parameters, SteeringChangesParameters):
        return
    wanted = own.parameters.checks
    if unknown := sorted(set(wanted) - set(registry())):
        yield (
            "steering-changes",
            "SettingUnreachable",
            f"checks names {unknown[0]}, and there is no such check",
        )
    elif not set(wanted) & set(settings):
        text = "none of those in checks is enabled: enable one, or name others"
        yield "steering-changes", "SettingUnreachable", text


def _nodes(settings: Mapping[str, Setting]) -> Iterator[Problem]:
    """Room that is wanted on the nodes, and use that is wanted of them."""
    room, use = settings.get("node-capacity"), settings.get("utilization-patterns")
    if room is None or use is None:
        return
    free, used = room.parameters, use.parameters
    if not isinstance(free, NodeCapacityParameters) or not isinstance(used, UtilizationPatternsParameters):
        return
    if free.headroom_percent + used.low_percent > 100:
        text = (
            f"headroomPercent {free.headroom_percent} contradicts lowPercent {used.low_percent} of "
            "utilization-patterns: no use of the nodes satisfies both"
        )
        yield "node-capacity", "SettingContradicted", text
