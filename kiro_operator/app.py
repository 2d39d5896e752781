"""The composition root: settings, adapters, engine and kopf, put together once and run."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from kiro_operator import ports
from kiro_operator.adapters.alertmanager.alerts import Alertmanager
from kiro_operator.adapters.aws.account import Accounts
from kiro_operator.adapters.aws.costs import AwsCostsOf
from kiro_operator.adapters.aws.identity import AwsIdentities
from kiro_operator.adapters.aws.permissions import AwsPermissionsOf
from kiro_operator.adapters.clock import SystemClock
from kiro_operator.adapters.http.endpoints import Endpoints
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.http.server import ProbeServer
from kiro_operator.adapters.kubernetes import credentials as kubernetes_credentials
from kiro_operator.adapters.kubernetes.access import ClusterAccess
from kiro_operator.adapters.kubernetes.actuator import Actuator
from kiro_operator.adapters.kubernetes.admission import ApprovalGuard
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.config_changes import ConfigChanges
from kiro_operator.adapters.kubernetes.decision_log import DecisionLog
from kiro_operator.adapters.kubernetes.elector import Elector
from kiro_operator.adapters.kubernetes.events import EventRecorder
from kiro_operator.adapters.kubernetes.inventory import Inventories
from kiro_operator.adapters.kubernetes.nodes import ClusterNodes
from kiro_operator.adapters.kubernetes.optimization_config import OptimizationConfigs
from kiro_operator.adapters.kubernetes.pod_logs import PodLogs
from kiro_operator.adapters.kubernetes.pod_metrics import PodMetrics
from kiro_operator.adapters.kubernetes.restorable import Restorables
from kiro_operator.adapters.kubernetes.safety_config import SafetyConfigs
from kiro_operator.adapters.kubernetes.watches import REMEDIATIONS, Watches
from kiro_operator.adapters.mcp.client import McpClient
from kiro_operator.adapters.mcp.evaluation import Evaluator
from kiro_operator.adapters.mcp.health import McpHealth
from kiro_operator.adapters.mcp.sessions import McpSessions
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.adapters.network.connections import Connections, Dns, Fixed, Resolver
from kiro_operator.adapters.prices import PriceList
from kiro_operator.adapters.prometheus.series import Prometheus
from kiro_operator.adapters.prometheus.triggers import TriggerMetrics
from kiro_operator.adapters.steering.source import SteeringSource
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.checks import registry
from kiro_operator.core.snapshot import Source
from kiro_operator.reconcile.act import Act
from kiro_operator.reconcile.approvals import Approvals
from kiro_operator.reconcile.loop import Loop
from kiro_operator.reconcile.observe import Observation
from kiro_operator.reconcile.permits import Permits
from kiro_operator.reconcile.policies import Policies
from kiro_operator.reconcile.report import Reporter
from kiro_operator.reconcile.sweep import Sweep
from kiro_operator.reconcile.target import Key, Target
from kiro_operator.reconcile.verify import Verify
from kiro_operator.settings import Settings

if "kubernetes" not in sys.modules:
    # kopf imports the `kubernetes` package when it is there, only to name its types: 16 MiB for
    # nothing. See docs/adr/0003-memory.md.
    sys.modules["kubernetes"] = None  # type: ignore[assignment]
    import kopf

    del sys.modules["kubernetes"]
else:
    import kopf

from kiro_operator import handlers

STUCK_AFTER = 120.0
"""Seconds without progress, with work waiting, after which the loop counts as dead."""

logger = logging.getLogger(__name__)


class Operator:
    """All parts, wired."""

    def __init__(self, settings: Settings, credentials: kubernetes_credentials.Credentials) -> None:
        self.settings = settings
        self.credentials = credentials
        self.clock = SystemClock()
        self.metrics = Metrics()
        self.client = Client(credentials)
        resolver: Resolver = Fixed(settings.resolve) if settings.resolve else Dns()
        self.fetcher = Fetcher(
            resolver,
            settings.allowed_hosts,
            settings.credentials,
            self._service,
        )
        self.evaluator = Evaluator()
        self.events = EventRecorder(self.client, self.clock, settings.identity)
        self.elector = Elector(
            self.client,
            namespace=settings.own_namespace,
            name=settings.lease_name,
            identity=settings.identity,
            duration=settings.lease_duration,
            renew_deadline=settings.lease_renew_deadline,
            retry_period=settings.lease_retry_period,
            clock=self.clock,
        )
        self.watches = Watches(
            self.client,
            limit=settings.namespace_watches,
            stale_after=settings.stale_after,
            on_change=self._changed,
            on_synced=self._synced,
        )
        policies = Policies(self.client, self.clock, self.metrics, self.events.record)
        commands = {
            action: argv
            for action, argv in (
                (ActionName.RECONNECT_MCP, settings.mcp_reconnect_command),
                (ActionName.RESYNC_MCP, settings.mcp_resync_command),
            )
            if argv
        }
        approvals = Approvals(self.client, self.watches, ApprovalGuard(self.client, self.clock))
        records = self.watches.kinds[REMEDIATIONS].store
        act = Act(
            client=self.client,
            actuator=Actuator(self.client),
            elector=self.elector,
            policies=policies,
            permits=Permits(self.client, policies, approvals, records, asker=self._asker, clock=self.clock),
            store=records,
            events=self.events,
            metrics=self.metrics,
            clock=self.clock,
            commands=commands,
        )
        verify = Verify(act)
        self.loop = Loop(
            watches=self.watches,
            observation=Observation(
                self.watches,
                observers(self.client, self.fetcher, self.evaluator, resolver, settings),
                self.clock,
                self.metrics,
                policies=policies.readable,
                marks=policies.marks,
                sampled=self._sampled,
            ),
            policies=policies,
            approvals=approvals,
            act=act,
            verify=verify,
            commands=commands,
            sweep=Sweep(self.client, verify, self.clock, selector=settings.watch_label_selector),
            sharded=bool(settings.watch_label_selector),
            sweep_interval=settings.sweep_interval,
            reporter=Reporter(self.client, self.events, self.metrics),
            elector=self.elector,
            metrics=self.metrics,
            clock=self.clock,
        )
        self.probes = ProbeServer(self.metrics.registry, healthy=self.unhealthy, ready=self.unready)
        self.kopf_running = False
        self._ca = credentials.ca()
        self._measure()

    def _service(self, namespace: str, name: str) -> Any:
        return self.watches.kinds[Source.SERVICES].store.get(namespace, name)

    def _changed(self, kind: str, namespace: str, old: Any, new: Any) -> None:
        self.loop.intake.changed(kind, namespace, old, new)

    def _asker(self, key: Key) -> Target | None:
        return self.loop.intake.get(key)

    def _synced(self, kind: str, namespaces: frozenset[str]) -> None:
        self.loop.intake.synced(kind, namespaces)

    def _sampled(self, target: Target, more: bool) -> None:  # noqa: FBT001 - of a Callable
        self.loop.intake.sampled(target, more=more)

    def unhealthy(self) -> str:
        """What a restart of this process could mend; empty when nothing."""
        now = asyncio.get_running_loop().time()
        if not self.kopf_running:
            return "the watch of the custom resources has ended"
        if self.credentials.ca() != self._ca:
            return f"{self.credentials.ca_file} has changed: only a new process trusts what it holds now"
        queue = self.loop.queue
        if len(queue) and queue.last_progress and now - queue.last_progress > STUCK_AFTER:
            return f"the queue has not moved for {now - queue.last_progress:.0f} s"
        heard = self.watches.oldest_sign_of_life()
        if heard is not None and now - heard > 2 * self.settings.stale_after:
            return f"a watch has been silent for {now - heard:.0f} s"
        return ""

    def unready(self) -> str:
        """Why this process is not ready; a standby is ready, its caches are warm."""
        return "" if self.kopf_running else "starting"

    def _measure(self) -> None:
        """Have these read when somebody scrapes them, not when somebody last asked for the health."""
        self.metrics.leader.set_function(lambda: float(self.elector.leading))
        self.metrics.events_dropped.set_function(lambda: float(self.events.dropped))
        self.metrics.watch_age.set_function(self._watch_age)

    def _watch_age(self) -> float:
        heard = self.watches.oldest_sign_of_life()
        return 0.0 if heard is None else asyncio.get_running_loop().time() - heard

    async def run(self) -> int:
        """Run until told to stop, or until the Lease is lost; returns the exit status."""
        port = await self.probes.start(self.settings.bind_address, self.settings.port)
        logger.info(
            "listening", extra={"address": self.settings.bind_address, "port": port, "pid": os.getpid()}
        )
        stop = asyncio.Event()
        # When kopf ends it cancels every task that it is not told of, this one included.
        mine = asyncio.all_tasks()
        front = await kopf.spawn_tasks(
            registry=handlers.registry(self.loop.intake, self.credentials),
            settings=handlers.operator_settings(self.settings),
            clusterwide=True,
            standalone=True,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self.kopf_running = True
        doors = asyncio.create_task(kopf.run_tasks(front, ignored=mine), name="kopf")
        elected = asyncio.Event()
        tasks: list[asyncio.Task[Any]] = [
            doors,
            asyncio.create_task(self.elector.run(elected.set), name="elector"),
            asyncio.create_task(self.events.run(), name="events"),
            asyncio.create_task(self._lead(elected), name="lead"),
        ]
        stopping = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        self.kopf_running = False
        # Not whether that task has ended: kopf cancels every task there is when it fails.
        status = 0 if stop.is_set() else 1
        for task in done - {stopping}:
            error = None if task.cancelled() else task.exception()
            logger.error("%s ended", task.get_name(), exc_info=error)
        await self._shut_down([*tasks, stopping])
        return status

    async def _lead(self, elected: asyncio.Event) -> None:
        """Work the queue while leading."""
        await elected.wait()
        await self.loop.work(self.settings.workers)

    async def _shut_down(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Stop working, then give the Lease back, then close."""
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks[1:], return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self.elector.release()
                await self.events.drain()
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        await self.watches.stop()
        await self.probes.stop()
        await self.evaluator.close()
        await self.fetcher.close()
        await self.client.close()


