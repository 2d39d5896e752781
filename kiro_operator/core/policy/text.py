"""Words that the gates' messages share."""

from datetime import UTC, datetime

from kiro_operator.core.policy.types import Deny
from kiro_operator.core.snapshot import Ref
from kiro_operator.core.told import name

LONGEST = 1024
"""Characters that a message may have in the API."""


def stamp(moment: datetime) -> str:
    """A moment as Kubernetes writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def named(ref: Ref) -> str:
    """An object, for a person."""
    return f"{ref.kind} {name(ref)}"


def clip(text: str) -> str:
    """The text, within what a message may have."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def incomplete(field: str, advice: str) -> Deny:
    """The answer where the policy lacks a field: nothing is assumed in the user's place."""
    return Deny("PolicyIncomplete", f"the policy has no spec.{field}: {advice}", needs_person=True)


def invalid(field: str, problem: str) -> Deny:
    """The answer where a field of the policy cannot be understood."""
    return Deny("PolicyInvalid", f"spec.{field} of the policy: {problem}", needs_person=True)


def unseen(what: str, intent_target: Ref) -> Deny:
    """The answer where the facts that a gate needs are missing: it stays shut."""
    return Deny("EvidenceMissing", f"{what} cannot be observed, so {named(intent_target)} is left alone")
