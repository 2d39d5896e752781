"""Slips in a KiroSafetyPolicy."""

from tests.api.cases import table
from tests.api.documents import POLICY

_PROTECTED = """\
  protected:
    selectors:
    - matchLabels:
        app: ledger
      matchExpressions:
      - key: tier
        operator: In
        values: [db]
"""
_SELECTORS = _PROTECTED.partition("\n")[2]
_WINDOWS = """\
  forbiddenWindows:
  - name: weekend
    schedule: 0 22 * * FRI
    duration: 56h
    timeZone: Europe/Berlin
"""
_MAINTENANCE = """\
  maintenanceWindows:
  - name: weekdays
    schedule: 0 8 * * MON-THU
    duration: 10h
    timeZone: UTC
"""
_SCALE = "  scale:\n    floor: 2\n    ceiling: 5\n    step: 1\n"
_SUBJECTS = """\
    subjects:
    - kind: ServiceAccount
      name: kiro
      namespace: kiro-system
"""
_FROM_SCALE = POLICY[POLICY.index("  - name: Scale") : POLICY.index("  forbiddenWindows:")]
_CONTAINMENT = """\
  containment:
    configMap: kiro-safety-config
    key: autonomous-mode
    value: suspended
"""
_LOGGING = """\
  detailedLogging:
    configMap: kiro-logging
    key: level
    value: debug
    duration: 15m
"""
_CRON = "write five cron fields: minute hour day month weekday, such as 0 22 * * 5"
_DURATION = "write a duration from 0s to 168h, such as 30s, 5m or 1h30m"
_SHARE = "write a number of pods such as 2, or a share from 0% to 100%, such as 60%"
_RANGE = "write a range of pods such as [1-3], the smaller number first"
_ZONE = "write an IANA time zone such as Europe/Berlin or UTC, no abbreviation"
_LABEL = "write a label key such as app or app.kubernetes.io/name"

_MISSING = (
    (
        "no total budget",
        "  budget:\n    limit: 4\n    window: 1h30m\n",
        "",
        "write e.g. {limit: 3, window: 1h}",
    ),
    ("no cooldown", "  cooldown: 5m\n", "", "spec.cooldown is required in mode Enforce: write e.g. 5m"),
    (
        "no backoff",
        "  backoff:\n    initial: 10m\n    maximum: 4h\n",
        "",
        "write e.g. {initial: 5m, maximum: 1h}",
    ),
    (
        "no maxConsecutiveFailures",
        "  maxConsecutiveFailures: 3\n",
        "",
        "spec.maxConsecutiveFailures is required",
    ),
    ("no blast radius", "  maxUnhealthy: 40%\n", "", "write e.g. maxUnhealthy: 40%"),
    ("no stormCooldown", "  stormCooldown: 10m\n", "", "spec.stormCooldown is required in mode Enforce"),
    (
        "no maintenanceWindows",
        _MAINTENANCE,
        "",
        "spec.maintenanceWindows is required in mode Enforce: write []",
    ),
    ("maintenance window without an end", "    duration: 10h\n", "", "duration: Required value"),
    ("no forbiddenWindows", _WINDOWS, "", "spec.forbiddenWindows is required in mode Enforce: write []"),
    (
        "no pauseRequests",
        "  pauseRequests: []\n",
        "",
        "spec.pauseRequests is required in mode Enforce: write []",
    ),
    ("no protected", _PROTECTED, "", "write {selectors: []} when only annotated objects are protected"),
    ("protected without selectors", _SELECTORS, "    {}\n", "spec.protected.selectors: Required value"),
    ("Scale without bounds", _SCALE, "", "spec.scale is required when actions has Scale"),
    (
        "ChangeAutoscaling without bounds",
        _FROM_SCALE,
        _FROM_SCALE.replace("name: Scale", "name: ChangeAutoscaling").replace(_SCALE, ""),
        "spec.scale is required when actions has ChangeAutoscaling",
    ),
    (
        "Contain without what it sets",
        _CONTAINMENT,
        "",
        "spec.containment is required when actions has Contain",
    ),
    (
        "containment without its ConfigMap",
        "    configMap: kiro-safety-config\n",
        "",
        "spec.containment.configMap: Required value",
    ),
    (
        "DetailedLogging without what it sets",
        _LOGGING,
        "",
        "spec.detailedLogging is required when actions has",
    ),
    (
        "DetailedLogging without an end",
        "    duration: 15m\n",
        "",
        "spec.detailedLogging.duration: Required value",
    ),
    (
        "DetailedLogging in the way of Contain",
        "configMap: kiro-logging",
        "configMap: kiro-safety-config",
        "spec.detailedLogging.configMap: write another than spec.containment has",
    ),
    (
        "DetailedLogging where RestoreSafetyConfig would take it back",
        "safetyConfig:\n    name: kiro-safety-config",
        "safetyConfig:\n    name: kiro-logging",
        "spec.detailedLogging.configMap: write another than spec.safetyConfig has",
    ),
    ("budget without limit", "    limit: 4\n", "", "spec.budget.limit: Required value"),
    ("budget without window", "    window: 1h30m\n", "", "spec.budget.window: Required value"),
    (
        "action without budget",
        "    budget:\n      limit: 3\n      window: 1h\n",
        "",
        "budget: Required value",
    ),
    ("action without name", "  - name: Restart\n    approval", "  - approval", "name: Required value"),
    ("window without time zone", "    timeZone: Europe/Berlin\n", "", "timeZone: Required value"),
)

