"""Steering documents can be read by Kiro, and be written by nobody else."""

from datetime import datetime

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.steering import STEERING, Mount
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.steering.judging import INTERVAL, about, since, verdict
from kiro_operator.core.verdict import Finding, Verdict, unknown

_OTHERS_WRITE = 0o002


class SteeringPermissionsParameters(Parameters):
    """Thresholds of steering-permissions: there are none."""


def judge(snapshot: Snapshot, parameters: SteeringPermissionsParameters, now: datetime) -> Verdict:  # noqa: ARG001
    """Judge modes of files in pods, and the modes with which ConfigMaps are mounted."""
    steering = snapshot.value(STEERING)
    if isinstance(steering, Unobserved):
        return unknown(steering)
    failures: list[Finding] = []
    known = False
    for document in sorted(steering.documents, key=lambda one: (one.path, one.origin)):
        began = since(document, snapshot, now)
        known |= document.mode is not None
        owner = "" if document.uid is None else f", owner {document.uid}:{document.gid}"
        mode = "" if document.mode is None else f" (mode {document.mode:04o}{owner})"
        if not document.readable:
            words = f"the container's user cannot read it{mode}: chmod a+r it, or give it to that user"
            failures.append(about(document, "Unreadable", words, began))
        elif document.mode is not None and document.mode & _OTHERS_WRITE:
            words = f"every user of the container can write it{mode}: chmod o-w it"
            failures.append(about(document, "WritableByOthers", words, began))
    sampled = snapshot.sampled_at(STEERING, now)
    mounts = () if isinstance(steering.mounts, Unobserved) else steering.mounts
    for mount in sorted(mounts, key=lambda one: (one.config_map, one.pod, one.mode)):
        known |= mount.readable is not None or bool(mount.mode & _OTHERS_WRITE)
        if finding := _of_mount(mount, sampled):
            failures.append(finding)
    if not failures and isinstance(steering.mounts, Unobserved):
        return unknown(steering.mounts)
    if not known and not failures and steering.partial is None:
        return unknown(_unknown_modes(mounted=bool(mounts)))
    failures.sort(key=lambda finding: finding.reason)
    return verdict(
        failures, (), steering, "Kiro can read its steering documents, and nobody else can write them."
    )


def _of_mount(mount: Mount, began: datetime) -> Finding | None:
    itself = Ref("ConfigMap", mount.config_map)
    where = f"ConfigMap {mount.config_map} is mounted into Pod {mount.pod} with mode {mount.mode:04o}"
    if mount.readable is False:
        words = f"{where}, which the container's user cannot read: set defaultMode 0444"
        return Finding(itself, "Unreadable", words, began)
    if mount.mode & _OTHERS_WRITE:
        words = f"{where}, which lets every user write: set defaultMode 0444"
        return Finding(itself, "WritableByOthers", words, began)
    return None


def _unknown_modes(*, mounted: bool) -> Unobserved:
    if mounted:
        return Unobserved(
            "UserUnknown",
            "The pods that mount the ConfigMaps do not say which user they run as: set runAsUser.",
        )
    return Unobserved(
        "NotMounted",
        "No selected pod mounts the ConfigMaps, and no pod's files are read: set spec.steering.pods.",
    )


CHECK = Check(
    title="Kiro alone may change what steers it",
    section="responsiveness-steering",
    command="kubectl get pods -n {namespace} -o yaml; in a pod: ls -lLn .kiro/steering .kiro/hooks",
    sources=(STEERING,),
    judge=judge,
    parameters=SteeringPermissionsParameters,
    interval=INTERVAL,
    failure_threshold=1,
    success_threshold=1,
)
