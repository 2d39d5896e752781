"""The ConfigMaps that KiroSafetyPolicies name, one request each."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.adapters.kubernetes.unobserved import malformed, unobserved
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.evidence.safety_config import BINARY, SAFETY_CONFIG, ConfigData, digest
from kiro_operator.core.objects.meta import MarkedMetadata
from kiro_operator.core.permissions import Rule
from kiro_operator.core.redact import redact
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.core.switches import switches

RULES = (
    Rule(
        "",
        ("configmaps",),
        ("get",),
        "safety-config and approval-gates hold kiro-safety-config against what a KiroSafetyPolicy desires",
    ),
)
KEYS = 128
"""Keys kept of one ConfigMap."""
VALUE = 2048
"""Characters kept of one value."""

_WHAT = "the safety configuration"


class ConfigMap(Struct, frozen=True, rename="camel"):
    """A ConfigMap as it is read one by one, with what it holds."""

    metadata: MarkedMetadata
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None


class SafetyConfigs:
    """Samples the ConfigMaps that the policies of a namespace name."""

    source = SAFETY_CONFIG
    rules = RULES

    def __init__(self, client: Client) -> None:
        self._client = client

    async def observe(self, request: ports.PollRequest) -> Mapping[str, ConfigData | None] | Unobserved:
        """Each named ConfigMap as it is, by name; none when no policy names one."""
        found: dict[str, ConfigData | None] = {}
        for name in named_by(request.snapshot.policies.values()):
            path = f"/api/v1/namespaces/{request.namespace}/configmaps/{name}"
            try:
                found[name] = kept(await self._client.get(path))
            except ports.NotFound:
                found[name] = None
            except MALFORMED as error:
                return malformed(error, request.namespace, _WHAT)
            except (ports.ApiError, ports.Unreachable) as error:
                return unobserved(error, RULES[0], request.namespace, _WHAT)
        return found


def named_by(specs: Iterable[KiroSafetyPolicySpec]) -> list[str]:
    """The ConfigMaps that policies hold something against, or let an action change."""
    names: set[str] = set()
    for spec in specs:
        if spec.safety_config is not None:
            names.add(spec.safety_config.name)
        names.update(switch.config_map for switch in switches(spec).values())
    return sorted(names)


def kept(body: bytes) -> ConfigData:
    """What is kept of a ConfigMap; binary data by its digest only.

    Raises:
        msgspec.DecodeError: it is no ConfigMap.
    """
    found = msgspec.json.decode(body, type=ConfigMap)
    data, binary = found.data or {}, found.binary_data or {}
    keys = sorted({*data, *binary})
    return ConfigData(
        {key: _shown(key, data[key]) if key in data else "(binary)" for key in keys[:KEYS]},
        {key: digest(data[key]) if key in data else BINARY for key in keys[:KEYS]},
        len(keys) > KEYS,
        found.metadata.uid,
        found.metadata.resource_version,
        found.metadata.labels,
        found.metadata.protected,
        found.metadata.gitops,
    )


def _shown(key: str, value: str) -> str:
    # What stands before a value decides whether it looks like a credential.
    return redact(f"{key}: {value[:VALUE]}").removeprefix(f"{key}: ")
