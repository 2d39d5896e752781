"""What pods use now, from the metrics API: the figures of ``kubectl top pods``."""

import math
import re
from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import MALFORMED, Client
from kiro_operator.adapters.kubernetes.unobserved import malformed, unobserved
from kiro_operator.core.evidence.usage import POD_METRICS, PodUsage, Usage
from kiro_operator.core.objects import Selector
from kiro_operator.core.permissions import Rule
from kiro_operator.core.quantity import parse_quantity
from kiro_operator.core.snapshot import Unobserved

RULES = (
    Rule(
        "metrics.k8s.io",
        ("pods",),
        ("list",),
        "resource-utilization holds what containers use against what they may use",
    ),
)
API = "/apis/metrics.k8s.io/v1beta1"
NOT_INSTALLED = Unobserved(
    "NotInstalled",
    "the metrics API (metrics.k8s.io) is not served: install metrics-server, or see why it is not available "
    "with kubectl get apiservice v1beta1.metrics.k8s.io",
)

_WHAT = "the metrics of pods"
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class _Metadata(Struct):
    name: str


class _Container(Struct):
    name: str
    usage: dict[str, str] = {}


class _PodMetrics(Struct):
    metadata: _Metadata
    timestamp: datetime | None = None
    window: str = ""
    containers: tuple[_Container, ...] | None = None


class _List(Struct):
    items: tuple[_PodMetrics, ...] | None = None


_decode = msgspec.json.Decoder(_List).decode


class PodMetrics:
    """Samples the metrics API; one request a sample, however many pods there are."""

    source = POD_METRICS
    rules = RULES

    def __init__(self, client: Client, api: str = API) -> None:
        self._client = client
        self._api = api

    async def observe(self, request: ports.PollRequest) -> Mapping[str, PodUsage] | Unobserved:
        """What the selected pods use, by pod name."""
        chosen = label_selector(request.selector)
        parameters = {"labelSelector": chosen} if chosen else {}
        try:
            body = await self._client.get(f"{self._api}/namespaces/{request.namespace}/pods", **parameters)
        except ports.NotFound:
            return NOT_INSTALLED
        except ports.Unreachable as error:
            # The aggregation layer says 503 for an API whose server is not there; the client keeps the
            # status only in the text.
            if str(error).startswith("503 "):
                return NOT_INSTALLED
            return unobserved(error, RULES[0], request.namespace, _WHAT)
        except ports.ApiError as error:
            return unobserved(error, RULES[0], request.namespace, _WHAT)
        try:
            return usages(body)
        except MALFORMED as error:
            return malformed(error, request.namespace, _WHAT)


def usages(body: bytes) -> dict[str, PodUsage]:
    """A PodMetricsList as usage by pod name; a container without both figures is left out.

    Raises:
        msgspec.DecodeError: it is no PodMetricsList.
    """
    return {
        pod.metadata.name: PodUsage(
            {
                container.name: usage
                for container in pod.containers or ()
                if (usage := _usage(container.usage)) is not None
            },
            pod.timestamp,
            seconds(pod.window),
        )
        for pod in _decode(body).items or ()
    }


def _usage(usage: Mapping[str, str]) -> Usage | None:
    try:
        cpu, memory = parse_quantity(usage["cpu"]), parse_quantity(usage["memory"])
    except (KeyError, ValueError):
        return None
    if not (math.isfinite(cpu) and math.isfinite(memory)):
        return None
    return Usage(cpu, int(memory))


def seconds(duration: str) -> float:
    """A duration as Go prints it, such as 1m0.5s, in seconds; 0 for what is none."""
    parts = _DURATION.findall(duration)
    if "".join(number + unit for number, unit in parts) != duration:
        return 0.0
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def label_selector(selector: Selector) -> str:
    """A selector as the API takes it in a query; empty for one that selects everything."""
    terms = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for expression in selector.match_expressions:
        values = f"({','.join(expression.values)})"
        match expression.operator:
            case "In":
                terms.append(f"{expression.key} in {values}")
            case "NotIn":
                terms.append(f"{expression.key} notin {values}")
            case "Exists":
                terms.append(expression.key)
            case "DoesNotExist":
                terms.append(f"!{expression.key}")
    return ",".join(terms)
