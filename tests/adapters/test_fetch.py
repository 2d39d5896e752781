"""Requests to what a KiroHealthCheck names, and what comes back from servers that mean no good."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from devcluster.pki import make_authority
from kiro_operator.adapters.http.fetch import Fetcher, Response, refused
from kiro_operator.adapters.network.connections import Address, Dns, Fixed, Unresolved
from kiro_operator.api.v1alpha1.endpoint import Endpoint
from kiro_operator.core.objects import Service
from kiro_operator.core.snapshot import Unobserved
from tests.harness import raw
from tests.harness.raw import Serve, Started, drip, endless_headers, http, pour, silent

NAMESPACE = "kiro-system"
SERVICE = "web"
KNOWN = f"{SERVICE}.{NAMESPACE}:80"
LIMIT = 1000


@pytest_asyncio.fixture
async def started() -> AsyncIterator[Started]:
    async with raw.servers() as start:
        yield start


@pytest_asyncio.fixture
async def fetcher_of() -> AsyncIterator[Callable[..., Fetcher]]:
    made: list[Fetcher] = []

    def make(*arguments: Any) -> Fetcher:
        made.append(Fetcher(*arguments))
        return made[-1]

    yield make
    for fetcher in made:
        await fetcher.close()


def endpoint(**changes: Any) -> Endpoint:
    return Endpoint.model_validate({"service": {"name": SERVICE, "port": 80}} | changes)


async def ask(fetcher: Fetcher, where: Endpoint | None = None, **options: Any) -> Response | Unobserved:
    options = {"within": 5.0, "limit": LIMIT} | options
    return await fetcher.fetch(where or endpoint(), NAMESPACE, "/x", **options)


async def ask_json(fetcher: Fetcher, type_: Any = dict) -> Any:
    return await fetcher.json(endpoint(), NAMESPACE, "/x", type_, within=5.0)


async def test_an_answer(started: Started, fetcher_of: Callable[..., Fetcher]) -> None:
    server = await started(http(b'{"a":1}', "201 Created", "X-Odd: 1"))
    fetcher = fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"}))
    got = await ask(fetcher, endpoint(path="/prefix"), params={"q": "a b"})
    assert isinstance(got, Response)
    assert (got.status, got.body, got.headers["x-odd"]) == (201, b'{"a":1}', "1")
    assert 0 < got.seconds < 5
    [request] = server.requests
    first, *rest = request.decode().split("\r\n")
    assert first in {"GET /prefix/x?q=a+b HTTP/1.1", "GET /prefix/x?q=a%20b HTTP/1.1"}
    headers = {line.partition(":")[0].lower(): line.partition(": ")[2] for line in rest}
    assert headers["host"].startswith(f"{SERVICE}.{NAMESPACE}.svc")
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers
    assert "cookie" not in headers


async def test_a_form_is_posted(started: Started, fetcher_of: Callable[..., Fetcher]) -> None:
    server = await started(http(b"{}"))
    await ask(fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"})), form={"query": "up"})
    assert server.requests[0].startswith(b"POST /x HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (http(b"x" * (LIMIT + 1)), "AnswerTooLarge"),
        (pour, "AnswerTooLarge"),
        (drip, "Timeout"),
        (silent, "Timeout"),
        (endless_headers, "Unreachable"),
        (b"", "Unreachable"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "Unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "Unreachable"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "Unreachable"),
        (http(b"", "307 Temporary Redirect", "Location: http://169.254.169.254/latest"), "Redirected"),
        (http(b"", "302 Found", "Location: /elsewhere"), "Redirected"),
    ],
)
async def test_bad_answers_are_bounded(
    started: Started, fetcher_of: Callable[..., Fetcher], serve: Serve | bytes, reason: str
) -> None:
    server = await started(serve)
    fetcher = fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"}))
    clock = asyncio.get_running_loop().time
    began = clock()
    got = await ask(fetcher, within=0.5)
    assert clock() - began < 2
    assert isinstance(got, Unobserved)
    assert got.reason == reason
    assert str(server.port) not in got.message
    assert len(server.requests) <= 2  # aiohttp tries a GET again when the connection was cut at once


async def test_exactly_the_limit(started: Started, fetcher_of: Callable[..., Fetcher]) -> None:
    server = await started(http(b"x" * LIMIT))
    got = await ask(fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"})))
    assert isinstance(got, Response)
    assert len(got.body) == LIMIT


async def test_nothing_is_unpacked(started: Started, fetcher_of: Callable[..., Fetcher]) -> None:
    """A bomb stays as small as it was sent."""
    bomb = gzip.compress(bytes(50_000_000))
    server = await started(http(bomb, "200 OK", "Content-Encoding: gzip"))
    fetcher = fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"}))
    got = await ask(fetcher, limit=100_000)
    assert isinstance(got, Response)
    assert got.body == bomb
    assert (await ask_json(fetcher)).reason == "MalformedAnswer"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>login</html>",
        b"",
        b'{"a":"\xff\xfe"}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b"null",
        b'"text"',
        b"1" * 5000,
    ],
)
async def test_what_is_not_the_json_asked_for(
    started: Started, fetcher_of: Callable[..., Fetcher], body: bytes
) -> None:
    server = await started(http(body))
    got = await ask_json(fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"})), dict[str, Any])
    assert got.reason == "MalformedAnswer"
    assert len(got.message) <= 500


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("401 No", "Unauthorized"),
        ("403 No", "Unauthorized"),
        ("404 No", "BadAnswer"),
        ("503 No", "BadAnswer"),
    ],
)
async def test_other_statuses(
    started: Started, fetcher_of: Callable[..., Fetcher], status: str, reason: str
) -> None:
    server = await started(http(b"{}", status))
    fetcher = fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"}))
    assert (await ask_json(fetcher)).reason == reason
    whole = await ask(fetcher)
    assert isinstance(whole, Response)
    assert whole.status == int(status[:3])


@given(st.integers(100, 599))
def test_only_2xx_is_read(status: int) -> None:
    assert (refused(Response(status, {}, b"", 0.0), "/x") is None) == (200 <= status < 300)


# --- where it may connect to -----------------------------------------------------------------------


class Told(Dns):
    """DNS that says what the test wants; its rules are those of a pod."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append(host)
        if not self.addresses:
            raise Unresolved("Name or service not known")
        return [(address, port) for address in self.addresses]


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "127.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "168.63.129.16",
        "192.0.0.192",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1",
        "2002:a9fe:a9fe::1",
        "::a9fe:a9fe",
        "::ffff:127.0.0.1",
        "100.100.100.200",
        "0.0.0.0",  # noqa: S104 - it is to be refused
        "224.0.0.1",
    ],
)
async def test_names_that_lead_where_nobody_may_go(fetcher_of: Callable[..., Fetcher], address: str) -> None:
    for where in (endpoint(), endpoint(service=None, host="example.com:80")):
        got = await ask(fetcher_of(Told(address), frozenset({"example.com:80"})), where)
        assert isinstance(got, Unobserved)
        assert got.reason == "AddressForbidden"
        assert address not in got.message


