"""The safety configuration as it is read: redacted, bounded, and from whoever may have written it."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.listen import Answer, Server
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.safety_config import KEYS, RULES, VALUE, SafetyConfigs, kept
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.evidence.safety_config import ConfigData
from kiro_operator.core.snapshot import Unobserved

from .conftest import ClientWith
from .helpers import facts, poll

POLICIES = {"strict": KiroSafetyPolicySpec.model_validate({"safetyConfig": {"data": {"mode": "supervised"}}})}


def configmap(data: object, **more: object) -> bytes:
    metadata = {"name": "kiro-safety-config", "uid": "u-1", "resourceVersion": "7"}
    return json.dumps({"kind": "ConfigMap", "metadata": metadata, "data": data, **more}).encode()


async def test_without_the_permission(namespace: str, client_with: ClientWith) -> None:
    request = poll(facts(namespace, policies=POLICIES))
    assert await SafetyConfigs(client_with(())).observe(request) == Unobserved(
        "Forbidden", RULES[0].advice(namespace)
    )
    assert await SafetyConfigs(client_with(())).observe(poll(facts(namespace))) == {}
    sample = await SafetyConfigs(client_with(RULES)).observe(request)
    assert sample == {"kiro-safety-config": None}


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (200, b"<html>", "MalformedAnswer"),
        (200, configmap({"mode": 7}), "MalformedAnswer"),
        (200, b'{"metadata":{"name":"x"},"data":{"mode":"\xff"}}', "MalformedAnswer"),
        (500, b"boom", "Unreachable"),
        (429, b"", "Throttled"),
    ],
)
async def test_other_answers(
    client_of: Callable[[str], Client], status: int, content: bytes, reason: str
) -> None:
    with Server(lambda _: Answer(status, content)) as server:
        sample = await SafetyConfigs(client_of(server.url)).observe(poll(facts("kiro", policies=POLICIES)))
    assert isinstance(sample, Unobserved)
    assert sample.reason == reason


def test_what_is_kept_of_it() -> None:
    large = {f"key-{number:03}": "x" * 10_000 for number in range(200)}
    config = kept(configmap(large))
    assert (len(config.data), len(config.digests), config.truncated) == (KEYS, KEYS, True)
    assert max(map(len, config.data.values())) <= VALUE
    secret = kept(configmap({"db-password": "hunter2hunter2", "url": "https://kiro:hunter2@db/x"}))
    assert "hunter2" not in repr(secret)
    assert (
        secret.digests["db-password"]
        == kept(configmap({"db-password": "hunter2hunter2"})).digests["db-password"]
    )
    assert kept(configmap(None)) == ConfigData(uid="u-1", resource_version="7")
    # What is no text is never equal to a text, also not to its own encoding.
    binary = kept(configmap(None, binaryData={"blob": "aGk="}))
    assert binary.data == {"blob": "(binary)"}
    assert binary.digests != kept(configmap({"blob": "aGk="})).digests


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=8))
def test_equal_data_has_equal_digests_and_other_data_has_not(data: dict[str, str]) -> None:
    one = kept(configmap(data))
    assert one.digests == kept(configmap(dict(reversed(data.items())))).digests
    assert set(one.data) == set(one.digests) == set(data)
    changed = kept(configmap({key: f"{value}!" for key, value in data.items()}))
    assert all(one.digests[key] != changed.digests[key] for key in data)


@given(st.binary(max_size=200))
def test_no_answer_breaks_it(content: bytes) -> None:
    try:
        kept(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
