"""Conflicts against documents that people have labelled: what is reported has to be right.

Each file in ``conflicts/`` holds ``documents`` by path and the pairs of them that do conflict.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from msgspec import Struct, convert

from kiro_operator.core.steering.conflicts import conflicts

PRECISION = 0.95
RECALL = 0.25
"""What is found must not get less; most contradictions are paraphrases, which are not looked for."""


class Labelled(Struct, frozen=True):
    documents: dict[str, str]
    conflicts: list[tuple[str, str]]


def load() -> dict[str, Labelled]:
    """The labelled sets by file name."""
    folder = Path(__file__).parent / "conflicts"
    return {
        path.name: convert(yaml.safe_load(path.read_text(encoding="utf-8")), Labelled)
        for path in sorted(folder.glob("*.yaml"))
    }


def pairs(labelled: Labelled) -> tuple[set[frozenset[str]], set[frozenset[str]]]:
    """What is reported, and what should be."""
    found = {frozenset((one.first, one.second)) for one in conflicts(labelled.documents)}
    return found, {frozenset(pair) for pair in labelled.conflicts}


def test_the_labels_name_documents_of_their_file() -> None:
    for name, labelled in load().items():
        assert {path for pair in labelled.conflicts for path in pair} <= set(labelled.documents), name


def test_what_is_reported_is_a_conflict() -> None:
    right = wrong = missed = 0
    report: list[str] = []
    for name, labelled in load().items():
        found, expected = pairs(labelled)
        right += len(found & expected)
        wrong += len(found - expected)
        missed += len(expected - found)
        report += [f"{name}: wrongly {sorted(pair)}" for pair in found - expected]
        report += [f"{name}: missed {sorted(pair)}" for pair in expected - found]
    assert right, "no file holds a conflict that is found"
    precision, recall = right / (right + wrong), right / (right + missed)
    print(f"\nprecision {precision:.3f}, recall {recall:.3f}")  # noqa: T201 - the figure to be watched
    print("\n".join(report))  # noqa: T201
    assert precision >= PRECISION, report
    assert recall >= RECALL, report
