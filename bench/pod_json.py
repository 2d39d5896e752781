"""Pods as the API server sends them, made without one, for measurements inside a process."""

import uuid

import msgspec

from bench import manifests
from bench.manifests import Object

STARTED = "2026-01-01T00:00:00Z"


def pod_json(
    number: int, *, namespace: str = "kiro-system", crashed: bool = False, version: int = 0
) -> bytes:
    """One pod of a hundred Deployments, with managed fields and a status, about 6 KB of JSON."""
    app = f"app-{number % 100}"
    deployment = manifests.deployment(app, replicas=1, node=f"node-{number % 80}")
    template = deployment["spec"]["template"]
    owner = uuid.UUID(int=number % 100)
    names: Object = {f"f:name{place:02d}": {} for place in range(12)}
    fields: Object = {f"f:field{place:02d}": names for place in range(10)}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{app}-5b7d9c6f4-{number:05x}",
            "generateName": f"{app}-5b7d9c6f4-",
            "namespace": namespace,
            "uid": str(uuid.UUID(int=number + 1_000_000)),
            "resourceVersion": str(version or 100_000 + number),
            "creationTimestamp": STARTED,
            "labels": template["metadata"]["labels"] | {"pod-template-hash": "5b7d9c6f4"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": f"{app}-5b7d9c6f4",
                    "uid": str(owner),
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "managedFields": [
                {
                    "manager": manager,
                    "operation": "Update",
                    "apiVersion": "v1",
                    "time": STARTED,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": fields,
                }
                for manager in ("kube-controller-manager", "kubelet")
            ],
        },
        "spec": template["spec"] | {"restartPolicy": "Always", "schedulerName": "default-scheduler"},
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "startTime": STARTED,
            "conditions": [
                {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": STARTED}
                for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [
                {
                    "name": "main",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "image": "registry.example/platform/component:1.0.0",
                    "imageID": "",
                    "state": {"running": {"startedAt": STARTED}},
                }
            ],
        },
    }
    if crashed:
        pod["status"] |= manifests.crashed(pod)["status"]
    return msgspec.json.encode(pod)
