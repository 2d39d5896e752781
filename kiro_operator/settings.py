"""Settings of the process, frozen, built once from flags and environment."""

import argparse
import os
import shlex
import socket
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from kiro_operator.core.redact import without_credentials

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ARGUMENTS, ARGUMENT = 32, 1024
"""The longest command that a record holds: how many arguments, and how long each."""


class Settings(Struct, frozen=True, kw_only=True):
    """What an admin decides when the operator is started. Times are in seconds."""

    identity: str
    """Name of this process in the Lease: the pod's name, made unique."""
    own_namespace: str
    """Where the Lease lives."""
    kubeconfig: str | None = None
    """A kubeconfig file; None: the ServiceAccount of the pod."""
    context: str | None = None
    service_account: Path = SERVICE_ACCOUNT
    """Folder with token, ca.crt and namespace."""
    bind_address: str = "127.0.0.1"
    port: int = 8080
    """For /metrics, /healthz and /readyz; 0 takes a free one."""
    workers: int = 32
    """Reconciliations under way at once: nearly all of their time is waiting for the API server."""
    namespace_watches: int = 8
    """Up to so many namespaces are watched one by one, more by one cluster-wide watch a kind."""
    lease_name: str = "kiro-operator"
    lease_duration: float = 15.0
    lease_renew_deadline: float = 10.0
    lease_retry_period: float = 2.0
    watch_label_selector: str = ""
    """KiroHealthChecks of this shard, as a label selector; empty: all."""
    resolve: Mapping[str, str] = {}
    """Addresses instead of DNS, ``service.namespace:port`` → ``address:port``."""
    allowed_hosts: frozenset[str] = frozenset()
    """host:port outside of its namespace that a KiroHealthCheck may name."""
    credentials: Path | None = None
    """Folder of credentials, ``NAMESPACE/NAME/{host,token,ca.crt}``; None: there are none."""
    cluster_facts_namespaces: frozenset[str] = frozenset({"kiro-system"})
    """Namespaces whose KiroHealthChecks are shown facts of the whole cluster."""
    mcp_client_command: tuple[str, ...] = ("mcp-client", "test-connection")
    """What tests the MCP connections inside of a Kiro pod."""
    mcp_reconnect_command: tuple[str, ...] = ()
    """What reconnects the MCP client, inside of a Kiro pod; empty: nothing does."""
    mcp_resync_command: tuple[str, ...] = ()
    """What resynchronizes the data behind the MCP servers, inside of a Kiro pod; empty: nothing does."""
    aws_endpoint_url: str = ""
    """Asked instead of the endpoints of AWS; empty: those of AWS."""
    stale_after: float = 150.0
    """A watch without any sign of life for so long has nothing to say any more."""
    sweep_interval: float = 600.0
    """How often missed deletes and old records are looked for."""
    json_logs: bool = True
    verbose: bool = False


