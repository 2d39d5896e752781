"""docs/security.md claims nothing that no test shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
ACTORS = (
    "Who writes a KiroHealthCheck",
    "Who writes a KiroSafetyPolicy",
    "A pod in an onboarded namespace",
    "An MCP server",
    "Who writes logs or steering documents",
    "Answers of Prometheus, Alertmanager and AWS",
    "Who holds the operator's token",
    "Who may approve",
    "Who is on the network",
)
_ROW = re.compile(r"^\| ([A-Z]\d+) \| (.+) \| (.+) \|$")
_NODE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def claims() -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Heading, id and test nodes of each claim."""
    heading = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        if row := _ROW.match(line):
            yield heading, row[1], _NODE.findall(row[3])


CLAIMS = list(claims())


@cache
def functions_of(path: str) -> frozenset[str]:
    """Names of the tests that pytest collects from a file's top level."""
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


@pytest.mark.parametrize(("heading", "id_", "nodes"), CLAIMS, ids=[id_ for _, id_, _ in CLAIMS])
def test_a_claim_names_tests_that_exist(heading: str, id_: str, nodes: list[tuple[str, str]]) -> None:
    assert heading
    assert nodes, f"{id_} is claimed and shown by nothing"
    missing = [f"{path}::{name}" for path, name in nodes if name not in functions_of(path)]
    assert not missing, f"{id_} names tests that are not there: {missing}"


def test_every_actor_is_dealt_with_and_every_row_is_read() -> None:
    headings = {heading for heading, _, _ in CLAIMS}
    assert headings >= set(ACTORS)
    ids = [id_ for _, id_, _ in CLAIMS]
    assert len(ids) == len(set(ids))
    named = PAGE.read_text().count("`tests/")
    assert named == sum(len(nodes) for _, _, nodes in CLAIMS), "a test is named outside of a row"
