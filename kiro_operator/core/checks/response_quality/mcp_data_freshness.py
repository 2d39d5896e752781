"""What MCP servers answer is not older than it may be, and sources of the same data agree on its time."""

import math
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core import mcp
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.mcp import MCP_SESSIONS, McpSession
from kiro_operator.core.evidence.series import SERIES, SHOWN, Answer, Query, Series, answer, partial
from kiro_operator.core.findings import MESSAGE_LIMIT, clip
from kiro_operator.core.mcp_client import READS, treated
from kiro_operator.core.partial import incomplete, proven
from kiro_operator.core.snapshot import NOT_CONFIGURED, Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, skipped, unknown

_NAME = 200
Dated = tuple[datetime, str]
"""The time of the data, and the server that told it."""


class McpDataFreshnessParameters(Parameters):
    """Thresholds of mcp-data-freshness."""

    max_skew: Annotated[timedelta, Between("1s", "168h")] = Field(
        default=timedelta(minutes=5),
        description="How far servers may be apart in the time of the same query's data.",
    )
    max_ahead: Annotated[timedelta, Between("1s", "24h")] = Field(
        default=timedelta(minutes=5),
        description="How far a timestamp may be in the future, as clocks differ.",
    )
    age_query: Annotated[str, Field(max_length=1024)] = Field(
        default="",
        description=(
            "PromQL for the age in seconds of the data behind MCP servers, one series each; $namespace is "
            "filled in; empty: none is asked."
        ),
    )
    max_age: Annotated[timedelta, Between("1s", "8760h")] = Field(
        default=timedelta(hours=1), description="How old the data may be by ageQuery."
    )


def queries(parameters: McpDataFreshnessParameters, namespace: str) -> tuple[Query, ...]:
    """The age that a metric tells, where there is one."""
    return (Query(parameters.age_query.replace("$namespace", namespace)),) if parameters.age_query else ()


def judge(snapshot: Snapshot, parameters: McpDataFreshnessParameters, now: datetime) -> Verdict:
    """Judge each golden query that has a timestamp, and what a metric tells."""
    sessions = snapshot.value(MCP_SESSIONS)
    if isinstance(sessions, Unobserved):
        if sessions.reason != NOT_CONFIGURED or not parameters.age_query:
            return unknown(sessions)
        sessions = ()
    at = snapshot.sampled_at(MCP_SESSIONS, now)
    faults: list[Finding] = []
    unjudged: list[Finding] = []
    dated: dict[str, list[Dated]] = {}
    for session, call in mcp.calls(sessions):
        server, query = session.server, call.query
        if isinstance(call.written, Unobserved):
            cause = call.written
            unjudged.append(mcp.about(server, query, cause.reason, cause.message, at))
        elif call.written is not None and call.written > at + parameters.max_ahead:
            text = "its timestamp is in the future, so it tells no age: see the server's clock"
            unjudged.append(mcp.about(server, query, "TimestampAhead", text, at))
        elif call.written is not None:
            dated.setdefault(query, []).append((call.written, server))
            allowed = timedelta(seconds=call.max_age)
            if at - call.written > allowed:
                text = (
                    f"the data of tool {call.tool} is older than {format_duration(allowed)}: see "
                    "whether its synchronization runs, and run it"
                )
                faults.append(mcp.about(server, query, "DataStale", text, call.written + allowed))
    faults += _apart(dated, parameters, at)
    judged = sum(map(len, dated.values()))
    for query_ in queries(parameters, snapshot.namespace):
        judged += _measured(answer(snapshot, query_), parameters, at, faults, unjudged)
    if not judged and not unjudged:
        return skipped("NoTimestamps", "No golden query in spec.mcp.servers has a timestamp.")
    return mcp.verdict(treated(faults, snapshot, now), unjudged, judged, _well(sessions, dated))


def _apart(
    dated: dict[str, list[Dated]], parameters: McpDataFreshnessParameters, at: datetime
) -> list[Finding]:
    """For each query whose servers are too far apart, the server that is behind the others."""
    found: list[Finding] = []
    for query, answers in sorted(dated.items()):
        (oldest, behind), (newest, ahead) = min(answers), max(answers)
        if newest - oldest > parameters.max_skew:
            text = (
                f"its data is behind that of MCP server {ahead} by more than "
                f"{format_duration(parameters.max_skew)}: resynchronize it"
            )
            found.append(mcp.about(behind, query, "SourcesDisagree", text, at))
    return found


def _measured(
    found: Answer | Unobserved,
    parameters: McpDataFreshnessParameters,
    at: datetime,
    faults: list[Finding],
    unjudged: list[Finding],
) -> int:
    """Judge each series of the metric; returns how many there are."""
    if isinstance(found, Unobserved):
        unjudged.append(_metric("ageQuery", found.reason, found.message, at))
        return 0
    missing = partial(found)
    if missing:
        unjudged.append(_metric("ageQuery", "PartialResponse", incomplete(missing).message, at))
    ages = {_name(series): series.last for series in found.series if math.isfinite(series.last)}
    unjudged += [
        _metric(_name(series), "NotANumber", "the age of its data by ageQuery is no number", at)
        for series in found.series
        if not math.isfinite(series.last)
    ]
    allowed = parameters.max_age
    # Of a partial answer an old age is a warning, beside the one that the answer is partial.
    told = faults if proven(missing) is Status.FAIL else unjudged
    told += [
        _metric(
            name,
            "DataStale",
            f"by ageQuery the data is older than {format_duration(allowed)}: see whether its "
            "synchronization runs, and run it",
            at,
        )
        for name, age in sorted(ages.items())
        if age > allowed.total_seconds()
    ]
    return len(ages)


def _metric(name: str, reason: str, message: str, at: datetime) -> Finding:
    text = clip(f"Metric of {name}: {message}", MESSAGE_LIMIT)
    return Finding(Ref("Metric", name), reason, text, at)


def _name(series: Series) -> str:
    """What a series is about: its labels, in the order of their names."""
    labels = [f"{key}={value}" for key, value in sorted(series.labels.items()) if key != "__name__"]
    return clip(",".join(labels) or "ageQuery", _NAME)


def _well(sessions: tuple[McpSession, ...], dated: dict[str, list[Dated]]) -> str:
    agree = " Servers that answer the same query agree." if len(sessions) > 1 and dated else ""
    return f"The data of each golden query is as fresh as it has to be.{agree}"


CHECK = Check(
    title="MCP servers' data is fresh",
    section="response-quality-mcp-data",
    command=f"{SHOWN}; {mcp.CALLED}",
    sources=(MCP_SESSIONS, SERIES, *READS),
    judge=judge,
    parameters=McpDataFreshnessParameters,
    queries=queries,
)
