"""What deploy/'s NetworkPolicy lets through, as its API defines it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from tests.deploy.rendered import of_kind

Object = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """Whom the operator talks with: a pod of the cluster, or an address outside of it."""

    address: str
    pod: bool = False


POD, NODE, WORLD = Peer("10.0.3.7", pod=True), Peer("192.0.2.10"), Peer("198.51.100.20")
METADATA = Peer("169.254.169.254")


@cache
def _policy() -> Object:
    [policy] = of_kind("base", "NetworkPolicy")
    spec: Object = policy["spec"]
    return spec


@cache
def _ports() -> dict[str, int]:
    [deployment] = of_kind("base", "Deployment")
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return {port["name"]: port["containerPort"] for each in containers for port in each["ports"]}


def _is(selector: Object, peer: Peer) -> bool:
    """Whether one entry of `from` or `to` means this peer. Only what the policy uses is known here."""
    assert selector == {"namespaceSelector": {}}, selector
    return peer.pod


def _lets_through(direction: str, peer: Peer, port: int, protocol: str = "TCP") -> bool:
    side = {"ingress": "from", "egress": "to"}[direction]
    for rule in _policy()[direction]:
        assert rule.keys() <= {side, "ports"}, rule
        whom = not rule.get(side) or any(_is(one, peer) for one in rule[side])
        named = [
            (_ports().get(one["port"], one["port"]), one.get("protocol", "TCP"))
            for one in rule.get("ports", ())
        ]
        if whom and (not named or (port, protocol) in named):
            return True
    return False


def test_it_is_about_the_operators_pods_in_both_directions() -> None:
    [policy] = of_kind("base", "NetworkPolicy")
    [deployment] = of_kind("base", "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert policy["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert sorted(policy["spec"]["policyTypes"]) == ["Egress", "Ingress"]


def test_in_comes_who_reads_metrics_and_nobody_else() -> None:
    metrics = _ports()["metrics"]
    assert _lets_through("ingress", POD, metrics)
    assert not any(_lets_through("ingress", peer, metrics) for peer in (NODE, WORLD, METADATA))
    assert not any(_lets_through("ingress", POD, port) for port in range(1, 65536) if port != metrics)
    assert not _lets_through("ingress", POD, metrics, "UDP")


@pytest.mark.parametrize(
    ("peer", "port", "protocol"),
    [
        (POD, 53, "UDP"),
        (Peer("169.254.20.10"), 53, "UDP"),  # a cache of DNS on the node
        (NODE, 6443, "TCP"),
        (WORLD, 443, "TCP"),  # an API server that is hosted, and AWS
        (POD, 9090, "TCP"),
        (POD, 8080, "TCP"),
    ],
)
def test_out_goes_what_it_has_to_ask(peer: Peer, port: int, protocol: str) -> None:
    assert _lets_through("egress", peer, port, protocol)


def test_out_of_the_cluster_goes_nothing_else() -> None:
    """Neither the metadata of the node's cloud, nor a kubelet, nor etcd."""
    for peer in (NODE, WORLD, METADATA):
        reached = {port for port in range(1, 65536) if _lets_through("egress", peer, port)}
        assert reached == {53, 443, 6443}
        assert not _lets_through("egress", peer, 443, "UDP")
