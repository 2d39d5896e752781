"""Rollback: the pod template of the revision that still runs, where a newer one does not get going.

Who may set pod templates may run anything there, and admission, which sees one object at a time, cannot hold
a template against that of a ReplicaSet. What it can see is that the same images come back by another tag or
digest, and that nothing differs beside them but what marks a release. That much the operator does itself,
when a person approves it; any other way back is for a person to go.
"""

import re
from collections.abc import Mapping
from typing import Any

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.remedies.restart import RESTARTED_BY
from kiro_operator.core.remedies.types import API_VERSION, Draft, Proposer, Refusal
from kiro_operator.core.revisions import is_revision, owner_of
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, workload
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import UNPROTECTED_WORKLOAD, Must, Operation, Write, cel, changes, listed

RULES: tuple[Rule, ...] = (
    Rule(
        "apps",
        ("deployments",),
        ("patch",),
        "go back to the release that runs, when a person has approved it",
        grant=Grant.ROLLBACK,
    ),
)
REPOSITORY = "^([^/@]*/)*[^/:@]*"
"""What an image's name begins with: all before its tag and digest. A registry may have a port."""
REFERENCE = rf"{REPOSITORY}(:\w[\w.-]{{0,127}})?(@[a-z0-9]+:[0-9a-f]{{32,128}})?$"
"""A whole name, with both where they are there."""
LABELS = ("app.kubernetes.io/version", "helm.sh/chart")
"""Labels of a pod template that say which release it is of."""
ANNOTATIONS = ("kubectl.kubernetes.io/restartedAt", RESTARTED_BY)
"""Annotations of a pod template that say when, and by whom, it was rolled out."""
CHECKSUM = "checksum/"
"""Begins an annotation that makes a template follow its configuration."""
ADVICE = "No operator sets what pods run beyond the tags of images: see first what comes back"
_CHOSEN, _LISTED = listed("rollbackNamespaces")
_CONTAINERS = ("containers", "initContainers")


def _marks(field: str, free: str) -> str:
    after, before = (
        f"variables.{side}.?spec.?template.?metadata.?{field}.orValue({{}})" for side in ("after", "before")
    )
    return (
        f"{after}.all(k, {free}\n|| (k in {before} && {after}[k] == {before}[k]))\n"
        f"&& {before}.all(k, {free} || k in {after})"
    )


def _tags(field: str) -> str:
    after, before = (
        f"variables.{side}.?spec.?template.?spec.?{field}.orValue([])" for side in ("after", "before")
    )
    return (
        # By position, for their order counts: they are started in it.
        f"{after}.map(c, c.name) == {before}.map(c, c.name)\n"
        f"&& {after}.all(c, {before}.exists(o, o.name == c.name\n"
        "&& c.all(k, k == 'image' || (k in o && c[k] == o[k]))\n"
        "&& o.all(k, k in c)\n"
        f"&& (c.?image == o.?image || (c.?image.orValue('').matches({cel(REFERENCE)})\n"
        f"&& c.image.find({cel(REPOSITORY)}) == o.?image.orValue('').find({cel(REPOSITORY)})))))"
    )


ADMITTED = (
    Write(
        by="Rollback",
        api_version=API_VERSION,
        resources=("deployments",),
        operations=(Operation.UPDATE,),
        chosen=(_CHOSEN,),
        musts=(
            _LISTED,
            *UNPROTECTED_WORKLOAD,
            *changes(
                *(("spec", "template", "spec", name) for name in _CONTAINERS),
                ("spec", "template", "metadata", "annotations"),
                ("spec", "template", "metadata", "labels"),
            ),
            Must(
                "\n&& ".join(_tags(name) for name in _CONTAINERS),
                "it changes tags and digests of images alone",
            ),
            Must(
                _marks("labels", f"k in [{', '.join(map(cel, LABELS))}]"),
                f"of labels it changes {' and '.join(LABELS)} alone",
            ),
            Must(
                _marks(
                    "annotations",
                    f"k in [{', '.join(map(cel, ANNOTATIONS))}] || k.startsWith({cel(CHECKSUM)})",
                ),
                f"of annotations it changes {', '.join(ANNOTATIONS)} and {CHECKSUM}… alone",
            ),
        ),
    ),
)


def is_release(now: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    """Whether the patch of a pod template brings back a release of the same images, and nothing else.

    The admission policy of Deployments asks the same in CEL, so that what is refused there is not tried.
    """
    marks, spec = change.get("metadata", {}), change.get("spec", {})
    if not isinstance(marks, Mapping) or not isinstance(spec, Mapping):
        return False
    labels, annotations = (_touched(name, now, marks) for name in ("labels", "annotations"))
    return (
        change.keys() <= {"metadata", "spec"}
        and marks.keys() <= {"labels", "annotations"}
        and labels <= set(LABELS)
        and all(key in ANNOTATIONS or key.startswith(CHECKSUM) for key in annotations)
        and spec.keys() <= set(_CONTAINERS)
        and all(_are_tags(now["spec"].get(name) or [], spec[name]) for name in spec)
    )


def _touched(field: str, now: Mapping[str, Any], marks: Mapping[str, Any]) -> set[str]:
    """The labels, or annotations, that a patch changes; all that are there where it takes them away whole."""
    if field not in marks:
        return set()
    return set(marks[field] if marks[field] is not None else now["metadata"].get(field) or ())


def _are_tags(now: list[Mapping[str, Any]], change: Any) -> bool:
    images = {item["name"]: str(item.get("image", "")) for item in now}
    return isinstance(change, list) and all(
        item.keys() == {"name", "image"}
        and isinstance(item["image"], str)
        and re.fullmatch(REFERENCE, item["image"], re.ASCII) is not None
        and repository(item["image"]) == repository(images.get(item["name"], ""))
        for item in change
    )


def repository(image: str) -> str:
    """An image's name without tag and digest."""
    found = re.match(REPOSITORY, image)
    return found[0] if found else ""


def draft(amendment: Amendment, snapshot: Snapshot) -> Draft | Refusal:
    """Back to ``revision``, of ``replicaSet``. The patch is made of what is read: no template is watched."""
    target = amendment.target
    if isinstance(snapshot.deployments, Unobserved):
        return Refusal("EvidenceMissing", snapshot.deployments.message, lasting=False)
    if isinstance(snapshot.replica_sets, Unobserved):
        return Refusal("EvidenceMissing", snapshot.replica_sets.message, lasting=False)
    found = workload(target, snapshot)
    if found is None:
        return Refusal("TargetGone", f"{named(target)} is gone", lasting=True)
    wanted = dict(amendment.values)
    earlier = snapshot.replica_sets.get(wanted["replicaSet"])
    if earlier is None or owner_of(earlier) != target.uid or not is_revision(earlier, wanted["revision"]):
        message = f"{named(target)} has no revision {wanted['revision']} any more"
        return Refusal("RevisionGone", message, lasting=True)
    return Draft(
        API_VERSION,
        "{}",
        f"pod template: revision {found.metadata.annotations.revision} → {wanted['revision']}",
        source=Ref("ReplicaSet", earlier.metadata.name, earlier.metadata.uid),
        revision=wanted["revision"],
    )


REMEDY = Proposer(
    action=ActionName.ROLLBACK,
    title="Go back from a stuck rollout to what runs",
    draft=draft,
)
