"""What the checks of steering documents share: which documents, and how findings are worded."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.evidence.steering import STEERING, Document, Steering
from kiro_operator.core.findings import found
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.steering.problems import Problem
from kiro_operator.core.steering.restoring import last_good, place
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

INTERVAL = timedelta(minutes=5)
"""Documents change by hand; all checks of them share one sample."""
NO_DOCUMENTS = Unobserved(
    "NoDocuments", "No steering document could be read: steering-integrity tells which are missing."
)


def since(document: Document, snapshot: Snapshot, now: datetime) -> datetime:
    """When what is wrong with a document began, as far as it is known."""
    return min(document.changed or snapshot.sampled_at(STEERING, now), now)


def about(document: Document, reason: str, words: str, began: datetime) -> Finding:
    """A finding about one document."""
    place = f" ({document.origin})" if document.origin else ""
    return Finding(Ref("SteeringDocument", document.path), reason, f"{document.path}{place}: {words}", began)


def of_problems(document: Document, problems: Sequence[Problem], began: datetime) -> Finding:
    """The gravest problem of a document, with its place and how many others there are."""
    first = problems[0]
    more = f" ({len(problems) - 1} more in this file)" if len(problems) > 1 else ""
    origin = f" ({document.origin})" if document.origin else ""
    words = f"{document.path}{origin}: line {first.line}, column {first.column}: {first.message}{more}"
    return Finding(Ref("SteeringDocument", document.path), first.reason, words, began)


def asking(finding: Finding, steering: Steering, origin: str, key: str) -> Finding:
    """The finding as it asks to put the last version that passed back, or says why that cannot be."""
    where = place(steering, origin, key)
    if not steering.restore or where is None:
        return finding
    good = last_good(steering, finding.object.name, where)
    if isinstance(good, str):
        return replace(finding, message=f"{finding.message}; it is not put back: {good}")
    target = Ref("ConfigMap", where.holder.name, where.holder.uid)
    return replace(finding, target=target, remedies=(ActionName.RESTORE_STEERING,))


def verdict(
    failures: Sequence[Finding], warnings: Sequence[Finding], steering: Steering, well: str
) -> Verdict:
    """Failures before warnings before what could not be read before a pass."""
    if failures:
        return found([*failures, *warnings])
    if steering.partial is not None:
        return unknown(steering.partial)
    if warnings:
        return found(warnings, status=Status.WARN)
    return passed(well)


def whole(steering: Steering) -> list[Document]:
    """The steering documents that could be read, by path."""
    return sorted(
        (one for one in steering.documents if one.is_steering and one.whole),
        key=lambda one: (one.path, one.origin),
    )
