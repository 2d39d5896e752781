"""The command line of every component: what this control plane is made of.

A component is data; the supervisor starts it, probes it and restarts it with exactly this.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devcluster import build, kubeconfig, pki
from devcluster.config import Config
from devcluster.paths import MANIFESTS
from devcluster.ports import LOOPBACK

ISSUER = "https://kubernetes.default.svc.cluster.local"
POD_NETWORK = "10.0.0.0/16"
# Client limits that do not slow a benchmark down; the defaults are 20 and 30, or 50 and 100.
FAST_LIMITS = ("--kube-api-qps=500", "--kube-api-burst=1000")
# One file, never rotated away while a test reads it.
AUDIT_MAX_MEGABYTES = 4096


@dataclass(frozen=True)
class Component:
    """One process of the control plane.

    Attributes:
        arguments: The program and its arguments.
        probe: URL that answers 200 once the component does its work.
    """

    name: str
    port: int
    arguments: tuple[str, ...]
    probe: str


@dataclass(frozen=True)
class Layout:
    """The files of one control plane, below its folder."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.folder / "pki"

    @property
    def logs(self) -> Path:
        """A log for each component."""
        return self.folder / "logs"

    @property
    def etcd_data(self) -> Path:
        """What etcd keeps; removed when the control plane stops."""
        return self.folder / "etcd"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, a JSON object on each line."""
        return self.folder / "audit.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives."""
        return self.folder / "supervisor.lock"

    def log(self, component: str) -> Path:
        """The log of one component."""
        return self.logs / f"{component}.log"


def make(layout: Layout, ports: dict[str, int], config: Config) -> dict[str, Component]:
    """Write keys and kubeconfigs and return the components, in the order they start in."""
    for folder in (layout.pki, layout.logs):
        folder.mkdir(exist_ok=True, mode=0o700)
    ca = pki.make_authority(layout.pki, "ca")
    server = f"https://{LOOPBACK}:{ports['kube-apiserver']}"

    def config_for(name: str, path: Path, *groups: str) -> Path:
        pair = ca.issue(path.name if path != layout.kubeconfig else "admin", common_name=name, groups=groups)
        return kubeconfig.write(path, server=server, ca=ca.cert_file, client=pair)

    def component_config(name: str) -> Path:
        return config_for(name, layout.pki / f"{name.removeprefix('system:')}.kubeconfig", "system:masters")

    config_for("devcluster-admin", layout.kubeconfig, "system:masters")
    serving = ca.issue(
        "serving", common_name="kube-apiserver", dns=pki.SERVER_NAMES, addresses=pki.SERVER_ADDRESSES
    )
    limits = FAST_LIMITS if config.fast else ()
    made = [
        _etcd(layout, ports),
        _apiserver(layout, ports, config, ca, serving),
        _controller_manager(layout, ports, component_config("system:kube-controller-manager"), ca, limits),
        _scheduler(ports, component_config("system:kube-scheduler"), limits),
        _kwok(ports, component_config("kwok"), serving),
    ]
    if config.metrics_server:
        made.append(_metrics_server(ports, component_config("metrics-server"), serving))
    return {each.name: each for each in made}


def _etcd(layout: Layout, ports: dict[str, int]) -> Component:
    client = f"http://{LOOPBACK}:{ports['etcd']}"
    peer = f"http://{LOOPBACK}:{ports['etcd-peer']}"
    arguments = (
        f"--data-dir={layout.etcd_data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # The data is thrown away with the control plane: there is nothing to be durable for.
        "--unsafe-no-fsync",
        "--quota-backend-bytes=4294967296",
        "--log-level=warn",
    )
    return _component("etcd", ports, arguments, scheme="http", path="/health")