def parse(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Settings:
    """Read flags and environment.

    Raises:
        SystemExit: a flag is unknown or its value unusable; argparse has said what to write.
    """
    env = os.environ if environment is None else environment
    parser = argparse.ArgumentParser(prog="kiro-operator", description="Keeps a Kiro platform healthy.")
    parser.add_argument("--kubeconfig", help="kubeconfig file; default: the pod's ServiceAccount")
    parser.add_argument("--context", help="context of the kubeconfig")
    parser.add_argument("--service-account-dir", type=Path, default=SERVICE_ACCOUNT, metavar="DIR")
    parser.add_argument("--namespace", help="namespace of the Lease; default: the ServiceAccount's")
    parser.add_argument("--bind-address", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=8080, help="metrics and probes; 0: any free one")
    parser.add_argument("--workers", type=_positive, default=32)
    parser.add_argument("--namespace-watches", type=_positive, default=8)
    parser.add_argument("--lease-name", default="kiro-operator")
    parser.add_argument("--lease-duration", type=float, default=15.0, metavar="SECONDS")
    parser.add_argument("--lease-renew-deadline", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--lease-retry-period", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--watch-label-selector", default="", help="label selector of this shard")
    parser.add_argument(
        "--resolve",
        action="append",
        default=[],
        type=_resolve,
        metavar="SERVICE.NAMESPACE:PORT=ADDRESS:PORT",
        help="connect there instead of asking DNS; may be repeated",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        type=_host,
        metavar="HOST:PORT",
        help="a KiroHealthCheck may name this host outside of its namespace; may be repeated",
    )
    parser.add_argument(
        "--credentials-dir",
        type=Path,
        metavar="DIR",
        help="folder of mounted credentials, NAMESPACE/NAME/{host,token,ca.crt}",
    )
    parser.add_argument(
        "--cluster-facts-namespace",
        action="append",
        metavar="NAMESPACE",
        help="namespace that is shown facts of the whole cluster; may be repeated; default: kiro-system",
    )
    parser.add_argument(
        "--mcp-client-command",
        type=shlex.split,
        default=["mcp-client", "test-connection"],
        metavar="COMMAND",
        help="what tests the MCP connections inside of a Kiro pod; run without a shell",
    )
    parser.add_argument(
        "--mcp-reconnect-command",
        type=_command,
        default=(),
        metavar="COMMAND",
        help="what the remedy ReconnectMCP runs inside of a Kiro pod, without a shell; default: nothing",
    )
    parser.add_argument(
        "--mcp-resync-command",
        type=_command,
        default=(),
        metavar="COMMAND",
        help="what the remedy ResyncMCP runs inside of a Kiro pod, without a shell; default: nothing",
    )
    parser.add_argument(
        "--aws-endpoint-url",
        type=_url,
        metavar="URL",
        help="ask this instead of the endpoints of AWS, for networks without a way to them",
    )
    parser.add_argument(
        "--stale-after",
        type=_seconds,
        default=150.0,
        metavar="SECONDS",
        help="a watch silent for so long counts as unobserved; silent twice as long, /healthz fails",
    )
    parser.add_argument(
        "--sweep-interval",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="how often deletes that no watch told of, and old records, are looked for",
    )
    parser.add_argument("--log-format", choices=("json", "text"), default="json")
    parser.add_argument("--verbose", action="store_true", help="log at level DEBUG")
    flags = parser.parse_args(arguments)
    if not flags.lease_retry_period < flags.lease_renew_deadline < flags.lease_duration:
        parser.error("the lease needs retry period < renew deadline < duration")
    hostname = env.get("POD_NAME") or socket.gethostname()
    return Settings(
        identity=f"{hostname}_{uuid.uuid4().hex[:8]}",
        own_namespace=flags.namespace or _own_namespace(flags.service_account_dir),
        kubeconfig=flags.kubeconfig,
        context=flags.context,
        service_account=flags.service_account_dir,
        bind_address=flags.bind_address,
        port=flags.port,
        workers=flags.workers,
        namespace_watches=flags.namespace_watches,
        lease_name=flags.lease_name,
        lease_duration=flags.lease_duration,
        lease_renew_deadline=flags.lease_renew_deadline,
        lease_retry_period=flags.lease_retry_period,
        watch_label_selector=flags.watch_label_selector,
        resolve=dict(flags.resolve),
        allowed_hosts=frozenset(flags.allow_host),
        credentials=flags.credentials_dir,
        cluster_facts_namespaces=frozenset(flags.cluster_facts_namespace or ["kiro-system"]),
        mcp_client_command=tuple(flags.mcp_client_command),
        mcp_reconnect_command=flags.mcp_reconnect_command,
        mcp_resync_command=flags.mcp_resync_command,
        aws_endpoint_url=flags.aws_endpoint_url or "",
        stale_after=flags.stale_after,
        sweep_interval=flags.sweep_interval,
        json_logs=flags.log_format == "json",
        verbose=flags.verbose,
    )


def _command(text: str) -> tuple[str, ...]:
    """A command that goes on record each time it is run."""
    argv = tuple(shlex.split(text))
    if not 1 <= len(argv) <= ARGUMENTS or max(map(len, argv)) > ARGUMENT:
        raise argparse.ArgumentTypeError(f"write a program and up to {ARGUMENTS - 1} arguments")
    if without_credentials(text) != text:
        raise argparse.ArgumentTypeError("it is told in records: let the program read its credential itself")
    return argv


def _own_namespace(folder: Path) -> str:
    file = folder / "namespace"
    return file.read_text().strip() if file.exists() else "kiro-operator"


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("write a port from 0 to 65535")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("write a number of 1 or more")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("write a number of seconds above 0")
    return value


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError("write a URL such as https://aws.example.com:4566")
    return text


def _host(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdigit():
        raise argparse.ArgumentTypeError("write HOST:PORT, such as prometheus.monitoring.svc:9090")
    return text.lower()


def _resolve(text: str) -> tuple[str, str]:
    name, separator, address = text.partition("=")
    if not separator or ":" not in name or ":" not in address:
        raise argparse.ArgumentTypeError("write SERVICE.NAMESPACE:PORT=ADDRESS:PORT")
    return name, address
