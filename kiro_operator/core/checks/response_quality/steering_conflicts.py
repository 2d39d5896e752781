"""Steering documents do not contradict each other."""

from collections.abc import Iterator
from datetime import datetime

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.steering import STEERING, Document
from kiro_operator.core.findings import clip
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.steering.conflicts import compared, conflicts
from kiro_operator.core.steering.judging import INTERVAL, NO_DOCUMENTS, since, verdict, whole
from kiro_operator.core.steering.problems import place
from kiro_operator.core.verdict import Finding, Status, Verdict, unknown


class SteeringConflictsParameters(Parameters):
    """Thresholds of steering-conflicts: there are none."""


def judge(snapshot: Snapshot, parameters: SteeringConflictsParameters, now: datetime) -> Verdict:  # noqa: ARG001
    """Hold the documents against each other."""
    steering = snapshot.value(STEERING)
    if isinstance(steering, Unobserved):
        return unknown(steering)
    documents = whole(steering)
    if not documents:
        return unknown(steering.partial or NO_DOCUMENTS)
    first: dict[str, Document] = {}
    failures = list(_twice(documents, first, snapshot, now))
    texts = {path: document.text for path, document in first.items()}
    for conflict in conflicts(texts, steering.workspace):
        began = max(since(first[path], snapshot, now) for path in (conflict.first, conflict.second))
        words = f"{conflict.first} and {conflict.second}: {conflict.message}"
        failures.append(Finding(Ref("SteeringDocument", conflict.first), conflict.reason, words, began))
    if len(texts) > 1 and not failures and (left_out := sorted(set(texts) - set(compared(texts)))):
        words = f"{', '.join(left_out[:3])}: too much to be compared with the others; split or shorten them"
        return Verdict(Status.WARN, "PartlyCompared", clip(words, 1000))
    return verdict(failures, (), steering, "No steering document was found to contradict another.")


def _twice(
    documents: list[Document], first: dict[str, Document], snapshot: Snapshot, now: datetime
) -> Iterator[Finding]:
    """Files of one path from two places, of which only one can be the one that counts."""
    for document in documents:
        other = first.setdefault(document.path, document)
        if other is not document and other.text != document.text:
            line, column = place(document.text, _alike(other.text, document.text))
            words = (
                f"{document.path} is in {other.origin} and, differently from line {line}, column {column}, "
                f"in {document.origin}: keep one"
            )
            yield Finding(
                Ref("SteeringDocument", document.path),
                "NameDefinedTwice",
                words,
                max(since(one, snapshot, now) for one in (other, document)),
            )


def _alike(one: str, other: str) -> int:
    """Characters that two texts have in common before they differ."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (mine, its) in pairs if mine != its), min(len(one), len(other)))


CHECK = Check(
    title="Steering documents agree with each other",
    section="response-quality-steering",
    command="kubectl get configmaps -n {namespace} {steering} -o yaml; in a pod: cat .kiro/steering/*.md",
    sources=(STEERING,),
    judge=judge,
    parameters=SteeringConflictsParameters,
    interval=INTERVAL,
    failure_threshold=1,
    success_threshold=1,
)
