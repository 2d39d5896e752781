"""Costs are higher than they need to be."""

from kiro_operator.api.v1alpha1.conditions import ConditionType

CONDITION = ConditionType.COST_EFFICIENT
ESCALATES = False
