"""One full, valid object of each kind, in the YAML that a person would write."""

from typing import Any

import yaml

HEALTH_CHECK = """\
apiVersion: kiro.dev/v1alpha1
kind: KiroHealthCheck
metadata:
  name: kiro
spec:
  suspend: false
  interval: 1m
  selector:
    matchLabels:
      app.kubernetes.io/part-of: kiro
    matchExpressions:
    - key: tier
      operator: NotIn
      values: [batch]
  safetyPolicyRef:
    name: cautious
  checks:
  - id: pods-ready
    enabled: true
    interval: 30s
    failAfter: 2m
    recoverAfter: 1m
    parameters:
      minReady: 2
  - id: agent-latency
    failureThreshold: 3
    successThreshold: 2
  remediation:
    ladder:
    - action: Restart
      timeout: 10m
    - action: Scale
    stabilization: 1m
"""

POLICY = """\
apiVersion: kiro.dev/v1alpha1
kind: KiroSafetyPolicy
metadata:
  name: cautious
spec:
  mode: Enforce
  actions:
  - name: Restart
    approval: Automatic
    budget:
      limit: 3
      window: 1h
  - name: Scale
    approval: Manual
    budget:
      limit: 2
      window: 2h
  - name: Contain
    budget:
      limit: 1
      window: 6h
  - name: DetailedLogging
    budget:
      limit: 5
      window: 24h
  budget:
    limit: 4
    window: 1h30m
  cooldown: 5m
  backoff:
    initial: 10m
    maximum: 4h
  maxConsecutiveFailures: 3
  maxUnhealthy: 40%
  stormCooldown: 10m
  scale:
    floor: 2
    ceiling: 5
    step: 1
  forbiddenWindows:
  - name: weekend
    schedule: 0 22 * * FRI
    duration: 56h
    timeZone: Europe/Berlin
  maintenanceWindows:
  - name: weekdays
    schedule: 0 8 * * MON-THU
    duration: 10h
    timeZone: UTC
  pauseRequests: []
  protected:
    selectors:
    - matchLabels:
        app: ledger
      matchExpressions:
      - key: tier
        operator: In
        values: [db]
  consent: [SingleReplica]
  containment:
    configMap: kiro-safety-config
    key: autonomous-mode
    value: suspended
  detailedLogging:
    configMap: kiro-logging
    key: level
    value: debug
    duration: 15m
  safetyConfig:
    name: kiro-safety-config
    onDrift: Restore
    data:
      autonomous-mode: supervised
      max-concurrent-operations: "3"
  clusterRole:
    name: kiro-autonomous-operations
    onDrift: Restore
    rules:
    - apiGroups: [apps]
      resources: [deployments]
      resourceNames: [orchestrator]
      verbs: [get, patch]
    - nonResourceURLs: [/version]
      verbs: [get]
    subjects:
    - kind: ServiceAccount
      name: kiro
      namespace: kiro-system
  permissions:
    serviceAccount: kiro
    mustAllow:
    - verb: patch
      group: apps
      resource: deployments
      subresource: scale
      name: orchestrator
      namespace: kiro-system
    mustDeny:
    - verb: escalate
      group: rbac.authorization.k8s.io
      resource: clusterroles
      namespace: "*"
    - verb: create
      group: ""
      resource: pods
      subresource: exec
      name: ledger-0
  boundaries:
    actions: [restart, scale, drain-node]
    risky: [drain-node]
    kinds: [Deployment, StatefulSet]
    namespaces: [kiro-system]
    maximumChange: 50
  approvalGates:
  - name: drains
    actions: [drain-node]
    approvers:
    - kind: Group
      name: platform-leads
    - kind: ServiceAccount
      name: change-bot
      namespace: operations
  escalation:
    triggers:
    - name: outage
      condition: Responsive
      after: 30m
      tier: Tier2
    - name: errors
      metric: kiro_error_rate
      above: 0.2
      after: 2h
      tier: Tier3
    - name: success
      metric: kiro_autonomous_success_rate
      below: 0.5
      after: 4h
      tier: Management
"""

REMEDIATION = """\
apiVersion: kiro.dev/v1alpha1
kind: KiroRemediation
metadata:
  name: deployment-orchestrator-2f9c54e6-6a4e-e1s1
spec:
  action: Restart
  method: Evict
  target:
    apiVersion: apps/v1
    kind: Deployment
    name: orchestrator
    uid: 2f9c54e6-6a4e-4b7f-8a7d-3d4d0f1f6d11
  pod:
    apiVersion: v1
    kind: Pod
    name: orchestrator-7c9d-x2x4p
    uid: 8a1f9d3e-12c4-4c59-9d2b-5f3c6a7b8c90
  fence:
    uid: 8a1f9d3e-12c4-4c59-9d2b-5f3c6a7b8c90
    resourceVersion: "4711"
    intent: deployment-orchestrator-2f9c54e6-6a4e-e1s0
  healthCheck:
    name: kiro
    uid: 11111111-2222-4333-8444-555555555555
  policy:
    name: cautious
    uid: 66666666-7777-4888-9999-aaaaaaaaaaaa
  check: pods-ready
  reason: CrashLooping
  message: 1 of 3 pods restarts again and again
  episode: 1
  step: 1
  timeout: 5m
  stabilization: 30s
  gates:
  - gate: mode
    message: mode is Enforce
"""

# An object of which only the spec is to be written, or not even that.
BARE = "apiVersion: kiro.dev/v1alpha1\nkind: {kind}\nmetadata:\n  name: bare\n{spec}\n"

DOCUMENTS = {"KiroHealthCheck": HEALTH_CHECK, "KiroSafetyPolicy": POLICY, "KiroRemediation": REMEDIATION}


def loaded(text: str) -> dict[str, Any]:
    """The object that a document describes."""
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def changed(kind: str, old: str, new: str) -> str:
    """The document of a kind with one stretch of its text replaced."""
    text = DOCUMENTS[kind]
    if text.count(old) != 1:
        raise ValueError(f"{old!r} is {text.count(old)} times in the document of {kind}")
    return text.replace(old, new)
