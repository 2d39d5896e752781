"""A real Prometheus for tests: history made up in advance, and an exporter whose values a test sets.

History is the fast way to a flip: a test asks at different times (``poll(..., now=...)``, because queries
are evaluated at the request's own time) or in different namespaces (a label), of one server that a whole
module shares. A live exporter is for what only time can show, such as a series that ends.

    @pytest.fixture(scope="module")
    def prometheus(tmp_path_factory):
        now = round_hour(datetime.now(UTC))
        history = [
            Samples("kiro_autonomous_success_rate", {"namespace": "kiro-system"},
                    course(now - timedelta(days=3), now, minutes=5, value=lambda at: 0.97)),
        ]
        with Prometheus(tmp_path_factory.mktemp("prometheus"), history) as server:
            yield server

    async def test_it(prometheus):
        fetcher = prometheus.fetcher("kiro-system")
        sample = await adapter.Prometheus(fetcher).observe(poll(..., spec=prometheus.spec))

        prometheus.exporter.set("up_and_down", 1, namespace="kiro-system")
        prometheus.wait('up_and_down == 1')     # scraped every second
        prometheus.exporter.remove("up_and_down", namespace="kiro-system")   # goes stale
"""

from __future__ import annotations

from typing import Self

from devcluster import prometheus
from devcluster.errors import BuildFailed
from devcluster.prometheus import Exporter, Samples, course, program, round_hour
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.network.connections import Fixed
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from tests.harness.need import give_up

__all__ = ["PORT", "SERVICE", "Exporter", "Prometheus", "Samples", "course", "program", "round_hour"]

SERVICE = "prometheus"
PORT = 9090


class Prometheus(prometheus.Prometheus):
    """A Prometheus that KiroHealthChecks can be pointed at."""

    def start(self) -> Self:
        """Start it; without the programs the test cannot be."""
        try:
            return super().start()
        except BuildFailed as error:
            give_up(f"NO PROMETHEUS, so what reads it is not tested: {error}")

    @property
    def spec(self) -> KiroHealthCheckSpec:
        """A KiroHealthCheck's spec that names it, as a Service of the KiroHealthCheck's namespace."""
        body = {"prometheus": {"service": {"name": SERVICE, "port": PORT}}}
        return KiroHealthCheckSpec.model_validate(body)

    def resolver(self, *namespaces: str) -> Fixed:
        """Resolves the Service of these namespaces to this server."""
        return Fixed({f"{SERVICE}.{name}:{PORT}": f"127.0.0.1:{self.port}" for name in namespaces})

    def fetcher(self, *namespaces: str) -> Fetcher:
        """Fetches from it for KiroHealthChecks of these namespaces; to be closed."""
        return Fetcher(self.resolver(*namespaces))
