"""Flags: what holds without any, and what a mistaken one is told."""

from __future__ import annotations

import pytest

from kiro_operator.settings import parse


def test_no_flag_is_needed() -> None:
    settings = parse([], {"POD_NAME": "kiro-operator-0"})
    assert settings.identity.startswith("kiro-operator-0_")
    assert settings.aws_endpoint_url == ""
    assert settings.allowed_hosts == frozenset()
    assert settings.cluster_facts_namespaces == {"kiro-system"}
    assert (settings.mcp_reconnect_command, settings.mcp_resync_command) == ((), ())


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--aws-endpoint-url", "file:///etc/passwd"], "write a URL"),
        (["--allow-host", "prometheus"], "write HOST:PORT"),
        (["--resolve", "prometheus=127.0.0.1:9090"], "write SERVICE.NAMESPACE:PORT"),
        (["--workers", "0"], "1 or more"),
        (["--stale-after", "0"], "seconds above 0"),
        (["--mcp-reconnect-command", ""], "write a program"),
        (["--mcp-resync-command", "sync --password=hunter2hunter2"], "let the program read its credential"),
        (["--lease-duration", "5"], "retry period < renew deadline < duration"),
    ],
)
def test_a_mistaken_flag_is_told_what_to_write(
    flags: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(flags, {})
    assert told in capsys.readouterr().err


def test_named_namespaces_replace_the_default() -> None:
    flags = ["--cluster-facts-namespace", "kiro-a", "--cluster-facts-namespace", "kiro-b"]
    assert parse(flags, {}).cluster_facts_namespaces == {"kiro-a", "kiro-b"}
