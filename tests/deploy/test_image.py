from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.rendered import ROOT, of_kind

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [line.split(None, 1) for line in LINES if line and not line.startswith("#")]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in STEPS:
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def test_what_builds_is_not_what_runs() -> None:
    build, final = stages()
    assert ("FROM", "python:${PYTHON} AS build") in build
    assert not any(" install" in rest for word, rest in final if word == "RUN")
    assert any("uninstall" in rest and "pip" in rest for word, rest in final if word == "RUN")


def test_nothing_is_fetched_without_a_hash() -> None:
    assert not [rest for word, rest in STEPS if word == "ADD"]
    assert "http" not in " ".join(rest for word, rest in STEPS)
    installs = [rest for word, rest in STEPS if word == "RUN" and " install" in rest]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    assert "--only-binary :all:" in installs[0]
    blocks = re.split(r"\n(?=[a-z])", (ROOT / "requirements.txt").read_text())
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_one_argument_pins_the_base_image() -> None:
    """As docs/security.md says; what is copied is of this repository and of the stage before."""
    assert {rest.split()[0] for word, rest in STEPS if word == "FROM"} == {"python:${PYTHON}"}
    copied = [rest.split()[0] for word, rest in STEPS if word == "COPY"]
    assert {word for word in copied if word.startswith("--from")} == {"--from=build"}
    assert not LINES[0].startswith("# syntax"), "nothing else is fetched to build it"


def test_the_image_runs_as_the_user_that_the_deployment_says() -> None:
    user = dict(stages()[-1])["USER"]
    context = of_kind("base", "Deployment")[0]["spec"]["template"]["spec"]["securityContext"]
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"


def test_the_builder_gets_only_what_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {rest.split()[0] for word, rest in STEPS if word == "COPY" and not rest.startswith("--from")}
    assert "*" in ignored
    assert copied == {line.removeprefix("!").removesuffix("/**") for line in ignored if line.startswith("!")}


def test_the_entry_point_starts_from_a_folder_with_nothing_but_the_package(tmp_path: Path) -> None:
    entry = dict(stages()[-1])["ENTRYPOINT"]
    assert entry == '["python", "-m", "kiro_operator"]'
    (tmp_path / "kiro_operator").symlink_to(ROOT / "kiro_operator")
    done = subprocess.run(
        [sys.executable, "-m", "kiro_operator", "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--bind-address" in done.stdout


def test_what_is_imported_is_locked() -> None:
    """Everything the program imports is in requirements.txt, which is all that the image installs."""
    script = (
        "import sys, importlib.metadata as m, kiro_operator.app;"
        "names = m.packages_distributions();"
        "print(*{d for n in sys.modules if '.' not in n for d in names.get(n, ())})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    locked = {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    }
    imported = {re.sub(r"[-_.]+", "-", name).lower() for name in done.stdout.split()}
    assert imported - locked - {"setuptools", "pip", "distutils-precedence"} == set()


def test_what_is_under_another_license_is_not_shipped_but_can_be_added() -> None:
    assert "yamllint" not in (ROOT / "requirements.txt").read_text()
    [layer] = re.findall(r"```dockerfile\n(.*?)```", (ROOT / "docs" / "install.md").read_text(), re.DOTALL)
    python = dict(line.split("=") for line in LINES if line.startswith("ARG PYTHON"))["ARG PYTHON"]
    assert f"FROM python:{python} AS lint" in layer, "its environment uses the Python of the image"
    assert "--require-hashes" in layer
    assert "ENV PATH=$PATH:/opt/yamllint/bin" in layer


@pytest.mark.parametrize("word", ["curl", "wget", "apt-get", "chmod", "sudo"])
def test_the_image_needs_no_more_tools(word: str) -> None:
    assert word not in " ".join(rest for _, rest in STEPS)
