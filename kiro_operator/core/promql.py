"""Several expressions asked in one query: each part of the answer carries the part's name as a label."""

from collections.abc import Mapping

PART = "kiro_part"
"""The label."""


def filled(expression: str, namespace: str) -> str:
    """An expression with the namespace of the KiroHealthCheck in it, in place of ``$namespace``."""
    return expression.replace("$namespace", namespace)


def union(parts: Mapping[str, str]) -> str:
    """One expression with all series of the parts; names of parts are words or numbers."""
    return " or ".join(f'label_replace({expr}, "{PART}", "{name}", "", "")' for name, expr in parts.items())
