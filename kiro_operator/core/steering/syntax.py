"""All that can be said of one steering document by itself."""

from collections.abc import Collection

from kiro_operator.core.steering import front_matter, globs, references
from kiro_operator.core.steering.front_matter import FrontMatter
from kiro_operator.core.steering.problems import Problem


def problems(text: str, workspace: Collection[str] | None = None, *, of: int = 1) -> list[Problem]:
    """What is wrong with a document, the gravest first, then by place.

    ``workspace`` are the files that references and patterns are held against; None: nobody knows them.
    ``of`` is how many documents are judged together, which share the steps that matching may take.
    """
    front = front_matter.read(text)
    dead = _patterns(front, workspace, globs.STEPS // max(1, of))
    found = [*front.problems, *dead, *references.broken(text, workspace)]
    if fence := references.unclosed_fence(front.body, front.body_line):
        found.append(fence)
    return sorted(found, key=lambda item: (item.warning, item.line, item.column, item.reason))


def passes(text: str) -> bool:
    """Whether a document is well-formed, whatever the workspace holds."""
    return bool(text.strip()) and not any(not problem.warning for problem in problems(text))


def _patterns(front: FrontMatter, workspace: Collection[str] | None, steps: int) -> list[Problem]:
    if front.inclusion != "fileMatch":
        return []
    where = front.places.get("fileMatchPattern", (2, 1))
    faults = [words for pattern in front.patterns[: globs.PATTERNS] if (words := globs.fault(pattern))]
    if faults:
        return [Problem(*where, "DeadPattern", f"fileMatchPattern: {faults[0]}")]
    if not workspace:
        return []
    dead = globs.dead(front.patterns, workspace, steps)
    if not dead:
        return []
    words = f"fileMatchPattern {dead[0]!r} matches no file of the workspace"
    # As long as another pattern matches, the document is included somewhere.
    return [Problem(*where, "DeadPattern", words, warning=len(dead) < len(front.patterns))]
