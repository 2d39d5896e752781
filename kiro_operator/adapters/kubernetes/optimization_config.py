"""The ConfigMap with what Kiro optimizes by: the numbers that are declared, and nothing else of it."""

from collections.abc import Iterable

import msgspec

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.adapters.kubernetes.safety_config import ConfigMap
from kiro_operator.adapters.kubernetes.unobserved import malformed, unobserved
from kiro_operator.api.v1alpha1.evidence.optimization import is_number
from kiro_operator.core.evidence.optimization_config import OPTIMIZATION_CONFIG, OptimizationConfig
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

RULES = (
    Rule(
        "",
        ("configmaps",),
        ("get",),
        "ChangeOptimization takes its steps from the numbers in the ConfigMap that spec.optimization names",
    ),
)
_WHAT = "what Kiro optimizes by"


class OptimizationConfigs:
    """Samples the ConfigMap that a KiroHealthCheck names."""

    source = OPTIMIZATION_CONFIG
    rules = RULES

    def __init__(self, client: Client) -> None:
        self._client = client

    async def observe(self, request: ports.PollRequest) -> OptimizationConfig | Unobserved | None:
        """It as it is; None when there is none of that name."""
        declared = request.spec.optimization
        if declared is None:
            return Unobserved(NOT_CONFIGURED, "spec.optimization is not set")
        path = f"/api/v1/namespaces/{request.namespace}/configmaps/{declared.config_map}"
        try:
            return kept(await self._client.get(path), [item.key for item in declared.parameters])
        except ports.NotFound:
            return None
        except MALFORMED as error:
            return malformed(error, request.namespace, _WHAT)
        except (ports.ApiError, ports.Unreachable) as error:
            return unobserved(error, RULES[0], request.namespace, _WHAT)


def kept(body: bytes, keys: Iterable[str]) -> OptimizationConfig:
    """What is kept of a ConfigMap: whatever is no number under one of these keys may be a secret.

    Raises:
        msgspec.DecodeError: it is no ConfigMap.
    """
    found = msgspec.json.decode(body, type=ConfigMap)
    data, binary = found.data or {}, found.binary_data or {}
    there = [key for key in keys if key in data or key in binary]
    numbers = {key: data[key] for key in there if key in data and is_number(data[key])}
    return OptimizationConfig(
        found.metadata.uid,
        found.metadata.resource_version,
        found.metadata.labels,
        found.metadata.protected,
        numbers,
        tuple(key for key in there if key not in numbers),
    )
