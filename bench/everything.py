"""Everything that a KiroHealthCheck can look at, real and on loopback, and the spec that names it."""

import contextlib
import datetime as dt
import itertools
import json
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from moto.server import ThreadedMotoServer

from bench.manifests import Object
from devcluster.alertmanager import Alertmanager
from devcluster.listen import Server
from devcluster.prometheus import Prometheus, Samples, course
from devcluster.rest import Rest
from kiro_operator.api.v1alpha1.types import API_VERSION

ROOT = Path(__file__).resolve().parent.parent
PROMETHEUS, ALERTMANAGER, MCP = "prometheus.bench:9090", "alertmanager.bench:9093", "mcp.bench:8080"
SERVICE, PORT = "kiro", 8080
GRANTS = ("observe", "restart", "exec", "history", "permissions")
"""Of deploy/namespace."""
HUNG = frozenset(
    {
        *("prometheus", "trigger-metrics", "alertmanager", "mcp-health", "mcp-sessions", "endpoints"),
        *("aws-identity", "aws-permissions", "aws-cost"),
    }
)
"""Sources that ask what hangs."""
COMPONENTS = {"app-0": "autonomous-operations", "app-1": "cost-optimization"}
DAYS = 3
GAUGES = {
    "kiro_cache_hit_ratio": 0.95,
    "kiro_container_memory_utilization": 0.4,
    "kiro_cpu_throttling_ratio": 0.01,
    "kiro_database_query_seconds": 0.02,
    "kiro_error_ratio": 0.001,
    "kiro_quota_utilization": 0.5,
    "kiro_requests_per_second": 12.0,
    "kiro_response_seconds": 0.2,
    "kiro_volume_utilization": 0.5,
    "kiro_autonomous_success_rate": 0.98,
    "container_memory_working_set_bytes": 200e6,
    "container_memory_usage_bytes": 200e6,
}
NODE_GAUGES = {
    "node_cpu_utilization": 0.4,
    "kiro_node_filesystem_utilization": 0.5,
    "kiro_node_network_utilization": 0.2,
    "kiro_network_latency_seconds": 0.001,
}
AWS_KEYS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",  # moto asks for any
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Backends:
    """Servers that answer, one for all KiroHealthChecks; ``hang`` lets some of them answer never again."""

    def __init__(self, folder: Path, namespaces: Sequence[str]) -> None:
        self._stack = contextlib.ExitStack()
        self._folder = folder
        self._namespaces = namespaces
        self._hung = Server()
        self._kiro = Server()
        self._prometheus = Prometheus(folder, _history(namespaces))
        self._alertmanager = Alertmanager(_made(folder / "alertmanager"))
        self._aws = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._mcp: subprocess.Popen[str] | None = None
        self._mcp_port = 0

    def start(self) -> None:
        """Start all."""
        _workspace(self.workspace)
        self._stack.enter_context(self._prometheus)
        self._stack.enter_context(self._alertmanager)
        self._stack.enter_context(self._kiro)
        self._stack.enter_context(self._hung)
        self._hung.break_with("hang")
        self._aws.start()
        self._stack.callback(self._aws.stop)
        self._mcp = subprocess.Popen(
            [sys.executable, "-m", "demo.mcp_server", "--port", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(self._mcp.communicate)
        self._stack.callback(self._mcp.kill)
        told = self._mcp.stdout.readline() if self._mcp.stdout else ""
        self._mcp_port = json.loads(told)["port"]
        _queue_costs(self.aws_url)

    def stop(self) -> None:
        """End all."""
        self._stack.close()

    @property
    def aws_url(self) -> str:
        """Where moto answers."""
        host, port = self._aws.get_host_and_port()
        return f"http://{host}:{port}"

    def flags(self, *, hung: bool = False) -> tuple[str, ...]:
        """How the operator is told where they are; ``hung``: at a server that accepts and never answers."""
        addresses = {
            PROMETHEUS: self._hung.address if hung else f"127.0.0.1:{self._prometheus.port}",
            MCP: self._hung.address if hung else f"127.0.0.1:{self._mcp_port}",
            ALERTMANAGER: self._hung.address if hung else f"127.0.0.1:{self._alertmanager.port}",
        }
        pairs = itertools.chain.from_iterable(
            ("--allow-host", host, "--resolve", f"{host}={address}") for host, address in addresses.items()
        )
        aws = f"http://{self._hung.address}" if hung else self.aws_url
        services = itertools.chain.from_iterable(
            ("--resolve", f"{SERVICE}.{name}:{PORT}={self._kiro.address}", "--cluster-facts-namespace", name)
            for name in self._namespaces
        )
        return (*pairs, *services, "--aws-endpoint-url", aws, "--mcp-client-command", "true")

    @property
    def workspace(self) -> Path:
        """What stands for the file system of the pods."""
        return self._folder / "workspace"


@contextlib.contextmanager
def backends(folder: Path, namespaces: Sequence[str]) -> Iterator[Backends]:
    """All backends, while the context lasts."""
    made = Backends(folder, namespaces)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def health_check(name: str, interval: str, workspace: Path) -> Object:
    """A KiroHealthCheck with all checks on and every source named."""
    query = {
        "name": "price",
        "tool": "get_price",
        "arguments": {"item": "kiro"},
        "expect": "has(result.structuredContent)",
        "timestamp": "result.structuredContent.updatedAt",
    }
    spec: Object = {
        "interval": interval,
        "safetyPolicyRef": {"name": POLICY["metadata"]["name"]},
        "prometheus": {"host": PROMETHEUS},
        "alertmanager": {"host": ALERTMANAGER},
        "mcp": {"servers": [{"name": "mcp", "host": MCP, "goldenQueries": [query]}], "client": {}},
        "steering": {"configMaps": ["steering"], "pods": {"root": str(workspace), "workspace": True}},
        "autonomy": {"endpoints": [{"name": "tools", "host": MCP, "path": "/health"}]},
        "aws": {
            "region": "us-east-1",
            "mustAllow": [{"action": "ec2:DescribeInstances"}],
            "mustDeny": [{"action": "iam:CreateUser"}],
        },
        "prices": {"cpuCoreHour": "0.03", "memoryGiBHour": "0.004", "storageGiBMonth": "0.09"},
    }
    return {"apiVersion": API_VERSION, "kind": "KiroHealthCheck", "metadata": {"name": name}, "spec": spec}


BODY = "Prefer small steps.\n" * 40
AUTOSCALER: Object = {
    "metadata": {"name": "app-0"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app-0"},
        "minReplicas": 1,
        "maxReplicas": 10,
        # It is looked at, not to do anything.
        "behavior": {"scaleUp": {"selectPolicy": "Disabled"}, "scaleDown": {"selectPolicy": "Disabled"}},
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    },
}
STEERING: Object = {
    "metadata": {"name": "steering"},
    "data": {
        f"topic-{number}.md": f"---\ninclusion: always\n---\n# Topic {number}\n\n{BODY}"
        for number in range(8)
    },
}


HOOK = {
    "version": "v1",
    "hooks": [{"name": "lint", "trigger": "PostFileSave", "action": {"type": "command", "command": "lint"}}],
}
CONFIG = {"mode": "careful", "maximumChange": "20"}
RULES: list[Object] = [
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]}
]
ROLE = "kiro-autonomous-operations"
POLICY: Object = {
    "apiVersion": API_VERSION,
    "kind": "KiroSafetyPolicy",
    "metadata": {"name": "platform"},
    "spec": {
        "mode": "Observe",
        "safetyConfig": {"data": CONFIG},
        "clusterRole": {"rules": RULES},
        "permissions": {
            "mustAllow": [{"verb": "list", "group": "apps", "resource": "deployments"}],
            "mustDeny": [{"verb": "create", "resource": "pods"}, {"verb": "get", "resource": "secrets"}],
        },
        "boundaries": {
            "actions": ["restart", "scale"],
            "risky": ["scale"],
            "kinds": ["Deployment"],
            "namespaces": ["platform"],
            "maximumChange": 20,
        },
        "approvalGates": [
            {"name": "lead", "actions": ["scale"], "approvers": [{"kind": "Group", "name": "leads"}]}
        ],
        "escalation": {
            "triggers": [
                {"name": "outage", "condition": "Responsive", "after": "30m", "tier": "Tier2"},
                {
                    "name": "slow",
                    "metric": "kiro_response_seconds",
                    "above": 5.0,
                    "after": "1h",
                    "tier": "Tier3",
                },
            ]
        },
    },
}
"""Everything of a KiroSafetyPolicy that checks read."""


