"""Amounts as messages have them: measurements as figures, what objects ask for as Kubernetes writes it."""

from kiro_operator.core.evidence.prices import Prices
from kiro_operator.core.quiet import figure

_MIB, _GIB = 2.0**20, 2.0**30
_NOTHING = 0.05
"""Cores, GiB and units of a currency below which there is nothing to tell."""


def cores(amount: float) -> str:
    """Cores as Kubernetes writes them: 300m, 2, 7500m."""
    thousandths = round(1000 * amount)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def size(amount: float) -> str:
    """Bytes as Kubernetes writes them: 512Mi, 1280Mi, 3Gi."""
    mebibytes = round(amount / _MIB)
    return f"{mebibytes // 1024}Gi" if mebibytes >= 1024 and mebibytes % 1024 == 0 else f"{mebibytes}Mi"


def wasted(cores: float, memory: float) -> str:
    """Cores and bytes; empty where it is next to nothing of both."""
    parts = [
        *([figure(cores, " cores")] if cores >= _NOTHING else []),
        *([f"{figure(memory / _GIB, 'Gi')} of memory"] if memory >= _NOTHING * _GIB else []),
    ]
    return " and ".join(parts)


def a_month(costs: Prices | None, *, cores: float = 0.0, memory: float = 0.0, storage: float = 0.0) -> str:
    """What cores and bytes cost in a month, as an insertion; empty without prices."""
    amount = costs.month(cores=cores, memory=memory, storage=storage) if costs else 0.0
    return f", {figure(amount, f' {costs.currency}')} a month" if costs and amount >= _NOTHING else ""
