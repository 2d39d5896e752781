"""Conflicts against documents that people have labelled: what is reported has to be right.

Each file in ``conflicts/`` holds ``documents`` by path and the pairs of them that do conflict.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from msgspec import Struct, convert

from kiro_operator.core.steering.conflicts import conflicts

PRECISION = 0.95
RECALL = {"odd": 0.34, "even": 0.11}
"""What is found must not get less; most contradictions are paraphrases, which are not looked for.

The rules were widened with the odd numbers in sight and never with the even ones, which tell what to expect
of documents that nobody tuned for. So each half answers for itself.
"""


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


def half_of(name: str) -> str:
    """Which half a file belongs to; empty for those that the rules' own author wrote."""
    number = re.match(r"labelled-(\d+)-", name)
    return "" if number is None else "odd" if int(number[1]) % 2 else "even"


def pairs(labelled: Labelled) -> tuple[set[frozenset[str]], set[frozenset[str]]]:
    """What is reported, and what should be."""
    found = {frozenset((one.first, one.second)) for one in conflicts(labelled.documents)}
    return found, {frozenset(pair) for pair in labelled.conflicts}


def test_the_labels_name_documents_of_their_file() -> None:
    for name, labelled in load().items():
        assert {path for pair in labelled.conflicts for path in pair} <= set(labelled.documents), name


@pytest.mark.parametrize(("half", "recall"), RECALL.items())
def test_what_is_reported_is_a_conflict(half: str, recall: float) -> None:
    right = wrong = missed = 0
    report: list[str] = []
    for name, labelled in load().items():
        if half_of(name) != half:
            continue
        found, expected = pairs(labelled)
        right += len(found & expected)
        wrong += len(found - expected)
        missed += len(expected - found)
        report += [f"{name}: wrongly {sorted(pair)}" for pair in found - expected]
        report += [f"{name}: missed {sorted(pair)}" for pair in expected - found]
    assert right, "no file holds a conflict that is found"
    precision = right / (right + wrong)
    print(f"\n{half}: precision {precision:.3f}, recall {right / (right + missed):.3f}")  # noqa: T201
    print("\n".join(report))  # noqa: T201
    assert precision >= PRECISION, report
    assert right / (right + missed) >= recall, report


def test_no_false_positive_among_our_own() -> None:
    for name, labelled in load().items():
        if not half_of(name):
            assert pairs(labelled)[0] == pairs(labelled)[1], name
