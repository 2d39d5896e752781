"""One KiroHealthCheck as the engine holds it: what was asked, and what is remembered of it."""

import difflib
import sys
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace
from pydantic import ValidationError

from kiro_operator.api.v1alpha1.healthcheck import (
    ActionName,
    CheckSettings,
    KiroHealthCheckSpec,
    KiroHealthCheckStatus,
)
from kiro_operator.core.checks import Check, Parameters, Registered, registry
from kiro_operator.core.conditions import Permission, shorten
from kiro_operator.core.feedback import Notes, annotated, notes
from kiro_operator.core.flap import FlapRule, Track, seeded
from kiro_operator.core.objects import Selector, is_later
from kiro_operator.core.objects.meta import PROTECTED
from kiro_operator.core.policy.types import Change
from kiro_operator.core.policy.wellness import Memory, Need, Wellness
from kiro_operator.core.showing import places
from kiro_operator.core.snapshot import Marks, Own, Polled, Ref, Sample, Source
from kiro_operator.core.standing import Since
from kiro_operator.core.verdict import Status, Verdict

Key = tuple[str, str]
"""Namespace and name."""
REMEMBERED = 100
"""Times of beginning to fail that are remembered of one check."""


class Enabled(msgspec.Struct, frozen=True):
    """A check that is to run, with all that was set for it."""

    registered: Registered
    parameters: Parameters
    rule: FlapRule
    interval: timedelta
    polled: tuple[Polled[Any], ...]
    """Its polled sources, less those that the spec does not name, and those that it borrows."""
    borrowed: tuple[Polled[Any], ...] = ()
    """Its polled sources that are sampled for other checks."""
    chosen: CheckSettings | None = None
    """Its settings as they are written."""

    @property
    def seconds(self) -> float:
        """Its interval in seconds."""
        return self.interval.total_seconds()

    @property
    def check(self) -> Check:
        """The check itself."""
        return self.registered.check


def marks_of(metadata: Mapping[str, Any]) -> Marks:
    """What gates ask of the metadata of an object as a watch tells of it."""
    protected = (metadata.get("annotations") or {}).get(PROTECTED, "")
    return Marks(metadata["uid"], metadata.get("labels") or {}, protected)


