"""Evidence: what Kiro optimizes by, as far as the admin declares it."""

import re
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from kiro_operator.api.v1alpha1.types import ApiModel, DnsName, rules

NUMBER = "^-?[0-9]{1,9}([.][0-9]{1,6})?$"
"""What counts as a number, here and in the ConfigMap. Exponents and units are none."""

_WRITE = 'write a number in quotes, such as "5" or "0.25"'
_ORDER = "write a min that is below max"
_STEP = "write a step above 0, and no more than max - min"
_NUMBERS = f"[self.min, self.max, self.step].all(n, n.matches('{NUMBER}'))"


def is_number(text: str) -> bool:
    """Whether a text is a number and nothing besides, no blank and no line break."""
    return re.fullmatch(NUMBER, text) is not None


def _number(text: str) -> str:
    if not is_number(text):
        raise ValueError(_WRITE)
    return text


Number = Annotated[
    str,
    Field(
        min_length=1,
        max_length=17,
        json_schema_extra={
            "x-kubernetes-validations": [{"rule": f"self.matches('{NUMBER}')", "message": _WRITE}]
        },
    ),
    AfterValidator(_number),
]


class OptimizationParameter(ApiModel):
    """A number that Kiro optimizes by, and within which bounds another one may be proposed."""

    # What is no number is left to the rule of its own field. The sixth decimal place is the last.
    model_config = rules(
        (f"!{_NUMBERS} || double(self.min) < double(self.max)", _ORDER),
        (
            (
                f"!{_NUMBERS} || double(self.min) >= double(self.max) || (double(self.step) > 0.0 && "
                "double(self.step) < double(self.max) - double(self.min) + 0.0000005)"
            ),
            _STEP,
        ),
    )

    key: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Its key in the ConfigMap's data.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.matches('^[-._a-zA-Z0-9]+$')",
                    "message": "write a key as a ConfigMap has it: letters, digits, '-', '_' and '.'",
                }
            ]
        },
    )
    bolder: Literal["Lower", "Raise"] = Field(
        description="Whether Kiro optimizes more boldly when it is lowered, or when it is raised."
    )
    min: Number = Field(description="The lowest value that is proposed.")
    max: Number = Field(description="The highest value that is proposed.")
    step: Number = Field(description="By how much one proposal moves it, at most.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = Decimal(self.min), Decimal(self.max)
        if low >= high:
            raise ValueError(_ORDER)
        if not 0 < Decimal(self.step) <= high - low:
            raise ValueError(_STEP)
        return self


class OptimizationEvidence(ApiModel):
    """The ConfigMap that holds what Kiro optimizes by."""

    config_map: DnsName = Field(description="Name of the ConfigMap, in this namespace.")
    parameters: Annotated[list[OptimizationParameter], Field(min_length=1, max_length=16)] = Field(
        description="Its numbers that may be proposed to change, the one to move first at the top.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"]},
    )