def _apiserver(
    layout: Layout,
    ports: dict[str, int],
    config: Config,
    ca: pki.Authority,
    serving: pki.Pair,
) -> Component:
    proxy_ca = pki.make_authority(layout.pki, "proxy-ca")
    signing = pki.make_signing_keys(layout.pki)
    kubelet_client = ca.issue("kubelet-client", common_name="kube-apiserver", groups=("system:masters",))
    proxy_client = proxy_ca.issue("proxy-client", common_name="front-proxy-client")
    arguments = [
        f"--etcd-servers=http://{LOOPBACK}:{ports['etcd']}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports['kube-apiserver']}",
        f"--cert-dir={layout.pki}",
        f"--tls-cert-file={serving.cert}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={ca.cert_file}",
        f"--requestheader-client-ca-file={proxy_ca.cert_file}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={proxy_client.cert}",
        f"--proxy-client-key-file={proxy_client.key}",
        f"--kubelet-client-certificate={kubelet_client.cert}",
        f"--kubelet-client-key={kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={signing.cert}",
        f"--service-account-signing-key-file={signing.key}",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={pki.SERVICE_NETWORK}",
        # The API refuses loopback addresses in endpoints, so the server cannot publish its own.
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        "--profiling=false",
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
    ]
    if config.audit:
        arguments += [
            f"--audit-policy-file={MANIFESTS / 'audit-policy.yaml'}",
            f"--audit-log-path={layout.audit_log}",
            "--audit-log-format=json",
            # Each line is written as its request ends, not in batches.
            "--audit-log-mode=blocking",
            f"--audit-log-maxsize={AUDIT_MAX_MEGABYTES}",
        ]
    return _component("kube-apiserver", ports, tuple(arguments), path="/readyz")


def _controller_manager(
    layout: Layout, ports: dict[str, int], config: Path, ca: pki.Authority, limits: tuple[str, ...]
) -> Component:
    arguments = (
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports['kube-controller-manager']}",
        f"--cert-dir={layout.pki}",
        f"--root-ca-file={ca.cert_file}",
        f"--service-account-private-key-file={layout.pki / 'service-accounts.key'}",
        "--leader-elect=false",
        # How soon a node that is made to fail is tainted.
        "--node-monitor-period=1s",
        "--profiling=false",
        *limits,
    )
    return _component("kube-controller-manager", ports, arguments, path="/healthz")


def _scheduler(ports: dict[str, int], config: Path, limits: tuple[str, ...]) -> Component:
    arguments = (
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports['kube-scheduler']}",
        "--leader-elect=false",
        "--profiling=false",
        *limits,
    )
    return _component("kube-scheduler", ports, arguments, path="/readyz")


def _kwok(ports: dict[str, int], config: Path, serving: pki.Pair) -> Component:
    kinds = "Stage,Metric,ClusterLogs,Logs,ClusterExec,Exec,ClusterResourceUsage,ResourceUsage"
    arguments = (
        f"--kubeconfig={config}",
        "--manage-all-nodes",
        # Without a lease the node controller gives a node up after 50 s, and its pods for NotReady.
        "--node-lease-duration-seconds=40",
        f"--enable-crds={kinds}",
        f"--node-ip={LOOPBACK}",
        f"--node-port={ports['kwok']}",
        f"--server-address={LOOPBACK}:{ports['kwok']}",
        f"--tls-cert-file={serving.cert}",
        f"--tls-private-key-file={serving.key}",
        f"--cidr={POD_NETWORK}",
    )
    return _component("kwok", ports, arguments, path="/healthz")


def _metrics_server(ports: dict[str, int], config: Path, serving: pki.Pair) -> Component:
    arguments = (
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports['metrics-server']}",
        f"--tls-cert-file={serving.cert}",
        f"--tls-private-key-file={serving.key}",
        "--kubelet-insecure-tls",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-use-node-status-port",
        # The shortest that it takes.
        "--metric-resolution=15s",
    )
    # Not /readyz: that waits for a pod that two scrapes saw, and a fresh cluster has none.
    return _component("metrics-server", ports, arguments, path="/livez")


def _component(
    name: str, ports: dict[str, int], arguments: tuple[str, ...], *, path: str, scheme: str = "https"
) -> Component:
    port = ports[name]
    return Component(
        name, port, (str(build.program(name)), *arguments), f"{scheme}://{LOOPBACK}:{port}{path}"
    )
