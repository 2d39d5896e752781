"""The ConfigMap with what Kiro optimizes by: the numbers that are declared, and nothing else of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster import ControlPlane
from devcluster.listen import Answer, Server
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.optimization_config import RULES, OptimizationConfigs, kept
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.evidence.optimization_config import OptimizationConfig
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

from .conftest import ClientWith
from .helpers import facts, poll

NAME, KEYS = "kiro-optimization", ("saving", "changes", "absent")
SPEC = KiroHealthCheckSpec.model_validate(
    {
        "optimization": {
            "configMap": NAME,
            "parameters": [
                {"key": key, "bolder": "Lower", "min": "1", "max": "50", "step": "5"} for key in KEYS
            ],
        }
    }
)
SECRET = "hunter2-hunter2"  # noqa: S105 - what must not be told


def configmap(data: Any = None, **more: Any) -> bytes:
    metadata = {"name": NAME, "uid": "u-1", "resourceVersion": "7", "labels": {"app": "kiro"}}
    return json.dumps({"kind": "ConfigMap", "metadata": metadata, "data": data, **more}).encode()


async def test_what_stands_there(
    control_plane: ControlPlane, namespace: str, client_with: ClientWith
) -> None:
    request = poll(facts(namespace), spec=SPEC)
    denied = await OptimizationConfigs(client_with(())).observe(request)
    assert denied == Unobserved("Forbidden", RULES[0].advice(namespace))
    observer = OptimizationConfigs(client_with(RULES))
    assert await observer.observe(request) is None
    made = control_plane.rest.post(
        f"/api/v1/namespaces/{namespace}/configmaps",
        {
            "metadata": {"name": NAME, "annotations": {"kiro.dev/protected": "true"}},
            "data": {"saving": "15", "changes": "many", "other": "3"},
        },
    )["metadata"]
    assert await observer.observe(request) == OptimizationConfig(
        made["uid"], made["resourceVersion"], {}, "true", {"saving": "15"}, ("changes",)
    )
    unset = await observer.observe(poll(facts(namespace)))
    assert isinstance(unset, Unobserved)
    assert unset.reason == NOT_CONFIGURED


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (200, b"<html>", "MalformedAnswer"),
        (200, configmap({"saving": 7}), "MalformedAnswer"),
        (500, b"boom", "Unreachable"),
        (429, b"", "Throttled"),
    ],
)
async def test_other_answers(
    client_of: Callable[[str], Client], status: int, content: bytes, reason: str
) -> None:
    with Server(lambda _: Answer(status, content)) as server:
        sample = await OptimizationConfigs(client_of(server.url)).observe(poll(facts("kiro"), spec=SPEC))
    assert isinstance(sample, Unobserved)
    assert sample.reason == reason


@pytest.mark.parametrize(
    "text", [SECRET, "15%", "1e3", "15\n", " 15", "", "\u0663", "0x10", "1,5", "--1", "NaN"]
)
def test_what_is_kept_of_it(text: str) -> None:
    found = kept(configmap({"saving": text, "changes": "-0.5", "token": SECRET, "port": "8080"}), KEYS)
    assert found.numbers == {"changes": "-0.5"}
    assert found.others == ("saving",)
    assert SECRET not in repr(found)
    assert "8080" not in repr(found)


def test_what_is_binary_is_no_number() -> None:
    found = kept(configmap(None, binaryData={"saving": "MTU=", "more": "MTU="}), KEYS)
    assert (found.numbers, found.others) == ({}, ("saving",))


@given(st.binary(max_size=200))
def test_no_answer_breaks_it(content: bytes) -> None:
    try:
        kept(content, KEYS)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