_MISSPELT = (
    ("misspelt spec", "spec:\n", "specs:\n", 'unknown field "specs"'),
    ("misspelt mode", "  mode: Enforce", "  mod: Enforce", 'unknown field "spec.mod"'),
    ("snake case", "maxUnhealthy", "max_unhealthy", 'unknown field "spec.max_unhealthy"'),
    ("misspelt cooldown", "cooldown", "coolDown", 'unknown field "spec.coolDown"'),
    ("misspelt approval", "approval: Manual", "aproval: Manual", 'unknown field "spec.actions[1].aproval"'),
    (
        "misspelt maintenanceWindows",
        "maintenanceWindows:",
        "maintenanceWindow:",
        'unknown field "spec.maintenanceWindow"',
    ),
    ("misspelt limit", "    limit: 4", "    limits: 4", 'unknown field "spec.budget.limits"'),
    (
        "misspelt actions",
        "  actions:\n  - name: Restart",
        "  action:\n  - name: Restart",
        'unknown field "spec.action"',
    ),
    ("misspelt consent", "consent:", "consents:", 'unknown field "spec.consents"'),
    (
        "misspelt pauseRequests",
        "pauseRequests: []",
        "pauseRequest: [audit]",
        'unknown field "spec.pauseRequest"',
    ),
    (
        "misspelt matchLabels",
        "matchLabels",
        "matchLabel",
        'unknown field "spec.protected.selectors[0].matchLabel"',
    ),
    ("misspelt values", "values:", "value:", "unknown field"),
    ("misspelt schedule", "schedule: 0 22", "cron: 0 22", 'unknown field "spec.forbiddenWindows[0].cron"'),
    ("unknown gate", "  cooldown: 5m", "  cooldown: 5m\n  maxPods: 2", 'unknown field "spec.maxPods"'),
    ("spec beside metadata's name", "  name: cautious", "  name: cautious\n  mode: Observe", "unknown field"),
)

