"""Steering documents are written as Kiro reads them."""

from datetime import datetime

from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.steering import STEERING, Document
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.steering.fixes import mended
from kiro_operator.core.steering.judging import INTERVAL, NO_DOCUMENTS, of_problems, since, verdict, whole
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
            finding = _mendable(document, of_problems(document, wrong, since(document, snapshot, now)))
            (warnings if wrong[0].warning else failures).append(finding)
    well = "The steering documents are written as Kiro reads them."
    if workspace is None:
        well += (
            " References and patterns were not held against files: only pods with workspace: true list those."
        )
    return verdict(failures, warnings, steering, well)


def _mendable(document: Document, finding: Finding) -> Finding:
    """With what to propose, where it takes no guess."""
    if document.holder is None or (text := mended(document.text)) is None:
        return finding
    target = Ref("ConfigMap", document.holder.name, document.holder.uid)
    amendment = Amendment(ActionName.EDIT_STEERING, target, ((document.holder.key, text),))
    return replace(finding, amendment=amendment)


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
