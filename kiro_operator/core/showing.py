"""The command that shows a person what a check saw, made of what it really asked.

A template has commands with ``; `` between them, and names in braces. A command in which something stays
open, such as the object of a verdict that found none, is left out, and so is one for which there is no room.
"""

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any

from kiro_operator.api.v1alpha1.endpoint import Endpoint
from kiro_operator.api.v1alpha1.evidence.mcp import McpServer
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.types import LabelSelector
from kiro_operator.core import told
from kiro_operator.core.checks import Check
from kiro_operator.core.promql import filled
from kiro_operator.core.snapshot import Polled, Ref
from kiro_operator.core.verdict import Verdict

_BETWEEN = "; "
_WRITTEN = {"In": "{key} in ({values})", "NotIn": "{key} notin ({values})", "Exists": "{key}"}
_IDENTITY = '"$(aws sts get-caller-identity --query Arn --output text)"'


def command(
    check: Check,
    verdict: Verdict,
    parameters: Any,
    spec: KiroHealthCheckSpec,
    namespace: str,
    *,
    longest: int,
) -> str | None:
    """The commands that can be told within a number of characters; None when that is none of them."""
    template = check.commands.get(verdict.reason, check.command)
    words = _words(check, verdict, parameters, spec, namespace)
    shown = ""
    for part in template.split(_BETWEEN):
        try:
            filled = " ".join(part.format_map(words).split())
        except KeyError:
            continue
        both = f"{shown}{_BETWEEN}{filled}" if shown else filled
        shown = both if len(both) <= longest else shown
    return shown or None


def places(source: Polled[Any], spec: KiroHealthCheckSpec, namespace: str) -> str:
    """A source as a person knows it: its name, and the addresses at which it is asked."""
    addresses = ", ".join(
        f"{endpoint.url(namespace)}{path}" for endpoint, path in _endpoints(source.name, spec)
    )
    return f"{source.name} ({addresses})" if addresses else source.name


def _endpoints(source: str, spec: KiroHealthCheckSpec) -> Iterator[tuple[Endpoint, str]]:
    servers = spec.mcp.servers if spec.mcp else []
    match source:
        case "prometheus" | "trigger-metrics" if spec.prometheus:
            yield spec.prometheus, ""
        case "alertmanager" if spec.alertmanager:
            yield spec.alertmanager, ""
        case "mcp-sessions":
            yield from ((server, server.mcp_path) for server in servers)
        case "mcp-health":
            yield from ((server, server.health_path) for server in servers if server.health_path)
        case "endpoints":
            yield from ((endpoint, "") for endpoint in spec.autonomy.endpoints)
        case _:
            return


def _words(
    check: Check, verdict: Verdict, parameters: Any, spec: KiroHealthCheckSpec, namespace: str
) -> Mapping[str, str]:
    """What the names in a template stand for, each ready for a shell; what is not known is not there."""
    words: dict[str, str] = {
        name: quote(filled(value, namespace))
        for name, value in parameters
        if isinstance(value, str) and value
    }
    words |= {"namespace": namespace, "selector": _selected(spec.selector)}
    first = verdict.findings[0].object if verdict.findings else None
    if first and (told.words(first.kind), told.name(first)) == (first.kind, first.name):
        words |= {"object": quote(f"{first.kind.lower()}/{first.name}"), "name": quote(first.name)}
    elif first:
        # A name that may not be told is not there to be typed either.
        words |= {"object": "NAME", "name": "NAME"}
    if check.queries and (asked := check.queries(parameters, namespace)):
        words["query"] = quote(asked[0].words)
    if spec.prometheus:
        words["prometheus"] = quote(spec.prometheus.url(namespace))
    if spec.alertmanager:
        words["alertmanager"] = quote(spec.alertmanager.url(namespace))
    if spec.steering and spec.steering.config_maps:
        words["steering"] = " ".join(spec.steering.config_maps)
    for endpoint in _named(spec.autonomy.endpoints, first):
        words["endpoint"] = quote(endpoint.url(namespace) + ("" if endpoint.path else "/"))
    for server in _named(spec.mcp.servers if spec.mcp else [], first):
        words |= _of_server(server, first, namespace)
    return words | _of_aws(spec, first)


def _named(items: list[Any], first: Ref | None) -> list[Any]:
    """The item that a finding is about, whose name may have more behind a slash; else the first there is."""
    name = first.name.partition("/")[0] if first else ""
    return ([item for item in items if item.name == name] or items)[:1]


def _of_server(server: McpServer, first: Ref | None, namespace: str) -> dict[str, str]:
    words = {"mcp": quote(server.url(namespace) + server.mcp_path)}
    if server.health_path:
        words["health"] = quote(server.url(namespace) + server.health_path)
    query = first.name.partition("/")[2] if first else ""
    golden = [item for item in server.golden_queries if item.name == query] or server.golden_queries
    if golden:
        given = (f"--tool-arg {quote(f'{key}={value}')}" for key, value in golden[0].arguments.items())
        words["tool"] = " ".join([quote(golden[0].tool), *given])
    return words


def _of_aws(spec: KiroHealthCheckSpec, first: Ref | None) -> dict[str, str]:
    aws = spec.aws
    if aws is None:
        return {}
    words = {"region": aws.region, "metric": aws.costs.metric}
    words["principal"] = quote(aws.principal) if aws.principal else _IDENTITY
    declared = [f"{item.action} {item.resource}" for item in (*aws.must_deny, *aws.must_allow)]
    name = first.name if first and first.kind == "AwsAction" else next(iter(declared), "")
    if name:
        action, _, resource = name.partition(" ")
        words |= {"action": quote(action), "resource": quote(resource or "*")}
    return words


def _selected(selector: LabelSelector) -> str:
    """Which pods a KiroHealthCheck selects, as kubectl takes it; empty for all."""
    wanted = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    wanted += [
        _WRITTEN.get(item.operator, "!{key}").format(key=item.key, values=",".join(item.values))
        for item in selector.match_expressions
    ]
    return f"-l {quote(','.join(wanted))}" if wanted else ""
