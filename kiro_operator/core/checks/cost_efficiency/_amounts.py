"""Amounts as messages have them: on a coarse scale, so that the words change only when the amount does."""

import math

_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0)
_BINARY = (1.0, 1.25, 1.5, 1.75, 2.0)
_MIB = 2.0**20
_SLACK = 1e-9
_NOTHING = 1e-9


def down(amount: float) -> float:
    """The next lower step of a decimal scale; 0 for next to nothing."""
    if amount <= _NOTHING:
        return 0.0
    scale = 10.0 ** math.floor(math.log10(amount))
    return scale * max(step for step in _STEPS if step <= amount / scale + _SLACK or step == 1.0)


def cores(amount: float) -> str:
    """Cores as Kubernetes writes them: 300m, 2, 7500m."""
    thousandths = round(1000 * amount)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def memory_down(amount: float) -> float:
    """Bytes wasted at least, in whole MiB."""
    if amount < _MIB:
        return 0.0
    scale = 2.0 ** math.floor(math.log2(amount))
    return scale * max(step for step in _BINARY if step <= amount / scale + _SLACK)


def size(amount: float) -> str:
    """Bytes as Kubernetes writes them: 512Mi, 1280Mi, 3Gi."""
    mebibytes = round(amount / _MIB)
    return f"{mebibytes // 1024}Gi" if mebibytes >= 1024 and mebibytes % 1024 == 0 else f"{mebibytes}Mi"


def money(amount: float, currency: str) -> str:
    """An amount of money, rounded down to two digits at most."""
    shown = down(amount)
    return f"{shown:.0f} {currency}" if shown >= 10 else f"{shown:.2g} {currency}"
