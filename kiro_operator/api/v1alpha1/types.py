"""Field types that the kinds share, each with the schema the API server enforces."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

GROUP = "kiro.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

_DURATION = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
_CEL_DURATION = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"


def parse_duration(text: str) -> timedelta:
    """Read a duration such as ``30s``, ``5m`` or ``1h30m``.

    Raises:
        ValueError: the text is not of that form.
    """
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration: write one such as 30s, 5m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def format_duration(value: timedelta) -> str:
    """Write a duration as the API has it: ``90s`` becomes ``1m30s``, zero ``0s``."""
    total = int(value.total_seconds())
    hours, rest = divmod(total, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if n]
    return "".join(parts) or "0s"


class Between:
    """Annotation of a ``timedelta`` field: its bounds, in the API's own notation."""

    def __init__(self, minimum: str, maximum: str) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        low, high = parse_duration(self.minimum), parse_duration(self.maximum)

        def validate(value: Any) -> timedelta:
            parsed = value if isinstance(value, timedelta) else parse_duration(str(value))
            if not low <= parsed <= high:
                raise ValueError(self._message())
            return parsed

        return core_schema.no_info_plain_validator_function(
            validate, serialization=core_schema.plain_serializer_function_ser_schema(format_duration)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "string",
            "maxLength": 21,
            "x-kubernetes-validations": [
                {
                    "rule": (
                        f"self.size() > 0 && self.matches('{_CEL_DURATION}') && "
                        f"duration(self) >= duration('{self.minimum}') && "
                        f"duration(self) <= duration('{self.maximum}')"
                    ),
                    "message": self._message(),
                }
            ],
        }

    def _message(self) -> str:
        low, high = parse_duration(self.minimum), parse_duration(self.maximum)
        examples = [text for text in ("30s", "5m", "1h30m") if low <= parse_duration(text) <= high]
        examples = examples or [self.maximum]
        such_as = " or ".join(filter(None, (", ".join(examples[:-1]), examples[-1])))
        return f"write a duration from {self.minimum} to {self.maximum}, such as {such_as}"


def not_above(low: str, high: str) -> str:
    """A CEL rule: the duration in one field is not above that in another.

    It leaves texts that are no durations to the rule of their own field.
    """
    return (
        f"[self.{low}, self.{high}].exists(d, d.size() == 0 || !d.matches('{_CEL_DURATION}')) || "
        f"duration(self.{low}) <= duration(self.{high})"
    )


class ApiModel(BaseModel):
    """Base of every part of a custom resource: camelCase outside, frozen inside, no unknown field."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_enum_values=False
    )


def rules(*pairs: tuple[str, str]) -> ConfigDict:
    """Model configuration that carries CEL rules, each with the message a user reads."""
    return ConfigDict(
        json_schema_extra={"x-kubernetes-validations": [{"rule": r, "message": m} for r, m in pairs]}
    )


_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DNS_NAME = f"^{_LABEL}([.]{_LABEL})*$"
DnsName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": f"self.matches('{DNS_NAME}')",
                    "message": "write an object's name: lower-case letters, digits, '-' and '.'",
                }
            ]
        },
    ),
]
Percent = Annotated[
    int | str,
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "maxLength": 32,
            "x-kubernetes-validations": [
                {
                    "rule": (
                        "type(self) == int ? self >= 0 && self <= 100000 : "
                        "self.matches('^(100|[0-9]{1,2})%$')"
                    ),
                    "message": "write a number of pods such as 2, or a share from 0% to 100%, such as 60%",
                }
            ],
        }
    ),
]


class LocalReference(ApiModel):
    """The name of an object in the same namespace."""

    name: DnsName = Field(description="Name of the object, in this namespace.")


_QUALIFIED_NAME = f"^({_LABEL}([.]{_LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"
_KEY_MESSAGE = "write a label key such as app or app.kubernetes.io/name"
LabelValue = Annotated[
    str,
    Field(
        max_length=63,
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",
                    "message": "write a label value: letters, digits, '-', '_' and '.', as in web-1",
                }
            ]
        },
    ),
]


class LabelSelectorRequirement(ApiModel):
    """One expression of a label selector."""

    model_config = rules(
        (
            "(self.operator in ['In', 'NotIn']) == (self.values.size() > 0)",
            "operators In and NotIn need values, such as values: [web]; Exists and DoesNotExist take none",
        ),
    )

    key: str = Field(
        min_length=1,
        max_length=317,
        description="Label key.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {"rule": f"self.matches('{_QUALIFIED_NAME}')", "message": _KEY_MESSAGE}
            ]
        },
    )
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label's value is held against the values."
    )
    values: list[LabelValue] = Field(
        default=[],
        max_length=16,
        description="Values for In and NotIn; empty for Exists and DoesNotExist.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class LabelSelector(ApiModel):
    """A Kubernetes label selector. Empty selects everything."""

    match_labels: dict[str, LabelValue] = Field(
        default={},
        max_length=16,
        description="Labels that must be present with these values.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": f"self.all(k, k.size() <= 317 && k.matches('{_QUALIFIED_NAME}'))",
                    "message": _KEY_MESSAGE,
                }
            ]
        },
    )
    match_expressions: list[LabelSelectorRequirement] = Field(
        default=[],
        max_length=16,
        description="Expressions that must all hold.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
