"""Kiro's MCP settings: what they say, what is wrong with them and where; nothing breaks the reader."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.steering import mcp_settings
from kiro_operator.core.steering.mcp_settings import Server, Url, read, url_of

from .test_properties import SOON, TEXTS, holds

SECRET = "s3cr3t-of-somebody"  # noqa: S105 - none


def of(**servers: Any) -> str:
    return json.dumps({"mcpServers": servers}, indent=2)


def test_what_it_says() -> None:
    text = of(
        docs={"url": "https://Docs.example.com/mcp/", "headers": {"Authorization": "Bearer ${TOKEN}"}},
        files={"command": "npx", "args": ["-y", "server-files"], "env": {"HOME": "${HOME}"}},
        old={"url": "http://mcp-server:8080", "disabled": True, "autoApprove": ["a"], "timeout": 100},
        later={"url": "https://${HOST}:${PORT}/mcp"},
        team={"url": "https://${USER}@docs.example.com/${TEAM}/mcp"},
    )
    assert read(text).problems == ()
    assert read(text).servers == (
        Server("docs", 3, 13, Url("https", "docs.example.com", 443, "/mcp")),
        Server("files", 9, 14, local=True),
        Server("old", 19, 12, Url("http", "mcp-server", 8080, ""), disabled=True),
        Server("later", 27, 14),
        Server("team", 30, 13, Url("https", "docs.example.com", 443, "/${TEAM}/mcp")),
    )


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('{"mcpServers": {\n  "a": {"url": "https://a.b/"},\n}}', (3, 1), "InvalidJson"),
        ("", (1, 1), "InvalidJson"),
        ("[]", (1, 1), "InvalidSettings"),
        ('{\n "servers": {}}', (1, 1), "InvalidSettings"),
        ('{\n "mcpServers": []}', (2, 16), "InvalidSettings"),
        ('{"mcpServers": {\n "a": "https://a.b/"}}', (2, 7), "InvalidSettings"),
        ('{"mcpServers": {\n "a": {}}}', (2, 7), "InvalidSettings"),
        ('{"mcpServers": {"a": {"url": "https://a.b/",\n "command": "x"}}}', (1, 22), "InvalidSettings"),
        ('{"mcpServers": {"a": {\n "url": "ftp://a.b/"}}}', (2, 9), "InvalidSettings"),
        ('{"mcpServers": {"a": {\n "url": "https://"}}}', (2, 9), "InvalidSettings"),
        ('{"mcpServers": {"a": {\n "url": "https://a.b:port/"}}}', (2, 9), "InvalidSettings"),
        ('{"mcpServers": {"a": {\n "url": 7}}}', (2, 9), "InvalidSettings"),
        ('{"mcpServers": {"a": {\n "command": ["x"]}}}', (2, 13), "InvalidSettings"),
        (
            '{"mcpServers": {"a": {"command": "x",\n "disabled": "true"}}}',
            (2, 14),
            "InvalidSettings",
        ),
        (
            '{"mcpServers": {"a": {"url": "https://a.b/",\n "headers": {"X": "${env:X}"}}}}',
            (2, 19),
            "InvalidVariable",
        ),
        ('{"mcpServers": {"a": {\n "url": "https://${input:host}/"}}}', (2, 9), "InvalidVariable"),
        (
            '{"mcpServers": {"a": {"command": "x", "env": {\n"K": "${K:-v}"}}}}',
            (2, 6),
            "InvalidVariable",
        ),
        (" " * (mcp_settings.SIZE + 1), (1, 1), "TooLargeJson"),
        ("[" * 100, (1, 65), "TooLargeJson"),
        (
            json.dumps({"mcpServers": {f"s{n}": {"command": "x"} for n in range(65)}}),
            (1, 16),
            "TooManyServers",
        ),
    ],
)
def test_what_is_wrong_with_it(text: str, place: tuple[int, int], reason: str) -> None:
    [problem] = read(text).problems
    assert (problem.reason, (problem.line, problem.column)) == (reason, place), problem.message


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:3000/mcp", True),
        ("http://a.localhost", True),
        ("http://127.0.0.1", True),
        ("http://127.9.8.7:1/", True),
        ("http://[::1]:3000/mcp", True),
        ("http://localhost.example.com", False),
        ("http://mcp-server:8080", False),
        ("http://10.0.0.1", False),
        ("http://[2001:db8::1]/", False),
    ],
)
def test_what_is_on_the_same_machine(url: str, local: bool) -> None:  # noqa: FBT001 - a case
    found = url_of(url)
    assert found is not None
    assert found.local is local


def test_the_parts_of_a_url() -> None:
    assert url_of(f"HTTPS://user:{SECRET}@A.B./x/?token={SECRET}#{SECRET}") == Url("https", "a.b", 443, "/x")
    assert url_of(f"https://{'a' * 3000}") is None


def test_no_value_is_repeated() -> None:
    wrong = {
        "url": f"ftp://{SECRET}@x",
        "headers": {"A": f"${{env:{SECRET}}}"},
        "env": {"B": f"${{{SECRET}}}"},
    }
    told = read(of(a=wrong, b={"command": [SECRET], "disabled": SECRET}))
    assert len(told.problems) == 5
    assert SECRET not in str(told)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("${A}"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["url", "command", "headers", "env", "disabled", "x"]), inner)
    ),
    max_leaves=12,
)
URLS = st.lists(
    st.sampled_from(
        ["http", "https", "://", ":", "/", "@", "[", "]", "a.b", "::1", "${", "A", "}", "\ud800", "٣"]
    ),
    max_size=8,
).map("".join)


@given(TEXTS)
def test_any_text(text: str) -> None:
    settings = read(text)
    holds(text, list(settings.problems))
    assert not (settings.servers and any(one.reason == "InvalidJson" for one in settings.problems))


@given(VALUES, st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_any_value(value: Any, servers: dict[str, Any]) -> None:
    for body in (value, {"mcpServers": value}, {"mcpServers": servers}):
        text = json.dumps(body)
        settings = read(text)
        holds(text, list(settings.problems))
        lines = text.split("\n")
        assert all(1 <= one.column <= len(lines[one.line - 1]) for one in settings.servers)


@given(URLS | st.text(max_size=40))
def test_any_url(text: str) -> None:
    url = url_of(text)
    if url is not None:
        assert url.scheme in {"http", "https"}
        assert 0 <= url.port <= 65535
        assert url.host
        assert url.local in {True, False}
    [server] = read(of(a={"url": text})).servers
    assert server.url in {url, None}


WORST = {
    "servers": json.dumps({"mcpServers": {str(n): {} for n in range(5000)}}),
    "headers": of(a={"url": "https://a.b", "headers": {str(n): "${" for n in range(3000)}}),
    "url": of(a={"url": "https://" + "a." * 30_000}),
    "variables": of(a={"url": "${A}" * 16_000}),
    "dollars": of(a={"url": "$" * 65_000}),
    "port": of(a={"url": "https://a:" + "9" * 65_000}),
    "brackets": of(a={"url": "https://[" + ":" * 65_000}),
    "long": "{" * 1_000_000,
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_ends_soon(name: str) -> None:
    begin = time.process_time()
    settings = read(WORST[name])
    assert len(settings.problems) <= mcp_settings.MOST
    assert len(settings.servers) <= mcp_settings.SERVERS
    assert time.process_time() - begin < SOON
