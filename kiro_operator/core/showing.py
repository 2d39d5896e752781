"""The command that shows a person what a check saw, made of what it really asked.

A template has commands with ``; `` between them, and names in braces. A command in which something stays
open, such as the object of a verdict that found none, is left out, and so is one for which there is no room.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from shlex import quote
from typing import Any, TypeVar

from msgspec import Struct

from kiro_operator.api.v1alpha1.endpoint import Endpoint
from kiro_operator.api.v1alpha1.evidence.autonomy import NamedEndpoint
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
    words = _Words(_Asked(check, verdict, parameters, spec, namespace))
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


class _Asked(Struct, frozen=True):
    """What a command is made of."""

    check: Check
    verdict: Verdict
    parameters: Any
    spec: KiroHealthCheckSpec
    namespace: str

    @property
    def first(self) -> Ref | None:
        """The object that the verdict is about, or the first of them."""
        return self.verdict.findings[0].object if self.verdict.findings else None


class _Words(dict[str, str]):
    """What the names in a template stand for, each ready for a shell; what is not known is not there.

    A name is looked into when a template has it: most have two of twenty, and this is asked for every check
    that does not pass, at every judgement.
    """

    def __init__(self, asked: _Asked) -> None:
        super().__init__()
        self._asked = asked

    def __missing__(self, name: str) -> str:
        known = _KNOWN.get(name)
        word = known(self._asked) if known else None
        if word is None:
            word = _parameter(self._asked, name)
        if word is None:
            raise KeyError(name)
        return word


def _parameter(asked: _Asked, name: str) -> str | None:
    value = getattr(asked.parameters, name, None)
    return quote(filled(value, asked.namespace)) if isinstance(value, str) and value else None


def _object(asked: _Asked) -> str | None:
    return _typed(asked.first, lambda ref: f"{ref.kind.lower()}/{ref.name}")


def _name(asked: _Asked) -> str | None:
    return _typed(asked.first, lambda ref: ref.name)


def _typed(ref: Ref | None, write: Callable[[Ref], str]) -> str | None:
    if ref is None:
        return None
    # A name that may not be told is not there to be typed either.
    tellable = (told.words(ref.kind), told.name(ref)) == (ref.kind, ref.name)
    return quote(write(ref)) if tellable else "NAME"


def _query(asked: _Asked) -> str | None:
    queries = asked.check.queries(asked.parameters, asked.namespace) if asked.check.queries else ()
    return quote(queries[0].words) if queries else None


def _prometheus(asked: _Asked) -> str | None:
    return quote(asked.spec.prometheus.url(asked.namespace)) if asked.spec.prometheus else None


def _alertmanager(asked: _Asked) -> str | None:
    return quote(asked.spec.alertmanager.url(asked.namespace)) if asked.spec.alertmanager else None


def _steering(asked: _Asked) -> str | None:
    return (asked.spec.steering and " ".join(asked.spec.steering.config_maps)) or None


def _endpoint(asked: _Asked) -> str | None:
    endpoint = _named(asked.spec.autonomy.endpoints, asked.first)
    return quote(endpoint.url(asked.namespace) + ("" if endpoint.path else "/")) if endpoint else None


def _server(asked: _Asked) -> McpServer | None:
    return _named(asked.spec.mcp.servers if asked.spec.mcp else [], asked.first)


def _mcp(asked: _Asked) -> str | None:
    server = _server(asked)
    return quote(server.url(asked.namespace) + server.mcp_path) if server else None


def _health(asked: _Asked) -> str | None:
    server = _server(asked)
    if server is None or not server.health_path:
        return None
    return quote(server.url(asked.namespace) + server.health_path)


def _tool(asked: _Asked) -> str | None:
    server, first = _server(asked), asked.first
    if server is None or not server.golden_queries:
        return None
    name = first.name.partition("/")[2] if first else ""
    query = next((item for item in server.golden_queries if item.name == name), server.golden_queries[0])
    given = (f"--tool-arg {quote(f'{key}={value}')}" for key, value in query.arguments.items())
    return " ".join([quote(query.tool), *given])


T = TypeVar("T", NamedEndpoint, McpServer)


def _named(items: Sequence[T], first: Ref | None) -> T | None:
    """The item that a finding is about, whose name may have more behind a slash; else the first there is."""
    name = first.name.partition("/")[0] if first else ""
    return next((item for item in items if item.name == name), items[0] if items else None)


def _region(asked: _Asked) -> str | None:
    return asked.spec.aws.region if asked.spec.aws else None


def _metric(asked: _Asked) -> str | None:
    return asked.spec.aws.costs.metric if asked.spec.aws else None


def _principal(asked: _Asked) -> str | None:
    aws = asked.spec.aws
    if aws is None:
        return None
    return quote(aws.principal) if aws.principal else _IDENTITY


def _action(asked: _Asked) -> str | None:
    return quote(on[0]) if (on := _permission(asked)) else None


def _resource(asked: _Asked) -> str | None:
    return quote(on[1] or "*") if (on := _permission(asked)) else None


def _permission(asked: _Asked) -> tuple[str, str] | None:
    """The action in AWS that is spoken of, and on what."""
    aws, first = asked.spec.aws, asked.first
    if aws is None:
        return None
    declared = [f"{item.action} {item.resource}" for item in (*aws.must_deny, *aws.must_allow)]
    name = first.name if first and first.kind == "AwsAction" else next(iter(declared), "")
    action, _, resource = name.partition(" ")
    return (action, resource) if action else None


def _selected(selector: LabelSelector) -> str:
    """Which pods a KiroHealthCheck selects, as kubectl takes it; empty for all."""
    wanted = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    wanted += [
        _WRITTEN.get(item.operator, "!{key}").format(key=item.key, values=",".join(item.values))
        for item in selector.match_expressions
    ]
    return f"-l {quote(','.join(wanted))}" if wanted else ""


_KNOWN: Mapping[str, Callable[[_Asked], str | None]] = {
    "namespace": lambda asked: asked.namespace,
    "selector": lambda asked: _selected(asked.spec.selector),
    "object": _object,
    "name": _name,
    "query": _query,
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
    "steering": _steering,
    "endpoint": _endpoint,
    "mcp": _mcp,
    "health": _health,
    "tool": _tool,
    "region": _region,
    "metric": _metric,
    "principal": _principal,
    "action": _action,
    "resource": _resource,
}
