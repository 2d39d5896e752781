"""Evidence: prices of resources."""

from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import ApiModel, rules

_AMOUNT = "^[0-9]{1,9}([.][0-9]{1,9})?$"
Amount = Annotated[
    str,
    Field(
        min_length=1,
        max_length=19,
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": f"self.matches('{_AMOUNT}')",
                    "message": 'write an amount in quotes, such as "0.0316"',
                }
            ]
        },
    ),
]


class PricesEvidence(ApiModel):
    """What resources cost, so that waste is told in money as well."""

    model_config = rules(
        (
            "has(self.cpuCoreHour) || has(self.memoryGiBHour) || has(self.storageGiBMonth)",
            'write cpuCoreHour, memoryGiBHour or storageGiBMonth, such as cpuCoreHour: "0.0316"',
        ),
    )

    currency: Annotated[str, Field(min_length=3, max_length=3)] = Field(
        default="USD",
        description="Currency, as its three letters.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {"rule": "self.matches('^[A-Z]{3}$')", "message": "write three capital letters such as EUR"}
            ]
        },
    )
    cpu_core_hour: Amount | None = Field(default=None, description="Price of one core for an hour.")
    memory_gib_hour: Amount | None = Field(
        default=None, alias="memoryGiBHour", description="Price of one GiB of memory for an hour."
    )
    storage_gib_month: Amount | None = Field(
        default=None, alias="storageGiBMonth", description="Price of one GiB of storage for a month."
    )
