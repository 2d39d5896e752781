"""Whether signals can be trusted: each check of it turns, and turns back, on its real backend.

Prometheus holds a history in which all goes wrong for a while, and is asked of three moments: before,
within and after. Alertmanager is told alerts, the API server holds KiroRemediations and policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from devcluster import ControlPlane
from devcluster.wait import until
from kiro_operator.adapters.alertmanager.alerts import Alertmanager as AlertmanagerSource
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.kubernetes.pod_metrics import RULES, PodMetrics
from kiro_operator.adapters.network.connections import Fixed
from kiro_operator.adapters.prometheus.series import Prometheus as PrometheusSource
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.checks import registry
from kiro_operator.core.objects import Record
from kiro_operator.core.snapshot import Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Verdict
from kiro_operator.ports import Observer
from kiro_operator.reconcile.observe import not_configured
from kiro_operator.reconcile.target import Target
from tests.adapters.conftest import ClientWith, client_with  # noqa: F401 - a fixture
from tests.adapters.helpers import eventually, facts, live_pods, poll
from tests.api.documents import POLICY, REMEDIATION, loaded
from tests.devcluster.helpers import make_pod, ready, wait_pod
from tests.harness.alertmanager import Alertmanager
from tests.harness.prometheus import Prometheus, Samples, course
from tests.harness.world import World

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NAMESPACE = "kiro-system"
AFTER = datetime.now(UTC).replace(second=0, microsecond=0)
WITHIN = AFTER - 15 * HOUR
BEFORE = AFTER - 30 * HOUR
START = AFTER - 37 * HOUR
PASS, FAIL = ("Pass", "AsExpected"), "Fail"
API = "/apis/kiro.dev/v1alpha1/namespaces"
Outcome = tuple[str, str]


def wrong(at: datetime) -> bool:
    """Whether this is the time at which all goes wrong."""
    return WITHIN - 7 * HOUR <= at <= WITHIN


def mine(name: str, value: Any, **labels: str) -> Samples:
    return Samples(name, {"namespace": NAMESPACE, **labels}, course(START, AFTER, value))


def firing(name: str, value: Any) -> Samples:
    return mine("ALERTS", value, alertname=name, alertstate="firing")


def now_and_then(at: datetime) -> float | None:
    """One that flaps while all goes wrong, and fires for half an hour before each other moment."""
    if wrong(at):
        return 1.0 if at.minute % 30 < 10 else None
    return 1.0 if any(timedelta(0) <= moment - at <= 30 * MINUTE for moment in (BEFORE, AFTER)) else None


def beside_it(at: datetime) -> float | None:
    return now_and_then(at) if wrong(at) else None


TARGET = {"job": "kiro", "instance": "10.0.0.1:8080"}
HISTORY = (
    Samples("ALERTS", {"alertname": "Watchdog", "alertstate": "firing"}, course(START, AFTER, lambda _: 1)),
    firing("KiroSlow", now_and_then),
    firing("KiroErrors", beside_it),
    mine("up", lambda at: 0.0 if wrong(at) else 1.0, **TARGET),
    mine("scrape_duration_seconds", lambda _: 0.1, **TARGET),
    mine("scrape_samples_scraped", lambda _: 90.0, **TARGET),
    mine("kiro_latency_seconds", lambda at: 3.0 if wrong(at) else 1.0 + at.minute / 100),
    mine("kiro_queue_depth", lambda at: None if timedelta(0) <= WITHIN - at < 40 * MINUTE else 7.0),
)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("prometheus"), HISTORY) as server:
        yield server


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    with Alertmanager(tmp_path_factory.mktemp("alertmanager")) as server:
        yield server


async def judged(
    check_id: str,
    snapshot: Snapshot,
    observers: Iterable[Observer] = (),
    *,
    spec: KiroHealthCheckSpec | None = None,
    parameters: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> Verdict:
    """What a check says, with samples of these sources; others are not configured."""
    check, at = registry()[check_id].check, now or datetime.now(UTC)
    settings = check.parameters.model_validate(parameters or {})
    samples = {source.name: not_configured(source) for source in check.polled}
    for observer in observers:
        value = await observer.observe(poll(snapshot, settings, spec=spec, now=at))
        samples[observer.source.name] = Sample(1, at, value)
    verdict: Verdict = check.judge(replace(snapshot, samples=samples), settings, at)
    return verdict


def told(verdict: Verdict) -> Outcome:
    return verdict.status.value, verdict.reason


# --- Prometheus ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check_id", "parameters", "reason"),
    [
        ("alert-frequency", {}, "AlertFlapping"),
        ("alert-grouping", {"window": "6h"}, "AlwaysTogether"),
        ("metric-collection", {}, "TargetDown"),
        (
            "metric-completeness",
            {"window": "1h", "expected": ['kiro_queue_depth{namespace="$namespace"}']},
            "SeriesEnded",
        ),
        (
            "threshold-fit",
            {
                "window": "6h",
                "thresholds": [
                    {
                        "name": "latency",
                        "query": 'kiro_latency_seconds{namespace="$namespace"}',
                        "threshold": 2,
                    }
                ],
            },
            "ThresholdInNormalRange",
        ),
    ],
)
@pytest.mark.flips(
    "alert-frequency", "alert-grouping", "metric-collection", "metric-completeness", "threshold-fit"
)
async def test_by_prometheus(
    prometheus: Prometheus, check_id: str, parameters: dict[str, Any], reason: str
) -> None:
    fetcher = prometheus.fetcher(NAMESPACE)
    verdicts = [
        await judged(
            check_id,
            facts(NAMESPACE),
            [PrometheusSource(fetcher)],
            spec=prometheus.spec,
            parameters=parameters,
            now=moment,
        )
        for moment in (BEFORE, WITHIN, AFTER)
    ]
    await fetcher.close()
    assert [told(verdict) for verdict in verdicts] == [PASS, (FAIL, reason), PASS], verdicts


async def test_a_namespace_without_data_is_unknown(prometheus: Prometheus) -> None:
    fetcher = prometheus.fetcher("elsewhere")
    for check_id in ("metric-collection", "metric-completeness", "metric-accuracy", "threshold-fit"):
        verdict = await judged(
            check_id, facts("elsewhere"), [PrometheusSource(fetcher)], spec=prometheus.spec, now=AFTER
        )
        assert verdict.status.value == "Unknown", verdict
    await fetcher.close()


@pytest.mark.flips("metric-accuracy")
async def test_memory_by_two_ways(
    prometheus: Prometheus,
    control_plane: ControlPlane,
    namespace: str,
    client_with: ClientWith,  # noqa: F811
) -> None:
    make_pod(control_plane, namespace, annotations={"kwok.x-k8s.io/usage-memory": "1Gi"})
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    metrics, fetcher = PodMetrics(client_with(RULES)), prometheus.fetcher(namespace)
    snapshot = facts(namespace, live_pods(control_plane, namespace))

    async def measured() -> bool:
        value = await metrics.observe(poll(snapshot))
        return not isinstance(value, Unobserved) and "main" in getattr(value.get("web"), "containers", {})

    # metrics-server shows a pod once two of its scrapes, 15 s apart, saw it.
    await eventually(measured, "the pod's metrics", 120.0)
    labels = {"namespace": namespace, "pod": "web"}
    outcomes: list[Outcome] = []
    for gibibytes, is_ready in ((1.0, 1), (3.0, 1), (1.0, 0), (1.0, 1)):
        prometheus.exporter.set(
            "container_memory_working_set_bytes", gibibytes * 2**30, container="main", **labels
        )
        prometheus.exporter.set("kube_pod_status_ready", is_ready, condition="true", **labels)
        prometheus.wait(
            f'container_memory_working_set_bytes{{namespace="{namespace}"}} == {gibibytes * 2**30:.0f}'
        )
        # Both values come with the same scrape or the next.
        prometheus.wait(f'kube_pod_status_ready{{namespace="{namespace}"}} == {is_ready}')
        verdict = await judged(
            "metric-accuracy",
            snapshot,
            [PrometheusSource(fetcher), metrics],
            spec=prometheus.spec,
            parameters={"grace": "30s"},
        )
        outcomes.append(told(verdict))
    await fetcher.close()
    assert outcomes == [PASS, (FAIL, "MemoryDiffers"), (FAIL, "ReadinessDiffers"), PASS]


# --- Alertmanager -------------------------------------------------------------------------------


async def now_by(alertmanager: Alertmanager, check_id: str, **parameters: Any) -> Outcome:
    fetcher = alertmanager.fetcher(NAMESPACE)
    verdict = await judged(
        check_id,
        facts(NAMESPACE),
        [AlertmanagerSource(fetcher)],
        spec=alertmanager.spec,
        parameters=parameters,
    )
    await fetcher.close()
    return told(verdict)


@pytest.mark.flips("alert-grouping")
async def test_causes_and_what_follows(alertmanager: Alertmanager) -> None:
    alertmanager.fire("KubeNodeNotReady", minutes=10, node="node-1")
    for number in range(3):
        assert await now_by(alertmanager, "alert-grouping") == PASS, "a few that follow prove nothing"
        pod = {"pod": f"kiro-{number}", "namespace": NAMESPACE}
        alertmanager.fire("PodDown", minutes=9, node="node-1", **pod)
    alertmanager.fire("PodSlow", minutes=8, node="node-1", pod="kiro-3", namespace=NAMESPACE)
    assert await now_by(alertmanager, "alert-grouping") == (FAIL, "ChildrenNotInhibited")
    # A cause with this label inhibits by the configuration of this Alertmanager.
    alertmanager.resolve("KubeNodeNotReady", node="node-1")
    alertmanager.fire("KubeNodeNotReady", minutes=10, node="node-1", inhibits="pods")
    assert await now_by(alertmanager, "alert-grouping") == PASS


async def test_alerts_that_nobody_attends_to(alertmanager: Alertmanager) -> None:
    for number in range(12):
        alertmanager.fire("LeftAlone", minutes=30, pod=f"left-{number}")
        if number == 2:
            few = await now_by(alertmanager, "alert-frequency", unattendedAfter="20m")
            assert few == ("Unknown", "TooFewSamples")
    assert await now_by(alertmanager, "alert-frequency", unattendedAfter="1h") == PASS
    assert await now_by(alertmanager, "alert-frequency", unattendedAfter="20m") == (FAIL, "AlertsUnattended")
    alertmanager.silence(alertname="LeftAlone")

    async def passes() -> bool:
        return await now_by(alertmanager, "alert-frequency", unattendedAfter="20m") == PASS

    await eventually(passes, "the silence to count")


async def test_an_outage_of_one_of_two_sources(prometheus: Prometheus, alertmanager: Alertmanager) -> None:
    addresses = alertmanager.addresses(NAMESPACE) | {f"prometheus.{NAMESPACE}:9090": "127.0.0.1:9"}
    fetcher = Fetcher(Fixed(addresses))
    spec = KiroHealthCheckSpec(
        prometheus=prometheus.spec.prometheus, alertmanager=alertmanager.spec.alertmanager
    )
    sources: list[Observer] = [PrometheusSource(fetcher), AlertmanagerSource(fetcher)]
    verdict = await judged("alert-frequency", facts(NAMESPACE), sources, spec=spec)
    await fetcher.close()
    assert told(verdict) == ("Unknown", "Unreachable")


# --- the API server -----------------------------------------------------------------------------


class Records:
    """KiroRemediations of a namespace of their own, which no operator works on."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane, self._namespace = plane, namespace
        self._path = f"{API}/{namespace}/kiroremediations"
        self._count = 0

    def add(self, count: int, state: str, **notes: str) -> list[str]:
        """So many more, that have come to this end; returns their names."""
        names: list[str] = []
        for _ in range(count):
            self._count += 1
            body = loaded(REMEDIATION)
            name = f"{body['metadata']['name']}-{self._count}"
            body["metadata"] = {"name": name, "annotations": _annotations(notes)}
            self._plane.rest.post(self._path, body)
            times = {"actedAt": "2026-03-02T12:00:00Z"} if state in {"Succeeded", "Failed"} else {}
            self._plane.rest.patch(f"{self._path}/{name}/status", {"status": {"state": state, **times}})
            names.append(name)
        return names

    def note(self, names: Iterable[str], **notes: str) -> None:
        """What a person says of them."""
        for name in names:
            body = {"metadata": {"annotations": _annotations(notes)}}
            self._plane.rest.patch(f"{self._path}/{name}", body)

    async def judged(self, check_id: str) -> Outcome:
        """What a check says of all of them."""
        items = self._plane.rest.get(self._path)["items"]
        records = [msgspec.json.decode(msgspec.json.encode(item), type=Record) for item in items]
        return told(await judged(check_id, facts(self._namespace, remediations=records)))


