"""The checks on MCP servers against real servers, which fail, lie and attack, and mend."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from devcluster import ControlPlane
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.exec import RULES
from kiro_operator.adapters.mcp.client import McpClient
from kiro_operator.adapters.mcp.evaluation import Evaluator
from kiro_operator.adapters.mcp.health import McpHealth
from kiro_operator.adapters.mcp.sessions import McpSessions
from kiro_operator.adapters.network.connections import Fixed
from kiro_operator.adapters.prometheus.series import Prometheus as Series
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks import registry
from kiro_operator.core.evidence.mcp import MCP_SESSIONS, McpSession
from kiro_operator.core.evidence.steering import MCP_SETTINGS, STEERING, Document, Steering
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Sample, Unobserved
from kiro_operator.core.verdict import Verdict
from kiro_operator.ports import Observer
from kiro_operator.reconcile.observe import not_configured
from tests.adapters.conftest import ClientWith
from tests.adapters.helpers import facts, live_pods, poll, service_account
from tests.devcluster.helpers import make_pod, ready, wait_pod
from tests.harness.execs import running
from tests.harness.mcp_servers import McpProcess
from tests.harness.prometheus import Prometheus

NAMESPACE = "kiro-system"
PRICE: dict[str, Any] = {
    "name": "lamp",
    "tool": "get_price",
    "arguments": {"item": "lamp"},
    "expect": "result.structuredContent.price > 40.0 && result.structuredContent.price < 45.0",
    "timestamp": "result.structuredContent.updatedAt",
    "maxAge": "1h",
    "maxLatency": "1s",
}


@pytest.fixture(scope="module")
def shop() -> Iterator[McpProcess]:
    with McpProcess() as server:
        yield server


@pytest.fixture(scope="module")
def twin() -> Iterator[McpProcess]:
    with McpProcess() as server:
        yield server


@pytest.fixture(autouse=True)
def mended(shop: McpProcess, twin: McpProcess) -> None:
    shop.fault()
    twin.fault()


@pytest_asyncio.fixture
async def client_with(control_plane: ControlPlane, namespace: str) -> AsyncIterator[ClientWith]:
    clients: list[Client] = []

    def make(rules: Iterable[Rule] = ()) -> Client:
        clients.append(Client(service_account(control_plane, namespace, rules)))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


class Round:
    """Samples the servers and judges, as the engine does."""

    def __init__(self, shop: McpProcess, twin: McpProcess, credentials: Path) -> None:
        self.credentials = credentials
        self._fetcher = Fetcher(
            Fixed(
                {
                    f"shop.{NAMESPACE}:8080": shop.address,
                    f"twin.{NAMESPACE}:8080": twin.address,
                    "shop.example.com:8080": shop.address,
                }
            ),
            frozenset({"shop.example.com:8080"}),
            credentials,
        )
        self._evaluator = Evaluator()
        self._sources: dict[str, Observer] = {
            "mcp-health": McpHealth(self._fetcher),
            "mcp-sessions": McpSessions(self._fetcher, self._evaluator),
        }
        self.spec = self.of(server())
        self.settings = kiro_uses(shop="https://shop.example.com/mcp")
        """Kiro's own list of servers."""

    @staticmethod
    def of(*servers: dict[str, Any]) -> KiroHealthCheckSpec:
        return KiroHealthCheckSpec.model_validate({"mcp": {"servers": list(servers)}})

    async def close(self) -> None:
        await self._evaluator.close()
        await self._fetcher.close()

    async def sample(self, interval: timedelta = timedelta(seconds=30)) -> dict[str, Any]:
        request = poll(facts(NAMESPACE), spec=self.spec, interval=interval)
        values = await asyncio.gather(*(source.observe(request) for source in self._sources.values()))
        return dict(zip(self._sources, values, strict=True))

    async def judge(self, check_id: str, **parameters: Any) -> Verdict:
        check = registry()[check_id].check
        now = datetime.now(UTC)
        values = await self.sample()
        samples = {
            source.name: Sample(1, now, values[source.name])
            if source.name in values
            else not_configured(source)
            for source in check.polled
        }
        samples[STEERING.name] = Sample(1, now, Steering((Document(MCP_SETTINGS, self.settings),)))
        snapshot = facts(NAMESPACE, samples=samples)
        return check.judge(snapshot, check.parameters.model_validate(parameters), now)

    async def told(self, check_id: str, **parameters: Any) -> tuple[str, str]:
        verdict = await self.judge(check_id, **parameters)
        return verdict.status.value, verdict.reason

    async def sessions(self) -> dict[str, McpSession]:
        value = (await self.sample())["mcp-sessions"]
        return {session.server: session for session in value}


