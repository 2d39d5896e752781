"""Each remedy is one file, with a page that says the same of each."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core import proposals
from kiro_operator.core import remedies as package
from kiro_operator.core.permissions import Scope
from kiro_operator.core.policy import ruling
from kiro_operator.core.remedies import permissions, proposers, remedies
from kiro_operator.core.remedies.types import Proposer, Remedy
from tools.admission import described, requested
from tools.generated import declarations

PAGES = Path("docs/remedies")
SECTIONS = [
    "What it does",
    "When it does nothing",
    "Preconditions",
    "Dry run",
    "Approval",
    "Verification",
    "Undo",
    "Permission",
]
DRY_RUN = re.compile(r"(this would be [a-z ]+): ([A-Za-z]+) of ([A-Za-z]+) [a-z-]+(:.+)?")
"""A line that a dry run tells, from where it says what: method, kind and name of the target, the change."""


def page(action: ActionName) -> Path:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", action.value).lower()
    return PAGES / f"{words}.md"


def test_there_is_a_remedy_for_each_action_and_no_other() -> None:
    assert {*remedies(), *proposers()} == set(permissions()) == set(ActionName)
    assert {path.name for path in PAGES.glob("*.md")} - {"README.md"} == {page(a).name for a in ActionName}


@pytest.mark.parametrize("action", ActionName)
def test_its_page_has_all_sections_and_is_in_the_table(action: ActionName) -> None:
    lines = page(action).read_text().splitlines()
    assert lines[0] == f"# {action.value}"
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == SECTIONS
    assert f"| [{action.value}]({page(action).name}) |" in (PAGES / "README.md").read_text()


def section(action: ActionName, title: str) -> str:
    return page(action).read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("action", ActionName)
def test_its_page_shows_what_a_dry_run_tells(action: ActionName) -> None:
    """In the words of the code; where nothing lets the operator make the change, as advice."""
    told, place = (
        ("this would be done now", ruling)
        if action in remedies()
        else ("this would be proposed to a person", proposals)
    )
    assert f"{told}: {{change(intent)}}" in inspect.getsource(place)
    lines = re.findall(r"```\n(.*?)```", section(action, "Dry run"), re.DOTALL)[0].splitlines()
    found = [DRY_RUN.fullmatch(line) for line in lines]
    methods = {match[2] for match in found if match and match[1] == told}
    assert None not in found
    assert methods
    assert methods <= set(Method)
    assert (methods == {Method.ADVISE}) == (not permissions()[action])


@pytest.mark.parametrize("action", ActionName)
def test_its_page_says_who_approves_it(action: ActionName) -> None:
    text = " ".join(section(action, "Approval").split())
    if action in remedies():
        assert text.startswith("`Manual` unless the policy says `Automatic`.")
    elif permissions()[action]:
        assert text.startswith("Always by a person: the API server refuses `Automatic`.")
    else:
        assert "`AppliedByPerson`" in text


@pytest.mark.parametrize("action", ActionName)
def test_its_page_names_the_overlay_with_its_permissions(action: ActionName) -> None:
    folders = {Scope.NAMESPACE: "deploy/namespace", Scope.CLUSTER: "deploy"}
    overlays = {f"{folders[rule.scope]}/{rule.grant.value}" for rule in permissions()[action]}
    assert all(overlay in page(action).read_text() and Path(overlay).is_dir() for overlay in overlays)


def test_each_remedy_says_beside_its_rules_what_its_writes_may_hold() -> None:
    """Also one that writes what another remedy does: what that one may hold says nothing of this one."""
    found = {module for module, value in declarations("REMEDY") if isinstance(value, Remedy | Proposer)}
    assert len(found) == len(ActionName)
    rules, writes = dict(declarations("RULES")), dict(declarations("ADMITTED"))
    for module in found:
        assert module.startswith(package.__name__)
        missing = requested(rules[module]) - described(writes.get(module, ()))
        assert not missing, f"{module}: say in ADMITTED what these may hold: {sorted(missing)}"
