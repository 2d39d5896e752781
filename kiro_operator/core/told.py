"""What may be told of others' words and names: in a status, an Event, a KiroRemediation.

Labels of Prometheus, answers of servers and messages of containers go into verdicts. What looks like a
credential in them never comes out again, and personal data only where a check says who may do what. Nor does
what would pass for the operator's own word on how to approve something.
"""

import re
from functools import lru_cache

from kiro_operator.core.redact import REDACTED, redact, without_credentials
from kiro_operator.core.snapshot import Ref

# The same messages are told again and again, at every reconciliation.
_all_gone = lru_cache(maxsize=2048)(redact)
_credentials_gone = lru_cache(maxsize=2048)(without_credentials)

TO_APPROVE = "to approve:"
"""What stands before the command by which a person approves; in what others wrote it is taken out."""
_POSING = re.compile(r"to\s+approve\s*:", re.IGNORECASE)

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_NAMED_FREELY = frozenset({"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"})
"""Kinds whose names may hold more than those of other objects."""
_KINDS = frozenset(
    {
        "ConfigMap",
        "DaemonSet",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Job",
        "KiroSafetyPolicy",
        "Namespace",
        "Node",
        "PersistentVolumeClaim",
        "Pod",
        "ReplicaSet",
        "ResourceQuota",
        "Service",
        "ServiceAccount",
        "StatefulSet",
    }
)
"""Kinds of the API server: their names are rather told than kept, or no fault could be found."""


def words(text: str, *, people: bool = False) -> str:
    """A text as it may be told; with ``people``, users stay named in it."""
    return _credentials_gone(text) if people else _all_gone(text)


@lru_cache(maxsize=2048)
def line(text: str) -> str:
    """A text on one line, without TO_APPROVE.

    Credentials have to be gone already: some are known by the lines that they stand in.
    """
    shown = text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)
    return _POSING.sub(REDACTED, " ".join(shown.split()))


def name(ref: Ref) -> str:
    """The name of an object as it may be told; that of the API server's own objects as it is."""
    own = ref.uid or ref.kind in _NAMED_FREELY or (ref.kind in _KINDS and _NAME.fullmatch(ref.name))
    return ref.name if own else _all_gone(ref.name)
