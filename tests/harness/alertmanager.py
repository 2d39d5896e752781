"""A real Alertmanager for tests: alerts are posted to its API, with the times a test wants.

@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory):
    with Alertmanager(tmp_path_factory.mktemp("alertmanager")) as server:
        yield server

alertmanager.fire("PodCrashLooping", pod="kiro-0", namespace="kiro-system", minutes=10)
alertmanager.resolve("PodCrashLooping", pod="kiro-0", namespace="kiro-system")
"""

from __future__ import annotations

from typing import Self

from devcluster import alertmanager
from devcluster.errors import BuildFailed
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.network.connections import Fixed
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from tests.harness.need import give_up

SERVICE = "alertmanager"
PORT = 9093


class Alertmanager(alertmanager.Alertmanager):
    """An Alertmanager that KiroHealthChecks can be pointed at."""

    def start(self) -> Self:
        """Start it; without the program the test cannot be."""
        try:
            return super().start()
        except BuildFailed as error:
            give_up(f"NO ALERTMANAGER, so what reads it is not tested: {error}")

    @property
    def spec(self) -> KiroHealthCheckSpec:
        """A KiroHealthCheck's spec that names it, as a Service of the KiroHealthCheck's namespace."""
        body = {"alertmanager": {"service": {"name": SERVICE, "port": PORT}}}
        return KiroHealthCheckSpec.model_validate(body)

    def addresses(self, *namespaces: str) -> dict[str, str]:
        """Where the Service of these namespaces is."""
        return {f"{SERVICE}.{name}:{PORT}": f"127.0.0.1:{self.port}" for name in namespaces}

    def fetcher(self, *namespaces: str, allowed_hosts: frozenset[str] = frozenset()) -> Fetcher:
        """Fetches from it for KiroHealthChecks of these namespaces; to be closed."""
        return Fetcher(Fixed(self.addresses(*namespaces)), allowed_hosts)
