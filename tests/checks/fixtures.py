"""Fixtures of checks: objects as kubectl prints them, read as the informer reads them."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from kiro_operator.core.checks import Registered, registry
from kiro_operator.core.objects import (
    DaemonSet,
    Deployment,
    EndpointSlice,
    HorizontalPodAutoscaler,
    Pod,
    ReplicaSet,
    Service,
    StatefulSet,
)
from kiro_operator.core.snapshot import (
    Change,
    Collection,
    Connection,
    LogTail,
    PodUsage,
    Sample,
    Snapshot,
    Source,
    Unobserved,
)
from kiro_operator.core.verdict import Finding, Verdict

HERE = Path(__file__).parent
NAMESPACE = "kiro-system"

KINDS: Mapping[str, tuple[str, Source, Any]] = {
    "Pod": ("pods", Source.PODS, Pod),
    "Deployment": ("deployments", Source.DEPLOYMENTS, Deployment),
    "StatefulSet": ("stateful_sets", Source.STATEFUL_SETS, StatefulSet),
    "DaemonSet": ("daemon_sets", Source.DAEMON_SETS, DaemonSet),
    "ReplicaSet": ("replica_sets", Source.REPLICA_SETS, ReplicaSet),
    "Service": ("services", Source.SERVICES, Service),
    "EndpointSlice": ("endpoint_slices", Source.ENDPOINT_SLICES, EndpointSlice),
    "HorizontalPodAutoscaler": ("autoscalers", Source.AUTOSCALERS, HorizontalPodAutoscaler),
}
SAMPLES: Mapping[str, str] = {
    "pod-metrics": "pod_metrics",
    "pod-logs": "pod_logs",
    "connections": "connections",
    "config-changes": "config_changes",
}


class Fixture(Struct, frozen=True):
    """One file: facts, parameters and the verdict that is expected."""

    check: Registered
    name: str
    body: Mapping[str, Any]

    @property
    def expect(self) -> Mapping[str, Any]:
        expected: Mapping[str, Any] = self.body["expect"]
        return expected

    @property
    def now(self) -> datetime:
        return when(self.body["now"])

    @property
    def objects(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for item in self.body.get("objects", []):
            found += item["items"] if item["kind"].endswith("List") else [item]
        return found

    def snapshot(self, objects: list[Mapping[str, Any]] | None = None) -> Snapshot:
        """The facts, with the objects in the order given."""
        facts: dict[str, Any] = {}
        for kind, (name, source, type_) in KINDS.items():
            missing = self.body.get("unobserved", {}).get(source.value)
            facts[name] = (
                Unobserved(**missing)
                if missing
                else Collection.of(
                    [
                        msgspec.convert(item, type_)
                        for item in (self.objects if objects is None else objects)
                        if item["kind"] == kind
                    ]
                )
            )
        for source_id, sample in self.body.get("samples", {}).items():
            facts[SAMPLES[source_id]] = _sample(source_id, sample)
        began = {check: when(time) for check, time in self.body.get("beganFailing", {}).items()}
        return Snapshot(namespace=NAMESPACE, began_failing=began, **facts)

    def judge(self, objects: list[Mapping[str, Any]] | None = None, now: datetime | None = None) -> Verdict:
        check = self.check.check
        parameters = check.parameters.model_validate(self.body.get("parameters", {}))
        return check.judge(self.snapshot(objects), parameters, now or self.now)


def when(value: str | datetime) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _sample(source: str, body: Mapping[str, Any]) -> Sample[Any]:
    value: Any
    if "unobserved" in body:
        value = Unobserved(**body["unobserved"])
    elif source == "pod-metrics":
        value = msgspec.convert(body["value"], dict[str, PodUsage])
    elif source == "pod-logs":
        value = tuple(
            Unobserved(**item) if "reason" in item else msgspec.convert(_lines(item), LogTail)
            for item in body["value"]
        )
    elif source == "connections":
        value = msgspec.convert(body["value"], tuple[Connection, ...])
    else:
        value = msgspec.convert(body["value"], tuple[Change, ...])
    return Sample(body["number"], when(body["time"]), value)


def _lines(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A log as text, as kubectl logs prints it."""
    return {**item, "lines": item["lines"].splitlines() if isinstance(item["lines"], str) else item["lines"]}


def all_fixtures() -> Iterator[Fixture]:
    """Every fixture of every check."""
    for path in sorted(HERE.glob("*/*.yaml")):
        # The folder is the check; where it is none, the contract test says so.
        if path.parent.name in registry():
            body = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
            yield Fixture(registry()[path.parent.name], path.stem, body)


def told(finding: Finding) -> dict[str, Any]:
    """A finding in the words of a fixture."""
    words: dict[str, Any] = {
        "object": f"{finding.object.kind}/{finding.object.name}",
        "reason": finding.reason,
        "target": f"{finding.target.kind}/{finding.target.name}" if finding.target else None,
        "remedies": [remedy.value for remedy in finding.remedies],
    }
    if finding.workload_wide:
        words["workloadWide"] = True
    if finding.at_once:
        words["atOnce"] = True
    return words
