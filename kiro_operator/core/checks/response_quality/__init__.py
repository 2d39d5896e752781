"""Kiro's responses are incorrect or inappropriate."""

from kiro_operator.api.v1alpha1.conditions import ConditionType

CONDITION = ConditionType.RESPONSES_APPROPRIATE
ESCALATES = False
