"""Steering documents are written as Kiro reads them."""

from datetime import datetime

from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.steering import STEERING, Document, Steering
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.steering.fixes import mended
from kiro_operator.core.steering.judging import (
    INTERVAL,
    NO_DOCUMENTS,
    asking,
    of_problems,
    since,
    verdict,
    whole,
)
from kiro_operator.core.steering.restoring import place
from kiro_operator.core.steering.syntax import problems
from kiro_operator.core.verdict import Amendment, Finding, Verdict, unknown


class SteeringSyntaxParameters(Parameters):
    """Thresholds of steering-syntax: there are none."""


def judge(snapshot: Snapshot, parameters: SteeringSyntaxParameters, now: datetime) -> Verdict:  # noqa: ARG001
    """Judge front matter, patterns, references and fences of each document that is not empty."""
    steering = snapshot.value(STEERING)
    if isinstance(steering, Unobserved):
        return unknown(steering)
    documents = [document for document in whole(steering) if document.text.strip()]
    if not documents:
        return unknown(steering.partial or NO_DOCUMENTS)
    workspace = None if steering.workspace is None else frozenset(steering.workspace)
    failures: list[Finding] = []
    warnings: list[Finding] = []
    for document in documents:
        wrong = problems(document.text, workspace, of=len(documents))
        if wrong:
            finding = of_problems(document, wrong, since(document, snapshot, now))
            if wrong[0].warning:
                warnings.append(finding)
            else:
                asked = asking(finding, steering, document.origin, document.key)
                failures.append(_mendable(document, steering, asked))
    well = "The steering documents are written as Kiro reads them."
    if workspace is None:
        well += (
            " References and patterns were not held against files: only pods with workspace: true list those."
        )
    return verdict(failures, warnings, steering, well)


def _mendable(document: Document, steering: Steering, finding: Finding) -> Finding:
    """With what to propose, where it takes no guess, and nothing is put back by itself."""
    where = place(steering, document.origin, document.key)
    if where is None or finding.remedies or document.key in where.holder.binary:
        return finding
    if (text := mended(document.text)) is None:
        return finding
    target = Ref("ConfigMap", where.holder.name, where.holder.uid)
    return replace(finding, amendment=Amendment(ActionName.EDIT_STEERING, target, ((document.key, text),)))


CHECK = Check(
    title="Steering documents are well-formed",
    section="responsiveness-steering",
    command="kubectl get configmaps -n {namespace} {steering} -o yaml; in a pod: head -20 {name}",
    sources=(STEERING,),
    judge=judge,
    parameters=SteeringSyntaxParameters,
    interval=INTERVAL,
    failure_threshold=1,
    success_threshold=1,
)
