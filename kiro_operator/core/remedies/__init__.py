"""The remedies: from what was found to what could be done. Whether it may be is for the gates."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.permissions import Rule
from kiro_operator.core.policy.types import Intent
from kiro_operator.core.remedies import restart, scale
from kiro_operator.core.remedies.types import Refusal, Request

REMEDIES: Mapping[ActionName, Callable[[Request], Intent | Refusal]] = MappingProxyType(
    {ActionName.RESTART: restart.propose, ActionName.SCALE: scale.propose}
)

RULES: Mapping[ActionName, tuple[Rule, ...]] = MappingProxyType(
    {ActionName.RESTART: restart.RULES, ActionName.SCALE: scale.RULES}
)
"""Permissions that each remedy needs, in the overlay of its action."""
