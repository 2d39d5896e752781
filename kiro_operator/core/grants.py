"""What rules of RBAC grant, piece by piece, and whether one lies within others."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from kiro_operator.api.v1alpha1.autonomy import RoleRule
from kiro_operator.core.evidence.access import RbacRule

_SHOWN = 6


class Grant(Struct, frozen=True, order=True):
    """The smallest piece of a rule: one verb on one resource, or on one path."""

    verb: str
    group: str
    resource: str
    name: str = ""
    """Empty: any object."""
    path: bool = False
    """It is a path of the API server, and no resource."""

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {kind}{f'/{self.name}' if self.name else ''}"


def declared(rules: Iterable[RoleRule]) -> tuple[RbacRule, ...]:
    """Rules of a policy or a baseline as a ClusterRole holds them."""
    return tuple(
        RbacRule(
            tuple(rule.verbs),
            tuple(rule.api_groups),
            tuple(rule.resources),
            tuple(rule.resource_names),
            tuple(rule.non_resource_urls),
        )
        for rule in rules
    )


def grants(rules: Iterable[RbacRule]) -> Iterator[Grant]:
    """Each piece that rules grant."""
    for rule in rules:
        for verb in rule.verbs:
            yield from (Grant(verb, "", path, path=True) for path in rule.non_resource_urls)
            for group in rule.api_groups:
                for resource in rule.resources:
                    # A rule may be limited to the empty name, which is not the same as to none.
                    names = [name or "''" for name in rule.resource_names] or [""]
                    yield from (Grant(verb, group, resource, name) for name in names)


def beyond(rules: Iterable[RbacRule], others: Iterable[RbacRule]) -> list[Grant]:
    """What rules grant and others do not; they may say the same in other rules."""
    held = set(grants(others))
    return sorted(item for item in set(grants(rules)) if not _covered(item, held))


def _covered(item: Grant, held: set[Grant]) -> bool:
    """Whether something as wide is among the others."""
    return item in held or Grant(item.verb, item.group, item.resource, path=item.path) in held


def within(rule: RbacRule, bounds: Iterable[RbacRule]) -> bool:
    """Whether a single rule of the bounds is as wide as this one.

    Two rules of the bounds that together are as wide do not count. The ValidatingAdmissionPolicy of
    deploy/cluster-restore asks the same in CEL, so that what is refused there is not tried.
    """
    return any(_narrower(rule, bound) for bound in bounds)


def _narrower(rule: RbacRule, bound: RbacRule) -> bool:
    names = set(rule.resource_names)
    return (
        set(rule.verbs) <= set(bound.verbs)
        and set(rule.api_groups) <= set(bound.api_groups)
        and set(rule.resources) <= set(bound.resources)
        and set(rule.non_resource_urls) <= set(bound.non_resource_urls)
        and (not bound.resource_names or (bool(names) and names <= set(bound.resource_names)))
    )


def listed(items: list[Grant]) -> str:
    """The first of some pieces, for a person."""
    shown = ", ".join(str(item) for item in items[:_SHOWN])
    return f"{shown} and {len(items) - _SHOWN} more" if len(items) > _SHOWN else shown
