"""Evidence: records in logs."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from kiro_operator.api.v1alpha1.types import ApiModel, Between, rules

_ANY_LEFT_OUT = "!has(self.queries) || !has(self.operations) || !has(self.decisions) || !has(self.traces)"
_KINDS = (
    "[self.queries.kind, self.operations.kind, self.decisions.kind, self.decisions.opportunityKind, "
    "self.traces.kind]"
)

Path = Annotated[str, Field(min_length=1, max_length=128)]
"""Where a value stands in a record: a key, or keys joined by dots."""
Kind = Annotated[str, Field(min_length=1, max_length=63)]
"""What the field that tells the kind of a record holds."""


class QueryFields(ApiModel):
    """Which fields of a query record hold what."""

    kind: Kind = Field(default="query", description="What marks a record of a query.")
    id: Path = Field(default="id", description="Identifies the query.")
    time: Path = Field(default="time", description="When it was asked.")
    text: Path = Field(default="text", description="What was asked.")
    environment: Path = Field(default="environment", description="The environment it is about.")
    scope: Path = Field(default="scope", description="What part of the environment it is about.")
    context: Path = Field(default="context", description="What was given along with it: a list or a number.")
    documents: Path = Field(default="documents", description="Steering documents that applied.")
    feedback: Path = Field(default="feedback", description="Whether the answer was good or bad.")
    latency: Path = Field(default="latency", description="How long the answer took.")
    latency_unit: Literal["s", "ms"] = Field(
        default="s", description="Unit of a latency that is a mere number."
    )


class OperationFields(ApiModel):
    """Which fields of an autonomous operation's record hold what."""

    kind: Kind = Field(default="operation", description="What marks a record of an autonomous operation.")
    id: Path = Field(default="id", description="Identifies the operation.")
    time: Path = Field(default="time", description="When it ended.")
    action: Path = Field(default="action", description="What was done, or was to be done.")
    target_kind: Path = Field(default="target.kind", description="Kind of the object it was done to.")
    target_namespace: Path = Field(default="target.namespace", description="Namespace of that object.")
    target_name: Path = Field(
        default="target.name", description="Name of that object; kind/name and kind/namespace/name as well."
    )
    outcome: Path = Field(default="outcome", description="Whether it was a success, a failure or refused.")
    reason: Path = Field(default="reason", description="Why it failed or was refused.")
    boundary: Path = Field(default="boundary", description="Name of the boundary it was held against.")
    change_size: Path = Field(default="changeSize", description="How much it changed, as a number.")


class DecisionFields(ApiModel):
    """Which fields of an optimization decision's or opportunity's record hold what."""

    kind: Kind = Field(default="decision", description="What marks a decision.")
    opportunity_kind: Kind = Field(default="opportunity", description="What marks an opportunity.")
    id: Path = Field(default="id", description="Identifies the decision or opportunity.")
    time: Path = Field(default="time", description="When it was taken or found.")
    action: Path = Field(default="action", description="What is to be changed.")
    object_kind: Path = Field(default="object.kind", description="Kind of the object concerned.")
    object_namespace: Path = Field(default="object.namespace", description="Namespace of that object.")
    object_name: Path = Field(
        default="object.name", description="Name of that object; kind/name and kind/namespace/name as well."
    )
    predicted_saving: Path = Field(
        default="predictedSaving", description="What it was to save, in the log's own currency."
    )
    realised_saving: Path = Field(default="realisedSaving", description="What it has saved, likewise.")
    applied: Path = Field(default="applied", description="Whether it was carried out.")
    reverted: Path = Field(default="reverted", description="Whether it was taken back.")
    wrong: Path = Field(default="wrong", description="Whether it was found to be wrong.")


class TraceFields(ApiModel):
    """Which fields of a reasoning step's record hold what."""

    kind: Kind = Field(default="trace", description="What marks a step of the reasoning on a query.")
    query: Path = Field(default="query", description="Id of the query.")
    step: Path = Field(default="step", description="Number of the step.")
    time: Path = Field(default="time", description="When it was taken.")
    text: Path = Field(default="text", description="What was concluded.")
    documents: Path = Field(default="documents", description="Steering documents it drew on.")
    tools: Path = Field(default="tools", description="Tools it used.")


class RecordsEvidence(ApiModel):
    """Which fields of the JSON lines in Kiro's logs hold what; docs/records.md defines the records."""

    model_config = rules(
        (
            # The default {} is held against the rule before it is filled in.
            f"{_ANY_LEFT_OUT} || {_KINDS}.all(kind, {_KINDS}.filter(other, other == kind).size() == 1)",
            "write a word of its own for each kind of record, such as queries: {kind: query}",
        ),
    )

    kind_fields: Annotated[list[Path], Field(min_length=1, max_length=4)] = Field(
        default=["record", "kind"],
        description="Fields that tell the kind of a record: the first that holds a known kind counts.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    window: Annotated[timedelta, Between("1m", "24h")] = Field(
        default=timedelta(minutes=15),
        description="How long a record of a query or an operation counts after it was read.",
    )
    queries: QueryFields = Field(default=QueryFields(), description="Records of queries.")
    operations: OperationFields = Field(
        default=OperationFields(), description="Records of autonomous operations."
    )
    decisions: DecisionFields = Field(
        default=DecisionFields(), description="Records of optimization decisions and opportunities."
    )
    traces: TraceFields = Field(default=TraceFields(), description="Records of reasoning.")
