"""Optimization decisions and opportunities, as far back as their logs hold them."""

from msgspec import Struct

from kiro_operator.core.records import DecisionRecord
from kiro_operator.core.snapshot import Polled, Unobserved


class Optimizations(Struct, frozen=True):
    """What the logs of cost optimization tell."""

    records: tuple[DecisionRecord, ...]
    """One for each decision and opportunity, the oldest first; what was told of it later is in it."""
    malformed: int = 0
    """Lines that are marked as records and cannot be read as such."""
    missing: tuple[Unobserved, ...] = ()
    """Why a log could not be read."""


OPTIMIZATIONS: Polled[Optimizations] = Polled("optimization-log", Optimizations, timeout=30.0)