class Target:
    """A KiroHealthCheck. The engine works one at a time on each, so that nothing here needs a lock."""

    broke: Permission | None = None
    """What breaks off the work on it, once the status has said so; None after it has succeeded again."""
    unfit: Mapping[tuple[ActionName, Ref], tuple[Change, datetime]] = {}
    """Drafts of which the API server took no record, and when it is asked again; see ``Inputs.unfit``."""

    evidence = 0
    """Raised when the evidence is somewhere else by now: what was asked before tells nothing of it."""
    rounds = 0
    """Rounds of sampling so far, at whatever interval; what is asked in one has its number."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.uid = ""
        self.generation = 0
        self.resource_version = ""
        self.requested_at = ""
        """Value of the annotation kiro.dev/requestedAt."""
        self._request: tuple[str, dict[tuple[str, float], int]] = ("", {})
        """The request that is being handled, and the number of each sample before it."""
        self.marks = Marks()
        self.created = datetime.fromtimestamp(0, UTC)
        self.spec = KiroHealthCheckSpec()
        self.status = KiroHealthCheckStatus()
        """As last seen or written."""
        self.problem: Permission | None = None
        self.selector = Selector()
        self.checks: dict[str, Enabled] = {}
        self.tracks: dict[str, Track] = {}
        self.standing: dict[str, Since] = {}
        """Since when what a check finds has stood, of those whose findings another one weighs."""
        self.raw: dict[str, Verdict] = {}
        self.samples: dict[tuple[str, float], Sample[Any]] = {}
        """The last sample by source and interval in seconds."""
        self.intervals: frozenset[float] = frozenset()
        """Seconds between the rounds of sampling that its checks ask for."""
        self.confirmed: dict[str, int] = {}
        """Number of the sample on which each polled check last failed so that it may be acted on."""
        self.look_anew = False
        """What was sampled before no longer holds: everything is to be sampled at once."""
        self.measured = KiroHealthCheckStatus()
        """What its metrics say."""
        self.held_back = False
        """Something that it wants is denied: what others do, or become, can change that."""
        self.refused = ""
        """Which permission was found missing for acting; empty when none was, or it is time to try again."""
        self.refused_until = 0.0
        """Monotonic time at which to try again."""
        self.failed: dict[str, tuple[datetime, ...]] = {}
        """When each check began to fail, since this process began."""
        self._annotated: dict[str, str] = {}
        self._notes = Notes()
        self.memory: Memory = {}
        """What the last plan remembered; before the first one of this process, what the status tells."""
        self.planned = False
        """This process has made a plan, and knows better than the status."""
        self.failing: dict[str, datetime] = {}
        """What failed, and since when, as the checks that relate to it were last told."""
        self.dirty: set[str] = set()
        """Sources that changed since the last judgement."""
        self.blind: frozenset[Source] = frozenset()
        """Watched sources that could not be seen at the last judgement."""

    @property
    def namespace(self) -> str:
        """Namespace of the KiroHealthCheck and of all it judges."""
        return self.key[0]

    @property
    def name(self) -> str:
        """Name of the KiroHealthCheck."""
        return self.key[1]

    def take(self, body: Mapping[str, Any]) -> bool:
        """Take in a version of the object; returns whether it asks for anything new."""
        metadata = body["metadata"]
        version = str(metadata["resourceVersion"])
        anew = metadata["uid"] != self.uid
        if not anew and not is_later(version, self.resource_version):
            return False
        annotations = metadata.get("annotations") or {}
        requested = annotations.get("kiro.dev/requestedAt", "")
        respecified = not anew and int(metadata["generation"]) != self.generation
        changed = anew or respecified or requested != self.requested_at
        self.uid, self.generation = metadata["uid"], int(metadata["generation"])
        self.resource_version, self.requested_at = version, requested
        self.marks = marks_of(metadata)
        self.created = datetime.fromisoformat(metadata["creationTimestamp"])
        status = _read_status(body.get("status"))
        self.planned = self.planned and not anew
        if not self.planned:
            self.memory = _needs(status)
        if anew:
            self._start_over(status)
        elif status != self.status:
            # Somebody else wrote the status: what is true is to be said again.
            self.status, changed = status, True
        if changed:
            before = self.spec
            self._read_spec(body.get("spec") or {})
            if respecified:
                self._look_elsewhere(before)
        if respecified:
            # What it was told by may have changed as well: its words are to be new.
            self.tracks = {name: replace(track, words=None) for name, track in self.tracks.items()}
        return self._read_notes(annotations) or changed

    @property
    def own(self) -> Own:
        """What its checks may know of it."""
        return Own(
            self.name,
            self.checks,
            self._notes,
            dict(self.failed),
            self.spec.mcp,
            self.spec.optimization,
            self.marks,
        )

    def began_to_fail(self, check_id: str, now: datetime) -> None:
        """Remember that a check has begun to fail, for whoever judges how often that happens."""
        self.failed[check_id] = (*self.failed.get(check_id, ()), now)[-REMEMBERED:]
        self.dirty.add(Source.VERDICTS)

    def let_go(self) -> None:
        """Forget what was sampled, for while nothing is looked at it grows old."""
        self.look_anew = True
        self.evidence += 1
        self.samples.clear()
        self.confirmed.clear()
        self.raw.clear()

    def begin_request(self) -> bool:
        """Whether a look now has been asked for that has not begun yet."""
        if not self.requested_at or self.requested_at in (
            self._request[0],
            self.status.last_handled_reconcile_at,
        ):
            return False
        numbers = {
            (source.name, interval): self._number((source.name, interval))
            for interval in self.intervals
            for source in self.sources(interval, ())
        }
        self._request = (self.requested_at, numbers)
        return True

    def handled_request(self) -> str:
        """The last request for which everything has been sampled anew."""
        wanted, numbers = self._request
        told = self.status.last_handled_reconcile_at or ""
        if wanted in ("", told):
            return told
        wanted_still = {
            (source.name, interval) for interval in self.intervals for source in self.sources(interval, ())
        }
        done = all(
            pair not in wanted_still or self._number(pair) > number for pair, number in numbers.items()
        )
        return wanted if done else told

    def sources(self, interval: float, failing: Collection[str]) -> set[Polled[Any]]:
        """What is to be sampled in a round, given which checks fail."""
        return {
            source
            for enabled in self.checks.values()
            if enabled.seconds == interval and (failing or not enabled.check.only_while_failing)
            for source in enabled.polled
        }

    def unsampled(self, interval: float) -> bool:
        """Whether something has never been sampled, nor judged by an earlier process."""
        return any(
            enabled.seconds == interval
            and check_id not in self.tracks
            and any((source.name, interval) not in self.samples for source in enabled.polled)
            for check_id, enabled in self.checks.items()
        )

    def latest(self, source: Polled[Any]) -> Sample[Any] | None:
        """The last sample of a source, whatever the interval it is sampled at."""
        samples = [sample for (name, _), sample in self.samples.items() if name == source.name]
        return max(samples, key=lambda sample: sample.time, default=None)

    def _number(self, pair: tuple[str, float]) -> int:
        sample = self.samples.get(pair)
        return sample.number if sample else 0

    def _start_over(self, status: KiroHealthCheckStatus) -> None:
        self.status = status
        # One of the same name was there before, and went unseen.
        replaced = bool(self.samples)
        self.let_go()
        self.look_anew = replaced
        self.failed.clear()
        self.tracks = {
            item.id: seeded(
                Status(item.status),
                item.reason,
                item.since,
                item.message,
                item.began,
                observed=item.observed,
                threshold=item.threshold,
                polled=bool(registry()[item.id].check.polled),
            )
            for item in status.checks
            if item.id in registry()
        }
        self.standing = {
            item.id: {(found.kind, found.name): found.since for found in item.objects if found.since}
            for item in status.checks
        }

    def _read_notes(self, annotations: Mapping[str, str]) -> bool:
        """Whether people have noted anything new."""
        told = annotated(annotations)
        if told == self._annotated:
            return False
        self._annotated, self._notes = told, notes(told, registry())
        self.dirty.add(Source.HEALTH_CHECK)
        return True

    def _read_spec(self, spec: Mapping[str, Any]) -> None:
        self.problem = None
        try:
            self.spec = KiroHealthCheckSpec.model_validate(spec)
            self.selector = _selector(self.spec)
        except (ValidationError, ValueError) as error:
            self.problem = Permission(
                allowed=False, reason="InvalidSpec", message=f"spec: {_first_line(error)}"
            )
            return
        settings = {check.id: check for check in self.spec.checks}
        # What is written of each check is read here, and would otherwise be most of what is held.
        self.spec = self.spec.model_copy(update={"checks": []})
        if unknown := [name for name in settings if name not in registry()]:
            self.problem = Permission(
                allowed=False, reason="UnknownCheck", message=_no_such_check(unknown[0])
            )
        before, self.checks = self.checks, {}
        for check_id, registered in registry().items():
            chosen = settings.get(check_id) or CheckSettings(id=check_id)
            if not chosen.enabled:
                continue
            try:
                enabled = _enable(registered, chosen, self.spec, self.namespace)
                # Only what is written is kept: defaults of every check would fill the memory.
                self.checks[check_id] = replace(enabled, chosen=settings.get(check_id))
            except ValidationError as error:
                self.problem = Permission(
                    allowed=False,
                    reason="InvalidParameters",
                    message=f"spec.checks[{check_id}].parameters: {_parameter_error(error, registered)}",
                )
        self.checks = _informed(_borrowing(self.checks))
        for name in list(self.tracks):
            now, then = self.checks.get(name), before.get(name)
            if now is None or (then is not None and then.polled != now.polled):
                del self.tracks[name]
                self.failed.pop(name, None)
        # While nobody weighs it nobody looks whether it still stands.
        weighed = {name for item in self.checks.values() for name in item.check.weighs} & set(self.checks)
        self.standing = {name: since for name, since in self.standing.items() if name in weighed}
        self.intervals = frozenset(enabled.seconds for enabled in self.checks.values() if enabled.polled)
        wanted = {(source.name, item.seconds) for item in self.checks.values() for source in item.polled}
        for pair in [pair for pair in self.samples if pair not in wanted]:
            del self.samples[pair]
        self.raw.clear()

    def _look_elsewhere(self, before: KiroHealthCheckSpec) -> None:
        """Forget what was seen where the evidence is not any more, and how often something was bad there."""
        moved = {name for name in _SECTIONS if getattr(before, name) != getattr(self.spec, name)}
        if not moved:
            return
        self.let_go()
        of_all = moved - {source.section for item in self.checks.values() for source in item.check.polled}
        for name in self.tracks.keys() & self.checks.keys():
            sources = self.checks[name].polled
            if any(source.section in moved or (of_all and not source.section) for source in sources):
                self.tracks[name] = replace(self.tracks[name], bad=0, good=0, missed=0, poor=False)


_SECTIONS = frozenset(KiroHealthCheckSpec.model_fields) - {
    "suspend",
    "interval",
    "safety_policy_ref",
    "checks",
    "remediation",
}
"""Where the evidence is, and of what it is."""


def _enable(
    registered: Registered, settings: CheckSettings, spec: KiroHealthCheckSpec, namespace: str
) -> Enabled:
    check = registered.check
    read = (
        places(item, spec, namespace) if isinstance(item, Polled) else item.value for item in check.sources
    )
    return Enabled(
        registered,
        check.parameters.model_validate(settings.parameters),
        FlapRule(
            fail_after=_or(settings.fail_after, check.fail_after),
            recover_after=_or(settings.recover_after, check.recover_after),
            failure_threshold=settings.failure_threshold or check.failure_threshold,
            success_threshold=settings.success_threshold or check.success_threshold,
            evidence=sys.intern(", ".join(read)),  # most are the same for all KiroHealthChecks
        ),
        settings.interval or max(spec.interval, check.interval),
        tuple(
            source
            for source in check.polled
            if not source.section or getattr(spec, source.section) is not None
        ),
    )


def _borrowing(checks: Mapping[str, Enabled]) -> dict[str, Enabled]:
    """The same checks, with each taking from others what it may."""
    lent = {source for item in checks.values() for source in item.polled if source not in item.check.borrows}
    return {check_id: _borrower(item, lent) for check_id, item in checks.items()}


def _borrower(item: Enabled, lent: Collection[Polled[Any]]) -> Enabled:
    borrowed = tuple(source for source in item.check.borrows if source in lent)
    own = tuple(source for source in item.polled if source not in borrowed)
    return msgspec.structs.replace(item, polled=own, borrowed=borrowed)


def _informed(checks: dict[str, Enabled]) -> dict[str, Enabled]:
    """The checks, each with what it wants to know of how the others are set."""
    others = {check_id: enabled.parameters for check_id, enabled in checks.items()}
    return {
        check_id: enabled
        if enabled.check.informed is None
        else msgspec.structs.replace(enabled, parameters=enabled.check.informed(enabled.parameters, others))
        for check_id, enabled in checks.items()
    }


def _or(value: timedelta | None, default: timedelta) -> timedelta:
    return default if value is None else value


def _read_status(status: Mapping[str, Any] | None) -> KiroHealthCheckStatus:
    """The status as stored, also by a later version; one that cannot be read is written anew."""
    try:
        return KiroHealthCheckStatus.model_validate(status or {}, extra="ignore")
    except ValidationError:
        return KiroHealthCheckStatus()


def _needs(status: KiroHealthCheckStatus) -> Memory:
    """Since when what a person was asked about has been in need: a decision on it is bound to that."""
    needs: dict[str, Wellness] = {}
    for item in status.asked:
        need, known = Need(item.since, item.check, asked=True), needs.get(item.uid, Wellness())
        needs[item.uid] = replace(known, back=need) if item.back else replace(known, need=need)
    return needs


def _selector(spec: KiroHealthCheckSpec) -> Selector:
    selector = msgspec.convert(spec.selector.model_dump(mode="json", by_alias=True), Selector)
    selector.matches({})
    return selector


def _no_such_check(name: str) -> str:
    near = difflib.get_close_matches(name, registry(), n=1)
    advice = f"did you mean {near[0]}?" if near else f"write one of {', '.join(registry())}"
    return f"spec.checks: there is no check {name!r}; {advice}"


def _parameter_error(error: ValidationError, registered: Registered) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        fields: Iterable[str] = (
            field.alias or name for name, field in registered.check.parameters.model_fields.items()
        )
        known = sorted(fields)
        near = difflib.get_close_matches(where, known, n=1)
        return f"there is no {where!r}; " + (
            f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"
        )
    # What is wrong with several together stands at none of them, and names them itself.
    told = str(first["msg"]).removeprefix("Value error, ")
    return shorten(f"{where}: {told}" if where else told, 500)


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return shorten(f"{where}: {first['msg']}", 500)
    return shorten(str(error), 500)
