"""Slips in a KiroHealthCheck and in a KiroRemediation."""

from tests.api.cases import table

_POD = """\
  pod:
    apiVersion: v1
    kind: Pod
    name: orchestrator-7c9d-x2x4p
    uid: 8a1f9d3e-12c4-4c59-9d2b-5f3c6a7b8c90
"""

_QUERY = """\
  mcp:
    servers:
    - name: a
      service: {name: a, port: 1}
      goldenQueries: [{name: q, tool: t, %s}]"""

_PARAMETER = '{key: a, bolder: Lower, min: "1", max: "50", step: "5"}'
_OPTIMIZATION = "  optimization: {configMap: a, parameters: [%s]}"

HEALTH_CHECK = table(
    "KiroHealthCheck",
    (
        ("misspelt suspend", "  suspend: false", "  suspended: true", 'unknown field "spec.suspended"'),
        ("misspelt selector", "  selector:", "  selectors:", 'unknown field "spec.selectors"'),
        (
            "endpoint of AWS in the object",
            "  suspend: false",
            "  aws: {endpointUrl: http://169.254.169.254}",
            'unknown field "spec.aws.endpointUrl"',
        ),
        ("no region of AWS", "  suspend: false", "  aws: {region: Frankfurt}", "write a region such as"),
        ("no account", "  suspend: false", '  aws: {expectedAccount: "12345678901x"}', "the twelve digits"),
        (
            "role by its name",
            "  suspend: false",
            "  aws: {roleArn: kiro-operator-of-platform}",
            "write an ARN such as",
        ),
        (
            "action with a wildcard",
            "  suspend: false",
            "  aws: {mustDeny: [{action: 'iam:*'}]}",
            "without wildcards",
        ),
        (
            "resource that is no ARN",
            "  suspend: false",
            "  aws: {mustAllow: [{action: 's3:GetObject', resource: reports}]}",
            "write an ARN such as arn:aws:s3:::reports/*",
        ),
        (
            "one word for two kinds of record",
            "  suspend: false",
            "  records: {queries: {kind: trace}}",
            "write a word of its own for each kind of record",
        ),
        (
            "records without a field for their kind",
            "  suspend: false",
            "  records: {kindFields: []}",
            "spec.records.kindFields",
        ),
        (
            "misspelt field of a record",
            "  suspend: false",
            "  records: {queries: {enviroment: env}}",
            'unknown field "spec.records.queries.enviroment"',
        ),
        ("optimization by nothing", "  suspend: false", "  optimization: {configMap: a}", "parameters"),
        (
            "optimization in no ConfigMap",
            "  suspend: false",
            f"  optimization: {{parameters: [{_PARAMETER}]}}",
            "spec.optimization.configMap",
        ),
        (
            "optimization by a key that is none",
            "  suspend: false",
            _OPTIMIZATION % _PARAMETER.replace("key: a", "key: a/b"),
            "write a key as a ConfigMap has it",
        ),
        (
            "optimization by one key twice",
            "  suspend: false",
            _OPTIMIZATION % f"{_PARAMETER}, {_PARAMETER}",
            "Duplicate value",
        ),
        (
            "no way that is bolder",
            "  suspend: false",
            _OPTIMIZATION % _PARAMETER.replace("Lower", "lower"),
            'supported values: "Lower", "Raise"',
        ),
        (
            "bounds without quotes",
            "  suspend: false",
            _OPTIMIZATION % _PARAMETER.replace('"1"', "1"),
            "must be of type string",
        ),
        (
            "bounds with a unit",
            "  suspend: false",
            _OPTIMIZATION % _PARAMETER.replace('"50"', '"50%"'),
            "write a number in quotes",
        ),
        (
            "bounds the wrong way round",
            "  suspend: false",
            _OPTIMIZATION % _PARAMETER.replace('"50"', '"0.5"'),
            "min that is below max",
        ),
        (
            "a step of nothing",
            "  suspend: false",
            _OPTIMIZATION % _PARAMETER.replace('"5"', '"0.0"'),
            "step above 0",
        ),
        (
            "a step beyond the bounds",
            "  suspend: false",
            _OPTIMIZATION % _PARAMETER.replace('"5"', '"49.000001"'),
            "no more than max - min",
        ),
        (
            "a parameter without bounds",
            "  suspend: false",
            _OPTIMIZATION % "{key: a, bolder: Lower}",
            "spec.optimization.parameters[0].max",
        ),
        ("MCP of nothing", "  suspend: false", "  mcp: {}", "write servers, or client"),
        (
            "MCP server by URL",
            "  suspend: false",
            "  mcp: {servers: [{name: a, url: http://169.254.169.254/}]}",
            'unknown field "spec.mcp.servers[0].url"',
        ),
        (
            "MCP server at both places",
            "  suspend: false",
            "  mcp: {servers: [{name: a, host: 'a.example.com:1', service: {name: a, port: 1}}]}",
            "write one of service",
        ),
        (
            "MCP server's query in its path",
            "  suspend: false",
            "  mcp: {servers: [{name: a, service: {name: a, port: 1}, mcpPath: '/mcp?x=1'}]}",
            "write a path such as /mcp",
        ),
        (
            "MCP query's latency",
            "  suspend: false",
            _QUERY % "maxLatency: 5m",
            "write a duration from 1s to 10s",
        ),
        (
            "MCP query's expression for ever",
            "  suspend: false",
            _QUERY % f"expect: {'x' * 1025}",
            "Too long",
        ),
        (
            "MCP client with a command of its own",
            "  suspend: false",
            "  mcp: {client: {command: [rm, -rf, /]}}",
            'unknown field "spec.mcp.client.command"',
        ),
        ("misspelt ladder", "ladder:", "steps:", 'unknown field "spec.remediation.steps"'),
        (
            "misspelt threshold",
            "failureThreshold",
            "failThreshold",
            'unknown field "spec.checks[1].failThreshold"',
        ),
        ("misspelt policy", "safetyPolicyRef", "safetyPolicy", 'unknown field "spec.safetyPolicy"'),
        (
            "policy of another namespace",
            "name: cautious",
            "name: cautious\n    namespace: x",
            "unknown field",
        ),
        ("policy's name is no name", "name: cautious", "name: Very Cautious", "write an object's name"),
        ("policy's name is empty", "name: cautious", 'name: ""', "at least 1 chars long"),
        ("the same check twice", "- id: agent-latency", "- id: pods-ready", "Duplicate value"),
        ("check without an id", "- id: agent-latency\n    failure", "- failure", "id: Required value"),
        ("oversized id", "id: agent-latency", f"id: {'a' * 64}", "may not be more than 63"),
        (
            "too many checks",
            "  - id: agent-latency",
            "\n".join(f"  - id: c{n}" for n in range(128)),
            "at most 128",
        ),
        (
            "too many parameters",
            "      minReady: 2",
            "\n".join(f"      p{n}: 1" for n in range(33)),
            "at most 32",
        ),
        (
            "parameters are a list",
            "parameters:\n      minReady: 2",
            "parameters: [2]",
            "must be of type object",
        ),
        ("unknown action", "- action: Scale", "- action: Reboot", 'supported values: "Restart", "Scale"'),
        ("endless ladder", "    - action: Scale", "\n".join(["    - action: Scale"] * 8), "at most 8 items"),
        ("interval too short", "  interval: 1m", "  interval: 1s", "write a duration from 5s to 24h"),
        ("interval is a number", "  interval: 1m", "  interval: 60", "must be of type string"),
        (
            "stabilization too long",
            "stabilization: 1m",
            "stabilization: 2h",
            "write a duration from 0s to 1h, such as 30s or 5m",
        ),
        ("threshold of nothing", "failureThreshold: 3", "failureThreshold: 0", "greater than or equal to 1"),
        ("enabled is text", "enabled: true", 'enabled: "true"', "must be of type boolean"),
        ("NotIn without values", "values: [batch]", "values: []", "operators In and NotIn need values"),
        ("name too long", "name: kiro\n", f"name: {'k' * 64}\n", "metadata.name: use 63 characters or fewer"),
        ("other version", "kiro.dev/v1alpha1", "kiro.dev/v1", "no matches for kind"),
    ),
)

