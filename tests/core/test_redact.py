"""A secret that is planted in a log never survives, wherever it stands."""

import json
import string
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.redact import REDACTED, redact

CORPUS = yaml.safe_load((Path(__file__).parent / "redaction" / "corpus.yaml").read_text())
AROUND = {
    "alone": "{}",
    "in a line": "2026-03-02T11:59:01Z INFO [main] {} (done)",
    "between lines": "before\n{}\nafter",
    "twice": "{0}; {0}",
}
each_secret = pytest.mark.parametrize("entry", CORPUS["secrets"], ids=lambda item: item["id"])

WORD = string.ascii_letters + string.digits
secrets = st.text(WORD + "-_.~+/!$%^*", min_size=12, max_size=40).map(lambda text: f"S3cr{text}9t")
plain = st.text(WORD, min_size=16, max_size=40)
noise = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\"'\\"), max_size=12)

FORMS = {
    "bearer": "GET /v1 Authorization: Bearer {s} 200",
    "bearer alone": "sent bearer {s} upstream",
    "basic": "Proxy-Authorization: Basic {s}",
    "custom scheme": "authorization: token {s}",
    "url": "dial postgres://kiro:{s}@db.example.com:5432/kiro failed",
    "url with only a token": "clone https://{s}@git.example.com/kiro.git",
    "password": "password={s}",
    "env": "KIRO_DB_PASSWORD={s}",
    "yaml": "  secret: {s}",
    "query": "GET /v1/chat?user=kiro&access_token={s} 200",
    "spaced": "api_key = {s}",
    "json": '{{"user":"kiro","client_secret":"{s}","n":1}}',
    "json in json": '{{"msg":"body {{\\"apiKey\\":\\"{s}\\",\\"n\\":1}}"}}',
    "single quotes": "{{'token': '{s}', 'n': 1}}",
    "quoted with blanks": 'passphrase: "correct {s} staple"',
    "flag": "exec kiro --db-password {s} --port 80",
    "flag with equals": "exec kiro --token={s}",
    "connection string": "Server=db;User Id=kiro;Password={s};Encrypt=yes",
    "account key": "DefaultEndpointsProtocol=https;AccountName=kiro;AccountKey={s};",
    "go dsn": "kiro:{s}@tcp(db:3306)/kiro",
    "cookie": "Set-Cookie: sid={s}; HttpOnly",
    "arrow": "token => {s}",
    "aws secret": "aws_secret_access_key = {s}",
    "session token": "AWS_SESSION_TOKEN={s}",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(secret=secrets, before=noise, after=noise)
def test_named_secret(form: str, secret: str, before: str, after: str) -> None:
    line = form.format(s=secret)
    assert secret not in redact(f"{before} {line}\n{after}")
    assert REDACTED in redact(line)


@given(plain, plain, plain, noise)
def test_json_web_token(head: str, body: str, sign: str, before: str) -> None:
    out = redact(f"{before} got eyJ{head}.eyJ{body}.{sign} from client")
    assert not any(part in out for part in (f"eyJ{head}", body, sign))


@given(st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16), noise)
def test_aws_key_id(rest: str, before: str) -> None:
    assert rest not in redact(f"{before} key AKIA{rest} used")


@pytest.mark.parametrize("prefix", ["ghp_", "github_pat_", "glpat-", "xoxb-", "sk-", "AIza", "hvs."])
@given(rest=plain)
def test_token_with_a_known_prefix(prefix: str, rest: str) -> None:
    assert rest not in redact(f"using {prefix}{rest} now")


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
@given(body=st.lists(st.text(WORD + "+/", min_size=64, max_size=64), min_size=1, max_size=6))
def test_private_key_whole_or_cut(kind: str, body: list[str]) -> None:
    head, tail = f"-----BEGIN {kind}PRIVATE KEY-----", f"-----END {kind}PRIVATE KEY-----"
    inner = "\n".join(body)
    for text in (f"a\n{head}\n{inner}\n{tail}\nb", f"a\n{head}\n{inner}", f"{inner}\n{tail}\nb"):
        out = redact(text)
        assert not any(line in out for line in body)
    escaped = json.dumps({"key": f"{head}\n{inner}\n{tail}"})
    assert not any(line in redact(escaped) for line in body)


