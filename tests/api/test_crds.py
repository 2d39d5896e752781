"""The CRDs are those of the models, and structural. No server is needed."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from kiro_operator.api.v1alpha1 import KINDS, KiroHealthCheck, KiroRemediation, KiroSafetyPolicy
from kiro_operator.api.v1alpha1.types import ApiModel, Between
from tests.api.documents import DOCUMENTS
from tools import crds

ROOT = Path(__file__).parents[2]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each schema in a schema, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


EVERY = [
    pytest.param(node, id=f"{model.KIND}{path}")
    for model in KINDS
    for path, node in nodes(crds.structural(model))
]


def test_nothing_is_stale() -> None:
    assert crds.stale() == []


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_each_page_shows_the_document_that_the_server_accepts(kind: str) -> None:
    page = (ROOT / "docs" / "api" / f"{kind.lower()}.md").read_text()
    assert f"```yaml\n{DOCUMENTS[kind]}```" in page


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A source tree of its own, with the generated files as they are."""
    shutil.copytree(ROOT / "crds", tmp_path / "crds")
    shutil.copytree(ROOT / "docs" / "api", tmp_path / "docs" / "api")
    return tmp_path


def test_the_check_names_a_stale_file_and_what_to_run(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / "crds" / "kiro.dev_kirosafetypolicies.yaml"
    path.write_text(path.read_text().replace("maximum: 100", "maximum: 101"))
    assert crds.main(["--check", "--root", str(copy)]) == 1
    assert capsys.readouterr().err == "crds/kiro.dev_kirosafetypolicies.yaml is stale: run `make crds`\n"


def test_the_check_names_a_stale_page(copy: Path) -> None:
    page = copy / "docs" / "api" / "kirosafetypolicy.md"
    page.write_text(page.read_text().replace("| `spec.mode` |", "| `spec.modus` |"))
    assert crds.stale(copy) == ["docs/api/kirosafetypolicy.md is stale: run `make crds`"]


def test_the_check_names_what_is_missing_and_what_is_left_over(copy: Path) -> None:
    folder = copy / "crds"
    (folder / "kiro.dev_kirohealthchecks.yaml").rename(folder / "kiro.dev_kirothings.yaml")
    assert crds.stale(copy) == [
        "crds/kiro.dev_kirohealthchecks.yaml is stale: run `make crds`",
        "crds/kiro.dev_kirothings.yaml belongs to no kind: delete it",
    ]


def test_writing_repairs_what_is_stale_and_keeps_the_prose(copy: Path) -> None:
    page = copy / "docs" / "api" / "kirosafetypolicy.md"
    before = page.read_text()
    page.write_text(before.replace("| `spec.mode` |", "| `spec.modus` |"))
    assert crds.main(["--root", str(copy)]) == 0
    assert page.read_text() == before


@pytest.mark.parametrize("node", EVERY)
def test_each_node_is_structural(node: dict[str, Any]) -> None:
    assert ("type" in node) != (node.get("x-kubernetes-int-or-string") is True)
    assert not node.keys() & {"$ref", "anyOf", "oneOf", "allOf", "nullable", "title", "const"}
    assert not {"properties", "additionalProperties"} <= node.keys()
    assert "default" not in node or node["default"] is not None


@pytest.mark.parametrize("node", EVERY)
def test_each_node_is_bounded(node: dict[str, Any]) -> None:
    if node.get("type") == "string" and "format" not in node:
        assert "enum" in node or "maxLength" in node or node["description"].startswith(("kiro.dev/", "Kiro"))
    if node.get("type") == "array":
        assert node["maxItems"] <= 200
        assert node["x-kubernetes-list-type"] in {"atomic", "map", "set"}
    if "additionalProperties" in node:
        assert "maxProperties" in node


@pytest.mark.parametrize("node", EVERY)
def test_each_field_is_described(node: dict[str, Any]) -> None:
    for name, child in node.get("properties", {}).items():
        assert name == "metadata" or child["description"].endswith(".")


@pytest.mark.parametrize("node", EVERY)
def test_each_rule_says_what_to_write(node: dict[str, Any]) -> None:
    words = ("write ", "use ", "create another", "is done by", "name the", "need values")
    for rule in node.get("x-kubernetes-validations", []):
        assert any(word in rule["message"] for word in words)


@pytest.mark.parametrize("model", KINDS, ids=lambda model: model.KIND)
def test_each_crd_has_what_the_api_promises(model: type[Any]) -> None:
    crd = crds.crd(model)
    (version,) = crd["spec"]["versions"]
    assert crd["metadata"]["name"] == f"{model.PLURAL}.kiro.dev"
    assert crd["metadata"]["labels"]["app.kubernetes.io/part-of"] == "kiro-operator"
    assert "tools/crds.py" in crd["metadata"]["annotations"]["kiro.dev/generated-by"]
    assert crd["spec"]["names"]["categories"] == ["kiro"]
    assert crd["spec"]["scope"] == model.SCOPE
    # What nobody writes a status of has none.
    assert version["subresources"] == ({"status": {}} if "status" in model.model_fields else {})
    assert len(version["additionalPrinterColumns"]) == len(model.PRINTER_COLUMNS)


def test_defaults_are_as_the_api_has_them() -> None:
    check = crds.structural(KiroHealthCheck)["properties"]["spec"]
    assert check["default"] == {}
    assert check["properties"]["interval"]["default"] == "1m"
    ladder = check["properties"]["remediation"]["properties"]["ladder"]
    assert ladder["default"] == [
        {"action": action} for action in ("ReconnectMCP", "ResyncMCP", "Restart", "Scale")
    ]
    assert crds.structural(KiroSafetyPolicy)["properties"]["spec"]["default"] == {}
    assert crds.structural(KiroRemediation)["properties"]["status"]["default"] == {"state": "Reserved"}


def test_a_keyword_without_a_counterpart_is_an_error() -> None:
    class Tupled(ApiModel):
        pair: tuple[int, str]

    with pytest.raises(crds.UnknownKeywordError, match="prefixItems"):
        crds.structural(Tupled)


def test_two_types_in_one_field_are_an_error() -> None:
    class Either(ApiModel):
        value: int | bool

    with pytest.raises(crds.UnknownKeywordError, match="anyOf of 2 types"):
        crds.structural(Either)


def test_an_optional_field_may_be_left_out_and_is_not_nullable() -> None:
    class Optional(ApiModel):
        wait: timedelta | None = Field(default=None, description="How long.")

    assert crds.structural(Optional)["properties"]["wait"] == {
        "description": "How long.",
        "format": "duration",
        "type": "string",
    }


def test_a_printer_column_may_have_a_priority() -> None:
    class Wide(ApiModel):
        KIND: ClassVar[str] = "Wide"
        PLURAL: ClassVar[str] = "wides"
        SCOPE: ClassVar[str] = "Namespaced"
        SHORT_NAMES: ClassVar[tuple[str, ...]] = ()
        PRINTER_COLUMNS: ClassVar[tuple[tuple[str, str, str, int], ...]] = (("A", "string", ".spec.a", 1),)
        SELECTABLE_FIELDS: ClassVar[tuple[str, ...]] = ()
        spec: int = 0

    (version,) = crds.crd(Wide)["spec"]["versions"]
    assert version["additionalPrinterColumns"][0]["priority"] == 1


def test_messages_give_examples_within_the_bounds() -> None:
    schema = crds.structural(KiroSafetyPolicy)["properties"]["spec"]["properties"]["budget"]
    (rule,) = schema["properties"]["window"]["x-kubernetes-validations"]
    assert rule["message"] == "write a duration from 1m to 168h, such as 5m or 1h30m"
    assert Between("1h", "24h").minimum == "1h"
