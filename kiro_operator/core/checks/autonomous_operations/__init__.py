"""Autonomous operations fail, or do what they should not."""

from kiro_operator.api.v1alpha1.conditions import ConditionType

CONDITION = ConditionType.AUTONOMY_EFFECTIVE
ESCALATES = True
