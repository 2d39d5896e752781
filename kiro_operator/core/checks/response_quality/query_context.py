"""Queries that say too little to be answered well: the query records in Kiro's logs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.diagnosis import Gap, Need, gaps, queries
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.evidence.series import SERIES, SHOWN, Query, answer, partial
from kiro_operator.core.findings import clip, found
from kiro_operator.core.partial import incomplete, proven
from kiro_operator.core.quiet import figure
from kiro_operator.core.records import QueryRecord
from kiro_operator.core.redact import redact
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, too_few, unknown

_EXAMPLE = 100
_WHOLE = 1.0 + 1e-9
_LACKS = {
    Gap.ENVIRONMENT: ("EnvironmentMissing", "do not say which environment they are about"),
    Gap.SCOPE: ("ScopeMissing", "do not say which part of the system they are about"),
    Gap.CONTEXT: ("ContextMissing", "come with too little context, such as files or logs"),
    Gap.WORDING: ("QueriesUnclear", "are too short to be clear"),
}
_ADVICE = "name the environment and the scope in each query, and attach what it is about"


class QueryContextParameters(Parameters):
    """What a query has to come with, and how many may lack it."""

    max_share_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        default=30, description="Share of queries that may lack something, in percent."
    )
    min_queries: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=20, description="Queries it takes to judge; fewer say nothing."
    )
    require_environment: bool = Field(default=True, description="A query has to name an environment.")
    require_scope: bool = Field(default=True, description="A query has to name a scope.")
    min_context: Annotated[int, Field(ge=0, le=100)] = Field(
        default=1, description="Things that have to be given along with a query."
    )
    min_words: Annotated[int, Field(ge=0, le=100)] = Field(
        default=3, description="Words below which a query counts as unclear."
    )
    examples: Annotated[int, Field(ge=0, le=3)] = Field(
        default=2, description="Queries shown in the message, redacted and cut; 0 shows none."
    )
    query: Annotated[str, Field(max_length=1024)] = Field(
        default="", description="PromQL of the share of such queries, from 0 to 1, instead of the logs."
    )


class Asked(Struct, frozen=True):
    """The queries that one workload logged, with what each lacks."""

    queries: tuple[tuple[QueryRecord, tuple[Gap, ...]], ...]

    @property
    def poor(self) -> tuple[tuple[QueryRecord, tuple[Gap, ...]], ...]:
        """Those that lack something."""
        return tuple(item for item in self.queries if item[1])

    @property
    def percent(self) -> float:
        """Share of those that lack something."""
        return 100 * len(self.poor) / len(self.queries)


def judge(snapshot: Snapshot, parameters: QueryContextParameters, now: datetime) -> Verdict:
    """Judge the queries of the last while, workload by workload, or the ratio that Prometheus gives."""
    if parameters.query:
        return _judge_ratio(snapshot, parameters, now)
    sample = snapshot.value(POD_LOGS)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    tails = [item for item in sample if not isinstance(item, Unobserved)]
    missing = sorted({(item.reason, item.message) for item in sample if isinstance(item, Unobserved)})
    if missing and not tails:
        return unknown(Unobserved(*missing[0]))
    asked = _asked(tails, parameters, snapshot)
    if not asked:
        return _nothing(tails, snapshot.namespace)
    enough = {ref: item for ref, item in asked.items() if len(item.queries) >= parameters.min_queries}
    if not enough:
        return too_few(
            f"The logs hold fewer than {parameters.min_queries} queries of any workload: "
            "wait, lower minQueries, or lengthen spec.records.window."
        )
    return _verdict(enough, parameters, snapshot.sampled_at(POD_LOGS, now), missing)


def _verdict(
    asked: dict[Ref, Asked],
    parameters: QueryContextParameters,
    since: datetime,
    missing: Sequence[tuple[str, str]],
) -> Verdict:
    limit = parameters.max_share_percent
    over = {ref: item for ref, item in sorted(asked.items()) if item.percent > limit}
    if over:
        findings = [_finding(ref, item, parameters.examples, since) for ref, item in over.items()]
        peak = max(item.percent for item in over.values())
        return found(findings, observed=figure(peak, "%"), threshold=f"{limit}%")
    if missing:
        reason, message = missing[0]
        return Verdict(
            Status.WARN, "PartlyRead", clip(f"Some logs could not be read ({reason}): {message}", 1024)
        )
    return passed("Most queries say what they are about.")


def _nothing(tails: Iterable[LogTail], namespace: str) -> Verdict:
    if any(tail.malformed for tail in tails):
        return unknown(
            Unobserved(
                "MalformedRecords",
                "The logs hold records that cannot be read: hold their fields against spec.records "
                "and docs/records.md.",
            )
        )
    return skipped(
        "NoQueries",
        f"The logs of namespace {namespace} hold no query records: docs/records.md says how to log them.",
    )


def _asked(
    tails: Iterable[LogTail], parameters: QueryContextParameters, snapshot: Snapshot
) -> dict[Ref, Asked]:
    need = Need(
        parameters.require_environment,
        parameters.require_scope,
        parameters.min_context,
        parameters.min_words,
    )
    records: dict[Ref, list[QueryRecord]] = {}
    for tail in tails:
        held = [record for record in tail.window if isinstance(record, QueryRecord)]
        if held:
            records.setdefault(_workload(tail.pod, snapshot), []).extend(held)
    return {
        ref: Asked(tuple((query, gaps(query, need)) for query in queries(held)))
        for ref, held in records.items()
    }


def _workload(name: str, snapshot: Snapshot) -> Ref:
    """What the pod belongs to; the pod itself where that is not known."""
    pod = None if isinstance(snapshot.pods, Unobserved) else snapshot.pods.get(name)
    if pod is None:
        return Ref("Pod", name)
    return controller_of(pod, snapshot) or Ref("Pod", name, pod.metadata.uid)


def _finding(ref: Ref, asked: Asked, examples: int, since: datetime) -> Finding:
    counts = Counter(gap for _, lacks in asked.poor for gap in lacks)
    gap = max(Gap, key=lambda one: (counts[one], -list(Gap).index(one)))
    reason, lacks = _LACKS[gap]
    such = " and ".join(f"“{text}”" for text in _examples(asked, gap)[:examples])
    text = (
        f"{ref.kind} {ref.name}: many of its queries {lacks}{f', such as {such}' if such else ''}: {_ADVICE}"
    )
    return Finding(ref, reason, text, since)


def _examples(asked: Asked, gap: Gap) -> list[str]:
    """Texts of such queries, the most frequent first, so that they change as little as can be."""
    texts = Counter(clip(redact(query.text), _EXAMPLE) for query, lacks in asked.poor if gap in lacks)
    del texts[""]
    return sorted(texts, key=lambda text: (-texts[text], text))


def _judge_ratio(snapshot: Snapshot, parameters: QueryContextParameters, now: datetime) -> Verdict:
    given = answer(snapshot, Query(parameters.query))
    if isinstance(given, Unobserved):
        return unknown(given)
    shares = [series.last for series in given.series]
    if not all(0 <= share <= _WHOLE for share in shares):  # NaN is not either
        return unknown(
            Unobserved("NotAShare", "The query has to give a share from 0 to 1: check its PromQL.")
        )
    limit, peak = parameters.max_share_percent, 100 * max(shares)
    missing = partial(given)
    if peak <= limit and missing:
        return incomplete(missing)
    if peak <= limit:
        return passed("Most queries say what they are about.", threshold=f"{limit}%")
    namespace = Ref("Namespace", snapshot.namespace)
    text = f"Namespace {namespace.name}: too many queries lack context, by Prometheus: {_ADVICE}"
    finding = Finding(namespace, "ContextMissing", text, snapshot.sampled_at(SERIES, now))
    return found([finding], status=proven(missing), observed=figure(peak, "%"), threshold=f"{limit}%")


def _asks(parameters: QueryContextParameters, _namespace: str) -> Sequence[Query]:
    return (Query(parameters.query),) if parameters.query else ()


CHECK = Check(
    title="Queries say what they are about",
    section="response-quality-context",
    command=f"{SHOWN}; kubectl logs -n {{namespace}} {{selector}} --all-containers --since=15m | grep -E "
    "'record.*query'",
    # It looks pods up by name as well, but is judged when lines come in.
    sources=(POD_LOGS, SERIES),
    judge=judge,
    parameters=QueryContextParameters,
    queries=_asks,
)
