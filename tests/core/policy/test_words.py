"""What the gates say: to people, who are to know what to do next."""

from pathlib import Path

import pytest
import yaml

from tests.core.policy.words import CASES, said

WORDS = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text())


def test_each_case_has_its_words() -> None:
    assert list(WORDS) == list(CASES)


@pytest.mark.parametrize("case", CASES)
def test_words(case: str) -> None:
    assert said(case) == WORDS[case]
