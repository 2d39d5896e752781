"""Which GitOps tool keeps an object: by the marks that it leaves there, or by having written it."""

from collections.abc import Collection, Iterable

_MARKS = (
    ("argocd.argoproj.io/", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/", "Flux"),
    ("helm.toolkit.fluxcd.io/", "Flux"),
)
"""Prefixes of labels and annotations that GitOps tools put on what they own."""
_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
}


def keeper(marks: Collection[str], writers: Iterable[tuple[str, str]]) -> str:
    """The tool; empty for none that is known.

    Args:
        marks: Keys of the object's labels and annotations.
        writers: Field managers, each with the subresource that it wrote. Who wrote its status keeps nothing.
    """
    managers = {manager for manager, subresource in writers if not subresource}
    found = [tool for prefix, tool in _MARKS if any(mark.startswith(prefix) for mark in marks)]
    found += [tool for manager, tool in _MANAGERS.items() if manager in managers]
    return found[0] if found else ""