def server(name: str = "shop", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "service": {"name": name, "port": 8080},
        "expectedTools": ["get_price", "get_status"],
        "goldenQueries": [PRICE],
    } | changes


def kiro_uses(**urls: str) -> str:
    """The MCP settings in which Kiro's servers have these URLs."""
    return json.dumps({"mcpServers": {name: {"url": url} for name, url in urls.items()}})


@pytest_asyncio.fixture
async def round_(shop: McpProcess, twin: McpProcess, tmp_path: Path) -> AsyncIterator[Round]:
    made = Round(shop, twin, tmp_path)
    yield made
    await made.close()


PASS = ("Pass", "AsExpected")


@pytest.mark.parametrize(
    ("check_id", "fault", "at", "reason"),
    [
        ("mcp-server-health", "down", "", "BadStatus"),
        ("mcp-server-health", "slow", "", "Slow"),
        ("mcp-server-health", "unauthorized", "", "Unauthorized"),
        ("mcp-tools", "missing-tool", "", "ToolMissing"),
        ("mcp-tools", "down", "", "BadAnswer"),
        ("mcp-tools", "error", "initialize", "ErrorAnswer"),
        ("mcp-authorization", "unauthorized", "", "Unauthorized"),
        ("mcp-authorization", "forbidden", "", "Unauthorized"),
        ("mcp-authorization", "unauthorized", "tools/call", "Unauthorized"),
        ("mcp-data-accuracy", "wrong-answer", "", "AnswerDiffers"),
        ("mcp-response-quality", "schema-violation", "", "SchemaViolation"),
        ("mcp-response-quality", "tool-error", "", "ToolError"),
        ("mcp-response-quality", "slow", "tools/call", "ToolSlow"),
        ("mcp-data-freshness", "stale", "", "DataStale"),
    ],
)
@pytest.mark.flips(
    "mcp-server-health",
    "mcp-tools",
    "mcp-authorization",
    "mcp-data-accuracy",
    "mcp-response-quality",
    "mcp-data-freshness",
)
async def test_flips(  # noqa: PLR0917 - what a case is made of
    shop: McpProcess, round_: Round, check_id: str, fault: str, at: str, reason: str
) -> None:
    parameters = {"slowAfter": "1s"} if check_id == "mcp-server-health" else {}
    assert await round_.told(check_id, **parameters) == PASS
    shop.fault(fault, at=at, delay=1.3)
    verdict = await round_.judge(check_id, **parameters)
    assert (verdict.status.value, verdict.reason) == ("Fail", reason), verdict.message
    assert [finding.object.name.split("/")[0] for finding in verdict.findings] == ["shop"]
    assert str(shop.port) not in verdict.message
    shop.fault()
    assert await round_.told(check_id, **parameters) == PASS


@pytest.mark.parametrize("check_id", ["mcp-server-health", "mcp-tools"])
async def test_a_server_that_is_gone_and_comes_back(shop: McpProcess, round_: Round, check_id: str) -> None:
    assert await round_.told(check_id) == PASS
    shop.stop()
    try:
        assert await round_.told(check_id) == ("Fail", "Unreachable")
    finally:
        shop.start()
    assert await round_.told(check_id) == PASS


async def test_a_server_of_the_newest_revision_only(shop: McpProcess, round_: Round) -> None:
    shop.fault("modern")
    for check_id in ("mcp-tools", "mcp-data-accuracy", "mcp-response-quality", "mcp-data-freshness"):
        assert await round_.told(check_id) == PASS


HOSTILE = {
    "hang": "Timeout",
    "endless": "TooManyMessages",
    "huge": "AnswerTooLarge",
    "wrong-type": "MalformedAnswer",
    "bad-utf8": "MalformedAnswer",
    "deep": "MalformedAnswer",
    "gzip": "MalformedAnswer",
    "redirect": "Redirected",
}


