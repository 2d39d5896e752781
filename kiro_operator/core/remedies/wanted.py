"""From verdicts to the targets that want something done."""

from collections.abc import Collection, Mapping

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.conditions import ConditionType
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.checks import registry
from kiro_operator.core.remedies.types import Wanted
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of
from kiro_operator.core.verdict import Status, Verdict

Verdicts = Mapping[str, tuple[Verdict, bool]]


class Patient(Struct, frozen=True):
    """A target that remedies may help, and what asks for them, oldest first."""

    target: Ref
    wanted: tuple[Wanted, ...]


class Hopeless(Struct, frozen=True):
    """An object with faults of one kind that no remedy helps against, oldest first."""

    object: Ref
    wanted: tuple[Wanted, ...]


class SortedOut(Struct, frozen=True):
    """What fails, by what can be done about it."""

    patients: list[Patient]
    hopeless: list[Hopeless]
    unplaced: list[Wanted]
    """Where it cannot be seen for now which target is to be treated."""


def sort_out(verdicts: Verdicts, snapshot: Snapshot) -> SortedOut:
    """Who wants what, by the age of the oldest fault.

    Only a verdict of Fail that may lead to actions is heard. What several checks find of one
    target is one want of that target; what no remedy helps against is gathered by workload, so
    that a hundred pods with one fault are one matter.
    """
    patients: dict[Ref, list[Wanted]] = {}
    hopeless: dict[tuple[Ref, str, str], list[Wanted]] = {}
    unplaced: list[Wanted] = []
    for check, (verdict, actionable) in verdicts.items():
        if not actionable or verdict.status is not Status.FAIL:
            continue
        for finding in verdict.findings:
            want = Wanted(check, finding)
            if finding.target is not None and finding.remedies:
                patients.setdefault(finding.target, []).append(want)
            elif finding.remedies:
                unplaced.append(want)
            elif _escalates(check):
                whom = finding.target or _owner(finding.object, snapshot)
                hopeless.setdefault((whom, check, finding.reason), []).append(want)
    return SortedOut(
        sorted((Patient(ref, _oldest_first(wanted)) for ref, wanted in patients.items()), key=_patience),
        sorted((Hopeless(key[0], _oldest_first(wanted)) for key, wanted in hopeless.items()), key=_grief),
        unplaced,
    )


def fallbacks(patient: Patient) -> list[Patient]:
    """The workloads behind a target, to be restarted when nothing helped the target itself."""
    found: dict[Ref, list[Wanted]] = {}
    for want in patient.wanted:
        ref = want.finding.fallback
        if ref is not None:
            finding = replace(want.finding, target=ref, remedies=(ActionName.RESTART,), fallback=None)
            found.setdefault(ref, []).append(Wanted(want.check, finding))
    return sorted((Patient(ref, tuple(wanted)) for ref, wanted in found.items()), key=_patience)


def ailing(verdicts: Verdicts, snapshot: Snapshot) -> frozenset[str]:
    """UIDs of all that do not work, settled or not, whoever may help.

    What is merely wasteful, slow or in doubt does not count, unless a remedy is to help against it.
    """
    return frozenset(
        ref.uid
        for check, (verdict, _) in verdicts.items()
        if verdict.status is Status.FAIL
        for finding in verdict.findings
        if finding.remedies or _condition(check) == ConditionType.RESPONSIVE
        for ref in (finding.object, finding.target or _owner(finding.object, snapshot), finding.fallback)
        if ref is not None and ref.uid
    )


def is_observed(check: str, verdicts: Verdicts, blind: Collection[str]) -> bool:
    """Whether the check that asked for an action sees its objects now.

    One that is not run here, such as by another KiroHealthCheck of the namespace, sees nothing. Nor does one
    that fails without findings: that is what an earlier process has seen.

    Args:
        check: its id.
        verdicts: what is told of each check.
        blind: ids of those that see nothing at this look, whatever is told of them until more is seen.
    """
    verdict, _ = verdicts.get(check, (None, False))
    if verdict is None or check in blind or verdict.status in {Status.UNKNOWN, Status.SKIPPED}:
        return False
    return verdict.status is not Status.FAIL or bool(verdict.findings)


def _escalates(check: str) -> bool:
    item = registry().get(check)
    return item is None or item.escalates


def _condition(check: str) -> str:
    item = registry().get(check)
    return ConditionType.RESPONSIVE if item is None else item.condition


def _owner(ref: Ref, snapshot: Snapshot) -> Ref:
    """The workload of a pod; the object itself where there is none to be seen."""
    if ref.kind != "Pod" or isinstance(snapshot.pods, Unobserved):
        return ref
    pod = snapshot.pods.get(ref.name)
    if pod is None or pod.metadata.uid != ref.uid:
        return ref
    return controller_of(pod, snapshot) or ref


def _oldest_first(wanted: list[Wanted]) -> tuple[Wanted, ...]:
    return tuple(
        sorted(
            wanted,
            key=lambda want: (
                want.finding.since,
                want.check,
                want.finding.object,
                want.finding.reason,
                want.finding.message,
            ),
        )
    )


def _patience(patient: Patient) -> tuple[object, ...]:
    return patient.wanted[0].finding.since, patient.target.uid, patient.target


def _grief(hopeless: Hopeless) -> tuple[object, ...]:
    first = hopeless.wanted[0]
    return first.finding.since, hopeless.object, first.check, first.finding.reason
