"""Evidence: steering documents and hooks."""

from typing import Annotated

from pydantic import Field, JsonValue

from kiro_operator.api.v1alpha1.autonomy import OnDrift
from kiro_operator.api.v1alpha1.types import ApiModel, DnsName, LabelSelector, rules

Named = Annotated[str, Field(min_length=1, max_length=253)]
_SET: dict[str, JsonValue] = {"x-kubernetes-list-type": "set"}


class SteeringPods(ApiModel):
    """Pods in whose file system the documents are; read by exec, which the admin has to grant."""

    selector: LabelSelector = Field(
        default=LabelSelector(), description="Which of the selected pods to read; empty means any of them."
    )
    container: Annotated[str, Field(max_length=63)] = Field(
        default="", description="Container to read in; the pod's first one when left out."
    )
    root: str = Field(
        default=".",
        min_length=1,
        max_length=256,
        description="Folder that holds .kiro, such as /workspace; '.' is the container's working directory.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.matches('^([.]|/|(/[A-Za-z0-9_.-]+)+)$') && !self.contains('..')",
                    "message": "write an absolute path such as /workspace, or '.' for the working directory",
                }
            ]
        },
    )
    replicas: int = Field(
        default=3, ge=1, le=5, description="Pods that are read and compared with each other, at most."
    )
    workspace: bool = Field(
        default=True,
        description="Whether to list the files of the root, against which references and patterns are held.",
    )


class SteeringEnvironment(ApiModel):
    """What is true of this cluster, against which the documents' statements are held."""

    name: Annotated[str, Field(max_length=63)] = Field(
        default="", description="Name of this cluster's environment, such as production."
    )
    others: list[Annotated[str, Field(min_length=1, max_length=63)]] = Field(
        default=[],
        max_length=16,
        description="Names of other environments, beside production, staging, development and test.",
        json_schema_extra=_SET,
    )
    regions: list[Annotated[str, Field(min_length=1, max_length=32)]] = Field(
        default=[],
        max_length=16,
        description="Regions that this cluster may use, such as eu-central-1; [] leaves regions unjudged.",
        json_schema_extra=_SET,
    )
    namespaces: list[Annotated[str, Field(min_length=1, max_length=63)]] = Field(
        default=[],
        max_length=128,
        description="Namespaces that exist beside this one; [] leaves namespaces unjudged.",
        json_schema_extra=_SET,
    )
    hosts: list[Named] = Field(
        default=[],
        max_length=64,
        description="Hosts that exist although no Service of this namespace has the name.",
        json_schema_extra=_SET,
    )


class SteeringEvidence(ApiModel):
    """Where the evidence on steering documents and hooks is."""

    model_config = rules(
        (
            "self.configMaps.size() > 0 || has(self.pods)",
            "steering: write the names of configMaps, or pods for files in a container",
        ),
    )

    config_maps: list[DnsName] = Field(
        default=[],
        max_length=16,
        description="ConfigMaps of this namespace with documents; key x.md is .kiro/steering/x.md.",
        json_schema_extra=_SET,
    )
    on_drift: OnDrift = Field(
        default=OnDrift.OBSERVE,
        description="Observe tells of a broken document; Restore asks, for those in configMaps, for "
        "RestoreSteering as well, which the KiroSafetyPolicy has to allow.",
    )
    pods: SteeringPods | None = Field(
        default=None, description="Pods in whose file system the documents are; needs the grant for exec."
    )
    environment: SteeringEnvironment = Field(
        default=SteeringEnvironment(), description="What is true of this cluster."
    )
