"""What the build does around `go build`, and the reservation of ports; no control plane is needed."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from devcluster import build, ports, toolchain
from devcluster.errors import BuildFailed, NotBuilt

GO = """#!/bin/sh
case "$1" in
version) echo "go version go1.99.0 linux/amd64" ;;
list) echo "{module}" ;;
build) while [ "$1" != -o ]; do shift; done; echo "$3" >> {calls}; {build} ;;
esac
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path / "cache"


def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what_build_does: str) -> Path:
    """A go command that writes down what it builds; returns that file."""
    module = tmp_path / "module"
    (module / build.KWOK_CRDS).mkdir(parents=True, exist_ok=True)
    (module / build.KWOK_CRDS / "stages.yaml").write_text("kind: X\n", encoding="utf-8")
    for name in build.KWOK_OBJECTS:
        (module / name).parent.mkdir(parents=True, exist_ok=True)
        (module / name).write_text("kind: Y\n", encoding="utf-8")
    go = tmp_path / "gobin" / "go"
    go.parent.mkdir(exist_ok=True)
    calls = tmp_path / "calls"
    go.write_text(GO.format(module=module, calls=calls, build=what_build_does), encoding="utf-8")
    go.chmod(go.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    return calls


def test_builds_what_is_missing_only(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_go(tmp_path, monkeypatch, 'echo made > "$2"')
    lines: list[str] = []
    build.build(["etcd"], say=lines.append)
    assert build.program("etcd").is_relative_to(cache)
    assert "[1/1] etcd: building, about 17 s cold" in lines
    build.build(["etcd", "kwok"], say=lines.append)
    assert [Path(line).name for line in calls.read_text().splitlines()] == ["v3", "kwok"]
    assert (build.kwok_manifests() / "crds" / "stages.yaml").exists()


def test_an_interrupted_build_leaves_nothing_to_mistake(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_go(tmp_path, monkeypatch, 'echo half > "$2"; echo "undefined: frobnicate"; exit 1')
    with pytest.raises(BuildFailed, match="undefined: frobnicate"):
        build.build(["etcd"])
    assert build.locate("etcd") is None
    assert cache.exists()


@pytest.mark.usefixtures("cache")
def test_a_missing_program_says_how_to_make_it() -> None:
    with pytest.raises(NotBuilt, match="python -m devcluster build kwok"):
        build.program("kwok")


@pytest.mark.usefixtures("cache")
def test_an_unknown_program_is_refused() -> None:
    with pytest.raises(BuildFailed, match="no such program: kubelet"):
        build.build(["kubelet"])


@pytest.mark.usefixtures("cache")
def test_envtest_assets_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    etcd = tmp_path / "etcd"
    etcd.touch(mode=0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert build.program("etcd") == etcd
    assert build.locate("kube-apiserver") is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go 1.26.4", (1, 26, 4)),
        ("go version devel", ()),
    ],
)
def test_go_versions(text: str, version: tuple[int, ...]) -> None:
    assert toolchain.parse_version(text) == version


def test_port_blocks_do_not_overlap() -> None:
    first, second = ports.reserve(), ports.reserve()
    try:
        assert not set(first.ports.values()) & set(second.ports.values())
    finally:
        first.release()
        second.release()


def test_a_port_in_use_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])
