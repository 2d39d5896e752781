"""What the operator is known by, whom it trusts and what it may do changes while it runs.

It says what is wrong, stays alive or ends once for its Lease, and goes on when all is well again: it never
ends again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane, pki
from devcluster.operator import OperatorProcess
from devcluster.proxy import FaultProxy
from devcluster.wait import until
from tests.harness.kubelet import Kubelet
from tests.harness.scenes import Scene
from tests.harness.world import BINDINGS, STEADY, WATCHED_ONLY, World, enforce

LEASE = ("--lease-duration", "6.0", "--lease-renew-deadline", "4.0", "--lease-retry-period", "0.5")
REFUSED_SECONDS = 15.0
"""Longer than the Lease, and than the API server remembers a token that it has let in."""
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


@pytest.fixture
def folder(world: World, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's files as the kubelet mounts them: a process that starts anew finds them as they are."""
    world.operator(start=False)
    made = control_plane.service_account_dir(world.namespace, "operator")
    monkeypatch.setattr(control_plane, "service_account_dir", lambda *_: made)
    return made


class Token:
    """A token of the operator that ends when it is told to."""

    def __init__(self, world: World) -> None:
        self._rest = world.plane.rest
        self._path = world.path("secrets", "life", api="/api/v1")
        made = self._rest.post(world.path("secrets", api="/api/v1"), {"metadata": {"name": "life"}})
        self.text = world.plane.token(
            world.namespace,
            "operator",
            bound_to={"apiVersion": "v1", "kind": "Secret", "name": "life", "uid": made["metadata"]["uid"]},
        )

    def expire(self) -> None:
        """From now on it is refused; the API server may remember it for ten seconds."""
        self._rest.delete(self._path)


def well(world: World) -> Scene:
    scene = Scene(world, "Evict")
    world.deployment()
    world.policy(**enforce())
    scene.watch(checks=WATCHED_ONLY)
    return scene


def told(operator: OperatorProcess, words: str) -> bool:
    return any(words in str(record) for record in operator.records())


def assert_acts_once(world: World, scene: Scene, kubelet: Kubelet) -> None:
    world.break_pod()
    until(lambda: kubelet.look() and len(world.evictions()) == 1, "the eviction", 60)
    world.wait_remediation("Succeeded", timeout=60)
    world.wait_condition("Healthy", "True")
    assert len(world.remediations()) == 1
    scene.assert_done_once()


def test_a_token_that_is_renewed_when_it_is_refused_costs_nothing(world: World, folder: Path) -> None:
    scene, token = well(world), Token(world)
    (folder / "token").write_text(token.text)
    operator = world.operator(*STEADY)
    kubelet = Kubelet(operator)
    world.wait_condition("Healthy", "True")

    token.expire()
    until(lambda: told(operator, "401"), "a refusal", 30)
    (folder / "token").write_text(world.plane.token(world.namespace, "operator"))

    assert_acts_once(world, scene, kubelet)
    assert kubelet.ends == []


def test_a_token_that_nobody_renews_is_told_and_waited_for(world: World, folder: Path) -> None:
    scene, token = well(world), Token(world)
    (folder / "token").write_text(token.text)
    operator = world.operator(*LEASE)
    kubelet = Kubelet(operator)
    world.wait_condition("Healthy", "True")

    token.expire()
    until(lambda: kubelet.look() and kubelet.ends, "the end of its Lease", 30)
    kubelet.until(REFUSED_SECONDS)
    assert kubelet.ends == [1]  # once, for its Lease; not again for want of a token
    assert told(operator, "401 Unauthorized")
    (folder / "token").write_text(world.plane.token(world.namespace, "operator"))

    assert_acts_once(world, scene, kubelet)
    assert kubelet.ends == [1]


@pytest.fixture
def authority(tmp_path: Path, proxy: FaultProxy, folder: Path) -> pki.Authority:
    """A CA that the operator trusts; it has signed the certificate that the proxy shows."""
    made = pki.make_authority(tmp_path, "first")
    proxy.serve_with(serving(made))
    (folder / "ca.crt").write_bytes(made.cert_file.read_bytes())
    return made


def serving(authority: pki.Authority) -> pki.Pair:
    return authority.issue(
        "serving", common_name="kube-apiserver", dns=pki.SERVER_NAMES, addresses=pki.SERVER_ADDRESSES
    )


def test_a_renewed_certificate_of_the_api_server_is_not_noticed(
    world: World, proxy: FaultProxy, authority: pki.Authority
) -> None:
    scene = well(world)
    kubelet = Kubelet(world.operator(*STEADY, server=proxy.url))
    world.wait_condition("Healthy", "True")

    proxy.serve_with(serving(authority))
    proxy.cut_all()

    assert_acts_once(world, scene, kubelet)
    assert kubelet.ends == []