async def test_only_the_allowed_addresses_of_a_name_are_used(
    started: Started, fetcher_of: Callable[..., Fetcher]
) -> None:
    server = await started(http(b"{}"))

    class Mixed(Fixed):
        async def resolve(self, host: str, port: int) -> Sequence[Address]:
            return [("169.254.169.254", port), *await super().resolve(host, port)]

    got = await ask(fetcher_of(Mixed({KNOWN: f"127.0.0.1:{server.port}"})))
    assert isinstance(got, Response)


async def test_a_name_without_address(fetcher_of: Callable[..., Fetcher]) -> None:
    got = await ask(fetcher_of(Told()))
    assert isinstance(got, Unobserved)
    assert got == Unobserved(
        "Unreachable", f"http://{SERVICE}.{NAMESPACE}.svc:80 cannot be reached: its name has no address"
    )


async def test_a_name_is_resolved_anew_each_time(fetcher_of: Callable[..., Fetcher]) -> None:
    """Otherwise a name that was good once could lead elsewhere unseen."""
    told = Told("127.0.0.1")
    fetcher = fetcher_of(told)
    await ask(fetcher)
    await ask(fetcher)
    assert told.asked == [f"{SERVICE}.{NAMESPACE}.svc"] * 2


async def test_nobody_listens(fetcher_of: Callable[..., Fetcher], unused_tcp_port: int) -> None:
    got = await ask(fetcher_of(Fixed({KNOWN: f"127.0.0.1:{unused_tcp_port}"})))
    assert isinstance(got, Unobserved)
    assert got.reason == "Unreachable"
    assert "refused" in got.message.lower()
    assert "127.0.0.1" not in got.message


