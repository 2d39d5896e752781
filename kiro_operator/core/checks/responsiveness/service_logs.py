"""Errors and known faults in the logs: ``kubectl logs -l app=kiro``."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Struct
from pydantic import Field, field_validator

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.types import ApiModel
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.faults.kinds import NOTHING
from kiro_operator.core.findings import found
from kiro_operator.core.loglines import LINE_LIMIT, is_error, is_quiet
from kiro_operator.core.patterns import LINE_LIMIT as OWN_LINE_LIMIT
from kiro_operator.core.patterns import PATTERN_LIMIT, compile_pattern
from kiro_operator.core.signatures import BUILT_IN, Severity, Signature
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, unknown

_OWN_LINES = 2000
"""Lines that users' patterns are held against in one judgement, over all pods and patterns."""
_FEWEST = 20
_FOR_THEMSELVES = frozenset({"Job", "CronJob", "Node"})
_RATE = "ErrorRate"


class SignatureParameter(ApiModel):
    """A signature of the user's own."""

    name: Annotated[str, Field(pattern="^[A-Z][A-Za-z0-9]{0,62}$")] = Field(
        description="The reason it gives: one CamelCase word."
    )
    pattern: Annotated[str, Field(min_length=1, max_length=PATTERN_LIMIT)] = Field(
        description="Regular expression; upper and lower case are the same."
    )
    severity: Severity = Field(default=Severity.FAIL, description="Fail or Warn.")
    matches: Annotated[int, Field(ge=1, le=10000)] = Field(
        default=3, description="Lines of one pod in one sample that it takes."
    )
    remedies: Annotated[list[ActionName], Field(max_length=4)] = Field(
        default=[], description="Actions that can help, in order; [] when a person is needed."
    )

    @field_validator("pattern")
    @classmethod
    def _sound(cls, value: str) -> str:
        compile_pattern(value)
        return value


class ServiceLogsParameters(Parameters):
    """Thresholds of service-logs, and the bounds of what is read."""

    errors_per_minute: Annotated[float, Field(gt=0, le=1_000_000)] = Field(
        default=10.0, description="Lines a minute of one pod that say error, from which on it is too many."
    )
    signatures: Annotated[list[SignatureParameter], Field(max_length=16)] = Field(
        default=[], description="Signatures of your own, before the built-in ones."
    )
    disabled_signatures: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=32)] = Field(
        default=[], description="Names of built-in signatures that do not count."
    )

    @field_validator("disabled_signatures")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        known = sorted(signature.name for signature in BUILT_IN)
        for name in value:
            if name not in known:
                raise ValueError(f"{name!r} is no built-in signature: {', '.join(known)}")
        return value

    def shadowed(self) -> str:
        """The first signature that a line has is the one that counts."""
        patterns = [signature.pattern for signature in self.signatures]
        later = [item.name for n, item in enumerate(self.signatures) if item.pattern in patterns[:n]]
        return f"signature {later[0]} never counts: one before it has the same pattern" if later else ""


class Hits(Struct, frozen=True):
    """What the logs of one pod came to."""

    rate: float
    """Errors a minute."""
    signatures: Counter[str]