def observers(
    client: Client,
    fetcher: Fetcher,
    evaluator: Evaluator,
    resolver: Resolver,
    settings: Settings,
) -> Sequence[ports.Observer]:
    """The polled sources."""
    accounts = Accounts(settings.cluster_facts_namespaces, settings.aws_endpoint_url)
    return (
        PodMetrics(client),
        PodLogs(client),
        Connections(resolver),
        ConfigChanges(client),
        SteeringSource(client),
        ClusterNodes(client, settings.cluster_facts_namespaces),
        Inventories(client),
        PriceList(),
        Prometheus(fetcher),
        Alertmanager(fetcher, settings.cluster_facts_namespaces),
        McpHealth(fetcher),
        McpSessions(fetcher, evaluator),
        McpClient(client, settings.mcp_client_command),
        ClusterAccess(client, settings.cluster_facts_namespaces),
        SafetyConfigs(client),
        Restorables(client, settings.cluster_facts_namespaces),
        Endpoints(fetcher),
        TriggerMetrics(Prometheus(fetcher)),
        AwsIdentities(accounts),
        AwsPermissionsOf(accounts),
        AwsCostsOf(accounts),
        DecisionLog(client),
        OptimizationConfigs(client),
    )


async def run(settings: Settings) -> int:
    """Build the operator and run it.

    Raises:
        kubernetes_credentials.CredentialsError: there is no way to an API server.
    """
    registry()  # a check that cannot be loaded is to end the start, not the first KiroHealthCheck
    operator = Operator(settings, kubernetes_credentials.load(settings))
    return await operator.run()
