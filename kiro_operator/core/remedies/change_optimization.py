"""ChangeOptimization: one step of one number that Kiro optimizes by, when a person approves it.

Which numbers these are, which way is bolder and how far a proposal may go is for the admin to declare, in
spec.optimization. It moves one at a time, so that what comes of it can be told.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from kiro_operator.api.v1alpha1.evidence.optimization import NUMBER, OptimizationParameter
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.evidence.optimization_config import OPTIMIZATION_CONFIG, OptimizationConfig
from kiro_operator.core.optimizations import Wish
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import clip, named
from kiro_operator.core.remedies.types import Draft, Proposer, Refusal
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import ONE_KEY, Chosen, Must, Operation, Write, cel, changes

NAME = "kiro-optimization"
"""The ConfigMap that the overlay of this remedy covers; for one of another name the admin adds a rule."""
RULES: tuple[Rule, ...] = (
    Rule(
        "",
        ("configmaps",),
        ("patch",),
        "move a number that Kiro optimizes by, when a person has approved it",
        grant=Grant.CHANGE_OPTIMIZATION,
        names=(NAME,),
    ),
)
ADMITTED = (
    Write(
        by="ChangeOptimization",
        api_version="v1",
        resources=("configmaps",),
        operations=(Operation.UPDATE,),
        # Which keys these are only the admin knows, and what they are not is anything else in there.
        chosen=(Chosen("optimizationConfigMaps", f"['{NAME}']"), Chosen("optimizationKeys", "[]")),
        musts=(
            Must(
                "object.metadata.name in variables.optimizationConfigMaps",
                "the ConfigMap is not among optimizationConfigMaps of this policy",
            ),
            *changes(("data",)),
            ONE_KEY,
            Must(
                "oldObject.?data.orValue({}).all(k, k in object.?data.orValue({}))\n"
                "&& object.?data.orValue({}).all(k, k in oldObject.?data.orValue({})\n"
                "&& (object.data[k] == oldObject.data[k]\n|| k in variables.optimizationKeys))",
                "it changes keys that are there and among optimizationKeys of this policy",
            ),
            Must(
                "object.?data.orValue({}).all(k, object.data[k] == oldObject.data[k]\n"
                f"|| [object.data[k], oldObject.data[k]].all(v, v.matches({cel(NUMBER)})))",
                "it puts numbers in the place of numbers",
            ),
        ),
    ),
)
SETTLING = timedelta(days=7)
"""What a step has done shows in decisions that are made after it, and in waste that is not left again."""


def draft(amendment: Amendment, snapshot: Snapshot) -> Draft | Refusal:
    """One step of the first number that has room, which is wished for by check, as ``bolder`` or not."""
    target = amendment.target
    declared, seen = snapshot.own.optimization, snapshot.value(OPTIMIZATION_CONFIG)
    if declared is None or declared.config_map != target.name:
        return Refusal("NotDeclared", f"spec.optimization names {named(target)} no more", lasting=True)
    if target.name in _safety_configs(snapshot.policies.values()):
        message = f"{named(target)} holds what keeps autonomous operations safe: it is not moved to save more"
        return Refusal("SafetyConfig", message, lasting=True)
    if isinstance(seen, Unobserved):
        return Refusal(seen.reason, f"{named(target)}: {seen.message}", lasting=False)
    if seen is None:
        message = f"{named(target)}, which spec.optimization names, is not there: make it, or name another"
        return Refusal("TargetGone", message, lasting=True)
    wish = _agreed(amendment)
    if isinstance(wish, Refusal):
        return wish
    for parameter in declared.parameters:
        moved = _moved(parameter, seen, wish)
        if isinstance(moved, Refusal):
            return Refusal(moved.reason, f"{named(target)}: {moved.message}", moved.lasting)
        if moved is not None:
            key, before = parameter.key, seen.numbers[parameter.key]
            return Draft(
                "v1",
                json.dumps({"data": {key: moved}}),
                f"{key}: {before} → {moved}",
                undo=json.dumps({"data": {key: before}}),
            )
    ends = ", ".join(f"{item.key} {_end(item, wish)}" for item in declared.parameters)
    message = (
        f"{named(target)}: within the bounds of spec.optimization nothing makes it {_WORDS[wish]} ({ends}): "
        "widen one, or see what else is wrong"
    )
    return Refusal("AtBound", clip(message), lasting=True)


def _safety_configs(policies: Iterable[KiroSafetyPolicySpec]) -> set[str]:
    """The ConfigMaps that policies hold something against, or contain by."""
    parts = [(spec.safety_config and spec.safety_config.name, spec.containment) for spec in policies]
    return {name for name, _ in parts if name} | {switch.config_map for _, switch in parts if switch}


_WORDS = {Wish.BOLDER: "bolder", Wish.CAUTIOUS: "more cautious"}


def _agreed(amendment: Amendment) -> Wish | Refusal:
    """The one thing that all checks wish that ask for anything."""
    asking: defaultdict[Wish, list[str]] = defaultdict(list)
    for check, wish in amendment.values:
        asking[Wish(wish)].append(check)
    if len(asking) == 1:
        return next(iter(asking))
    sides = ", and ".join(
        f"{_WORDS[wish]} by {' and '.join(sorted(checks))}" for wish, checks in sorted(asking.items())
    )
    message = (
        f"{named(amendment.target)}: it should be {sides}; no step serves both, so nothing is proposed: see "
        "which kinds of decisions go wrong, and which are missing"
    )
    return Refusal("Contradictory", clip(message), lasting=True)


def _moved(parameter: OptimizationParameter, seen: OptimizationConfig, wish: Wish) -> str | Refusal | None:
    """The number one step on, within its bounds; None where it is at the last of them already.

    What stands there is told only once it is known to be a number that was declared.
    """
    key = parameter.key
    if key in seen.others:
        message = f"{key} is no number: write one there such as 5 or 0.25, without a unit"
        return Refusal("NotANumber", message, lasting=True)
    if key not in seen.numbers:
        return Refusal("KeyMissing", f"it has no key {key}: write it, or leave it out", lasting=True)
    value, low, high = Decimal(seen.numbers[key]), Decimal(parameter.min), Decimal(parameter.max)
    if not low <= value <= high:
        message = f"{key} is not between {parameter.min} and {parameter.max}, as spec.optimization has it"
        return Refusal("OutOfBounds", message, lasting=True)
    step = Decimal(parameter.step)
    after = min(high, value + step) if _rises(parameter, wish) else max(low, value - step)
    return None if after == value else f"{after.normalize():f}"


def _rises(parameter: OptimizationParameter, wish: Wish) -> bool:
    return (parameter.bolder == "Raise") == (wish is Wish.BOLDER)


def _end(parameter: OptimizationParameter, wish: Wish) -> str:
    return f"at most {parameter.max}" if _rises(parameter, wish) else f"at least {parameter.min}"


REMEDY = Proposer(
    action=ActionName.CHANGE_OPTIMIZATION,
    title="Optimize a step more boldly, or more cautiously",
    draft=draft,
    settling=SETTLING,
)
