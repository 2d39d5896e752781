"""Kubernetes quantities, such as 500m, 1.5Gi or 2e3, as numbers."""

import math
import re
from functools import lru_cache

_QUANTITY = re.compile(
    r"^([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([eE][+-]?[0-9]{1,3})|([numkMGTPE]|[KMGTPE]i))?$"
)
_FACTORS = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}


@lru_cache(maxsize=1024)
def parse_quantity(text: str) -> float:
    """The number that a quantity stands for.

    Raises:
        ValueError: the text is not a quantity.
    """
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity: write one such as 500m, 1.5 or 128Mi")
    number, exponent, suffix = match.groups()
    return float(number + (exponent or "")) * (_FACTORS[suffix] if suffix else 1.0)


def millicores(cores: float) -> str:
    """CPU as a request is written, rounded up to two digits: it stays the same while use hardly moves.

    Whole cores are as the API server has them, which makes 1 of 1000m.
    """
    amount = _up(cores * 1000)
    return f"{amount}m" if amount % 1000 else str(amount // 1000)


def mebibytes(amount: float) -> str:
    """Bytes of memory as a request is written, rounded up to two digits of MiB."""
    return f"{_up(amount / _FACTORS['Mi'])}Mi"


def _up(amount: float) -> int:
    unit: int = 10 ** max(0, math.floor(math.log10(max(amount, 1.0))) - 1)
    # A measure that is a hair above a round number is that number.
    return math.ceil(round(amount / unit, 6)) * unit
