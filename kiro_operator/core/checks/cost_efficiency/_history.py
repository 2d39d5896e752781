"""What containers used over days, by workload: queries, and how their answers are read.

The owner of a series is its pod's name without the generated end: the ReplicaSet, StatefulSet or DaemonSet.
So pods that are gone count with those of today, and a rollout does not hide what came before.
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta

from kiro_operator.core.evidence.series import Answer, Query, answer
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved

STEP = timedelta(minutes=10)
POINTS = 100
"""Points below which a history proves nothing."""

_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
# Nearly all have 8 to 10 characters; shorter ones could be the end of somebody's name for a workload.
_HASH = re.compile(f"{_SAFE}{{6,10}}")
_METRIC = re.compile("container_[a-z_]+")
# As containers only: cAdvisor has the sums of pods and the pause containers as well.
_SELECTOR = '{{namespace="{namespace}",container!="",container!="POD"}}'

Key = tuple[str, str]
"""Owner and container; an empty container for a whole pod."""


def cpu(namespace: str) -> str:
    """Cores that each container uses."""
    return f"rate(container_cpu_usage_seconds_total{_SELECTOR.format(namespace=namespace)}[10m])"


def memory(namespace: str) -> str:
    """Bytes that each container uses."""
    return f"container_memory_working_set_bytes{_SELECTOR.format(namespace=namespace)}"


def network(namespace: str) -> str:
    """Bytes a second that each pod receives and sends."""
    return " + ".join(
        f'sum by (pod) (rate(container_network_{way}_bytes_total{{namespace="{namespace}"}}[10m]))'
        for way in ("receive", "transmit")
    )


def by_owner(aggregate: str, expr: str, *labels: str) -> str:
    """An expression by pod, put together by owner."""
    owned = f'label_replace({expr}, "owner", "$1", "pod", "(.+)-(?:{_SAFE}{{5}}|[0-9]+)")'
    return f"{aggregate} by ({', '.join(('owner', *labels))}) ({owned})"


def stats(expr: str, window: timedelta, *functions: tuple[str, str]) -> Query:
    """Functions over the past of an expression in one query, each series labelled ``stat``.

    A function is its name and what stands before the range: ``("p95", "quantile_over_time(0.95, ")``.
    """
    past = f"({expr})[{int(window.total_seconds())}s:{int(STEP.total_seconds())}s]"
    return Query(
        " or ".join(
            f'label_replace({function}{past}), "stat", "{name}", "", "")' for name, function in functions
        )
    )


def read(snapshot: Snapshot, query: Query) -> Answer | Unobserved:
    """The answer; where there is no number in it, what to look at instead of the whole query."""
    found = answer(snapshot, query)
    if isinstance(found, Unobserved) and found.reason in {"NoData", "NotANumber"}:
        metric = _METRIC.search(query.expr)
        name = metric[0] if metric else "the metrics of containers"
        text = (
            f"Prometheus has no history of {name} in namespace {snapshot.namespace}: see whether it scrapes "
            "the kubelets' cAdvisor"
        )
        return Unobserved(found.reason, text)
    return found


def stat(given: Answer, name: str) -> Mapping[Key, float]:
    """One figure of each owner and container; what is no number is left out."""
    return {
        (series.labels["owner"], series.labels.get("container", "")): series.last
        for series in given.series
        if series.labels.get("stat") == name and series.labels.get("owner") and math.isfinite(series.last)
    }


def owners(ref: Ref, known: Iterable[str], exact: frozenset[str]) -> list[str]:
    """The owners in a history that belong to a workload.

    Args:
        ref: The workload.
        known: The owners that there are.
        exact: Names of StatefulSets and DaemonSets, which no Deployment's ReplicaSet is taken for.
    """
    if ref.kind != "Deployment":
        return [owner for owner in known if owner == ref.name]
    return [
        owner
        for owner in known
        if owner not in exact
        and owner.startswith(f"{ref.name}-")
        and _HASH.fullmatch(owner[len(ref.name) + 1 :])
    ]