@pytest.mark.parametrize("host", ["example.com:443", "example.com.evil.org:80", "example.com:8080"])
async def test_a_host_that_the_admin_has_not_allowed(fetcher_of: Callable[..., Fetcher], host: str) -> None:
    told = Told("127.0.0.1")
    got = await ask(fetcher_of(told, frozenset({"example.com:80"})), Endpoint.model_validate({"host": host}))
    assert isinstance(got, Unobserved)
    assert got.reason == "HostNotAllowed"
    assert f"--allow-host {host}" in got.message
    assert told.asked == []


@pytest.mark.parametrize("host", ["169.254.169.254:80", "127.0.0.1:80", "2130706433:80", "127.1:80"])
async def test_an_allowed_host_that_is_a_forbidden_address(
    fetcher_of: Callable[..., Fetcher], host: str
) -> None:
    got = await ask(fetcher_of(Dns(), frozenset({host})), Endpoint.model_validate({"host": host}))
    assert isinstance(got, Unobserved)
    assert got.reason == "AddressForbidden"


async def test_hosts_are_compared_without_case(started: Started, fetcher_of: Callable[..., Fetcher]) -> None:
    server = await started(http(b"{}"))
    fetcher = fetcher_of(Fixed({"example.com:80": f"127.0.0.1:{server.port}"}), frozenset({"example.com:80"}))
    got = await ask(fetcher, Endpoint.model_validate({"host": "Example.com:80"}))
    assert isinstance(got, Response)


# --- credentials -----------------------------------------------------------------------------------


def credential(folder: Path, **files: str) -> Path:
    """A credential for the one Service, which may be sent in the clear unless ``insecure`` is taken away."""
    files = {"host": f"{KNOWN}\n", "insecure": ""} | files
    place = folder / NAMESPACE / "mine"
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / name.replace("_", ".")).write_text(text)
    return place


async def test_a_token_is_sent_and_read_anew(
    started: Started, fetcher_of: Callable[..., Fetcher], tmp_path: Path
) -> None:
    server = await started(http(b"{}"))
    fetcher = fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"}), frozenset(), tmp_path)
    for token in ("first", "second"):
        credential(tmp_path, token=f"{token}\n")
        await ask(fetcher, endpoint(credential="mine"))
        assert f"Authorization: Bearer {token}\r\n".encode() in server.requests[-1]
    await ask(fetcher, endpoint())
    assert b"Authorization" not in server.requests[-1]


@pytest.mark.parametrize("hosts", [None, "", f"other.{NAMESPACE}:80", f"{KNOWN}80", KNOWN.replace("80", "8")])
async def test_a_credential_goes_to_nobody_that_it_is_not_for(
    fetcher_of: Callable[..., Fetcher], tmp_path: Path, hosts: str | None
) -> None:
    """Otherwise a pod of the namespace would be given the token of a server of the admin's."""
    place = credential(tmp_path, token="mine", host=hosts or "")  # noqa: S106 - no password
    if hosts is None:
        (place / "host").unlink()
    told = Told("127.0.0.1")
    got = await ask(fetcher_of(told, frozenset(), tmp_path), endpoint(credential="mine"))
    assert isinstance(got, Unobserved)
    assert got.reason == "CredentialNotForHost"
    assert f"write {KNOWN} into {NAMESPACE}/mine/host" in got.message
    assert told.asked == []


async def test_a_credential_for_several_hosts(
    started: Started, fetcher_of: Callable[..., Fetcher], tmp_path: Path
) -> None:
    server = await started(http(b"{}"))
    known = dict.fromkeys((KNOWN, "example.com:80"), f"127.0.0.1:{server.port}")
    credential(tmp_path, token="t", host=f"{KNOWN}\nExample.com:80\n")  # noqa: S106 - no password
    fetcher = fetcher_of(Fixed(known), frozenset({"example.com:80"}), tmp_path)
    for where in ({}, {"service": None, "host": "example.com:80"}):
        await ask(fetcher, endpoint(credential="mine", **where))
        assert b"Authorization: Bearer t\r\n" in server.requests[-1]
    assert len(server.requests) == 2


