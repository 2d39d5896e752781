"""What checks of polled sources share."""

from typing import TypeVar

from kiro_operator.core.snapshot import Sample, Unobserved

V = TypeVar("V")

AWAITING = Unobserved("AwaitingSamples", "No sample has been taken yet.")


def value_of(sample: Sample[V] | None) -> V | Unobserved:
    """The sample's value; before the first sample, that there is none yet."""
    return AWAITING if sample is None else sample.value
