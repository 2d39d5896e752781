"""From an empty folder to a control plane that schedules pods: the order of starting and what is applied."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from devcluster import fault_stages, nodes, stages, wait
from devcluster.build import kwok_manifests
from devcluster.components import Component, Layout
from devcluster.config import Config
from devcluster.errors import ApiError
from devcluster.kubeconfig import Access
from devcluster.paths import MANIFESTS
from devcluster.pki import Pair
from devcluster.processes import Process, until
from devcluster.rest import Rest, on_each

Object = dict[str, Any]

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KWOK_API = "/apis/kwok.x-k8s.io/v1alpha1"
KWOK_PLURALS = {"Stage": "stages", "Metric": "metrics", "ClusterResourceUsage": "clusterresourceusages"}
METRICS_TIMEOUT_SECONDS = 120.0
SERVED_SECONDS = 20.0


class Bootstrap:
    """One boot."""

    def __init__(self, layout: Layout, config: Config, processes: dict[str, Process], server: str) -> None:
        self._config = config
        self._processes = processes
        self._admin = Access(
            server, layout.pki / "ca.crt", Pair(layout.pki / "admin.crt", layout.pki / "admin.key")
        )

    async def run(self) -> None:
        """Start everything and return once a pod would be scheduled and run."""
        await self._processes["etcd"].start()
        await self._processes["kube-apiserver"].start()
        await self._ready("etcd")
        await self._ready("kube-apiserver")
        rest = Rest(self._admin)
        try:
            await self._processes["kube-controller-manager"].start()
            await self._processes["kube-scheduler"].start()
            await asyncio.to_thread(apply_kwok_objects, rest)
            await self._processes["kwok"].start()
            await asyncio.to_thread(nodes.add, rest, self._config.nodes)
            if "metrics-server" in self._processes:
                await self._processes["metrics-server"].start()
            await asyncio.gather(*map(self._ready, ("kube-controller-manager", "kube-scheduler", "kwok")))
            await self._until(lambda: nodes.all_ready(rest, self._config.nodes), "the nodes to be ready")
            await self._until(lambda: has_default_account(rest), "the default service account")
        finally:
            rest.close()

    async def finish(self) -> None:
        """What may come after the boot: the metrics API, published only once it can answer.

        An APIService without an answer makes every kubectl warn and holds up the deletion of namespaces.
        """
        metrics = self._processes.get("metrics-server")
        if metrics is None:
            return
        await metrics.ready(METRICS_TIMEOUT_SECONDS, metrics.raise_if_dead)
        rest = Rest(self._admin)

        def published() -> bool:
            # A test may have taken the API server away just now.
            try:
                publish_metrics(rest, metrics.component)
            except (OSError, http.client.HTTPException):
                return False
            return True

        try:
            await asyncio.to_thread(wait.until, published, "the API server", METRICS_TIMEOUT_SECONDS)
        finally:
            rest.close()

    async def _ready(self, name: str) -> None:
        await self._processes[name].ready(self._config.timeout, self._raise_if_any_died)

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        async def ask() -> bool:
            return await asyncio.to_thread(condition)

        await until(ask, what, self._config.timeout, self._raise_if_any_died)

    def _raise_if_any_died(self) -> None:
        for process in self._processes.values():
            process.raise_if_dead()


def documents(folder: Path) -> Iterator[Object]:
    """Every object in the folder's YAML files."""
    for file in sorted(folder.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if document:
                yield document


def apply_kwok_objects(rest: Rest) -> None:
    """The CRDs of kwok, then the stages and metrics that need them."""
    crds = list(documents(kwok_manifests() / "crds"))
    on_each(lambda crd: rest.post(CRDS, crd), crds)
    metrics = map(nodes.with_own_usage, documents(kwok_manifests() / "objects"))
    objects = [*metrics, *stages.normal_life(), *fault_stages.stages()]
    on_each(lambda each: _post_when_served(rest, each), objects)


def _post_when_served(rest: Rest, each: Object) -> None:
    """Create a custom object; its kind is served some 100 ms after its CRD was accepted."""
    path = f"{KWOK_API}/{KWOK_PLURALS[each['kind']]}"

    def created() -> bool:
        try:
            rest.post(path, each)
        except ApiError as error:
            if error.status == http.client.NOT_FOUND:
                return False
            raise
        return True

    wait.until(created, f"{each['kind']} to be served", timeout=SERVED_SECONDS)


def has_default_account(rest: Rest) -> bool:
    """Whether pods can be created in the default namespace: admission needs its service account."""
    try:
        rest.get("/api/v1/namespaces/default/serviceaccounts/default")
    except ApiError:
        return False
    return True


def publish_metrics(rest: Rest, component: Component) -> None:
    """The Service and APIService by which the API server finds metrics-server on loopback."""
    for each in documents(MANIFESTS / "metrics"):
        if each["kind"] == "APIService":
            each["spec"]["service"]["port"] = component.port
            rest.apply(f"/apis/apiregistration.k8s.io/v1/apiservices/{each['metadata']['name']}", each)
        else:
            rest.apply(f"/api/v1/namespaces/kube-system/services/{each['metadata']['name']}", each)