async def test_a_token_in_the_clear(
    started: Started, fetcher_of: Callable[..., Fetcher], tmp_path: Path
) -> None:
    server = await started(http(b"{}"))
    place = credential(tmp_path, token="mine")  # noqa: S106 - no password
    (place / "insecure").unlink()
    fetcher = fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"}), frozenset(), tmp_path)
    got = await ask(fetcher, endpoint(credential="mine"))
    assert isinstance(got, Unobserved)
    assert got.reason == "CredentialNeedsHttps"
    assert server.requests == []
    access = fetcher.access(endpoint(credential="mine", scheme="https"), NAMESPACE)
    assert not isinstance(access, Unobserved)
    assert access[0] == {"Authorization": "Bearer mine"}


async def test_a_credential_that_is_not_there(fetcher_of: Callable[..., Fetcher], tmp_path: Path) -> None:
    (tmp_path / "other-namespace" / "mine").mkdir(parents=True)
    told = Told("127.0.0.1")
    for folder in (None, tmp_path):
        got = await ask(fetcher_of(told, frozenset(), folder), endpoint(credential="mine"))
        assert isinstance(got, Unobserved)
        assert got.reason == "CredentialNotFound"
        assert f"{NAMESPACE}/mine/token" in got.message
    assert told.asked == []


async def test_a_credential_that_cannot_be_read(fetcher_of: Callable[..., Fetcher], tmp_path: Path) -> None:
    place = credential(tmp_path, ca_crt="no certificate")
    fetcher = fetcher_of(Told("127.0.0.1"), frozenset(), tmp_path)
    assert (place / "ca.crt").exists()
    got = await ask(fetcher, endpoint(credential="mine"))
    assert isinstance(got, Unobserved)
    assert got.reason == "CredentialUnreadable"
    (place / "ca.crt").unlink()
    (place / "token").write_bytes(b"secret\xff")
    got = await ask(fetcher, endpoint(credential="mine"))
    assert isinstance(got, Unobserved)
    assert got.reason == "CredentialUnreadable"
    assert "secret" not in got.message


async def test_a_token_that_would_break_out_of_its_header(
    started: Started, fetcher_of: Callable[..., Fetcher], tmp_path: Path
) -> None:
    server = await started(http(b"{}"))
    credential(tmp_path, token="a\r\nX-Evil: 1")  # noqa: S106 - no password
    fetcher = fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"}), frozenset(), tmp_path)
    got = await ask(fetcher, endpoint(credential="mine"))
    assert isinstance(got, Unobserved)
    assert "X-Evil" not in got.message
    assert server.requests == []


async def test_certificates(started: Started, fetcher_of: Callable[..., Fetcher], tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "ca")
    (tmp_path / "other").mkdir()
    stranger = make_authority(tmp_path / "other", "ca")
    fetcher: Fetcher | None = None
    for name, trusted, reason in (
        (f"{SERVICE}.{NAMESPACE}.svc", None, "CertificateInvalid"),
        (f"{SERVICE}.{NAMESPACE}.svc", stranger, "CertificateInvalid"),
        ("somebody.else.svc", authority, "CertificateInvalid"),
        (f"{SERVICE}.{NAMESPACE}.svc", authority, ""),
    ):
        pair = authority.issue("server", common_name="server", dns=(name,))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pair.cert, pair.key)
        server = await started(http(b"{}"), context)
        fetcher = fetcher_of(Fixed({KNOWN: f"127.0.0.1:{server.port}"}), frozenset(), tmp_path)
        where = endpoint(scheme="https")
        if trusted is not None:
            credential(tmp_path, ca_crt=trusted.cert_file.read_text())
            where = endpoint(scheme="https", credential="mine")
        got = await ask(fetcher, where)
        assert (got.reason if isinstance(got, Unobserved) else "") == reason
        assert bool(server.requests) == (not reason)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"type": "ExternalName"}, "ServiceNotOwn"),
        ({"type": "ClusterIP"}, "ServiceNotOwn"),
        ({"type": "ClusterIP", "selector": {"app": "web"}}, ""),
    ],
)
def test_a_service_that_leads_out_of_its_namespace_is_refused(spec: dict[str, Any], reason: str) -> None:
    service = msgspec.convert({"metadata": {"name": "web"}, "spec": spec}, Service)
    fetcher = Fetcher(
        Dns(), services=lambda namespace, name: service if (namespace, name) == ("kiro", "web") else None
    )
    endpoint = Endpoint.model_validate({"service": {"name": "web", "port": 80}})
    found = fetcher.url(endpoint, "kiro")
    assert (found.reason if isinstance(found, Unobserved) else "") == reason
    assert fetcher.url(endpoint, "other") == "http://web.other.svc:80"
