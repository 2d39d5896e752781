"""Kiro does not respond, or responds slowly."""

from kiro_operator.api.v1alpha1.conditions import ConditionType

CONDITION = ConditionType.RESPONSIVE
ESCALATES = True
