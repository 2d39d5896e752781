"""What steering documents say of the environment is true of this cluster."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.steering import STEERING, Document, Environment
from kiro_operator.core.objects import Service
from kiro_operator.core.snapshot import Collection, Snapshot, Source, Unobserved
from kiro_operator.core.steering import environment as said
from kiro_operator.core.steering.front_matter import read
from kiro_operator.core.steering.judging import INTERVAL, NO_DOCUMENTS, of_problems, since, verdict, whole
from kiro_operator.core.steering.problems import Problem
from kiro_operator.core.verdict import Finding, Verdict, unknown


class SteeringEnvironmentParameters(Parameters):
    """Thresholds of steering-environment: there are none."""


class _Facts(Struct, frozen=True):
    namespace: str
    services: Collection[Service] | Unobserved
    environment: Environment


def judge(snapshot: Snapshot, parameters: SteeringEnvironmentParameters, now: datetime) -> Verdict:  # noqa: ARG001
    """Hold each document against the cluster; one that is for another environment only by its inclusion."""
    steering = snapshot.value(STEERING)
    if isinstance(steering, Unobserved):
        return unknown(steering)
    documents = whole(steering)
    if not documents:
        return unknown(steering.partial or NO_DOCUMENTS)
    facts = _Facts(snapshot.namespace, snapshot.services, steering.environment)
    failures: list[Finding] = []
    for document in documents:
        wrong = _problems(document, facts)
        if wrong:
            failures.append(of_problems(document, wrong, since(document, snapshot, now)))
    failures.sort(key=lambda finding: (_ORDER.index(finding.reason), finding.object))
    if not failures and isinstance(snapshot.services, Unobserved) and _asks_for_services(documents, facts):
        return unknown(snapshot.services)
    well = "The steering documents speak of this environment."
    if not facts.environment.name:
        well += " They were not held against a name: spec.steering.environment.name is not set."
    return verdict(failures, (), steering, well)


_ORDER = ("OtherEnvironment", "HostMissing", "NamespaceMissing", "RegionMissing")


def _problems(document: Document, facts: _Facts) -> list[Problem]:
    known, text = facts.environment, document.text
    stated = said.stated(document.path, text, (known.name, *known.others) if known.name else known.others)
    if stated is not None and known.name and not said.same(stated.value, known.name):
        if read(text).inclusion != "always":
            return []  # asked for on purpose: its hosts are those of that environment
        words = (
            f"it is for the environment {stated.value}, and always included in {known.name}: "
            "set inclusion: manual, or remove it here"
        )
        return [Problem(stated.line, stated.column, "OtherEnvironment", words)]
    return [*_hosts(text, facts), *_namespaces(text, facts), *_regions(text, facts)]


def _hosts(text: str, facts: _Facts) -> Iterator[Problem]:
    if isinstance(facts.services, Unobserved):
        return
    for service, namespace, where in said.hosts(text):
        if namespace != facts.namespace or _known(where.value, facts.environment):
            continue
        if facts.services.get(service) is None:
            words = f"the host {where.value} does not exist: there is no Service {service} in {namespace}"
            yield Problem(where.line, where.column, "HostMissing", words)


def _known(host: str, environment: Environment) -> bool:
    return any(
        host.removesuffix(".cluster.local") == one.removesuffix(".cluster.local") for one in environment.hosts
    )


def _namespaces(text: str, facts: _Facts) -> Iterator[Problem]:
    known = {facts.namespace, *facts.environment.namespaces}
    if not facts.environment.namespaces:
        return
    named = [*said.namespaces(text)]
    named += [
        said.Statement(namespace, where.line, where.column)
        for _, namespace, where in said.hosts(text)
        if not _known(where.value, facts.environment)
    ]
    for where in named:
        if where.value not in known:
            words = f"the namespace {where.value} is not among those that exist"
            yield Problem(where.line, where.column, "NamespaceMissing", words)


def _regions(text: str, facts: _Facts) -> Iterator[Problem]:
    known = facts.environment.regions
    for where in said.regions(text) if known else ():
        if where.value not in known:
            words = f"the region {where.value} is not among this cluster's ({', '.join(known)})"
            yield Problem(where.line, where.column, "RegionMissing", words)


def _asks_for_services(documents: list[Document], facts: _Facts) -> bool:
    return any(
        namespace == facts.namespace
        for document in documents
        for _, namespace, _ in said.hosts(document.text)
    )


CHECK = Check(
    title="Steering documents fit this environment",
    section="response-quality-steering",
    command="kubectl get configmaps -n {namespace} {steering} -o yaml; kubectl get services -n {namespace}; "
    "in a pod: grep -rn svc .kiro/steering",
    sources=(STEERING, Source.SERVICES),
    judge=judge,
    parameters=SteeringEnvironmentParameters,
    interval=INTERVAL,
    failure_threshold=1,
    success_threshold=1,
)
