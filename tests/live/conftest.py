"""What all tests against live backends share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import flips


@pytest.fixture(autouse=True)
def _flips(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test marked ``flips`` that passes has seen it: of a test with many cases, what the case looked at."""
    marker = request.node.get_closest_marker("flips")
    if marker is None:
        yield
        return
    failed = request.session.testsfailed
    with flips.watching(marker.args) as seen:
        yield
    if request.session.testsfailed == failed:
        looked_at = {check_id: verdicts for check_id, verdicts in seen.items() if verdicts}
        assert looked_at, "no verdict on any of the checks that this test is marked with"
        assert {name: told for name, told in looked_at.items() if not flips.flipped(name, told)} == {}
