"""Kiro's own list of MCP servers against those that are asked."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.api.v1alpha1.evidence.mcp import McpEvidence
from kiro_operator.core import mcp_listing
from kiro_operator.core.evidence.mcp import McpSession
from kiro_operator.core.evidence.steering import MCP_SETTINGS, STEERING, Document, Steering
from kiro_operator.core.mcp_listing import Listing, held_against, label
from kiro_operator.core.snapshot import Sample, Unobserved
from tests.adapters.helpers import facts

NAMESPACE = "kiro-system"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def settings(**servers: Any) -> Document:
    text = json.dumps({"mcpServers": servers})
    return Document(MCP_SETTINGS, text, "ConfigMap kiro-steering", sha256(text.encode()).hexdigest())


def held(*documents: Document, sessions: tuple[McpSession, ...] = ()) -> Listing:
    sample = Sample(1, NOW - timedelta(minutes=1), Steering(documents))
    return held_against(sessions, facts(NAMESPACE, samples={STEERING.name: sample}), NOW)


def told(*documents: Document, sessions: tuple[McpSession, ...] = ()) -> list[tuple[str, str]]:
    return [(one.object.name, one.reason) for one in held(*documents, sessions=sessions).findings]


def session(name: str = "orders", url: str = "http://orders.kiro-system.svc:8080/mcp") -> McpSession:
    return McpSession(name, url, plain=url.startswith("http:"))


@pytest.mark.parametrize(
    "url",
    [
        "http://orders:8080/mcp",
        "http://orders:8080/mcp/",
        "http://ORDERS.kiro-system:8080/mcp",
        "http://orders.kiro-system.svc:8080/mcp?x=1",
        "http://orders.kiro-system.svc.cluster.local.:8080/mcp",
    ],
)
def test_a_server_is_known_by_where_it_is(url: str) -> None:
    assert told(settings(another={"url": url}), sessions=(session(),)) == [("orders", "PlainHttp")]


@pytest.mark.parametrize(
    "url",
    [
        "http://orders:8081/mcp",
        "http://orders.other:8080/mcp",
        "http://orders:8080/sse",
        "https://orders.example.com:8080/mcp",
    ],
)
def test_another_place_is_another_server(url: str) -> None:
    assert ("another", "ServerNotListed") in told(settings(another={"url": url}), sessions=(session(),))


@pytest.mark.parametrize("name", ["orders", "Orders", "ORDERS"])
def test_a_server_is_known_by_its_name(name: str) -> None:
    assert told(settings(**{name: {"url": "https://elsewhere/"}}), sessions=(session(),)) == []


@pytest.mark.parametrize(
    "server",
    [
        {"command": "npx", "args": ["server"]},
        {"url": "http://orders:9000/mcp", "disabled": True},
        {"url": "http://localhost:9000/mcp"},
        {"url": "http://127.0.0.1:9000/mcp"},
    ],
)
def test_what_is_not_asked_from_here(server: dict[str, Any]) -> None:
    listing = held(settings(tools=server))
    assert listing.read
    assert listing.findings == ()


@pytest.mark.parametrize(
    ("url", "server", "words"),
    [
        (
            "https://orders:8443/mcp",
            {"service": {"name": "orders", "port": 8443}, "scheme": "https"},
            "there",
        ),
        ("http://a.kiro-system.svc/mcp", {"service": {"name": "a", "port": 80}}, "there"),
        ("https://a.example.com/mcp", {"host": "a.example.com:443", "scheme": "https"}, "a.example.com:443"),
        ("http://a.other.svc:8080/x/y", {"host": "a.other.svc:8080"}, "the path of its url as mcpPath"),
        ("http://b.a.kiro-system.svc/mcp", {"host": "b.a.kiro-system.svc:80"}, "--allow-host"),
    ],
)
def test_what_to_add_can_be_added(url: str, server: dict[str, Any], words: str) -> None:
    listing = held(settings(**{"My Docs": {"url": url}}))
    message = listing.findings[0].message
    assert message.startswith(
        "MCP server my-docs: .kiro/settings/mcp.json (ConfigMap kiro-steering), line 1, column 28: "
    )
    assert words in message
    found = re.search(r"add (\{.*\}) there", message)
    assert found is not None, message
    quoted = re.sub(r"([a-z-]+(?:\.[a-z-]+)*(?::\d+)?)", r'"\1"', found[1].replace(": ", " ~ "))
    entry = json.loads(quoted.replace(" ~ ", ": "))
    [spec] = McpEvidence.model_validate({"servers": [entry]}).servers
    assert spec == McpEvidence.model_validate({"servers": [{"name": "my-docs"} | server]}).servers[0]


def test_a_url_of_which_only_kiro_knows_all() -> None:
    document = settings(docs={"url": "https://${DOCS_HOST}/mcp"})
    [finding] = held(document).findings
    assert finding.reason == "ServerNotListed"
    assert "only Kiro can fill in" in finding.message
    assert told(document, sessions=(session("docs", "https://docs.example.com:443/mcp"),)) == []


def test_plain_http_is_told_once_and_by_what_kiro_uses() -> None:
    plain = (session(),)
    assert told(sessions=plain) == [("orders", "PlainHttp")]
    assert told(settings(orders={"url": "http://orders:8080/mcp"}), sessions=plain) == [
        ("orders", "PlainHttp")
    ]
    for known in (
        {"url": "https://orders.example.com/mcp"},
        {"url": "http://localhost:8080/mcp"},
        {"command": "x"},
        {"url": "http://orders:8080/mcp", "disabled": True},
    ):
        assert told(settings(orders=known), sessions=plain) == []
    # What only Kiro can fill in says nothing of the scheme that is asked.
    assert told(settings(orders={"url": "${URL}"}), sessions=plain) == [("orders", "PlainHttp")]


def test_what_is_wrong_with_the_file_comes_first_and_each_content_once() -> None:
    broken = Document(MCP_SETTINGS, '{"mcpServers":\n', "ConfigMap a", "1")
    again = Document(MCP_SETTINGS, '{"mcpServers":\n', "Pod kiro-0", "1")
    other = settings(docs={"url": "http://docs.example.com/mcp"})
    listing = held(broken, again, other)
    assert [one.reason for one in listing.findings] == ["InvalidJson", "ServerNotListed", "PlainHttp"]
    assert "line 2, column 1" in listing.findings[0].message
    assert "ConfigMap a" in listing.findings[0].message


def test_bytes_that_are_no_text_and_files_that_cannot_be_read() -> None:
    [finding] = held(Document(MCP_SETTINGS, "", "Pod a", "1", invalid_at=4)).findings
    assert (finding.reason, "byte 5" in finding.message) == ("InvalidJson", True)
    assert held(Document(MCP_SETTINGS, origin="Pod a", readable=False)) == Listing()


def test_files_together_are_bounded() -> None:
    text = '{"mcpServers": {}}' + " " * 40_000
    documents = [Document(MCP_SETTINGS, text + " " * n, f"ConfigMap {n}", str(n)) for n in range(3)]
    [finding] = held(*documents).findings
    assert (finding.reason, "ConfigMap 1" in finding.message) == ("TooLargeJson", True)
    assert str(mcp_listing.TOTAL) in finding.message


def test_without_a_sample_nothing_is_told() -> None:
    refused: Sample[Steering] = Sample(1, NOW, Unobserved("Forbidden", "x"))
    for samples in ({}, {STEERING.name: refused}):
        assert held_against((), facts(NAMESPACE, samples=samples), NOW) == Listing()


@given(st.text(max_size=80))
def test_any_name_becomes_one_that_can_be_listed(name: str) -> None:
    assert NAME.fullmatch(label(name))
    assert len(label(name)) <= 63


@given(st.dictionaries(st.text(max_size=6), st.fixed_dictionaries({"url": st.text(max_size=20)}), max_size=4))
def test_nothing_that_is_told_can_break_a_status(servers: dict[str, Any]) -> None:
    for finding in held(settings(**servers), sessions=(session(),)).findings:
        assert finding.object.name in finding.message
        assert finding.message.encode()
        assert len(finding.message) <= 1024
