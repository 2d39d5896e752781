"""Amounts as messages have them: on a coarse scale, so that the words change only when the amount does."""

import math

from kiro_operator.core.evidence.prices import Prices

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


def up(amount: float) -> float:
    """The next higher step of a decimal scale; 0 for next to nothing."""
    if amount <= _NOTHING:
        return 0.0
    scale = 10.0 ** math.floor(math.log10(amount))
    return scale * min(step for step in _STEPS if step >= amount / scale - _SLACK)


def cores(amount: float) -> str:
    """Cores as Kubernetes writes them: 300m, 2, 7500m."""
    thousandths = round(1000 * amount)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def cpu_up(amount: float) -> float:
    """Cores to ask for, at least 10m."""
    return max(0.01, up(amount))


def memory_up(amount: float) -> float:
    """Bytes to ask for, at least 16 MiB."""
    return _binary(max(amount, 16 * _MIB), rounding_up=True)


def memory_down(amount: float) -> float:
    """Bytes wasted at least, in whole MiB."""
    return _binary(amount, rounding_up=False) if amount >= _MIB else 0.0


def size(amount: float) -> str:
    """Bytes as Kubernetes writes them: 512Mi, 1280Mi, 3Gi."""
    mebibytes = round(amount / _MIB)
    return f"{mebibytes // 1024}Gi" if mebibytes >= 1024 and mebibytes % 1024 == 0 else f"{mebibytes}Mi"


def money(amount: float, currency: str) -> str:
    """An amount of money, rounded down to two digits at most."""
    shown = down(amount)
    return f"{shown:.0f} {currency}" if shown >= 10 else f"{shown:.2g} {currency}"


def wasted(cores: float, memory: float) -> str:
    """Cores and bytes, rounded down; empty where it is next to nothing of both."""
    parts = [
        *([f"{down(cores):g} cores"] if down(cores) else []),
        *([f"{size(memory_down(memory))} of memory"] if memory_down(memory) else []),
    ]
    return " and ".join(parts)


def a_month(costs: Prices | None, *, cores: float = 0.0, memory: float = 0.0, storage: float = 0.0) -> str:
    """What cores and bytes cost in a month, as an insertion; empty without prices."""
    amount = costs.month(cores=cores, memory=memory, storage=storage) if costs else 0.0
    return f", {money(amount, costs.currency)} a month" if costs and amount else ""


def _binary(amount: float, *, rounding_up: bool) -> float:
    scale = 2.0 ** math.floor(math.log2(amount))
    if rounding_up:
        return scale * min(step for step in _BINARY if step >= amount / scale - _SLACK)
    return scale * max(step for step in _BINARY if step <= amount / scale + _SLACK)
