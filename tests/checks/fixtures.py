"""Fixtures of checks: objects as kubectl prints them, read as the informer reads them."""

import typing
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from kiro_operator.api.v1alpha1.evidence.records import RecordsEvidence
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.checks import Registered, registry
from kiro_operator.core.evidence.logs import POD_LOGS
from kiro_operator.core.evidence.series import SERIES
from kiro_operator.core.objects import (
    DaemonSet,
    Deployment,
    EndpointSlice,
    HorizontalPodAutoscaler,
    Pod,
    Record,
    ReplicaSet,
    Service,
    StatefulSet,
)
from kiro_operator.core.records import parse
from kiro_operator.core.snapshot import Collection, Own, Polled, Sample, Snapshot, Source, Unobserved, Weighed
from kiro_operator.core.verdict import Finding, Verdict
from kiro_operator.reconcile.observe import not_configured
from kiro_operator.reconcile.target import Target

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
        samples = {
            source.name: _sample(source, self.body.get("samples", {}).get(source.name), self.queries())
            for source in (*self.check.check.polled, *self.check.check.beside)
        }
        facts["samples"] = {name: sample for name, sample in samples.items() if sample is not None}
        facts["policies"] = {
            name: KiroSafetyPolicySpec.model_validate(spec)
            for name, spec in self.body.get("policies", {}).items()
        }
        missing = self.body.get("unobserved", {}).get(Source.REMEDIATIONS.value)
        facts["remediations"] = (
            Unobserved(**missing)
            if missing
            else tuple(
                msgspec.convert(item, Record) for item in self.objects if item["kind"] == "KiroRemediation"
            )
        )
        facts["own"] = self._own()
        began = {check: when(time) for check, time in self.body.get("beganFailing", {}).items()}
        facts["weighed"] = msgspec.convert(self.body.get("weighed", {}), dict[str, Weighed])
        return Snapshot(namespace=NAMESPACE, began_failing=began, **facts)

    def _own(self) -> Own:
        """The KiroHealthCheck among the objects, and when its checks began to fail."""
        target = Target((NAMESPACE, "platform"))
        for item in self.objects:
            if item["kind"] == "KiroHealthCheck":
                target.take(item)
        for check, times in self.body.get("failed", {}).items():
            for time in times:
                target.began_to_fail(check, when(time))
        return target.own

    def queries(self) -> list[Any]:
        """What the check asks Prometheus: answers of a fixture that name no query are to these, in order."""
        check = self.check.check
        if check.queries is None:
            return []
        parameters = check.parameters.model_validate(self.body.get("parameters", {}))
        return list(msgspec.to_builtins(check.queries(parameters, NAMESPACE)))

    def judge(self, objects: list[Mapping[str, Any]] | None = None, now: datetime | None = None) -> Verdict:
        check = self.check.check
        parameters = check.parameters.model_validate(self.body.get("parameters", {}))
        return check.judge(self.snapshot(objects), parameters, now or self.now)


def when(value: str | datetime) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _sample(source: Polled[Any], body: Mapping[str, Any] | None, queries: list[Any]) -> Sample[Any] | None:
    """A sample as the source gives it; ``notConfigured: true`` stands for a section that is not set."""
    if body is None:
        return None
    if body.get("notConfigured"):
        return not_configured(source)
    value: Any
    if "unobserved" in body:
        value = Unobserved(**body["unobserved"])
    else:
        given = body["value"]
        if source is SERIES:
            given = [
                {"query": queries[number]} | item if "query" not in item else item
                for number, item in enumerate(given)
            ]
        if source is POD_LOGS:
            given = [_lines(item) if "lines" in item else item for item in given]
        value = _convert(given, source.type)
        if source is POD_LOGS:
            value = tuple(_with_records(item, body.get("records", {})) for item in value)
    return Sample(body["number"], when(body["time"]), value)


def _convert(given: Any, type_: Any) -> Any:
    """Read a value; what has a reason and a message and nothing else is Unobserved."""
    if typing.get_origin(type_) is tuple and Unobserved in typing.get_args(typing.get_args(type_)[0]):
        of = next(one for one in typing.get_args(typing.get_args(type_)[0]) if one is not Unobserved)
        return tuple(
            Unobserved(**item) if set(item) == {"reason", "message"} else msgspec.convert(item, of)
            for item in given
        )
    return msgspec.convert(given, type_, strict=False)


def _lines(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A log as text, as kubectl logs prints it."""
    return {**item, "lines": item["lines"].splitlines() if isinstance(item["lines"], str) else item["lines"]}


def _with_records(item: Any, mapping: Mapping[str, Any]) -> Any:
    """A tail with the records in its lines; ``records:`` beside ``value:`` stands for spec.records."""
    if isinstance(item, Unobserved):
        return item
    found = parse(item.lines, RecordsEvidence.model_validate(mapping))
    return msgspec.structs.replace(
        item, records=found.records, malformed=found.malformed, window=found.records
    )


@cache
def all_fixtures() -> tuple[Fixture, ...]:
    """Every fixture of every check; read once for all modules that want them when tests are collected."""
    return tuple(
        Fixture(registry()[path.parent.name], path.stem, yaml.load(path.read_text(), Loader=yaml.CSafeLoader))
        for path in sorted(HERE.glob("*/*.yaml"))
        # The folder is the check; where it is none, the contract test says so.
        if path.parent.name in registry()
    )


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
