"""Whether the last version of a document that passed can be put back, and where."""

from msgspec import Struct

from kiro_operator.core.evidence.steering import Holder, Steering
from kiro_operator.core.redact import redact
from kiro_operator.core.steering.syntax import passes, problems

_CONFIG_MAP = "ConfigMap "
_WORDS = {
    "Altered": "the text in the history is not the one that passed",
    "NotKept": "the history does not hold the last version that passed any more",
    "NotWhole": "the last version that passed could not be read whole",
    "Secret": "the last version that passed holds what looks like a secret, and such a text is not kept",
    "TooLarge": "there was no room to keep the last version that passed",
    "Unreadable": "the history cannot be read, or does not hold the text any more",
}


class Place(Struct, frozen=True):
    """A key of a ConfigMap that was read."""

    holder: Holder
    key: str


class Good(Struct, frozen=True):
    """A version that passed, whole."""

    text: str


def place(steering: Steering, origin: str, key: str) -> Place | None:
    """Where a document stands; None for a file in a pod, and for a ConfigMap that is gone."""
    name = origin.removeprefix(_CONFIG_MAP)
    found = next((holder for holder in steering.holders if holder.name == name), None)
    return Place(found, key) if found is not None and name != origin and key else None


def last_good(steering: Steering, path: str, where: Place) -> Good | str:
    """The text to put there, or why there is none.

    It has passed, was not changed since, holds nothing that looks like a secret, and stood in that very
    key: what a pod or another ConfigMap held under the same path never gets there.
    """
    kept = steering.kept.get(path)
    if kept is None:
        return "no other version that passed is remembered"
    if kept.unkept:
        return _WORDS.get(kept.unkept, kept.unkept)
    if (kept.origin, kept.key) != (f"{_CONFIG_MAP}{where.holder.name}", where.key):
        return "the last version that passed stood somewhere else"
    if redact(kept.text) != kept.text:
        return _WORDS["Secret"]
    workspace = None if steering.workspace is None else frozenset(steering.workspace)
    wrong = problems(kept.text, workspace)
    if not passes(kept.text) or (wrong and not wrong[0].warning):
        return "the last version that passed would not pass now"
    return Good(kept.text)