def _annotations(notes: Mapping[str, str]) -> dict[str, str]:
    return {f"kiro.dev/{key}": value for key, value in notes.items()}


@pytest.fixture
def records(control_plane: ControlPlane, namespace: str) -> Records:
    return Records(control_plane, namespace)


@pytest.mark.flips("escalation-thresholds")
async def test_outcomes(records: Records) -> None:
    unrated = records.add(9, "Succeeded")
    assert await records.judged("escalation-thresholds") == ("Unknown", "NoFeedback")
    three = records.add(3, "Succeeded", outcome="unnecessary")
    assert await records.judged("escalation-thresholds") == ("Unknown", "TooFewSamples")
    records.note(unrated, outcome="helpful")
    assert await records.judged("escalation-thresholds") == PASS
    records.note(unrated, outcome="unnecessary")
    assert await records.judged("escalation-thresholds") == (FAIL, "EscalationsUnnecessary")
    records.note([*unrated, *three], outcome="necessary")
    assert await records.judged("escalation-thresholds") == PASS


@pytest.mark.flips("decision-accuracy")
async def test_feedback(records: Records) -> None:
    acted = records.add(12, "Succeeded", feedback="correct")
    assert await records.judged("decision-accuracy") == ("Unknown", "TooFewSamples")
    withheld = records.add(12, "Denied", feedback="correct")
    assert await records.judged("decision-accuracy") == PASS
    records.note(acted, feedback="wrong")
    assert await records.judged("decision-accuracy") == (FAIL, "SpecificityLow")
    records.note(acted, feedback="correct")
    assert await records.judged("decision-accuracy") == PASS
    records.note(withheld, feedback="wrong")
    assert await records.judged("decision-accuracy") == (FAIL, "SensitivityLow")


