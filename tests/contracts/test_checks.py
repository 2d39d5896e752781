"""What holds for every check: its fixtures, its page, its bounds, its words."""

import ast
import inspect
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kiro_operator.api.v1alpha1.types import format_duration
from kiro_operator.core.checks import Registered, registry
from kiro_operator.core.faults.kinds import KINDS
from kiro_operator.core.findings import MESSAGE_LIMIT, found, summary
from kiro_operator.core.signatures import BUILT_IN
from kiro_operator.core.snapshot import Ref
from kiro_operator.core.verdict import Finding
from tests.checks.fixtures import Fixture, all_fixtures
from tests.contracts.documented import DOCUMENTED
from tests.harness.flips import NEVER_FAILS

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ROOT / "kiro_operator" / "core" / "checks"
FIXTURES = ROOT / "tests" / "checks"
DOCS = ROOT / "docs" / "checks"
CAMEL = re.compile(r"^[A-Z][A-Za-z0-9]{1,63}$")
LONGEST = 400
"""Lines of a module."""
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

each_check = pytest.mark.parametrize("item", registry().values(), ids=registry())
each_fixture = pytest.mark.parametrize(
    "fixture", all_fixtures(), ids=lambda item: f"{item.check.id}/{item.name}"
)


def page(check: Registered) -> str:
    return (DOCS / f"{check.id}.md").read_text()


def test_documented_registry_fixtures_and_pages_are_the_same_set() -> None:
    assert {item.id: item.symptom for item in registry().values()} == {
        check_id: symptom for symptom, ids in DOCUMENTED.items() for check_id in ids
    }
    ids = set(registry())
    assert {path.name for path in FIXTURES.iterdir() if path.is_dir() and path.name[0] != "_"} == ids
    assert {path.stem for path in DOCS.glob("*.md")} - {"README"} == ids
    index = (DOCS / "README.md").read_text()
    assert all(f"[{check_id}]({check_id}.md)" in index for check_id in ids)


@each_check
def test_points_to_its_section_of_the_procedures(item: Registered) -> None:
    procedures = (ROOT / "docs" / "procedures.md").read_text()
    _, anchor, section = procedures.partition(f'<a id="{item.check.section}"></a>')
    assert anchor, f"docs/procedures.md has no anchor {item.check.section}"
    assert f"(checks/{item.id}.md)" in section.partition("<a id=")[0], "the section says what implements it"


def test_every_check_flips_against_its_live_backend() -> None:
    """A test marked ``flips(id)`` sees the check pass, fail and pass again on the real thing."""
    marked = {
        argument.value
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "flips"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
    assert marked == set(registry())


@each_check
def test_fixtures_cover_pass_fail_and_unknown(item: Registered) -> None:
    names = {path.name.partition(".")[0] for path in (FIXTURES / item.id).glob("*.yaml")}
    assert {"pass", "unknown", "warn" if item.id in NEVER_FAILS else "fail"} <= names
    assert item.id not in NEVER_FAILS or "fail" not in names


def test_modules_are_short() -> None:
    paths = [*CHECKS.rglob("*.py"), *(ROOT / "kiro_operator" / "core" / "faults").glob("*.py")]
    assert {path.name: n for path in paths if (n := len(path.read_text().splitlines())) > LONGEST} == {}


@each_check
def test_judge_is_synchronous(item: Registered) -> None:
    assert not inspect.iscoroutinefunction(item.check.judge)
    assert item.check.title
    assert item.check.section


@each_check
def test_an_unknown_parameter_is_refused_by_name(item: Registered) -> None:
    with pytest.raises(ValidationError) as refusal:
        item.check.parameters.model_validate({"notAParameter": 1})
    [error] = refusal.value.errors()
    assert (error["loc"], error["type"]) == (("notAParameter",), "extra_forbidden")
    # The names that are known come from the model itself.
    assert all(field.alias for field in item.check.parameters.model_fields.values())


@each_check
def test_page_has_each_parameter_with_its_default(item: Registered) -> None:
    text = page(item)
    for field in item.check.parameters.model_fields.values():
        value: Any = field.default
        shown = format_duration(value) if isinstance(value, timedelta) else str(value)
        assert f"| `{field.alias}` | `{shown}` | {field.description} |" in text


@each_check
def test_parameters_are_bounded(item: Registered) -> None:
    for name, prop in item.check.parameters.model_json_schema()["properties"].items():
        assert prop.get("description"), name
        kinds = {prop.get("type")} - {"boolean"}
        assert not kinds or {"maximum", "maxItems", "maxLength"} & set(prop), f"{name} has no bound"


@each_fixture
def test_words(fixture: Fixture) -> None:
    verdict = fixture.judge()
    assert CAMEL.match(verdict.reason)
    assert 0 < len(verdict.message) <= MESSAGE_LIMIT
    assert max(len(verdict.observed or ""), len(verdict.threshold or "")) <= 128
    for finding in verdict.findings:
        assert CAMEL.match(finding.reason)
        assert finding.object.name in finding.message
        assert len(finding.message) <= MESSAGE_LIMIT
    if verdict.status.value not in {"Pass", "Unknown"}:
        text = page(fixture.check)
        own = {entry["name"] for entry in fixture.body.get("parameters", {}).get("signatures", [])}
        assert verdict.reason in own or verdict.reason in text, "the page tells what to do by reason"


def test_every_fault_is_on_its_page() -> None:
    assert [reason for reason in KINDS if reason not in page(registry()["pods-ready"])] == []
    assert [item.name for item in BUILT_IN if item.name not in page(registry()["service-logs"])] == []
    assert len({kind.rank for kind in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize("count", [1, 2, 60, 5000])
@pytest.mark.parametrize("length", [10, 253])
@pytest.mark.parametrize("reasons", [1, 3, 20])
def test_message_is_bounded_and_names_the_first(count: int, length: int, reasons: int) -> None:
    findings = [
        Finding(
            Ref("Pod", f"{n:05}".ljust(length, "x")),
            f"Reason{n % reasons}",
            f"Pod {n:05} ".ljust(length + 300, "y"),
            since=NOW,
        )
        for n in range(count)
    ]
    verdict = found(findings)
    assert len(verdict.message) <= MESSAGE_LIMIT
    assert verdict.message.startswith("Pod 00000")
    assert verdict.reason == "Reason0"


def test_message_counts_who_is_not_named() -> None:
    now = NOW
    findings = [
        Finding(Ref("Pod", f"kiro-{n}"), "NotReady", f"Pod kiro-{n} is not Ready", now) for n in range(6)
    ]
    assert summary(findings) == "Pod kiro-0 is not Ready (also kiro-1, kiro-2, kiro-3 and 2 more)"
