"""Builds the control plane's programs from the pinned Go module into the user's cache.

A program that stands in the cache stays: an interrupted build resumes with the next one. The folder's
name is a digest of everything that decides what a binary is, so a bumped module never meets old binaries.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from devcluster import debian, download
from devcluster.errors import BuildFailed, NotBuilt
from devcluster.paths import GO_MODULE, cache_root
from devcluster.toolchain import find_go

KUBERNETES_VERSION = "v1.37.2"
# Without the -X the API server reports a version that kubectl cannot parse.
FLAGS = (
    "-mod=readonly",
    "-trimpath",
    "-ldflags",
    f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}",
)
PROGRESS_SECONDS = 20.0

Say = Callable[[str], None]


def say_nothing(_line: str) -> None:
    """For callers that show their own progress."""


@dataclass(frozen=True)
class Program:
    """One program of the control plane.

    Attributes:
        cold_seconds: How long a cold build takes on two cores, after the ones above it in the list.
        always: Whether a control plane needs it; the others are built by name.
        packaged: The Debian package it comes from, where it cannot be built from the Go module.
    """

    name: str
    package: str
    cold_seconds: int
    always: bool = True
    packaged: debian.Package | None = None


ALERTMANAGER = debian.Package("prometheus-alertmanager", "/usr/share/prometheus/alertmanager")
PROGRAMS = (
    Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", 460),
    Program("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", 140),
    Program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", 22),
    Program("kubectl", "k8s.io/kubernetes/cmd/kubectl", 36),
    Program("etcd", "go.etcd.io/etcd/server/v3", 17),
    Program("kwok", "sigs.k8s.io/kwok/cmd/kwok", 37),
    Program("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", 40),
    Program("promtool", "github.com/prometheus/prometheus/cmd/promtool", 150),
    Program("prometheus", "github.com/prometheus/prometheus/cmd/prometheus", 200, always=False),
    # Its module and Prometheus' do not settle in one go.mod.
    Program("alertmanager", "", 10, always=False, packaged=ALERTMANAGER),
)
BY_NAME = {program.name: program for program in PROGRAMS}
# envtest's folder holds these; what it lacks is built.
FROM_ENVTEST = ("etcd", "kube-apiserver", "kubectl")
# What of kwok's module a control plane applies: upstream's, so it always fits the binary.
KWOK_CRDS = "kustomize/crd/bases"
KWOK_OBJECTS = (
    "kustomize/metrics/resource/metrics-resource.yaml",
    "kustomize/metrics/usage/usage-from-annotation.yaml",
)


def cache_folder() -> Path:
    """The cache folder of exactly this module, these flags and this platform."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((GO_MODULE / name).read_bytes())
    digest.update("\0".join((*FLAGS, platform.system(), platform.machine())).encode())
    return cache_root() / digest.hexdigest()[:16]


def kwok_manifests() -> Path:
    """The folder with kwok's own CRDs and metric definitions."""
    return cache_folder() / "kwok"


