"""Each gate has its file, its place in the documented order, its row in the docs and its truth table."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiro_operator.core.policy.gates import GATES

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "kiro_operator" / "core" / "policy" / "gates"
TESTS = ROOT / "tests" / "core" / "policy"
SHARED = {"incomplete": "PolicyIncomplete", "invalid": "PolicyInvalid", "unseen": "EvidenceMissing"}
"""Denials whose words gates share, by the function that makes them."""
MODULES = sorted(path.stem for path in FILES.glob("*.py") if path.stem != "__init__")


def test_each_file_is_one_gate_in_the_order() -> None:
    assert sorted(name.replace("-", "_") for name, _ in GATES) == MODULES


def test_the_docs_tell_them_in_their_order() -> None:
    text = (ROOT / "docs" / "safety.md").read_text()
    table = text.partition("| gate | reads |")[2].partition("\n\n")[0]
    assert re.findall(r"^[|] `([a-z-]+)` [|]", table, re.MULTILINE) == [name for name, _ in GATES]


def test_the_overview_counts_them() -> None:
    assert f" {len(GATES)} gates " in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("module", MODULES)
def test_each_reason_is_in_the_docs(module: str) -> None:
    text = (ROOT / "docs" / "safety.md").read_text()
    assert [reason for reason in reasons(module) if f"`{reason}`" not in text] == []


@pytest.mark.parametrize("module", MODULES)
def test_each_gate_has_its_table(module: str) -> None:
    """Rows of what is asked and answered, in which it lets through, and gives each of its reasons."""
    tables = [function for function in functions() if function.name.startswith(f"test_{module}")]
    assert any(is_table(function) for function in tables), f"no table test_{module} in tests/core/policy"
    others = [function for function in functions() if asks(function, module)]
    told = "\n".join(ast.unparse(function) for function in (*tables, *others))
    assert "OPEN" in told or "''" in told
    assert [reason for reason in reasons(module) if f"'{reason}'" not in told] == []


def reasons(module: str) -> set[str]:
    """The reasons that a gate gives."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((FILES / f"{module}.py").read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id == "Deny" and isinstance(node.args[0], ast.Constant):
            found.add(str(node.args[0].value))
        found |= {SHARED[node.func.id]} if node.func.id in SHARED else set()
    return found


def functions() -> Iterator[ast.FunctionDef]:
    """The tests of gates."""
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield node


def is_table(function: ast.FunctionDef) -> bool:
    decorators = "".join(ast.unparse(each) for each in function.decorator_list)
    return "parametrize" in decorators and "expected" in decorators


def asks(function: ast.FunctionDef, module: str) -> bool:
    name = module.replace("_", "-")
    return f"'{name}'" in ast.unparse(function)
