"""Downloaded binaries are what was published, or they are not used."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from devcluster import download
from devcluster.errors import BuildFailed
from devcluster.listen import Answer, Request, Server

CONTENT = b"#!/bin/sh\n"


def site(published: str) -> Server:
    def handler(request: Request) -> Answer:
        return Answer(body=published.encode() if request.path.endswith(".sha256") else CONTENT)

    return Server(handler)


def test_a_good_one_is_taken(tmp_path: Path) -> None:
    with site(hashlib.sha256(CONTENT).hexdigest()) as server:
        assert download.fetch("kubectl", "v1.0.0", tmp_path / "kubectl", lambda _: None, site=server.url)
        assert server.requests[1].path.startswith("/v1.0.0/bin/linux/")
    assert (tmp_path / "kubectl").stat().st_mode & 0o111


def test_a_wrong_one_is_refused(tmp_path: Path) -> None:
    with site("0" * 64) as server, pytest.raises(BuildFailed, match="published is 000"):
        download.fetch("kubectl", "v1.0.0", tmp_path / "kubectl", lambda _: None, site=server.url)
    assert list(tmp_path.iterdir()) == []


def test_without_the_site_it_is_built(tmp_path: Path) -> None:
    with Server() as server:
        server.break_with("refuse")
        assert not download.fetch("kubectl", "v1.0.0", tmp_path / "kubectl", lambda _: None, site=server.url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "name", "expected"), [("1", "kubectl", True), ("0", "kubectl", False), ("1", "etcd", False)]
)
def test_only_where_asked(
    monkeypatch: pytest.MonkeyPatch, setting: str, name: str, *, expected: bool
) -> None:
    monkeypatch.setenv("KIRO_DEVCLUSTER_DOWNLOAD", setting)
    assert download.wanted(name) is expected
