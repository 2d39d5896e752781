"""How long what a check finds has stood."""

from datetime import UTC, datetime, timedelta

from kiro_operator.core.findings import found
from kiro_operator.core.snapshot import AWAITING, Ref, Unobserved
from kiro_operator.core.standing import stood, weighed
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, unknown

FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = FIRST + timedelta(hours=1)
LAST = FIRST + timedelta(hours=2)
DOWN = unknown(Unobserved("Unreachable", "nobody answers"))
HELD = Verdict(Status.FAIL, "OverProvisioned", "of an earlier process")


def waste(*names: str, status: Status = Status.FAIL, at: datetime = FIRST) -> Verdict:
    findings = [Finding(Ref("Deployment", name), "OverProvisioned", f"{name} wastes", at) for name in names]
    return found(findings, status=status)


def test_each_object_has_its_own_time() -> None:
    since = stood({}, waste("a"), FIRST)
    since = stood(since, waste("a", "b", at=LATER), LATER)
    assert since == {("Deployment", "a"): FIRST, ("Deployment", "b"): LATER}
    assert stood(since, waste("b"), LAST) == {("Deployment", "b"): LATER}


def test_what_was_seen_to_be_gone_begins_anew() -> None:
    since = stood(stood({}, waste("a"), FIRST), passed("none"), LATER)
    assert since == {}
    assert stood(since, waste("a"), LAST) == {("Deployment", "a"): LAST}
    assert stood({("Deployment", "a"): FIRST}, skipped("NoRequests", "nothing"), LATER) == {}


def test_what_is_out_of_sight_is_not_gone() -> None:
    since = stood({}, waste("a"), FIRST)
    assert stood(since, DOWN, LATER) == since
    assert stood(since, HELD, LATER) == since
    assert stood(since, waste("a", status=Status.WARN), LATER) == since


def test_half_an_answer_ends_nothing() -> None:
    since = stood({}, waste("a", "b"), FIRST)
    nothing = Verdict(Status.WARN, "PartialResponse", "half an answer")
    assert stood(since, nothing, LATER) == since
    assert stood(since, waste("b", status=Status.WARN), LATER) == since
    hidden = weighed(nothing, since, LATER).hidden
    assert hidden
    assert hidden.reason == "PartialResponse"


def test_a_clock_set_back_leaves_nothing_in_the_future() -> None:
    assert stood(stood({}, waste("a"), LATER), waste("a"), FIRST) == {("Deployment", "a"): FIRST}


def test_what_another_check_sees() -> None:
    since = stood({}, waste("a"), FIRST)
    seen = weighed(waste("a"), since, LATER)
    assert [(one.object.name, one.message, one.since) for one in seen.stands] == [("a", "a wastes", FIRST)]
    assert seen.known
    assert weighed(passed("none"), {}, LATER).known
    # Nothing counts that nobody sees now, and it is told that something may be there.
    for verdict, why in (
        (DOWN, "Unreachable"),
        (HELD, AWAITING.reason),
        (waste("a", status=Status.WARN), "OverProvisioned"),
    ):
        hidden = weighed(verdict, since, LATER)
        assert (hidden.known, hidden.stands) == (False, ())
        assert hidden.hidden
        assert hidden.hidden.reason == why
        assert weighed(verdict, {}, LATER).hidden is None
