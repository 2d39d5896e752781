"""Each metric of the operator is in the documentation with its labels, and no other is."""

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from kiro_operator.adapters.metrics import Metrics

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "install.md"


def documented() -> dict[str, tuple[str, ...]]:
    table = GUIDE.read_text().partition("| metric | labels | |\n")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines()[1:]]
    names = [
        (re.findall(r"`([a-z_]+)`", cell), tuple(re.findall(r"`([a-z_]+)`", labels))) for cell, labels in rows
    ]
    return {name: labels for each, labels in names for name in each}


def test_all_metrics_are_documented() -> None:
    made = [each for each in vars(Metrics()).values() if isinstance(each, MetricWrapperBase)]
    described = ((family, each._labelnames) for each in made for family in each.describe())
    suffixes = {"counter": "_total"}
    expected = {f"{family.name}{suffixes.get(family.type, '')}": labels for family, labels in described}
    assert documented() == expected
