"""Pod templates held against each other: the patch that brings an earlier one back, where it may be kept.

Templates hold credentials in the clear, in the environment of containers above all. A record is read by more
people than a Deployment, and stays. So nothing of an environment is kept, and of all else what differs.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.amended import revision_of
from kiro_operator.core.patches import KEYS, told, undoing
from kiro_operator.core.policy.approvals import revision
from kiro_operator.core.policy.plan import New
from kiro_operator.core.policy.text import clip, named
from kiro_operator.core.policy.types import Intent
from kiro_operator.core.redact import redact, texts_of
from kiro_operator.core.remedies.rollback import ADVICE, is_release
from kiro_operator.core.remedies.types import Refusal

LONGEST = 16_384
"""Bytes of a patch, far below what a record may hold: nobody reads more, and whoever wrote the templates
would choose how long it takes to look through them."""
HASH = "pod-template-hash"
"""The label that each ReplicaSet adds to its template."""
_WHOLE = frozenset({"add", "args", "command", "drop", "envFrom", "items", "tolerations"})
"""Lists that a strategic merge patch replaces. Most others it merges, each by a field of its own."""
_SUSPECT = re.compile(
    r"pass|auth|(?<!max[-_])token|secret|cred|(?<![a-z])(?:psk|jwt|pw|pin)|(?:bind|root)pw|keys?(?:$|[= ])"
    r"|user(?:name)?[= ]\S*:|(?:^| )-p ",
    re.IGNORECASE,
)
"""What a command line may hold a credential by: more than redaction takes out of a text, for here it costs
no more than words in place of a patch."""


class _Untold(Exception):
    """What differs cannot be said, or may not be; the arguments are reason and message."""


def returning(
    new: New, found: Mapping[str, Any] | None, earlier: Mapping[str, Any] | None
) -> Intent | Refusal:
    """A rollback, with the patch that brings the pod template of the earlier ReplicaSet back.

    A refusal that lasts is one for these two revisions: how to go back is left to the words of the check.

    Args:
        new: what is to be proposed, as it was seen.
        found: the Deployment as it was read.
        earlier: the ReplicaSet as it was read.
    """
    intent, target = new.intent, new.intent.target
    if intent.change is None or found is None or earlier is None or not _are_those(new, found, earlier):
        return Refusal("Changed", f"{named(target)} has other revisions by now", lasting=False)
    now, then = _template(found), _template(earlier)
    try:
        change = _between(now, then)
        patch = {"spec": {"template": change}}
        _hold_back(patch, {"spec": {"template": undoing(now, change, strategic=True)}})
    except _Untold as untold:
        reason, message = untold.args
        return Refusal(reason, f"{named(target)}: {message}", lasting=True)
    made = replace(intent, change=replace(intent.change, patch=_text(patch)))
    if not is_release(now, change):
        made = replace(made, method=Method.ADVISE, message=clip(f"{ADVICE}: {intent.message}"))
    return made


def _are_those(new: New, found: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Whether what was read are the two revisions that were seen."""
    change, metadata = new.intent.change, earlier["metadata"]
    owners = [owner["uid"] for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
    return (
        change is not None
        and new.workload is not None
        and owners == [found["metadata"]["uid"]]
        and revision_of(found, "Deployment") == revision(new.workload)
        and revision_of(earlier, "Deployment") == change.revision
    )


def _template(found: Mapping[str, Any]) -> dict[str, Any]:
    """The pod template, without what a ReplicaSet adds."""
    template = found["spec"]["template"]
    labels = {key: value for key, value in template["metadata"]["labels"].items() if key != HASH}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def _between(now: Mapping[str, Any], then: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """The strategic merge patch from one to the other.

    Raises:
        _Untold: they differ in a list that such a patch cannot give its very content.
    """
    patch: dict[str, Any] = {}
    for key in sorted(now.keys() | then.keys()):
        before, after = now.get(key), then.get(key)
        if before == after:
            continue
        where = f"{place}.{key}".lstrip(".")
        if isinstance(before, Mapping | None) and isinstance(after, Mapping | None):
            # Also within what comes or goes as a whole there may be lists.
            inner = _between(before or {}, after or {}, where)
            patch[key] = None if after is None else inner
        elif isinstance(before, list) or isinstance(after, list):
            patch[key] = _of_list(key, before, after, where)
        else:
            patch[key] = after
    return patch


def _of_list(key: str, before: Any, after: Any, place: str) -> Any:
    if key == "env":
        raise _Untold("HoldsValues", f"{place} differs, and values of an environment are not kept on record")
    if key in {"args", "command"} and any(_SUSPECT.search(line) for line in texts_of([before, after])):
        raise _Untold("HoldsCredentials", f"{place} differs, and may hold a credential")
    if key in _WHOLE:
        return after
    name = KEYS.get(key)
    if name is None or not _are_alike(before, after, name):
        raise _Untold("NotExact", f"{place} differs by more than a patch can say")
    return [
        {name: was[name]} | _between(was, item, f"{place}[{was[name]}]")
        for was, item in zip(before, after, strict=True)
        if was != item
    ]


def _are_alike(before: Any, after: Any, name: str) -> bool:
    """Whether two lists hold items of the same names, in the same order."""
    if not isinstance(before, list) or not isinstance(after, list):
        return False
    return [item.get(name) for item in before] == [item.get(name) for item in after]


def _hold_back(patch: Any, undo: Any) -> None:
    """See that nothing goes on record that has no place there.

    Raises:
        _Untold: it has none, or is too long.
    """
    texts = (_text(patch), _text(undo))
    if max(len(text.encode()) for text in texts) > LONGEST:
        raise _Untold("TooLong", f"what differs is longer than {LONGEST} bytes")
    if any(redact(text) != text for text in (*texts, *texts_of(patch), *texts_of(undo), *told(undo, patch))):
        raise _Untold("HoldsCredentials", "what differs holds what looks like a credential or personal data")


def _text(patch: Any) -> str:
    return msgspec.json.encode(patch, order="sorted").decode()
