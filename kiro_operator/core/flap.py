"""Flap control: from raw verdicts to the one that is reported, and whether it may be acted on.

Facts come in two kinds. A watched fact is dated, so it counts once it has lasted. A sample is one
look, so it counts once enough of them in a row agree. A polled check may hold both: its findings
marked ``at_once`` are watched facts, the others rest on the sample.

Unknown settles nothing: it is reported, but what failed before still fails until it was seen well.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.core.findings import earliest, found
from kiro_operator.core.quiet import kept
from kiro_operator.core.snapshot import CERTAIN
from kiro_operator.core.verdict import Finding, Status, Verdict

AWAITING = "AwaitingSamples"
"""Reason while there were too few samples for a first verdict."""
SETTLING = "Settling"
"""Reason while a first fault has not lasted long enough."""


class FlapRule(Struct, frozen=True, kw_only=True):
    """How much it takes to fail and to recover."""

    fail_after: timedelta = timedelta(0)
    recover_after: timedelta = timedelta(0)
    failure_threshold: int = 3
    success_threshold: int = 2
    evidence: str = "what it reads"
    """What is looked at, as it is told while that is not enough for a verdict."""


class Track(Struct, frozen=True, kw_only=True):
    """What has to be remembered of one check between two judgements."""

    held: Verdict | None = None
    """The last verdict that was not Unknown; None before the first decision."""
    words: Verdict | None = None
    """The last verdict that was told, whose words stay while they hold; None: the next ones are taken."""
    shown: tuple[Status, str] | None = None
    """Status and reason as last reported."""
    since: datetime | None = None
    """When these last changed."""
    began: datetime | None = None
    """When the fault was first seen, whatever was reported since; None without one, and where an earlier
    process did not tell."""
    faulty: bool = False
    """Watched facts have made it fail, and it was not seen well for long enough since."""
    poor: bool = False
    """Samples have made it fail, and too few were good since."""
    ill_since: datetime | None = None
    well_since: datetime | None = None
    sample: int = 0
    """The last sample that was counted."""
    bad: int = 0
    good: int = 0
    missed: int = 0
    """Samples in a row that failed, that did not, and that could not be had."""
    blind: Verdict | None = None
    """The Unknown verdict that is reported, while there is one."""


class Settled(Struct, frozen=True):
    """What is reported, and whether it may be acted on."""

    verdict: Verdict
    """While a verdict is merely held, its findings are the last that were seen."""
    since: datetime
    """When its status or reason last changed."""
    actionable: bool
    """Fail, by facts that this very judgement saw for the first time or sees to last."""
    next_check: datetime | None
    began: datetime | None
    """When the fault behind a Fail was first seen; None where that is not known."""


def seeded(
    status: Status,
    reason: str,
    since: datetime,
    message: str = "",
    began: datetime | None = None,
    *,
    observed: str | None = None,
    threshold: str | None = None,
    polled: bool,
) -> Track:
    """A track that goes on from a verdict of an earlier process: a Fail is still one.

    Nothing is actionable before new facts confirm it.
    """
    shown = (status, reason)
    if status is Status.UNKNOWN:
        return Track(shown=shown, since=since)
    failing = status is Status.FAIL
    held = Verdict(status, reason, message, observed=observed, threshold=threshold)
    return Track(
        held=held,
        words=held,
        shown=shown,
        since=since,
        began=began if failing else None,
        faulty=failing and not polled,
        poor=failing and polled,
    )


def settle(
    track: Track | None,
    raw: Verdict,
    rule: FlapRule,
    now: datetime,
    sample: int | None,
    *,
    had: bool = False,
) -> tuple[Track, Settled]:
    """Fold one raw verdict into the track.

    Args:
        track: what was returned the last time; None before the first.
        raw: what the check says now.
        rule: the thresholds.
        now: the wall clock, which may have been set back since.
        sample: number of the sample the check was judged on, 0 before the first; None for a check
            without polled sources.
        had: whether all that it samples has been had, so that a sampled fault that is not found is not there
            though a watched one is.
    """
    track = track or Track()
    if sample is None and track.poor:
        # What it failed by is sampled no more: only what is watched can keep it up, or end it.
        track = replace(track, poor=False, faulty=True)
    fresh = sample is not None and sample != track.sample
    if fresh:
        track = replace(track, sample=sample)
    if raw.status is Status.UNKNOWN:
        return _blind(track, raw, rule, now, polled=sample is not None, fresh=fresh)
    fails, polled = raw.status is Status.FAIL, sample is not None
    if fails and track.began is None and not (track.faulty or track.poor):
        track = replace(track, began=_first_seen(raw, now, polled=polled))
    # A Fail without findings is a fault of the whole: it belongs to the kind of facts the check has.
    bare = fails and not raw.findings
    watched = [item for item in raw.findings if item.at_once or not polled] if fails else []
    sampled = fails and (len(watched) < len(raw.findings) or (bare and polled))
    track, ripe, due = _watch(track, watched, rule, now, bare=bare and not polled)
    # Beside a watched fault a sample without one proves nothing if it may not even have been had.
    if fresh and (sampled or not watched or had):
        track = _count(track, rule, sampled=sampled)
    if fails:
        counted = tuple(
            item
            for item in raw.findings
            if (_ripe(item, rule, now) if item.at_once or not polled else track.poor)
        )
        if counted or (bare and (track.poor if polled else ripe)):
            verdict = raw if len(counted) == len(raw.findings) else _rebuilt(raw, counted)
            actionable = ripe or (fresh and sampled and track.poor)
            return _report(track, verdict, now, due, raw, actionable=actionable)
    return _not_counting(track, raw, rule, now, due, fails=fails)


def _first_seen(raw: Verdict, now: datetime, *, polled: bool) -> datetime:
    """Since when there is a fault: a watched one is dated, a sampled one is as old as this look at it."""
    dated = [item.since for item in raw.findings if item.at_once or not polled]
    return min(dated, default=now)


def _ripe(item: Finding, rule: FlapRule, now: datetime) -> bool:
    return now - min(item.since, now) >= rule.fail_after


def _watch(
    track: Track, findings: Sequence[Finding], rule: FlapRule, now: datetime, *, bare: bool
) -> tuple[Track, bool, datetime | None]:
    """Whether a watched fault has lasted, and when the next one will have or the recovery is complete."""
    ill_since = min(track.ill_since or now, now) if bare else None
    begins = [min(item.since, now) for item in findings] + ([ill_since] if ill_since else [])
    ripe = any(now - begin >= rule.fail_after for begin in begins)
    due = earliest(*(begin + rule.fail_after for begin in begins if now - begin < rule.fail_after))
    faulty, well_since = track.faulty or ripe, None
    if faulty and not begins:
        well_since = min(track.well_since or now, now)
        faulty = now - well_since < rule.recover_after
        due = well_since + rule.recover_after if faulty else None
        well_since = well_since if faulty else None
    if (faulty, ill_since, well_since) == (track.faulty, track.ill_since, track.well_since):
        return track, ripe, due
    return replace(track, faulty=faulty, ill_since=ill_since, well_since=well_since), ripe, due


def _count(track: Track, rule: FlapRule, *, sampled: bool) -> Track:
    if sampled:
        bad = min(track.bad + 1, rule.failure_threshold)
        return replace(track, bad=bad, good=0, missed=0, poor=track.poor or bad >= rule.failure_threshold)
    good = min(track.good + 1, rule.success_threshold)
    return replace(track, bad=0, good=good, missed=0, poor=track.poor and good < rule.success_threshold)


def _blind(
    track: Track, raw: Verdict, rule: FlapRule, now: datetime, *, polled: bool, fresh: bool
) -> tuple[Track, Settled]:
    """Nothing could be seen: a streak of failures stands, one of successes does not."""
    track = replace(track, good=0, well_since=None)
    if fresh:
        track = replace(track, missed=min(track.missed + 1, rule.failure_threshold))
    if not polled or track.missed >= rule.failure_threshold or raw.reason in CERTAIN:
        return _report(track, raw, now, None, raw, actionable=False)
    if track.held is None and track.blind is None:
        waiting = _awaiting(rule)
        return _report(track, waiting, now, None, raw, actionable=False)
    return _report(track, track.blind or track.held or raw, now, None, raw, actionable=False)


def _not_counting(
    track: Track, raw: Verdict, rule: FlapRule, now: datetime, due: datetime | None, *, fails: bool
) -> tuple[Track, Settled]:
    """What is reported when no fault counts now: none is there, or none yet."""
    failing = track.faulty or track.poor
    if not fails and not failing:
        return _report(replace(track, began=None), raw, now, due, raw, actionable=False)
    if track.held is not None and (failing or track.held.status is not Status.FAIL):
        return _report(track, track.held, now, due, raw, actionable=False)
    if track.bad:
        waiting = _awaiting(rule)
    else:
        text = f"A fault was seen in {rule.evidence} that has not lasted long enough to count."
        waiting = Verdict(Status.UNKNOWN, SETTLING, text)
    return _report(replace(track, held=None), waiting, now, due, raw, actionable=False)


def _awaiting(rule: FlapRule) -> Verdict:
    """Says how many samples it takes and not how many there are, which would be written with each."""
    message = f"A first verdict takes up to {rule.failure_threshold} samples of {rule.evidence}."
    return Verdict(Status.UNKNOWN, AWAITING, message)


def _rebuilt(raw: Verdict, findings: Sequence[Finding]) -> Verdict:
    """The verdict over some of its findings only, told anew so that no other is named."""
    return found(
        findings,
        observed=raw.observed,
        threshold=raw.threshold,
        replicas_needed=raw.replicas_needed,
    )


def _report(
    track: Track, verdict: Verdict, now: datetime, due: datetime | None, raw: Verdict, *, actionable: bool
) -> tuple[Track, Settled]:
    words = track.words
    if verdict is not track.held:
        words = verdict = kept(words, verdict)
    shown = (verdict.status, verdict.reason)
    since = track.since if shown == track.shown and track.since is not None else now
    since = min(since, now)
    began = None if track.began is None else min(track.began, now)
    blind = (
        verdict if verdict.status is Status.UNKNOWN and verdict.reason not in {AWAITING, SETTLING} else None
    )
    held = track.held if verdict.status is Status.UNKNOWN else verdict
    again = earliest(due, raw.next_check)
    if again is not None and again <= now:
        again = now + timedelta(seconds=1)
    track = replace(track, held=held, words=words, shown=shown, since=since, began=began, blind=blind)
    failing = verdict.status is Status.FAIL
    return track, Settled(verdict, since, actionable and failing, again, began if failing else None)
