"""Where something answers over HTTP, as a user writes it."""

from typing import Annotated, Literal

from pydantic import Field

from kiro_operator.api.v1alpha1.types import ApiModel, DnsName, rules


class ServicePort(ApiModel):
    """A port of a Service of this namespace."""

    name: DnsName = Field(description="Name of the Service, in this namespace.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(description="Port of the Service.")


class Endpoint(ApiModel):
    """Something that answers over HTTP: a Service of this namespace, or a host that the admin allows."""

    model_config = rules(
        (
            "has(self.service) != has(self.host)",
            "write one of service, such as {name: mcp-server, port: 8080}, and host, which the admin allows",
        ),
    )

    service: ServicePort | None = Field(default=None, description="A Service of this namespace.")
    host: Annotated[str, Field(min_length=3, max_length=261)] | None = Field(
        default=None,
        description="host:port outside of this namespace; the operator's --allow-host has to list it.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.matches('^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?:[0-9]{1,5}$')",
                    "message": "write host:port, such as prometheus.monitoring.svc:9090",
                }
            ]
        },
    )
    scheme: Literal["http", "https"] = Field(default="http", description="http or https.")
    path: Annotated[str, Field(max_length=256)] = Field(
        default="",
        description="Path before everything that is asked for, such as /prometheus.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.matches('^(/[-A-Za-z0-9._~]+)*$')",
                    "message": "write a path such as /prometheus: no query, no trailing slash",
                }
            ]
        },
    )
    credential: DnsName | None = Field(
        default=None,
        description=(
            "Name of a credential that the admin has mounted for this namespace: its token is sent as a "
            "bearer token, its ca.crt is trusted."
        ),
    )

    def url(self, namespace: str) -> str:
        """Scheme, host, port and path prefix, as it is asked from inside the cluster."""
        service = self.service
        host = f"{service.name}.{namespace}.svc:{service.port}" if service else (self.host or "").lower()
        return f"{self.scheme}://{host}{self.path}"
