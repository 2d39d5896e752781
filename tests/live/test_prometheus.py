"""The Prometheus adapter against a real Prometheus, and against servers that only pretend to be one."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from devcluster.listen import Answer as Said
from devcluster.listen import Server
from kiro_operator.adapters.http.fetch import Fetcher, Response
from kiro_operator.adapters.network.connections import Fixed
from kiro_operator.adapters.prometheus import series as adapter
from kiro_operator.adapters.prometheus.answers import SERIES_KEPT, NotPrometheus, read
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.series import CUT, SERIES, Answer, Query, answer
from kiro_operator.core.promql import WORST, worst
from kiro_operator.core.snapshot import Sample, Unobserved
from kiro_operator.core.verdict import passed
from kiro_operator.ports import Ask, PollRequest
from tests.adapters.helpers import facts, poll
from tests.harness.prometheus import PORT, SERVICE, Prometheus, Samples, course

NAMESPACE = "kiro-system"
NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(hours=6)
MINUTE = timedelta(minutes=1)


def hole(at: datetime) -> float | None:
    """A value with a gap of an hour in the middle."""
    return None if timedelta(hours=3) < NOW - at < timedelta(hours=4) else 1.0


def restarted(at: datetime) -> float:
    """A counter of one a second that was reset two hours ago."""
    since = NOW - timedelta(hours=2)
    return (at - (since if at >= since else START)).total_seconds()


def numbers(number: int) -> Callable[[datetime], float]:
    """A value of its own for each series, and none for each hundredth."""
    return lambda _: float(number) if number % 100 else math.nan


HISTORY = (
    Samples("steady", {"namespace": NAMESPACE}, course(START, NOW, lambda _: 0.5)),
    Samples("steady", {"namespace": "other"}, course(START, NOW, lambda _: 0.7)),
    Samples("holed", {}, course(START, NOW, hole)),
    Samples("restarted_total", {}, course(START, NOW, restarted)),
    Samples("ended", {}, course(START, NOW - timedelta(minutes=10), lambda _: 1.0)),
    Samples("broken", {}, course(START, NOW, lambda _: math.nan)),
    Samples("boundless", {}, course(START, NOW, lambda _: math.inf)),
    *(
        Samples("many", {"number": f"{number:04}"}, course(NOW - MINUTE, NOW, lambda _: 1.0))
        for number in range(SERIES_KEPT + 20)
    ),
    *(
        Samples("many_numbers", {"number": f"{number:04}"}, course(NOW - MINUTE, NOW, numbers(number)))
        for number in range(SERIES_KEPT + 20)
    ),
)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("prometheus"), HISTORY) as server:
        yield server


@pytest_asyncio.fixture
async def real(prometheus: Prometheus) -> AsyncIterator[adapter.Prometheus]:
    fetcher = prometheus.fetcher(NAMESPACE)
    yield adapter.Prometheus(fetcher)
    await fetcher.close()


def asks(queries: Sequence[Query], *, spec: KiroHealthCheckSpec | None = None, **options: Any) -> PollRequest:
    """A request of one check that asks these."""
    check = Check(
        title="t",
        section="s",
        command="c",
        sources=(SERIES,),
        judge=lambda *_: passed("never judged"),
        queries=lambda _parameters, _namespace: tuple(queries),
    )
    body = {"prometheus": {"service": {"name": SERVICE, "port": PORT}}}
    request = poll(
        facts(NAMESPACE), spec=spec or KiroHealthCheckSpec.model_validate(body), now=NOW, **options
    )
    return PollRequest(
        **{name: getattr(request, name) for name in request.__struct_fields__ if name != "asks"},
        asks=(Ask("a", check, Parameters()), Ask("b", check, Parameters())),
    )


async def told(observer: adapter.Prometheus, *expressions: str | Query, **options: Any) -> tuple[Answer, ...]:
    queries = [Query(text) if isinstance(text, str) else text for text in expressions]
    sample = await observer.observe(asks(queries, **options))
    assert not isinstance(sample, Unobserved), sample
    return sample


def numbered(found: Answer) -> Answer | Unobserved:
    """As a check reads it."""
    sample = Sample(1, NOW, (found,))
    return answer(facts(NAMESPACE, samples={SERIES.name: sample}), found.query)


async def test_an_instant(real: adapter.Prometheus) -> None:
    [found] = await told(real, f'steady{{namespace="{NAMESPACE}"}}')
    [series] = found.series
    assert series.labels == {"__name__": "steady", "namespace": NAMESPACE}
    assert series.points == ((NOW.timestamp(), 0.5),)
    assert (found.warnings, found.missing) == ((), None)
    assert numbered(found) is not None


async def test_each_query_in_its_order(real: adapter.Prometheus) -> None:
    expressions = [f'steady{{namespace="{NAMESPACE}"}} + {number}' for number in range(12)]
    found = await told(real, *expressions)
    assert [item.query.expr for item in found] == expressions
    assert [item.series[0].last for item in found] == [0.5 + number for number in range(12)]


async def test_a_range_with_a_gap(real: adapter.Prometheus) -> None:
    query = Query("holed", timedelta(hours=6), timedelta(minutes=5))
    [found] = await told(real, query)
    times = [time for time, _ in found.series[0].points]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # Prometheus bridges five minutes of the hour.
    assert 3000 < max(gaps) <= 3600
    assert sorted(set(gaps)) == [300.0, max(gaps)]
    assert times[-1] == NOW.timestamp()


async def test_a_counter_that_was_reset(real: adapter.Prometheus) -> None:
    query = Query("rate(restarted_total[10m])", timedelta(hours=5), timedelta(minutes=10))
    [found] = await told(real, query)
    values = [value for _, value in found.series[0].points]
    assert len(values) > 20
    assert all(0.8 < value <= 1.1 for value in values)


async def test_what_is_not_there_and_what_has_ended(real: adapter.Prometheus) -> None:
    absent, ended = await told(real, "no_such_metric", "ended")
    for found in (absent, ended):
        assert found.series == ()
        assert found.missing is None
        nothing = numbered(found)
        assert isinstance(nothing, Unobserved)
        assert nothing.reason == "NoData"


async def test_no_numbers(real: adapter.Prometheus) -> None:
    for found in await told(real, "broken", "boundless", "0 * boundless", "-boundless"):
        assert len(found.series) == 1
        assert not math.isfinite(found.series[0].last)
        nothing = numbered(found)
        assert isinstance(nothing, Unobserved)
        assert nothing.reason == "NotANumber"


async def test_a_scalar_and_a_text(real: adapter.Prometheus) -> None:
    scalar, text, after = await told(real, "scalar(vector(3))", '"three"', "vector(4)")
    assert (scalar.series[0].labels, scalar.series[0].last) == ({}, 3.0)
    assert text.missing is not None
    assert text.missing.reason == "QueryInvalid"
    assert after.series[0].last == 4.0


async def test_a_query_that_is_wrong_is_that_query_s_own(real: adapter.Prometheus) -> None:
    wrong, right, failing = await told(real, "rate(steady[", "steady", "steady * on () group_left steady")
    assert wrong.missing is not None
    assert wrong.missing.reason == "QueryInvalid"
    assert "parse error" in wrong.missing.message
    assert len(right.series) == 2
    assert failing.missing is not None
    assert failing.missing.reason == "QueryFailed"
    assert "many-to-many" in failing.missing.message or "duplicate series" in failing.missing.message


async def test_more_series_than_are_kept(real: adapter.Prometheus) -> None:
    [found] = await told(real, "many")
    assert len(found.series) == SERIES_KEPT
    assert found.warnings == (CUT,)


@pytest.mark.parametrize("lowest", [False, True])
async def test_the_worst_of_more_than_are_kept(real: adapter.Prometheus, *, lowest: bool) -> None:
    [found] = await told(real, worst("many_numbers", lowest=lowest))
    values = sorted(series.last for series in found.series if not math.isnan(series.last))
    every = [float(number) for number in range(SERIES_KEPT + 20) if number % 100]
    assert values == (every[:WORST] if lowest else every[-WORST:])
    # topk would leave out what has no number.
    assert sum(math.isnan(series.last) for series in found.series) == 6
    assert found.warnings == ()


async def test_more_points_than_are_asked_for(real: adapter.Prometheus) -> None:
    query = Query("steady", timedelta(days=30), timedelta(minutes=1))
    [found] = await told(real, query)
    assert found.missing is not None
    assert found.missing.reason == "TooManyPoints"
    edge = Query("steady", timedelta(seconds=10_999), timedelta(seconds=1))
    [found] = await told(real, edge)
    assert len(found.series[0].points) == 11_000


async def test_a_hint_and_a_warning(real: adapter.Prometheus) -> None:
    [hint] = await told(real, "rate(steady[5m])")
    assert hint.warnings
    assert all(text.startswith("PromQL info") for text in hint.warnings)
    [warning] = await told(real, "quantile(2, steady)")
    assert any("PromQL warning" in text for text in warning.warnings)


async def test_a_series_that_goes_stale(real: adapter.Prometheus, prometheus: Prometheus) -> None:
    prometheus.exporter.set("comes_and_goes", 1)
    prometheus.wait("comes_and_goes == 1")
    request = asks([Query("comes_and_goes")])

    async def ask() -> Answer:
        sample = await real.observe(
            PollRequest(
                **{name: getattr(request, name) for name in request.__struct_fields__ if name != "now"},
                now=datetime.now(UTC),
            )
        )
        assert not isinstance(sample, Unobserved)
        return sample[0]

    assert (await ask()).series[0].last == 1.0
    prometheus.exporter.remove("comes_and_goes")
    await asyncio.to_thread(prometheus.wait_gone, "comes_and_goes")
    # At once, not after the five minutes that a value is looked back for.
    assert (await ask()).series == ()


# --- servers that are none, or are dead -------------------------------------------------------------


@pytest_asyncio.fixture
async def of() -> AsyncIterator[Any]:
    fetchers: list[Fetcher] = []

    def make(server: Server) -> adapter.Prometheus:
        fetchers.append(Fetcher(Fixed({f"{SERVICE}.{NAMESPACE}:{PORT}": server.address})))
        return adapter.Prometheus(fetchers[-1])

    yield make
    for fetcher in fetchers:
        await fetcher.close()


FIVE = [Query(f"metric_{number}") for number in range(5)]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b"<html>login</html>", "MalformedAnswer"),
        (200, b"", "MalformedAnswer"),
        (200, b"{}", "MalformedAnswer"),
        (200, b"[" * 100_000, "MalformedAnswer"),
        (
            200,
            b'{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}',
            "MalformedAnswer",
        ),
        (200, b'{"status":"success","data":{"resultType":"vector","result":{"a":1}}}', "MalformedAnswer"),
        (
            200,
            b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"\xff"}}]}}',
            "MalformedAnswer",
        ),
        (401, b'{"status":"error","error":"no org id"}', "Unauthorized"),
        (403, b"", "Unauthorized"),
        (404, b"404 page not found", "BadAnswer"),
        (502, b"bad gateway", "BadAnswer"),
        (302, b"", "Redirected"),
    ],
)
async def test_no_prometheus(status: int, body: bytes, reason: str, of: Any) -> None:
    with Server(lambda _: Said(status, body)) as server:
        sample = await of(server).observe(asks(FIVE))
        assert isinstance(sample, Unobserved)
        assert sample.reason == reason
        # Nobody asks on where nothing answers.
        assert len(server.requests) == 1


async def test_nobody_there(of: Any) -> None:
    with Server() as server:
        server.break_with("refuse")
        sample = await of(server).observe(asks(FIVE))
    assert isinstance(sample, Unobserved)
    assert sample.reason == "Unreachable"


async def test_a_hanging_server_costs_one_timeout(of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "PATIENCE", 0.3)
    with Server() as server:
        server.break_with("hang")
        clock = asyncio.get_running_loop().time
        began = clock()
        sample = await of(server).observe(asks(FIVE))
        took = clock() - began
    assert isinstance(sample, Unobserved)
    assert sample.reason == "Timeout"
    assert took < 2 * 0.3 + 0.5


async def test_one_that_dies_half_way_is_asked_no_more(of: Any) -> None:
    good = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}}).encode()

    with Server(lambda _: Said(200, good) if len(server.requests) <= 3 else Said(502, b"gone")) as server:
        sample = await of(server).observe(asks([Query(f"metric_{number}") for number in range(60)]))
        assert len(server.requests) <= 3 + adapter.CONCURRENT
    assert not isinstance(sample, Unobserved)
    # Of those under way at once, whichever came first.
    assert any(item.missing is None for item in sample[:8])
    assert {item.missing.reason for item in sample[8:] if item.missing} == {"BadAnswer"}
    assert all(item.missing for item in sample[8:])


async def test_all_answers_together_are_bounded(of: Any) -> None:
    points = [[1_700_000_000 + n, "1"] for n in range(60_000)]
    body = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {}, "values": points}]},
    }
    large = json.dumps(body).encode()
    assert len(large) < adapter.LARGEST
    with Server(lambda _: Said(200, large)) as server:
        queries = [Query(f"metric_{n}", timedelta(hours=1), MINUTE) for n in range(40)]
        sample = await of(server).observe(asks(queries))
        assert len(server.requests) * len(large) < adapter.ALTOGETHER + (adapter.CONCURRENT + 1) * len(large)
    assert not isinstance(sample, Unobserved)
    assert sample[-1].missing is not None
    assert sample[-1].missing.reason == "NotAsked"


async def test_an_answer_that_is_too_large_is_that_query_s_own(of: Any) -> None:
    def handle(request: Any) -> Said:
        if b"huge" in request.body:
            return Said(200, b" " * (adapter.LARGEST + 1))
        return Said(200, b'{"status":"success","data":{"resultType":"vector","result":[]}}')

    with Server(handle) as server:
        sample = await of(server).observe(asks([Query("huge"), Query("small")]))
    assert not isinstance(sample, Unobserved)
    assert sample[0].missing is not None
    assert sample[0].missing.reason == "AnswerTooLarge"
    assert sample[1].missing is None


async def test_what_two_checks_ask_is_asked_once(of: Any) -> None:
    good = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
    with Server(lambda _: Said(200, good)) as server:
        await of(server).observe(asks(FIVE))
        assert len(server.requests) == len(FIVE)
        assert {request.method for request in server.requests} == {"POST"}


async def test_what_is_not_configured(of: Any) -> None:
    with Server() as server:
        sample = await of(server).observe(asks(FIVE, spec=KiroHealthCheckSpec()))
        assert isinstance(sample, Unobserved)
        assert sample.reason == "NotConfigured"
        outside = {"prometheus": {"host": "prometheus.monitoring.svc:9090"}}
        sample = await of(server).observe(asks(FIVE, spec=KiroHealthCheckSpec.model_validate(outside)))
        assert isinstance(sample, Unobserved)
        assert sample.reason == "HostNotAllowed"
        assert await of(server).observe(asks([])) == ()
        assert server.requests == []


# --- the parser -------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
POINT = st.tuples(st.floats() | st.integers(), st.text(max_size=6) | st.floats().map(str))
RESULT = st.fixed_dictionaries(
    {"metric": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)},
    optional={"value": POINT, "values": st.lists(POINT, max_size=5), "histogram": JSON, "histograms": JSON},
)


@settings(deadline=None)
@given(
    st.sampled_from([200, 400, 422, 503]),
    st.fixed_dictionaries(
        {"status": st.sampled_from(["success", "error"]) | JSON},
        optional={
            "data": JSON
            | st.fixed_dictionaries(
                {
                    "resultType": st.sampled_from(["vector", "matrix", "scalar", "string"]),
                    "result": JSON | st.lists(RESULT, max_size=4) | POINT,
                }
            ),
            "error": JSON,
            "errorType": JSON,
            "warnings": JSON,
            "infos": st.lists(st.text(max_size=5), max_size=3),
        },
    ),
)
def test_nothing_that_is_said_breaks_it(status: int, body: Any) -> None:
    query = Query("up")
    try:
        found = read(query, Response(status, {}, json.dumps(body).encode(), 0.0))
    except NotPrometheus:
        return
    assert found.query is query
    for item in found.series:
        times = [time for time, _ in item.points]
        assert times == sorted(times)
        assert all(math.isfinite(time) for time in times)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_it(body: bytes) -> None:
    with pytest.raises(NotPrometheus):
        read(Query("up"), Response(200, {}, body, 0.0))


def test_native_histograms_are_left_out() -> None:
    result = [
        {"metric": {"a": "1"}, "histogram": [1, {"count": "1"}]},
        {"metric": {"a": "2"}, "value": [1, "2"]},
    ]
    body = {"status": "success", "data": {"resultType": "vector", "result": result}}
    found = read(Query("up"), Response(200, {}, json.dumps(body).encode(), 0.0))
    assert [item.points for item in found.series] == [(), ((1.0, 2.0),)]


def vector(result: list[dict[str, Any]]) -> Answer:
    body = {"status": "success", "data": {"resultType": "vector", "result": result}}
    return read(Query("up"), Response(200, {}, json.dumps(body).encode(), 0.0))


def test_a_server_that_does_not_know_the_limit() -> None:
    found = vector([{"metric": {"n": str(n)}, "value": [1, "1"]} for n in range(SERIES_KEPT + 1)])
    assert len(found.series) == SERIES_KEPT
    assert found.warnings == (CUT,)


def test_points_are_put_in_order() -> None:
    values = [[3, "3"], [1, "1"], [2, "+Inf"]]
    body = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]},
    }
    found = read(Query("up", MINUTE), Response(200, {}, json.dumps(body).encode(), 0.0))
    assert found.series[0].points == ((1.0, 1.0), (2.0, math.inf), (3.0, 3.0))


def matrix(points: int, series: int = 1) -> bytes:
    result = [{"metric": {}, "values": [[number, "1"] for number in range(points)]}] * series
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


@pytest.mark.parametrize(
    ("query", "points", "reason"),
    [
        (Query("up"), 1, None),
        (Query("up"), 2, "TooManyPoints"),
        (Query("up", timedelta(hours=1), MINUTE), 61, None),
        (Query("up", timedelta(hours=1), MINUTE), 63, "TooManyPoints"),
    ],
)
def test_more_points_than_a_window_has(query: Query, points: int, reason: str | None) -> None:
    found = read(query, Response(200, {}, matrix(points), 0.0))
    assert (found.missing and found.missing.reason) == reason
    assert sum(len(item.points) for item in found.series) == (0 if reason else points)


async def test_the_points_of_a_sample_are_bounded(of: Any) -> None:
    week = timedelta(minutes=10_000)
    with Server(lambda _: Said(200, matrix(10_000, 2))) as server:
        sample = await of(server).observe(asks([Query(f"metric_{n}", week, MINUTE) for n in range(5)]))
    assert not isinstance(sample, Unobserved)
    kept = sum(len(item.points) for found in sample for item in found.series)
    assert adapter.POINTS_KEPT - 20_000 < kept <= adapter.POINTS_KEPT
    assert {found.missing.reason for found in sample if found.missing} == {"TooManyPoints"}


def test_words_are_plain_and_few() -> None:
    error = {"status": "error", "errorType": "bad_data", "error": "a\n\tb\u202e" + "x" * 10_000}
    found = read(Query("up" * 5_000), Response(400, {}, json.dumps(error).encode(), 0.0))
    assert found.missing is not None
    assert found.missing.message.isprintable()
    assert len(found.missing.message) <= 600
