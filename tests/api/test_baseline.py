"""KiroSafetyBaseline on the API server: it belongs to no namespace, and nothing that is left out widens."""

import copy
import uuid
from typing import Any

import pytest
import requests
import yaml

from devcluster import ControlPlane
from devcluster.errors import ApiError
from kiro_operator.api.v1alpha1 import KiroSafetyBaseline
from tests.deploy.rendered import DEPLOY

PATH = "/apis/kiro.dev/v1alpha1/kirosafetybaselines"
SAMPLE: dict[str, Any] = yaml.safe_load((DEPLOY / "samples" / "safety-baseline.yaml").read_text())


def changed(*, rule: dict[str, Any] | None = None, **role: Any) -> dict[str, Any]:
    body = copy.deepcopy(SAMPLE)
    body["metadata"]["name"] = f"baseline-{uuid.uuid4().hex[:8]}"
    body["spec"]["clusterRole"] |= role
    body["spec"]["clusterRole"]["rules"][0] |= rule or {}
    return body


def test_it_is_accepted_and_can_be_read(control_plane: ControlPlane) -> None:
    subjects = [
        {"kind": "ServiceAccount", "name": "kiro", "namespace": "kiro-system"},
        {"kind": "Group", "name": "leads"},
    ]
    stored = control_plane.rest.post(PATH, changed(subjects=subjects))
    control_plane.rest.delete(f"{PATH}/{stored['metadata']['name']}")
    assert "namespace" not in stored["metadata"]
    read = KiroSafetyBaseline.model_validate({"spec": stored["spec"]}).spec.cluster_role
    assert [rule.verbs for rule in read.rules] == [["get", "list", "watch"], ["get", "patch"]]
    assert [(item.name, item.namespace) for item in read.subjects] == [
        ("kiro", "kiro-system"),
        ("leads", None),
    ]


def lost(field: str) -> dict[str, Any]:
    body = changed()
    del body["spec"]["clusterRole"]["rules"][0][field]
    return body


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (lost("resourceNames"), "resourceNames: Required value"),
        (changed(rule={"verbs": ["*"]}), "write each verb it needs"),
        (changed(rule={"verbs": ["escalate"]}), "write each verb it needs"),
        (changed(rule={"resources": ["*"]}), "write the names one by one"),
        (changed(subjects=[{"kind": "ServiceAccount", "name": "kiro"}]), "write the namespace of"),
        (changed(subjects=None), "subjects: Required value"),
    ],
)
def test_what_would_widen_is_refused(control_plane: ControlPlane, body: dict[str, Any], why: str) -> None:
    with pytest.raises(ApiError, match=why) as refused:
        control_plane.rest.post(PATH, body)
    assert refused.value.status == requests.codes.unprocessable_entity
