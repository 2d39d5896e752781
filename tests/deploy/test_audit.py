"""tools/audit.py, asking programs that answer as pip-audit does."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools import audit

Object = dict[str, Any]
KNOWN: Object = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "CVE-1", "fix_versions": ["2.7"]}]}
FINE: Object = {"name": "fine", "version": "1.0", "vulns": []}
LOCKS = sorted(re.findall(r" -o (\S+\.txt)$", (audit.ROOT / "Makefile").read_text(), re.MULTILINE))
"""What `make lock` writes."""
SKIPPED: Object = {"name": "fine", "skip_reason": "Dependency not found and could not be audited"}


@pytest.fixture
def program(tmp_path: Path) -> Callable[[Object | None, Object | None], list[str]]:
    """Makes a program that says one thing of the canary and another of what is locked."""

    def make(canary: Object | None, locked: Object | None) -> list[str]:
        for name in LOCKS:
            (tmp_path / name).write_text("fine==1.0\n")
        answers = {"canary.txt": canary, **dict.fromkeys(LOCKS, locked)}
        path = tmp_path / "pip-audit"
        path.write_text(
            f"#!{sys.executable}\nimport json, pathlib, sys\n"
            f"answers = json.loads({json.dumps(answers)!r})\n"
            "said = answers[pathlib.Path(sys.argv[sys.argv.index('--requirement') + 1]).name]\n"
            "sys.exit('no route to host') if said is None else print(json.dumps({'dependencies': [said]}))\n"
        )
        path.chmod(0o700)
        return ["--program", str(path), "--root", str(tmp_path)]

    return make


Program = Callable[[Object | None, Object | None], list[str]]


def test_nothing_is_known(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(program(KNOWN, FINE)) == audit.CLEAN
    assert "Nothing is known" in capsys.readouterr().out


def test_what_is_known_is_named(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(program(KNOWN, KNOWN)) == audit.VULNERABLE
    told = capsys.readouterr().out.splitlines()
    assert told == [f"{name}: jinja2 2.4.1: CVE-1, fixed in 2.7" for name in LOCKS]


def test_everything_that_is_locked_is_asked_about() -> None:
    assert "requirements-mutants.txt" in LOCKS
    assert [lock.name for lock in audit.locks(audit.ROOT)] == LOCKS


@pytest.mark.parametrize("locked", [SKIPPED, None], ids=["skipped", "unreachable"])
def test_what_was_not_answered_is_no_pass(
    program: Program, capsys: pytest.CaptureFixture[str], locked: Object | None
) -> None:
    assert audit.main(program(KNOWN, locked)) == audit.UNKNOWN
    assert "NOT AUDITED" in capsys.readouterr().err


@pytest.mark.parametrize("canary", [FINE | {"name": "jinja2"}, SKIPPED, None])
def test_a_service_that_knows_nothing_is_no_pass(
    program: Program, capsys: pytest.CaptureFixture[str], canary: Object | None
) -> None:
    assert audit.main(program(canary, FINE)) == audit.UNKNOWN
    assert "NOT AUDITED" in capsys.readouterr().err


def test_where_nothing_is_locked_nothing_was_audited(
    program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = program(KNOWN, FINE)
    for name in LOCKS:
        (tmp_path / name).unlink()
    assert audit.main(asked) == audit.UNKNOWN
    assert "NOT AUDITED" in capsys.readouterr().err
