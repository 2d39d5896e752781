"""What the operator never writes, as requests: none of its remedies sends one, and no rule allows one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from devcluster.rest import APPLY, MERGE, Rest
from tests.harness.approvers import now

Object = dict[str, Any]
Request = tuple[str, str, Object | None]
"""Method, path and body, with names of places in braces."""
PLACES = {
    "core": "/api/v1/namespaces/{namespace}",
    "apps": "/apis/apps/v1/namespaces/{namespace}",
    "batch": "/apis/batch/v1/namespaces/{namespace}",
    "kiro": "/apis/kiro.dev/v1alpha1/namespaces/{namespace}",
    "rbac": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}",
    "cluster": "/apis/rbac.authorization.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases",
}
CONNECTIONS = ("/proxy", "/attach", "/portforward", "/exec")
"""Paths that know no dry run."""

POD = {"spec": {"containers": [{"name": "x", "image": "x"}]}}
LABELLED = {"metadata": {"labels": {"a": "b"}}}
POLICY_BODY = {"apiVersion": "kiro.dev/v1alpha1", "kind": "KiroSafetyPolicy", "spec": {}}
ADMIN = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
DEPLOYMENT = {
    "selector": {"matchLabels": {"a": "b"}},
    "template": POD | LABELLED,
}
NAMED: Object = {"metadata": {"name": "x"}}
EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
APPS_V1 = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "new"}}
JOB = {"spec": POD["spec"] | {"restartPolicy": "Never"}}
EVENT: Object = {
    "metadata": {"name": "x"},
    "reportingComponent": "kiro.dev/kiro-operator",
    "involvedObject": {"namespace": "{namespace}"},
}
APPROVAL = {
    "apiVersion": "kiro.dev/v1alpha1",
    "kind": "KiroApproval",
    "metadata": {"name": "no"},
    "spec": {
        "gate": "operator-approver",
        "decision": "Deny",
        "decidedBy": "{account}",
        "reason": "for a test",
        "plan": {"digest": "0" * 64, "target": {"kind": "Deployment", "name": "deployment", "uid": "u"}},
        "expiresAt": "{soon}",
    },
}
OTHERS: dict[str, Request] = {
    "delete-a-pod": ("DELETE", "{core}/pods/{pod}", None),
    "delete-all-pods": ("DELETE", "{core}/pods", None),
    "make-a-pod": ("POST", "{core}/pods", NAMED | POD),
    "label-a-pod": ("PATCH", "{core}/pods/{pod}", LABELLED),
    "status-of-a-pod": ("PATCH", "{core}/pods/{pod}/status", {"status": {"message": "x"}}),
    "debug-a-pod": ("PATCH", "{core}/pods/{pod}/ephemeralcontainers", {"spec": {"ephemeralContainers": []}}),
    "bind-pods": ("POST", "{core}/bindings", NAMED | {"target": {"kind": "Node", "name": "x"}}),
    "make-a-secret": ("POST", "{core}/secrets", NAMED),
    "make-a-token": ("POST", "{core}/serviceaccounts/default/token", {"spec": {}}),
    "label-the-namespace": ("PATCH", "/api/v1/namespaces/{namespace}", LABELLED),
    "delete-the-namespace": ("DELETE", "/api/v1/namespaces/{namespace}", None),
    "make-a-role": ("POST", "{rbac}/roles", NAMED | {"rules": []}),
    "bind-a-role": ("POST", "{rbac}/rolebindings", NAMED | {"roleRef": ADMIN}),
    "widen-a-role": ("PATCH", "{rbac}/roles/own", {"rules": [EVERYTHING]}),
    "delete-a-role": ("DELETE", "{rbac}/roles/own", None),
    "widen-its-cluster-role": ("PATCH", "{cluster}/clusterroles/view", {"rules": [EVERYTHING]}),
    "make-a-cluster-role": ("POST", "{cluster}/clusterroles", NAMED | {"rules": [EVERYTHING]}),
    "aggregate-to-a-cluster-role": ("PATCH", "{cluster}/clusterroles/view", LABELLED),
    "bind-the-cluster-to-itself": ("POST", "{cluster}/clusterrolebindings", NAMED | {"roleRef": ADMIN}),
    "rebind-itself": ("PATCH", "{cluster}/clusterrolebindings/{binding}", {"subjects": []}),
    "widen-a-kind": (
        "PATCH",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/kirosafetypolicies.kiro.dev",
        LABELLED,
    ),
    "apply-a-new-deployment": ("APPLY", "{apps}/deployments/new", APPS_V1 | {"spec": DEPLOYMENT}),
    "make-a-job": ("POST", "{batch}/jobs", NAMED | {"spec": {"template": JOB}}),
    "make-a-service": ("POST", "{core}/services", NAMED | {"spec": {"ports": [{"port": 1}]}}),
    "change-a-service-account": ("PATCH", "{core}/serviceaccounts/default", LABELLED),
    "make-a-deployment": ("POST", "{apps}/deployments", NAMED | {"spec": DEPLOYMENT}),
    "delete-a-deployment": ("DELETE", "{apps}/deployments/deployment", None),
    "status-of-a-deployment": ("PATCH", "{apps}/deployments/deployment/status", {"status": {"replicas": 7}}),
    "scale-a-replicaset": ("PATCH", "{apps}/replicasets/{set}/scale", {"spec": {"replicas": 7}}),
    "delete-a-config-map": ("DELETE", "{core}/configmaps/kiro-steering-history", None),
    "widen-its-policy": ("PATCH", "{kiro}/kirosafetypolicies/policy", {"spec": {"cooldown": "1s"}}),
    "make-a-policy": ("POST", "{kiro}/kirosafetypolicies", POLICY_BODY | NAMED),
    "delete-a-policy": ("DELETE", "{kiro}/kirosafetypolicies/policy", None),
    "change-a-health-check": ("PATCH", "{kiro}/kirohealthchecks/kiro", {"spec": {"suspend": True}}),
    "hold-a-health-check": ("PATCH", "{kiro}/kirohealthchecks/kiro", {"metadata": {"finalizers": ["a/b"]}}),
    "approve-a-plan": ("POST", "{kiro}/kiroapprovals", APPROVAL),
    "edit-a-denial": ("PATCH", "{kiro}/kiroapprovals/{denial}", LABELLED),
    "delete-a-denial": ("DELETE", "{kiro}/kiroapprovals/{denial}", None),
    "relabel-a-record": ("PATCH", "{kiro}/kiroremediations/succeeded", LABELLED),
    "delete-a-lease": ("DELETE", "{leases}/kiro-operator", None),
    "legacy-event": ("POST", "{core}/events", EVENT),
    "cordon-a-node": ("PATCH", "/api/v1/nodes/{node}", {"spec": {"unschedulable": True}}),
    "proxy-to-a-node": ("POST", "/api/v1/nodes/{node}/proxy/run", {}),
    "proxy-to-a-pod": ("GET", "{core}/pods/{pod}/proxy/", None),
    "attach-to-a-pod": ("POST", "{core}/pods/{pod}/attach?stdout=1", {}),
    "forward-a-port": ("POST", "{core}/pods/{pod}/portforward?ports=80", {}),
}


def send(rest: Rest, request: Request, places: Mapping[str, str]) -> None:
    """Send one, without an effect even where it is let through."""
    method, path, body = request
    named = {name: path.format(**places) for name, path in PLACES.items()} | dict(places)
    path = path.format(**named)
    if not any(word in path for word in CONNECTIONS):
        path += "?dryRun=All"
    soon = (now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps(body)
    for name, value in (named | {"soon": soon}).items():
        text = text.replace(f"{{{name}}}", value)
    if method == "APPLY":
        rest.request("PATCH", f"{path}&fieldManager=kiro-operator&force=true", json.loads(text), APPLY)
    else:
        content_type = MERGE if method == "PATCH" else "application/json"
        rest.request(method, path, json.loads(text), content_type)