def test_a_new_ca_is_taken_up_by_a_restart_that_the_probe_asks_for(
    world: World, proxy: FaultProxy, authority: pki.Authority, folder: Path, tmp_path: Path
) -> None:
    """First the new CA is trusted beside the old one, then it signs: as Kubernetes rotates it."""
    scene = well(world)
    operator = world.operator(*STEADY, server=proxy.url)
    kubelet = Kubelet(operator)
    world.wait_condition("Healthy", "True")
    assert operator.probe("/healthz")[0] == 200

    second = pki.make_authority(tmp_path, "second")
    (folder / "ca.crt").write_bytes(authority.cert_file.read_bytes() + second.cert_file.read_bytes())
    until(lambda: operator.probe("/healthz")[0] == 503, "the probe to fail", 10)
    assert "ca.crt" in operator.probe("/healthz")[1]
    assert operator.stop() == 0
    operator.start()
    assert operator.probe("/healthz")[0] == 200
    proxy.serve_with(serving(second))
    proxy.cut_all()

    assert_acts_once(world, scene, kubelet)
    assert kubelet.ends == []


@pytest.mark.usefixtures("authority")
def test_a_ca_that_changes_without_notice_ends_the_leader_once(
    world: World, proxy: FaultProxy, folder: Path, tmp_path: Path
) -> None:
    scene = well(world)
    operator = world.operator(*LEASE, server=proxy.url)
    kubelet = Kubelet(operator)
    world.wait_condition("Healthy", "True")

    second = pki.make_authority(tmp_path, "second")
    proxy.serve_with(serving(second))
    proxy.cut_all()
    until(lambda: kubelet.look() and kubelet.ends, "the end of its Lease", 30)
    kubelet.until(REFUSED_SECONDS)
    assert kubelet.ends == [1]
    assert told(operator, "certificate verify failed")
    (folder / "ca.crt").write_bytes(second.cert_file.read_bytes())
    operator.stop()  # the probe says so, as above

    assert_acts_once(world, scene, kubelet)
    assert kubelet.ends == [1, 0]


def test_all_rights_revoked_and_given_back(world: World) -> None:
    scene = well(world)
    operator = world.operator(*LEASE)
    kubelet = Kubelet(operator)
    world.wait_condition("Healthy", "True")

    rest, name = world.plane.rest, f"operator-{world.namespace}"
    binding = rest.get(f"{BINDINGS}/{name}")
    rest.delete(f"{BINDINGS}/{name}")
    until(lambda: kubelet.look() and kubelet.ends, "the end of its Lease", 30)
    kubelet.until(REFUSED_SECONDS)
    assert kubelet.ends == [1]  # it may not even renew its Lease; the next one waits until it may
    assert told(operator, "403 Forbidden")
    metadata = {"metadata": {"name": name}}
    rest.post(BINDINGS, {key: binding[key] for key in ("roleRef", "subjects")} | metadata)

    assert_acts_once(world, scene, kubelet)
    assert kubelet.ends == [1]


@pytest.fixture
def evicting(world: World) -> Iterator[str]:
    """The right to evict, as a role of its own, taken out of all others; returns its binding's path."""
    rest, name = world.plane.rest, f"operator-{world.namespace}"
    world.operator(start=False)
    rest.delete(f"{BINDINGS}/{name}")
    read = ["", "apps", "autoscaling", "discovery.k8s.io"]
    own = ["kiro.dev", "coordination.k8s.io", "events.k8s.io"]
    rules = [
        {"apiGroups": read, "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": own, "resources": ["*"], "verbs": ["*"]},
    ]
    rest.post(ROLES, {"metadata": {"name": name}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": world.namespace}
    rest.post(BINDINGS, {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/" + world.namespace
    evict = [{"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}]
    rest.post(f"{roles}/roles", {"metadata": {"name": "evict"}, "rules": evict})
    yield f"{roles}/rolebindings"
    rest.delete(f"{ROLES}/{name}")


def test_the_right_to_act_revoked_and_given_back(world: World, evicting: str) -> None:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "evict"}
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": world.namespace}
    binding = {"metadata": {"name": "evict"}, "roleRef": role, "subjects": [subject]}
    world.plane.rest.post(evicting, binding)
    scene = well(world)
    operator = world.operator(*STEADY)
    kubelet = Kubelet(operator)
    world.wait_condition("Healthy", "True")
    world.plane.rest.delete(f"{evicting}/evict")
    world.break_pod()

    denied = world.wait_remediation("Denied")[0]
    assert denied["status"]["reason"] == "Forbidden"
    assert "pods/eviction" in denied["status"]["message"]
    assert "actedAt" not in denied["status"]
    world.wait_condition("RemediationAllowed", "False", reason="RetryLater")
    scene.assert_undone()
    world.plane.rest.post(evicting, binding)

    world.wait_remediation("Succeeded", timeout=60)
    world.wait_condition("Healthy", "True")
    assert kubelet.look()
    assert kubelet.ends == []
    scene.assert_done_once()