@pytest.mark.parametrize("fault", HOSTILE)
@pytest.mark.parametrize("at", ["initialize", "tools/list", "tools/call"])
async def test_hostile_answers_are_bounded_and_harm_no_other(
    shop: McpProcess, round_: Round, fault: str, at: str
) -> None:
    round_.spec = round_.of(server(), server("twin"))
    shop.fault(fault, at=at)
    clock = asyncio.get_running_loop().time
    began = clock()
    value = (await round_.sample(timedelta(seconds=5)))["mcp-sessions"]
    assert clock() - began < 5
    bad, good = value
    problem = bad.calls[0].problem
    assert problem is not None
    assert problem.reason == HOSTILE[fault]
    assert fault != "gzip" or "compressed" in problem.message
    assert (bad.problem is None) == (at == "tools/call")
    assert good.problem is None
    assert good.calls[0].agrees is True
    assert good.calls[0].conforms is True


@pytest.mark.parametrize("fault", HOSTILE)
async def test_hostile_health(shop: McpProcess, round_: Round, fault: str) -> None:
    round_.spec = round_.of(server(), server("twin"))
    shop.fault(fault)
    bad, good = (await round_.sample(timedelta(seconds=5)))["mcp-health"]
    assert (good.status, good.problem) == (200, None)
    if fault in {"wrong-type", "bad-utf8", "gzip"}:
        assert bad.status == 200
    else:
        assert bad.problem.reason == ("AnswerTooLarge" if fault in {"deep", "endless"} else HOSTILE[fault])


async def test_a_schema_that_takes_for_ever_costs_nobody_else(shop: McpProcess, round_: Round) -> None:
    status = {"name": "status", "tool": "get_status", "expect": "result.structuredContent.status == 'open'"}
    round_.spec = round_.of(server(goldenQueries=[PRICE, status]), server("twin"))
    shop.fault("hostile-schema")
    sessions = await round_.sessions()
    bad, good = sessions["shop"].calls[0], sessions["twin"].calls[0]
    assert sessions["shop"].calls[1].agrees is True
    assert isinstance(bad.conforms, Unobserved)
    assert bad.conforms.reason == "TooExpensive"
    assert bad.agrees is True
    assert good.conforms is True


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ("result.structuredContent.price >", "InvalidExpression"),
        ("price > 1.0", "InvalidExpression"),
        ("result.structuredContent.price", "InvalidExpression"),
        ("result.text.matches('(x') || [result].map(a, nope(a)).size() > 0", "InvalidExpression"),
    ],
)
async def test_an_expression_that_is_wrong(round_: Round, expect: str, reason: str) -> None:
    round_.spec = round_.of(server(goldenQueries=[PRICE | {"expect": expect}]))
    verdict = await round_.judge("mcp-data-accuracy")
    assert (verdict.status.value, verdict.reason) == ("Unknown", reason)
    assert "Golden query shop/lamp" in verdict.message


async def test_an_expression_that_never_ends(round_: Round) -> None:
    ten = "[0,1,2,3,4,5,6,7,8,9]"
    nested = "true"
    for letter in "abcdefghij":
        nested = f"{ten}.all({letter}, {nested})"
    assert len(nested) < 900
    round_.spec = round_.of(server(goldenQueries=[PRICE | {"expect": f"{nested} && result.isError"}]))
    assert await round_.told("mcp-data-accuracy") == ("Unknown", "TooExpensive")
    assert await round_.told("mcp-tools") == PASS


async def test_a_number_that_no_machine_word_holds(shop: McpProcess, round_: Round) -> None:
    shop.fault("big-number")
    assert await round_.told("mcp-data-accuracy") == ("Fail", "AnswerDiffers")
    assert await round_.told("mcp-response-quality") == PASS


async def test_servers_that_disagree(twin: McpProcess, round_: Round) -> None:
    old = PRICE | {"maxAge": "8760h"}
    round_.spec = round_.of(server(goldenQueries=[old]), server("twin", goldenQueries=[old]))
    assert await round_.told("mcp-data-freshness") == PASS
    twin.fault("stale")
    verdict = await round_.judge("mcp-data-freshness")
    assert (verdict.reason, verdict.findings[0].object.name) == ("SourcesDisagree", "twin/lamp")
    twin.fault()
    assert await round_.told("mcp-data-freshness") == PASS


