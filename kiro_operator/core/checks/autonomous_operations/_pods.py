"""What the pods of autonomous operations wrote."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks import Parameters
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.verdict import Verdict, skipped, unknown

LABEL = "^[A-Za-z0-9][-A-Za-z0-9_./]{0,62}=[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"


class AutonomousPods(Parameters):
    """Which pods act by themselves."""

    label: Annotated[str, Field(max_length=128, pattern=LABEL)] = Field(
        default="component=autonomous-operations",
        description="Label of the pods that carry out autonomous operations, as key=value.",
    )


def written(snapshot: Snapshot, label: str) -> Verdict | Sequence[LogTail]:
    """The new lines of the pods with a label; the verdict where there are none to judge."""
    if isinstance(snapshot.pods, Unobserved):
        return unknown(snapshot.pods)
    sample = snapshot.value(POD_LOGS)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    tails = [item for item in sample if isinstance(item, LogTail) and _has(snapshot, item.pod, label)]
    missing = sorted(
        (item for item in sample if isinstance(item, Unobserved)),
        key=lambda item: (item.reason, item.message),
    )
    if tails:
        return tails
    if missing:
        return unknown(missing[0])
    return skipped(
        "NoAutonomousPods",
        f"No selected pod in namespace {snapshot.namespace} with the label {label} has a log to read.",
    )


def _has(snapshot: Snapshot, name: str, label: str) -> bool:
    pod = None if isinstance(snapshot.pods, Unobserved) else snapshot.pods.get(name)
    key, _, value = label.partition("=")
    return pod is not None and pod.metadata.labels.get(key) == value