def locate(name: str) -> Path | None:
    """The program's file, from KUBEBUILDER_ASSETS or the cache; None when it is not built."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and name in FROM_ENVTEST:
        given = Path(assets) / name
        if os.access(given, os.X_OK):
            return given
    built = cache_folder() / "bin" / name
    return built if built.exists() else None


def program(name: str) -> Path:
    """The program's file.

    Raises:
        NotBuilt: It is not there; the text says which command makes it.
    """
    found = locate(name)
    if found is None:
        raise NotBuilt(f"{name} is not built; run: python -m devcluster build {name}")
    return found


def missing() -> list[str]:
    """The programs a control plane needs that are not there yet."""
    lacking = [each.name for each in PROGRAMS if each.always and locate(each.name) is None]
    if not lacking and not kwok_manifests().exists():
        lacking.append("kwok")
    return lacking


def build(names: Sequence[str] = (), *, say: Say = say_nothing) -> None:
    """Build what is missing of `names`, by default of the programs that a control plane needs.

    Args:
        names: Program names as in PROGRAMS.
        say: Takes progress lines.

    Raises:
        BuildFailed: Go is not to be had, or a build failed; the log's tail is in the text.
    """
    unknown = set(names) - BY_NAME.keys()
    if unknown:
        raise BuildFailed(f"no such program: {', '.join(sorted(unknown))}; there are {', '.join(BY_NAME)}")
    wanted = list(names) or [each.name for each in PROGRAMS if each.always]
    if all(locate(name) for name in wanted) and kwok_manifests().exists():
        say(f"everything is built: {cache_folder()}")
        return
    folder = cache_folder()
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "build.lock")
    if lock.is_locked:
        say("waiting for another build")
    with lock:
        for name in wanted:
            _fetch(BY_NAME[name], folder, say)
        todo = [BY_NAME[name] for name in wanted if locate(name) is None]
        if not todo and kwok_manifests().exists():
            say(f"everything is built: {folder}")
            return
        go = find_go(say)
        if todo:
            total = sum(each.cold_seconds for each in todo)
            say(f"building {len(todo)} programs with {go}; {_minutes(total)} cold on two cores, seconds warm")
        for index, each in enumerate(todo, start=1):
            _build_one(go, each, folder, f"[{index}/{len(todo)}] {each.name}", say)
        _copy_kwok_manifests(go)
    say(f"everything is built: {folder}")


def _fetch(each: Program, folder: Path, say: Say) -> None:
    """Get a program ready-made, where it comes so or the user wants it so."""
    if locate(each.name) is not None:
        return
    if each.packaged:
        debian.fetch(each.packaged, folder / "bin" / each.name, say)
    elif download.wanted(each.name):
        download.fetch(each.name, KUBERNETES_VERSION, folder / "bin" / each.name, say)


def _build_one(go: Path, each: Program, folder: Path, label: str, say: Say) -> None:
    """Build into a temporary file and rename it, so that a half-written program is never found."""
    say(f"{label}: building, about {_minutes(each.cold_seconds)} cold")
    unfinished = folder / f"{each.name}.unfinished"
    log = folder / f"{each.name}.log"
    started = time.monotonic()
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [go, "build", *FLAGS, "-o", unfinished, each.package],
            cwd=GO_MODULE,
            env={**os.environ, "CGO_ENABLED": "0"},
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            code = _wait_with_progress(process, each, label, say)
        except BaseException:
            process.kill()
            raise
    if code != 0:
        raise BuildFailed(f"{label} failed, log {log}:\n{tail(log)}")
    unfinished.rename(folder / "bin" / each.name)
    say(f"{label}: built in {time.monotonic() - started:.0f} s")


def _wait_with_progress(process: subprocess.Popen[bytes], each: Program, label: str, say: Say) -> int:
    started = time.monotonic()
    while True:
        try:
            return process.wait(timeout=PROGRESS_SECONDS)
        except subprocess.TimeoutExpired:
            elapsed = time.monotonic() - started
            say(f"{label}: {elapsed:.0f} s elapsed of about {each.cold_seconds} s")


def _copy_kwok_manifests(go: Path) -> None:
    """Keep kwok's manifests beside its binary, so that booting needs neither Go nor its module cache."""
    target = kwok_manifests()
    if target.exists():
        return
    answer = subprocess.run(
        [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"],
        cwd=GO_MODULE,
        capture_output=True,
        text=True,
        check=False,
    )
    module = Path(answer.stdout.strip())
    if answer.returncode != 0 or not (module / KWOK_CRDS).is_dir():
        raise BuildFailed(f"kwok's module is not in Go's cache: {answer.stderr.strip()}")
    unfinished = target.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "crds").mkdir(parents=True)
    (unfinished / "objects").mkdir()
    for crd in sorted((module / KWOK_CRDS).glob("*.yaml")):
        (unfinished / "crds" / crd.name).write_bytes(crd.read_bytes())
    for source in KWOK_OBJECTS:
        (unfinished / "objects" / Path(source).name).write_bytes((module / source).read_bytes())
    unfinished.rename(target)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error's text; empty when there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _minutes(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds / 60:.0f} min"