_VALUES = (
    ("mode in lower case", "mode: Enforce", "mode: enforce", '"Observe", "DryRun", "Enforce"'),
    ("mode is a boolean", "mode: Enforce", "mode: yes", '"Observe", "DryRun", "Enforce"'),
    ("unknown action", "- name: Scale", "- name: Delete", 'supported values: "Restart", "Scale"'),
    ("wildcard action", "- name: Scale", '- name: "*"', 'supported values: "Restart", "Scale"'),
    ("unknown approval", "approval: Manual", "approval: Never", 'supported values: "Automatic", "Manual"'),
    ("the same action twice", "- name: Scale", "- name: Restart", "Duplicate value"),
    ("unknown consent", "[SingleReplica]", "[All]", 'supported values: "SingleReplica", "Recreate"'),
    ("the same consent twice", "[SingleReplica]", "[SingleReplica, SingleReplica]", "Duplicate value"),
    ("the same pause twice", "pauseRequests: []", "pauseRequests: [audit, audit]", "Duplicate value"),
    ("an empty pause", "pauseRequests: []", 'pauseRequests: [""]', "at least 1 chars long"),
    (
        "both blast radii",
        "maxUnhealthy: 40%",
        "maxUnhealthy: 40%\n  minHealthy: 60%",
        "write one of minHealthy, maxUnhealthy and unhealthyRange, such as maxUnhealthy: 40%",
    ),
    (
        "a share and a range",
        "maxUnhealthy: 40%",
        'maxUnhealthy: 40%\n  unhealthyRange: "[1-3]"',
        "write one of",
    ),
    ("range without brackets", "maxUnhealthy: 40%", 'unhealthyRange: "1-3"', _RANGE),
    ("range the wrong way round", "maxUnhealthy: 40%", 'unhealthyRange: "[3-1]"', _RANGE),
    ("range of shares", "maxUnhealthy: 40%", 'unhealthyRange: "[10%-40%]"', _RANGE),
    ("range as a list", "maxUnhealthy: 40%", "unhealthyRange: [1-3]", "must be of type string"),
    ("open range", "maxUnhealthy: 40%", 'unhealthyRange: "[1-]"', _RANGE),
    ("negative limit", "limit: 4", "limit: -1", "greater than or equal to 0"),
    ("huge limit", "limit: 4", "limit: 99999999999", "less than or equal to 100"),
    ("limit beyond int64", "limit: 4", "limit: 1e30", "less than or equal to 100"),
    ("limit in scientific notation", "limit: 4", "limit: 1e9", "less than or equal to 100"),
    ("limit is a fraction", "limit: 4", "limit: 0.5", "must be of type integer"),
    ("limit is not a number", "limit: 4", "limit: .nan", "NaN"),
    ("limit is text", "limit: 4", 'limit: "4"', "must be of type integer"),
    (
        "no failures at all",
        "maxConsecutiveFailures: 3",
        "maxConsecutiveFailures: 0",
        "greater than or equal to 1",
    ),
    ("share above 100%", "40%", "101%", _SHARE),
    ("negative share", "40%", "-40%", _SHARE),
    ("share as a fraction", "40%", "0.4", "must be of type integer,string"),
    ("share in words", "40%", "40 percent", _SHARE),
    ("share without a sign as text", "40%", '"40"', _SHARE),
    ("share with a fraction", "40%", "33.3%", _SHARE),
    ("negative number of pods", "40%", "-1", _SHARE),
    ("huge number of pods", "40%", "100001", _SHARE),
    ("floor above ceiling", "floor: 2", "floor: 6", "floor must not be above ceiling; write e.g."),
    ("floor of nothing", "floor: 2", "floor: 0", "greater than or equal to 1"),
    ("huge ceiling", "ceiling: 5", "ceiling: 1000000", "less than or equal to 1000"),
    ("no step", "step: 1", "step: 0", "greater than or equal to 1"),
    (
        "backoff that shrinks",
        "initial: 10m",
        "initial: 5h",
        "backoff: initial must not be above maximum; write",
    ),
    ("name too long", "name: cautious", f"name: {'a' * 64}", "metadata.name: use 63 characters or fewer"),
)