def records() -> Iterator[Object]:
    """What Kiro logs of a query and of an operation."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    target = {"kind": "Deployment", "namespace": "platform", "name": "app-0"}
    for number in range(30):
        query = {"id": f"q-{number}", "time": now, "text": "Why is checkout slow?"}
        given = {"environment": "production", "scope": "checkout", "context": ["dashboards"]}
        yield {"record": "query"} | query | given
        done = {"action": "restart", "target": target, "outcome": "success", "changeSize": 1}
        yield {"record": "operation", "id": f"o-{number}", "time": now} | done


def furnish(rest: Rest, namespace: str) -> None:
    """What Kiro has in a namespace beside its Deployments."""
    core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/autoscaling/v2/namespaces/{namespace}"
    rest.post(f"{core}/configmaps", STEERING)
    rest.post(f"{core}/configmaps", {"metadata": {"name": "kiro-safety-config"}, "data": CONFIG})
    rest.post(f"{core}/serviceaccounts", {"metadata": {"name": "kiro"}})
    ports = [{"name": "http", "port": PORT, "targetPort": "http"}]
    service = {"metadata": {"name": SERVICE}, "spec": {"selector": {"app": "app-0"}, "ports": ports}}
    rest.post(f"{core}/services", service)
    rest.post(f"{apps}/horizontalpodautoscalers", AUTOSCALER)
    rest.post(f"/apis/{API_VERSION}/namespaces/{namespace}/kirosafetypolicies", POLICY)


def furnish_cluster(rest: Rest, namespaces: Sequence[str]) -> None:
    """The role of autonomous operations, bound to Kiro's accounts, and commands of pods that run here."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rest.post(f"{rbac}/clusterroles", {"metadata": {"name": ROLE}, "rules": RULES})
    subjects = [{"kind": "ServiceAccount", "name": "kiro", "namespace": name} for name in namespaces]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ROLE}
    rest.post(
        f"{rbac}/clusterrolebindings", {"metadata": {"name": ROLE}, "roleRef": role, "subjects": subjects}
    )
    kwok = "kwok.x-k8s.io/v1alpha1"
    here = {"metadata": {"name": "all"}, "spec": {"execs": [{"local": {}}]}}
    rest.post(f"/apis/{kwok}/clusterexecs", {"apiVersion": kwok, "kind": "ClusterExec"} | here)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _workspace(folder: Path) -> None:
    """Steering documents and a hook, as a pod has them."""
    hooks, documents = _made(folder / ".kiro" / "hooks"), _made(folder / ".kiro" / "steering")
    (hooks / "lint.json").write_text(json.dumps(HOOK))
    (documents / "product.md").write_text("# Product\n\nPrefer small steps.\n")


