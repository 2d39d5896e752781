"""Flap control, by example and by property."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kiro_operator.core.flap import AWAITING, SETTLING, FlapRule, Settled, Track, seeded, settle
from kiro_operator.core.snapshot import Ref, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, unknown

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
RULE = FlapRule(failure_threshold=3, success_threshold=2)
LASTING = FlapRule(fail_after=timedelta(seconds=30), recover_after=timedelta(seconds=20))
WELL = passed("all is well")
BLIND = unknown(Unobserved("Timeout", "no answer"))
WARN = Verdict(Status.WARN, "Leaky", "something is odd")


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def finding(name: str = "kiro-0", since: float = 0, reason: str = "NotReady", **more: Any) -> Finding:
    return Finding(Ref("Pod", name), reason, f"Pod {name} is not Ready", at(since), **more)


def fail(*findings: Finding, **more: Any) -> Verdict:
    found = findings or (finding(),)
    return Verdict(Status.FAIL, found[0].reason, "; ".join(item.message for item in found), found, **more)


Step = tuple[float, Verdict, int | None]


def run(steps: list[Step], rule: FlapRule, track: Track | None = None) -> list[Settled]:
    settled: list[Settled] = []
    for seconds, raw, sample in steps:
        track, one = settle(track, raw, rule, at(seconds), sample)
        settled.append(one)
    return settled


def said(settled: list[Settled]) -> list[str]:
    return [f"{one.verdict.status}{'!' if one.actionable else ''}" for one in settled]


@pytest.mark.parametrize("had", [False, True])
def test_what_was_sampled_well_counts_beside_a_watched_fault(had: bool) -> None:  # noqa: FBT001
    """If it was had: one refused connection, days after two others, is no three in a row."""
    refused = finding("b", reason="ConnectionRefused")
    watched = finding("a", reason="NoReadyEndpoints", at_once=True)
    track: Track | None = None
    looks = [*[(refused,)] * 2, *[(watched,)] * 5, (watched, refused)]
    for number, items in enumerate(looks, 1):
        track, settled = settle(track, fail(*items), RULE, at(number), number, had=had)
    names = {item.object.name for item in settled.verdict.findings}
    assert (track is not None and track.poor) is not had
    assert names == ({"a"} if had else {"a", "b"})


def test_what_another_try_will_not_change_counts_before_any_sample() -> None:
    """Checks that read only what nobody set up, and a watched kind that may not be listed."""
    forbidden = unknown(Unobserved("Forbidden", "add to the operator's ClusterRole"))
    _, settled = settle(None, forbidden, FlapRule(), at(0), 0)
    assert settled.verdict == forbidden
    _, waiting = settle(None, unknown(Unobserved("Unreachable", "no answer")), FlapRule(), at(0), 0)
    assert waiting.verdict.reason == AWAITING


class TestWatched:
    def test_fails_the_moment_it_has_lasted(self) -> None:
        one = run([(0, WELL, None), (10, fail(), None), (30, fail(), None)], LASTING)
        assert said(one) == ["Pass", "Pass", "Fail!"]
        assert one[1].next_check == at(30)
        assert one[2].since == at(30)

    def test_fails_at_once_without_a_duration(self) -> None:
        assert said(run([(0, fail(), None)], FlapRule())) == ["Fail!"]

    def test_names_only_what_has_lasted(self) -> None:
        raw = fail(finding("kiro-0", 0), finding("kiro-1", 15))
        one = run([(0, WELL, None), (31, raw, None), (46, raw, None)], LASTING)
        assert [item.object.name for item in one[1].verdict.findings] == ["kiro-0"]
        assert "kiro-1" not in one[1].verdict.message
        assert one[1].next_check == at(45)
        assert one[2].verdict == raw

    def test_passes_after_being_well_for_long_enough(self) -> None:
        one = run([(30, fail(), None), (40, WELL, None), (59, WELL, None), (60, WELL, None)], LASTING)
        assert said(one) == ["Fail!", "Fail", "Fail", "Pass"]
        assert one[1].next_check == at(60)
        assert one[3].since == at(60)

    def test_a_new_fault_starts_the_recovery_anew(self) -> None:
        steps: list[Step] = [
            (30, fail(), None),
            (40, WELL, None),
            (50, fail(finding(since=50)), None),
            (61, WELL, None),
        ]
        one = run([*steps, (80, WELL, None), (81, WELL, None)], LASTING)
        assert said(one) == ["Fail!", "Fail", "Fail", "Fail", "Fail", "Pass"]

    def test_unknown_at_once_and_it_resolves_nothing(self) -> None:
        one = run([(30, fail(), None), (31, BLIND, None), (90, WELL, None), (110, WELL, None)], LASTING)
        assert said(one) == ["Fail!", "Unknown", "Fail", "Pass"]

    def test_first_verdict_waits_for_the_fault_to_last(self) -> None:
        one = run([(5, fail(), None)], LASTING)
        assert (one[0].verdict.status, one[0].verdict.reason) == (Status.UNKNOWN, SETTLING)
        assert one[0].next_check == at(30)

    def test_fault_of_the_future_is_taken_for_new(self) -> None:
        raw = fail(finding(since=1000))
        one = run([(0, WELL, None), (1, raw, None), (29, raw, None)], LASTING)
        assert said(one) == ["Pass", "Pass", "Pass"]
        assert one[2].next_check == at(59)

    def test_fail_without_findings_lasts_from_when_it_was_seen(self) -> None:
        raw = Verdict(Status.FAIL, "Broken", "all of it is broken")
        one = run([(0, WELL, None), (1, raw, None), (30, raw, None), (31, raw, None)], LASTING)
        assert said(one) == ["Pass", "Pass", "Pass", "Fail!"]

    @pytest.mark.parametrize("raw", [WARN, skipped("NoPods", "no pods"), WELL])
    def test_all_else_at_once(self, raw: Verdict) -> None:
        assert run([(0, WELL, None), (1, raw, None)], LASTING)[1].verdict == raw


class TestPolled:
    def test_fails_after_enough_samples(self) -> None:
        one = run([(0, WELL, 1), (1, fail(), 2), (2, fail(), 3), (3, fail(), 4)], RULE)
        assert said(one) == ["Pass", "Pass", "Pass", "Fail!"]

    def test_one_sample_counts_once(self) -> None:
        one = run([(0, WELL, 1), *[(n, fail(), 2) for n in range(1, 9)]], RULE)
        assert said(one)[-1] == "Pass"

    def test_acts_on_new_samples_only(self) -> None:
        one = run([*((n, fail(), n) for n in (1, 2, 3)), (4, fail(), 3), (5, fail(), 4)], RULE)
        assert said(one)[2:] == ["Fail!", "Fail", "Fail!"]

    def test_awaits_samples_before_the_first_verdict(self) -> None:
        one = run([(0, BLIND, 0), (1, fail(), 1), (2, fail(), 2)], replace(RULE, evidence="pod-logs"))
        assert [item.verdict.reason for item in one] == [AWAITING] * 3
        assert one[2].verdict.message == "A first verdict takes up to 3 samples of pod-logs."
        assert one[2].verdict == one[0].verdict

    def test_passes_after_enough_samples(self) -> None:
        bad: list[Step] = [(n, fail(), n) for n in (1, 2, 3)]
        one = run([*bad, (4, WELL, 4), (5, WELL, 4), (6, fail(), 5), (7, WELL, 6), (8, WELL, 7)], RULE)
        assert said(one)[3:] == ["Fail", "Fail", "Fail!", "Fail", "Pass"]

    def test_unknown_after_as_many_samples(self) -> None:
        one = run([(0, WELL, 1), (1, BLIND, 2), (2, BLIND, 3), (3, BLIND, 3), (4, BLIND, 4)], RULE)
        assert said(one) == ["Pass", "Pass", "Pass", "Pass", "Unknown"]

    def test_unknown_does_not_break_a_streak(self) -> None:
        steps: list[Step] = [(0, WELL, 1), (1, fail(), 2), (2, BLIND, 3), (3, fail(), 4), (4, fail(), 5)]
        assert said(run(steps, RULE))[-1] == "Fail!"

    def test_unknown_resolves_no_fail(self) -> None:
        bad: list[Step] = [(n, fail(), n) for n in (1, 2, 3)]
        one = run([*bad, *[(n, BLIND, n) for n in (4, 5, 6)], (7, WELL, 7), (8, WELL, 8)], RULE)
        assert said(one)[3:] == ["Fail", "Fail", "Unknown", "Fail", "Pass"]

    def test_numbers_may_begin_anew(self) -> None:
        one = run([(0, WELL, 90), (1, fail(), 1), (2, fail(), 2), (3, fail(), 3)], RULE)
        assert said(one)[-1] == "Fail!"


class TestBothKindsOfFacts:
    def test_a_watched_fact_needs_no_samples(self) -> None:
        watched = fail(finding(reason="NoReadyEndpoints", at_once=True))
        assert said(run([(0, WELL, 1), (1, watched, 1)], RULE)) == ["Pass", "Fail!"]

    def test_and_is_gone_when_it_is_gone(self) -> None:
        watched = fail(finding(at_once=True))
        assert said(run([(0, watched, 1), (1, WELL, 1)], RULE)) == ["Fail!", "Pass"]

    def test_a_sample_beside_it_still_has_to_be_confirmed(self) -> None:
        both = fail(finding("a", at_once=True), finding("b"))
        one = run([(0, WELL, 1), (1, both, 2), (2, both, 3), (3, both, 4)], RULE)
        assert [len(item.verdict.findings) for item in one] == [0, 1, 1, 2]

    def test_is_not_failing_by_what_is_left(self) -> None:
        one = run([(0, fail(finding(at_once=True)), 1), (1, fail(finding("b")), 2)], RULE)
        assert said(one) == ["Fail!", "Unknown"]


class TestWhenItBegan:
    def test_it_is_the_first_of_the_samples_that_led_to_fail(self) -> None:
        bad: list[Step] = [(n, fail(), n) for n in (300, 600, 900)]
        one = run([(0, WELL, 1), *bad], RULE)
        assert [item.began for item in one] == [None, None, None, at(300)]
        assert one[-1].since == at(900)

    def test_a_good_sample_ends_the_run(self) -> None:
        steps: list[Step] = [(1, fail(), 2), (2, WELL, 3), *[(n, fail(), n) for n in (4, 5, 6)]]
        assert run([(0, WELL, 1), *steps], RULE)[-1].began == at(4)

    def test_neither_another_reason_nor_a_blind_sample_changes_it(self) -> None:
        bad: list[Step] = [(n, fail(), n) for n in (1, 2, 3)]
        other = fail(finding(reason="OOMKilled"))
        one = run([*bad, (4, other, 4), *[(n, BLIND, n) for n in (5, 6, 7)], (8, other, 8)], RULE)
        assert said(one)[3:] == ["Fail!", "Fail", "Fail", "Unknown", "Fail!"]
        assert [item.since for item in one[3:]] == [at(4), at(4), at(4), at(7), at(8)]
        assert [item.began for item in one[3:]] == [at(1), at(1), at(1), None, at(1)]

    def test_a_blind_sample_in_between_does_not_either(self) -> None:
        steps: list[Step] = [(1, fail(), 2), (2, BLIND, 3), (3, fail(), 4), (4, fail(), 5)]
        assert run([(0, WELL, 1), *steps], RULE)[-1].began == at(1)

    def test_while_it_recovers_it_stands_and_afterwards_it_is_over(self) -> None:
        bad: list[Step] = [(n, fail(), n) for n in (1, 2, 3)]
        one = run([*bad, (4, WELL, 4), (5, fail(), 5), (6, WELL, 6), (7, WELL, 7)], RULE)
        assert [item.began for item in one[3:]] == [at(1), at(1), at(1), None]
        again = run([*bad, (4, WELL, 4), (5, WELL, 5), *[(n, fail(), n) for n in (6, 7, 8)]], RULE)
        assert again[-1].began == at(6)

    def test_a_watched_fault_is_as_old_as_its_object_says(self) -> None:
        one = run([(0, WELL, None), (40, fail(finding(since=5)), None)], LASTING)
        assert (one[-1].began, one[-1].since) == (at(5), at(40))
        beside = fail(finding("a", since=7, at_once=True), finding("b", since=2))
        assert run([(0, WELL, 1), (9, beside, 2)], RULE)[-1].began == at(7)

    def test_it_is_never_in_the_future(self) -> None:
        raw = fail(finding(since=1000))
        one = run([(0, raw, None), (-50, raw, None)], FlapRule())
        assert [item.began for item in one] == [at(0), at(-50)]

    def test_an_earlier_process_may_have_told(self) -> None:
        track = seeded(Status.FAIL, "NotReady", at(-600), "was failing", at(-900), polled=True)
        assert [item.began for item in run([(0, BLIND, 0), (1, fail(), 1)], RULE, track)] == [at(-900)] * 2

    def test_and_what_it_did_not_tell_is_not_made_up(self) -> None:
        track = seeded(Status.FAIL, "NotReady", at(-600), "was failing", polled=True)
        steps: list[Step] = [(1, fail(), 1), (2, WELL, 2), (3, WELL, 3), *[(n, fail(), n) for n in (4, 5, 6)]]
        one = run(steps, RULE, track)
        assert [item.began for item in one] == [None, None, None, None, None, at(4)]


class TestSeeded:
    def test_fail_goes_on_with_the_first_failing_sample(self) -> None:
        track = seeded(Status.FAIL, "NotReady", at(-600), "was failing", polled=True)
        one = run([(0, BLIND, 0), (1, fail(), 1)], RULE, track)
        assert said(one) == ["Fail", "Fail!"]
        assert one[1].since == at(-600)

    def test_fail_needs_as_many_good_samples(self) -> None:
        track = seeded(Status.FAIL, "NotReady", at(-600), polled=True)
        assert said(run([(1, WELL, 1), (2, WELL, 2)], RULE, track)) == ["Fail", "Pass"]

    def test_watched_fail_recovers_in_its_time(self) -> None:
        track = seeded(Status.FAIL, "NotReady", at(-600), polled=False)
        assert said(run([(0, WELL, None), (20, WELL, None)], LASTING, track)) == ["Fail", "Pass"]

    def test_pass_is_not_rewritten_by_a_restart(self) -> None:
        track = seeded(Status.PASS, "AsExpected", at(-600), "all is well", polled=True)
        one = run([(0, BLIND, 0), (1, WELL, 1)], RULE, track)
        assert said(one) == ["Pass", "Pass"]
        assert one[1].since == at(-600)

    def test_unknown_is_no_verdict_to_hold(self) -> None:
        track = seeded(Status.UNKNOWN, "Timeout", at(-600), polled=True)
        assert run([(0, fail(), 1)], RULE, track)[0].verdict.reason == AWAITING


findings = st.builds(
    finding,
    st.sampled_from(["a", "b", "c"]),
    st.integers(-120, 400),
    st.sampled_from(["NotReady", "OOMKilled"]),
    at_once=st.booleans(),
)
verdicts = st.one_of(
    st.sampled_from([WELL, BLIND, WARN, skipped("NoPods", "none"), Verdict(Status.FAIL, "Broken", "broken")]),
    st.lists(findings, min_size=1, max_size=4).map(lambda items: fail(*items)),
    st.just(replace(WELL, next_check=at(-5000))),
)
rules = st.builds(
    FlapRule,
    fail_after=st.integers(0, 60).map(lambda s: timedelta(seconds=s)),
    recover_after=st.integers(0, 60).map(lambda s: timedelta(seconds=s)),
    failure_threshold=st.integers(1, 4),
    success_threshold=st.integers(1, 4),
)
steps = st.lists(st.tuples(st.integers(-100, 100), verdicts, st.integers(0, 1)), max_size=30)


@given(steps, rules, st.booleans())
def test_holds_for_every_history(
    history: list[tuple[int, Verdict, int]],
    rule: FlapRule,
    polled: bool,  # noqa: FBT001
) -> None:
    """The clock may jump back and forth between the steps."""
    track: Track | None = None
    seconds, sample, failed, blind = 0, 0, 0, 0
    for step, raw, more in history:
        seconds, sample, now = seconds + step, sample + more, at(seconds + step)
        before = track or Track()
        track, one = settle(track, raw, rule, now, sample if polled else None)
        assert one.since <= now
        assert one.began is None or (one.began <= now and one.verdict.status is Status.FAIL)
        assert one.verdict.status is not Status.FAIL or one.began is not None
        assert one.next_check is None or one.next_check > now
        if raw.status is not Status.FAIL or one.verdict.status is not Status.FAIL:
            assert not one.actionable
        if one.verdict.status is Status.FAIL and raw.status is Status.FAIL:
            assert set(one.verdict.findings) <= set(raw.findings) | set(
                before.held.findings if before.held else ()
            )
        if more and polled:
            watched = bool(raw.findings) and all(item.at_once for item in raw.findings)
            if raw.status is Status.FAIL and not watched:
                failed, blind = failed + 1, 0
            elif raw.status is Status.UNKNOWN:
                blind += 1
            elif raw.status is not Status.FAIL:
                failed, blind = 0, 0
        if (
            polled
            and not any(item.at_once for item in raw.findings)
            and not before.poor
            and not before.faulty
        ):
            assert one.verdict.status is not Status.FAIL or failed >= rule.failure_threshold


@given(st.lists(findings, min_size=1, max_size=5, unique=True), rules, st.randoms())
def test_order_of_findings_decides_nothing(items: list[Finding], rule: FlapRule, random: Any) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)
    one = run([(0, WELL, 1), (40, fail(*items), 2)], rule)[-1]
    other = run([(0, WELL, 1), (40, fail(*shuffled), 2)], rule)[-1]
    assert (one.verdict.status, one.actionable, one.next_check) == (
        other.verdict.status,
        other.actionable,
        other.next_check,
    )
    assert set(one.verdict.findings) == set(other.verdict.findings)


@given(st.integers(1, 5), st.integers(0, 20))
def test_never_fails_with_fewer_samples(threshold: int, count: int) -> None:
    rule = FlapRule(failure_threshold=threshold)
    one = run([(0, WELL, 1), *[(n, fail(), n + 1) for n in range(1, count + 1)]], rule)[-1]
    assert (one.verdict.status is Status.FAIL) == (count >= threshold)