_TIMES = (
    ("duration without a unit", "cooldown: 5m", "cooldown: 300", "must be of type string"),
    ("octal duration", "cooldown: 5m", "cooldown: 0300", "must be of type string"),
    ("duration in words", "cooldown: 5m", "cooldown: 5 minutes", _DURATION),
    ("duration in ISO 8601", "cooldown: 5m", "cooldown: PT5M", _DURATION),
    ("duration as a clock shows it", "cooldown: 5m", "cooldown: 5:00", _DURATION),
    ("negative duration", "cooldown: 5m", "cooldown: -5m", _DURATION),
    ("duration in days", "cooldown: 5m", "cooldown: 1d", _DURATION),
    ("duration with a fraction", "cooldown: 5m", "cooldown: 1.5h", _DURATION),
    ("duration in milliseconds", "cooldown: 5m", "cooldown: 500ms", _DURATION),
    ("empty duration", "cooldown: 5m", 'cooldown: ""', _DURATION),
    ("duration with a space behind it", "cooldown: 5m", 'cooldown: "5m "', _DURATION),
    ("duration with a line break", "cooldown: 5m", 'cooldown: "5m\\n"', _DURATION),
    ("duration just above the bound", "cooldown: 5m", "cooldown: 168h1s", _DURATION),
    ("duration of a century", "cooldown: 5m", "cooldown: 999999h999999m999999s", _DURATION),
    ("duration that overflows", "cooldown: 5m", "cooldown: 99999999999999h", _DURATION),
    (
        "budget window too short",
        "window: 2h",
        "window: 30s",
        "write a duration from 1m to 168h, such as 5m or 1h30m",
    ),
    ("null cooldown", "cooldown: 5m", "cooldown: null", "spec.cooldown is required in mode Enforce"),
    (
        "tilde for null",
        "pauseRequests: []",
        "pauseRequests: ~",
        "spec.pauseRequests is required in mode Enforce",
    ),
    ("cron with an hour too many", "0 22 * * FRI", "0 24 * * FRI", _CRON),
    ("cron with six fields", "0 22 * * FRI", "0 0 22 * * FRI", _CRON),
    ("cron with four fields", "0 22 * * FRI", "0 22 * FRI", _CRON),
    ("cron with a nickname", "0 22 * * FRI", '"@midnight"', _CRON),
    ("cron with an unknown day", "0 22 * * FRI", "0 22 * * Freitag", _CRON),
    ("cron with a step of nothing", "0 22 * * FRI", '"*/0 22 * * FRI"', _CRON),
    ("cron with a negative minute", "0 22 * * FRI", '"-5 22 * * FRI"', _CRON),
    ("oversized cron", "0 22 * * FRI", f"0 22 * * FRI{',FRI' * 40}", "may not be more than 128"),
    ("window without a name", "name: weekend", 'name: ""', "at least 1 chars long"),
    ("abbreviated time zone", "Europe/Berlin", "CET", _ZONE),
    ("offset for a time zone", "Europe/Berlin", '"+01:00"', _ZONE),
    ("a path for a time zone", "Europe/Berlin", "../../etc/passwd", _ZONE),
    ("window that is too long", "duration: 56h", "duration: 200h", "write a duration from 1m to 168h"),
)

_SHAPES = (
    (
        "budget is a number",
        "  budget:\n    limit: 4\n    window: 1h30m\n",
        "  budget: 4\n",
        "must be of type object",
    ),
    ("consent is text", "consent: [SingleReplica]", "consent: SingleReplica", "must be of type array"),
    ("pauses are a map", "pauseRequests: []", "pauseRequests: {}", "must be of type array"),
    (
        "an action that is only a name",
        "- name: Scale\n    approval: Manual\n",
        "- Scale\n  - x:\n",
        "must be of type object",
    ),
    ("a null among selectors", _SELECTORS, "    selectors: [null]\n", "must be of type object"),
    ("oversized pause", "pauseRequests: []", f"pauseRequests: [{'x' * 257}]", "may not be more than 256"),
    (
        "too many pauses",
        "pauseRequests: []",
        f"pauseRequests: [{','.join(f'p{n}' for n in range(17))}]",
        "at most 16",
    ),
    ("too many selectors", _SELECTORS, f"    selectors: [{','.join(['{}'] * 17)}]\n", "at most 16 items"),
    ("bad label key", "app: ledger", '"app ": ledger', _LABEL),
    ("label key with two prefixes", "app: ledger", "a/b/app: ledger", _LABEL),
    ("long label key", "app: ledger", f"{'a' * 64}: ledger", _LABEL),
    ("bad label value", "app: ledger", "app: -ledger", "write a label value"),
    ("long label value", "app: ledger", f"app: {'a' * 64}", "may not be more than 63"),
    ("boolean label value", "app: ledger", "app: yes", "must be of type string"),
    ("bad key of an expression", "key: tier", 'key: "tier!"', _LABEL),
    ("operator in lower case", "operator: In", "operator: in", '"In", "NotIn", "Exists", "DoesNotExist"'),
    ("In without values", "values: [db]", "values: []", "operators In and NotIn need values"),
    ("Exists with values", "operator: In", "operator: Exists", "Exists and DoesNotExist take none"),
)

