"""Where MCP servers answer, and what they are expected to answer."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field
from pydantic.config import JsonDict

from kiro_operator.api.v1alpha1.endpoint import Endpoint
from kiro_operator.api.v1alpha1.types import ApiModel, Between, LabelSelector, rules

Label = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
                    "message": "write a name: lower-case letters, digits, '-' and '.'",
                }
            ]
        },
    ),
]
Tool = Annotated[str, Field(min_length=1, max_length=128)]
Expression = Annotated[str, Field(min_length=1, max_length=1024)]
_PATH: JsonDict = {
    "x-kubernetes-validations": [
        {
            "rule": "self.matches('^(/[-A-Za-z0-9._~]+)*/?$')",
            "message": "write a path such as /mcp: no query",
        }
    ]
}


class GoldenQuery(ApiModel):
    """A call whose answer is known: one tool, fixed arguments, and what has to hold of the answer."""

    name: Label = Field(
        description=(
            "Name of the query. Queries of the same name at several servers are held to be about the same "
            "data."
        )
    )
    tool: Tool = Field(description="Name of the tool that is called; it has to be one without side effects.")
    arguments: dict[str, Any] = Field(
        default={},
        description="Arguments of the call, as the tool takes them; 16 KiB of JSON at most.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True, "maxProperties": 32},
    )
    expect: Expression | None = Field(
        default=None,
        description=(
            "CEL expression that is true of a right answer, such as result.structuredContent.price > 0.0; "
            "result has structuredContent, text and isError."
        ),
    )
    check_schema: bool = Field(
        default=True, description="Hold the answer against the output schema that the tool declares."
    )
    max_latency: Annotated[timedelta, Between("1s", "10s")] = Field(
        default=timedelta(seconds=5), description="How long the answer may take."
    )
    timestamp: Expression | None = Field(
        default=None,
        description=(
            "CEL expression for the time of the data, such as result.structuredContent.updatedAt: a "
            "timestamp, an RFC 3339 text, or Unix seconds."
        ),
    )
    max_age: Annotated[timedelta, Between("1s", "8760h")] = Field(
        default=timedelta(hours=1), description="How old the data may be by that time."
    )


class McpServer(Endpoint):
    """An MCP server over streamable HTTP."""

    name: Label = Field(description="Name of the server, such as its name in .kiro/settings/mcp.json.")
    mcp_path: Annotated[str, Field(max_length=256)] = Field(
        default="/mcp", description="Path of the MCP endpoint.", json_schema_extra=_PATH
    )
    health_path: Annotated[str, Field(max_length=256)] = Field(
        default="/health",
        description="Path that answers 2xx while the server is well; empty when it has none.",
        json_schema_extra=_PATH,
    )
    expected_tools: Annotated[list[Tool], Field(max_length=64)] = Field(
        default=[],
        description="Names of the tools that have to be there; those of golden queries always have to.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    golden_queries: Annotated[list[GoldenQuery], Field(max_length=16)] = Field(
        default=[],
        description="Calls whose answers are judged, one after the other at each sample.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )


class McpClient(ApiModel):
    """A command that tests the MCP connections from inside a pod."""

    selector: LabelSelector = Field(
        default=LabelSelector(),
        description="Which of the selected pods have the command; the first ready one by name runs it.",
    )
    container: Annotated[str, Field(max_length=63)] = Field(
        default="", description="Container that runs it; empty: the pod's first."
    )
    timeout: Annotated[timedelta, Between("1s", "30s")] = Field(
        default=timedelta(seconds=10), description="How long it may take."
    )


class McpEvidence(ApiModel):
    """The MCP servers that Kiro uses. Servers that Kiro starts itself (stdio) are tested by ``client``."""

    model_config = rules(
        (
            "(has(self.servers) && self.servers.size() > 0) || has(self.client)",
            "write servers, or client: {} to run mcp-client test-connection in a pod",
        ),
    )

    servers: Annotated[list[McpServer], Field(max_length=16)] = Field(
        default=[],
        description="MCP servers that can be reached over HTTP from the operator.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    client: McpClient | None = Field(
        default=None,
        description="The test by exec in a pod; it needs the overlay deploy/namespace/exec. None: not run.",
    )
