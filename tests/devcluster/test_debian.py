"""Programs out of Debian packages: what happens where there is no apt, no such package, or all is well."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from devcluster import debian
from devcluster.errors import BuildFailed

PACKAGE = debian.Package("lens", "/usr/share/optics/lens")
APT = """#!/bin/sh
for word in "$@"; do case "$word" in
download) {download} ;;
update) echo update >> {calls} ;;
esac; done
"""
DPKG = """#!/bin/sh
mkdir -p "$3/usr/bin" "$3/usr/share/optics/lens"
echo "reads /usr/share/optics/lens/a" > "$3/usr/bin/lens"
echo glass > "$3/usr/share/optics/lens/a"
"""


def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, download: str) -> Path:
    folder, calls = tmp_path / "tools", tmp_path / "calls"
    folder.mkdir()
    for name, text in (("apt-get", APT.format(download=download, calls=calls)), ("dpkg-deb", DPKG)):
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    return calls


def test_a_program_and_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools(tmp_path, monkeypatch, "touch lens_1_amd64.deb")
    debian.fetch(PACKAGE, tmp_path / "bin" / "optics", lambda _: None)
    program = tmp_path / "bin" / "optics"
    assert program.stat().st_mode & stat.S_IXUSR
    path = program.read_text().split()[1]
    assert len(path) == len("/usr/share/optics/lens/a")
    assert (tmp_path / path).read_text() == "glass\n"


def test_lists_are_fetched_when_the_package_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = f'if [ -e {tmp_path}/calls ]; then touch lens_1.deb; else echo "no candidate" >&2; exit 100; fi'
    calls = tools(tmp_path, monkeypatch, known)
    debian.fetch(PACKAGE, tmp_path / "bin" / "optics", lambda _: None)
    assert calls.read_text() == "update\n"


def test_a_package_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools(tmp_path, monkeypatch, 'echo "no candidate" >&2; exit 100')
    with pytest.raises(BuildFailed, match=r"(?s)lens cannot be had.*put a program named lens.*no candidate"):
        debian.fetch(PACKAGE, tmp_path / "bin" / "optics", lambda _: None)
    assert not (tmp_path / "bin" / "optics").exists()


def test_no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildFailed, match="no apt-get and no dpkg-deb here: put a program named lens"):
        debian.fetch(PACKAGE, tmp_path / "bin" / "optics", lambda _: None)


@pytest.mark.parametrize("folder", ["/usr/share/lens", "/usr/share/lenss", "/opt/x"])
def test_a_relocated_path_has_the_same_length_and_is_relative(folder: str) -> None:
    there = debian.relocated(folder.encode(), folder)
    assert len(there) == len(folder)
    assert not there.startswith(b"/")
    assert Path(there.decode()) == Path(Path(folder).name)