CLIENT = """#!/bin/sh
[ "$1" = test-connection ] || exit 64
case $(cat {folder}/fault) in
  well) echo connected to 2 servers ;;
  broken) echo "shop: connection refused" >&2; exit 2 ;;
  hangs) sleep 4 ;;
  talks) head -c 200000 /dev/zero ;;
esac
"""


@pytest.fixture
def client_pod(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Path]:
    """Two ready pods with a program mcp-client; the file ``fault`` says what it does."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "mcp-client").write_text(CLIENT.format(folder=tmp_path))
    (programs / "mcp-client").chmod(0o755)
    (tmp_path / "fault").write_text("well")
    for name in ("kiro-b", "kiro-a"):
        make_pod(control_plane, namespace, name, containers=("kiro",))
        wait_pod(control_plane, namespace, ready, "a ready pod", name=name)
    with running(control_plane, namespace, "kiro-a", container="kiro", path=f"{programs}:/usr/bin:/bin"):
        yield tmp_path


@pytest.mark.flips("mcp-connection")
async def test_the_client_in_a_pod(
    control_plane: ControlPlane, client_with: ClientWith, namespace: str, client_pod: Path
) -> None:
    spec = {"client": {"timeout": "2s"}}
    command = ["env", "mcp-client", "test-connection"]
    check = registry()["mcp-connection"].check

    async def judged(
        client: Client, changes: dict[str, Any] | None = None, run: Sequence[str] = command
    ) -> Verdict:
        changed = {"client": spec["client"] | (changes or {})}
        request = poll(
            facts(namespace, live_pods(control_plane, namespace)),
            spec=KiroHealthCheckSpec.model_validate({"mcp": changed}),
        )
        sample = Sample(1, request.now, await McpClient(client, run).observe(request))
        snapshot = facts(namespace, samples={"mcp-client": sample})
        return check.judge(snapshot, check.parameters(), request.now)

    client = client_with(RULES)
    for fault, status, reason in (
        ("well", *PASS),
        ("broken", "Fail", "ClientFailed"),
        ("well", *PASS),
        ("hangs", "Fail", "ClientTimeout"),
        ("well", *PASS),
        ("talks", "Unknown", "OutputTooLarge"),
        ("well", *PASS),
    ):
        (client_pod / "fault").write_text(fault)
        verdict = await judged(client)
        assert (verdict.status.value, verdict.reason) == (status, reason), verdict.message
        assert all(finding.object.name == "kiro-a" for finding in verdict.findings)
    for changes, reason in (
        ({"container": "other"}, "NoReadyPod"),
        ({"selector": {"matchLabels": {"app": "other"}}}, "NoReadyPod"),
    ):
        assert (await judged(client, changes)).reason == reason
    assert (await judged(client, run=["no-such-program"])).reason == "CommandNotFound"
    refused = await judged(client_with([]))
    assert (refused.status.value, refused.reason) == ("Unknown", "Forbidden")
    assert "resources ['pods/exec'], verbs ['create', 'get']" in refused.message


def test_the_api_server_takes_it_and_gives_it_back(control_plane: ControlPlane, namespace: str) -> None:
    path = f"/apis/kiro.dev/v1alpha1/namespaces/{namespace}/kirohealthchecks"
    query = PRICE | {"arguments": {"item": "lamp", "of": {"any": [1, None, {"kind": True}]}}}
    spec = {"mcp": {"servers": [server(goldenQueries=[query])], "client": {}}}
    body = {"apiVersion": "kiro.dev/v1alpha1", "kind": "KiroHealthCheck", "metadata": {"name": "kiro"}}
    control_plane.rest.post(path, body | {"spec": spec})
    kept = KiroHealthCheckSpec.model_validate(control_plane.rest.get(f"{path}/kiro")["spec"])
    assert kept.mcp == KiroHealthCheckSpec.model_validate(spec).mcp
    assert kept.mcp is not None
    assert kept.mcp.servers[0].golden_queries[0].arguments == query["arguments"]
    assert kept.mcp.client is not None


async def test_an_age_that_a_metric_tells(tmp_path: Path) -> None:
    check = registry()["mcp-data-freshness"].check
    expr = 'mcp_data_age_seconds{namespace="$namespace"}'
    parameters = check.parameters.model_validate({"ageQuery": expr, "maxAge": "15m"})
    with Prometheus(tmp_path) as prometheus:
        fetcher = prometheus.fetcher(NAMESPACE)
        source = Series(fetcher)
        for age, told in (
            (60, PASS),
            (3600, ("Fail", "DataStale")),
            (60, PASS),
            (None, ("Unknown", "NoData")),
        ):
            if age is None:
                prometheus.exporter.clear()
                prometheus.wait_gone("mcp_data_age_seconds")
            else:
                prometheus.exporter.set("mcp_data_age_seconds", age, namespace=NAMESPACE, server="orders")
                prometheus.wait(f"mcp_data_age_seconds == {age}")
            request = poll(facts(NAMESPACE), parameters, spec=prometheus.spec)
            sample = Sample(1, request.now, await source.observe(request))
            samples = {"prometheus": sample, "mcp-sessions": not_configured(MCP_SESSIONS)}
            verdict = check.judge(facts(NAMESPACE, samples=samples), parameters, request.now)
            assert (verdict.status.value, verdict.reason) == told, verdict.message
        await fetcher.close()


def jwt(exp: datetime) -> str:
    parts = ({"alg": "none"}, {"exp": exp.timestamp()})
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*coded, "c2lnbmF0dXJl"])


async def test_a_token_that_runs_out(round_: Round) -> None:
    folder = round_.credentials / NAMESPACE / "shop-token"
    round_.spec = round_.of(server(credential="shop-token"))
    assert await round_.told("mcp-authorization") == ("Unknown", "CredentialNotFound")
    folder.mkdir(parents=True)
    (folder / "token").write_text("for somebody else")
    assert await round_.told("mcp-authorization") == ("Unknown", "CredentialNotForHost")
    (folder / "host").write_text(f"shop.{NAMESPACE}:8080\n")
    assert await round_.told("mcp-authorization") == ("Unknown", "CredentialNeedsHttps")
    (folder / "insecure").touch()
    now = datetime.now(UTC)
    for ends, status, reason in (
        (now + timedelta(days=30), *PASS),
        (now + timedelta(hours=3), "Warn", "TokenExpiring"),
        (now - timedelta(hours=3), "Fail", "TokenExpired"),
        (now + timedelta(days=30), *PASS),
    ):
        token = jwt(ends)
        (folder / "token").write_text(token)
        verdict = await round_.judge("mcp-authorization")
        assert (verdict.status.value, verdict.reason) == (status, reason)
        assert token.split(".")[1] not in verdict.message


async def test_what_the_operator_may_not_reach(round_: Round) -> None:
    round_.spec = round_.of(server(service=None, host="elsewhere.example.com:443"))
    for check_id in ("mcp-server-health", "mcp-tools", "mcp-authorization", "mcp-data-accuracy"):
        assert await round_.told(check_id) == ("Unknown", "HostNotAllowed")


@pytest.mark.parametrize("where", [{}, {"service": None, "host": "shop.example.com:8080"}])
async def test_plain_http(round_: Round, where: dict[str, Any]) -> None:
    round_.spec = round_.of(server(**where))
    round_.settings = kiro_uses()
    assert await round_.told("mcp-tools") == ("Warn", "PlainHttp")
    assert await round_.told("mcp-server-health") == PASS
    round_.settings = kiro_uses(shop="http://shop:8080/mcp")
    assert await round_.told("mcp-tools") == ("Warn", "PlainHttp")


async def test_a_server_that_kiro_uses_and_nobody_asks(round_: Round) -> None:
    assert await round_.told("mcp-tools") == PASS
    round_.settings = kiro_uses(
        shop="https://shop.example.com/mcp", elsewhere="https://elsewhere.example.com/"
    )
    verdict = await round_.judge("mcp-tools")
    assert (verdict.status.value, verdict.reason) == ("Warn", "ServerNotListed")
    assert [finding.object.name for finding in verdict.findings] == ["elsewhere"]
    round_.spec = round_.of(server(), server("elsewhere", service=None, host="elsewhere.example.com:443"))
    assert await round_.told("mcp-tools") == ("Warn", "HostNotAllowed")