def secret_of(entry: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The text with the secret in it, and what of it must not be left: its lines, and its longer parts."""
    secret = "".join(entry["secret"])
    parts = [part for part in (*secret.split("\n"), *entry["secret"]) if len(part) > 7]
    return entry["text"].format(secret), [*(parts or [secret]), secret]


@each_secret
@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_corpus(entry: Mapping[str, Any], around: str) -> None:
    text, secrets_ = secret_of(entry)
    out = redact(around.format(text))
    assert [part for part in secrets_ if part in out] == []
    assert REDACTED in out
    assert redact(out) == out


@each_secret
def test_json_stays_json(entry: Mapping[str, Any]) -> None:
    text, secrets_ = secret_of(entry)
    for record in ({"level": "info", "msg": text, "n": 1}, {"msg": json.dumps({"inner": text}), "n": 1}):
        out = redact(json.dumps(record))
        assert json.loads(out)["n"] == 1
        assert [part for part in secrets_ if part in out] == []
    if text.startswith('{"'):
        assert json.loads(redact(text)) is not None


def test_corpus_is_large_and_has_no_double() -> None:
    ids = [entry["id"] for entry in CORPUS["secrets"]]
    assert len(ids) == len(set(ids)) >= 60


@pytest.mark.parametrize("text", CORPUS["innocent"])
def test_the_rest_is_left(text: str) -> None:
    for form in (*AROUND.values(), '{{"msg":"{}"}}'):
        assert redact(form.format(text)) == form.format(text)


@given(st.lists(st.sampled_from(CORPUS["secrets"]), min_size=1, max_size=4), noise)
def test_secrets_together(entries: list[Mapping[str, Any]], between: str) -> None:
    """One that stands beside another is found as well, line by line."""
    out = redact(f"\n{between}\n".join(secret_of(entry)[0] for entry in entries))
    # What another entry says openly, such as the name of a host, is no secret of this one.
    openly = f"\n{between}\n".join(entry["text"] for entry in entries)
    parts = [part for entry in entries for part in secret_of(entry)[1] if part not in openly]
    assert [part for part in parts if part in out] == []


@given(
    st.text(max_size=300) | st.text("password: =\"'\\{}[]@/.\nBearer0123456789+- eyJtokens&?", max_size=300)
)
def test_any_text_comes_to_rest(text: str) -> None:
    """Also what is no secret: no text breaks it, and none grows without end."""
    once = redact(text)
    assert once.count("\n") <= text.count("\n") + 1
    assert len(redact(redact(once))) <= len(once) + 2 * len(REDACTED)


@given(secrets)
def test_twice_is_the_same_as_once(secret: str) -> None:
    for form in FORMS.values():
        once = redact(form.format(s=secret))
        assert secret not in redact(once)


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "A1b2",
        "a:",
        "://",
        "eyJ",
        "_eyJ",
        "eyJa.",
        "password",
        "token ",
        "-",
        "--",
        "-----BEGIN ",
        '\\"',
        "a=",
        "b\n",
        "QUJD\n",
        ":a@",
        "a.",
        "a@a.",
        "1",
        "4 ",
        "4-",
        "+1 ",
        "+1(",
        "AB12",
        "AB12 ",
        "cookie=",
        "authorization: bearer ",
        'token":',
        'token":[',
        "secret_",
        "sk-",
        "q~",
        "1:AA",
        "curl -u ",
        "mysql ",
        "docker login ",
        "?key=",
        "bearer ",
        "basic a",
        "$2b$",
        "password:\n",
        "passwords:\n- ",
        "passwords:\n- a\n",
        "- a\n",
        "tokens: a,",
        "tokens: a, ",
        "tokens: 1",
        'tokens":{"a":1,',
        "api_keys: [",
        "requirepass ",
        "auth-pass a ",
        "token_type",
        "a_password_name ",
        "hooks.slack.com/services/",
        'digest ="',
        "--token ",
        "name: password ",
        "name: token\n",
        "<password>",
        "<a password ",
        "('token",
        "('token', '",
        "identified by '",
        "</",
    ],
)
def test_no_text_makes_it_slow(unit: str) -> None:
    text = unit * (262_144 // len(unit))
    began = time.process_time()
    redact(text)
    assert time.process_time() - began < 2
