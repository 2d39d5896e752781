"""False positives and unnecessary escalations."""

from kiro_operator.api.v1alpha1.conditions import ConditionType

CONDITION = ConditionType.SIGNALS_TRUSTWORTHY
ESCALATES = False
