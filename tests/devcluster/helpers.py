"""What the tests of the control plane share: pods, and looks at them."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

from devcluster import ControlPlane
from devcluster.errors import ApiError
from devcluster.wait import until

Object = dict[str, Any]


def make_pod(
    plane: ControlPlane,
    namespace: str,
    name: str = "web",
    *,
    containers: tuple[str, ...] = ("main",),
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> None:
    plane.rest.post(
        f"/api/v1/namespaces/{namespace}/pods",
        {
            "metadata": {"name": name, "labels": {"app": name}, "annotations": annotations or {}},
            "spec": {"containers": [{"name": each, "image": each} for each in containers], **spec},
        },
    )


def make_deployment(plane: ControlPlane, namespace: str, name: str = "web", replicas: int = 1) -> None:
    labels = {"app": name}
    plane.rest.post(
        f"/apis/apps/v1/namespaces/{namespace}/deployments",
        {
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "main", "image": "main"}]},
                },
            },
        },
    )


def get_pod(plane: ControlPlane, namespace: str, name: str = "web") -> Object:
    return plane.rest.get(f"/api/v1/namespaces/{namespace}/pods/{name}")


def get_pods(plane: ControlPlane, namespace: str) -> list[Object]:
    return list(plane.rest.get(f"/api/v1/namespaces/{namespace}/pods")["items"])


def ready(pod: Object) -> bool:
    return any(
        each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ())
    )


def container(pod: Object, index: int = 0) -> Object:
    statuses = pod["status"].get("containerStatuses") or [{}]
    return dict(statuses[index])


def waiting_reason(pod: Object) -> str:
    return str(container(pod).get("state", {}).get("waiting", {}).get("reason", ""))


def wait_pod(
    plane: ControlPlane,
    namespace: str,
    condition: Callable[[Object], bool],
    what: str,
    *,
    name: str = "web",
    timeout: float = 10.0,
) -> Object:
    """The first version of the pod for which the condition holds."""

    def look() -> Object | None:
        pod = get_pod(plane, namespace, name)
        return pod if condition(pod) else None

    return until(look, what, timeout)


def evict(plane: ControlPlane, namespace: str, name: str) -> None:
    """Evict a pod and return once it is gone."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    plane.rest.post(f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body)

    def gone() -> bool:
        try:
            get_pod(plane, namespace, name)
        except ApiError as error:
            if error.status == http.client.NOT_FOUND:
                return True
            raise
        return False

    until(gone, f"pod {name} to be gone")
