"""Evidence: the AWS account."""

from typing import Annotated, Any, Literal

from pydantic import Field

from kiro_operator.api.v1alpha1.types import ApiModel


def _matches(pattern: str, message: str) -> dict[str, Any]:
    return {"x-kubernetes-validations": [{"rule": f"self.matches('{pattern}')", "message": message}]}


_ROLE = "^arn:[a-z-]{3,16}:iam::[0-9]{12}:(role|user)/[-A-Za-z0-9_+=,.@/]+$"
_ROLE_PATTERN = "^arn:[a-z*-]{1,16}:iam::[0-9*]{1,12}:(role|user)/[-A-Za-z0-9_+=,.@/*]+$"

RoleArn = Annotated[
    str,
    Field(
        min_length=20,
        max_length=640,
        json_schema_extra=_matches(_ROLE, "write an ARN such as arn:aws:iam::123456789012:role/kiro"),
    ),
]


class AwsAction(ApiModel):
    """An action of AWS on a resource."""

    action: Annotated[str, Field(min_length=3, max_length=128)] = Field(
        description="The action, such as ec2:DescribeInstances; IAM simulates no wildcards.",
        json_schema_extra=_matches(
            "^[a-z0-9-]{1,62}:[A-Za-z0-9]{1,64}$",
            "write service:Action without wildcards, such as ec2:DescribeInstances",
        ),
    )
    resource: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        default="*",
        description="ARN of the resource; * for any.",
        json_schema_extra=_matches("^([*]|arn:[!-~]+)$", "write an ARN such as arn:aws:s3:::reports/*, or *"),
    )


class CostTag(ApiModel):
    """A tag that limits which costs count."""

    key: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        description="Key of a cost allocation tag that is activated in Billing."
    )
    value: Annotated[str, Field(max_length=256)] = Field(description="Its value.")


class AwsCosts(ApiModel):
    """Which costs are looked at."""

    metric: Literal["UnblendedCost", "AmortizedCost", "NetUnblendedCost", "NetAmortizedCost"] = Field(
        default="UnblendedCost",
        description="Which of Cost Explorer's figures; the amortized ones spread what is paid up front.",
    )
    tag: CostTag | None = Field(
        default=None, description="Only what carries this tag; without, the whole account."
    )


class AwsEvidence(ApiModel):
    """The AWS account that Kiro works in, and what is expected of it."""

    region: Annotated[str, Field(min_length=3, max_length=32)] = Field(
        default="us-east-1",
        description="Region whose endpoints are asked.",
        json_schema_extra=_matches(
            "^[a-z]{2,4}(-[a-z]{1,12}){1,3}-[0-9]{1,2}$", "write a region such as eu-central-1"
        ),
    )
    expected_account: Annotated[str, Field(min_length=12, max_length=12)] | None = Field(
        default=None,
        description="Account that the identity has to belong to; any when left out.",
        json_schema_extra=_matches("^[0-9]{12}$", "write the twelve digits of an account"),
    )
    expected_role: Annotated[str, Field(min_length=10, max_length=640)] | None = Field(
        default=None,
        description=(
            "ARN of the role or user that the identity has to be, with * for any characters; any when left "
            "out. A role's path does not count: a session does not tell it."
        ),
        json_schema_extra=_matches(
            _ROLE_PATTERN, "write an ARN of a role or user such as arn:aws:iam::123456789012:role/kiro-*"
        ),
    )
    role_arn: RoleArn | None = Field(
        default=None,
        description="Role that the operator takes on before it asks; its own identity when left out.",
    )
    external_id: Annotated[str, Field(min_length=2, max_length=1224)] | None = Field(
        default=None,
        description="External id that the role's trust policy asks for.",
        json_schema_extra=_matches("^[-A-Za-z0-9_+=,.@:/]*$", "write letters, digits and any of _+=,.@:/-"),
    )
    principal: RoleArn | None = Field(
        default=None,
        description=(
            "Full ARN of the role or user whose permissions are simulated; the identity itself when left out."
        ),
    )
    must_allow: Annotated[list[AwsAction], Field(max_length=64)] = Field(
        default=[],
        description="Actions that Kiro needs.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    must_deny: Annotated[list[AwsAction], Field(max_length=64)] = Field(
        default=[],
        description="Actions that Kiro must not be allowed.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    context: dict[str, Annotated[str, Field(max_length=256)]] = Field(
        default={},
        max_length=16,
        description="Values of condition keys for the simulation, such as aws:RequestedRegion: eu-central-1.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.all(k, k.size() <= 128 && k.matches('^[A-Za-z0-9-]+:[A-Za-z0-9/._-]+$'))",
                    "message": "write condition keys such as aws:RequestedRegion",
                }
            ]
        },
    )
    costs: AwsCosts = Field(default=AwsCosts(), description="Which costs are looked at.")