def _history(namespaces: Sequence[str]) -> Iterator[Samples]:
    # The full history for the first namespace; the last hour for the others, or writing it takes minutes.
    now = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
    end = now + dt.timedelta(minutes=30)
    for number, namespace in enumerate(namespaces):
        begin = now - (dt.timedelta(days=DAYS) if number == 0 else dt.timedelta(minutes=30))
        for name, value in GAUGES.items():
            labels = {"namespace": namespace, "pod": "kiro-0", "container": "main"}
            points = course(begin, end, lambda _, value=value: value, minutes=5)  # type: ignore[misc]
            yield Samples(name, labels, points)
    for name, value in NODE_GAUGES.items():
        begin = now - dt.timedelta(days=DAYS)
        points = course(begin, end, lambda _, value=value: value, minutes=5)  # type: ignore[misc]
        yield Samples(name, {"node": "node-0"}, points)


def _queue_costs(url: str) -> None:
    """Answers of Cost Explorer, which moto wants to be told beforehand."""
    today = dt.datetime.now(dt.UTC).date()
    days = [
        {
            "TimePeriod": {
                "Start": (today - dt.timedelta(days=back)).isoformat(),
                "End": (today - dt.timedelta(days=back - 1)).isoformat(),
            },
            "Total": {"UnblendedCost": {"Amount": "10", "Unit": "USD"}},
            "Groups": [],
            "Estimated": False,
        }
        for back in range(60, 0, -1)
    ]
    answer = {"ResultsByTime": days, "DimensionValueAttributes": []}
    body = json.dumps({"results": [answer] * 10}).encode()
    request = urllib.request.Request(  # noqa: S310 - loopback
        urllib.parse.urljoin(url, "/moto-api/static/ce/cost-and-usage-results"),
        body,
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass
