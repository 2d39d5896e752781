"""The kustomizations that the documentation shows are ones that kubectl renders, and each has an effect."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.rendered import DEPLOY, ROOT, kustomized

PAGES = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
MINE = "production"
ADDED = f"# added to {MINE}/kustomization.yaml"
BESIDE = re.compile(r"# ([a-z-]+)/kustomization\.yaml, beside deploy/\n")
KEYS = {"patches", "components", "images", "resources"}


def blocks() -> Iterator[tuple[str, str]]:
    """Each block of YAML that is a kustomization or a part of one, with where it stands."""
    for page in sorted(PAGES):
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)):
            if "\n---\n" not in block and KEYS & set(yaml.safe_load(block) or ()):
                yield f"{page.relative_to(ROOT)}:{number}", block


BLOCKS = dict(blocks())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the kustomizations refer to."""
    for folder in (DEPLOY, ROOT / "crds"):
        shutil.copytree(folder, tmp_path / folder.name)
    return tmp_path


def rendered(tree: Path, folder: str, body: str) -> str:
    (tree / folder).mkdir(exist_ok=True)
    (tree / folder / "kustomization.yaml").write_text(body)
    return kustomized(tree / folder)


def mine() -> str:
    """The one that is shown first; README shows the same."""
    [found] = {block for block in BLOCKS.values() if block.startswith(f"# {MINE}/kustomization.yaml,")}
    return found


def test_each_says_where_it_belongs() -> None:
    for where, block in BLOCKS.items():
        remote = "https://" in block  # GitOps: from a repository that is not here
        assert remote or block.startswith(ADDED) or BESIDE.match(block), where


@pytest.mark.parametrize("where", [where for where, block in BLOCKS.items() if BESIDE.match(block)])
def test_one_beside_deploy_is_rendered(where: str, tree: Path) -> None:
    header = BESIDE.match(BLOCKS[where])
    assert header is not None
    made = list(yaml.safe_load_all(rendered(tree, header[1], BLOCKS[where])))
    images = [
        container["image"]
        for item in made
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
    ]
    assert images == (["registry.example/kiro-operator:0.1.0"] if header[1] == MINE else [])


@pytest.mark.parametrize("where", [where for where, block in BLOCKS.items() if block.startswith(ADDED)])
def test_what_is_added_is_applied_and_changes_something(where: str, tree: Path) -> None:
    """Also that its tests of what it replaces hold: kustomize refuses a patch whose test fails."""
    body: dict[str, Any] = yaml.safe_load(mine()) | yaml.safe_load(BLOCKS[where])
    assert rendered(tree, MINE, yaml.safe_dump(body)) != rendered(tree, MINE, mine())
