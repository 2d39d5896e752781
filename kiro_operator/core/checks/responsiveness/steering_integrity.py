"""Steering documents are there, whole, and the same in all replicas."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.steering import STEERING, STEERING_FOLDER, Steering, is_steering
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.steering.damage import damage
from kiro_operator.core.steering.judging import INTERVAL, about, asking, since, verdict
from kiro_operator.core.verdict import Finding, Verdict, unknown

_NAMED = 3


class SteeringIntegrityParameters(Parameters):
    """Thresholds of steering-integrity."""

    required: Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=32)] = (
        Field(default=[], description="Names of documents that must be there, such as product.md.")
    )


def judge(snapshot: Snapshot, parameters: SteeringIntegrityParameters, now: datetime) -> Verdict:
    """Judge what was found against what was asked for."""
    steering = snapshot.value(STEERING)
    if isinstance(steering, Unobserved):
        return unknown(steering)
    sampled = snapshot.sampled_at(STEERING, now)
    failures = list(_missing(snapshot.namespace, steering, parameters, sampled))
    warnings: list[Finding] = []
    for document in sorted(steering.documents, key=lambda one: (one.path, one.origin)):
        if not (document.is_steering and document.readable):
            continue
        reason, words = damage(document)
        if reason:
            finding = about(document, reason, words, since(document, snapshot, now))
            failures.append(asking(finding, steering, document.origin, document.key))
        elif document.cut:
            words = "longer than what is read, and so not judged: make it shorter"
            warnings.append(about(document, "TooLarge", words, sampled))
    failures += _differences(steering, sampled)
    if steering.left_out:
        path, words = steering.left_out[0], "beyond the number of files or bytes that are read: have fewer"
        warnings.append(Finding(Ref("SteeringDocument", path), "TooMany", f"{path}: {words}", sampled))
    return verdict(
        failures, warnings, steering, "The steering documents are there, whole and the same everywhere."
    )


def _missing(
    namespace: str, steering: Steering, parameters: SteeringIntegrityParameters, began: datetime
) -> Iterator[Finding]:
    for name in steering.missing:
        words = f"ConfigMap {name} does not exist: create it from the last good documents"
        yield Finding(Ref("ConfigMap", name), "ConfigMapMissing", words, began)
    if steering.partial is not None:
        return  # what is missing may be in the part that was not read
    # What is beyond the bounds is there, and was not read.
    present = {document.path for document in steering.documents} | set(steering.left_out)
    for name in parameters.required:
        path = STEERING_FOLDER + name.removeprefix(STEERING_FOLDER)
        if path not in present:
            words = f"{path} is required and not there: put it back"
            finding = Finding(Ref("SteeringDocument", path), "DocumentMissing", words, began)
            kept = steering.kept.get(path)
            yield finding if kept is None else asking(finding, steering, kept.origin, kept.key)
    if not steering.missing and not any(map(is_steering, present)):
        words = f"Namespace {namespace}: no steering document was found where spec.steering says they are"
        yield Finding(Ref("Namespace", namespace), "NoDocuments", words, began)


def _differences(steering: Steering, began: datetime) -> Iterator[Finding]:
    """Documents that are not the same in all pods that were read."""
    replicas = sorted(steering.replicas, key=lambda replica: replica.pod)
    paths = {path for replica in replicas for path in replica.digests}
    for path in sorted(paths):
        digests = [replica.digests.get(path, "") for replica in replicas]
        if len(set(digests)) < 2:
            continue
        usual = max(sorted(set(digests)), key=digests.count)
        odd = [replica.pod for replica, digest in zip(replicas, digests, strict=True) if digest != usual]
        words = f"{path} differs between replicas: Pod {', '.join(odd[:_NAMED])} has another version"
        yield Finding(Ref("SteeringDocument", path), "ReplicasDiffer", words, began)


CHECK = Check(
    title="Steering documents are there and whole",
    section="responsiveness-steering",
    command="kubectl get configmaps -n {namespace} {steering}; "
    "in a pod: find .kiro/steering -name '*.md' -ls",
    sources=(STEERING,),
    judge=judge,
    parameters=SteeringIntegrityParameters,
    interval=INTERVAL,
    failure_threshold=1,
    success_threshold=1,
)
