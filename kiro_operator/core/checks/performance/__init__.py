"""Kiro performs poorly: resources are used up, answers are slow or wrong, capacity runs out."""

from kiro_operator.api.v1alpha1.conditions import ConditionType

CONDITION = ConditionType.PERFORMANCE_ADEQUATE
ESCALATES = True
