"""The objects that benchmarks make: workloads with pods of real size, KiroHealthChecks and policies."""

import copy
import datetime as dt
from typing import Any

from devcluster.stages import FAULT
from kiro_operator.api.v1alpha1.types import API_VERSION
from kiro_operator.core.checks import registry

Object = dict[str, Any]

HELD = {"metadata": {"annotations": {FAULT: "held-by-bench"}}}
"""An annotation that keeps kwok from mending a pod whose status the bench writes."""


def deployment(name: str, *, replicas: int, node: str, component: str = "") -> Object:
    """A Deployment whose pods are bound to one node and are about as large as real ones."""
    labels = {"app": name, "app.kubernetes.io/part-of": "bench"}
    labels |= {"component": component} if component else {}
    container = {
        "name": "main",
        "image": "registry.example/platform/component:1.0.0",
        "args": ["--config=/etc/component/config.yaml", "--log-level=info"],
        "env": [
            {"name": f"COMPONENT_SETTING_{number:02d}", "value": f"value of setting {number:02d}"}
            for number in range(10)
        ],
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 5},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/component"}],
    }
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeName": node,
                    "containers": [container],
                    "volumes": [{"name": "config", "emptyDir": {}}],
                },
            },
        },
    }


def health_check(
    name: str, *, app: str | None = None, policy: str | None = None, polled: bool = False
) -> Object:
    """A KiroHealthCheck with the watched checks, and the polled ones too when wanted."""
    checks: list[Object] = []
    for check_id, registered in registry().items():
        if registered.check.polled:
            checks += [] if polled else [{"id": check_id, "enabled": False}]
        else:
            checks.append({"id": check_id, "failAfter": "0s", "recoverAfter": "0s"})
    spec: Object = {
        "checks": checks,
        "remediation": {
            "ladder": [{"action": "Restart", "timeout": "10s"}],
            "stabilization": "0s",
        },
    }
    if app:
        spec["selector"] = {"matchLabels": {"app": app}}
    if policy:
        spec["safetyPolicyRef"] = {"name": policy}
    return {"apiVersion": API_VERSION, "kind": "KiroHealthCheck", "metadata": {"name": name}, "spec": spec}


def policy(name: str) -> Object:
    """A KiroSafetyPolicy that lets every restart through, each limit spelt out at its widest."""
    budget = {"limit": 100, "window": "1m"}
    return {
        "apiVersion": API_VERSION,
        "kind": "KiroSafetyPolicy",
        "metadata": {"name": name},
        "spec": {
            "mode": "Enforce",
            "actions": [{"name": "Restart", "approval": "Automatic", "budget": budget}],
            "budget": budget,
            "cooldown": "0s",
            "backoff": {"initial": "0s", "maximum": "0s"},
            "maxConsecutiveFailures": 100,
            "maxUnhealthy": "100%",
            "stormCooldown": "0s",
            "forbiddenWindows": [],
            "maintenanceWindows": [],
            "pauseRequests": [],
            "protected": {"selectors": []},
            "consent": ["SingleReplica", "Recreate"],
        },
    }


def crashed(pod: Object) -> Object:
    """The status patch after which a pod is in CrashLoopBackOff and not Ready."""
    now = _now()
    status = copy.deepcopy(pod["status"])
    for condition in status["conditions"]:
        if condition["type"] in {"Ready", "ContainersReady"}:
            condition |= {"status": "False", "lastTransitionTime": now, "reason": "ContainersNotReady"}
    for container in status["containerStatuses"]:
        container |= {
            "ready": False,
            "started": False,
            "restartCount": 5,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
            "lastState": {
                "terminated": {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now}
            },
        }
    return {"status": {name: status[name] for name in ("conditions", "containerStatuses")}}


def mended(pod: Object) -> Object:
    """The status patch after which it is as it was."""
    return {"status": {name: pod["status"][name] for name in ("conditions", "containerStatuses")}}


def path_of(pod: Object) -> str:
    """Path of a pod."""
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
