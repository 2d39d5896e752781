"""Label selectors, from the form of the API to the one that selects."""

from kiro_operator.api.v1alpha1.types import LabelSelector
from kiro_operator.core.objects import LabelSelectorExpression, Selector


def selector_of(written: LabelSelector) -> Selector:
    """The selector that a custom resource spells out."""
    return Selector(
        match_labels=dict(written.match_labels),
        match_expressions=tuple(
            LabelSelectorExpression(expression.key, expression.operator, tuple(expression.values))
            for expression in written.match_expressions
        ),
    )
