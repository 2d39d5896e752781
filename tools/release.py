"""Make what is published of a version: wheel, sdist, install manifests, SBOM and their sums.

Run as ``python -m tools.release``; ``make release`` does. It is made from the commit that is checked out, not
from the files as they lie about, and made twice: what differs between the two is an error. Nothing is signed:
the keys are those of whoever publishes.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devcluster import build

ROOT = Path(__file__).parent.parent
OVERLAYS = ("observe", "restart", "scale", "kiro-system")
SUMS = "SHA256SUMS"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


class NotReproducible(Exception):
    """The same commit gave different files."""


class IncompleteSbom(Exception):
    """The SBOM is not about what is locked."""


def locked(requirements: str) -> set[tuple[str, str]]:
    """Name and version of each package that a lock file pins."""
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in _PIN.findall(requirements)}


def check_sbom(sbom: dict[str, Any], requirements: str) -> None:
    """Hold an SBOM against the lock file that it was made from.

    Raises:
        IncompleteSbom: it lacks a package, or names one that is not locked, or one without its hashes.
    """
    components = sbom.get("components", [])
    named = {(re.sub(r"[-_.]+", "-", item["name"]).lower(), item["version"]) for item in components}
    if odd := named ^ locked(requirements):
        raise IncompleteSbom(f"not in both the SBOM and the lock: {sorted(odd)}")
    for item in components:
        references = item.get("externalReferences", [])
        if not any(reference.get("hashes") for reference in references):
            raise IncompleteSbom(f"{item['name']} has no hash in the SBOM")


def sums(folder: Path) -> str:
    """SHA-256 of each file, as sha256sum prints and checks it."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != SUMS
    )


def make(tree: Path, into: Path, programs: Path, epoch: str) -> None:
    """Make all files of a release from a source tree, and their sums."""
    project = tomllib.loads((tree / "pyproject.toml").read_text())["project"]
    stem = f"{project['name']}-{project['version']}"
    environment = os.environ | {"SOURCE_DATE_EPOCH": epoch, "TZ": "UTC", "PYTHONHASHSEED": "0"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tree, env=environment, check=False, capture_output=True, text=True, timeout=300
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    run(str(programs / "hatchling"), "build", "-d", str(into))
    for overlay in OVERLAYS:
        manifests = run(str(build.program("kubectl")), "kustomize", f"deploy/overlays/{overlay}")
        (into / f"{stem}-install-{overlay}.yaml").write_text(manifests)
    sbom = into / f"{stem}.cdx.json"
    run(
        *(
            str(programs / "cyclonedx-py"),
            "requirements",
            "requirements.txt",
            "--pyproject",
            "pyproject.toml",
        ),
        *("--output-reproducible", "--output-format", "JSON", "--output-file", str(sbom)),
    )
    check_sbom(json.loads(sbom.read_text()), (tree / "requirements.txt").read_text())
    (into / SUMS).write_text(sums(into))


def release(root: Path, into: Path, programs: Path) -> str:
    """Make a release twice and keep it when it was the same; returns its sums.

    Raises:
        NotReproducible: it was not.
    """

    def git(*arguments: str) -> bytes:
        command = [shutil.which("git") or "git", *arguments]
        return subprocess.run(command, cwd=root, check=True, capture_output=True).stdout

    epoch = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct").decode().strip()
    archive = git("archive", "--format=tar", "HEAD")
    made: list[Path] = []
    with tempfile.TemporaryDirectory(prefix="kiro-release-") as scratch:
        for number in ("first", "second"):
            tree, files = Path(scratch) / number / "tree", Path(scratch) / number / "files"
            files.mkdir(parents=True)
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extractall(tree, filter="data")
            make(tree, files, programs, epoch)
            made.append(files)
        first, second = ((files / SUMS).read_text() for files in made)
        if first != second:
            raise NotReproducible(f"the same commit gave\n{first}and then\n{second}")
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(made[0], into)
    return first


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the release of the commit that is checked out."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description="Make a release.")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="folder, which is made anew")
    parser.add_argument("--programs", type=Path, required=True, help="where hatchling and cyclonedx-py are")
    options = parser.parse_args(arguments)
    print(release(ROOT, options.into.absolute(), options.programs.absolute()), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
