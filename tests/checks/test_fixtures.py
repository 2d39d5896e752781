"""Each fixture gives the verdict that its name and its last lines say."""

import random
from datetime import timedelta

import pytest

from kiro_operator.core.verdict import Status
from tests.checks.fixtures import Fixture, all_fixtures, told, when

FIXTURES = all_fixtures()
LATER = timedelta(minutes=10)

each = pytest.mark.parametrize("fixture", FIXTURES, ids=lambda item: f"{item.check.id}/{item.name}")


@each
def test_verdict(fixture: Fixture) -> None:
    verdict, expect = fixture.judge(), fixture.expect
    assert verdict.status.value == expect["status"]
    assert verdict.reason == expect["reason"], verdict.message
    assert [told(finding) for finding in verdict.findings] == expect.get("findings", [])
    for fragment in expect.get("message", []):
        assert fragment in verdict.message
    assert {ref.name: count for ref, count in verdict.replicas_needed} == expect.get("replicasNeeded", {})
    assert (verdict.observed, verdict.threshold) == (expect.get("observed"), expect.get("threshold"))
    if "nextCheck" in expect:
        assert verdict.next_check == when(expect["nextCheck"])
    if "since" in expect:
        assert [finding.since for finding in verdict.findings] == [when(time) for time in expect["since"]]


@each
def test_file_name_is_the_expectation(fixture: Fixture) -> None:
    status, _, case = fixture.name.partition(".")
    assert status == fixture.expect["status"].lower()
    assert case


@each
def test_order_of_objects_is_irrelevant(fixture: Fixture) -> None:
    verdict = fixture.judge()
    shuffled = list(fixture.objects)
    for seed in range(4):
        random.Random(seed).shuffle(shuffled)  # noqa: S311 - an order, not a secret
        assert fixture.judge(shuffled) == verdict


@each
def test_next_check_is_ahead(fixture: Fixture) -> None:
    verdict = fixture.judge()
    assert verdict.next_check is None or verdict.next_check > fixture.now


@each
def test_what_still_fails_later_is_told_in_the_same_words(fixture: Fixture) -> None:
    """A message that ticks would have the status written again and again."""
    before, after = fixture.judge(), fixture.judge(now=fixture.now + LATER)
    messages = {(item.object, item.reason): item.message for item in before.findings}
    for finding in after.findings:
        assert messages.get((finding.object, finding.reason), finding.message) == finding.message
    if [(item.object, item.reason) for item in before.findings] == [
        (item.object, item.reason) for item in after.findings
    ]:
        assert (before.message, before.observed) == (after.message, after.observed) or (
            before.status is not after.status
        )


@each
def test_findings_never_begin_in_the_future(fixture: Fixture) -> None:
    assert all(finding.since <= fixture.now for finding in fixture.judge().findings)


@each
def test_clock_set_back_does_no_harm(fixture: Fixture) -> None:
    past = fixture.now - timedelta(days=365)
    verdict = fixture.judge(now=past)
    assert verdict.next_check is None or verdict.next_check > past
    assert all(finding.since <= past for finding in verdict.findings)


@each
def test_only_a_fail_has_remedies(fixture: Fixture) -> None:
    verdict = fixture.judge()
    if verdict.status is not Status.FAIL:
        assert not any(finding.remedies for finding in verdict.findings if verdict.status is not Status.WARN)
    else:
        assert verdict.findings
