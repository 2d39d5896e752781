"""Official release binaries instead of a build, where the user asks for them and the network has them.

Opt-in by KIRO_DEVCLUSTER_DOWNLOAD=1. Each binary is checked against the SHA-256 published beside it; when
the site does not answer within seconds, or lacks a file, the program is built as always.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from devcluster.errors import BuildFailed

SITE = "https://dl.k8s.io"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
PROBE_SECONDS = 3.0
# Between two pieces of the body, not for the whole of it.
READ_SECONDS = 30.0
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def wanted(name: str) -> bool:
    """Whether this program is to be downloaded rather than built."""
    return os.environ.get("KIRO_DEVCLUSTER_DOWNLOAD") == "1" and name in PROGRAMS


def fetch(name: str, version: str, target: Path, say: Callable[[str], None], *, site: str = SITE) -> bool:
    """Download one program to `target`; False when it cannot be had, so that it is built.

    Raises:
        BuildFailed: What came is not what was published.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if platform.system() != "Linux" or architecture is None:
        return False
    url = f"{site}/{version}/bin/linux/{architecture}/{name}"
    unfinished = target.with_suffix(".download")
    try:
        # The digest is the probe: 64 bytes that come at once or not at all.
        with urllib.request.urlopen(f"{url}.sha256", timeout=PROBE_SECONDS) as answer:  # noqa: S310
            published = answer.read().decode().split()[0]
        say(f"{name}: downloading {url}")
        with urllib.request.urlopen(url, timeout=READ_SECONDS) as answer, unfinished.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(answer, file)
    except (urllib.error.URLError, OSError) as error:
        unfinished.unlink(missing_ok=True)
        say(f"{name}: no download ({error}); building instead")
        return False
    with unfinished.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != published:
        unfinished.unlink()
        raise BuildFailed(f"{url} has the SHA-256 {actual}, published is {published}")
    unfinished.chmod(0o755)
    unfinished.rename(target)
    return True
