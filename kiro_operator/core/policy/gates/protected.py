"""Whether the object is one that is never acted on."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.api.v1alpha1.types import LabelSelector
from kiro_operator.core.policy.selectors import selector_of
from kiro_operator.core.policy.text import incomplete, invalid, named, unseen
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut for what is annotated kiro.dev/protected or selected by spec.protected.selectors.

    The workload, its pod template and the pod to evict, or to run a command in, are held against both,
    since an action on a workload reaches the pods of its template. Labels that cannot be seen could be
    protected ones.
    """
    if policy.protected is None:
        return incomplete("protected", "write {selectors: []} when only annotated objects are protected")
    if situation.protected:
        return Deny(
            "Protected",
            f"{named(intent.target)}, its pod template or a pod of it that is acted on "
            "carries the annotation kiro.dev/protected",
            needs_person=True,
        )
    if not situation.observed:
        return unseen(named(intent.target), intent.target)
    if intent.pod is not None and not situation.pod_observed:
        return unseen(named(intent.pod), intent.target)
    if not situation.reach_observed:
        return unseen(f"which pods {named(intent.target)} has", intent.target)
    for number, selector in enumerate(policy.protected.selectors):
        denial = _selected(f"protected.selectors[{number}]", selector, intent, situation)
        if denial is not None:
            return denial
    return Allow(f"{named(intent.target)} is not protected")


def _selected(field: str, written: LabelSelector, intent: Intent, situation: Situation) -> Deny | None:
    for expression in written.match_expressions:
        # Taken literally it selects nothing, and would protect nothing.
        if expression.operator == "In" and not expression.values:
            return invalid(field, f"operator In of {expression.key} needs values")
    selector = selector_of(written)
    try:
        for what, labels in _labelled(intent, situation):
            if selector.matches(labels):
                return Deny("Protected", f"{what} is selected by spec.{field}", needs_person=True)
    except ValueError as error:
        return invalid(field, str(error))
    return None


def _labelled(intent: Intent, situation: Situation) -> Iterator[tuple[str, Mapping[str, str]]]:
    yield named(intent.target), situation.labels
    if situation.workload is not None:
        template = situation.workload.spec.template.metadata.labels
        yield f"the pod template of {named(intent.target)}", template
    if intent.pod is not None:
        yield named(intent.pod), situation.pod_labels