def judge(snapshot: Snapshot, parameters: ServiceLogsParameters, now: datetime) -> Verdict:
    """Judge the lines of the last sample, pod by pod."""
    sample = snapshot.value(POD_LOGS)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    tails = [item for item in sample if not isinstance(item, Unobserved)]
    missing = sorted({(item.reason, item.message) for item in sample if isinstance(item, Unobserved)})
    if not sample:
        return skipped(
            "NoLogs", f"No selected container in namespace {snapshot.namespace} has a log to read."
        )
    if not tails:
        return unknown(Unobserved(*missing[0]))
    signatures = _signatures(parameters)
    by_pod: dict[str, list[LogTail]] = {}
    for tail in tails:
        by_pod.setdefault(tail.pod, []).append(tail)
    own = sum(signature.own for signature in signatures)
    lines = max(_FEWEST, _OWN_LINES // max(1, own * len(tails)))
    hits = {pod: _hits(group, signatures, lines) for pod, group in by_pod.items()}
    since = snapshot.sampled_at(POD_LOGS, now)
    failed, warned = _findings(hits, signatures, parameters, snapshot, since)
    if failed:
        return found(failed)
    if warned:
        return found(warned, status=Status.WARN)
    if missing:
        reason, message = missing[0]
        return Verdict(Status.WARN, "PartlyRead", f"Some logs could not be read ({reason}): {message}"[:1024])
    return passed("The logs show no known fault and few errors.")


def _signatures(parameters: ServiceLogsParameters) -> list[Signature]:
    own = [
        Signature(
            item.name,
            compile_pattern(item.pattern),
            "its log shows this signature",
            tuple(item.remedies),
            item.matches,
            item.severity,
            own=True,
        )
        for item in parameters.signatures
    ]
    names = {item.name for item in own}.union(parameters.disabled_signatures)
    return own + [signature for signature in BUILT_IN if signature.name not in names]


def _hits(
    tails: Iterable[LogTail],
    signatures: Sequence[Signature],
    own_lines: int,
) -> Hits:
    errors, counts = 0.0, Counter[str]()
    for tail in tails:
        lines = tail.lines
        if not tail.previous:
            # A former instance's lines tell what it died of, but not how often something happens now.
            errors += 60 * sum(map(is_error, lines)) / max(tail.seconds, 1.0)
        text = "\n".join(lines).lower()
        for signature in signatures:
            if signature.needles and not any(needle in text for needle in signature.needles):
                continue
            counts[signature.name] += _matches(signature, lines, own_lines)
    return Hits(errors, counts)


def _matches(signature: Signature, lines: Sequence[str], own_lines: int) -> int:
    limit = OWN_LINE_LIMIT if signature.own else LINE_LIMIT
    looked_at = lines[-own_lines:] if signature.own else lines
    search = signature.pattern.search
    return sum(1 for line in looked_at if search(line[:limit]) and not is_quiet(line))


def _findings(
    hits: dict[str, Hits],
    signatures: Sequence[Signature],
    parameters: ServiceLogsParameters,
    snapshot: Snapshot,
    since: datetime,
) -> tuple[list[Finding], list[Finding]]:
    failed: list[Finding] = []
    warned: list[Finding] = []
    refs = {pod: _refs(pod, snapshot) for pod in hits}
    for signature in signatures:
        for pod in sorted(hits):
            if hits[pod].signatures[signature.name] < signature.matches:
                continue
            message = f"Pod {pod}: {signature.text}; kubectl logs {pod} shows {signature.name}"
            finding = _finding(signature.name, message, refs[pod], signature.remedies, since)
            (failed if signature.severity is Severity.FAIL else warned).append(finding)
    for pod in sorted(hits):
        if hits[pod].rate > parameters.errors_per_minute:
            message = f"Pod {pod} logs too many errors: kubectl logs {pod} says which"
            failed.append(_finding(_RATE, message, refs[pod], NOTHING, since))
    return failed, warned


def _finding(
    reason: str,
    message: str,
    refs: tuple[Ref, Ref | None],
    remedies: tuple[ActionName, ...],
    since: datetime,
) -> Finding:
    pod, target = refs
    can_help = target is not None and target.kind not in _FOR_THEMSELVES
    return Finding(pod, reason, message, since, target, remedies if can_help else NOTHING)


def _refs(name: str, snapshot: Snapshot) -> tuple[Ref, Ref | None]:
    """The pod and what an action would be for; None when the pod is not there any more."""
    pod = None if isinstance(snapshot.pods, Unobserved) else snapshot.pods.get(name)
    if pod is None:
        return Ref("Pod", name), None
    itself = Ref("Pod", name, pod.metadata.uid)
    return itself, controller_of(pod, snapshot) or itself


CHECK = Check(
    title="Logs show no known fault and few errors",
    section="responsiveness-service-status",
    command="kubectl logs -n {namespace} {object} --all-containers --tail=100; "
    "kubectl get pods -n {namespace} {selector}",
    # It looks pods up by name as well, but is judged when lines come in.
    sources=(POD_LOGS,),
    judge=judge,
    parameters=ServiceLogsParameters,
)
