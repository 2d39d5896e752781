"""Programs that come as a Debian package: fetched and unpacked into the cache, never installed.

No root is needed. Where the machine's own package lists do not know the package, lists of our own are
fetched from the machine's own sources.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import BuildFailed

TOOLS = ("apt-get", "dpkg-deb")
WITHIN_SECONDS = 300


@dataclass(frozen=True)
class Package:
    """A package with a program of the same name.

    Attributes:
        data: The folder that the program reads by an absolute path. It is put beside `bin`, under the last
            part of its name, and the program reads it there when it is started in the folder above `bin`.
    """

    name: str
    data: str


def fetch(wanted: Package, target: Path, say: Callable[[str], None]) -> None:
    """Put the package's program at `target`.

    Raises:
        BuildFailed: The machine has no apt, or its sources do not have the package.
    """
    package = wanted.name
    installed = shutil.which(package)
    if installed is not None:
        say(f"{target.name}: {installed} is installed")
        _place(Path(installed).read_bytes(), target)
        return
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        raise BuildFailed(
            f"{target.name} comes as the Debian package {package}, and there is no {' and no '.join(absent)} "
            f"here: put a program named {package} on the PATH"
        )
    say(f"{target.name}: fetching the Debian package {package}")
    with tempfile.TemporaryDirectory(dir=target.parent.parent) as folder:
        archive = _download(package, Path(folder), say)
        unpacked = Path(folder) / "unpacked"
        _run(["dpkg-deb", "-x", str(archive), str(unpacked)], Path(folder))
        program = unpacked / "usr" / "bin" / package
        if not program.is_file():
            raise BuildFailed(f"the package {archive.name} has no usr/bin/{package}")
        beside = target.parent.parent / Path(wanted.data).name
        shutil.copytree(unpacked / wanted.data.lstrip("/"), beside, dirs_exist_ok=True)
        _place(relocated(program.read_bytes(), wanted.data), target)


def relocated(program: bytes, folder: str) -> bytes:
    """The program with a folder's absolute path made relative, of the same length: ``././…/name``."""
    name = Path(folder).name
    room = len(folder) - len(name)
    relative = "./" * (room // 2) + "/" * (room % 2) + name
    return program.replace(folder.encode(), relative.encode())


def _download(package: str, folder: Path, say: Callable[[str], None]) -> Path:
    try:
        return _downloaded(package, folder, ())
    except BuildFailed:
        say(f"{package}: not in this machine's package lists; fetching lists")
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    own = (
        "-o", f"Dir::State::Lists={folder / 'lists'}",
        "-o", f"Dir::Cache={folder / 'cache'}",
    )  # fmt: skip
    try:
        _run(["apt-get", *_sandbox(), *own, "update"], folder)
        return _downloaded(package, folder, own)
    except BuildFailed as error:
        raise BuildFailed(
            f"the Debian package {package} cannot be had from this machine's package sources: install it, "
            f"or put a program named {package} on the PATH.\n{error}"
        ) from error


def _downloaded(package: str, folder: Path, options: Sequence[str]) -> Path:
    _run(["apt-get", *_sandbox(), *options, "download", package], folder)
    archives = sorted(folder.glob(f"{package}_*.deb"))
    if not archives:
        raise BuildFailed(f"apt-get download {package} left no archive")
    return archives[0]


def _sandbox() -> tuple[str, ...]:
    # Root drops to a user that may not write into a folder of ours, and complains of it.
    return ("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True, timeout=WITHIN_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"{' '.join(command)} did not end within {WITHIN_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise BuildFailed(f"{' '.join(command)} failed: {error.stderr.strip()[-1000:]}") from error


def _place(program: bytes, target: Path) -> None:
    """Write under another name and rename, so that half a program is never found."""
    unfinished = target.parent.parent / f"{target.name}.unfinished"
    unfinished.write_bytes(program)
    unfinished.chmod(0o755)
    unfinished.rename(target)