class Notes:
    """A KiroHealthCheck that no operator works on, and what people note on it with kubectl."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane, self._namespace = plane, namespace
        self._path = f"{API}/{namespace}/kirohealthchecks"
        body = {
            "apiVersion": "kiro.dev/v1alpha1",
            "kind": "KiroHealthCheck",
            "metadata": {"name": "platform"},
        }
        self._target = Target((namespace, "platform"))
        self._target.take(plane.rest.post(self._path, body))

    def annotate(self, *told: str) -> None:
        """What a person types."""
        self._plane.kubectl("annotate", "khc", "platform", "-n", self._namespace, "--overwrite", *told)

    def settings(self, *checks: Mapping[str, Any]) -> None:
        """Set checks."""
        self._plane.rest.patch(f"{self._path}/platform", {"spec": {"checks": list(checks)}})

    async def judged(self, check_id: str) -> Outcome:
        """What a check says of it as it is."""
        self._target.take(self._plane.rest.get(f"{self._path}/platform"))
        assert self._target.problem is None, self._target.problem
        policies = {"cautious": KiroSafetyPolicySpec.model_validate(loaded(POLICY)["spec"])}
        snapshot = facts(self._namespace, own=self._target.own, policies=policies)
        return told(await judged(check_id, snapshot))


def verdicts(count: int, word: str, *, hour: int = 0) -> list[str]:
    """Ratings of so many verdicts of one check, an hour apart until a while ago."""
    begin = datetime.now(UTC) - timedelta(days=3, hours=hour)
    times = [(begin + number * HOUR).strftime("%Y%m%dT%H%M%SZ") for number in range(count)]
    return [f"feedback.kiro.dev/pods-ready.{time}={word}" for time in times]


@pytest.mark.flips("decision-accuracy")
async def test_verdicts_are_rated_on_the_health_check(control_plane: ControlPlane, namespace: str) -> None:
    notes = Notes(control_plane, namespace)
    assert await notes.judged("decision-accuracy") == ("Unknown", "NoFeedback")
    alarms = verdicts(12, "true-positive")
    notes.annotate(*alarms, *verdicts(12, "true-negative", hour=30))
    assert await notes.judged("decision-accuracy") == PASS
    false = [told_.replace("true", "false") for told_ in alarms]
    notes.annotate(*false)
    assert await notes.judged("decision-accuracy") == (FAIL, "SpecificityLow")
    notes.annotate(*alarms)
    notes.annotate("feedback.kiro.dev/pods-redy.20260302T110000Z=false-positive")
    assert await notes.judged("decision-accuracy") == ("Warn", "RatingsMisread")
    notes.annotate("feedback.kiro.dev/pods-redy.20260302T110000Z-")
    assert await notes.judged("decision-accuracy") == PASS


@pytest.mark.flips("escalation-thresholds")
async def test_escalations_are_rated_on_the_health_check(control_plane: ControlPlane, namespace: str) -> None:
    notes = Notes(control_plane, namespace)
    times = [told_.split(".")[-1].partition("=")[0] for told_ in verdicts(12, "")]

    async def all_were(word: str) -> Outcome:
        notes.annotate(*(f"outcome.kiro.dev/Escalated.{time}={word}" for time in times))
        return await notes.judged("escalation-thresholds")

    assert await all_were("necessary") == PASS
    assert await all_were("unnecessary") == (FAIL, "EscalationsUnnecessary")
    assert await all_were("helpful") == PASS


@pytest.mark.flips("decision-criteria")
async def test_settings(control_plane: ControlPlane, namespace: str) -> None:
    notes = Notes(control_plane, namespace)
    assert await notes.judged("decision-criteria") == PASS
    notes.settings({"id": "cpu-usage", "parameters": {"threshold": 50, "floor": 60}})
    assert await notes.judged("decision-criteria") == (FAIL, "SettingShadowed")
    notes.settings({"id": "cpu-usage", "failAfter": "1m"})
    assert await notes.judged("decision-criteria") == ("Warn", "SettingWithoutEffect")
    notes.settings({"id": "cpu-usage", "parameters": {"threshold": 60, "floor": 50}})
    assert await notes.judged("decision-criteria") == PASS


@pytest.mark.flips("learning-effectiveness")
async def test_proposals(records: Records) -> None:
    records.add(6, "Succeeded")
    earlier = records.add(6, "Failed")
    assert await records.judged("learning-effectiveness") == ("Unknown", "NoProposals")
    # Creation times are whole seconds, and what is to be later has to be so by one of them.
    created = datetime.now(UTC)
    until(lambda: datetime.now(UTC) - created > timedelta(seconds=1.1), "the next second")
    later = records.add(12, "Succeeded", proposal="longer-grace")
    assert await records.judged("learning-effectiveness") == PASS
    records.note(later, outcome="unnecessary")
    assert await records.judged("learning-effectiveness") == (FAIL, "ProposalRegressed")
    records.note(later, outcome="helpful")
    assert await records.judged("learning-effectiveness") == PASS
    records.note(earlier, outcome="helpful")
    records.note(later[:3], outcome="false-positive")
    assert await records.judged("learning-effectiveness") == ("Unknown", "TooFewSamples")


@pytest.mark.flips("decision-criteria")
async def test_criteria(control_plane: ControlPlane, namespace: str) -> None:
    path = f"{API}/{namespace}/kirosafetypolicies"
    body = loaded(POLICY)
    control_plane.rest.post(path, body)

    async def after(change: Mapping[str, Any]) -> Outcome:
        control_plane.rest.patch(f"{path}/cautious", {"spec": change})
        policies = {
            item["metadata"]["name"]: KiroSafetyPolicySpec.model_validate(item["spec"])
            for item in control_plane.rest.get(path)["items"]
        }
        return told(await judged("decision-criteria", facts(namespace, policies=policies)))

    always = {"name": "always", "schedule": "0 0 * * *", "duration": "24h", "timeZone": "Europe/Berlin"}
    assert await after({}) == PASS
    assert await after({"maxUnhealthy": "0%"}) == (FAIL, "NeverHealthyEnough")
    assert await after({"maxUnhealthy": "40%"}) == PASS
    assert await after({"forbiddenWindows": [always]}) == (FAIL, "AlwaysForbidden")
    assert await after({"mode": "DryRun"}) == ("Warn", "AlwaysForbidden")
    nightly = {"name": "nightly", "schedule": "0 2 * * *", "duration": "1h", "timeZone": "Europe/Berlin"}
    daily = always | {"duration": "23h"}
    assert await after({"mode": "Enforce", "forbiddenWindows": [daily], "maintenanceWindows": [nightly]}) == (
        FAIL,
        "AlwaysForbidden",
    )
    assert await after({"forbiddenWindows": []}) == PASS
    only: dict[str, Any] = {"maintenanceWindows": [], "maxUnhealthy": None, "unhealthyRange": "[0-0]"}
    assert await after(only) == (FAIL, "NeverHealthyEnough")
    assert await after({"unhealthyRange": "[2-3]"}) == ("Warn", "RangeHoldsBack")
    assert await after({"unhealthyRange": "[0-3]"}) == PASS


# --- all of it ----------------------------------------------------------------------------------


def test_an_operator_tells_of_them(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, alertmanager: Alertmanager
) -> None:
    world = World(control_plane, namespace, tmp_path)
    ours = {item.id for item in registry().values() if item.symptom == "signal-quality"}
    settings = [
        {"id": name} | ({"interval": "5s"} if name in ours else {"enabled": False}) for name in registry()
    ]
    cause = {"node": "node-9"}
    try:
        world.policy("cautious", **loaded(POLICY)["spec"])
        records = Records(control_plane, namespace)
        names = records.add(12, "Succeeded", outcome="helpful")
        address = alertmanager.addresses(namespace)
        world.operator(*(flag for pair in address.items() for flag in ("--resolve", "=".join(pair))))
        world.health_check(alertmanager={"service": {"name": "alertmanager", "port": 9093}}, checks=settings)
        expected = (
            dict.fromkeys(ours, "Skipped")
            | dict.fromkeys(("decision-accuracy", "learning-effectiveness"), "Unknown")
            | dict.fromkeys(
                ("alert-frequency", "alert-grouping", "decision-criteria", "escalation-thresholds"), "Pass"
            )
        )
        for name, status in expected.items():
            world.wait_check(name, status)
        records.note(names, outcome="false-positive")
        world.wait_check("escalation-thresholds", "Fail")
        world.plane.rest.patch(world.path("kirosafetypolicies", "cautious"), {"spec": {"maxUnhealthy": "0%"}})
        world.wait_check("decision-criteria", "Fail")
        alertmanager.fire("NodeDown", minutes=5, **cause)
        for pod in ("kiro-6", "kiro-7", "kiro-8", "kiro-9"):
            alertmanager.fire("PodDown", minutes=4, pod=pod, **cause)
        failing = world.wait_check("alert-grouping", "Fail")
        assert "NodeDown" in failing["message"]
        assert world.condition("SignalsTrustworthy")["status"] == "False"
        alertmanager.resolve("NodeDown", **cause)
        world.wait_check("alert-grouping", "Pass")
        records.note(names, outcome="necessary")
        world.wait_check("escalation-thresholds", "Pass")
        world.plane.rest.patch(
            world.path("kirosafetypolicies", "cautious"), {"spec": {"maxUnhealthy": "40%"}}
        )
        world.wait_check("decision-criteria", "Pass")
        world.wait_condition("SignalsTrustworthy", "True")
        _ratings(world)
        _flapping(world, settings)
    finally:
        world.close()


def _ratings(world: World) -> None:
    """What a person notes with kubectl is judged at once."""

    def annotate(*words: str) -> None:
        world.plane.kubectl("annotate", "khc", "kiro", "-n", world.namespace, "--overwrite", *words)

    wrong = [*verdicts(12, "false-negative"), *verdicts(12, "false-positive", hour=30)]
    annotate(*wrong)
    world.wait_check("decision-accuracy", "Fail")
    annotate(*(told_.replace("=false", "=true") for told_ in wrong))
    world.wait_check("decision-accuracy", "Pass")


def _flapping(world: World, settings: list[dict[str, Any]]) -> None:
    """A check that fails again and again is told of, until that is allowed."""

    def allow(times: int) -> None:
        at_most = {"parameters": {"maxEpisodes": times}}
        checks = [item | (at_most if item["id"] == "alert-frequency" else {}) for item in settings]
        world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), {"spec": {"checks": checks}})

    allow(4)
    for _ in range(4):  # and once before
        for most, status in (("0%", "Fail"), ("40%", "Pass")):
            world.plane.rest.patch(
                world.path("kirosafetypolicies", "cautious"), {"spec": {"maxUnhealthy": most}}
            )
            world.wait_check("decision-criteria", status)
    failing = world.wait_check("alert-frequency", "Fail")
    assert failing["reason"] == "VerdictFlapping"
    assert "decision-criteria" in failing["message"]
    allow(6)
    world.wait_check("alert-frequency", "Pass")
