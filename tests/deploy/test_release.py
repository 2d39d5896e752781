"""What tools/release.py holds a release against; `make release` itself makes each one twice."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.rendered import OVERLAYS, ROOT
from tools import release

LOCK = """\
one-package==1.0 \\
    --hash=sha256:00
    # via two-package
two-package==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:00
"""
HASHED: list[Any] = [{"type": "distribution", "url": "x", "hashes": [{"alg": "SHA-256", "content": "00"}]}]
ONE = {"name": "one_package", "version": "1.0", "externalReferences": HASHED}
TWO = {"name": "two-package", "version": "2.0", "externalReferences": HASHED}


def test_an_sbom_is_about_what_is_locked() -> None:
    release.check_sbom({"components": [ONE, TWO]}, LOCK)
    for components, why in (
        ([ONE], "two-package"),
        ([ONE, TWO | {"version": "2.1"}], "2.1"),
        ([ONE, TWO, TWO | {"name": "three"}], "three"),
        ([ONE, TWO | {"externalReferences": []}], "no hash"),
        ([], "one-package"),
    ):
        with pytest.raises(release.IncompleteSbom, match=why):
            release.check_sbom({"components": components}, LOCK)


def test_the_lock_is_read_whole() -> None:
    text = (ROOT / "requirements.txt").read_text()
    assert len(release.locked(text)) == sum("==" in line and line[0].isalnum() for line in text.splitlines())


def test_sums_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"b")
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / release.SUMS).write_text("old")
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in "ab"]
    assert release.sums(tmp_path) == f"{digests[0]}  a\n{digests[1]}  b\n"


def test_every_overlay_is_released() -> None:
    assert release.OVERLAYS == OVERLAYS
    assert {path.name for path in (ROOT / "deploy/overlays").iterdir()} == {*OVERLAYS}
