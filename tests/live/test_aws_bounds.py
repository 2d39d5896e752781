"""What answers in AWS's place and means no good: every answer ends, and the next one is heard again."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from devcluster.pki import make_authority
from kiro_operator.adapters.aws import account as accounts_module
from kiro_operator.adapters.aws import transport
from kiro_operator.adapters.aws.account import Accounts, Who
from kiro_operator.adapters.aws.identity import identity
from kiro_operator.adapters.aws.transport import Sender
from kiro_operator.core.evidence.aws import Identity
from kiro_operator.core.snapshot import Unobserved
from tests.harness import raw
from tests.harness.aws import ACCOUNT
from tests.harness.raw import Raw, Serve, Started, http

ME = Who("us-east-1", "", "")
STS = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
ANSWER = (
    f"<GetCallerIdentityResponse {STS}><GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/x</Arn>"
    f"<UserId>U</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
).encode()
ASSUMED = (
    f"<AssumeRoleWithWebIdentityResponse {STS}><AssumeRoleWithWebIdentityResult><Credentials>"
    "<AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
    "<Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
    "</AssumeRoleWithWebIdentityResponse>"
)
"""What STS says to whoever shows a token; it is not signed."""
WELL = Identity(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/x")
LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)
BLOW_UP = f'<!DOCTYPE x [<!ENTITY a "{"h" * 500_000}">]><x>{"&a;" * 100}</x>'


class Mended:
    """AWS, and whoever hands credentials out on the node, once they no longer mean harm."""

    def __init__(self, serve: Serve | bytes) -> None:
        self.serve: Serve | None = raw.sends(serve) if isinstance(serve, bytes) else serve
        self.server: Raw | None = None
        self.seconds = 3600.0
        """How long the credentials that are handed out hold."""

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        assert self.server is not None
        if self.serve is not None:
            await self.serve(writer)
            return
        writer.write(http(self.well(self.server.requests[-1])))
        await writer.drain()

    def well(self, request: bytes) -> bytes:
        """The answer to a request that began like this."""
        until = (datetime.now(UTC) + timedelta(seconds=self.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        if request.startswith(b"PUT /latest/api/token"):
            return b"session"
        if request.startswith(b"GET /latest/meta-data/iam/security-credentials/ "):
            return b"kiro"
        if request.startswith(b"GET "):
            given = {"AccessKeyId": "ASIATEST", "SecretAccessKey": "s", "Token": "t", "Expiration": until}
            return json.dumps(given).encode()
        if b"authorization:" in request.lower():
            return ANSWER
        return ASSUMED.format(until=until).encode()

    def mend(self) -> None:
        self.serve = None


async def stood_up(started: Started, answers: Mended, context: ssl.SSLContext | None = None) -> str:
    """Start it; returns where it is."""
    answers.server = await started(answers, context)
    return f"{'https' if context else 'http'}://127.0.0.1:{answers.server.port}"


@pytest_asyncio.fixture
async def started() -> AsyncIterator[Started]:
    async with raw.servers() as start:
        yield start


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's own; and nobody is waited for longer than a test takes."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(transport, "EXCHANGE", 4.0)
    monkeypatch.setattr(transport, "ATTEMPTS", 1)


def accounts(url: str, **environment: str) -> Accounts:
    return Accounts(frozenset(), url, environment)


async def asked(asking: Accounts, who: Who = ME) -> Identity | Unobserved:
    async with asyncio.timeout(30):
        return await asking.ask(who, identity)


def reason(answer: Identity | Unobserved) -> str:
    assert isinstance(answer, Unobserved), answer
    return answer.reason


async def endless_body(writer: asyncio.StreamWriter) -> None:
    writer.write(http(b"", "200 OK", "Transfer-Encoding: chunked", length=False))
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        await writer.drain()


async def hundred_megabytes(writer: asyncio.StreamWriter) -> None:
    writer.write(http(b"", "200 OK", "Content-Length: 100000000", length=False))
    for _ in range(1600):
        writer.write(b" " * 62_500)
        await writer.drain()


async def unfinished(writer: asyncio.StreamWriter) -> None:
    """A body without a length that grows too slowly for anybody."""
    writer.write(http(ANSWER[:-20], length=False))
    await raw.silent(writer)


HOSTILE: dict[str, tuple[Serve | bytes, str]] = {
    "100 MB": (hundred_megabytes, "AnswerTooLarge"),
    "without an end": (raw.pour, "AnswerTooLarge"),
    "chunks without an end": (endless_body, "AnswerTooLarge"),
    "a chunk without an end": (raw.endless_chunk, "Unreachable"),
    "headers without an end": (raw.endless_headers, "Unreachable"),
    "drips": (raw.drip, "Timeout"),
    "headers drip": (raw.dripping_headers, "Timeout"),
    "wait, wait, wait": (raw.endless_continue, "Timeout"),
    "stops in the middle": (unfinished, "Timeout"),
    "says nothing": (raw.silent, "Timeout"),
    "redirect": (http(b"", "302 Found", "Location: /elsewhere"), "MalformedAnswer"),
    "redirect to link-local": (
        http(b"", "307 No", "Location: http://169.254.169.254/latest"),
        "MalformedAnswer",
    ),
    "deep JSON": (http(b"[" * 500_000), "MalformedAnswer"),
    "deep XML": (http(b"<a>" * 100_000), "MalformedAnswer"),
    "deep and closed": (http(b"<a>" * 100_000 + b"</a>" * 100_000), "MalformedAnswer"),
    "deep error": (http(b"<a>" * 100_000 + b"</a>" * 100_000, "400 Bad"), "MalformedAnswer"),
    "not UTF-8": (http(ANSWER.replace(b"user/x", b"user/\xff\xfe")), "MalformedAnswer"),
    "another type": (http(b"<html>log in</html>", "200 OK", "Content-Type: text/html"), "MalformedAnswer"),
    "bomb": (http(gzip.compress(bytes(50_000_000)), "200 OK", "Content-Encoding: gzip"), "MalformedAnswer"),
    "laughs": (http(f"{LAUGHS}<x>&j;</x>".encode()), "MalformedAnswer"),
    "laughs in UTF-16": (http(f"{LAUGHS}<x>&j;</x>".encode("utf-16")), "MalformedAnswer"),
    "one long laugh": (http(BLOW_UP.encode()), "MalformedAnswer"),
    "a document type at all": (http(b"<!DOCTYPE x>" + ANSWER), "MalformedAnswer"),
    "foreign entity": (
        http(b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'),
        "MalformedAnswer",
    ),
}


@pytest.mark.parametrize(("serve", "expected"), HOSTILE.values(), ids=HOSTILE)
async def test_every_answer_ends_and_the_next_is_heard(
    started: Started, serve: Serve | bytes, expected: str
) -> None:
    answers = Mended(serve)
    asking = accounts(await stood_up(started, answers))
    server = answers.server
    assert server is not None
    # More than there are threads: none of them is lost.
    whos = [Who("us-east-1", "", f"id-{number}") for number in range(accounts_module.THREADS + 1)]
    got = await asyncio.gather(*(asked(asking, who) for who in whos))
    assert {reason(one) for one in got} == {expected}
    assert all(isinstance(one, Unobserved) and str(server.port) not in one.message for one in got)
    assert len(server.requests) == len(whos)
    assert not any(b"elsewhere" in request or b"/latest" in request for request in server.requests)
    answers.mend()
    assert await asked(asking, whos[0]) == WELL


async def test_no_more_is_read_than_may_be_kept(started: Started) -> None:
    written = 0

    async def count(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(http(b"", "200 OK", "Content-Length: 100000000", length=False))
        while not writer.is_closing():
            writer.write(b" " * 62_500)
            await writer.drain()
            written += 62_500

    server = await started(count)
    assert reason(await asked(accounts(f"http://127.0.0.1:{server.port}"))) == "AnswerTooLarge"
    assert written < 16 * transport.LIMIT  # what the two ends of a connection hold in between


async def test_exactly_the_limit(started: Started) -> None:
    server = await started(http(ANSWER + b" " * (transport.LIMIT - len(ANSWER))))
    assert await asked(accounts(f"http://127.0.0.1:{server.port}")) == WELL
    server = await started(http(ANSWER + b" " * (transport.LIMIT + 1 - len(ANSWER))))
    assert reason(await asked(accounts(f"http://127.0.0.1:{server.port}"))) == "AnswerTooLarge"


async def test_a_question_ends_however_many_requests_it_takes(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "EXCHANGE", 60.0)
    monkeypatch.setattr(transport, "ATTEMPTS", 2)
    monkeypatch.setattr(accounts_module, "QUESTION", 1.0)
    server = await started(raw.drip)
    assert reason(await asked(accounts(f"http://127.0.0.1:{server.port}"))) == "Timeout"


async def test_a_certificate_that_does_not_verify(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = make_authority(tmp_path, "ca")
    pair = authority.issue("server", common_name="server", addresses=("127.0.0.1",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    answers = Mended(raw.drip)
    url = await stood_up(started, answers, context)
    assert reason(await asked(accounts(url))) == "CertificateInvalid"
    assert answers.server is not None
    assert answers.server.requests == []
    # With the authority that the environment names it is as with any other: it ends, and is heard again.
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.cert_file))
    asking = accounts(url)
    assert reason(await asked(asking)) == "Timeout"
    answers.mend()
    assert await asked(asking) == WELL
    monkeypatch.delenv("AWS_CA_BUNDLE")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.cert_file))
    assert await asked(accounts(url)) == WELL


async def test_a_name_without_an_address() -> None:
    assert reason(await asked(accounts("http://aws.invalid"))) == "Unreachable"


async def test_a_proxy_is_gone_through(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Mended(raw.pour)
    monkeypatch.setenv("HTTP_PROXY", await stood_up(started, answers))
    asking = accounts("http://sts.example.com")
    assert reason(await asked(asking)) == "AnswerTooLarge"
    answers.mend()
    assert await asked(asking) == WELL
    assert answers.server is not None
    assert answers.server.requests[-1].startswith(b"POST http://sts.example.com/ HTTP/1.1\r\n")
    monkeypatch.setenv("NO_PROXY", "*")
    assert reason(await asked(asking)) == "Unreachable"


# --- what botocore asks by itself, before anything else ---------------------------------------------

FEW = {name: HOSTILE[name] for name in ("100 MB", "drips", "deep JSON", "one long laugh")}


def own_keys_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


@pytest.mark.parametrize(("serve", "expected"), FEW.values(), ids=FEW)
async def test_web_identity(
    started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, serve: Serve | bytes, expected: str
) -> None:
    own_keys_are_gone(monkeypatch)
    (tmp_path / "token").write_text("signed by the cluster")
    monkeypatch.setenv("AWS_ROLE_ARN", f"arn:aws:iam::{ACCOUNT}:role/kiro")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    answers = Mended(serve)
    asking = accounts(await stood_up(started, answers))
    assert reason(await asked(asking)) == expected
    answers.mend()
    assert await asked(asking) == WELL


@pytest.mark.parametrize(("serve", "expected"), FEW.values(), ids=FEW)
async def test_the_agent_of_pod_identity(
    started: Started, monkeypatch: pytest.MonkeyPatch, serve: Serve | bytes, expected: str
) -> None:
    own_keys_are_gone(monkeypatch)
    answers = Mended(serve)
    url = await stood_up(started, answers)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/v1/credentials")
    asking = accounts(url)
    told = reason(await asked(asking))
    assert told == ("NoCredentials" if expected == "Timeout" else expected)
    answers.mend()
    assert await asked(asking) == WELL


@pytest.mark.parametrize(("serve", "expected"), FEW.values(), ids=FEW)
async def test_the_role_of_the_node(
    started: Started, monkeypatch: pytest.MonkeyPatch, serve: Serve | bytes, expected: str
) -> None:
    own_keys_are_gone(monkeypatch)
    answers = Mended(serve)
    url = await stood_up(started, answers)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
    asking = accounts(url, AWS_EC2_METADATA_DISABLED="false")
    told = reason(await asked(asking))
    # What is no answer at all it takes for a node without a role.
    assert told == ("NoCredentials" if expected == "Timeout" or serve == FEW["deep JSON"][0] else expected)
    answers.mend()
    assert await asked(asking) == WELL


@pytest.mark.parametrize("by", ["web identity", "agent"])
async def test_credentials_are_renewed_before_they_end(
    started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by: str
) -> None:
    """With the token as it is by then: the kubelet writes another every hour."""
    own_keys_are_gone(monkeypatch)
    token = tmp_path / "token"
    answers = Mended(b"")
    answers.mend()
    url = await stood_up(started, answers)
    if by == "web identity":
        monkeypatch.setenv("AWS_ROLE_ARN", f"arn:aws:iam::{ACCOUNT}:role/kiro")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    else:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
    server = answers.server
    assert server is not None

    async def asked_with(asking: Accounts, word: str) -> list[bool]:
        """Whether each request for credentials showed the token that is there now."""
        token.write_text(word)
        server.requests.clear()
        assert await asked(asking) == WELL
        others = [request for request in server.requests if b"AWS4-HMAC-SHA256" not in request]
        return [word.encode() in request for request in others]

    lasting = accounts(url)
    assert await asked_with(lasting, "token-one") == [True]
    assert await asked_with(lasting, "token-two") == []
    answers.seconds = 120.0  # what ends within minutes is used no more, if there is anything else
    ending = accounts(url)
    assert all(await asked_with(ending, "token-three"))
    assert await asked_with(ending, "token-four") == [True]


async def test_another_botocore_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is replaced in it has no public name: where it has gone, AWS is not asked without bounds."""
    monkeypatch.setattr(transport, "URLLib3Session", Sender)
    with pytest.raises(TypeError, match="written for"):
        transport.Session(None, instance_metadata=False)
