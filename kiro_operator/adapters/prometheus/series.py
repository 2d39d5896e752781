"""Asks Prometheus what the checks want to know, each query once however many checks share it."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.http.fetch import Fetcher, Response, refused
from kiro_operator.adapters.prometheus.answers import SERIES_KEPT, NotPrometheus, read
from kiro_operator.api.v1alpha1.endpoint import Endpoint
from kiro_operator.core.evidence.series import SERIES, Answer, Query
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

CONCURRENT = 4
"""Queries under way at once, for one KiroHealthCheck."""
BUDGET = timedelta(seconds=12)
"""For all queries of one sample; of a short interval four fifths."""
PATIENCE = 5.0
"""Seconds that one query may take. Prometheus is told to give up a little earlier and to say so."""
QUERIES = 128
"""Queries of one sample."""
POINTS = 11_000
"""Points of one series, which is Prometheus' own bound."""
LARGEST = 2 * 1024 * 1024
"""Bytes of one answer."""
ALTOGETHER = 8 * 1024 * 1024
"""Bytes of all answers of one sample, save for what is under way when they are used up."""
POINTS_KEPT = 50_000
"""Points of all answers of one sample: they stay in memory until the next."""


class _Sample(Struct):
    """One sample under way."""

    endpoint: Endpoint
    namespace: str
    now: datetime
    end: float
    """When it is over, by the clock of the event loop."""
    left: int = ALTOGETHER
    points: int = POINTS_KEPT
    """Points that may still be kept."""
    dead: Unobserved | None = None
    """Why the server is asked no more."""


class Prometheus:
    """Samples the query API; the first query tells whether anybody is there before the others go out."""

    source = SERIES
    rules: tuple[Rule, ...] = ()

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def observe(self, request: ports.PollRequest) -> tuple[Answer, ...] | Unobserved:
        """The answers to what the checks ask."""
        return await self.answers(request, wanted(request))

    async def answers(
        self, request: ports.PollRequest, queries: Sequence[Query]
    ) -> tuple[Answer, ...] | Unobserved:
        """The answers in the order of the queries; Unobserved when the server answers none at all."""
        endpoint = request.spec.prometheus
        if endpoint is None:
            return Unobserved(NOT_CONFIGURED, "spec.prometheus is not set")
        if not queries:
            return ()
        budget = min(BUDGET, 0.8 * request.interval).total_seconds()
        end = asyncio.get_running_loop().time() + budget
        sample = _Sample(endpoint, request.namespace, request.now, end)
        first = await self._ask(sample, queries[0])
        if sample.dead is not None:
            return sample.dead
        answers: dict[Query, Answer] = {queries[0]: first}
        pending = iter(queries[1:])

        async def work(queue: Iterator[Query]) -> None:
            for query in queue:
                answers[query] = await self._ask(sample, query)

        await asyncio.gather(*(work(pending) for _ in range(CONCURRENT)))
        return tuple(answers[query] for query in queries)

    async def _ask(self, sample: _Sample, query: Query) -> Answer:
        if sample.dead is not None:
            return Answer(query, missing=sample.dead)
        if query.window > POINTS * query.step or (query.window and not query.step):
            text = f"the query asks for more than {POINTS} points: {query.words}"
            return Answer(query, missing=Unobserved("TooManyPoints", text))
        within = min(PATIENCE, sample.end - asyncio.get_running_loop().time())
        if within <= 0 or sample.left <= 0:
            what = "took too long" if within <= 0 else "are too large"
            text = f"Prometheus was not asked: the answers to other queries {what}"
            return Answer(query, missing=Unobserved("NotAsked", text))
        path, form = request_of(query, sample.now, within)
        response = await self._fetcher.fetch(
            sample.endpoint,
            sample.namespace,
            path,
            form=form,
            within=within,
            limit=LARGEST,
        )
        return self._read(sample, query, path, response)

    def _read(self, sample: _Sample, query: Query, path: str, response: Response | Unobserved) -> Answer:
        if isinstance(response, Response):
            sample.left -= len(response.body)
            try:
                return _kept(sample, read(query, response))
            except NotPrometheus as error:
                text = f"{path} is not Prometheus' query API: {error}"
                response = refused(response, path) or Unobserved("MalformedAnswer", text)
        if response.reason != "AnswerTooLarge":
            # What is said here of one query holds for all: nobody waits for the same silence twice.
            sample.dead = sample.dead or response
        return Answer(query, missing=response)


def _kept(sample: _Sample, answer: Answer) -> Answer:
    """An answer, if its points are not too many with those of the others."""
    points = sum(len(series.points) for series in answer.series)
    if points > sample.points:
        text = f"the answers hold more than {POINTS_KEPT} points altogether: {answer.query.words}"
        return Answer(answer.query, missing=Unobserved("TooManyPoints", text))
    sample.points -= points
    return answer


def wanted(request: ports.PollRequest) -> tuple[Query, ...]:
    """What the checks ask, each query once, in their order."""
    found: dict[Query, None] = {}
    for ask in request.asks:
        if ask.check.queries is not None:
            found.update(dict.fromkeys(ask.check.queries(ask.parameters, request.namespace)))
    return tuple(found)[:QUERIES]


def request_of(query: Query, now: datetime, within: float) -> tuple[str, dict[str, str]]:
    """Path and form of a query."""
    form = {"query": query.expr, "limit": str(SERIES_KEPT), "timeout": f"{math.ceil(900 * within)}ms"}
    if not query.window:
        return "/api/v1/query", form | {"time": f"{now.timestamp():.3f}"}
    start = now - query.window
    return "/api/v1/query_range", form | {
        "start": f"{start.timestamp():.3f}",
        "end": f"{now.timestamp():.3f}",
        "step": f"{query.step.total_seconds():g}",
    }
