"""What a test does without that for which it cannot do."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def give_up(text: str) -> NoReturn:
    """Fail in CI, where a run must not pass for want of something; elsewhere go on with the other tests."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(text, pytrace=False)
    pytest.skip(text)
