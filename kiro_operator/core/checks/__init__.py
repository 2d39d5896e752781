"""The checks: one file each, found by where it stands.

``checks/<symptom>/<check_id>.py`` defines ``CHECK``; the symptom's package names the condition
that its checks add up to, and whether they call for a person. Nothing else lists them.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from kiro_operator.core.evidence.series import Query
from kiro_operator.core.snapshot import Polled, Snapshot, Source
from kiro_operator.core.verdict import Verdict


class Parameters(BaseModel):
    """Base of a check's thresholds, as a user writes them under ``checks[].parameters``."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def shadowed(self) -> str:
        """Which of them can never decide anything beside the others; empty when each can.

        What contradicts itself is refused by a validator. This is for what is valid and does not do what
        whoever wrote it expects.
        """
        return ""


class Check(Struct, frozen=True, kw_only=True, dict=True):
    """A check: what it reads and how it judges."""

    title: str
    """What it answers, in a few words."""
    section: str
    """Anchor in docs/procedures.md of the section that asks for it."""
    command: str
    """What shows a person the same. Names in braces are filled in by core.showing: ``{namespace}``,
    ``{selector}``, of the first object found ``{object}``, as kubectl takes it, and ``{name}``, what was
    asked, such as ``{prometheus}`` and ``{query}``, and the check's parameters."""
    sources: tuple[Source | Polled[Any], ...]
    """All that it reads."""
    beside: tuple[Polled[Any], ...] = ()
    """What it looks at besides, where other checks have it sampled: nothing is sampled for it, and it waits
    for none of it."""
    judge: Callable[[Snapshot, Any, datetime], Verdict]
    parameters: type[Parameters] = Parameters
    informed: Callable[[Any, Mapping[str, Parameters]], Parameters] | None = None
    """Completes its parameters by those of the checks that are enabled with it."""
    queries: Callable[[Any, str], Sequence[Query]] | None = None
    """What it asks Prometheus, by its parameters and the namespace."""
    commands: Mapping[str, str] = {}
    """By reason, where another command shows it better."""
    interval: timedelta = timedelta(0)
    """Sampled no more often than this, unless the check's own settings say so."""
    fail_after: timedelta = timedelta(0)
    recover_after: timedelta = timedelta(0)
    failure_threshold: int = 3
    success_threshold: int = 2
    relates: bool = False
    """It holds what it reads against what else fails, and is judged anew whenever that changes. Its own
    Fail says nothing new of the target, so no other such check is told of it."""
    weighs: tuple[str, ...] = ()
    """Ids of checks whose findings it judges: how long they have stood is kept, also in the status."""
    only_while_failing: bool = False
    """Sampled only while another check fails, and never more often than its interval."""
    borrows: tuple[Polled[Any], ...] = ()
    """Of its polled sources, those that it takes as others have them sampled, at whatever interval; they are
    sampled for it only where no other check reads them."""

    @cached_property
    def about_others(self) -> bool:
        """Whether it judges what other checks say, and so is judged behind them."""
        return self.relates or bool(self.weighs) or Source.VERDICTS in self.sources

    @cached_property
    def polled(self) -> tuple[Polled[Any], ...]:
        """Sources that have to be sampled; empty for a check that is judged whenever facts change."""
        return tuple(source for source in self.sources if isinstance(source, Polled))

    @cached_property
    def reads(self) -> frozenset[str]:
        """Names of its sources, and of what it looks at besides."""
        sources = (*self.sources, *self.beside)
        return frozenset(source.name if isinstance(source, Polled) else source for source in sources)


class Registered(Struct, frozen=True):
    """A check with what its place in the tree says of it."""

    id: str
    symptom: str
    condition: str
    check: Check
    escalates: bool = True
    """Whether what no remedy helps against waits for a person at once, or is told by its condition alone."""
    names_people: bool = False
    """Whether it says who may do what, so that users stay named in it."""


@cache
def registry() -> Mapping[str, Registered]:
    """All checks by id, in the order of their symptom and id."""
    found: dict[str, Registered] = {}
    for symptom in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        if not symptom.ispkg:
            continue
        package = importlib.import_module(f"{__name__}.{symptom.name}")
        for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
            if module.name.startswith("_"):
                continue
            check = importlib.import_module(f"{package.__name__}.{module.name}").CHECK
            check_id = module.name.replace("_", "-")
            found[check_id] = Registered(
                check_id,
                symptom.name.replace("_", "-"),
                package.CONDITION,
                check,
                package.ESCALATES,
                any(source.names_people for source in check.polled),
            )
    return MappingProxyType(found)
