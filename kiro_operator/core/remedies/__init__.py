"""The remedies: from what was found to what could be done. Whether it may be is for the gates.

One file each: ``remedies/<action>.py`` defines ``REMEDY``, and ``RULES`` beside it where it needs
permissions of its own. Nothing else lists them.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType, ModuleType

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.permissions import Rule
from kiro_operator.core.remedies.types import Proposer, Remedy

_HELPERS = frozenset({"commands", "types", "wanted"})


@cache
def remedies() -> Mapping[ActionName, Remedy]:
    """All remedies that are planned by themselves, by action."""
    found = (_module(name).REMEDY for name in _names())
    return MappingProxyType({item.action: item for item in found if isinstance(item, Remedy)})


@cache
def proposers() -> Mapping[ActionName, Proposer]:
    """All that is proposed to a person, by action."""
    found = (_module(name).REMEDY for name in _names())
    return MappingProxyType({item.action: item for item in found if isinstance(item, Proposer)})


@cache
def permissions() -> Mapping[ActionName, tuple[Rule, ...]]:
    """Permissions that each remedy needs, in the overlay of its action."""
    modules = (_module(name) for name in _names())
    return MappingProxyType({module.REMEDY.action: tuple(module.RULES) for module in modules})


def _names() -> list[str]:
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if name not in _HELPERS)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")