REMEDIATION = table(
    "KiroRemediation",
    (
        ("unknown action", "action: Restart", "action: Delete", 'supported values: "Restart", "Scale"'),
        ("unknown method", "method: Evict", "method: Delete", 'supported values: "Evict"'),
        ("method of another action", "action: Restart", "action: Scale", "Scale by ScaleUp or ScaleBack"),
        ("eviction of no pod", _POD, "", "name the pod with methods Evict and Exec"),
        ("a pod with another method", "method: Evict", "method: RolloutRestart", "and no pod with any other"),
        (
            "a command of a restart",
            "  fence:",
            "  command: {argv: [mcp-client], container: kiro}\n  fence:",
            "nothing with any other",
        ),
        (
            "a command as a restart",
            "method: Evict",
            "method: Exec",
            "write Exec with actions ReconnectMCP",
        ),
        (
            "replicas of a restart",
            "  fence:",
            "  replicas: {before: 1, after: 2}\n  fence:",
            "and none with any other",
        ),
        ("no fence", "fence:", "fences:", 'unknown field "spec.fences"'),
        (
            "fence without a uid",
            "  fence:\n    uid: 8a1f9d3e-12c4-4c59-9d2b-5f3c6a7b8c90\n",
            "  fence:\n",
            "uid: Required value",
        ),
        ("number for a resource version", '"4711"', "4711", "must be of type string"),
        ("episode of nothing", "episode: 1", "episode: 0", "greater than or equal to 1"),
        ("episode beyond int64", "episode: 1", "episode: 1e30", "must be of type integer"),
        ("oversized message", "1 of 3 pods restarts", "x" * 1025, "may not be more than 1024"),
    ),
)

CASES = HEALTH_CHECK + REMEDIATION