_DESIRED = (
    ("config without data", "    data:\n", "    date:\n", 'unknown field "spec.safetyConfig.date"'),
    (
        "a config to restore that has no name",
        "safetyConfig:\n    name: kiro-safety-config\n",
        "safetyConfig:\n",
        "onDrift: Restore needs a name: write kiro-safety-config",
    ),
    (
        "a ClusterRole to restore that has no name",
        "    name: kiro-autonomous-operations\n",
        "",
        "onDrift: Restore needs a name: write kiro-autonomous-operations",
    ),
    (
        "a rule to restore for all objects by a slip",
        "resourceNames:",
        "resourceName:",
        'unknown field "spec.clusterRole.rules[0].resourceName"',
    ),
    (
        "a rule to restore that does not say for which objects",
        "      resourceNames: [orchestrator]\n",
        "",
        "onDrift: Restore needs resourceNames in each rule",
    ),
    ("a binding to restore that does not say to whom", _SUBJECTS, "", "onDrift: Restore needs subjects"),
    (
        "a ServiceAccount to bind that has no namespace",
        _SUBJECTS,
        _SUBJECTS.replace("      namespace: kiro-system\n", ""),
        "onDrift: Restore needs each ServiceAccount's namespace",
    ),
    ("a key no ConfigMap can have", "autonomous-mode:", '"a/b":', "write keys as a ConfigMap has them"),
    ("a config value that is a number", 'operations: "3"', "operations: 3", "must be of type string"),
    ("a wildcard verb", "verbs: [get, patch]", 'verbs: ["*"]', "write each verb it needs"),
    ("the verb escalate", "verbs: [get, patch]", "verbs: [get, escalate]", "write each verb it needs"),
    ("the verb bind", "verbs: [get, patch]", "verbs: [bind]", "write each verb it needs"),
    ("no verb", "verbs: [get, patch]", "verbs: []", "should have at least 1 items"),
    ("a wildcard resource", "resources: [deployments]", 'resources: ["*"]', "without a wildcard"),
    ("a wildcard subresource", "resources: [deployments]", 'resources: ["*/exec"]', "without a wildcard"),
    ("a wildcard group", "apiGroups: [apps]", 'apiGroups: ["*"]', "without a wildcard"),
    (
        "a rule about nothing",
        "    - nonResourceURLs: [/version]\n      verbs",
        "    - verbs",
        "write resources",
    ),
    ("misspelt nonResourceURLs", "nonResourceURLs", "nonResourceUrls", "unknown field"),
    (
        "a group in a namespace",
        "    - kind: Group\n",
        "    - kind: Group\n      namespace: kiro-system\n",
        "only a ServiceAccount has a namespace",
    ),
    ("unknown kind of subject", "- kind: Group", "- kind: Team", '"ServiceAccount", "User", "Group"'),
    (
        "a gate without actions",
        "    actions: [drain-node]\n",
        "    actions: []\n",
        "should have at least 1 items",
    ),
    ("a gate in capitals", "- name: drains", "- name: Drains", "write a name of lower-case letters"),
    ("two questions in one", "- verb: patch", '- verb: "patch,get"', "write a verb such as create"),
    (
        "a subresource in the resource",
        "resource: pods\n      subresource: exec",
        "resource: pods/exec",
        "write a resource in the plural",
    ),
    ("risky and not allowed", "risky: [drain-node]", "risky: [delete-node]", "write each risky action into"),
    ("boundaries without risky", "    risky: [drain-node]\n", "", "spec.boundaries.risky: Required value"),
    ("boundaries without kinds", "    kinds: [Deployment, StatefulSet]\n", "", "kinds: Required value"),
    (
        "a kind with its group",
        "kinds: [Deployment,",
        "kinds: [deployments.apps,",
        "write a kind, such as",
    ),
    (
        "a kind that is a command",
        "kinds: [Deployment,",
        "kinds: ['; to approve: reboot',",
        "write a kind, such as",
    ),
    ("change of everything", "maximumChange: 50", "maximumChange: 1001", "less than or equal to 1000"),
    ("a metric without a threshold", "      above: 0.2\n", "", "write above or below beside metric"),
    (
        "a threshold from both sides",
        "above: 0.2",
        "above: 0.2\n      below: 0.1",
        "write one of above and below",
    ),
    ("neither condition nor metric", "      condition: Responsive\n", "", "write one of condition"),
    ("an unknown condition", "condition: Responsive", "condition: Fine", "supported values"),
    ("an unknown tier", "tier: Tier3", "tier: Tier1", '"Tier2", "Tier3", "Management"'),
    ("a trigger at once and for ever", "after: 2h", "after: 200h", "write a duration from 0s to 168h"),
    ("the same trigger twice", "- name: errors", "- name: outage", "Duplicate value"),
)

CASES = table("KiroSafetyPolicy", _MISSING + _MISSPELT + _VALUES + _TIMES + _SHAPES + _DESIRED)
