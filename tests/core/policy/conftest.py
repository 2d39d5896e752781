"""What holds for all tests of the policy."""

import time
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _clocks_of_this_machine_are_odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No answer may depend on the time zone of the machine that the operator runs on."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Pacific/Chatham")
        time.tzset()
        yield
    time.tzset()
